"""Export the trained bundled models to ONNX package data and write the manifest.

    python -m tools.export_models --generator runs/generator/checkpoint.pt --encoder runs/encoder/checkpoint.pt

Writes ``engines/weights/{encoder,mapping,motion_code,synthesis,synthesis_int8}.onnx`` (weights in half precision), the
generator's own tensors for the GPU as ``portrait.safetensors`` and, over these and what ``find_directions`` wrote
beside them, ``manifest.toml``. With ``--top runs/top/checkpoint.pt`` what draws 512 px too: ``motion_code_512.onnx``,
``synthesis_512.onnx`` and ``portrait_top.safetensors``; without it these stay as they are, where they are. A top
belongs to the generator that it was trained on.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from safetensors.torch import save_file
from torch import Tensor, nn

from engines.motion import MOTION
from engines.portrait import DIM, LAYERS, WORN, PaintedRGB, PortraitGenerator, injections
from engines.portrait_top import ROWS_READ, SIZE, LargeGenerator, Top
from engines.spatial_code import drawn_points, map_along, middles, project, rays_of
from tools.quantise import rounded
from tools.train_encoder import load_encoder
from tools.train_generator import Model, attribute_names, averaged
from tools.train_top import load_top

WEIGHTS = Path(__file__).parents[1] / "engines" / "weights"
OPSET = 18
MADE = {
    "encoder.onnx": "tools/train_encoder.py on heads of tools/face_world",
    "mapping.onnx": "tools/train_generator.py on heads of tools/face_world",
    "motion_code.onnx": "tools/train_generator.py on heads of tools/face_world",
    "synthesis.onnx": "tools/train_generator.py on heads of tools/face_world",
    "synthesis_int8.onnx": "tools/quantise.py from the same weights as synthesis.onnx",
    "portrait.safetensors": "tools/train_generator.py on heads of tools/face_world",
    "directions.safetensors": "tools/find_directions.py with the mapping network",
}
MADE_LARGE = dict.fromkeys(
    ("motion_code_512.onnx", "synthesis_512.onnx", "portrait_top.safetensors"),
    "tools/train_top.py on heads of tools/face_world",
)


class MotionCode(nn.Module):
    """w [N, 256] and motion [N, motion] -> what ``engines/drawings.py`` makes the spatial motion code of.

    The start [N, 114, 32, 32] without the coarse maps, and the maps [N, 62, 128, 128]. Its file holds no rays, which
    would be a third of it: it makes them, from what seems an input.
    """

    sizes: tuple[int, ...] = (SIZE // 4,)

    def __init__(self, generator: PortraitGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, w: Tensor, motion: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        rest = self.generator.geometry(w, motion)
        maps = []
        for size in self.sizes:
            axis = middles(motion, size) + 0 * motion[0, :1]
            maps.append(map_along(rays_of(motion, size, axis)[0], rest, motion, size))
        return drawn_points(project(rest, motion), motion), *maps


class LargeMotionCode(MotionCode):
    """The same, and the maps [N, 62, 256, 256]."""

    sizes = (SIZE // 4, SIZE // 2)


class Synthesis(nn.Module):
    """W+ [1, 10, 256] and the spatial motion code -> premultiplied RGBA [1, 4, 256, 256].

    The pictures of the levels are added as 16 channels of sub-pixels and unfolded once: what ``PortraitGenerator``
    does, with fewer passes over them.
    """

    def __init__(self, generator: PortraitGenerator) -> None:
        super().__init__()
        self.generator = generator
        self.register_buffer("doubling", doubling(), persistent=False)
        # Every colour gets the same four sub-pixels. A 1x1 convolution, because OpenVINO repeats channels slowly.
        self.register_buffer("each_colour", torch.eye(4).repeat(4, 1)[:, :, None, None], persistent=False)

    def forward(self, wplus: Tensor, code32: Tensor, code64: Tensor, code128: Tensor) -> Tensor:
        """See the class."""
        w = wplus.unbind(1)
        x, folded = self.bare(w, code32, code64, code128)
        return self.finished(self.generator, x, folded, code128, w[9])

    def bare(self, w: tuple[Tensor, ...], code32: Tensor, code64: Tensor, code128: Tensor) -> tuple[Tensor, Tensor]:
        """The last features, and the picture's sub-pixels before anything is laid over them."""
        g = self.generator
        x = g.convs[0](code32, w[0])
        for i in (1, 2):
            x = g.convs[i](x, w[i])
        folded = painted(g.rgb[0], x, w[7])
        for level, maps in enumerate((code64, code128)):
            for i in (2 * level, 2 * level + 1):  # what is worn is folded into the weights
                matrix = g.inject[i].weight * g.worn[i](w[3 + i])[:, :, None, None]
                x = g.convs[3 + i](x, w[3 + i], F.conv2d(maps, matrix) + g.inject[i].bias[:, None, None])
            folded = self.doubled(folded) + painted(g.rgb[1 + level], x, w[8 + level])
        return x, folded

    def doubled(self, folded: Tensor) -> Tensor:
        """Sub-pixels [1, 16, s, s] of a picture twice as large: [1, 16, 2s, 2s]."""
        return F.conv2d(F.pad(F.pixel_shuffle(folded, 2), (1, 1, 1, 1), mode="replicate"), self.doubling)

    def finished(self, last: PortraitGenerator | Top, x: Tensor, folded: Tensor, maps: Tensor, w: Tensor) -> Tensor:
        """The picture with what ``last`` lays over it."""
        hiding = last.cover.hiding(x, maps, w)
        for part, rgba in zip(hiding.chunk(len(WORN), 1), last.cover.colour(w), strict=True):
            opaque = rgba.repeat_interleave(4, 1)[:, :, None, None]
            folded = folded + F.conv2d(part, self.each_colour) * (opaque - folded)
        return F.pixel_shuffle(folded + painted(last.painted, maps, w), 2)


