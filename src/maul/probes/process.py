"""What each process takes, from /proc/PID (proc_pid_stat(5))."""

import json
import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from maul.core.sample import Sample
from maul.probes.contract import ProbeError, ProcessTarget
from maul.probes.rates import Rates

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
# positions after the closing parenthesis of the command
_STATE, _UTIME, _STIME, _THREADS, _START, _RSS = 0, 11, 12, 17, 19, 21
_PIDFILE_BYTES_MAX = 1 << 20


class _GoneError(Exception):
    """The process cannot be read, and why."""


@dataclass(frozen=True, slots=True)
class _Stat:
    cpu_ticks: int
    threads: int
    start_ticks: int
    rss_bytes: int


class ProcessProbe:
    """`cpu_ratio` (1.0 is one core), `rss_bytes`, `threads`, `open_files` of each named process.

    Who carries a name is asked again at every reading: a restarted service is followed, and
    its counters start anew. A process that is not there is a gap of its name, not of the probe.
    """

    name = "process"

    def __init__(self, targets: Sequence[ProcessTarget], proc: Path = Path("/proc"), host: str = "local") -> None:
        """Watch these, by name."""
        self._targets = tuple(targets)
        self._proc = proc
        self._host = host
        self._rates = Rates()
        self._missing: dict[str, str] = {}

    @property
    def missing(self) -> Mapping[str, str]:
        """Names whose process was not there at the last reading."""
        return self._missing

    def read(self, now_ns: int) -> list[Sample]:
        """One reading of every process that lives. Never raises for a dead one."""
        self._missing = {}
        samples: list[Sample] = []
        alive: set[Hashable] = set()
        for target in self._targets:
            try:
                pid, stat = self._stat(target)
            except _GoneError as gone:
                self._missing[target.subject] = str(gone)
                continue
            incarnation = (target.subject, pid, stat.start_ticks)
            alive.add(incarnation)
            values: dict[str, float] = {"rss_bytes": stat.rss_bytes, "threads": stat.threads}
            ticks_per_s = self._rates.per_second(incarnation, now_ns, stat.cpu_ticks)
            if ticks_per_s is not None:
                values["cpu_ratio"] = ticks_per_s / _TICKS_PER_S
            try:
                values["open_files"] = len(os.listdir(self._proc / str(pid) / "fd"))  # noqa: PTH208 (three times faster)
            except OSError as error:
                # another user's process tells everything but this
                self._missing[f"{target.subject} open_files"] = error.strerror or str(error)
            subject = target.subject
            samples += [Sample(now_ns, self.name, m, subject, v, self._host) for m, v in values.items()]
        self._rates.keep_only(alive)
        return samples

    def _stat(self, target: ProcessTarget) -> tuple[int, _Stat]:
        pid, start_ticks = _identity(target)
        try:
            text = (self._proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError as error:  # ESRCH: it died between open and read
            raise _GoneError(f"process {pid} is not running") from error
        # the command may hold spaces and parentheses of its own
        fields = text.rpartition(")")[2].split()
        stat = _Stat(
            cpu_ticks=int(fields[_UTIME]) + int(fields[_STIME]),
            threads=int(fields[_THREADS]),
            start_ticks=int(fields[_START]),
            rss_bytes=int(fields[_RSS]) * _PAGE_BYTES,
        )
        if start_ticks is not None and stat.start_ticks != start_ticks:
            raise _GoneError(f"process {pid} is another one by now")
        if fields[_STATE] in "ZX":
            raise _GoneError(f"process {pid} is dead")
        return pid, stat


def _identity(target: ProcessTarget) -> tuple[int, int | None]:
    """Who carries the name now: pid, and start ticks if they are known."""
    if target.identity is not None:
        identity = target.identity()
        if identity is None:
            raise _GoneError("it is not running")
        return identity
    if target.pidfile is None:
        raise ProbeError(f"nothing says which process {target.subject} is", target.subject)
    try:
        with target.pidfile.open(encoding="utf-8") as file:
            content = json.loads(file.read(_PIDFILE_BYTES_MAX))
        if isinstance(content, dict):
            return int(content["pid"]), int(content["start_ticks"])
        return int(content), None
    except OSError as error:
        raise _GoneError(f"no pid file ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        # a file half written is a moment without knowledge, not a bug
        raise _GoneError("the pid file is not readable as one") from error


def own_process(subject: str = "maul") -> ProcessTarget:
    """This very process."""
    pid = os.getpid()
    text = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
    start_ticks = int(text.rpartition(")")[2].split()[_START])
    return ProcessTarget(subject, identity=lambda: (pid, start_ticks))
