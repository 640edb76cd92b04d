"""Steps: has a rising load gone far enough? Counts what each level offered and what was answered well."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from maul.plan import LevelPlan


@dataclass(frozen=True, slots=True)
class StepRule:
    """A level gave way when less than `achieved_below` of its arrivals were answered well; `levels` in a row end it."""

    levels: Sequence[LevelPlan]
    achieved_below: float
    levels_in_a_row: int


@dataclass(frozen=True, slots=True)
class StepState:
    """The level that runs, the counters at its beginning, and the levels in a row that gave way."""

    index: int = 0
    offered: int = 0
    ok: int = 0
    gave_way: tuple[str, ...] = ()


def next_step(state: StepState, rule: StepRule, elapsed_s: float, offered: int, ok: int) -> StepState:
    """Close the levels that are over by now.

    When one look spans more than one boundary, nobody can tell the levels apart: neither is judged, and the row is
    neither longer nor broken.
    """
    over = sum(1 for level in rule.levels[state.index :] if elapsed_s >= level.end_s)
    if over == 0:
        return state
    fresh = replace(state, index=state.index + over, offered=offered, ok=ok)
    arrivals = offered - state.offered
    if over > 1 or arrivals <= 0:
        return fresh
    achieved = (ok - state.ok) / arrivals
    if achieved >= rule.achieved_below:
        return replace(fresh, gave_way=())
    rate = rule.levels[state.index].rate_per_s
    return replace(fresh, gave_way=(*state.gave_way, f"{achieved:.0%} at {rate:,.0f}/s"))


def gave_way(state: StepState, rule: StepRule) -> str | None:
    """The sentence when the target has given way, else None."""
    if len(state.gave_way) < rule.levels_in_a_row:
        return None
    return (
        f"the target gave way: answered well {', then '.join(state.gave_way)} "
        f"(below {rule.achieved_below:.0%} ends the steps)"
    )
