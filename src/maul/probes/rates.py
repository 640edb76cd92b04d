"""Counters into rates."""

from collections.abc import Hashable
from dataclasses import dataclass

GAP_MAX_NS = 15_000_000_000
"""A counter not read for longer starts afresh: a mean over an outage would hide what happened in it."""


@dataclass(slots=True)
class _Last:
    at_ns: int
    value: float


class Rates:
    """Remembers each counter's last value. Gives None where a rate would be a guess."""

    def __init__(self, gap_max_ns: int = GAP_MAX_NS) -> None:
        """Nothing is known yet."""
        self._gap_max_ns = gap_max_ns
        self._last: dict[Hashable, _Last] = {}

    def per_second(self, key: Hashable, now_ns: int, value: float) -> float | None:
        """The rate since the last reading.

        None at the first one, after a gap, or when the counter ran backwards (its owner restarted).

        >>> rates = Rates()
        >>> rates.per_second("bytes", 0, 100), rates.per_second("bytes", 2_000_000_000, 300)
        (None, 100.0)
        """
        last = self._last.get(key)
        self._last[key] = _Last(now_ns, value)
        if last is None:
            return None
        elapsed_ns = now_ns - last.at_ns
        if not 0 < elapsed_ns <= self._gap_max_ns or value < last.value:
            return None
        return (value - last.value) * 1e9 / elapsed_ns

    def keep_only(self, keys: set[Hashable]) -> None:
        """Forget every counter that is not among `keys`: a loop of restarts must not fill memory."""
        for key in self._last.keys() - keys:
            del self._last[key]
