"""What can be put back, as data: the `undo` of a journal entry.

Each kind is one dataclass; JSON in, JSON out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maul.hosts.host import ProcessId


@dataclass(frozen=True, slots=True)
class UndoSpawn:
    """Start a process again as its pidfile tells, unless it lives.

    No pidfile: it was taken down since; leave it.
    """

    pidfile: Path


@dataclass(frozen=True, slots=True)
class UndoSignal:
    """Send a signal (SIGCONT after SIGSTOP) to exactly this process, if it still is."""

    process: ProcessId
    signal_number: int


@dataclass(frozen=True, slots=True)
class UndoKill:
    """End every process that a pidfile (`*.json`) in this directory names: asked first, killed after
    `grace_s`.
    """

    pidfiles: Path
    grace_s: float


@dataclass(frozen=True, slots=True)
class UndoVacate:
    """End every process in the network namespaces that the holders of this directory keep open, the holders too:
    what was started in there by hand and by its children has no pidfile.
    """

    holders: Path
    grace_s: float


@dataclass(frozen=True, slots=True)
class UndoRemove:
    """Remove these names from a directory that carries `marker`; then the marker; then it, if empty.

    What somebody else put there stays.
    """

    directory: Path
    marker: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UndoRun:
    """Run a command in the namespaces that this process holds open. It must be one that may run twice.

    The holder is gone: so are its namespaces, and what was changed in there.
    """

    holder: ProcessId
    argv: tuple[str, ...]


SingleUndo = UndoSpawn | UndoSignal | UndoKill | UndoVacate | UndoRemove | UndoRun


@dataclass(frozen=True, slots=True)
class UndoSeries:
    """Several, in this order, under one hold of the journal's lock; one that fails ends it.

    Ending processes and removing their files must be one: between the two, somebody could restart a process.
    """

    undos: tuple[SingleUndo, ...]


Undo = SingleUndo | UndoSeries


def undo_to_json(undo: Undo) -> dict[str, Any]:  # noqa: PLR0911 — one for each kind
    """One JSON-able object with its `kind`."""
    match undo:
        case UndoSpawn(pidfile):
            return {"kind": "spawn", "pidfile": str(pidfile)}
        case UndoSignal(process, number):
            return {
                "kind": "signal",
                "pid": process.pid,
                "start_ticks": process.start_ticks,
                "signal": number,
            }
        case UndoKill(pidfiles, grace_s):
            return {"kind": "kill", "pidfiles": str(pidfiles), "grace_s": grace_s}
        case UndoVacate(holders, grace_s):
            return {"kind": "vacate", "holders": str(holders), "grace_s": grace_s}
        case UndoRun(holder, argv):
            return {"kind": "run", "pid": holder.pid, "start_ticks": holder.start_ticks, "argv": list(argv)}
        case UndoRemove(directory, marker, names):
            return {"kind": "remove", "directory": str(directory), "marker": marker, "names": list(names)}
        case UndoSeries(undos):
            return {"kind": "series", "undos": [undo_to_json(single) for single in undos]}


def undo_from_json(data: dict[str, Any]) -> Undo:
    """The reverse; ValueError for a kind that this maul does not know, KeyError for a missing part."""
    if data["kind"] == "series":
        return UndoSeries(tuple(_single_from_json(single) for single in data["undos"]))
    return _single_from_json(data)


def _single_from_json(data: dict[str, Any]) -> SingleUndo:
    match data["kind"]:
        case "spawn":
            return UndoSpawn(Path(data["pidfile"]))
        case "signal":
            return UndoSignal(ProcessId(int(data["pid"]), int(data["start_ticks"])), int(data["signal"]))
        case "kill":
            return UndoKill(Path(data["pidfiles"]), float(data["grace_s"]))
        case "vacate":
            return UndoVacate(Path(data["holders"]), float(data["grace_s"]))
        case "run":
            holder = ProcessId(int(data["pid"]), int(data["start_ticks"]))
            return UndoRun(holder, tuple(str(word) for word in data["argv"]))
        case "remove":
            names = tuple(str(name) for name in data["names"])
            if any("/" in name or name in ("", ".", "..") for name in (*names, str(data["marker"]))):
                raise ValueError("only names inside the directory may be removed")
            return UndoRemove(Path(data["directory"]), str(data["marker"]), names)
        case unknown:
            raise ValueError(f"{unknown!r} is not a kind of undo that this maul knows")
