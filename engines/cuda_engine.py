"""StyleGAN2 synthesis by this project's kernels: launches over static buffers, so that a graph can hold them.

    engine = CudaGenerator(generator, batch=1)
    picture = engine.run(wplus)            # float32 [N, colours, S, S], the engine's own buffer

Features are float16 with channels last; pictures and everything small are float32. All samples of a batch share the
weights: one launch a layer whatever the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.errors import EngineError
from engines.layer_choices import LayerChoices
from engines.layer_runners import Measure, Runner, Runners
from engines.stylegan2 import Generator, StyledConv, ToColour
from kernels.filter_act import Finish
from kernels.program import Programs, cuda_program, empty_channels_last
from kernels.style_preparation import StyleLayer, StyleRoom, StyleTable, prepare_styles_into, style_table
from kernels.styled_conv2d import PackedWeight, pack_weight
from kernels.to_rgb import to_rgb_into


@dataclass(slots=True, eq=False)
class Styled:
    """One styled layer with its buffer: what it reads, writes and multiplies with."""

    name: str
    runner: Runner
    y: Tensor
    noise: Tensor
    strength: float
    bias: Tensor
    finish: Finish


@dataclass(slots=True, eq=False)
class Colour:
    """One colour layer with its picture."""

    weight: Tensor
    bias: Tensor
    clamp: float | None
    picture: Tensor


class CudaGenerator:
    """A skip generator of StyleGAN2.

    generator: its weights, on the device that will draw. batch: pictures a run. noise: "const" or "zero".
    choices: which candidate runs each layer, measured where that is not known yet; None takes likely plans.
    measure: milliseconds of a call, see ``engines.cuda_timing``; needed with ``choices``.
    programs: where the kernels come from. sharing: one of the same weights and another batch, whose packed weights are
        used; only the features of this batch are new.

    Raises EngineError for an architecture that the kernels do not draw, ValueError for unknown noise.
    """

    def __init__(
        self, generator: Generator, batch: int = 1, *, noise: str = "const", choices: LayerChoices | None = None,
        measure: Measure | None = None, programs: Programs = cuda_program, sharing: CudaGenerator | None = None,
    ) -> None:  # fmt: skip
        config = generator.config
        if config.architecture != "skip" or config.filter_taps != 4:
            got = f"architecture {config.architecture}, {config.filter_taps} filter taps"
            raise EngineError(f"the CUDA engine cannot draw this generator ({got}); wanted skip, 4; use --device cpu")
        if noise not in ("const", "zero"):
            raise ValueError(f"noise is {noise!r}; wanted const or zero")
        self.config, self.batch, self.noise = config, batch, noise
        self.programs, self._runners = programs, Runners(programs, batch, choices, measure)
        self._fir = generator.synthesis.filter.float().contiguous()
        self._taps = (self._fir * 4).flip([0, 1]).contiguous()
        const = generator.synthesis.const.half().expand(batch, -1, -1, -1)
        self._start = const.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        self._packed: dict[str, PackedWeight] = {} if sharing is None else sharing._packed
        self._folded: dict[str, dict[str, PackedWeight]] = {} if sharing is None else sharing._folded
        table = self._build(generator)
        self._table: StyleTable = style_table(table) if sharing is None else sharing._table
        device = self._start.device
        self.wplus = torch.zeros(batch, config.rows, config.w_dim, device=device)
        self._room = StyleRoom(self._table, batch, device)

    def _build(self, generator: Generator) -> list[StyleLayer]:
        """All layers in the order in which they draw; what their styles' table is made of."""
        self._steps: list[Styled | Colour] = []
        style_layers: list[StyleLayer] = []
        row = 0
        for resolution in self.config.resolutions:
            block = generator.synthesis.blocks[str(resolution)]
            for name in ("conv0", "conv1"):
                conv = getattr(block, name)
                if isinstance(conv, StyledConv):
                    step, packed = self._styled(f"{resolution}.{name}", conv)
                    self._steps.append(step)
                    affine = conv.affine
                    style_layers.append(StyleLayer(affine.weight, affine.bias, row, packed.energy, packed.peak))
                    row += 1
            colour = block.rgb
            assert isinstance(colour, ToColour)
            self._steps.append(self._colour(colour, resolution))
            style_layers.append(StyleLayer(colour.affine.weight, colour.affine.bias, row))
        return style_layers

    def _styled(self, name: str, conv: StyledConv) -> tuple[Styled, PackedWeight]:
        outputs, size = conv.weight.shape[0], conv.noise.shape[-1]
        y = empty_channels_last(self.batch, outputs, size, size, self._start)
        limit = self.config.clamp
        noise, bias = conv.noise[None, None].float().contiguous(), conv.bias.float().contiguous()
        if name not in self._packed:
            self._packed[name], self._folded[name] = pack_weight(conv.weight, conv.up), {}
        packed, fir = self._packed[name], self._fir if conv.up == 2 else None
        runner = self._runners.runner(conv.weight, packed, y, conv.up, fir, folded=self._folded[name])
        step = Styled(name, runner, y, noise, float(conv.noise_strength), bias, Finish(limit=limit))
        return step, packed

    def _colour(self, colour: ToColour, resolution: int) -> Colour:
        weight = colour.weight[:, :, 0, 0].float().contiguous()
        shape = (self.batch, len(weight), resolution, resolution)
        picture = empty_channels_last(*shape, self._start, torch.float32)
        return Colour(weight, colour.bias.float().contiguous(), colour.clamp, picture)

    def run(self, wplus: Tensor | None = None) -> Tensor:
        """Draw W+ float32 [N, rows, w_dim]; None draws what ``self.wplus`` holds, as a graph does.

        Returns float32 [N, colours, S, S], nominally -1 to 1: the engine's own buffer, valid until the next run.
        """
        if wplus is not None:
            if wplus.shape != self.wplus.shape:
                raise ValueError(f"W+ has shape {list(wplus.shape)}; wanted {list(self.wplus.shape)}")
            self.wplus.copy_(wplus)
        prepare_styles_into(self.programs, self._room, self.wplus, self._table)
        x, picture = self._start, None
        for step, (style, scale) in zip(self._steps, self._room.layers, strict=True):
            if isinstance(step, Colour):
                taps = None if picture is None else self._taps
                to_rgb_into(
                    self.programs, step.picture, x, step.weight, style, scale, step.bias, picture, taps, step.clamp
                )
                picture = step.picture
            else:
                noise = step.noise if self.noise == "const" else None
                step.runner.run(step.y, x, style, scale, noise, step.strength, step.bias, step.finish)
                x = step.y
        assert picture is not None
        return picture

    @property
    def picture(self) -> Tensor:
        """What was drawn last: the buffer that ``run`` returns."""
        last = self._steps[-1]
        assert isinstance(last, Colour)
        return last.picture

    def describe(self) -> Mapping[str, str]:
        """What runs each styled layer."""
        return {s.name: type(s.runner).__name__ for s in self._steps if isinstance(s, Styled)}
