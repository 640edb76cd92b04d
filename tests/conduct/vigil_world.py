"""A vigil without a network: lookouts that answer as told, thoughts that were written down, generators that play."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from conduct_stage import T0_NS, make_plan, make_stage, script

from maul.conduct.mitigation_words import VantageWords
from maul.conduct.vigil import Vigil
from maul.core.clock import Clock, FakeClock
from maul.core.operation import ErrorClass, Outcome
from maul.core.vantage import Attempt, Notice, Question, Reach, Vantage
from maul.guard.mitigation.actions import (
    Ask,
    Freeze,
    GiveUp,
    MitigationAction,
    Recovered,
    Resume,
    Stance,
    Suspected,
    Verdict,
)
from maul.guard.mitigation.causes import Cause
from maul.guard.mitigation.diagnosis import Diagnosis, Suspect
from maul.guard.mitigation.signals import Second
from maul.load import FakeGenerator
from maul.plan import MitigationPlan

S = 1_000_000_000
IDLE = Question(Vantage.IDLE, "local", "vip")
BLACK_HOLE = Diagnosis(
    T0_NS,
    Cause.VIP_BLACK_HOLE,
    [Suspect(Cause.VIP_BLACK_HOLE, 9.0, ["silence"])],
    "The address is dropped upstream. X.",
)


@dataclass
class FakeLookout:
    """Answers what it is asked one look later, as `reach` says then; feels nothing by itself."""

    clock: Clock
    who: str = "local"
    reach: Reach = Reach.ANSWERED
    asked: list[tuple[int, Question]] = field(default_factory=list)
    felt: list[Attempt | Notice] = field(default_factory=list)
    hushed: list[bool] = field(default_factory=list)
    closed: int = 0

    def take(self) -> Sequence[Attempt | Notice]:
        felt, self.felt = self.felt, []
        return felt

    def ask(self, question: Question) -> bool:
        if question.who != self.who:
            return False
        self.asked.append((self.clock.now_ns(), question))
        self.felt.append(Attempt(self.clock.now_ns(), question, self.reach))
        return True

    def quiet(self, wanted: bool) -> None:
        self.hushed.append(wanted)

    def close(self) -> None:
        self.closed += 1


STANCES = {
    Suspected: Stance.SUSPECT,
    Freeze: Stance.PROBING,
    Verdict: Stance.HELD,
    Recovered: Stance.RECOVERED,
    Resume: Stance.NORMAL,
    GiveUp: Stance.OVER,
}


@dataclass
class Thoughts:
    """By number of the look: what it asks for; a function is asked with the window. Remembers what it was shown."""

    by_look: dict[int, Sequence[MitigationAction]] = field(default_factory=dict)
    looks: int = 0
    windows: list[Sequence[Second]] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)
    hurting: list[Sequence[str]] = field(default_factory=list)
    fresh: int = 0
    stance: Stance = Stance.NORMAL

    def __call__(self, window: Sequence[Second], phase: str, hurting: Sequence[str]) -> Sequence[MitigationAction]:
        self.looks += 1
        self.windows.append(window)
        self.phases.append(phase)
        self.hurting.append(hurting)
        actions = self.by_look.get(self.looks, ())
        for action in actions:
            self.stance = STANCES.get(type(action), self.stance)
        return actions

    def anew(self) -> None:
        self.fresh += 1


def play(engine: dict[str, Any]) -> np.ndarray:
    """What an engine plan asks for, all of it answered in 2 ms; a closed loop as fast as its ceiling of rate."""
    arrivals = engine["arrivals"]
    if arrivals["mode"] == "closed":
        count = arrivals["requests"]
        return script(count, seconds=count / min(500.0, engine["limits"]["rate_per_s"]))
    count = sum(round(one["rate"] * one["seconds"]) for one in arrivals["profile"])
    return script(count, seconds=sum(one["seconds"] for one in arrivals["profile"]))


def black_hole_after(operations: np.ndarray, seconds: float) -> np.ndarray:
    """From then on every operation is in flight for a minute, and times out."""
    late = operations["due_ns"] >= seconds * S
    operations["end_ns"][late] = operations["due_ns"][late] + 60 * S
    operations["outcome"][late] = Outcome.UNKNOWN
    operations["error_class"][late] = ErrorClass.TIMEOUT
    return operations


def make_world(tmp_path, thoughts: Thoughts, make=play, plan=None, **mitigation):
    """(stage with a vigil, its lookout, the engine plans that generators were made of)."""
    clock, given = FakeClock(T0_NS), []
    terms = MitigationPlan(**{"act": "freeze", "resume_s": 4.0, **mitigation})

    def generator(engine: dict[str, Any]) -> FakeGenerator:
        given.append(engine)
        return FakeGenerator(make(engine), clock)

    plan = (plan or make_plan()).model_copy(update={"mitigation": terms, "faults": ()})
    stage = make_stage(tmp_path, plan, clock=clock, make_generator=generator)
    lookout = FakeLookout(clock)
    stage.vigil = Vigil(stage, [lookout], thoughts, VantageWords(points={"sentinel": ("local",)}))
    return stage, lookout, given


def freeze(onset_ns: int = T0_NS + 5 * S) -> Freeze:
    return Freeze("answers ceased to come", onset_ns)


def a_whole_one(first: int, *, resume: float | None = 0.5) -> dict[int, Sequence[MitigationAction]]:
    """Freeze at this look, ask, tell, ask, recover, resume."""
    found: dict[int, Sequence[MitigationAction]] = {
        first: [freeze()],
        first + 1: [Ask(IDLE)],
        first + 5: [Verdict(BLACK_HOLE)],
        first + 20: [Ask(IDLE)],
        first + 40: [Recovered("everybody is answered", 42.0, 15.0)],
    }
    if resume is not None:
        found[first + 41] = [Resume(resume, "going on with a part")]
    return found


Make = Callable[[dict[str, Any]], np.ndarray]
