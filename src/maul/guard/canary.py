"""Canary: do customers feel us? Round trips against a baseline, losses against a promise; one loss is no harm."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from maul.guard.network_words import CanaryReading

RTT_FACTOR = 1.5
LOSS_PROMISED = 0.001
LOST_MIN = 3
DOUBT = 0.01
"""Losses that the promised ratio would bring about this often or more are no harm."""
WINDOW_READINGS = 20
SLOW_OF = 3
"""Harm by round trips: two of this many readings in a row are too slow."""


@dataclass(frozen=True, slots=True)
class CanaryBaseline:
    """What a customer felt before we began. `rtt_p99_ms`: the median of its readings; None when none came back."""

    rtt_p99_ms: float | None
    loss_ratio: float
    sent: float


def baseline_of(readings: Sequence[CanaryReading]) -> CanaryBaseline | None:
    """From readings without any load of ours; None of none."""
    sent = sum(reading.sent for reading in readings)
    if sent <= 0:
        return None
    trips = [reading.rtt_p99_ms for reading in readings if reading.rtt_p99_ms is not None]
    return CanaryBaseline(median(trips) if trips else None, sum(reading.lost for reading in readings) / sent, sent)


@dataclass(frozen=True, slots=True)
class CanaryMemory:
    """What the guard remembers of one canary. Begin with `CanaryMemory()`."""

    last_ns: int = 0
    lost: tuple[tuple[float, float], ...] = ()
    """Packets sent and lost of the last readings since harm was last called."""
    slow: tuple[bool, ...] = ()
    slow_now: bool = False
    waits: bool = False
    """Harm was called while the last cut could not have shown yet."""
    well: int = SLOW_OF
    """Readings in a row that were neither slow nor lossy."""

    @property
    def hurt(self) -> bool:
        """Not yet well again: nobody who may be the reason goes faster."""
        return self.well < SLOW_OF

    def called(self, *, waits: bool) -> "CanaryMemory":
        """After harm was called. While a cut is on its way the next slow reading is judged, not the next but one."""
        return replace(self, waits=waits, slow=(True,) * (waits and self.slow_now))


def feel(
    memory: CanaryMemory, reading: CanaryReading, baseline: CanaryBaseline | None, excess_ms: float
) -> tuple[CanaryMemory, str | None]:
    """What to remember, and what harm there is, in words. Each harm is called once: what follows is judged anew."""
    if reading.at_ns <= memory.last_ns:
        return memory, None
    limit_ms = rtt_limit_ms(baseline, excess_ms)
    slow_now = limit_ms is not None and reading.rtt_p99_ms is not None and reading.rtt_p99_ms > limit_ms
    slow = (*memory.slow, slow_now)[-SLOW_OF:]
    lost = (*memory.lost, (reading.sent, reading.lost))[-WINDOW_READINGS:]
    promised = loss_limit(baseline)
    bad = slow_now or (reading.lost >= 1 and reading.loss_ratio > promised)
    memory = replace(
        memory, last_ns=reading.at_ns, slow=slow, slow_now=slow_now, lost=lost, well=0 if bad else memory.well + 1
    )
    if sum(slow) >= 2 and slow_now:
        before = baseline.rtt_p99_ms if baseline is not None else None
        says = f"p99 of its round trips is {reading.rtt_p99_ms:.3g} ms; before we began it was {before:.3g} ms"
        return replace(memory, slow=()), says
    sent, gone = (sum(part) for part in zip(*lost, strict=True))
    if gone >= LOST_MIN and sent > 0 and gone / sent > promised and _by_chance(gone, sent * promised) < DOUBT:
        says = f"{gone:,.0f} of its last {sent:,.0f} packets were lost ({gone / sent:.2%}; {promised:.2%} is promised)"
        return replace(memory, lost=(), slow=()), says
    return memory, None


def rtt_limit_ms(baseline: CanaryBaseline | None, excess_ms: float) -> float | None:
    """Above this p99 a round trip is too slow; None without a baseline."""
    if baseline is None or baseline.rtt_p99_ms is None:
        return None
    return max(RTT_FACTOR * baseline.rtt_p99_ms, baseline.rtt_p99_ms + excess_ms)


def loss_limit(baseline: CanaryBaseline | None) -> float:
    """The part of packets that may be lost; what was lost before us is not our doing."""
    return max(LOSS_PROMISED, RTT_FACTOR * baseline.loss_ratio if baseline is not None else 0.0)


def _by_chance(lost: float, expected: float) -> float:
    """How often as many or more are lost where `expected` are on average (Poisson).

    >>> round(_by_chance(1, 1.0), 3), round(_by_chance(3, 0.1), 6)
    (0.632, 0.000155)
    """
    fewer = sum(math.exp(-expected + k * math.log(expected) - math.lgamma(k + 1)) for k in range(math.ceil(lost)))
    return max(0.0, 1.0 - fewer)
