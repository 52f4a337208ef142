"""Network pickles of NVIDIA's stylegan2-ada-pytorch and stylegan3 repositories, StyleGAN2 networks only.

The pickle is a dictionary with G, D and G_ema; each network is a tree of persistent objects whose state has
``_parameters``, ``_buffers`` and ``_modules``. Layers carry their gains and limits as plain numbers. The averaged
network G_ema is the one to use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.networks import GENERATOR, Converted, Floats, NamedTensors, Network, resolution_of, scaled
from engines.checkpoints.values import Record

KIND = "nvlabs-stylegan2"


def matches(root: Any) -> bool:
    """Whether a file's root is a network pickle with a synthesis network made of blocks."""
    return _synthesis_modules(root) is not None and "b4" in (_synthesis_modules(root) or {})


def refusal(root: Any) -> str | None:
    """Why a network pickle of these repositories cannot be imported, or None when it is not one."""
    modules = _synthesis_modules(root)
    if modules is None:
        return None
    if "input" in modules and any(name.startswith("L0_") for name in modules):
        return "this is a StyleGAN3 (alias-free) network, which is unsupported; wanted a StyleGAN2 network"
    return f"this is a network pickle of an unsupported kind (synthesis layers {', '.join(list(modules)[:4])})"


def _synthesis_modules(root: Any) -> dict[str, Any] | None:
    network = root.get("G_ema") if isinstance(root, dict) else root
    if not isinstance(network, Record):
        return None
    synthesis = _modules(network).get("synthesis")
    return _modules(synthesis) if isinstance(synthesis, Record) else None


def _state(record: Record, key: str) -> Any:
    return record.state.get(key) if isinstance(record.state, dict) else None


def _modules(record: Record) -> dict[str, Any]:
    modules = _state(record, "_modules")
    return {str(k): v for k, v in modules.items()} if isinstance(modules, dict) else {}


def _walk(record: Record, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Record]]:
    """Every module below a record with its path; a module that stands in two places is refused."""
    seen = set() if seen is None else seen
    if id(record) in seen:
        raise CheckpointError(f"the network uses one module in two places ({path[:80]}); refused")
    seen.add(id(record))
    yield path, record
    for name, module in _modules(record).items():
        if isinstance(module, Record):
            yield from _walk(module, f"{path}{name}.", seen)


def read(root: Any) -> Converted:
    """The averaged generator of a network pickle."""
    network = root["G_ema"] if isinstance(root, dict) else root
    modules = dict(_walk(network))
    values = {}
    for path, module in modules.items():
        for group in ("_parameters", "_buffers"):
            content = _state(module, group)
            values.update({path + name: v for name, v in content.items() if v is not None} if content else {})
    _check_unconditional(network)
    state = NamedTensors(values)
    resolutions = [resolution_of(k) if k > 1 else 4 for k in range(1, _blocks(modules) + 1)]
    tensors = _mapping(modules, state)
    tensors["centre"] = state.take("mapping.w_avg", None)[None] if "mapping.w_avg" in state else _no_centre()
    tensors["synthesis.const"] = state.take("synthesis.b4.const", None, 4, 4)
    tensors["synthesis.filter"] = _filter(state)
    for resolution in resolutions:
        _block(tensors, modules, state, resolution)
    return Converted(KIND, (Network(GENERATOR, tensors, {"clamp": _clamp(modules)}),))


def _no_centre() -> Floats:
    raise CheckpointError("the network has no mapping.w_avg; truncation has no centre")


def _blocks(modules: dict[str, Record]) -> int:
    count = 0
    while f"synthesis.b{4 << count}." in modules:
        count += 1
    resolution_of(count)
    return count


def _check_unconditional(network: Record) -> None:
    classes = _state(network, "c_dim")
    if classes not in (None, 0):
        raise CheckpointError(f"the network is conditioned on {classes} classes; only unconditional ones are supported")


