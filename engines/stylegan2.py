"""The StyleGAN2 generator in PyTorch, for every size, width and architecture that public checkpoints come in.

    z --mapping--> w --repeat, truncate--> W+ [rows, w_dim] --synthesis(noise)--> picture

Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN": modulated convolution equations 1
to 3, architectures figure 7 (skip generator, residual nets; "orig" is the plain chain), mapping after Karras et al.
2019, "A Style-Based Generator Architecture for GANs".

The tensors are *effective* weights: the gains of equalised learning rates are folded in when a checkpoint is imported,
so that each layer is a plain linear map or convolution. Rows of ``W+``: the 4x4 convolution takes row 0; the block of
resolution 4 * 2^k takes rows 2k-1 and 2k for its two convolutions; a colour layer takes the row after its block's
last convolution, which is also the next block's first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.stylegan2_config import GeneratorConfig, config_from_tensors
from kernels.bias_act import bias_act
from kernels.modulated_conv2d import conv2d_resample, modulated_conv2d
from kernels.upfirdn2d import setup_filter, upsample2d

SECOND_MOMENT_EPSILON = 1e-8
ARCHITECTURES = ("skip", "resnet", "orig")
NOISE_MODES = ("const", "zero", "random")
Noise = str | Sequence[Tensor]


class MappingNetwork(nn.Module):
    """z [N, z_dim], normalised by its second moment, to w [N, w_dim] through leaky-ReLU layers."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        widths = [config.z_dim, *[config.w_dim] * config.mapping_layers]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True))

    def forward(self, z: Tensor) -> Tensor:
        """w [N, w_dim] of z [N, z_dim]."""
        x = z * (z.square().mean(dim=1, keepdim=True) + SECOND_MOMENT_EPSILON).rsqrt()
        for layer in self.layers:
            assert isinstance(layer, nn.Linear)
            x = bias_act(functional.linear(x, layer.weight), layer.bias, act="lrelu")
        return x


