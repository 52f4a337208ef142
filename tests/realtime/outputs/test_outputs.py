"""Which output a text opens, and what all of them promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realtime.errors import UsageError
from realtime.frames import Picture
from realtime.outputs import open_output
from realtime.outputs.base import even_pixels, even_size
from realtime.settings import OutputSettings


@pytest.mark.parametrize("text", ["", "out.avi", "out", "windows", "webcam", "mp4"])
def test_text_that_names_no_output_lists_what_there_is(text: str) -> None:
    with pytest.raises(
        UsageError, match=r"is no output; wanted virtual, virtual:NAME, window, page, .* or a file that"
    ):
        open_output(text, (64, 48), 30, OutputSettings(), None)


@pytest.mark.parametrize("port", ["x", "70000", "-1"])
def test_page_with_a_port_that_is_none(port: str) -> None:
    with pytest.raises(UsageError, match=f"'{port}' is no port; wanted a number from 0 to 65535, such as page:8478"):
        open_output(f"page:{port}", (64, 48), 30, OutputSettings(), None)


@pytest.mark.parametrize("text", ["null", "page:0", "{folder}/a.mp4", "{folder}/A.MKV"])
def test_every_output_keeps_the_contract(text: str, tmp_path: Path) -> None:
    output = open_output(text.format(folder=tmp_path), (64, 48), 30, OutputSettings(), None)
    assert output.describe() and "\n" not in output.describe()
    assert isinstance(output.wants_pacing, bool) and output.wants_stop is False
    with pytest.raises(ValueError, match=r"picture is uint8 \(48, 65, 3\); wanted uint8 \(48, 64, 3\)"):
        output.send(Picture(0, 0, np.zeros((48, 65, 3), np.uint8)))
    with pytest.raises(ValueError, match="picture is float32"):
        output.send(Picture(0, 0, np.zeros((48, 64, 3), np.float32)))  # type: ignore[arg-type]
    pixels = np.zeros((48, 64, 3), np.uint8)
    for index in range(3):
        output.send(Picture(index, index * 33_000_000, pixels))
    assert not pixels.any()
    output.close()
    output.close()


def test_null_counts() -> None:
    from realtime.outputs.null import NullOutput

    output = NullOutput((2, 1))
    output.send(Picture(0, 0, np.zeros((1, 2, 3), np.uint8)))
    assert output.sent == 1


def test_odd_sides_are_made_even() -> None:
    assert even_size((1, 1)) == (2, 2) and even_size((640, 481)) == (640, 482)
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    even = even_pixels(pixels)
    assert even.shape == (4, 4, 3)
    assert (even[:3, :3] == pixels).all() and (even[3, 3] == pixels[2, 2]).all()
    assert even_pixels(even) is even
