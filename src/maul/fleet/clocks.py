"""Another machine's clock against ours, from round trips: the shortest one says most."""

from collections.abc import Iterable

from maul.fleet.words import ClockReading

ROUND_TRIPS = 8
DRIFT_PPM = 500.0
"""How far two clocks may run apart; a quartz is good to 100, a clock that NTP is setting is slewed by up to 500."""
ERROR_MAX_NS = 100_000_000
"""An agent whose clock cannot be told to a tenth of a second is left out."""


def reading(asked_ns: int, theirs_ns: int, answered_ns: int) -> ClockReading:
    """From one round trip: their clock was read somewhere between question and answer.

    >>> reading(100, 1_100, 120)
    ClockReading(offset_ns=990, error_ns=11, at_ns=110)
    """
    middle_ns = (asked_ns + answered_ns) // 2
    return ClockReading(theirs_ns - middle_ns, (answered_ns - asked_ns) // 2 + 1, middle_ns)


def best(readings: Iterable[ClockReading]) -> ClockReading:
    """The one with the smallest error."""
    return min(readings, key=lambda one: one.error_ns)


def contradiction(readings: Iterable[ClockReading], later: ClockReading, drift_ppm: float = DRIFT_PPM) -> str | None:
    """What a clock did that no clock does; None when all readings can be true."""
    for earlier in readings:
        if not earlier.agrees_with(later, drift_ppm):
            by_ms = (later.offset_ns - earlier.offset_ns) / 1e6
            error_ms = (later.error_ns + earlier.error_ns) / 1e6
            return f"its clock jumped by {by_ms:+.1f} ms ± {error_ms:.1f} ms"
    return None
