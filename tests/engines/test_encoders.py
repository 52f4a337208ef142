from __future__ import annotations

import pytest
import torch

from engines.encoders import (
    StyleEncoder,
    encoder_from_tensors,
    picture_to_input,
    refine,
    shrink_to_input,
)
from engines.encoders_config import EncoderConfig, stage_starts

CODE, PICTURE = 5e-5, 1e-4  # the stricter of the cases' two tolerances, for float32 on a CPU


@pytest.mark.parametrize("name", ["e4e-small-64", "psp-small-64"])
def test_codes_and_pictures(golden, load_checkpoint, name):
    case = golden(name)
    networks = load_checkpoint(case.path("checkpoint.pt"))
    encoder, generator = networks.encoder, networks.generator
    x = picture_to_input(torch.from_numpy(case.io["image_u8"]))
    codes = encoder(x)
    case.check("codes", codes, CODE)
    case.check("latent_avg", generator.centre, 0)
    wplus = codes + generator.centre
    case.check("wplus", wplus, CODE)
    case.check("image", generator.synthesis(wplus), PICTURE)
    case.check("image.zero_noise", generator.synthesis(wplus[:1], "zero"), PICTURE)


@pytest.mark.parametrize("name", ["e4e-small-64", "psp-small-64"])
def test_features(golden, load_checkpoint, name):
    case = golden(name)
    encoder = load_checkpoint(case.path("checkpoint.pt")).encoder
    seen = {}
    for tap, block in (("c1", 6), ("c2", 20), ("c3", 23)):
        encoder.body[block].register_forward_hook(lambda _, __, y, tap=tap: seen.__setitem__(tap, y))
    encoder(picture_to_input(torch.from_numpy(case.io["image_u8"][:1])))
    case.check("debug.c1", seen["c1"][:, :8], CODE)
    case.check("debug.c2", seen["c2"], CODE)
    case.check("debug.c3", seen["c3"], CODE)


def test_restyle_refines_step_by_step(golden, load_checkpoint):
    case = golden("restyle-e4e-small-32")
    networks = load_checkpoint(case.path("checkpoint.pt"))
    encoder, generator = networks.encoder, networks.generator
    picture = picture_to_input(torch.from_numpy(case.io["image_u8"]))
    wplus = generator.centre[None]
    drawn = generator.synthesis(wplus)
    case.check("average_image", shrink_to_input(drawn)[0], PICTURE)
    for step in range(3):
        wplus = refine(encoder, picture, shrink_to_input(drawn), wplus)
        drawn = generator.synthesis(wplus)
        case.check(f"iter{step}.wplus", wplus, CODE)
        case.check(f"iter{step}.image", drawn, PICTURE)


def tiny_config(**changes) -> EncoderConfig:
    options = dict(
        inputs=3,
        stem=2,
        blocks=((2, 2, 2, 1), (2, 3, 2, 1), (3, 4, 2, 0), (4, 5, 2, 1), (5, 5, 1, 1)),
        head_convs=(4, 5, 6),
        w_dim=3,
        taps=(1, 2),
        deltas=True,
    )
    return EncoderConfig(**{**options, **changes})


def test_the_shape_is_inferred_from_the_tensors():
    config = tiny_config()
    torch.manual_seed(0)
    encoder = StyleEncoder(config).eval().requires_grad_(False)
    again = encoder_from_tensors(encoder.state_dict(), deltas=True)
    assert again.config == config
    x = torch.rand(2, 3, 256, 256)
    torch.testing.assert_close(again(x), encoder(x), atol=0, rtol=0)


def test_stages_of_known_and_unknown_depths():
    assert stage_starts(24, [False] * 24) == [0, 3, 7, 21]
    assert stage_starts(49, [False] * 49) == [0, 3, 16, 46]
    assert stage_starts(6, [False, True, False, True, True, False]) == [0, 1, 3, 4]
    with pytest.raises(ValueError, match="a backbone of 5 blocks has 1 stages; wanted 4"):
        stage_starts(5, [False] * 5)


def test_errors_say_what_was_wanted():
    with pytest.raises(ValueError, match=r"input has shape \[1, 3, 64, 64\]; wanted \[N, \*\[3, 256, 256\]\]"):
        StyleEncoder(tiny_config())(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match="not an IR-SE encoder"):
        encoder_from_tensors({}, deltas=True)
    tensors = StyleEncoder(tiny_config()).state_dict()
    del tensors["body.1.slope"]
    with pytest.raises(ValueError, match="do not fit an IR-SE encoder"):
        encoder_from_tensors(tensors, deltas=False)