class StyledConv(nn.Module):
    """Modulated 3x3 convolution, noise, bias and leaky ReLU, at one resolution or up to twice the input's."""

    noise: Tensor

    def __init__(self, config: GeneratorConfig, inputs: int, outputs: int, resolution: int, up: int) -> None:
        super().__init__()
        self.up, self.clamp = up, config.clamp
        self.weight = nn.Parameter(torch.zeros(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.affine = nn.Linear(config.w_dim, inputs)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("noise", torch.zeros(resolution, resolution))

    def forward(self, x: Tensor, w: Tensor, fir: Tensor, noise: Tensor | None, gain: float = 1.0) -> Tensor:
        """[N, outputs, r, r] of x [N, inputs, r / up, r / up], w [N, w_dim] and a noise map [N or 1, 1, r, r]."""
        x = modulated_conv2d(
            x,
            self.weight,
            self.affine(w),
            noise=None if noise is None else noise * self.noise_strength,
            up=self.up,
            padding=1,
            resample_filter=fir,
            flip_weight=self.up == 1,
        )
        clamp = None if self.clamp is None else self.clamp * gain
        return bias_act(x, self.bias, act="lrelu", gain=math.sqrt(2.0) * gain, clamp=clamp)


class ToColour(nn.Module):
    """Modulated 1x1 convolution without demodulation, features to colours."""

    def __init__(self, config: GeneratorConfig, inputs: int) -> None:
        super().__init__()
        self.clamp = config.clamp
        self.weight = nn.Parameter(torch.zeros(config.image_channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(config.image_channels))
        self.affine = nn.Linear(config.w_dim, inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """[N, image_channels, r, r] of x [N, inputs, r, r] and w [N, w_dim]."""
        x = modulated_conv2d(x, self.weight, self.affine(w), demodulate=False)
        return bias_act(x, self.bias, clamp=self.clamp)


class Upsampler(nn.Module):
    """The 1x1 convolution on the residual path, to twice the resolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(outputs, inputs, 1, 1))

    def forward(self, x: Tensor, fir: Tensor) -> Tensor:
        """[N, outputs, 2r, 2r] of x [N, inputs, r, r]."""
        return conv2d_resample(x, self.weight, up=2, resample_filter=fir, flip_weight=False)


class SynthesisBlock(nn.Module):
    """The layers of one resolution."""

    def __init__(self, config: GeneratorConfig, resolution: int) -> None:
        super().__init__()
        self.resolution, self.architecture = resolution, config.architecture
        outputs = config.channels[resolution]
        self.conv0: StyledConv | None = None
        self.skip: Upsampler | None = None
        if resolution > 4:
            inputs = config.channels[resolution // 2]
            self.conv0 = StyledConv(config, inputs, outputs, resolution, up=2)
            if config.architecture == "resnet":
                self.skip = Upsampler(inputs, outputs)
        self.conv1 = StyledConv(config, outputs, outputs, resolution, up=1)
        last = resolution == config.resolution
        self.rgb = ToColour(config, outputs) if last or config.architecture == "skip" else None

    def forward(
        self, x: Tensor, picture: Tensor | None, w: Tensor, fir: Tensor, noise: Sequence[Tensor | None]
    ) -> tuple[Tensor, Tensor | None]:
        """Features and running picture at this resolution.

        x: features [N, inputs, r / 2, r / 2] ([N, outputs, 4, 4] at 4).
        picture: running picture [N, image_channels, r / 2, r / 2] or None.
        w: [N, 3, w_dim] ([N, 2, w_dim] at 4): one row per convolution, then the colour layer's.
        noise: one map per convolution.
        """
        if self.conv0 is not None:
            residual = None if self.skip is None else self.skip(x, fir)
            x = self.conv0(x, w[:, 0], fir, noise[0])
            if residual is None:
                x = self.conv1(x, w[:, 1], fir, noise[1])
            else:  # the sum of two paths of variance one half
                gain = math.sqrt(0.5)
                x = residual * gain + self.conv1(x, w[:, 1], fir, noise[1], gain=gain)
        else:
            x = self.conv1(x, w[:, 0], fir, noise[0])
        if picture is not None:
            picture = upsample2d(picture, fir)
        if self.rgb is not None:
            colours = self.rgb(x, w[:, -1])
            picture = colours if picture is None else picture + colours
        return x, picture


class SynthesisNetwork(nn.Module):
    """W+ [N, rows, w_dim] to a picture [N, image_channels, resolution, resolution], nominally -1 to 1, not clamped."""

    filter: Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        if config.architecture not in ARCHITECTURES:
            raise ValueError(f"unknown architecture {config.architecture!r}; wanted one of {', '.join(ARCHITECTURES)}")
        self.config = config
        self.const = nn.Parameter(torch.zeros(config.channels[4], 4, 4))
        self.blocks = nn.ModuleDict({str(r): SynthesisBlock(config, r) for r in config.resolutions})
        taps = setup_filter([1.0, 3.0, 3.0, 1.0]) if config.filter_taps == 4 else torch.zeros([config.filter_taps] * 2)
        self.register_buffer("filter", taps)

    def styled_convs(self) -> list[StyledConv]:
        """The convolutions that take noise, in order."""
        blocks = [self.blocks[str(r)] for r in self.config.resolutions]
        return [conv for block in blocks for conv in (block.conv0, block.conv1) if isinstance(conv, StyledConv)]

    def noise_maps(self, noise: Noise, batch: int, generator: torch.Generator | None) -> list[Tensor | None]:
        """One noise map [N or 1, 1, r, r] per styled convolution, or None for no noise."""
        convs = self.styled_convs()
        if isinstance(noise, str):
            if noise not in NOISE_MODES:
                raise ValueError(f"unknown noise {noise!r}; wanted one of {', '.join(NOISE_MODES)}, or a list of maps")
            if noise == "zero":
                return [None] * len(convs)
            if noise == "const":
                return [conv.noise[None, None] for conv in convs]
            like = self.const
            shapes = [(batch, 1, *conv.noise.shape) for conv in convs]
            return [torch.randn(s, generator=generator, device=like.device, dtype=like.dtype) for s in shapes]
        wanted = [tuple(conv.noise.shape) for conv in convs]
        if [tuple(given.shape[-2:]) for given in noise] != wanted:
            got = [tuple(given.shape[-2:]) for given in noise]
            raise ValueError(f"the noise maps have sizes {got}; wanted {wanted}")
        return list(noise)

    def forward(self, wplus: Tensor, noise: Noise = "const", generator: torch.Generator | None = None) -> Tensor:
        """Draw.

        wplus: float32 [N, rows, w_dim].
        noise: "const" (the maps in the checkpoint), "zero", "random" (fresh maps from ``generator``), or one map
            [N or 1, 1, r, r] per styled convolution.

        Raises ValueError for another number of rows or unknown noise.
        """
        config = self.config
        if wplus.ndim != 3 or wplus.shape[1:] != (config.rows, config.w_dim):
            raise ValueError(f"W+ has shape {list(wplus.shape)}; wanted [N, {config.rows}, {config.w_dim}]")
        maps = self.noise_maps(noise, len(wplus), generator)
        x = self.const.expand(len(wplus), -1, -1, -1)
        picture: Tensor | None = None
        for resolution in config.resolutions:
            first = max(2 * int(math.log2(resolution)) - 5, 0)
            convs = 1 if resolution == 4 else 2
            rows = wplus[:, first : first + convs + 1]
            x, picture = self.blocks[str(resolution)](x, picture, rows, self.filter, maps[first : first + convs])
        assert picture is not None  # the last block always has a colour layer
        return picture


class Generator(nn.Module):
    """Mapping, truncation and synthesis."""

    centre: Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(config)
        self.synthesis = SynthesisNetwork(config)
        self.register_buffer("centre", torch.zeros(config.centre_rows, config.w_dim))

    def wplus_from_z(self, z: Tensor, psi: float = 1.0, cutoff: int | None = None) -> Tensor:
        """W+ [N, rows, w_dim] of z [N, z_dim], truncated; see :meth:`truncate`."""
        if not self.config.mapping_layers:
            raise ValueError("this generator has no mapping network; wanted W+ instead of z")
        wplus = self.mapping(z)[:, None].expand(-1, self.config.rows, -1)
        return self.truncate(wplus, psi, cutoff)

    def truncate(self, wplus: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
        """Move the first ``cutoff`` rows (None: all) of W+ towards the centre: centre + psi * (w - centre)."""
        if psi == 1.0:
            return wplus
        moved = self.centre + psi * (wplus - self.centre)
        return moved if cutoff is None else torch.cat([moved[:, :cutoff], wplus[:, cutoff:]], dim=1)

    def forward(
        self, z: Tensor, psi: float = 1.0, noise: Noise = "const", generator: torch.Generator | None = None
    ) -> Tensor:
        """A picture of z [N, z_dim]."""
        picture: Tensor = self.synthesis(self.wplus_from_z(z, psi), noise, generator)
        return picture


def mix_styles(coarse: Tensor, fine: Tensor, row: int) -> Tensor:
    """W+ whose rows before ``row`` come from ``coarse`` and the others from ``fine`` (style mixing)."""
    if coarse.shape != fine.shape or not 0 <= row <= coarse.shape[1]:
        raise ValueError(f"cannot mix {list(coarse.shape)} and {list(fine.shape)} at row {row}; wanted equal shapes")
    return torch.cat([coarse[:, :row], fine[:, row:]], dim=1)


def generator_from_tensors(tensors: Mapping[str, Tensor], clamp: float | None = None) -> Generator:
    """A generator in evaluation mode from the tensors of an imported checkpoint.

    Raises ValueError when tensors are missing, superfluous or of another shape.
    """
    config = config_from_tensors({name: tuple(value.shape) for name, value in tensors.items()}, clamp)
    with torch.device("meta"):
        generator = Generator(config)
    try:
        generator.load_state_dict(dict(tensors), strict=True, assign=True)
    except RuntimeError as error:
        raise ValueError(f"the tensors do not fit a StyleGAN2 generator: {error}") from None
    return generator.eval().requires_grad_(False)
