"""Encoders of public inversion projects: a picture of 256 x 256 to a code of ``W+``, in PyTorch.

    picture --IR-SE backbone--> features at 64, 32, 16 px --pyramid--> one head per row --> codes;  W+ = codes + centre

Sources: backbone IR-SE-50, Deng et al. 2019, "ArcFace", with squeeze-and-excitation of Hu et al. 2018; pSp, Richardson
et al. 2021, "Encoding in Style" (feature pyramid, a head per row); e4e, Tov et al. 2021, "Designing an Encoder for
StyleGAN Image Manipulation" (row 0 and deltas to it); ReStyle, Alaluf et al. 2021, "ReStyle: A Residual-Based StyleGAN
Encoder" (all heads read the last features, and the encoder sees the current reconstruction beside the picture and
predicts what to add).

The tensors are effective weights: batch normalisation is folded into scale and shift or into the convolution before it,
and the gain of equalised learning rates into the linear layers.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.encoders_config import HEAD_SLOPE, INPUT_PX, EncoderConfig, config_from_tensors


class ResidualBlock(nn.Module):
    """Improved residual unit with squeeze-and-excitation: affine, conv, PReLU, conv, attention, plus shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, squeezed: int) -> None:
        super().__init__()
        self.stride = stride
        self.scale = nn.Parameter(torch.ones(inputs))
        self.shift = nn.Parameter(torch.zeros(inputs))
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.slope = nn.Parameter(torch.zeros(outputs))
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1)
        self.squeeze = nn.Conv2d(outputs, squeezed, 1, bias=False) if squeezed else None
        self.excite = nn.Conv2d(squeezed, outputs, 1, bias=False) if squeezed else None
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=stride) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        """[N, outputs, H / stride, W / stride] of x [N, inputs, H, W]."""
        short = x[:, :, :: self.stride, :: self.stride] if self.shortcut is None else self.shortcut(x)
        y = x * self.scale[:, None, None] + self.shift[:, None, None]
        y = self.conv2(functional.prelu(self.conv1(y), self.slope))
        if self.squeeze is not None and self.excite is not None:
            attention = functional.relu(self.squeeze(y.mean(dim=[2, 3], keepdim=True)))
            y = y * torch.sigmoid(self.excite(attention))
        total: Tensor = y + short
        return total


class StyleHead(nn.Module):
    """Convolutions of stride 2 down to one pixel, then a linear map to one row of W+."""

    def __init__(self, inputs: int, convs: int, w_dim: int) -> None:
        super().__init__()
        widths = [inputs, *[w_dim] * convs]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(widths[:-1], widths[1:], strict=True)
        )
        self.linear = nn.Linear(w_dim, w_dim)

    def forward(self, x: Tensor) -> Tensor:
        """[N, w_dim] of x [N, inputs, 2^convs, 2^convs]."""
        for conv in self.convs:
            x = functional.leaky_relu(conv(x), HEAD_SLOPE)
        row: Tensor = self.linear(x.flatten(1))
        return row


class StyleEncoder(nn.Module):
    """An encoder of the pSp, e4e or ReStyle family."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv2d(config.inputs, config.stem, 3, padding=1)
        self.slope = nn.Parameter(torch.zeros(config.stem))
        self.body = nn.ModuleList(ResidualBlock(*block) for block in config.blocks)
        last = config.blocks[-1][1]
        self.heads = nn.ModuleList(StyleHead(last, convs, config.w_dim) for convs in config.head_convs)
        self.lateral32 = nn.Conv2d(config.blocks[config.taps[1]][1], last, 1) if config.taps else None
        self.lateral64 = nn.Conv2d(config.blocks[config.taps[0]][1], last, 1) if config.taps else None

    def features(self, x: Tensor) -> dict[int, Tensor]:
        """The features by the number of halvings that their heads need: 4 at 16 px, and 5 and 6 with a pyramid."""
        tapped = []
        x = functional.prelu(self.stem(x), self.slope)
        for number, block in enumerate(self.body):
            x = block(x)
            if number in self.config.taps:
                tapped.append(x)
        levels = {4: x}
        if self.lateral32 is not None and self.lateral64 is not None:
            levels[5] = _enlarged(x, tapped[1]) + self.lateral32(tapped[1])
            levels[6] = _enlarged(levels[5], tapped[0]) + self.lateral64(tapped[0])
        return levels

    def forward(self, x: Tensor) -> Tensor:
        """Codes [N, rows, w_dim], to be added to the centre (or, in ReStyle, to the last W+).

        x: float32 [N, inputs, 256, 256] RGB, -1 to 1; for ReStyle the picture, then the reconstruction.
        """
        if x.shape[1:] != (self.config.inputs, INPUT_PX, INPUT_PX):
            wanted = [self.config.inputs, INPUT_PX, INPUT_PX]
            raise ValueError(f"the encoder's input has shape {list(x.shape)}; wanted [N, *{wanted}]")
        levels = self.features(x)
        rows = [head(levels[convs]) for head, convs in zip(self.heads, self.config.head_convs, strict=True)]
        codes = torch.stack(rows, dim=1)
        if self.config.deltas:  # e4e: row 0 is the code of all rows, the others are offsets to it
            codes = torch.cat([codes[:, :1], codes[:, :1] + codes[:, 1:]], dim=1)
        return codes


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=True)


def picture_to_input(pixels: Tensor) -> Tensor:
    """uint8 RGB [N, 3, 256, 256] to the encoders' float32 -1 to 1."""
    return (pixels.to(torch.float32) / 255 - 0.5) / 0.5


def shrink_to_input(picture: Tensor) -> Tensor:
    """A generated picture [N, 3, S, S] averaged (or repeated) to the encoder's 256 px."""
    return functional.adaptive_avg_pool2d(picture, (INPUT_PX, INPUT_PX))


def refine(encoder: StyleEncoder, picture: Tensor, reconstruction: Tensor, wplus: Tensor) -> Tensor:
    """One ReStyle step: W+ plus what the encoder adds on seeing the picture and its reconstruction.

    picture: [N, 3, 256, 256], -1 to 1.
    reconstruction: [N or 1, 3, 256, 256], the generator's picture of ``wplus`` (first step: of the centre).
    wplus: [N or 1, rows, w_dim], the last W+ (first step: the centre).
    """
    pair = torch.cat([picture, reconstruction.expand(len(picture), -1, -1, -1)], dim=1)
    refined: Tensor = encoder(pair) + wplus
    return refined


def encoder_from_tensors(tensors: Mapping[str, Tensor], deltas: bool) -> StyleEncoder:
    """An encoder in evaluation mode from the tensors of an imported checkpoint.

    deltas: whether rows from 1 on are offsets to row 0 (e4e). Raises ValueError when tensors do not fit.
    """
    config = config_from_tensors({name: tuple(value.shape) for name, value in tensors.items()}, deltas)
    with torch.device("meta"):
        encoder = StyleEncoder(config)
    try:
        encoder.load_state_dict(dict(tensors), strict=True, assign=True)
    except RuntimeError as error:
        raise ValueError(f"the tensors do not fit an IR-SE encoder: {error}") from None
    return encoder.eval().requires_grad_(False)
