"""Import public checkpoints without running code of theirs.

    file -> containers (bytes) -> pickle_data (values) -> identification (kind) -> a format's module (networks)
         -> importing (safetensors, manifest row, forward check, contact sheet)

:func:`import_checkpoint` does it all. Reading and converting need numpy only; the forward check needs torch.
"""

from __future__ import annotations

from engines.checkpoints.errors import CheckpointError

__all__ = ["CheckpointError"]
