"""The levels of a rising load, the highest that held, the first that did not, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa

from maul.core.event import EventKind
from maul.core.summary import Capacity, Level, Wall
from maul.insight.gauges import Gauges
from maul.insight.generator_bound import GeneratorLimits
from maul.insight.knee import find_knee
from maul.insight.latency import LatencyBook
from maul.insight.levels import LevelInput, Objective, OperationColumns, measure_level
from maul.insight.little import GAP_MAX
from maul.insight.phases import last_known_ns
from maul.insight.spans import Span, spans
from maul.insight.usl import find_scaling
from maul.insight.walls import attribute_wall, generator_wall
from maul.insight.words import show_rate, show_ratio

WHOLE_RATIO = 0.5
"""A level shorter than this share of the usual length was cut off."""
SAME_RATE_RATIO = 0.01
"""Levels whose rates differ by less than this were tries of the same rate."""
DEFAULT_LIMITS = GeneratorLimits()


def find_capacity(  # noqa: PLR0917 - the tables of a record, and what was promised
    events: pa.Table,
    book: LatencyBook,
    operations: pa.Table,
    samples: pa.Table,
    objectives: Sequence[Objective],
    generator: GeneratorLimits = DEFAULT_LIMITS,
    *,
    phase: str | None = None,
) -> Capacity | None:
    """What the LEVEL events of a phase show; None when it has none.

    `details["rate"]` of a level is its offered rate per second. `phase` None: the phase with the most levels.
    """
    by_phase = _levels_by_phase(events, last_known_ns(events, book, operations))
    if phase is None:
        phase = max(by_phase, key=lambda name: len(by_phase[name]), default="")
    if not by_phase.get(phase):
        return None
    gauges = Gauges(samples)
    given = LevelInput(book, OperationColumns(operations, phase), gauges, objectives, generator)
    levels = [measure_level(span, phase, given) for span in _whole(by_phase[phase])]
    search = search_limit(levels)
    wall = _wall(gauges, levels, search, generator)
    return Capacity(
        phase=phase,
        levels=levels,
        highest_good_per_s=search.good.offered_per_s if search.good else None,
        first_bad_per_s=search.bad.offered_per_s if search.bad else None,
        broke=search.bad.why_not if search.bad else "",
        wall=wall,
        says=_says(search, wall),
        knee=find_knee(levels),
        scaling=find_scaling(levels),
        warnings=[_miscounted(level) for level in levels if (level.little_gap or 0.0) > GAP_MAX],
    )


def _miscounted(level: Level) -> str:
    return (
        f"At {show_rate(level.offered_per_s)} {level.in_flight:.3g} operations were in flight, "
        f"{show_ratio(level.little_gap or 0.0)} off from rate times service time (Little's law): "
        "the instruments disagree, do not trust the figures of this level."
    )


@dataclass(frozen=True, slots=True)
class Search:
    """Between which levels the limit lies. `void`: the lowest level above `good` where the generator gave."""

    good: Level | None
    bad: Level | None
    void: Level | None


def search_limit(levels: Sequence[Level]) -> Search:
    """The last good rate below the first confirmed bad one.

    A bad rate is confirmed when the next higher valid rate is bad too, when it is the highest, or when it was
    bad twice. A level that missed an objective while the generator may have been the limit is void: it is neither.
    So is one in which nothing was due. When a void level lies between good and bad, the bad one says nothing either:
    what the generator could not do there, it could not do above.
    """
    void = [level for level in levels if level.generator_bound and not level.meets]
    rates = _by_rate([level for level in levels if level not in void and _measured(level)])
    good: Level | None = None
    for index, tries in enumerate(rates):
        if _held(tries):
            good = [level for level in tries if level.meets][-1]
            continue
        bad = [level for level in tries if not level.meets]
        confirmed = len(bad) > 1 or index + 1 == len(rates) or not _held(rates[index + 1])
        if confirmed:
            between = _lowest_above(good, void)
            hidden = between is not None and between.offered_per_s * (1 + SAME_RATE_RATIO) < bad[0].offered_per_s
            return Search(good, None if hidden else bad[0], between)
    return Search(good, None, _lowest_above(good, void))


def _by_rate(levels: Sequence[Level]) -> list[list[Level]]:
    """Tries of the same rate together, rates rising; the tries of one rate in order of time."""
    ordered = sorted(levels, key=lambda level: (level.offered_per_s, level.began_ns))
    bounds: list[float] = []
    for level in ordered:
        if not bounds or level.offered_per_s > bounds[-1] * (1 + SAME_RATE_RATIO):
            bounds.append(level.offered_per_s)
    groups = groupby(ordered, key=lambda level: max(b for b in bounds if b <= level.offered_per_s))
    return [sorted(tries, key=lambda level: level.began_ns) for _, tries in groups]


def _held(tries: Sequence[Level]) -> bool:
    """More often than not; doubt is no promise."""
    return sum(1 if level.meets else -1 for level in tries) > 0


def _measured(level: Level) -> bool:
    return level.p99_ms > 0 or level.error_ratio > 0 or level.dropped_ratio > 0


def _whole(levels: Sequence[Span]) -> list[Span]:
    """Without those that the end of the run cut off: a moment at a rate is no evidence that it holds."""
    lengths = sorted(level.ended_ns - level.began_ns for level in levels)
    usual_ns = lengths[len(lengths) // 2]
    return [level for level in levels if level.ended_ns - level.began_ns >= usual_ns * WHOLE_RATIO]


def _lowest_above(good: Level | None, levels: Sequence[Level]) -> Level | None:
    above = [level for level in levels if good is None or level.offered_per_s > good.offered_per_s]
    return min(above, key=lambda level: level.offered_per_s, default=None)


def _wall(gauges: Gauges, levels: Sequence[Level], search: Search, generator: GeneratorLimits) -> Wall | None:
    if search.bad is not None:
        return attribute_wall(gauges, levels, search.good, search.bad, generator_cores=generator.cores)
    return generator_wall(gauges, search.void, generator.cores) if search.void is not None else None


def _says(search: Search, wall: Wall | None) -> str:
    good = show_rate(search.good.offered_per_s) if search.good else ""
    gave = f": {wall.says}" if wall is not None else ""
    if search.bad is not None:
        bad = show_rate(search.bad.offered_per_s)
        held = f"It held {good} and gave" if good else "It did not hold even the lowest rate and gave"
        return f"{held} at {bad} ({search.bad.why_not}){gave}"
    if search.void is not None:
        void = show_rate(search.void.offered_per_s)
        held = f"It held {good}; what" if good else "What"
        return f"{held} it can do beyond is not known, because at {void} the load generator was the limit{gave}"
    if good:
        return f"It held {good}, the highest rate that was measured; its limit lies above."
    return "Nothing is known: no level was measured."


def _levels_by_phase(events: pa.Table, until_ns: int) -> dict[str, list[Span]]:
    phases = spans(events, EventKind.PHASE, until_ns)
    found: dict[str, list[Span]] = {}
    for level in spans(events, EventKind.LEVEL, until_ns):
        inside = next((phase.name for phase in phases if phase.holds(level.began_ns)), "")
        found.setdefault(str(level.details.get("phase", inside)), []).append(level)
    return found
