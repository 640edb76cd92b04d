"""The answer of `maul limit`: a fold over the TRIAL events of a record, one answer per axis."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from maul.core.event import EventKind
from maul.core.summary import AxisLimit, Level, TrialSummary, Wall
from maul.core.units import show_size
from maul.insight.gauges import Gauges
from maul.insight.knee import find_knee
from maul.insight.levels import Objective
from maul.insight.spans import Span, spans
from maul.insight.trials import TrialFacts
from maul.insight.usl import find_scaling
from maul.insight.walls import attribute_wall, generator_wall
from maul.insight.words import show_rate, show_ratio
from maul.plan import PhasePlan, Plan, SearchPlan
from maul.plan.search import Answer, Cooled, History, Judged, Made, Soaked, Tried, Why, answer

FROZEN = "frozen"
"""Traffic was stopped during a move, by somebody upstream or by silence: it says nothing of the rate."""
_SAYS_NOTHING = frozenset({"cut-short", FROZEN})


@dataclass(frozen=True, slots=True)
class SearchEvent:
    """How one move of a search ended, as the details of its event."""

    move: str
    """trial, cool-down or soak."""
    rate_per_s: float
    judged: str
    """good, bad, void; of a cool-down recovered or not-recovered; cut-short: the run was stopped meanwhile;
    frozen: its traffic was."""
    seconds: float
    facts: TrialFacts | None
    says: str

    @classmethod
    def nothing(cls, move: str, rate_per_s: float, judged: str, says: str = "") -> "SearchEvent":
        """A move that was not made, or not to its end."""
        return cls(move, rate_per_s, judged, 0.0, None, says)

    def as_json(self) -> dict[str, Any]:
        """For the record; `of` reads it back."""
        facts = None if self.facts is None else self.facts.as_json()
        return {"judged": self.judged, "lasted_s": self.seconds, "facts": facts, "why": self.says}

    @classmethod
    def of(cls, details: dict[str, Any]) -> "SearchEvent":
        """From the details of an ended TRIAL event; of one that never ended from those of its beginning."""
        given = details.get("facts")
        facts = None if given is None else TrialFacts(**{**given, "why_not": tuple(given["why_not"])})
        return cls(
            move=str(details["move"]),
            rate_per_s=float(details["rate"]),
            judged=str(details.get("judged", "cut-short")),
            seconds=float(details.get("lasted_s", 0.0)),
            facts=facts,
            says=str(details.get("why", "")),
        )

    def made(self) -> Made | None:
        """As the search remembers it; None when it says nothing."""
        if self.judged in _SAYS_NOTHING:
            return None
        if self.move == "cool-down":
            return Cooled(self.rate_per_s, self.seconds, self.judged == "recovered")
        kind = Soaked if self.move == "soak" else Tried
        return kind(self.rate_per_s, self.seconds, Judged(self.judged))


def objectives_of(plan: Plan, phase: str) -> list[Objective]:
    """The objectives that decide a phase."""
    return [Objective.of(one) for one in plan.objectives if phase in one.phases]


def show_in_unit(search: SearchPlan, operations_per_s: float) -> str:
    """A rate as its axis counts."""
    if search.bytes_per_operation is not None:
        return f"{show_size(operations_per_s * search.bytes_per_operation)}/s"
    return show_rate(operations_per_s)


def show_limit(limit: AxisLimit, per_s: float) -> str:
    """A bound of an answer, as its axis counts."""
    return f"{show_size(per_s)}/s" if limit.axis == "bytes" else show_rate(per_s)


def limit_answers(plan: Plan, events: pa.Table, samples: pa.Table) -> list[AxisLimit]:
    """One answer per axis that was begun, in the order of the plan."""
    moves: dict[str, list[Span]] = {}
    for span in spans(events, EventKind.TRIAL):
        moves.setdefault(str(span.details.get("phase", "")), []).append(span)
    searched = [phase for phase in plan.phases if phase.search is not None and moves.get(phase.name)]
    gauges = Gauges(samples) if searched else None
    return [
        _axis(plan, phase, phase.search, moves[phase.name], gauges) for phase in searched if phase.search and gauges
    ]


def _axis(plan: Plan, phase: PhasePlan, search: SearchPlan, moves: Sequence[Span], gauges: Gauges) -> AxisLimit:
    history: History = ()
    trials: list[TrialSummary] = []
    ended = [(span, SearchEvent.of({**span.details, **span.end_details})) for span in moves]
    for span, event in ended:
        made = event.made()
        history = history if made is None else (*history, made)
        trials.append(_row(span, event, answer(search.goal, history)))
    found = answer(search.goal, history)
    if any(event.judged == FROZEN for _, event in ended):
        found = replace(found, why=Why.FROZEN)
    wall = _wall(gauges, trials, found, plan.shards)
    tried = _tried(trials)
    unit = search.bytes_per_operation or 1.0
    stopped_by = _stopped_by(found)
    return AxisLimit(
        axis=search.axis,
        phase=phase.name,
        unit=f"{search.axis}/s",
        per_operation=unit,
        lower=None if found.lower_per_s is None else found.lower_per_s * unit,
        upper=None if found.upper_per_s is None else found.upper_per_s * unit,
        confirmed=found.confirmed,
        why=str(found.why),
        soak=None if found.soak is None else str(found.soak),
        recovered=found.recovered,
        stopped_by=stopped_by,
        wall=wall,
        trials=trials,
        knee=find_knee(tried),
        scaling=find_scaling(tried),
        says=_says(search, found, trials, wall),
    )


def _row(span: Span, event: SearchEvent, known: Answer) -> TrialSummary:
    facts = event.facts
    return TrialSummary(
        move=event.move,
        began_ns=facts.began_ns if facts and facts.began_ns else span.began_ns,
        ended_ns=span.ended_ns,
        rate_per_s=event.rate_per_s,
        seconds=event.seconds,
        judged=event.judged,
        offered_per_s=facts.offered_per_s if facts else 0.0,
        achieved_per_s=facts.achieved_per_s if facts else 0.0,
        p50_ms=facts.p50_ms if facts else 0.0,
        p99_ms=facts.p99_ms if facts else 0.0,
        mean_ms=facts.mean_ms if facts else 0.0,
        service_mean_ms=facts.service_mean_ms if facts else 0.0,
        error_ratio=facts.error_ratio if facts else 0.0,
        dropped_ratio=facts.dropped_ratio if facts else 0.0,
        lag_p99_ms=facts.lag_p99_ms if facts else 0.0,
        settled_s=facts.settled_s if facts else None,
        lower_per_s=known.lower_per_s,
        upper_per_s=known.upper_per_s,
        why_not=event.says if event.judged != "good" else "",
    )


def _stopped_by(found: Answer) -> str:
    if found.why is Why.GENERATOR:
        return "generator"
    return "target" if found.upper_per_s is not None else "nothing"


def _wall(gauges: Gauges, trials: Sequence[TrialSummary], found: Answer, shards: int) -> Wall | None:
    """What was full at the upper bound and not at the lower; of a void search, what we lacked."""
    tried = _tried(trials)
    if found.why is Why.GENERATOR:
        void = min((one for one in tried if one.generator_bound), key=lambda one: one.offered_per_s, default=None)
        return None if void is None else generator_wall(gauges, void, shards)
    bad = _longest([one for one in tried if one.offered_per_s == found.upper_per_s and not one.meets])
    good = _longest([one for one in tried if one.offered_per_s == found.lower_per_s and one.meets])
    return None if bad is None else attribute_wall(gauges, tried, good, bad, generator_cores=shards)


def _tried(trials: Sequence[TrialSummary]) -> list[Level]:
    """The trials as levels: what walls, knees and scaling laws are found in."""
    return [_level(one) for one in trials if one.move == "trial" and one.judged not in _SAYS_NOTHING]


def _longest(levels: Sequence[Level]) -> Level | None:
    return max(levels, key=lambda one: one.ended_ns - one.began_ns, default=None)


def _level(trial: TrialSummary) -> Level:
    """A trial as the attribution of walls knows it; its rate is the one that was asked."""
    return Level(
        began_ns=trial.began_ns,
        ended_ns=trial.ended_ns,
        offered_per_s=trial.rate_per_s,
        achieved_per_s=trial.achieved_per_s,
        p50_ms=trial.p50_ms,
        p99_ms=trial.p99_ms,
        mean_ms=trial.mean_ms,
        service_mean_ms=trial.service_mean_ms,
        p999_ms=0.0,
        service_p99_ms=0.0,
        error_ratio=trial.error_ratio,
        dropped_ratio=trial.dropped_ratio,
        lag_p99_ms=trial.lag_p99_ms,
        void=[trial.why_not] if trial.judged == "void" else [],
        meets=trial.judged == "good",
        why_not=trial.why_not,
    )


# ---------------------------------------------------------------- in words


def _says(search: SearchPlan, found: Answer, trials: Sequence[TrialSummary], wall: Wall | None) -> str:
    sentences = [_bounds_words(search, found, trials)]
    if wall is not None:
        sentences.append(f"{wall.says[:1].upper()}{wall.says[1:]}.")
    sentences += [_end_words(found), _soak_words(search, trials), _recovery_words(found)]
    return " ".join(filter(None, sentences))


def _bounds_words(search: SearchPlan, found: Answer, trials: Sequence[TrialSummary]) -> str:
    low = None if found.lower_per_s is None else show_in_unit(search, found.lower_per_s)
    high = None if found.upper_per_s is None else show_in_unit(search, found.upper_per_s)
    what = {"requests": "requests", "bytes": "bytes", "connections": "new connections"}[search.axis]
    sure = "" if found.confirmed else ", not confirmed by longer trials"
    broke = next(
        (one.why_not for one in reversed(trials) if one.rate_per_s == found.upper_per_s and one.judged == "bad"), ""
    )
    gave = f" ({broke})" if broke else ""
    if low is not None and high is not None and found.upper_per_s and found.lower_per_s:
        width = show_ratio(found.upper_per_s / found.lower_per_s - 1)
        return (
            f"The limit of {what} lies between {low}, which held, and {high}, which did not{gave}: {width} wide{sure}."
        )
    if low is not None:
        return f"It held {low} of {what}{sure}; its limit lies above."
    if high is not None:
        return f"Not even {high} of {what} met the objectives{gave}{sure}."
    return f"Nothing is known of the limit of {what}."


def _end_words(found: Answer) -> str:
    return {
        Why.FOUND: "",
        Why.CEILING: "That is the highest rate that the search may ask: raise `to`.",
        Why.FLOOR: "That is the lowest rate of the search: lower `from`, or ask less of the target.",
        Why.GENERATOR: "Beyond it the load generator was the limit: use more cores or more generators.",
        Why.NOT_RECOVERED: "After the last bad trial the target did not recover by itself (metastable).",
        Why.OUT_OF_TIME: "The search used up its time.",
        Why.STOPPED: "The search was stopped before its end.",
        Why.FROZEN: "The search ended when answers suddenly ceased to come; it does not climb there again.",
    }[found.why]


def _soak_words(search: SearchPlan, trials: Sequence[TrialSummary]) -> str:
    soak = next((one for one in reversed(trials) if one.move == "soak" and one.judged not in _SAYS_NOTHING), None)
    if soak is None:
        return ""
    what = f"The soak of {soak.seconds:.0f} s at {show_in_unit(search, soak.rate_per_s)}"
    ends = {"good": "held.", "bad": f"failed ({soak.why_not}).", "void": "is void: we were the limit."}
    return f"{what} {ends.get(soak.judged, soak.judged)}"


def _recovery_words(found: Answer) -> str:
    return "After every bad trial the target recovered by itself." if found.recovered else ""
