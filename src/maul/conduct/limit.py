"""The search of a limit on a real target: each move of `plan.search` is an engine of its own and two events.

The decisions are pure and lie elsewhere: which move (`plan.search`), whether a rate held (`insight.trials`), whether
we were the limit (`insight.trial_bound`). What happened goes into TRIAL events; the answer is a fold over them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from maul.conduct.generator_limits import generator_limits
from maul.conduct.phases import added, run_pass
from maul.conduct.stage import Stage
from maul.core.event import Edge, EventKind
from maul.core.generator import Drained
from maul.core.histogram import Histogram, LatencyKind
from maul.core.operation import OPERATION_DTYPE
from maul.insight.gauges import Gauges
from maul.insight.limits import FROZEN, SearchEvent, objectives_of, show_in_unit
from maul.insight.trial_bound import bound_reasons
from maul.insight.trials import Answers, Recovery, TrialFacts, measure_trial
from maul.insight.words import show_ms
from maul.plan import PhasePlan, SearchPlan, trial_pass
from maul.plan.search import (
    CoolDown,
    Cooled,
    Done,
    History,
    Judged,
    Made,
    Soak,
    Soaked,
    Trial,
    Tried,
    answer,
    next_move,
)
from maul.record import RunReader

RECOVERED = "recovered"
"""Why a cool-down ends early."""
WINDOW_S, WINDOW_OPERATIONS = 2.0, 20
SETTLE_S = 0.3
"""Between two engines: the sockets of the last one are closed by then."""
_NS = 1e9


def search_limit(stage: Stage, phase: PhasePlan) -> dict[str, Any]:
    """Search until the goal is met, nothing more can be learnt, or the run is stopped. The engines' sum."""
    if phase.search is None:
        raise ValueError(f"{phase.name} is no search")
    searcher = _Searcher(stage, phase, phase.search)
    goal = phase.search.goal
    for _ in range(goal.moves_max + 1):
        move = next_move(goal, searcher.history)
        if isinstance(move, Done) or stage.halted:
            break
        searcher.make(move)
    return searcher.total


