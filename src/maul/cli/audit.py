"""`maul audit RUN`: what maul sent, broke and healed, and whether that account is whole."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from maul.cli import screen
from maul.core.errors import ExitCode
from maul.core.units import show_size
from maul.hosts.places import state_directory
from maul.record import locate_run
from maul.record.audit import Entry, Tail, Verified
from maul.record.audit_chain import INDEX, verify_all, verify_run


def audit(
    run: Annotated[str, typer.Argument(help="A run id, a path, or latest.")] = "latest",
    runs: Annotated[Path, typer.Option("--runs", help="Where runs are kept.")] = Path("runs"),
    everything: Annotated[
        bool, typer.Option("--all", help="Every run of this machine, and how they follow each other.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The entries as they are, a line each.")] = False,
) -> int:
    """Verify a run's audit log and print it. Exit 0: whole; 1: its chain is broken; 2: whole, and without an end."""
    index = state_directory() / INDEX
    if everything:
        return _all(index)
    found, problems = verify_run(index, locate_run(run, runs))
    for entry in found.entries:
        screen.say(json.dumps(_as_data(entry)) if as_json else _line(entry))
    for says in problems:
        screen.complain(f"BROKEN: {says}")
    if not problems:
        screen.step(f"{len(found.entries)} lines, whole; {_tail(found)}; head {found.head}")
    return _code(found, bool(problems))


def _all(index: Path) -> int:
    worst = int(ExitCode.PASS)
    count = 0
    for known, found, problems in verify_all(index):
        count += 1
        words = "; ".join(problems) or (f"whole, {_tail(found)}" if found else "")
        screen.say(f"{'BROKEN' if problems else 'ok    '} {known.run}: {words} ({known.log.parent})")
        if problems:
            worst = int(ExitCode.FAIL)
    screen.say(f"{count} runs on this machine")
    return worst


def _code(found: Verified, broken: bool) -> int:
    if broken:
        return ExitCode.FAIL
    return ExitCode.PASS if found.tail is Tail.CLOSED else ExitCode.UNKNOWN


def _tail(found: Verified) -> str:
    return {
        Tail.CLOSED: "the run ended",
        Tail.OPEN: "no end of the run is in it: it goes on, or died",
        Tail.TORN: "its last line is torn: the run died while it wrote",
    }[found.tail]


def _line(entry: Entry) -> str:
    at = datetime.fromtimestamp(entry.at_ns / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]
    told = _details(entry)
    return f"{entry.seq:>5}  {at}  {entry.what:<16} {entry.name}{f': {entry.says}' if entry.says else ''}{told}"


def _details(entry: Entry) -> str:
    sent = entry.details.get("sent")
    if isinstance(sent, dict) and sent:
        return (
            f" ({sent.get('started', 0):,} sent, {sent.get('ok', 0):,} ok; {show_size(sent.get('bytes_sent', 0))} out, "
            f"{show_size(sent.get('bytes_received', 0))} in)"
        )
    names = ("plan", "permit", "target", "generators")
    shown = {name: entry.details[name] for name in names if entry.details.get(name)}
    return "".join(f"\n{'':>30}{name} {_shown(value)}" for name, value in shown.items())


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _as_data(entry: Entry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in Entry.__slots__}
