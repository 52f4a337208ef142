"""Puts the figures of the guest and those of the host into one dated file: python3 report.py RESULTS REPORT.json."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from realtime.statistics import machine, versions


def cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("AVATAR_LIVE_VM_CACHE") or Path(base) / "avatar-live" / "vm")


def mebibytes(path: Path) -> int:
    """What a sparse file takes on the disk."""
    return path.stat().st_blocks * 512 // 2**20


def outcomes(path: Path) -> dict[str, str]:
    """What became of every check: passed, skipped or its failure; nothing when the guest ended early."""
    if not path.exists():
        return {}
    found = {}
    for case in ElementTree.parse(path).iter("testcase"):
        trouble = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        said = "passed" if trouble is None else f"{trouble.tag}: {trouble.get('message', '').splitlines()[0]}"
        found[case.get("name", "")] = said
    return found


def main() -> None:
    """Write the report."""
    folder, results, commit = cache(), Path(sys.argv[1]), ["git", "rev-parse", "--short", "HEAD"]
    built = {path.stem: int(path.read_text()) for path in sorted(folder.glob("*.seconds"))}
    figures = results / "report.json"
    report = {
        "date": datetime.date.today().isoformat(),
        "commit": subprocess.run(commit, capture_output=True, text=True, cwd=Path(__file__).parent).stdout.strip(),
        "host": machine(),
        "host_load_average": [round(load, 1) for load in os.getloadavg()],
        "guest": "User Mode Linux 6.1, one processor, Debian 12, v4l2loopback 0.12.7",
        "guest_process": (results / "preferred").read_text().strip(),
        "built_in_s": built,
        "cache_mib": {"kernel": mebibytes(folder / "kernel" / "linux"), "image": mebibytes(folder / "root.img")},
        "versions": versions(),
        "outcomes": outcomes(results / "outcomes.xml"),
        "figures": json.loads(figures.read_text()) if figures.exists() else {},
    }
    Path(sys.argv[2]).write_text(json.dumps(report, indent=2) + "\n")
    print(f"the report is {sys.argv[2]}")


if __name__ == "__main__":
    main()
