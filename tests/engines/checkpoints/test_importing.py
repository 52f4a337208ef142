"""The whole import: files in, an installed model out, or an error and nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from engines.checkpoints import CheckpointError, import_checkpoint, list_models, load_model, read_manifest, verify_model
from engines.checkpoints.containers import read_file
from engines.checkpoints.identification import convert
from engines.checkpoints.importing import file_sha256
from engines.torch_networks import generator_from_network

FILES = [
    "rosinality-64/checkpoint.pt",
    "nv-ada-orig-32/network-snapshot-000000.nosrc.pkl",
    "nv-tf-legacy-32/stylegan2-tf.pkl",
]


def source(golden, name: str):
    folder, _, file = name.partition("/")
    return golden(folder).path(file)


@pytest.mark.parametrize("name", FILES)
def test_generators_are_installed(golden, tmp_path, name):
    path = source(golden, name)
    report = import_checkpoint(path, out_dir=tmp_path, name="face")
    assert report.folder == tmp_path / "face"
    assert sorted(p.name for p in report.folder.iterdir()) == [
        "contact_sheet.png",
        "generator.safetensors",
        "model.json",
    ]
    assert (report.source_sha256, report.source_bytes) == (file_sha256(path), path.stat().st_size)
    assert "non-commercial" in report.licence
    assert report.rows == 2 * int(np.log2(report.resolution)) - 2
    assert report.check.std > 0.1
    assert (
        json.loads((report.folder / "model.json").read_text()) == report.manifest_row() == read_manifest(report.folder)
    )
    sheet = cv2.imread(str(report.contact_sheet))
    assert sheet.shape == (256, 3 * 256, 3) and sheet.std() > 5
    verify_model(report.folder)
    converted = convert(read_file(path).root).network("generator")
    installed = load_model(report.folder).network("generator")
    assert installed.settings == converted.settings and installed.tensors.keys() == converted.tensors.keys()
    for tensor, values in converted.tensors.items():
        np.testing.assert_array_equal(installed.tensors[tensor], values)


def test_an_inversion_project_is_installed_with_its_encoder(golden, tmp_path):
    report = import_checkpoint(source(golden, "restyle-e4e-small-32/checkpoint.pt"), out_dir=tmp_path)
    assert (report.name, report.kind, report.resolution) == ("checkpoint", "restyle-e4e", 32)
    assert [file.role for file in report.files] == ["encoder", "generator"]
    assert cv2.imread(str(report.contact_sheet)).shape == (512, 768, 3)
    assert load_model(report.folder).network("encoder").settings == {"deltas": True, "add_centre": True}
    assert [row["name"] for row in list_models(tmp_path)] == ["checkpoint"]


def test_an_installed_generator_draws_the_reference_pictures(golden, tmp_path):
    case = golden("nv-ada-orig-32")
    report = import_checkpoint(source(golden, FILES[1]), out_dir=tmp_path)
    generator = generator_from_network(load_model(report.folder).network("generator"))
    case.check("image.const", generator.synthesis(torch.from_numpy(case.io["ws"])), 5e-5)


def test_a_taken_name_needs_replace(golden, tmp_path):
    first = import_checkpoint(source(golden, FILES[0]), out_dir=tmp_path, name="face")
    with pytest.raises(CheckpointError, match="a model 'face' exists in .*; choose another name or remove it first"):
        import_checkpoint(source(golden, FILES[2]), out_dir=tmp_path, name="face")
    assert read_manifest(first.folder)["kind"] == "rosinality"
    second = import_checkpoint(source(golden, FILES[2]), out_dir=tmp_path, name="face", replace=True)
    assert read_manifest(second.folder)["kind"] == "tensorflow-stylegan2"
    assert [p.name for p in tmp_path.iterdir()] == ["face"]


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a b", ".hidden", "x" * 65])
def test_unusable_names_are_refused(golden, tmp_path, name):
    with pytest.raises(CheckpointError, match="is unusable; wanted letters, digits"):
        import_checkpoint(source(golden, FILES[0]), out_dir=tmp_path, name=name)


def test_a_failed_import_leaves_nothing(golden, tmp_path):
    state = torch.load(source(golden, FILES[0]), weights_only=True)
    state["g_ema"] = {n: v if n.endswith("kernel") else torch.zeros_like(v) for n, v in state["g_ema"].items()}
    broken = tmp_path / "Broken File.pt"
    torch.save(state, broken)
    out = tmp_path / "models"
    with pytest.raises(CheckpointError, match="draws no picture .* the weights are damaged"):
        import_checkpoint(broken, out_dir=out)
    assert list(out.iterdir()) == []
    with pytest.raises(CheckpointError, match="cannot read .*No such file"):
        import_checkpoint(tmp_path / "missing.pt", out_dir=out)
    (tmp_path / "empty.pt").touch()
    with pytest.raises(CheckpointError, match="empty.pt is empty; download it again"):
        import_checkpoint(tmp_path / "empty.pt", out_dir=out)
    with pytest.raises(CheckpointError, match="cannot write the model to .*; choose another folder"):
        import_checkpoint(source(golden, FILES[0]), out_dir=broken / "below-a-file")


def test_damage_to_an_installed_model_is_found(golden, tmp_path):
    folder = import_checkpoint(source(golden, FILES[0]), out_dir=tmp_path, name="face").folder
    path = folder / "generator.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged: its SHA-256 is .*; import it again"):
        verify_model(folder)
    path.write_bytes(b"short")
    with pytest.raises(CheckpointError, match="cannot load .*; import the model again"):
        load_model(folder)
    path.unlink()
    with pytest.raises(CheckpointError, match="generator.safetensors is missing"):
        verify_model(folder)
    (folder / "model.json").write_text("{")
    with pytest.raises(CheckpointError, match="model.json is damaged"):
        read_manifest(folder)
    with pytest.raises(CheckpointError, match="no imported model in .*; import it first"):
        read_manifest(tmp_path)


def test_importing_works_without_torch(golden, tmp_path):
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from engines.checkpoints import import_checkpoint\n"
        f"report = import_checkpoint({str(source(golden, FILES[0]))!r}, out_dir={str(tmp_path)!r})\n"
        "print(report.check.pictures, report.contact_sheet.stat().st_size > 1000)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "3 True\n"


def test_the_package_loads_neither_torch_nor_opencv():
    program = "import sys, engines.checkpoints; print({'torch', 'cv2'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
