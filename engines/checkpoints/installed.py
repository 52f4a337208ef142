"""Models that were imported: listing, checking and loading them from their folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from engines.calibration_delta import apply_delta, load_delta
from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.importing import MANIFEST, file_sha256
from engines.checkpoints.networks import ENCODER, GENERATOR, Converted, Network

CALIBRATED, DELTA = "calibrated", "delta.safetensors"


def list_models(out_dir: Path) -> list[dict[str, Any]]:
    """The manifest rows of all models imported to a folder, by name."""
    return [read_manifest(path.parent) for path in sorted(out_dir.glob(f"*/{MANIFEST}")) if path.parent.name[0] != "."]


def read_manifest(folder: Path) -> dict[str, Any]:
    """One model's manifest row."""
    path = folder / MANIFEST
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(row, dict) or not {"name", "kind", "files"} <= row.keys():
            raise ValueError
    except OSError as error:
        raise CheckpointError(f"no imported model in {folder} ({error.strerror}); import it first") from None
    except ValueError:
        raise CheckpointError(f"{path} is damaged; import the model again") from None
    return row


def verify_model(folder: Path) -> None:
    """Compare every file of a model with its manifest row. Raises CheckpointError at the first that differs."""
    row = read_manifest(folder)
    if row["kind"] == CALIBRATED:
        verify_model(folder.parent / str(row.get("base")))
    for entry in row["files"]:
        path = folder / str(entry["name"])
        if not path.is_file():
            raise CheckpointError(f"{path} is missing; import the model again")
        if (got := file_sha256(path)) != entry["sha256"]:
            raise CheckpointError(f"{path} is damaged: its SHA-256 is {got}, wanted {entry['sha256']}; import it again")


def load_model(folder: Path) -> Converted:
    """The networks of an imported model as numpy arrays; ``engines.torch_networks`` makes them runnable with torch."""
    row = read_manifest(folder)
    if row["kind"] == CALIBRATED:
        return _calibrated(folder, row)
    roles = [entry["role"] for entry in row["files"] if entry.get("role") in (GENERATOR, ENCODER)]
    return Converted(row["kind"], tuple(load_network(folder / f"{role}.safetensors") for role in roles))


def _calibrated(folder: Path, row: dict[str, Any]) -> Converted:
    """The networks of the model that was calibrated, with the calibration's delta in its generator."""
    base = folder.parent / str(row.get("base"))
    if read_manifest(base)["files"] != row.get("base_files"):
        raise CheckpointError(f"{base} is not the model that {row['name']!r} was calibrated on; calibrate again")
    converted = load_model(base)
    delta = load_delta(folder / DELTA)
    networks = tuple(
        replace(network, tensors=apply_delta(network.tensors, delta)) if network.role == GENERATOR else network
        for network in converted.networks
    )
    return replace(converted, networks=networks)


def load_network(path: Path) -> Network:
    """One network from its safetensors file."""
    try:
        with safe_open(path, framework="numpy") as stream:
            metadata = stream.metadata() or {}
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - not a dictionary
        return Network(metadata["role"], tensors, json.loads(metadata["settings"]))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"cannot load {path}: {str(error)[:200]}; import the model again") from None
