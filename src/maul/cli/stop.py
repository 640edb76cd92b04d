"""`maul stop [RUN]`: pull the kill switch of a run that goes on on this machine."""

import getpass
import json
import platform
from pathlib import Path
from typing import Annotated

import typer

from maul.cli import screen
from maul.conduct.kill import EVENT, STOP_FILE
from maul.core.clock import SystemClock
from maul.core.errors import CampaignError, MachineError
from maul.core.event import EventKind
from maul.record import RunReader
from maul.record.files import disk_error, write_whole

_ANSWER_S = 10.0
_LOOK_EVERY_S = 0.1


def stop(
    run: Annotated[str, typer.Argument(help="A run id, a path, or latest.")] = "latest",
    why: Annotated[str, typer.Option("--why", help="A reason, for the record.")] = "",
    runs: Annotated[Path, typer.Option("--runs", help="Where runs are kept.")] = Path("runs"),
) -> int:
    """Stop a run at once: sockets are closed, faults healed, and the record says who it was. The run exits with 5."""
    reader = RunReader.open(run, runs)
    if not reader.running:
        raise CampaignError(
            "the run is over: there is nothing to stop", str(reader.path), "Faults of a killed run: maul heal."
        )
    who = f"maul stop by {getpass.getuser()} on {platform.node()}" + (f": {why}" if why else "")
    try:
        write_whole(reader.path / STOP_FILE, f"{who}\n".encode())
    except OSError as error:
        raise disk_error(error, reader.path) from error
    clock = SystemClock()
    for _ in range(int(_ANSWER_S / _LOOK_EVERY_S)):
        clock.wait(_LOOK_EVERY_S)
        said = _heard(reader.path)
        if said is not None:
            screen.say(said)
            return 0
    raise MachineError(
        f"the run did not answer within {_ANSWER_S:g} s",
        str(reader.path),
        f"End its process{_pid_of(reader)} with kill -9: its load ends within 5 s by its lease. Then: maul heal.",
    )


def _heard(path: Path) -> str | None:
    """What the run recorded of the pull; None: nothing yet."""
    reader = RunReader.open(path)
    for event in reader.events().to_pylist():
        if event["kind"] == EventKind.GUARD and event["name"] == EVENT and "pulled_ns" in event["details"]:
            return str(event["says"])
    return None if reader.running else "the run is over"


def _pid_of(reader: RunReader) -> str:
    for event in reader.events().to_pylist():
        if event["kind"] == EventKind.RUN and (pid := json.loads(event["details"] or "{}").get("pid")):
            return f" ({pid})"
    return ""
