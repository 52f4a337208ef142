"""Making avatars of real photos: what is seen, what is drawn, and that their colours come together."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime.errors import OutputError, SourceError
from realtime.identity_studio import VIEW_PX, Studio, beside, on_paper, read_photo, show_until_closed
from realtime.settings import Settings
from realtime.traits import from_attributes, to_attributes
from tests.realtime.clips import write_clip


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    with closing(Studio(Settings())) as made:
        yield made


def test_photos_are_watched_and_drawn_alike(studio: Studio, media: Path) -> None:
    watched = studio.watch([str(media / "stills" / "d8.jpg")], 1.0)
    assert (watched.frames, len(watched.identity)) == (1, 1)
    assert watched.picture.shape == (256, 256, 3)
    plain = watched.identity.estimate()
    assert plain["glasses_round"] + plain["glasses_square"] == 1, "he wears glasses"
    wanted = {name: watched.identity.colour(name) for name in ("skin", "lips", "hair")}
    pale = {**plain, **{f"skin_{c}": min(1.0, 2 * plain[f"skin_{c}"]) for c in "rgb"}}
    matched = studio.matched(pale, wanted)
    off = []
    for attributes in (pale, matched):
        drawn = studio.seen(attributes)
        assert drawn is not None
        off.append(sum(float(np.linalg.norm(drawn.colours[name] - wanted[name])) for name in wanted))
    assert off[1] < off[0]
    assert {name for name in plain if plain[name] != matched[name]} <= {
        f"{part}_{c}" for part in ("skin", "lip", "hair") for c in "rgb"
    }
    shown = beside(watched.picture, studio.draw(to_attributes(from_attributes(matched))))
    assert shown.shape == (VIEW_PX, 2 * VIEW_PX, 3)


def test_clips_are_watched_as_long_as_asked_for(studio: Studio, media: Path, tmp_path: Path) -> None:
    photo = cv2.resize(read_photo(media / "stills" / "d19.jpg"), (320, 320), interpolation=cv2.INTER_AREA)
    clip = write_clip(tmp_path / "me.mp4", [photo] * 12, fps=10)
    watched = studio.watch([str(clip)], 0.5)
    assert watched.frames == 6 and len(watched.identity) == 6


def test_nobody_in_sight_is_told(studio: Studio, tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    cv2.imwrite(str(empty), np.full((64, 64, 3), 90, np.uint8))
    with pytest.raises(SourceError, match="no face was found in 1 frames of .*empty.png; look at the camera in even"):
        studio.watch([str(empty)], 1.0)


def test_photos_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot read .*none.jpg: No such file.*; give the path of a photo"):
        read_photo(tmp_path / "none.jpg")
    for content in (b"", b"no picture"):
        (tmp_path / "bad.jpg").write_bytes(content)
        with pytest.raises(SourceError, match="bad.jpg is no picture that can be read; wanted one of .jpg"):
            read_photo(tmp_path / "bad.jpg")


def test_portraits_lie_on_grey() -> None:
    portrait = np.zeros((8, 8, 4), np.uint8)
    portrait[:4] = (10, 200, 30, 255)
    shown = on_paper(portrait, 16)
    np.testing.assert_array_equal(shown[0, 0], (10, 200, 30))
    np.testing.assert_array_equal(shown[-1, -1], (150, 150, 150))


def test_without_a_desktop_there_is_no_window(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    if sys.platform != "linux":
        pytest.skip("elsewhere a desktop is not told by a variable")
    with pytest.raises(OutputError, match="no window can be opened"):
        show_until_closed(np.zeros((8, 8, 3), np.uint8))
