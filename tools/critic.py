"""The critic of the generator's training: a small network that tells drawn heads from the generator's, patch by patch.

Pixels and gradients alone ask for the mean of all strands that could be there, which is smooth. The critic sees a
picture together with what it should be at a quarter of its size, so that it judges the fine detail only (a conditional
patch critic: Isola et al. 2017, "Image-to-Image Translation with Conditional Adversarial Networks", section 3.2.2);
hinge loss (Lim and Ye 2017, "Geometric GAN") with spectral normalisation (Miyato et al. 2018).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class Critic(nn.Module):
    """Premultiplied RGBA and what was wanted, [N, 4, s, s] each -> realness of patches [N, 1, s / 8, s / 8]."""

    def __init__(self) -> None:
        super().__init__()
        widths, layers = (20, 48, 64, 96), []
        for before, width, stride in zip(widths, widths[1:], (2, 2, 1), strict=False):
            layers += [spectral_norm(nn.Conv2d(before, width, 3, stride=stride, padding=1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(widths[-1], 1, 1)))

    def forward(self, picture: Tensor, wanted: Tensor) -> Tensor:
        """See the class."""
        coarse = F.interpolate(F.avg_pool2d(wanted, 4), scale_factor=2.0, mode="bilinear", align_corners=False)
        realness: Tensor = self.layers(torch.cat([F.pixel_unshuffle(picture, 2), coarse], 1))
        return realness


def telling_apart(critic: Critic, drawn: Tensor, made: Tensor) -> Tensor:
    """The critic's own loss: drawn heads above 1, the generator's below -1."""
    both = critic(torch.cat([drawn, made]), torch.cat([drawn, drawn]))
    real, fake = both.chunk(2)
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def balanced(distance: Tensor, realness: Tensor, made: Tensor, share: float) -> Tensor:
    """Both losses in one whose gradient at the picture comes from the critic by ``share`` of the distance's.

    The weight follows the gradients (Esser et al. 2021, "Taming Transformers", equation 7), so that it suits every
    size and stage of the training. Both gradients are known then, so the result hands their sum to the picture
    (its value is the distance's), and neither loss is followed back a second time.
    """
    near, real = (torch.autograd.grad(loss, made, retain_graph=True)[0] for loss in (distance, -realness))
    weight = (share * near.norm() / (real.norm() + 1e-8)).clamp(max=1.0)
    handed = (made * (near + weight * real)).sum()
    return distance.detach() + handed - handed.detach()
