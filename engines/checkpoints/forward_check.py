"""Draw a few pictures with converted networks, to see that they work. Needs torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.networks import ENCODER, GENERATOR, Converted, Network
from engines.encoders import StyleEncoder, encoder_from_tensors, refine, shrink_to_input
from engines.stylegan2 import Generator, generator_from_tensors

SAMPLES = 2
SEED = 0
PSI = 0.7
SHEET_PX = 256


def draw_samples(converted: Converted) -> list[npt.NDArray[np.float32]]:
    """Rows of pictures [N, 3, 256, 256]: the mean face and samples; below them, where there is an encoder, their
    reconstructions.

    Raises CheckpointError when the tensors do not make up working networks.
    """
    try:
        with torch.inference_mode():
            return _draw(converted)
    except (ValueError, RuntimeError, KeyError, IndexError) as error:
        raise CheckpointError(f"the networks do not run: {str(error)[:300]}") from None


def _draw(converted: Converted) -> list[npt.NDArray[np.float32]]:
    generator = generator_from_network(_wanted(converted, GENERATOR))
    config = generator.config
    if config.image_channels != 3:
        raise CheckpointError(f"the generator draws {config.image_channels} channels, wanted 3 (RGB)")
    wplus = generator.centre.expand(1, config.rows, -1)
    if config.mapping_layers:
        z = torch.randn(SAMPLES, config.z_dim, generator=torch.Generator().manual_seed(SEED))
        wplus = torch.cat([wplus, generator.wplus_from_z(z, PSI)])
    pictures = torch.cat([generator.synthesis(one[None]) for one in wplus])
    rows = [pictures]
    if converted.network(ENCODER) is not None:
        encoder = encoder_from_network(_wanted(converted, ENCODER))
        rows.append(_reconstruct(encoder, generator, pictures))
    return [functional.interpolate(row, (SHEET_PX, SHEET_PX), mode="area").numpy() for row in rows]


def _wanted(converted: Converted, role: str) -> Network:
    network = converted.network(role)
    if network is None:
        raise CheckpointError(f"the checkpoint has no {role}")
    return network


def _reconstruct(encoder: StyleEncoder, generator: Generator, pictures: torch.Tensor) -> torch.Tensor:
    """Encode pictures and draw them again, one step."""
    if len(encoder.config.head_convs) != generator.config.rows:
        raise CheckpointError(
            f"the encoder gives {len(encoder.config.head_convs)} rows, the generator takes {generator.config.rows}"
        )
    centre = generator.centre.expand(1, generator.config.rows, -1)
    inputs = shrink_to_input(pictures)
    if encoder.config.inputs == 6:
        wplus = refine(encoder, inputs, shrink_to_input(pictures[:1]), centre)
    else:
        wplus = encoder(inputs) + centre
    return torch.cat([generator.synthesis(one[None]) for one in wplus])


def generator_from_network(network: Network) -> Generator:
    """A runnable generator."""
    return generator_from_tensors(torch_tensors(network), network.settings["clamp"])


def encoder_from_network(network: Network) -> StyleEncoder:
    """A runnable encoder."""
    return encoder_from_tensors(torch_tensors(network), network.settings["deltas"])


def torch_tensors(network: Network) -> dict[str, torch.Tensor]:
    """The tensors of a network as torch tensors, copied where the array is read-only."""
    return {
        name: torch.from_numpy(array if array.flags.writeable else array.copy())
        for name, array in network.tensors.items()
    }
