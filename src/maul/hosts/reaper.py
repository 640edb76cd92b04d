"""The dead-man helper: a process of its own that undoes what maul left behind.

Started by `deadman.py` as `python -m maul.hosts.reaper --journal FILE --parent PID:TICKS --budget-s N
[--lease-s N]`, in its own session, with the read end of a pipe from maul as standard input. On that pipe maul
says `renew` (I live: the lease starts anew) and `disarm` (all is well: go). It undoes every pending entry of
the journal, newest first, when

    the pipe ends without `disarm`   maul died, even by kill -9
    the parent is gone               the pipe is held open by a stranger that inherited it
    the lease ran out                maul hangs (stopped, swapping, dead-locked)
    SIGTERM came                     somebody ends us politely

and it undoes single entries whose deadline has passed, while maul lives. It undoes nothing that the journal
does not name, takes at most `budget-s`, and exits. Standard library and our own standard-library-only
modules, nothing else.
"""

import argparse
import os
import select
import signal
import sys
import time
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from maul.core.clock import SystemClock
from maul.core.errors import MaulError
from maul.hosts.host import ProcessId
from maul.hosts.journal import Entry, UndoJournal
from maul.hosts.local import LocalHost
from maul.hosts.undo import Undone, undo_pending

READY = b"armed\n"
TICK_S = 0.25
RETRY_S = 1.0


class Step(Enum):
    """What the helper does next."""

    WAIT = "wait"
    UNDO_OVERDUE = "undo overdue"
    UNDO_ALL = "undo all"
    GO = "go"


@dataclass(frozen=True, slots=True)
class View:
    """All that the helper knows at one instant. `lease_left_s` is None without a lease."""

    disarmed: bool = False
    pipe_ended: bool = False
    parent_lives: bool = True
    terminated: bool = False
    lease_left_s: float | None = None
    overdue: int = 0


def decide(view: View) -> Step:
    """Pure. A disarmed helper does nothing at all, whatever else it sees."""
    if view.disarmed:
        return Step.GO
    expired = view.lease_left_s is not None and view.lease_left_s <= 0
    if view.pipe_ended or not view.parent_lives or view.terminated or expired:
        return Step.UNDO_ALL
    return Step.UNDO_OVERDUE if view.overdue else Step.WAIT


def is_overdue(entry: Entry, now_ns: int) -> bool:
    """Whether an entry has to be undone although maul lives."""
    return entry.deadline_ns is not None and now_ns >= entry.deadline_ns


class Reaper:
    """The loop around `decide`."""

    def __init__(self, journal: UndoJournal, parent: ProcessId, budget_s: float, lease_s: float | None) -> None:
        """Nothing is looked at yet."""
        self._journal, self._parent, self._budget_s, self._lease_s = journal, parent, budget_s, lease_s
        self._host, self._clock = LocalHost(), SystemClock()
        self._view = View()
        self._renewed = time.monotonic()
        self._tail = b""

    def run(self) -> int:
        """Watch until there is nothing more to do.

        Exit code 0: disarmed or all undone; 1: something is still pending.
        """
        while True:
            self._hear(TICK_S)
            self._look()
            step = decide(self._view)
            if step is Step.GO:
                return 0
            if step is Step.UNDO_OVERDUE:
                self._undo(self._budget_s, overdue_only=True)
                self._hear(RETRY_S)  # what could not be undone is tried again, though not in a hot loop
            elif step is Step.UNDO_ALL:
                return self._undo_all()

    def terminate(self, *_: object) -> None:
        """SIGTERM: undo and go."""
        self._view = replace(self._view, terminated=True)

    def _hear(self, wait_s: float) -> None:
        if self._view.pipe_ended or self._view.disarmed:
            return
        readable, _, _ = select.select([0], [], [], wait_s)
        if not readable:
            return
        heard = os.read(0, 4096)
        *lines, self._tail = (self._tail + heard).split(b"\n")
        if b"renew" in lines:
            self._renewed = time.monotonic()
        self._view = replace(self._view, disarmed=self._view.disarmed or b"disarm" in lines, pipe_ended=heard == b"")

    def _look(self) -> None:
        lease_left = None if self._lease_s is None else self._renewed + self._lease_s - time.monotonic()
        now_ns = self._clock.now_ns()
        self._view = replace(
            self._view,
            parent_lives=self._host.process(self._parent) is not None,
            lease_left_s=lease_left,
            overdue=sum(is_overdue(entry, now_ns) for entry in self._pending()),
        )

    def _pending(self) -> tuple[Entry, ...]:
        try:
            return self._journal.pending()
        except MaulError:
            return ()

    def _undo(self, budget_s: float, overdue_only: bool = False) -> list[Undone]:
        now_ns = self._clock.now_ns()
        results = undo_pending(
            self._journal,
            self._host,
            self._clock,
            budget_s,
            due=lambda entry: not overdue_only or is_overdue(entry, now_ns),
        )
        for result in results:
            mark = "undone" if result.done else "NOT undone"
            sys.stderr.write(f"{mark}: {result.entry.fault} of {result.entry.target}: {result.says}\n")
        return results

    def _undo_all(self) -> int:
        until = time.monotonic() + self._budget_s
        while True:
            results = self._undo(max(0.1, until - time.monotonic()))
            if all(result.done for result in results):
                self._journal.retire()
                return 0
            if time.monotonic() + RETRY_S >= until:
                return 1
            time.sleep(RETRY_S)


def main(argv: list[str]) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="maul.hosts.reaper", description="maul's dead-man helper")
    parser.add_argument("--journal", required=True, type=Path)
    parser.add_argument("--parent", required=True, help="PID:START_TICKS")
    parser.add_argument("--budget-s", required=True, type=float)
    parser.add_argument("--lease-s", type=float)
    options = parser.parse_args(argv)
    pid, _, ticks = options.parent.partition(":")
    reaper = Reaper(UndoJournal(options.journal), ProcessId(int(pid), int(ticks)), options.budget_s, options.lease_s)
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, reaper.terminate)
    os.write(1, READY)
    os.close(1)
    return reaper.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
