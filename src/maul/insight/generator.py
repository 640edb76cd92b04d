"""What the generator itself cost, and whether it was the limit."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from maul.core.histogram import Histogram, LatencyKind
from maul.core.summary import GeneratorSummary, Level
from maul.insight.latency import SENT, LatencyBook, Select, percentile_ms
from maul.insight.words import listed, show_ms, show_ratio

_IDLE_RATIO = 0.5
_OPEN = "No phase with a rate came to its end: what the generator cost, and whether it was the limit, is not known."


def generator_summary(
    statuses: Mapping[str, Mapping[str, Any]],
    book: LatencyBook,
    shards: int,
    levels: Sequence[Level] = (),
    *,
    open_phases: Collection[str] | None = None,
    void_phases: Collection[str] = (),
) -> GeneratorSummary | None:
    """From the engine's final status of every phase; None when there is no status.

    Busyness and lag are of `open_phases` (default: all): a closed loop goes as fast as it can, and nothing in it is
    ever late. It was the limit where a level was void and missed its objectives, or a phase is among `void_phases`.
    """
    if not statuses:
        return None
    chosen = [phase for phase in statuses if open_phases is None or phase in open_phases]
    busy = {phase: _busy_ratio(statuses[phase], shards) for phase in chosen}
    lags = {p: book.merged(LatencyKind.LAG, Select(phase=p, outcomes=SENT)) for p in chosen}
    lag = Histogram()
    for part in lags.values():
        lag.merge(part)
    requests = _sum(statuses, "started")
    cpu_seconds = float(sum(status.get("cpu_seconds", 0.0) for status in statuses.values()))
    void = sum(level.generator_bound and not level.meets for level in levels)
    bound = void > 0 or bool(void_phases)
    judged = bool(chosen) or not open_phases
    return GeneratorSummary(
        shards=shards,
        requests=requests,
        cpu_seconds=cpu_seconds,
        cpu_us_per_request=cpu_seconds * 1e6 / requests if requests else 0.0,
        lag_p50_ms=percentile_ms(lag, 50.0),
        lag_p99_ms=percentile_ms(lag, 99.0),
        lag_max_ms=lag.max / 1e6,
        late=_sum(statuses, "late"),
        dropped=_sum(statuses, "dropped"),
        withheld=_sum(statuses, "withheld"),
        records_lost=_sum(statuses, "records_lost"),
        bound=bound,
        judged=judged,
        says=_says(bound, max(busy.values(), default=0.0), shards, lag, _where(void, void_phases)) if judged else _OPEN,
    )


def _busy_ratio(status: Mapping[str, Any], shards: int) -> float:
    """Of the time of its cores, how much it used in one phase."""
    elapsed_s = float(status.get("elapsed_s", 0.0))
    return float(status.get("cpu_seconds", 0.0)) / (elapsed_s * shards) if elapsed_s > 0 and shards else 0.0


def _sum(statuses: Mapping[str, Mapping[str, Any]], name: str) -> int:
    return sum(int(status.get(name, 0)) for status in statuses.values())


def _where(levels: int, phases: Collection[str]) -> str:
    parts = [f"{levels} level{'s' * (levels > 1)}"] if levels else []
    parts += [f"phase {name}" for name in phases]
    return listed(parts)


def _says(bound: bool, busiest: float, shards: int, lag: Histogram, where: str) -> str:
    its = "its core" if shards == 1 else f"its {shards} cores"
    late = f"; 99 % of its sends were at most {show_ms(percentile_ms(lag, 99.0))} late" if lag.count else ""
    used = f"In its busiest phase the generator used {show_ratio(busiest)} of {its}{late}"
    if not bound:
        idle = " and had time to spare" if busiest < _IDLE_RATIO else ""
        return f"{used}. It was not the limit{idle}."
    return f"{used}. It may have been the limit in {where}: void, they say nothing about the target."
