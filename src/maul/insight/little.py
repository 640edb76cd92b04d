"""Little's law as a check of the instruments: what is in flight equals rate times service time (Little 1961).

The generator counts what is in flight by the turns of its loop; the histograms come from the time stamps of single
operations. Over the same stretch both tell of the same operations, so chance has no part in a difference.
"""

from dataclasses import dataclass

from maul.core.histogram import LatencyKind
from maul.insight.gauges import Gauges
from maul.insight.latency import SENT, LatencyBook, Select

GAP_MAX = 0.05
"""A larger difference, as a ratio, is a fault of the instruments."""
SECONDS_MIN = 3
"""Readings come ten times a second: of a shorter stretch their edges weigh too much."""
COUNT_MIN = 100
LATENCY_RATIO_MAX = 0.01
"""Operations that last longer than this share of the stretch begin in it and end outside."""
LONGEST_RATIO_MAX = 0.05
"""So does even one that waits and lasts this long, such as an upload of many parts: one side alone counts it."""


@dataclass(frozen=True, slots=True)
class Little:
    """Both sides of the law. `gap` is |N - X·R| / N; None where the stretch is too short or too little happened."""

    in_flight: float
    rate_times_service: float
    gap: float | None


def little(gauges: Gauges, book: LatencyBook, phase: str, seconds: tuple[int, int]) -> Little | None:
    """Of the seconds [first, end) of a phase; None when nobody read what was in flight."""
    found = gauges.find("generator", "in_flight")
    counted = gauges.total(found, seconds[0] * 10**9, seconds[1] * 10**9)
    if counted is None:
        return None
    select = Select(phase, None, SENT, seconds)
    service, latency = (book.merged(kind, select) for kind in (LatencyKind.SERVICE, LatencyKind.LATENCY))
    lasted = seconds[1] - seconds[0]
    product = service.count * service.mean / 1e9 / lasted
    telling = (
        lasted >= SECONDS_MIN
        and service.count >= COUNT_MIN
        and counted > 0
        and latency.mean / 1e9 <= LATENCY_RATIO_MAX * lasted
        and latency.max / 1e9 <= LONGEST_RATIO_MAX * lasted
    )
    return Little(counted, product, abs(counted - product) / counted if telling else None)
