"""The audit logs of a machine, chained: `audit/runs.jsonl` in maul's state says which runs there were, in order.

Two lines for each run: when its log began, with the hash of its first line and the last line of the run before; and
when it ended, with the hash of its last line (again for whatever is added later: a wipe, a late healing).
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maul.core.errors import CampaignError
from maul.record.audit import AUDIT, AuditLog, Verified, verify
from maul.record.files import disk_error, write_all

INDEX = Path("audit", "runs.jsonl")
"""In maul's state directory."""
_INDEX_BYTES_MAX = 256 << 20


@dataclass(frozen=True, slots=True)
class Known:
    """What the index says of one run. `last`: empty while it has no end."""

    run: str
    log: Path
    first: str
    last: str
    previous: Mapping[str, str] | None


def begin(index: Path | None, run_id: str, log: AuditLog, at_ns: int) -> None:
    """Write the first line of a log, chained to the run before, and enter the run into the index. OSError."""
    if index is None:
        log.add(at_ns, "log began", run_id, "", {"run": run_id, "previous": None})
        return
    index.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(index, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two runs that begin at once follow each other
        before = list(known(index))
        previous = {"run": before[-1].run, "hash": _last_of(before[-1])} if before else None
        first = log.add(at_ns, "log began", run_id, "", {"run": run_id, "previous": previous})
        log.sync()
        row = {"edge": "began", "run": run_id, "log": str(log.path.absolute()), "hash": first, "previous": previous}
        _append(handle, row)
    finally:
        os.close(handle)


def end(index: Path, run_id: str, log: AuditLog) -> None:
    """Enter the last line of a log into the index. OSError."""
    log.sync()
    handle = os.open(index, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _append(handle, {"edge": "ended", "run": run_id, "log": str(log.path.absolute()), "hash": log.head})
    finally:
        os.close(handle)


def known(index: Path) -> Iterator[Known]:
    """Every run of this machine, the oldest first. A torn last line is left out. CampaignError when damaged."""
    rows = _rows(index)
    ends = {row["run"]: row["hash"] for row in rows if row["edge"] == "ended"}
    for row in rows:
        if row["edge"] == "began":
            run = row["run"]
            yield Known(run, Path(row["log"]), row["hash"], ends.get(run, ""), row.get("previous"))


def add_later(index: Path, directory: Path, at_ns: int, what: str, says: str) -> str:
    """Add to the log of a run that is over what is done to it now; the new head.

    Raises CampaignError when it has no log or a broken one, MachineError when it cannot be written.
    """
    log = AuditLog.resume(directory / AUDIT)
    try:
        log.add(at_ns, what, directory.name, says)
        log.sync()
        if any(one.run == directory.name for one in known(index)):
            end(index, directory.name, log)
    except OSError as error:
        raise disk_error(error, log.path) from error
    finally:
        log.close()
    return log.head


def verify_run(index: Path, directory: Path) -> tuple[Verified, tuple[str, ...]]:
    """A run's log, and what speaks against it: its own chain, and what the index of this machine knows of it.

    CampaignError when there is no log.
    """
    found = verify(directory / AUDIT)
    of_run = next((one for one in known(index) if one.run == directory.name), None)
    problems = [found.broken] if found.broken else []
    if of_run is not None and not found.broken:
        problems += _against(of_run, found)
    return found, tuple(problems)


def verify_all(index: Path) -> Iterator[tuple[Known, Verified | None, tuple[str, ...]]]:
    """Each run of this machine, the oldest first: its log (None: gone), and what speaks against it."""
    lines: dict[str, frozenset[str]] = {}
    for place, one in enumerate(known(index)):
        problems: list[str] = []
        found: Verified | None = None
        try:
            found = verify(one.log)
        except CampaignError as error:
            problems.append(f"its log is gone or cannot be read: {error.what}")
        if found is not None:
            problems += [found.broken] if found.broken else _against(one, found)
            lines[one.run] = frozenset(entry.hash for entry in found.entries)
        problems += _follows(one, place == 0, lines)
        yield one, found, tuple(problems)


def _against(one: Known, found: Verified) -> list[str]:
    problems = []
    if not found.entries or found.entries[0].hash != one.first:
        problems.append("its first line is not the one that this machine wrote")
    elif found.entries[0].details.get("previous") != one.previous:
        problems.append("its first line and this machine's index name different runs before it")
    if one.last and one.last != found.head:
        after = any(entry.hash == one.last for entry in found.entries)
        problems.append(
            "lines were added after its end"
            if after
            else f"lines are missing after line {len(found.entries)}: its last line is not the one that was written"
        )
    return problems


def _follows(one: Known, first: bool, lines: Mapping[str, frozenset[str]]) -> list[str]:
    if one.previous is None:
        return [] if first else ["it says that no run came before it"]
    run, digest = one.previous["run"], one.previous["hash"]
    if first or (run in lines and digest not in lines[run]):
        return [f"the run before it, {run}, is not as it was when this one began"]
    return []


def _last_of(one: Known) -> str:
    """The last line of a run: as it was entered, or as its log has it where the run died or goes on."""
    if one.last:
        return one.last
    try:
        return verify(one.log).head
    except CampaignError:
        return one.first


def _rows(index: Path) -> list[dict[str, Any]]:
    try:
        with index.open("rb") as stream:
            text = stream.read(_INDEX_BYTES_MAX)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CampaignError(f"cannot be read: {error.strerror}", str(index)) from error
    rows = []
    for number, line in enumerate(text.split(b"\n")[:-1], 1):
        try:
            row = json.loads(line)
            rows.append({**row, "edge": row["edge"], "run": row["run"], "log": row["log"], "hash": row["hash"]})
        except (ValueError, KeyError, TypeError) as error:
            raise CampaignError(
                f"line {number} of the index of this machine's runs is damaged",
                str(index),
                "keep it for whoever looks into it, and move it away: the next run begins a new chain",
            ) from error
    return rows


def _append(handle: int, row: Mapping[str, Any]) -> None:
    write_all(handle, json.dumps(row, separators=(",", ":")).encode() + b"\n")
    os.fsync(handle)
