"""Encoders of inversion projects as OpenVINO graphs, straight from imported tensors; see ``engines.encoders``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as ops

from engines.encoders_config import HEAD_SLOPE, INPUT_PX, EncoderConfig, config_from_tensors
from engines.stylegan2_openvino import Node, channels, constant, convolution

Floats = npt.NDArray[np.float32]


def encoder_graph(tensors: Mapping[str, Floats], deltas: bool, centre: Floats | None) -> ov.Model:
    """The encoder with input "pixels", uint8 BGR [1, 256, 256, 3], and output "wplus", float32 [1, rows, w_dim].

    An encoder of ReStyle has two more inputs: "last", a W+ (first: the centre), to which it adds, and "seen", the
    picture that the generator draws of it, float32 RGB [1, 3, 256, 256] of -1 to 1.

    tensors: of an imported encoder.
    deltas: whether rows from 1 on are offsets to row 0 (e4e).
    centre: the mean latent [1 or rows, w_dim] that codes are added to, or None; not used by ReStyle.
    """
    config = config_from_tensors({name: values.shape for name, values in tensors.items()}, deltas)
    inputs = {"pixels": ops.parameter([1, INPUT_PX, INPUT_PX, 3], np.uint8)}
    x = picture_of(inputs["pixels"])
    if config.inputs == 6:
        inputs["last"] = ops.parameter([1, len(config.head_convs), config.w_dim], np.float32)
        inputs["seen"] = ops.parameter([1, 3, INPUT_PX, INPUT_PX], np.float32)
        codes = ops.add(_Encoder(tensors, config).codes(ops.concat([x, inputs["seen"]], 1)), inputs["last"])
    else:
        codes = _Encoder(tensors, config).codes(x)
        codes = codes if centre is None else ops.add(codes, constant(centre[None]))
    model = ov.Model([ops.result(codes)], list(inputs.values()), "encoder")
    for port, name in zip(model.inputs, inputs, strict=True):
        port.get_tensor().set_names({name})
    model.outputs[0].get_tensor().set_names({"wplus"})
    return model


def picture_of(pixels: Node) -> Node:
    """uint8 BGR [1, S, S, 3] as RGB [1, 3, S, S] of -1 to 1."""
    planes = ops.transpose(ops.convert(pixels, "f32"), constant([0, 3, 1, 2], np.int64))
    rgb = ops.gather(planes, constant([2, 1, 0], np.int64), constant(1, np.int64))
    return ops.subtract(ops.multiply(rgb, constant(1 / 127.5)), constant(1.0))


class _Encoder:
    """Builds the graph block by block."""

    def __init__(self, tensors: Mapping[str, Floats], config: EncoderConfig) -> None:
        self.tensors, self.config = tensors, config

    def codes(self, x: Node) -> Node:
        """One row per head: [1, rows, w_dim]."""
        levels = self.features(x)
        rows = [self.head(levels[convs], k, convs) for k, convs in enumerate(self.config.head_convs)]
        if self.config.deltas:
            rows = [rows[0], *(ops.add(rows[0], row) for row in rows[1:])]
        return ops.concat([ops.unsqueeze(row, constant([1], np.int64)) for row in rows], 1)

    def features(self, x: Node) -> dict[int, Node]:
        """The features by the number of halvings that their heads need."""
        tapped = []
        x = ops.prelu(self.conv(x, "stem", padding=1), constant(self.tensors["slope"]))
        for number, (_, _, stride, _) in enumerate(self.config.blocks):
            x = self.block(x, f"body.{number}", stride)
            if number in self.config.taps:
                tapped.append(x)
        levels = {4: x}
        if self.config.taps:
            levels[5] = ops.add(enlarged(x, 32), self.conv(tapped[1], "lateral32"))
            levels[6] = ops.add(enlarged(levels[5], 64), self.conv(tapped[0], "lateral64"))
        return levels

    def block(self, x: Node, name: str, stride: int) -> Node:
        """Affine, conv, PReLU, conv, attention, plus shortcut."""
        y = ops.multiply(x, constant(self.tensors[f"{name}.scale"].reshape(1, -1, 1, 1)))
        y = ops.add(y, constant(self.tensors[f"{name}.shift"].reshape(1, -1, 1, 1)))
        y = ops.prelu(
            convolution(y, self.tensors[f"{name}.conv1.weight"], 1, 1), constant(self.tensors[f"{name}.slope"])
        )
        y = self.conv(y, f"{name}.conv2", stride, 1)
        if f"{name}.squeeze.weight" in self.tensors:
            mean = ops.reduce_mean(y, constant([2, 3], np.int64), False)  # [1 C]
            hidden = ops.relu(self.matmul(mean, f"{name}.squeeze.weight"))
            y = ops.multiply(y, channels(ops.sigmoid(self.matmul(hidden, f"{name}.excite.weight"))))
        if f"{name}.shortcut.weight" in self.tensors:
            return ops.add(y, self.conv(x, f"{name}.shortcut", stride))
        if stride > 1:
            x = ops.strided_slice(
                x, constant([0] * 4, np.int64), constant([0] * 4, np.int64), constant([1, 1, stride, stride], np.int64),
                begin_mask=[1] * 4, end_mask=[1] * 4,
            )  # fmt: skip
        return ops.add(y, x)

    def head(self, x: Node, number: int, convs: int) -> Node:
        """Convolutions of stride 2 down to one pixel, then a linear map: [1, w_dim]."""
        for k in range(convs):
            x = ops.prelu(self.conv(x, f"heads.{number}.convs.{k}", 2, 1), constant([HEAD_SLOPE]))
        x = ops.squeeze(x, constant([2, 3], np.int64))
        name = f"heads.{number}.linear"
        linear = ops.matmul(x, constant(self.tensors[f"{name}.weight"]), False, True)
        return ops.add(linear, constant(self.tensors[f"{name}.bias"][None]))

    def conv(self, x: Node, name: str, stride: int = 1, padding: int = 0) -> Node:
        """A convolution with bias."""
        x = convolution(x, self.tensors[f"{name}.weight"], stride, padding)
        return ops.add(x, constant(self.tensors[f"{name}.bias"].reshape(1, -1, 1, 1)))

    def matmul(self, x: Node, name: str) -> Node:
        """A 1x1 convolution on one pixel: [1, C] to [1, O]."""
        return ops.matmul(x, constant(self.tensors[name][:, :, 0, 0]), False, True)


def enlarged(x: Node, size: int) -> Node:
    """Bilinear, the corners' centres kept, to [1, C, size, size]."""
    return ops.interpolate(
        x, constant([size, size], np.int64), "linear_onnx", "sizes", coordinate_transformation_mode="align_corners",
        axes=constant([2, 3], np.int64),
    )  # fmt: skip
