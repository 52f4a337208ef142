"""``avatar-live invert``: a real photo through the command, with few steps; edits for models that have none."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from typer.testing import CliRunner

from engines.attributes import ATTRIBUTES
from engines.bundled import load
from engines.errors import ModelError
from engines.inversion import Invertible, Region
from engines.inversion_generators import CHECKPOINT, load_bundled
from engines.motion import AT_REST
from realtime.avatars import Avatar, AvatarStore
from realtime.cli import app
from realtime.cli_invert import _editability
from realtime.dressing import dressed
from realtime.encoding import Encoder
from realtime.invert import Problem, avatar_of, components
from realtime.settings import EncodingSettings
from realtime.traits import to_attributes
from tests.realtime.test_encoding import moment


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["invert", *arguments])
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def fitting_weights() -> None:
    """Skip while the checkout's training weights are of another version than its generator."""
    try:
        load_bundled(torch.tensor(list(AT_REST.values())))
    except ModelError as error:
        pytest.skip(f"{CHECKPOINT.name}: {error}")


@pytest.mark.usefixtures("fitting_weights")
def test_a_photo_is_inverted_and_told_about(media: Path, tmp_path: Path) -> None:
    code_file, picture = tmp_path / "me.safetensors", tmp_path / "me.png"
    code, out, err = call(
        *(str(media / "stills" / "d19.jpg"), "--steps", "3", "--tune", "1", "--editability", "0.3"),
        *("--out", str(code_file), "--picture", str(picture)),
    )
    assert code == 0, err
    for row in ("editability 0.3", "error, of 255", "distance to the centre of W", "effect of age", "after tuning"):
        assert row in out
    assert load_file(code_file)["wplus"].shape == (10, 256)
    assert cv2.imread(str(picture)).shape == (256, 768, 3)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--editability", "2"), 2, "editability"),
        (("--model", "nobody"), 1, "no imported model 'nobody'"),
        ((), 1, "cannot read"),
    ],
)
def test_what_cannot_be_inverted_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, message: str
) -> None:
    monkeypatch.setenv("AVATAR_LIVE_MODELS", str(tmp_path))
    got, _, err = call(str(tmp_path / "none.jpg"), *arguments)
    assert got == code and message in err and "Traceback" not in err


@pytest.mark.usefixtures("fitting_weights")
def test_a_photo_is_kept_as_an_avatar(media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVATAR_LIVE_AVATARS", str(tmp_path))
    code, out, err = call(str(media / "stills" / "d19.jpg"), "--steps", "1", "--save", "me")
    if "not those of the installed model" in err:
        pytest.skip(f"{CHECKPOINT.name} is not what the installed model was exported from")
    assert code == 0 and "editability 1" in out and "avatar-live --avatar me" in err
    avatar = AvatarStore(tmp_path).load("me")
    assert avatar.offset() is not None and "hair" in avatar.traits


def problem(start: torch.Tensor) -> Problem:
    """A problem that was solved already: a person and the code of their traits, no pictures."""
    model, person = load("toon"), to_attributes({"hair": "bob", "age": 0.8})
    empty = torch.zeros(0)
    generator = cast("Invertible", None)
    region = Region(empty, empty, empty)
    w = model.mapping.infer(np.array([[person[name] for name in ATTRIBUTES]], np.float32))[0].copy()
    return Problem(generator, region, empty, empty, torch.from_numpy(w).expand(10, -1) + start, {}, person)


def test_what_was_found_is_worn_as_it_was_found() -> None:
    solved = problem(torch.zeros(10, 256))
    found = solved.start + 0.3 * torch.randn(10, 256, generator=torch.Generator().manual_seed(0))
    avatar = avatar_of("me", solved, found, load("toon"))
    assert avatar.traits["hair"] == "bob" and avatar.traits["age"] == 0.8
    face, crop = moment(0)
    plain = Encoder(load("toon"), EncodingSettings(), avatar.attributes(), avatar.offset()).encode(face, crop)
    np.testing.assert_allclose(plain.wplus, found.numpy(), atol=2e-3)
    older = avatar.changed({"age": 0.2})
    changed = Encoder(load("toon"), EncodingSettings(), older.attributes(), older.offset()).encode(face, crop)
    assert np.abs(changed.wplus - plain.wplus).max() > 0.01
    np.testing.assert_allclose((changed.wplus - plain.wplus).std(axis=0), 0, atol=1e-4)
    dressed_up = dressed(load("toon"), {"glasses_round": 1.0}, 1.0)
    worn = Encoder(dressed_up, EncodingSettings(), avatar.attributes(), avatar.offset()).encode(face, crop)
    assert np.abs(worn.wplus - plain.wplus).max() > 0.01
    np.testing.assert_array_equal(worn.motion, plain.motion)


def test_a_code_of_other_weights_than_the_installed_ones_is_not_kept() -> None:
    other = problem(torch.randn(10, 256, generator=torch.Generator().manual_seed(0)))
    with pytest.raises(ModelError, match="not those of the installed model.* give --checkpoint"):
        avatar_of("me", other, other.start, load("toon"))


def test_an_avatar_that_could_not_be_kept_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVATAR_LIVE_AVATARS", str(tmp_path))
    AvatarStore(tmp_path).save(Avatar("me"))
    for arguments, message in (
        (("--save", "me"), "there is an avatar 'me' already"),
        (("--save", "../me"), "an avatar cannot be called '../me'"),
        (("--save", "you", "--model", "ffhq"), "--save keeps avatars of the bundled model and 'ffhq' is imported"),
    ):
        code, _, err = call("nowhere.jpg", *arguments)
        assert code == 2 and message in err


def test_what_is_to_be_worn_stays_editable_unless_asked_otherwise() -> None:
    wanted = [_editability(given, save) for given in (None, 0.2) for save in (None, "me")]
    assert wanted == [0.5, 1.0, 0.2, 0.2]


def test_without_torch_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    find = "importlib.util.find_spec"
    real = __import__("importlib.util").util.find_spec
    monkeypatch.setattr(find, lambda name, *rest: None if name == "torch" else real(name, *rest))
    code, _, err = call("me.jpg")
    assert code == 1 and "torch, which is not installed; install it with: pip install torch" in err


def test_principal_components_stand_in_for_edits() -> None:
    random = torch.Generator().manual_seed(0)
    samples = torch.randn(500, 5, generator=random) * torch.tensor([3.0, 0.1, 2.0, 0.1, 1.0])
    edits = components(samples, 4)
    assert list(edits) == ["component 1", "component 2", "component 3"]
    for edit, axis, spread in zip(edits.values(), (0, 2, 4), (3.0, 2.0, 1.0), strict=True):
        assert edit.shape == (4, 5)
        assert float(edit[0, axis].abs()) == pytest.approx(2 * spread, rel=0.1)


def test_imported_models_are_inverted_with_components_for_edits(
    media: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = media.parent / "golden" / "e4e-small-64" / "checkpoint.pt"
    if not checkpoint.is_file():
        pytest.skip(f"no checkpoint at {checkpoint}")
    monkeypatch.setenv("AVATAR_LIVE_MODELS", str(tmp_path))
    imported = CliRunner().invoke(app, ["models", "import", str(checkpoint), "--name", "small", "--kind", "e4e"])
    assert imported.exit_code == 0, imported.stderr
    code, out, err = call(str(media / "stills" / "d19.jpg"), "--model", "small", "--steps", "2")
    assert code == 0, err
    assert "effect of component 3" in out and "after tuning" not in out
