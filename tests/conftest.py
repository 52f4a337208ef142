"""What all tests share: real clips, and the rule that a test which needs a GPU says so."""

from __future__ import annotations

from pathlib import Path

import pytest

MEDIA = Path(__file__).resolve().parents[2] / "shared" / "media"


@pytest.fixture
def media() -> Path:
    """The folder of real clips and stills; tests that need it are skipped where it is missing."""
    if not (MEDIA / "clips").is_dir():
        pytest.skip(f"no clips at {MEDIA}")
    return MEDIA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests that are marked gpu where there is none."""
    marked = [item for item in items if item.get_closest_marker("gpu")]  # a folder called so is no mark
    if marked and not _has_gpu():
        for item in marked:
            item.add_marker(
                pytest.mark.skip(reason="needs an NVIDIA GPU: make gpu-check; no result of one is stored yet")
            )


def _has_gpu() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())
