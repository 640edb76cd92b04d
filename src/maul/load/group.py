"""Several generators as one: the tenants of a phase, side by side."""

from collections.abc import Sequence

import numpy as np

from maul.core.clock import Clock
from maul.core.generator import Drained, Generator, GeneratorStatus
from maul.core.operation import OPERATION_DTYPE
from maul.core.statuses import COMPLETED, stop_reason, summed


class GeneratorGroup:
    """A generator made of generators. They stand or fall together: when one ends untimely, all others stop, too."""

    def __init__(self, generators: Sequence[Generator], clock: Clock) -> None:
        """At least one; none of them started."""
        self._generators, self._clock = tuple(generators), clock

    def start(self, at_ns: int | None = None) -> None:
        """Begin at one moment, or now, one right after the other. InternalError when called twice."""
        for generator in self._generators:
            generator.start(at_ns)

    def statuses(self) -> tuple[GeneratorStatus, ...]:
        """Where each of them stands, in their order."""
        return tuple(generator.status() for generator in self._generators)

    def status(self) -> GeneratorStatus:
        """Where they stand together: counts added up, the first untimely end's reason, the longest time."""
        return summed(self.statuses())

    def drain(self) -> Drained:
        """Take what came since the last call, of all of them."""
        drained = [generator.drain() for generator in self._generators]
        operations = [one.operations for one in drained if len(one.operations)]
        return Drained(
            [row for one in drained for row in one.latency],
            np.concatenate(operations) if operations else np.empty(0, OPERATION_DTYPE),
            [exhibit for one in drained for exhibit in one.exhibits],
        )

    def renew(self, for_s: float | None = None) -> None:
        """Extend the lease of those that run; stop them when one of them ended untimely."""
        untimely = stop_reason(self.statuses())
        if untimely not in ("", COMPLETED):
            self.stop(untimely)
            return
        for generator in self._generators:
            generator.renew(for_s)

    def throttle(self, part: float) -> None:
        """Send only that part of the arrivals of each of them from now on."""
        for generator in self._generators:
            generator.throttle(part)

    def stop(self, reason: str, *, now: bool = False) -> None:
        """No new arrivals from any of them; `now` also closes all connections."""
        for generator in self._generators:
            generator.stop(reason, now=now)

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of all; True when it came in time."""
        until_ns = self._clock.now_ns() + int(timeout_s * 1e9)
        ended = [generator.join(max(0.0, (until_ns - self._clock.now_ns()) / 1e9)) for generator in self._generators]
        return all(ended)
