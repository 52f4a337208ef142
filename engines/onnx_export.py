"""Generators and encoders as ONNX in float16, typed throughout, as TensorRT 11 wants them (10.x takes them too).

TensorRT's precision flags are gone: what runs in half precision has to be half precision in the file. The modulation is
done on the input and the demodulation on the output, so that all convolutions have constant weights; styles and
demodulation factors are computed in float32 and cast.
"""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.stylegan2 import Generator, StyledConv, ToColour
from kernels.modulated_conv2d import DEMODULATION_EPSILON

OPSET = 18


class HalfSynthesis(nn.Module):
    """W+ float16 [N, rows, w_dim] to a picture float32 [N, colours, S, S]: a skip generator for export.

    batch: N. noise: whether the generator's own maps are added. Raises ValueError for another architecture.
    """

    def __init__(self, generator: Generator, batch: int = 1, noise: bool = True) -> None:
        super().__init__()
        if generator.config.architecture != "skip":
            raise ValueError(f"the generator is of architecture {generator.config.architecture}; wanted skip")
        self.network, self.noise, self.clamp = generator.synthesis, noise, generator.config.clamp
        self.resolutions, self.colour_count = generator.config.resolutions, generator.config.image_channels
        self.start = generator.synthesis.const.detach().half().repeat(batch, 1, 1, 1)
        convs = [module for module in generator.synthesis.modules() if isinstance(module, StyledConv)]
        self.constants = {conv: self.prepared(conv) for conv in convs}
        self.widths = {conv: len(conv.bias) for conv in convs}

    def forward(self, wplus: Tensor) -> Tensor:
        """See the class."""
        w = wplus.float().unbind(1)
        x = self.start
        picture: Tensor | None = None
        row = 0
        for resolution in self.resolutions:
            block = self.network.blocks[str(resolution)]
            for conv in (block.conv0, block.conv1):
                if isinstance(conv, StyledConv):
                    x = self.styled(x, w[row], conv)
                    row += 1
            assert isinstance(block.rgb, ToColour)
            colours = self.colours(x, w[row], block.rgb)
            picture = colours if picture is None else colours + self.doubled(picture)
        assert picture is not None
        return picture

    def prepared(self, conv: StyledConv) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Weights of at most 1 over the root of their number in float16, what they were divided by, energy, filter."""
        weight = conv.weight.detach().float()
        root = math.sqrt(weight[0].numel())
        peak = weight.abs().amax(dim=[1, 2, 3]).clamp_min(1e-30)
        half = (weight / (peak[:, None, None, None] * root)).half()
        fir = (self.network.filter * 4).flip([0, 1]).half().reshape(1, 1, 4, 4).repeat(len(weight), 1, 1, 1)
        return (
            (half.transpose(0, 1) if conv.up == 2 else half).contiguous(),
            peak * root,
            weight.square().sum([2, 3]),
            fir,
        )

    def styled(self, x: Tensor, w: Tensor, conv: StyledConv) -> Tensor:
        """Modulated convolution, noise, bias, leaky ReLU, clamp."""
        weight, divided, energy, fir = self.constants[conv]
        style = functional.linear(w, conv.affine.weight.float(), conv.affine.bias.float())
        most = style.abs().amax(dim=1, keepdim=True)
        factor = most * divided * (style.square() @ energy.t() + DEMODULATION_EPSILON).rsqrt()
        x = x * (style / most).half()[:, :, None, None]
        if conv.up == 2:
            x = functional.conv_transpose2d(x, weight, stride=2)
            x = functional.conv2d(x, fir, padding=1, groups=self.widths[conv])
        else:
            x = functional.conv2d(x, weight, padding=1)
        x = x * factor.half()[:, :, None, None]
        if self.noise:
            x = x + (conv.noise * conv.noise_strength).half()
        x = functional.leaky_relu(x + conv.bias.half()[:, None, None], 0.2) * math.sqrt(2.0)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)

    def colours(self, x: Tensor, w: Tensor, colour: ToColour) -> Tensor:
        """To-RGB, float32."""
        style = functional.linear(w, colour.affine.weight.float(), colour.affine.bias.float())
        most = style.abs().amax(dim=1, keepdim=True)
        y = functional.conv2d(x * (style / most).half()[:, :, None, None], colour.weight.half())
        y = y.float() * most[:, :, None, None] + colour.bias.float()[:, None, None]
        return y if colour.clamp is None else y.clamp(-colour.clamp, colour.clamp)

    def doubled(self, picture: Tensor) -> Tensor:
        """The running picture at twice its size through the filter."""
        fir = (self.network.filter * 4).float().reshape(1, 1, 4, 4).repeat(self.colour_count, 1, 1, 1)
        return functional.conv_transpose2d(picture, fir, stride=2, padding=1, groups=self.colour_count)


def onnx_bytes(module: nn.Module, inputs: Sequence[Tensor], names: Sequence[str], output: str) -> bytes:
    """The module as an ONNX file for these very shapes, checked by onnx.

    Raises ValueError when the file mixes types where none may be mixed (see :func:`typing_problem`).
    """
    import onnx

    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), warnings.catch_warnings():
        target = Path(folder) / "model.onnx"
        warnings.simplefilter("ignore", DeprecationWarning)  # the exporter that needs no further package
        traced = torch.jit.TracerWarning  # type: ignore[attr-defined]
        warnings.simplefilter("ignore", traced)  # of shapes that are looked at, and are fixed here
        torch.onnx.export(
            module.eval(), tuple(inputs), str(target), input_names=list(names), output_names=[output],
            opset_version=OPSET, dynamo=False,
        )  # fmt: skip
        model = onnx.load(target)
    onnx.checker.check_model(model, full_check=True)
    problem = typing_problem(model)
    if problem is not None:
        raise ValueError(f"the exported model is not strongly typed: {problem}")
    return bytes(model.SerializeToString())


def typing_problem(model: object) -> str | None:
    """The first convolution that does not compute in float16, unless it draws the float32 picture; None is none.

    model: an ``onnx.ModelProto``. A strongly typed build runs what the file says: a float32 convolution among the
    features would silently be slow.
    """
    from onnx import ModelProto, TensorProto

    assert isinstance(model, ModelProto)
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            types[node.output[0]] = node.attribute[0].t.data_type
    for node in model.graph.node:
        if node.op_type == "Conv" and types.get(node.input[1], TensorProto.FLOAT16) != TensorProto.FLOAT16:
            return f"{node.name} is a convolution in {TensorProto.DataType.Name(types[node.input[1]])}; wanted FLOAT16"
    return None
