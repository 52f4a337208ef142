"""What all commands of the command line share: where messages go, and how errors become one line and an exit code.

Exit codes: 0 done (also after Ctrl-C), 1 something failed, 2 asked for what does not exist, 70 a fault of the program.
"""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from realtime.errors import AvatarLiveError

FAULT = 70  # EX_SOFTWARE of sysexits.h

console = Console(stderr=True)


@contextmanager
def guarded() -> Iterator[None]:
    """Turn errors into one line and an exit code; only a fault of the program leaves a log with a traceback."""
    try:
        yield
    except AvatarLiveError as error:
        complain(str(error))
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        descriptor, log = tempfile.mkstemp(prefix="avatar-live-", suffix=".log", text=True)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            traceback.print_exc(file=file)
        first_line = str(error).strip().splitlines()[:1]
        complain(f"a fault of the program: {type(error).__name__}: {' '.join(first_line)}; please report it with {log}")
        raise typer.Exit(FAULT) from None


def complain(text: str) -> None:
    """One line in red on the standard error."""
    console.print(f"avatar-live: {text}", style="red", markup=False, highlight=False, soft_wrap=True)