class LargeSynthesis(Synthesis):
    """The same with a top and the maps at 256 px -> [1, 4, 512, 512]."""

    def __init__(self, large: LargeGenerator) -> None:
        super().__init__(large.generator)
        self.top = large.top

    def forward(self, wplus: Tensor, *codes: Tensor) -> Tensor:
        """See the class."""
        rows, maps = wplus.unbind(1), codes[3]
        (x, folded), w = self.bare(rows, *codes[:3]), tuple(rows[row] for row in ROWS_READ)
        injected = injections(self.top.inject, self.top.worn, maps, w)
        for conv, code, added in zip(self.top.convs, w, injected, strict=True):
            x = conv(x, code, added)
        folded = self.doubled(folded) + painted(self.top.rgb, x, w[-1])
        return self.finished(self.top, x, folded, maps, w[-1])


def painted(layer: PaintedRGB, x: Tensor, w: Tensor) -> Tensor:
    """A to-RGB layer's sub-pixels [1, 16, s, s] for x [1, C, s, s] and w [1, 256]."""
    matrix = layer.affine(w).view(x.shape[1], 16).t()[:, :, None, None]
    return F.conv2d(x, matrix) + layer.bias[:, None, None]


def doubling() -> Tensor:
    """Bilinear doubling (``align_corners=False``) of four channels as a convolution to sub-pixels: [16, 4, 3, 3]."""
    taps = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]])
    return torch.einsum("oc,ay,bx->oabcyx", torch.eye(4), taps, taps).reshape(16, 4, 3, 3)


def to_onnx(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    names: list[str],
    outputs: list[str],
    file: Path,
    fold: bool = True,
    short: bool = False,
) -> None:
    """Export for a batch of one, store the weights in half precision (cast up at load) and check the file.

    fold: compute what depends on no input here; else at load, for a smaller file. short: names inside are short, also
    for a smaller file; trainings begin with weights that have theirs.
    """
    module.eval()
    file.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        torch.onnx.export(
            module,
            inputs,
            str(file),
            input_names=names,
            output_names=outputs,
            opset_version=OPSET,
            dynamo=False,
            do_constant_folding=fold,
        )
    model = onnx.load(file)
    halve(model)
    if short:
        shorten(model)
    onnx.checker.check_model(model)
    onnx.save(model, file)


def share_constants(graph: onnx.GraphProto) -> None:
    """Keep one of all constants that are the same: the exporter writes one at each place that a number stands."""
    first: dict[bytes, str] = {}
    other: dict[str, str] = {}
    nodes = []
    for node in graph.node:
        if node.op_type == "Constant":
            value = node.attribute[0].SerializeToString(deterministic=True)
            other[node.output[0]] = first.setdefault(value, node.output[0])
            if other[node.output[0]] != node.output[0]:
                continue
        node.input[:] = [other.get(name, name) for name in node.input]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def shorten(model: onnx.ModelProto) -> None:
    """Share constants and give what is computed inside a file short names: half of the motion code's bytes."""
    graph = model.graph
    share_constants(graph)
    kept = {value.name for value in (*graph.input, *graph.output)}
    weights = {tensor.name for tensor in graph.initializer}
    computed = [node for node in graph.node if not weights.issuperset(node.input) or not node.input]  # no cast weight
    made = [name for node in computed for name in node.output if name and name not in kept]
    short = {name: f"{number:x}" for number, name in enumerate(dict.fromkeys(made))}
    for node in graph.node:
        node.ClearField("name")
        node.ClearField("doc_string")
        for names in (node.input, node.output):
            names[:] = [short.get(name, name) for name in names]
    graph.ClearField("value_info")


