"""A lookout that knocks from a host of the site: `s3.patrol`, carried there as text. That host needs Python 3.9 only.

Each second one short command tells the patrol that we live, and brings what it said since. Without that it ends by
itself within seconds, and takes its folder with it, so there is nothing to heal when this process is killed.
"""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from typing import Any

from maul.core.clock import Clock
from maul.core.errors import MachineError, MaulError
from maul.core.vantage import Question
from maul.hosts.host import Host, ProcessId, SpawnSpec
from maul.s3 import doorstep, patrol, tcp_line
from maul.s3.knock import attempt_of, may_be_asked
from maul.s3.own_thread import OwnThread
from maul.s3.tcp_line import Gate

LEASE_S = 10.0
_RUN_S = 5.0
_LISTEN_S = 1.0
_AGAIN_S = 10.0
"""Before it is started anew, when it could not be, or ended."""
_TOLD_BYTES_MAX = 1_000_000
_ASKED_MAX_S = 20.0
_PACKAGE = "doorstep"
_LOOKED_AT_EACH = 10
"""So often is it heard before it is looked whether it runs at all, while it says nothing."""
# That we live; a clock to hold its clock against; then what it said from byte $3 on.
_HEAR = '[ -e "$1" ] && touch "$1" || exit 1; date +%s%N; tail -c "+$3" "$2" | head -c "$4"'


@dataclass(frozen=True, slots=True)
class Job:
    """What a patrol does: its routine question each `every_s`, for `for_s` at most; `python`: its name there."""

    routine: Question
    gates: Mapping[str, Gate]
    every_s: float
    for_s: float
    python: str = "python3"


@dataclass(slots=True)
class _Patrol:
    """One that runs: where, who, and how much of what it said was read."""

    folder: Path
    process: ProcessId
    read_bytes: int = 0
    silent: int = 0
    complaint: str = ""


