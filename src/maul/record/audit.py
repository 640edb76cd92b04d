"""The audit log of a run: `audit.jsonl`, append-only, every line chained to the one before by its hash.

A line is one JSON object: `seq` (from 1), `at` (UTC), `at_ns`, `what`, `name`, `says`, `details`, `prev`, and last
`hash`: the SHA-256 of the line's own bytes before `,"hash"`, closed by a brace. `prev` is the `hash` of the line
before. The first line carries in its `details` the last line of the run before on this machine (`audit_chain`).
"""

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from maul.core.errors import CampaignError
from maul.record.files import write_all

AUDIT = "audit.jsonl"
START = "0" * 64
"""What stands before the first line."""
LINE_BYTES_MAX = 1 << 20
FILE_BYTES_MAX = 1 << 30
_MARK = b',"hash":"'
_TAIL_BYTES = len(_MARK) + 64 + len(b'"}')


@dataclass(frozen=True, slots=True)
class Entry:
    """One line, read back."""

    seq: int
    at_ns: int
    what: str
    name: str
    says: str
    details: Mapping[str, Any]
    prev: str
    hash: str


class Tail(StrEnum):
    """How a log ends."""

    CLOSED = "closed"
    OPEN = "open"  # no end of the run is in it: the run goes on, or died, or somebody cut it after a line
    TORN = "torn"  # the last line was not written to its end: the run died, or the disk did


@dataclass(frozen=True, slots=True)
class Verified:
    """A log that was read to its end, or to where its chain breaks (`broken`: why; empty when it is whole)."""

    entries: tuple[Entry, ...]
    tail: Tail
    broken: str = ""

    @property
    def head(self) -> str:
        """The hash of the last good line: whoever keeps it elsewhere can tell any later change."""
        return self.entries[-1].hash if self.entries else START


ENDED = "run ended"


def line_of(entry: Mapping[str, Any]) -> tuple[bytes, str]:
    """The bytes of a line, and its hash.

    >>> line, digest = line_of({"seq": 1})
    >>> line == b'{"seq":1,"hash":"' + digest.encode() + b'"}\\n'
    True
    """
    body = json.dumps(entry, separators=(",", ":"), ensure_ascii=True, default=str).encode("ascii")
    digest = hashlib.sha256(body).hexdigest()
    return body[:-1] + _MARK + digest.encode() + b'"}\n', digest


class AuditLog:
    """Appends. Every method may be called from any thread; OSError when the disk refuses."""

    def __init__(self, path: Path, seq: int, head: str) -> None:
        """Use `begin` or `resume`."""
        self.path = path
        self._seq, self._head = seq, head
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    @classmethod
    def begin(cls, path: Path) -> "AuditLog":
        """A new log. FileExistsError where there is one: nobody begins a log twice."""
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
        return cls(path, 0, START)

    @classmethod
    def resume(cls, path: Path) -> "AuditLog":
        """The log of a run that is over, to add what is done to it later. CampaignError when its chain is broken.

        A torn last line is ended first: what it was can still be seen, and the chain goes on from the line before it.
        """
        found = verify(path)
        if found.broken:
            raise CampaignError(f"its audit log is broken: {found.broken}", str(path), "look at it: maul audit RUN")
        log = cls(path, found.entries[-1].seq if found.entries else 0, found.head)
        if found.tail is Tail.TORN:
            write_all(log._file, TORN_END)
        return log

    @property
    def head(self) -> str:
        """The hash of the last line."""
        return self._head

    def add(
        self, at_ns: int, what: str, name: str = "", says: str = "", details: Mapping[str, Any] | None = None
    ) -> str:
        """Append one line; its hash."""
        with self._lock:
            entry = {
                "seq": self._seq + 1,
                "at": _utc(at_ns),
                "at_ns": at_ns,
                "what": what,
                "name": name,
                "says": says,
                "details": dict(details or {}),
                "prev": self._head,
            }
            line, digest = line_of(entry)
            if len(line) > LINE_BYTES_MAX:  # nothing of ours is so long; what is, is told by its own hash
                entry["details"] = {"too_long": len(line), "sha256": digest}
                line, digest = line_of(entry)
            write_all(self._file, line)
            self._seq, self._head = self._seq + 1, digest
            return digest

    def sync(self) -> None:
        """Put everything where a loss of power cannot take it."""
        os.fsync(self._file)

    def close(self) -> None:
        """Sync and close. Idempotent; raises nothing."""
        with self._lock:
            if self._file >= 0:
                with contextlib.suppress(OSError):
                    os.fsync(self._file)
                os.close(self._file)
                self._file = -1


TORN_END = b"<torn>\n"
"""Ends a line that a dying run left, when somebody adds to its log later."""


def verify(path: Path) -> Verified:
    """Read a log and hold every line against its hash, its number and the line before it.

    CampaignError when there is none, or it cannot be read.
    """
    entries: list[Entry] = []
    try:
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size > FILE_BYTES_MAX:
                raise CampaignError(f"is larger than {FILE_BYTES_MAX >> 30} GiB: no log of maul", str(path))
            number = 0
            while line := stream.readline(LINE_BYTES_MAX + 1):
                number += 1
                if not line.endswith(b"\n"):
                    if len(line) > LINE_BYTES_MAX:
                        return Verified(tuple(entries), _tail(entries), f"line {number} is longer than any of maul")
                    return Verified(tuple(entries), Tail.TORN)
                if line.endswith(TORN_END):
                    continue
                read = _read(line, entries[-1] if entries else None)
                if isinstance(read, str):
                    return Verified(tuple(entries), _tail(entries), f"line {number} {read}")
                entries.append(read)
    except FileNotFoundError:
        raise CampaignError(
            "there is no audit log", str(path), "it was removed, or an older maul made the run"
        ) from None
    except OSError as error:
        raise CampaignError(f"cannot be read: {error.strerror}", str(path)) from error
    return Verified(tuple(entries), _tail(entries))


def _tail(entries: list[Entry]) -> Tail:
    return Tail.CLOSED if any(entry.what == ENDED for entry in entries) else Tail.OPEN


def _read(line: bytes, before: Entry | None) -> Entry | str:
    """The entry, or what is wrong with the line."""
    cut = len(line) - 1 - _TAIL_BYTES
    if cut <= 0 or line[cut : cut + len(_MARK)] != _MARK or not line.endswith(b'"}\n'):
        return "is not a line of this log"
    digest = line[cut + len(_MARK) : -3].decode("ascii", errors="replace")
    if hashlib.sha256(line[:cut] + b"}").hexdigest() != digest:
        return "was changed: its hash does not fit"
    try:
        data = json.loads(line)
        entry = Entry(**{name: data[name] for name in Entry.__slots__})
    except (ValueError, KeyError, TypeError):
        return "is not a line of this log"
    return _out_of_place(entry, before) or entry


def _out_of_place(entry: Entry, before: Entry | None) -> str:
    if before is None and entry.prev != START:
        return f"is line {entry.seq} of a log whose beginning is missing"
    if before is not None and entry.prev != before.hash:
        return f"does not follow line {before.seq}: lines were removed, added, or put in another order"
    if entry.seq != (1 if before is None else before.seq + 1):
        return f"has number {entry.seq} in a place where it cannot be"
    return ""


def _utc(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
