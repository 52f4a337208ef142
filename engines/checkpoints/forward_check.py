"""Draw a few pictures with converted networks, by the runtime that will draw them live, to see that they work."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.networks import ENCODER, GENERATOR, Converted, Network, mapped
from engines.encoders_openvino import encoder_graph
from engines.errors import EngineError
from engines.openvino_engine import OpenVinoEngine
from engines.stylegan2_config import GeneratorConfig, config_from_tensors
from engines.stylegan2_openvino import generator_graph

Floats = npt.NDArray[np.float32]
SAMPLES = 2
SEED = 0
PSI = 0.7


def draw_samples(converted: Converted) -> list[Floats]:
    """Rows of pictures [N, 3, 256, 256]: the mean face and samples; below them, where there is an encoder, their
    reconstructions.

    Raises CheckpointError when the tensors do not make up working networks.
    """
    try:
        with np.errstate(all="ignore"):  # what is not finite shows in the pictures
            return _draw(converted)
    except (ValueError, RuntimeError, KeyError, IndexError, EngineError) as error:
        raise CheckpointError(f"the networks do not run: {str(error)[:300]}") from None


def _draw(converted: Converted) -> list[Floats]:
    generator = _wanted(converted, GENERATOR)
    config = config_from_tensors({name: values.shape for name, values in generator.tensors.items()})
    if config.image_channels != 3:
        raise CheckpointError(f"the generator draws {config.image_channels} channels, wanted 3 (RGB)")
    synthesis = OpenVinoEngine(generator_graph(generator.tensors, generator.settings["clamp"], ["seen"]))
    pictures = _drawn(synthesis, sample_codes(generator, config))
    rows = [pictures]
    encoder = converted.network(ENCODER)
    if encoder is not None:
        rows.append(_drawn(synthesis, _codes(encoder, generator, config, pictures)))
    return rows


def sample_codes(generator: Network, config: GeneratorConfig) -> list[Floats]:
    """W+ [rows, w_dim] of the mean face and, where there is a mapping network, of truncated samples."""
    centre = np.broadcast_to(generator.tensors["centre"], [config.rows, config.w_dim])
    if not config.mapping_layers:
        return [centre]
    random = np.random.Generator(np.random.PCG64(SEED))
    z = random.standard_normal([SAMPLES, config.z_dim], np.float32)
    return [centre, *(centre + np.float32(PSI) * (w - centre) for w in mapped(generator.tensors, z))]


def _drawn(synthesis: OpenVinoEngine, codes: list[Floats]) -> Floats:
    return np.concatenate([synthesis.infer(code[None])[0].copy() for code in codes])


def _codes(encoder: Network, generator: Network, config: GeneratorConfig, pictures: Floats) -> list[Floats]:
    """Encode pictures [N, 3, 256, 256], one step."""
    centre = np.ascontiguousarray(np.broadcast_to(generator.tensors["centre"], [config.rows, config.w_dim]))
    heads = sum(name.startswith("heads.") and name.endswith(".linear.weight") for name in encoder.tensors)
    if heads != config.rows:
        raise CheckpointError(f"the encoder gives {heads} rows, the generator takes {config.rows}")
    engine = OpenVinoEngine(encoder_graph(encoder.tensors, encoder.settings["deltas"], centre))
    extra = (centre[None], pictures[:1]) if encoder.tensors["stem.weight"].shape[1] == 6 else ()
    bgr = np.rint((pictures[:, ::-1] * 127.5 + 127.5).clip(0, 255)).astype(np.uint8).transpose(0, 2, 3, 1)
    return [engine.infer(one[None], *extra)[0][0].copy() for one in bgr]


def _wanted(converted: Converted, role: str) -> Network:
    network = converted.network(role)
    if network is None:
        raise CheckpointError(f"the checkpoint has no {role}")
    return network