def _number(module: Record, name: str) -> float:
    value = _state(module, name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise CheckpointError(
            f"a layer of class {module.name} lacks the number {name!r}; the network is of another kind"
        )
    return float(value)


def _mapping(modules: dict[str, Record], state: NamedTensors) -> dict[str, Floats]:
    tensors: dict[str, Floats] = {}
    for i in range(state.count("mapping.fc{}.weight")):
        layer = modules[f"mapping.fc{i}."]
        _check_activation(layer)
        _linear(tensors, f"mapping.layers.{i}", layer, state.under(f"mapping.fc{i}."))
    return tensors


def _linear(tensors: dict[str, Floats], name: str, module: Record, state: NamedTensors) -> None:
    weight = state.take("weight", None, None)
    tensors[f"{name}.weight"] = scaled(weight, _number(module, "weight_gain"))
    tensors[f"{name}.bias"] = scaled(state.take("bias", len(weight)), _number(module, "bias_gain"))


def _check_activation(module: Record) -> None:
    if _state(module, "activation") not in (None, "lrelu"):
        raise CheckpointError(f"a layer has the activation {str(_state(module, 'activation'))[:40]!r}; wanted 'lrelu'")


def _filter(state: NamedTensors) -> Floats:
    """The one resampling filter of all layers, [h, w] of sum 1."""
    names = [name for name in state.values if str(name).startswith("synthesis.") and name.endswith("resample_filter")]
    filters = [state.take(name) for name in names]
    if not filters or any(f.shape != filters[0].shape or (f != filters[0]).any() for f in filters):
        raise CheckpointError(f"the network has {len(filters)} resampling filters that differ; wanted one for all")
    return np.outer(filters[0], filters[0]) if filters[0].ndim == 1 else filters[0]


def _clamp(modules: dict[str, Record]) -> float | None:
    """The one limit of all layers' activations."""
    limits = {
        _state(module, "conv_clamp")
        for path, module in modules.items()
        if path.startswith("synthesis.") and path.endswith((".conv0.", ".conv1.", ".torgb."))
    }
    (limit, *others) = limits
    if others or isinstance(limit, bool) or not (limit is None or isinstance(limit, (int, float))):
        raise CheckpointError("the network's layers have different limits (conv_clamp); wanted one for all")
    return None if limit is None else float(limit)


def _block(tensors: dict[str, Floats], modules: dict[str, Record], state: NamedTensors, resolution: int) -> None:
    """Add the tensors of one resolution."""
    source, target = f"synthesis.b{resolution}.", f"synthesis.blocks.{resolution}"
    for number in (0, 1):
        path, name = f"{source}conv{number}.", f"{target}.conv{number}"
        if path in modules:
            layer = state.under(path)
            _check_activation(modules[path])
            weight = layer.take("weight", None, None, 3, 3)
            tensors[f"{name}.weight"] = weight
            tensors[f"{name}.bias"] = layer.take("bias", len(weight))
            noisy = "noise_const" in layer
            shape = (resolution, resolution)
            tensors[f"{name}.noise"] = layer.take("noise_const", *shape) if noisy else np.zeros(shape, np.float32)
            tensors[f"{name}.noise_strength"] = layer.take("noise_strength") if noisy else np.zeros((), np.float32)
            _linear(tensors, f"{name}.affine", modules[f"{path}affine."], layer.under("affine."))
    path, name = f"{source}torgb.", f"{target}.rgb"
    if path in modules:
        layer = state.under(path)
        weight = layer.take("weight", None, None, 1, 1)
        tensors[f"{name}.weight"] = scaled(weight, _number(modules[path], "weight_gain"))
        tensors[f"{name}.bias"] = layer.take("bias", len(weight))
        _linear(tensors, f"{name}.affine", modules[f"{path}affine."], layer.under("affine."))
    path = f"{source}skip."
    if path in modules:
        weight = state.take(f"{path}weight", None, None, 1, 1)
        tensors[f"{target}.skip.weight"] = scaled(weight, _number(modules[path], "weight_gain"))
