"""Full-size generator and encoders: hundreds of megabytes of weights that a rule of whole numbers fills exactly."""

from __future__ import annotations

import json
import zlib

import numpy as np
import pytest
import torch
from torch.nn import functional

from engines.checkpoints.identification import convert
from engines.encoders import picture_to_input

CODE, PICTURE = 5e-5, 1e-4  # the stricter of the cases' two tolerances, for float32 on a CPU
CHUNK = 1 << 18
U64 = np.uint64


def unit_values(key: str, salt: int, count: int) -> np.ndarray:
    """2^23 * u of the cases' fill rule, as whole numbers in -2^23..2^23 - 1."""
    seed = U64(((zlib.crc32(key.encode()) + salt * 2**32) * 0xD1B54A32D192ED03) % 2**64)
    result = np.empty(count, np.int32)
    for start in range(0, count, CHUNK):
        part = result[start : start + CHUNK]
        x = np.arange(start + 1, start + 1 + len(part), dtype=U64) * U64(0x9E3779B97F4A7C15)
        x += seed
        x = (x ^ (x >> U64(30))) * U64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> U64(27))) * U64(0x94D049BB133111EB)
        x ^= x >> U64(31)
        part[:] = (x >> U64(40)).astype(np.int32) - 2**23
    return result


def filled(entry: dict, salt: int) -> np.ndarray:
    """One tensor of the listing, checked against its CRC-32."""
    shape = entry["shape"]
    if "const" in entry:
        array = np.full(shape, entry["const"], entry["dtype"])
    elif "fir" in entry:
        taps = np.outer(entry["fir"], entry["fir"]).astype(np.float64)
        array = (taps / taps.sum() * entry["gain"]).astype(np.float32)
    else:
        units = unit_values(entry["key"], salt, int(np.prod(shape)))
        array = np.empty(len(units), np.float32)
        for start in range(0, len(units), CHUNK):
            u = units[start : start + CHUNK] / 2**23
            array[start : start + CHUNK] = entry["offset"] + entry["scale"] * u
        array = array.reshape(shape)
    assert zlib.crc32(array) == entry["crc32"], f"{entry['key']} is not filled as the rule says"
    return array


def fill(case) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """State dictionary and mean latent of a full-size case."""
    salt = case.spec["fill_rule"]["salt"]
    for key, expected in case.spec["fill_rule"]["check_first_4_of (as 2^23 * u)"].items():
        assert unit_values(key, salt, 4).tolist() == expected
    layout = json.loads(case.path("layout.json").read_text())
    state = {entry["key"]: filled(entry, salt) for entry in layout if not entry.get("outside_state_dict")}
    (entry,) = [entry for entry in layout if entry.get("outside_state_dict")]
    centre = filled(entry, salt)
    return state, centre if entry["rows"] == 1 else np.tile(centre, (entry["rows"], 1))


def check_picture(case, name: str, picture: torch.Tensor) -> None:
    """Compare the reduced forms of a picture of 1024 px."""
    case.check(f"{name}.mean_pooled_64", functional.avg_pool2d(picture, 16), PICTURE)
    case.check(f"{name}.crop48", picture[:, :, 488:536, 488:536], PICTURE)
    y, x = torch.from_numpy(case.io["probe_yx"]).T
    case.check(f"{name}.probe", picture[:, :, y, x], PICTURE)


def test_generator_of_1024_px(golden, run_converted):
    case = golden("rosinality-full-1024")
    state, centre = fill(case)
    generator = run_converted(convert({"g_ema": state, "latent_avg": centre})).generator
    z, wplus = torch.from_numpy(case.io["z"]), torch.from_numpy(case.io["wplus"])
    case.check("w", generator.mapping(z), 1e-5)
    case.check("latent_avg", generator.centre[0], 0)
    check_picture(case, "image.z_buffers", generator(z[:1]))
    check_picture(case, "image.z_psi07_buffers", generator(z[1:], psi=0.7))
    features = {}
    for r in generator.config.resolutions:
        conv = generator.synthesis.blocks[str(r)].conv1
        conv.register_forward_hook(lambda _, __, y, r=r: features.__setitem__(r, y[:, :8]))
    check_picture(case, "image.wplus_zero", generator.synthesis(wplus, "zero"))
    for r, feature in features.items():
        case.check(f"debug.feature.{r}", functional.avg_pool2d(feature, max(r // 16, 1)), CODE)


@pytest.mark.parametrize("name", ["e4e-full-1024", "psp-full-1024"])
def test_encoder_and_generator_of_1024_px(golden, run_converted, name):
    case = golden(name)
    state, centre = fill(case)
    encoder_type = {"e4e": "Encoder4Editing", "psp": "GradualStyleEncoder"}[name.partition("-")[0]]
    root = {"state_dict": state, "latent_avg": centre, "opts": {"encoder_type": encoder_type}}
    networks = run_converted(convert(root))
    del state, root
    encoder, generator = networks.encoder, networks.generator
    seen = {}
    for tap, block in (("c1", 6), ("c2", 20), ("c3", 23)):
        encoder.body[block].register_forward_hook(lambda _, __, y, tap=tap: seen.__setitem__(tap, y))
    codes = encoder(picture_to_input(torch.from_numpy(case.io["image_u8"])))
    for tap, feature in seen.items():
        case.check(f"debug.{tap}", feature[:, :4], CODE)
    case.check("codes", codes, CODE)
    case.check("latent_avg", generator.centre, 0)
    case.check("wplus", codes + generator.centre, CODE)
    check_picture(case, "image", generator.synthesis(codes + generator.centre))