class HostLookout(OwnThread):
    """Satisfies `Lookout`; its thread does all that may wait. `missing` says why nothing comes."""

    def __init__(self, job: Job, host: Host, clock: Clock) -> None:
        """Begins at once. `host` stays open while this does, and is closed by whoever opened it."""
        super().__init__(f"lookout-{job.routine.who}")
        self._job, self._host, self._clock = job, host, clock
        self.missing = ""
        self._asked: tuple[int, Question, float] | None = None
        self._number = 0
        self._new_orders = False
        self._patrol: _Patrol | None = None
        self._thread.start()

    def ask(self, question: Question) -> bool:
        """See `Lookout`."""
        routine = self._job.routine
        ours = (question.vantage, question.who) == (routine.vantage, routine.who)
        with self._changed:
            going_on = self._asked is not None and time.monotonic() < self._asked[2]
            if not ours or not may_be_asked(self._job.gates, question) or going_on or self._over:
                return False
            self._number += 1
            self._asked = (self._number, question, time.monotonic() + _ASKED_MAX_S)
            self._new_orders = True
            self._changed.notify()
        return True

    def quiet(self, wanted: bool) -> None:
        """See `Lookout`."""
        with self._changed:
            self._new_orders = True
            super().quiet(wanted)

    # -- its thread ------------------------------------------------------------------------------------------------

    def _go(self) -> None:
        while not self._over:
            try:
                self._patrol = self._start()
                self.missing = ""
                self._attend(self._patrol)
            except (MaulError, OSError, ValueError, KeyError, TypeError) as error:
                self.missing = error.message if isinstance(error, MaulError) else f"{type(error).__name__}: {error}"
            self._end()
            self._pause(_AGAIN_S)

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._changed:
            while not self._over and (left_s := until - time.monotonic()) > 0:
                self._changed.wait(left_s)

    def _start(self) -> _Patrol:
        made = self._host.run(("mktemp", "-d", "-t", "maul-knock.XXXXXXXX"), _RUN_S)
        if made.code != 0:
            raise MachineError(made.stderr.decode(errors="replace").strip() or "no temporary folder could be made")
        folder = Path(made.stdout.decode().strip())
        package = folder / _PACKAGE
        self._host.run(("mkdir", str(package)), _RUN_S)
        self._host.write_bytes(package / "__init__.py", b"")
        for module in (tcp_line, doorstep, patrol):
            source = Path(str(module.__file__))
            self._host.write_bytes(package / source.name, source.read_bytes())
        job = {
            "gates": {name: patrol.words_of(gate) for name, gate in self._job.gates.items()},
            "endpoint": self._job.routine.endpoint,
            "every_s": self._job.every_s,
            "for_s": self._job.for_s,
            "lease_s": LEASE_S,
        }
        self._host.write_bytes(folder / patrol.JOB, json.dumps(job).encode(), 0o600)
        self._write_orders(folder)
        argv = (self._job.python, "-E", "-s", "-B", "-m", f"{_PACKAGE}.patrol", str(folder))
        log, env = folder / "told", {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
        return _Patrol(folder, self._host.spawn(SpawnSpec(argv, folder, log, env)))

    def _attend(self, running: _Patrol) -> None:
        """Until it ends, or is over here."""
        while not self._over:
            if self._new_orders:
                self._write_orders(running.folder)
            for words in self._hear(running):
                self._told(words)
            with self._changed:
                if not self._new_orders and not self._over:
                    self._changed.wait(_LISTEN_S)

    def _write_orders(self, folder: Path) -> None:
        with self._changed:
            self._new_orders = False
            orders: dict[str, Any] = {"quiet": self._quiet, "ask": {}}
            if self._asked is not None:
                number, question, _ = self._asked
                asked = {"id": number, "endpoint": question.endpoint, "port": question.port, "large": question.large}
                orders["ask"] = asked
        self._host.write_bytes(folder / patrol.ORDERS, json.dumps(orders).encode())

    def _hear(self, running: _Patrol) -> Iterator[Mapping[str, Any]]:
        """What it said since, each with `at_ns` of our clock. MachineError when it is gone."""
        files = (str(running.folder / patrol.ORDERS), str(running.folder / "told"))
        words = (*files, str(running.read_bytes + 1), str(_TOLD_BYTES_MAX))
        asked_ns = self._clock.now_ns()
        done = self._host.run(("/bin/sh", "-c", _HEAR, "sh", *words), _RUN_S)
        if done.code != 0 or done.timed_out:
            raise MachineError("its patrol ended, or it cannot be heard", cure="is Python 3.9 or newer there?")
        clock, _, told = done.stdout.partition(b"\n")
        # half way between asking and hearing; a `date` without nanoseconds says nothing of a clock's error
        ahead_ns = int(clock) - (asked_ns + self._clock.now_ns()) // 2 if clock.isdigit() and len(clock) > 15 else 0
        whole = told[: told.rfind(b"\n") + 1]
        running.read_bytes += len(whole)
        found = [line for line in whole.splitlines() if line.startswith(b"{")]
        for line in found:
            seen = json.loads(line)
            yield {**seen, "at_ns": int(seen["at_ns"]) - ahead_ns}
        self._look_after(running, told.decode(errors="replace") if not found else "")

    def _look_after(self, running: _Patrol, complaint: str) -> None:
        """MachineError when it runs no more. `complaint`: what it said that was no attempt."""
        running.complaint = complaint or running.complaint
        running.silent += 1
        if (complaint or running.silent % _LOOKED_AT_EACH == 0) and self._host.process(running.process) is None:
            raise MachineError(f"its patrol ended: {running.complaint.strip()[-300:]}")

    def _told(self, words: Mapping[str, Any]) -> None:
        question = self._job.routine
        with self._changed:
            if words["id"]:
                if self._asked is None or self._asked[0] != words["id"]:
                    return  # asked so long ago that somebody else may have been asked instead
                question, self._asked = self._asked[1], None
        self._came.append(attempt_of(words, question, int(words["at_ns"])))

    def _end(self) -> None:
        running, self._patrol = self._patrol, None
        if running is not None:
            with contextlib.suppress(MaulError, OSError):
                self._host.signal(running.process, SIGTERM)
                self._host.run(("rm", "-rf", "--", str(running.folder)), _RUN_S)
