"""`maul heal`: finish every undo that a crash left behind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from maul.cli import screen
from maul.core.clock import SystemClock
from maul.core.errors import ExitCode, MaulError
from maul.faults.healing import heal as heal_journal
from maul.faults.healing import journals_in
from maul.hosts.local import LocalHost
from maul.hosts.places import journal_directory, state_directory
from maul.record.audit_chain import INDEX, add_later, known


def heal(
    directory: Annotated[
        Path | None, typer.Option("--journals", help="Where undo journals are kept. Default: maul's state.")
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also heal what a maul that still runs has hurt. Ends its experiment."),
    ] = False,
) -> int:
    """Put back everything that maul hurt and did not heal. Safe at any time, any number of times."""
    journals = journals_in(directory or journal_directory())
    if not journals:
        screen.say("nothing to heal")
        return ExitCode.PASS
    whole = True
    for path in journals:
        try:
            result = heal_journal(path, LocalHost(), SystemClock(), force=force)
        except MaulError as error:  # the other journals are healed all the same
            screen.complain(error.message)
            whole = False
            continue
        _note(path.stem, [f"{one.entry.fault} of {one.entry.target}: {one.says}" for one in result.healed])
        for undone in result.healed:
            screen.say(f"healed   {undone.entry.fault} of {undone.entry.target}: {undone.says}")
        for undone in result.unhealed:
            screen.say(f"UNHEALED {undone.entry.fault} of {undone.entry.target}: {undone.says}")
        if result.in_use_by is not None:
            screen.say(
                f"left     {path.name}: maul with pid {result.in_use_by.pid} still runs (--force heals it anyway)"
            )
        if result.damaged_lines:
            screen.say(
                f"damaged  {path.name}: {result.damaged_lines} lines cannot be read, so the journal stays; "
                "look at what they name, then remove it"
            )
        whole &= result.all_healed
    return ExitCode.PASS if whole else ExitCode.UNHEALED


def _note(run: str, healed: Sequence[str]) -> None:
    """Into the audit log of the run that hurt it, where this machine knows that run."""
    index = state_directory() / INDEX
    try:
        log = next((one.log for one in known(index) if one.run == run), None)
        if log is None:
            return
        for says in healed:
            add_later(index, log.parent, SystemClock().now_ns(), "healed later", says)
    except MaulError as error:  # the healing itself is done
        screen.step(f"audit log: {error.what}")
