"""Import public checkpoints without running code of theirs.

    file -> containers (bytes) -> pickle_data (values) -> identification (kind) -> a format's module (networks)
         -> importing (safetensors, manifest row, forward check, contact sheet) -> installed (list, verify, load)

:func:`import_checkpoint` does it all. Reading and converting need numpy only, the forward check OpenVINO; torch is
not needed.
"""

from __future__ import annotations

from engines.checkpoints.errors import CheckpointError
from engines.checkpoints.importing import ForwardCheck, ImportReport, InstalledFile, import_checkpoint
from engines.checkpoints.installed import list_models, load_model, read_manifest, verify_model

__all__ = [
    "CheckpointError",
    "ForwardCheck",
    "ImportReport",
    "InstalledFile",
    "import_checkpoint",
    "list_models",
    "load_model",
    "read_manifest",
    "verify_model",
]
