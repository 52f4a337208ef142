"""The sheet of styles: strengths beside each other, and only styles that the weights can show."""

from __future__ import annotations

import numpy as np
import pytest

from engines.bundled import load
from realtime.configuration import Style

pytestmark = pytest.mark.usefixtures("face_world")


def test_styles_that_the_weights_can_show_are_drawn_at_three_strengths() -> None:
    from tools.face_world.sampling import plain
    from tools.gallery import wearing

    known = {
        "glasses": Style("glasses", "", "toon", attributes={"glasses_round": 1.0}),
        "antlers": Style("antlers", "", "toon", attributes={"antlers": 1.0}),
    }
    drawn = wearing(load("toon"), [plain()], known).astype(int)
    assert drawn.shape == (256, 768, 3)
    none, half, whole = (drawn[92:130, 75 + at : 181 + at] for at in (0, 256, 512))
    assert np.abs(whole - none).mean() > np.abs(half - none).mean() > 0.5, "the eyes, where glasses are"