def halve(model: onnx.ModelProto) -> None:
    """Store large float32 initializers as float16 with a Cast in front of their users; runtimes fold it at load."""
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < 256:
            continue
        name = tensor.name
        half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), name + ".half")
        tensor.CopyFrom(half)
        casts.append(
            onnx.helper.make_node("Cast", [name + ".half"], [name], to=onnx.TensorProto.FLOAT, name=name + ".cast")
        )
    for node in reversed(casts):
        graph.node.insert(0, node)


def save_tensors(network: nn.Module, file: Path, prefix: str = "generator.") -> None:
    """A network's own tensors, for the GPU: large ones in half precision, as in the ONNX files."""
    tensors = {prefix + name: value.detach() for name, value in network.state_dict().items()}
    save_file({n: (v.half() if v.numel() >= 256 else v.float()).contiguous() for n, v in tensors.items()}, file)


def manifest_row(file: Path, made: str) -> str:
    """One table of the manifest."""
    data = file.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    table = {"file": f'"{file.name}"', "bytes": len(data), "sha256": f'"{digest}"', "licence": '"Apache-2.0"'}
    return "\n".join([f"[{file.stem}]", *(f"{k} = {v}" for k, v in table.items()), f'made = "{made}"', ""])


def load_generator(file: Path | None) -> Model:
    """The moving average of a training checkpoint; fresh weights for None (for timing only)."""
    model = Model()
    if file is not None:
        model.load_state_dict(averaged(file))
    return model


def export_top(large: LargeGenerator, out: Path) -> None:
    """What draws 512 px, beside what draws 256."""
    w, motion, wplus = torch.zeros(1, DIM), torch.zeros(1, len(MOTION)), torch.zeros(1, LAYERS, DIM)
    names = ["start", "maps", "maps256"]
    to_onnx(
        LargeMotionCode(large.generator), (w, motion), ["w", "motion"], names, out / "motion_code_512.onnx", short=True
    )
    codes = tuple(code.detach() for code in large.motion_code(w, motion))
    names = ["wplus", *(f"code{code.shape[-1]}" for code in codes)]
    to_onnx(LargeSynthesis(large), (wplus, *codes), names, ["rgba"], out / "synthesis_512.onnx", False)
    save_tensors(large.top, out / "portrait_top.safetensors", "top.")


def main() -> None:
    """Command line."""
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--generator", type=Path, default=Path("runs/generator/checkpoint.pt"))
    a.add_argument("--encoder", type=Path, default=Path("runs/encoder/checkpoint.pt"), help="where none is, it stays")
    a.add_argument("--top", type=Path, help="a checkpoint of tools.train_top, trained on this generator")
    a.add_argument("--out", type=Path, default=WEIGHTS)
    a.add_argument("--only-networks", action="store_true", help="leave the manifest; directions are still to be found")
    o = a.parse_args()
    model = load_generator(o.generator)
    generator, code = model.generator, ["code32", "code64", "code128"]
    w, motion, wplus = torch.zeros(1, DIM), torch.zeros(1, len(MOTION)), torch.zeros(1, LAYERS, DIM)
    codes = tuple(c.detach() for c in generator.motion_code(w, motion))
    to_onnx(
        MotionCode(generator), (w, motion), ["w", "motion"], ["start", "maps"], o.out / "motion_code.onnx", short=True
    )
    save_tensors(generator, o.out / "portrait.safetensors")
    to_onnx(model.mapping, (torch.zeros(1, len(attribute_names())),), ["attributes"], ["w"], o.out / "mapping.onnx")
    for file, network in (("synthesis", generator), ("synthesis_int8", rounded(generator, o.out))):
        to_onnx(Synthesis(network), (wplus, *codes), ["wplus", *code], ["rgba"], o.out / f"{file}.onnx")
    if o.top is not None:
        export_top(LargeGenerator(generator, load_top(o.top)), o.out)
    if o.encoder.is_file():
        crop = torch.zeros(1, 256, 256, 3, dtype=torch.uint8)
        to_onnx(load_encoder(o.encoder), (crop,), ["crop"], ["attributes"], o.out / "encoder.onnx")
    else:
        print(f"no checkpoint at {o.encoder}: {o.out / 'encoder.onnx'} stays as it is")
    if o.only_networks:
        return
    made_here = {**MADE, **{name: made for name, made in MADE_LARGE.items() if (o.out / name).is_file()}}
    rows = [manifest_row(o.out / name, made) for name, made in made_here.items()]
    text = f"# Written by tools/export_models.py on {datetime.date.today().isoformat()}.\n\n" + "\n".join(rows)
    (o.out / "manifest.toml").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