@dataclass(slots=True)
class _Searcher:
    """What a search has done so far."""

    stage: Stage
    phase: PhasePlan
    search: SearchPlan
    history: History = ()
    total: dict[str, Any] = field(default_factory=dict)
    baseline_p50_ms: float | None = None
    number: int = 0

    def make(self, move: Trial | CoolDown | Soak) -> None:
        """One move. What a stop of the run cut short is recorded, and says nothing."""
        self.number += 1
        kind = {Trial: "trial", CoolDown: "cool-down", Soak: "soak"}[type(move)]
        name = f"{self.phase.name} {self.number}"
        asked: dict[str, Any] = {"phase": self.phase.name, "move": kind, "rate": move.rate_per_s}
        self.stage.note(EventKind.TRIAL, Edge.BEGAN, name, details={**asked, "seconds": move.seconds})
        event = SearchEvent.nothing(kind, move.rate_per_s, "cut-short")
        try:
            event = self._cool(move) if isinstance(move, CoolDown) else self._try(move, kind)
            made = event.made()
            if made is not None:
                self.history += (made,)
        finally:
            self.stage.note(EventKind.TRIAL, Edge.ENDED, name, event.says, {**asked, **event.as_json()})
        self.stage.progress.step(f"{self.phase.name}: {self._told(event, made)}")

    def _try(self, move: Trial | Soak, kind: str) -> SearchEvent:
        ear = _Ear()
        status = self._run(move, ear)
        if status is None or self.stage.halted:
            return self._broken_off(kind, move)
        facts = measure_trial(
            Answers.of(ear.parts), move.rate_per_s, move.seconds, objectives_of(self.stage.plan, self.phase.name)
        )
        cut = () if status["stop_reason"] == "completed" else (f"the guard ended it ({status['stop_reason']})",)
        bound: tuple[str, ...] = ()
        judged = Judged.GOOD
        if not facts.holds or cut:  # a rate that held in spite of a busy generator held
            bound = self._bound(status, facts, ear)
            judged = Judged.VOID if bound else Judged.BAD
        if move.rate_per_s == self.search.from_per_s:
            self._remember_baseline(facts, judged)
        reasons = (*facts.why_not, *cut, *(bound if judged is Judged.VOID else ()))
        return SearchEvent(kind, move.rate_per_s, str(judged), move.seconds, facts, "; ".join(reasons))

    def _broken_off(self, kind: str, move: Trial | CoolDown | Soak) -> SearchEvent:
        """It says nothing: the run was stopped, or its traffic was."""
        if self.stage.vigil is not None and self.stage.vigil.frozen is not None:
            return SearchEvent.nothing(kind, move.rate_per_s, FROZEN, self.stage.vigil.frozen.says)
        return SearchEvent.nothing(kind, move.rate_per_s, "cut-short")

    def _bound(self, status: Mapping[str, Any], facts: TrialFacts, ear: "_Ear") -> tuple[str, ...]:
        """Why it was us; the probes' readings are in the record already."""
        self.stage.writer.flush()
        gauges = Gauges(RunReader.open(self.stage.writer.path).samples())
        return bound_reasons(status, facts, ear.late, gauges, generator_limits(self.stage.plan))

    def _remember_baseline(self, facts: TrialFacts, judged: Judged) -> None:
        """The median at the lowest rate, before anything was hurt."""
        if judged is Judged.GOOD and not any(isinstance(one, Cooled) for one in self.history):
            known = self.baseline_p50_ms
            self.baseline_p50_ms = facts.p50_ms if known is None else min(known, facts.p50_ms)

    def _cool(self, move: CoolDown) -> SearchEvent:
        window_s = max(WINDOW_S, WINDOW_OPERATIONS / move.rate_per_s)
        recovery = Recovery(self.baseline_p50_ms, move.rate_per_s, window_s)
        ear = _Ear(recovery, self.stage)
        status = self._run(move, ear)
        if status is None or self.stage.halted:
            return self._broken_off("cool-down", move)
        took_s = float(status["elapsed_s"])
        now = "too much of it went wrong" if ear.median_ms is None else f"the median is {show_ms(ear.median_ms)}"
        was = "" if self.baseline_p50_ms is None else f", and was {show_ms(self.baseline_p50_ms)}"
        judged = RECOVERED if status["stop_reason"] == RECOVERED else "not-recovered"
        facts = measure_trial(Answers.of(ear.parts), move.rate_per_s, took_s, ())
        return SearchEvent("cool-down", move.rate_per_s, judged, took_s, facts, f"{now}{was}")

    def _run(self, move: Trial | CoolDown | Soak, ear: "_Ear") -> Mapping[str, Any] | None:
        if self.number > 1 and self.stage.clock.wait(SETTLE_S, self.stage.stop.stopped):
            return None
        pass_ = trial_pass(self.phase, self.number, move.rate_per_s, move.seconds)
        driven = run_pass(self.stage, self.phase, pass_, ear=ear)
        if driven is None:
            return None
        self.total = added(self.total, driven.status)
        return driven.status

    def _told(self, event: SearchEvent, made: Made | None) -> str:
        rate = show_in_unit(self.search, event.rate_per_s)
        if made is None:
            return f"{event.move} at {rate} was cut short{f': {event.says}' if event.says else ''}"
        words = f"{event.move} {self.number} at {rate} for {event.seconds:.0f} s: {event.judged}"
        if isinstance(made, Tried | Soaked) and event.facts is not None:
            words += f", p99 {show_ms(event.facts.p99_ms)}"
        known = answer(self.search.goal, self.history)
        low = "–" if known.lower_per_s is None else show_in_unit(self.search, known.lower_per_s)
        high = "–" if known.upper_per_s is None else show_in_unit(self.search, known.upper_per_s)
        return f"{words}{f' ({event.says})' if event.says else ''}; limit in {low} … {high}"


class _Ear:
    """Hears what an engine drains; of a cool-down it says when it is enough."""

    def __init__(self, recovery: Recovery | None = None, stage: Stage | None = None) -> None:
        self.parts: list[np.ndarray[Any, Any]] = []
        self.late = Histogram()
        self.median_ms: float | None = None
        self._recovery, self._stage = recovery, stage
        self._news = False

    def heard(self, drained: Drained) -> None:
        for row in drained.latency:
            if row.kind == LatencyKind.SCHEDULE:
                self.late.merge(Histogram.from_v2(row.hdr))
        if len(drained.operations):
            self.parts.append(drained.operations[_KEPT].copy())
            self._news = True

    def enough(self) -> str | None:
        if self._recovery is None or self._stage is None or not self._news:
            return None
        self._news = False
        median_ms = self._recovery.median_ms(Answers.of(self.parts), self._stage.clock.now_ns())
        self.median_ms = median_ms if median_ms is not None else self.median_ms
        return RECOVERED if median_ms is not None and median_ms <= self._recovery.allowed_ms else None


_KEPT = [name for name in OPERATION_DTYPE.names or () if name in {
    "due_ns", "start_ns", "end_ns", "op", "outcome", "error_class",
}]  # fmt: skip
"""Of every operation, as long as its trial lasts: 27 bytes."""
