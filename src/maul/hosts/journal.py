"""The undo journal: what must be put back, on disk before the harm is done.

One JSON object a line, append only, fsynced:

    {"owner": {"pid": 71, "start_ticks": 9000}, "at_ns": …}                           who writes; first line
    {"id": "5f…", "at_ns": …, "fault": "process.kill", "target": "volume-r1-1",
     "undo": {"kind": "spawn", …}, "deadline_ns": …}                                  harm is about to be done
    {"done": "5f…", "at_ns": …, "says": "…"}                                          undone

A line that does not parse is one that was being written when its writer died: then either its harm had not
begun, or its undo had ended (undoing twice is harmless). It is counted, never guessed at.
"""

import contextlib
import errno
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maul.core.clock import Clock, SystemClock
from maul.core.errors import MachineError
from maul.hosts.host import ProcessId
from maul.hosts.undo_kinds import Undo, undo_from_json, undo_to_json

_LOCK_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Entry:
    """One harm and its undo.

    After `deadline_ns` (Unix time) the dead-man helper undoes it even while maul lives.
    """

    id: str
    at_ns: int
    fault: str
    target: str
    undo: Undo
    deadline_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Contents:
    """A journal as read: what is pending (oldest first), what is done, whose it is, and how many lines are
    damaged.
    """

    owner: ProcessId | None
    pending: tuple[Entry, ...]
    done: tuple[str, ...]
    damaged_lines: int


def parse(text: str) -> Contents:
    """Fold the lines of a journal. Unknown kinds of undo count as damaged lines: nothing may be guessed."""
    owner, entries, done, damaged = None, {}, [], 0
    for line in filter(None, text.split("\n")):
        try:
            data: dict[str, Any] = json.loads(line)
            if "done" in data:
                done.append(str(data["done"]))
            elif "owner" in data:
                owner = ProcessId(int(data["owner"]["pid"]), int(data["owner"]["start_ticks"]))
            else:
                entry = _entry(data)
                entries[entry.id] = entry
        except (ValueError, KeyError, TypeError, AttributeError):
            damaged += 1
    undone = set(done)
    pending = tuple(entry for entry in entries.values() if entry.id not in undone)
    return Contents(owner, pending, tuple(done), damaged)


class UndoJournal:
    """An append-only file.

    Never rewrites a line, never drops one; a write that fails leaves the file as it was.
    """

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        """Nothing is written yet; the file may exist already (then this continues it)."""
        self.path = path
        self._clock = clock or SystemClock()

    def claim(self, owner: ProcessId) -> None:
        """Say whose journal this is: while that process lives, `maul heal` leaves the journal to it."""
        self._append({"owner": {"pid": owner.pid, "start_ticks": owner.start_ticks}, "at_ns": self._clock.now_ns()})

    def record(self, fault: str, target: str, undo: Undo, deadline_ns: int | None = None) -> Entry:
        """Write how to undo a harm.

        When this returns it is on disk; when it raises, do no harm (MachineError).
        """
        entry = Entry(secrets.token_hex(8), self._clock.now_ns(), fault, target, undo, deadline_ns)
        self._append(
            {
                "id": entry.id,
                "at_ns": entry.at_ns,
                "fault": fault,
                "target": target,
                "undo": undo_to_json(undo),
                "deadline_ns": deadline_ns,
            }
        )
        return entry

    def done(self, entry_id: str, says: str = "") -> None:
        """Write that an entry is undone. A second time is harmless."""
        self._append({"done": entry_id, "at_ns": self._clock.now_ns(), "says": says})

    def contents(self) -> Contents:
        """Read it anew: another process may have undone something meanwhile."""
        try:
            return parse(self.path.read_text(encoding="utf-8", errors="replace"))
        except FileNotFoundError:
            return Contents(None, (), (), 0)
        except OSError as error:
            raise MachineError(f"cannot read the undo journal: {error.strerror}", str(self.path)) from error

    def pending(self) -> tuple[Entry, ...]:
        """What is not undone yet, oldest first."""
        return self.contents().pending

    def retire(self) -> bool:
        """Remove the file when nothing in it is pending. False when something is."""
        if self.pending():
            return False
        self.path.unlink(missing_ok=True)
        return True

    @contextlib.contextmanager
    def lock(self, timeout_s: float) -> Iterator[None]:
        """Hold the journal while an entry is undone: maul and its dead-man helper must not both restart a
        process.

        The kernel lets go of it when the holder dies. MachineError when it stays taken for `timeout_s`.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            yield  # no journal: nothing is pending, nothing to quarrel about
            return
        try:
            for _ in range(max(1, round(timeout_s / _LOCK_POLL_S))):
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self._clock.wait(_LOCK_POLL_S)
            else:
                raise MachineError(f"another process holds this journal for {timeout_s:g} s", str(self.path))
            yield
        finally:
            os.close(descriptor)

    def _append(self, data: dict[str, Any]) -> None:
        try:
            self._append_or_leave(json.dumps(data).encode() + b"\n")
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise MachineError(
                f"cannot write the undo journal: {error.strerror}; no harm is done without it",
                str(self.path),
                "make room on that disk" if full else "",
            ) from error

    def _append_or_leave(self, line: bytes) -> None:
        new = not self.path.exists()
        if new:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # after a torn line, so that this one stays whole
            written = os.write(descriptor, line)
            if written != len(line):
                # Take the half line back, unless somebody wrote behind it.
                if os.fstat(descriptor).st_size == size + written:
                    os.ftruncate(descriptor, size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            _sync_directory(self.path.parent)
            _sync_directory(self.path.parent.parent)


def _entry(data: dict[str, Any]) -> Entry:
    deadline = data.get("deadline_ns")
    return Entry(
        id=str(data["id"]),
        at_ns=int(data["at_ns"]),
        fault=str(data["fault"]),
        target=str(data["target"]),
        undo=undo_from_json(data["undo"]),
        deadline_ns=None if deadline is None else int(deadline),
    )


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
