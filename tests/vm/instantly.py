"""A plugin of pytest: failures are printed when they happen, since a guest may end before the summary."""

from __future__ import annotations

import pytest


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Print what failed."""
    if report.failed:
        print(f"\n{report.nodeid} failed in {report.when}:\n{report.longreprtext}", flush=True)
