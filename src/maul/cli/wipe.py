"""`maul wipe RUN`: remove what a run wrote, prove it is gone."""

from pathlib import Path
from typing import Annotated

import typer

from maul.cli import screen
from maul.cli.trust import TRUST_HELP
from maul.conduct.wipe import wipe as remove
from maul.core.errors import ExitCode
from maul.record import RunReader


def wipe(
    run: Annotated[str, typer.Argument(help="A run id, a path, or latest.")] = "latest",
    runs: Annotated[Path, typer.Option("--runs", help="Where runs are kept.")] = Path("runs"),
    permit: Annotated[
        Path | None, typer.Option("--permit", help="A permit instead of the run's own, which may have expired.")
    ] = None,
    trust: Annotated[Path | None, typer.Option("--trust", help=TRUST_HELP)] = None,
) -> int:
    """Delete every object that the ledger of a run says it wrote, under its own prefix; nothing else is touched."""
    wiped = remove(RunReader.open(run, runs), screen.step, permit, trust)
    screen.say(wiped.says)
    return ExitCode.PASS if wiped.left == 0 else ExitCode.FAIL
