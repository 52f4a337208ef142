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
        "old": Style("old", "", "toon", attributes={"age": 1.0}),
        "antlers": Style("antlers", "", "toon", attributes={"antlers": 1.0}),
    }
    drawn = wearing(load("toon"), [plain()], known).astype(int)
    assert drawn.shape == (512, 768, 3)
    for top, name in ((0, "glasses"), (256, "old")):
        none, half, whole = (drawn[top + 92 : top + 130, 75 + at : 181 + at] for at in (0, 256, 512))  # the eyes
        changed = [np.abs(one - none).mean() for one in (half, whole)]
        assert min(changed) > 0.5 and (changed[1] > changed[0] if name == "old" else changed[1] == changed[0]), name
