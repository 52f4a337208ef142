from __future__ import annotations

import numpy as np
import pytest

from engines.checkpoints import CheckpointError, import_checkpoint
from engines.errors import ModelError
from engines.imported import load_imported


def test_an_imported_generator_draws(golden, tmp_path):
    case = golden("nv-ada-orig-32")
    path = case.path("network-snapshot-000000.nosrc.pkl")
    model = load_imported(import_checkpoint(path, out_dir=tmp_path, name="face").folder, precision="f32")
    rgb = (case.io["image.wplus_const"][0] * 127.5 + 128).clip(0, 255)
    picture = model.draw(case.io["wplus"][0])
    assert np.abs(picture[..., ::-1].transpose(2, 0, 1) - rgb).max() <= 1.01
    assert (model.resolution, model.centre.shape, model.refines) == (32, (8, 32), False)
    assert model.describe().startswith("face, 32 px: OpenVINO")
    with pytest.raises(ModelError, match="the model 'face' has no encoder; import one of e4e, pSp or ReStyle"):
        model.encode(np.zeros([256, 256, 3], np.uint8))


def test_restyle_refines_frame_by_frame(golden, tmp_path):
    case = golden("restyle-e4e-small-32")
    folder = import_checkpoint(case.path("checkpoint.pt"), out_dir=tmp_path).folder
    model = load_imported(folder, precision="f32")
    pixels = np.ascontiguousarray(case.io["image_u8"][0].transpose(1, 2, 0)[..., ::-1])
    wplus = None
    for step in range(3):
        wplus = model.encode(pixels, wplus)
        expected = case.io[f"iter{step}.wplus"][0]
        np.testing.assert_allclose(wplus, expected, atol=5e-4)
    with pytest.raises(ValueError, match=r"the picture is uint8 \[64, 64, 3\]; wanted uint8 \[256, 256, 3\]"):
        model.encode(pixels[::4, ::4])
    (folder / "generator.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="generator.safetensors is damaged"):
        load_imported(folder)
