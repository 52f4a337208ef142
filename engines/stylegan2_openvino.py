"""The StyleGAN2 generator as an OpenVINO graph, straight from imported tensors: no torch, no ONNX.

The same network as ``engines.stylegan2`` with constant noise. Styles scale the features instead of the weights, which
is the same convolution (Karras et al. 2020, section 2.2: modulation and demodulation act on whole channels):

    conv(x, s * w) / |s * w| = conv(x * s, w) / sqrt(sum_i s_i^2 sum_k w_ik^2 + 1e-8)

so that weights stay constants, which runtimes prepare once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from engines.encoders_config import INPUT_PX
from engines.errors import EngineError
from engines.stylegan2_config import GeneratorConfig, config_from_tensors

Floats = npt.NDArray[np.float32]
Node = Any  # openvino's own nodes are not typed
FILTER_TAPS = 4


def generator_graph(tensors: Mapping[str, Floats], clamp: float | None, outputs: Sequence[str]) -> ov.Model:
    """The synthesis network with input "wplus", float32 [1, rows, w_dim].

    tensors: of an imported generator.
    clamp: the activations' limit, or None.
    outputs: names of OUTPUTS: "pixels", uint8 BGR [1, S, S, 3]; "picture", float32 RGB [1, 3, S, S], about -1 to 1;
        "seen", the picture averaged (or repeated) to an encoder's 256 px.

    Raises EngineError for a resampling filter that this graph has no padding for.
    """
    config = config_from_tensors({name: values.shape for name, values in tensors.items()}, clamp)
    if tensors["synthesis.filter"].shape != (FILTER_TAPS, FILTER_TAPS):
        shape = list(tensors["synthesis.filter"].shape)
        raise EngineError(f"the generator's filter is {shape}; OpenVINO graphs want [{FILTER_TAPS}, {FILTER_TAPS}]")
    wplus = ops.parameter([1, config.rows, config.w_dim], np.float32, name="wplus")
    picture = _Synthesis(tensors, config, wplus).picture()
    model = ov.Model([ops.result(OUTPUTS[name](picture)) for name in outputs], [wplus], "generator")
    model.inputs[0].get_tensor().set_names({"wplus"})
    for port, name in zip(model.outputs, outputs, strict=True):
        port.get_tensor().set_names({name})
    return model


def pixels_of(picture: Node) -> Node:
    """RGB [1, 3, S, S] of -1 to 1 as uint8 BGR [1, S, S, 3]."""
    scaled = ops.clamp(ops.add(ops.multiply(picture, constant(127.5)), constant(128.0)), 0.0, 255.0)
    bgr = ops.gather(scaled, constant([2, 1, 0], np.int64), constant(1, np.int64))
    return ops.convert(ops.transpose(bgr, constant([0, 2, 3, 1], np.int64)), "u8")


def seen_of(picture: Node) -> Node:
    """RGB [1, 3, S, S] averaged, or repeated, to [1, 3, 256, 256]."""
    size = picture.get_output_shape(0)[2]
    if size > INPUT_PX:
        step = [size // INPUT_PX] * 2
        return ops.avg_pool(picture, step, [0, 0], [0, 0], step, True)
    sizes, axes = constant([INPUT_PX] * 2, np.int64), constant([2, 3], np.int64)
    placed = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return ops.interpolate(picture, sizes, "nearest", "sizes", **placed, axes=axes)


OUTPUTS: dict[str, Callable[[Node], Node]] = {"pixels": pixels_of, "picture": lambda picture: picture, "seen": seen_of}


def constant(values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> Node:
    """A constant of the graph; it shares the memory of an array that fits and keeps it alive."""
    array = np.ascontiguousarray(values, dtype).reshape(np.shape(values))
    return ops.constant(array, shared_memory=array.flags.writeable)


class _Synthesis:
    """Builds the graph block by block."""

    def __init__(self, tensors: Mapping[str, Floats], config: GeneratorConfig, wplus: Node) -> None:
        self.tensors, self.config, self.wplus = tensors, config, wplus
        self.filter = tensors["synthesis.filter"][::-1, ::-1] * np.float32(4)  # mirrored: convolution; 4: gain of x2

    def picture(self) -> Node:
        """The whole network."""
        x: Node = constant(self.tensors["synthesis.const"][None])
        picture: Node = None
        row = 0
        for resolution in self.config.resolutions:
            block = f"synthesis.blocks.{resolution}"
            if resolution == 4:
                x = self.styled(x, f"{block}.conv1", row, up=1)
                row += 1
            else:
                x = self.block(x, block, row)
                row += 2
            if picture is not None:
                picture = self.upsampled(picture, self.config.image_channels)
            if f"{block}.rgb.weight" in self.tensors:
                colours = self.colours(x, f"{block}.rgb", row)
                picture = colours if picture is None else ops.add(picture, colours)
        return picture

    def block(self, x: Node, block: str, row: int) -> Node:
        """Two styled convolutions, and the residual path where there is one."""
        residual = f"{block}.skip.weight" in self.tensors
        gain = math.sqrt(0.5) if residual else 1.0
        y = self.styled(self.styled(x, f"{block}.conv0", row, up=2), f"{block}.conv1", row + 1, up=1, gain=gain)
        if not residual:
            return y
        weight = self.tensors[f"{block}.skip.weight"]
        short = self.upsampled(convolution(x, weight * np.float32(gain)), len(weight))
        return ops.add(short, y)

    def styles(self, name: str, row: int) -> Node:
        """The styles [1, inputs] of a layer."""
        w = ops.gather(self.wplus, constant(row, np.int64), constant(1, np.int64))  # [1 w_dim]
        linear = ops.matmul(w, constant(self.tensors[f"{name}.affine.weight"]), False, True)
        return ops.add(linear, constant(self.tensors[f"{name}.affine.bias"][None]))

    def styled(self, x: Node, name: str, row: int, up: int, gain: float = 1.0) -> Node:
        """Modulated convolution with demodulation, noise, bias, leaky ReLU and limit."""
        weight, styles = self.tensors[f"{name}.weight"], self.styles(name, row)
        energy = np.square(weight).sum(axis=(2, 3), dtype=np.float64).astype(np.float32)  # [O I]
        norm = ops.add(ops.matmul(ops.multiply(styles, styles), constant(energy), False, True), constant(1e-8))
        x = ops.multiply(x, channels(styles))
        x = convolution(x, weight, padding=1) if up == 1 else self.enlarged(x, weight)
        x = ops.divide(x, channels(ops.sqrt(norm)))
        noise = self.tensors[f"{name}.noise"] * self.tensors[f"{name}.noise_strength"]
        if noise.any():
            x = ops.add(x, constant(noise[None, None]))
        x = ops.add(x, constant(self.tensors[f"{name}.bias"].reshape(1, -1, 1, 1)))
        x = ops.multiply(ops.prelu(x, constant([0.2])), constant(math.sqrt(2.0) * gain))
        limit = self.config.clamp
        return x if limit is None else ops.clamp(x, -limit * gain, limit * gain)

    def enlarged(self, x: Node, weight: Floats) -> Node:
        """Transposed convolution to twice the size, then the filter."""
        filters = constant(weight.transpose(1, 0, 2, 3))  # [I O k k]
        x = ops.convolution_backprop_data(x, filters, [2, 2], pads_begin=[0, 0], pads_end=[0, 0], dilations=[1, 1])
        filters = constant(np.tile(self.filter, [len(weight), 1, 1, 1, 1]))  # [O 1 1 4 4]
        return ops.group_convolution(x, filters, [1, 1], [1, 1], [1, 1], [1, 1])

    def upsampled(self, x: Node, width: int) -> Node:
        """Every channel to twice the size through the filter."""
        filters = constant(np.tile(self.filter[::-1, ::-1], [width, 1, 1, 1, 1]))
        return ops.group_convolution_backprop_data(
            x, filters, [2, 2], pads_begin=[1, 1], pads_end=[1, 1], dilations=[1, 1]
        )

    def colours(self, x: Node, name: str, row: int) -> Node:
        """Modulated 1x1 convolution to colours, without demodulation."""
        x = convolution(ops.multiply(x, channels(self.styles(name, row))), self.tensors[f"{name}.weight"])
        x = ops.add(x, constant(self.tensors[f"{name}.bias"].reshape(1, -1, 1, 1)))
        limit = self.config.clamp
        return x if limit is None else ops.clamp(x, -limit, limit)


def convolution(x: Node, weight: Floats, stride: int = 1, padding: int = 0) -> Node:
    """A plain convolution with weight [O, I, k, k]."""
    pads = [padding, padding]
    return ops.convolution(x, constant(weight), [stride, stride], pads, pads, [1, 1])


def channels(values: Node) -> Node:
    """[1, C] as [1, C, 1, 1]."""
    return ops.unsqueeze(values, constant([2, 3], np.int64))
