"""Generator: the contract of everything that makes load, in this process or on many machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np

from maul.core.exhibit import Exhibit
from maul.core.histogram import LatencyRow
from maul.core.operation import ErrorClass


class GeneratorState(StrEnum):
    """Where a generator stands; it never goes back."""

    READY = "ready"  # not started, or waiting for the moment of its start
    RUNNING = "running"
    DRAINING = "draining"  # no more arrivals; the last operations end
    DONE = "done"


@dataclass(frozen=True, slots=True)
class GeneratorStatus:
    """A snapshot, some hundredths of a second old. At the end, offered = ok + fail + unknown + dropped."""

    state: GeneratorState
    stop_reason: str = ""  # "completed", "lease", "limit:…", "internal: …", or what `stop` was told
    elapsed_s: float = 0.0  # since the schedule's zero
    began_ns: int = 0  # when arrivals really began, Unix ns: the schedule's zero, or later if late; 0 before
    offered: int = 0  # arrivals that came due, without the withheld ones
    withheld: int = 0  # arrivals that came due while throttled, and were left out for it
    started: int = 0
    completed: int = 0  # ok + fail + unknown
    ok: int = 0
    fail: int = 0
    unknown: int = 0
    late: int = 0  # started later than the plan's late_ms after they were due
    dropped: int = 0  # never sent
    in_flight: int = 0
    in_flight_seconds: float = 0.0  # the integral of in_flight: its growth over a stretch of time is the mean there
    backlog: int = 0  # due, waiting for a connection or for a ceiling
    connections: int = 0
    connecting: int = 0  # connections that were begun and do not stand yet
    connect_failed: int = 0  # connections that were begun and never stood; not those that we stopped
    opened: int = 0  # connections that stood, TLS and all
    resumed: int = 0  # of these: continued an earlier TLS session
    ports_exhausted: int = 0  # connections that failed for want of a local port: the generator's limit
    descriptors_exhausted: int = 0  # the same for want of a file descriptor
    bytes_sent: int = 0  # on the wire, above TCP
    bytes_received: int = 0
    cpu_seconds: float = 0.0
    records_lost: int = 0  # operation records thrown away because nobody drained
    ephemeral_next: int = 0  # first ephemeral index that is still free
    versions_used: int = 0
    last_error: str = ""
    errors: Mapping[ErrorClass, int] = field(default_factory=dict)
    error_examples: Mapping[ErrorClass, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drained:
    """What was counted and recorded since the last time; everything comes exactly once."""

    latency: list[LatencyRow]
    operations: np.ndarray  # of OPERATION_DTYPE, in the order of their ends, shard by shard
    exhibits: Sequence[Exhibit] = ()  # errors as they come, the slowest operations at the end


class Generator(Protocol):
    """Carries one plan out, once.

    Must not send before `start`, nor once `join` said True; must fall silent by itself when the plan's lease
    is not renewed; must never block for longer than `join` was told to.
    """

    def start(self, at_ns: int | None = None) -> None:
        """Begin at that moment (Unix ns: the schedule's zero), or now. InternalError when called twice.

        Until then nothing is sent, and the lease must be renewed all the same. If it is past, what was due before now
        is left out and not counted. InternalError when it is more than an hour ahead.
        """
        ...

    def status(self) -> GeneratorStatus:
        """Where it stands."""
        ...

    def drain(self) -> Drained:
        """Take what came since the last call; call it about once per second, and once more when done."""
        ...

    def renew(self, for_s: float | None = None) -> None:
        """Extend the lease to so long from now, at most to the plan's own length; never shortens it.

        A lease that is over stays over.
        """
        ...

    def throttle(self, part: float) -> None:
        """Send only that part (0 to 1) of the arrivals from now on, evenly; the others are counted as withheld.

        Of a closed loop that part of its places stays busy (at least one, unless it is none), and nothing is withheld.
        Its ceilings of rate and bandwidth shrink with it; at 0 nothing new is sent at all. InternalError for no part.
        """
        ...

    def stop(self, reason: str, *, now: bool = False) -> None:
        """No new arrivals; `now` also records what is in flight as STOPPED and aborts all connections, over a second.

        Aborted: nothing that waited to be sent is sent any more, one RST says so. The first reason stays.
        """
        ...

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; True when it came in time. Everything can be drained then."""
        ...
