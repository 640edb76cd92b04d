"""Time, passed in. Every time in a record is a Unix time in nanoseconds from one of these clocks."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits. Never jumps backwards."""

    def now_ns(self) -> int:
        """Unix time in nanoseconds."""
        ...

    def wait(self, seconds: float, stop: threading.Event | None = None) -> bool:
        """Wait; True when `stop` was set meanwhile."""
        ...


class SystemClock:
    """Wall-clock time at construction, carried forward by CLOCK_MONOTONIC: a clock step cannot bend a run."""

    def __init__(self) -> None:
        """Anchor the two clocks to each other."""
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ns(self) -> int:
        """Unix time in nanoseconds."""
        return time.monotonic_ns() + self._offset_ns

    def wait(self, seconds: float, stop: threading.Event | None = None) -> bool:
        """Wait; True when `stop` was set meanwhile."""
        if stop is None:
            time.sleep(max(0.0, seconds))
            return False
        return stop.wait(max(0.0, seconds))


class FakeClock:
    """A clock for tests: time passes only when somebody waits."""

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        """Start at `now_ns`."""
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Unix time in nanoseconds."""
        return self._now_ns

    def wait(self, seconds: float, stop: threading.Event | None = None) -> bool:
        """Advance at once."""
        self._now_ns += int(seconds * 1e9)
        return stop is not None and stop.is_set()
