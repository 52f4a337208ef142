"""Imported models as styles: every one with an encoder can be worn by its name."""

from __future__ import annotations

import json
from typing import Any

from engines.places import default_folder


def imported_styles() -> dict[str, Any]:
    """Tables as of a file of styles; folders that are damaged are left out here and named when they are loaded."""
    tables: dict[str, Any] = {}
    for path in sorted(default_folder().glob("[!.]*/model.json")):
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
            if row["kind"] == "calibrated" or any(file["role"] == "encoder" for file in row["files"]):
                description = f"imported {row['kind']}, {row['resolution']} px"
                tables[path.parent.name] = {"description": description, "model": path.parent.name, "mode": "paste"}
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return {"styles": tables}
