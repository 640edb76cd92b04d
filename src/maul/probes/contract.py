"""What every probe is: the contract, the error, and the things that a probe may be pointed at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from maul.core.errors import MachineError, MaulError
from maul.core.sample import Sample

Fetch = Callable[[str, float], bytes]
"""`fetch(url, timeout_s)`: the body of one HTTP GET. Raises MaulError or OSError."""


class ProbeError(MachineError):
    """The probe could not read what it senses. There is no value for this moment: a gap."""


def why_not(error: MaulError | OSError | ValueError) -> str:
    """Why a reading failed, in words, for `Probe.missing`."""
    if isinstance(error, MaulError):
        return error.what
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def refuse_all_missing(missing: Mapping[str, str], count: int) -> None:
    """ProbeError when all of `count` subjects are missing."""
    if count and len(missing) == count:
        raise ProbeError("; ".join(f"{subject}: {says}" for subject, says in missing.items()))


class Probe(Protocol):
    """One sense.

    Must never change anything, never block longer than its budget (2 s for a probe that fetches, a few
    milliseconds otherwise), and never return an old value: it raises ProbeError when it can read nothing at
    all, and names in `missing` each subject that it could not read this time. It gives nothing for a rate at
    its first reading.
    """

    name: str

    @property
    def missing(self) -> Mapping[str, str]:
        """The subjects that the last `read` could not read, and why, in words."""
        ...

    def read(self, now_ns: int) -> list[Sample]:
        """Read once. `now_ns` is the Unix time that the samples carry. Raises ProbeError or OSError."""
        ...


@dataclass(frozen=True, slots=True)
class ProcessTarget:
    """A process to watch: who it is now is asked again at every reading, so that a restart is followed.

    `identity` gives (pid, start ticks) or None when it does not run; `pidfile` is the lab's JSON with `pid`
    and `start_ticks`, or a bare number. Exactly one of the two is given.
    """

    subject: str
    pidfile: Path | None = None
    identity: Callable[[], tuple[int, int] | None] | None = None


@dataclass(frozen=True, slots=True)
class MetricsTarget:
    """A service that tells of itself over HTTP. `role` is master, volume, filer, gateway or balancer."""

    subject: str
    role: str
    url: str
    host: str = "local"
