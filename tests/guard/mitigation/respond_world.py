"""A world for the answer to a suspicion: generators that send, a door that can fall silent, people who ask when asked.

It breaks nothing by itself: tests say what is true at which second, and read what was done.
"""

from dataclasses import dataclass, field

from maul.core.vantage import Attempt, Question, Reach, Vantage
from maul.guard.mitigation.actions import Ask, Freeze, MitigationAction, Resume
from maul.guard.mitigation.diagnosis import Diagnosis, Suspect
from maul.guard.mitigation.respond import State, step
from maul.guard.mitigation.respond_terms import Asker, Terms
from maul.guard.mitigation.signals import GeneratorSecond, Second

S = 1_000_000_000
BEGAN = 1_700_000_000 * S
NOTHING = Diagnosis(BEGAN, None, (), "nothing is wrong", healthy=True)
UNKNOWN = Diagnosis(BEGAN, None, (), "unknown: no vantage point")

ASKERS = (
    Asker(Vantage.IDLE, "g1", "vip", "r1"),
    Asker(Vantage.IDLE, "g2", "vip", "r2"),
    Asker(Vantage.EXTERNAL, "ext", "vip"),
    Asker(Vantage.CONTROL, "control", "control"),
    Asker(Vantage.INSIDE, "inside", "private"),
)
TERMS = Terms(("vip",), ASKERS, phase="ramp")


def said(cause, onset_s=None, separate=None):
    onset_ns = None if onset_s is None else BEGAN + round(onset_s * S)
    return Diagnosis(BEGAN, cause, (Suspect(cause, 9.0),), f"this is {cause}", onset_ns, separate=separate)


def good(per_s=1000.0, **more):
    return GeneratorSecond(**{
        "due": per_s, "ok": per_s, "in_flight": per_s / 100, "p50_ms": 10.0,
        "bytes_received": more.get("ok", per_s) * 4000, **more,
    })  # fmt: skip


def dead(per_s=1000.0, waited_s=1.0, **more):
    """Nothing is answered; what is sent waits, and fails when its time is over."""
    return GeneratorSecond(**{"due": per_s, "in_flight": per_s * waited_s, "backlog": 0.0, **more})


def sentinel(who, at_s, reach, connect_ms=None):
    return Attempt(BEGAN + round(at_s * S), Question(Vantage.SENTINEL, who, "vip"), reach, connect_ms=connect_ms)


@dataclass
class World:
    """Asked attempts end after a second, as `reach_of(question, at_s)` says; None: no word ever comes back."""

    terms: Terms = TERMS
    state: State = field(default_factory=State)
    at_s: float = 0.0
    log: list[tuple[float, MitigationAction]] = field(default_factory=list)
    waiting: list[tuple[float, Question]] = field(default_factory=list)
    frozen: bool = False
    reach_of: object = lambda question, at_s: Reach.ANSWERED

    def tick(self, generators=None, attempts=(), diagnosis=NOTHING, every_s=1.0):
        """One second; returns what is to be done."""
        self.at_s += every_s
        due = [one for one in self.waiting if one[0] + every_s <= self.at_s]
        self.waiting = [one for one in self.waiting if one not in due]
        came = [
            Attempt(BEGAN + round(at * S), question, self.reach_of(question, at))
            for at, question in due
            if self.reach_of(question, at) is not None
        ]
        now_ns = BEGAN + round(self.at_s * S)
        second = Second(now_ns, {} if self.frozen else generators or {}, (*attempts, *came), silent=self.frozen)
        self.state, actions = step(self.state, second, diagnosis, self.terms, now_ns)
        for action in actions:
            self.log.append((self.at_s, action))
            if isinstance(action, Ask):
                self.waiting.append((self.at_s, action.question))
            self.frozen = isinstance(action, Freeze) or (self.frozen and not isinstance(action, Resume))
        return actions

    def run(self, seconds, **what):
        for _ in range(seconds):
            self.tick(**what)
        return self

    def of(self, kind):
        return [action for _, action in self.log if isinstance(action, kind)]

    def when(self, kind):
        return [at for at, action in self.log if isinstance(action, kind)]
