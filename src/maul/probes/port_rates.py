"""Counters of a port into rates, over wraps and restarts."""

from collections.abc import Hashable
from dataclasses import dataclass

WRAP_SLACK = 1.1
"""A wrap is believed where it leaves no more than this times what the port can do at all."""


@dataclass(slots=True)
class _Last:
    at_ns: int
    value: float


class PortRates:
    """Remembers each counter's last value and when it was true. Gives None where a rate would be a guess."""

    def __init__(self, gap_max_ns: int) -> None:
        """A counter that is not read for longer than `gap_max_ns` starts afresh."""
        self._gap_max_ns = gap_max_ns
        self._last: dict[Hashable, _Last] = {}

    def per_second(self, key: Hashable, at_ns: int, value: float, bits: int, most_per_s: float) -> float | None:
        """The rate since the last value that was true at another time.

        None at the first one, when nothing newer came, after a gap, and when the counter began anew. A counter that
        ran backwards is taken to have wrapped only if it is a 32-bit one and the rate is then one that the port can do
        (`most_per_s`): a switch that restarted must not look like a burst.

        >>> rates = PortRates(10**10)
        >>> rates.per_second("in", 0, 2**32 - 100, 32, 1e6), rates.per_second("in", 10**9, 100, 32, 1e6)
        (None, 200.0)
        """
        last = self._last.get(key)
        if last is not None and at_ns <= last.at_ns:
            return None
        self._last[key] = _Last(at_ns, value)
        if last is None or at_ns - last.at_ns > self._gap_max_ns:
            return None
        grown, seconds = value - last.value, (at_ns - last.at_ns) / 1e9
        if grown < 0 and bits == 32:
            grown += 2.0**32
            if grown / seconds > most_per_s * WRAP_SLACK:
                return None
        return grown / seconds if grown >= 0 else None
