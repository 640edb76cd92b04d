"""What the answer to a suspicion is held to: who may be asked, for how long, and what is allowed afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from maul.core.vantage import Question, Vantage

PART_MAX = 0.5
"""Load after a mitigation: at most this part of what was stopped."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who can make an attempt. `endpoint`: whom he asks as a rule. `rack`: of a generator."""

    vantage: Vantage
    who: str
    endpoint: str
    rack: str = ""

    def question(self, *, port: int = 0, large: bool = False, endpoint: str = "") -> Question:
        """One attempt of his."""
        return Question(self.vantage, self.who, endpoint or self.endpoint, port, large)


@dataclass(frozen=True, slots=True)
class Terms:
    """Given anew at every step, since some of it changes while a run goes.

    `phase`: what is loaded now; with another one, what is usual is learnt anew. `hurting`: our own faults that are
    active or were healed a moment ago. `may_resume`: the permit allows it, or none is in force. `detect_s`: how long
    the protection took to act, once that is known.
    """

    loaded: Sequence[str]
    """Endpoints of the site: the doors under load."""
    askers: Sequence[Asker] = ()
    """Idle generators (`Vantage.IDLE`) and lookouts that can be asked."""
    endpoints: frozenset[str] = frozenset()
    """Every endpoint that may be asked; those of the askers always may."""
    other_port: int = 0
    """Of the loaded address: another port that answers in good times; 0: none is known."""
    act: Literal["freeze", "watch"] = "freeze"
    phase: str = ""
    hurting: Sequence[str] = ()
    probe_s: float = 20.0
    answer_limit_s: float = 2.0
    """After so long an attempt is given up by whoever makes it."""
    recovered_after_s: float = 60.0
    hold_max_s: float = 1800.0
    resume: float = 0.0
    may_resume: bool = True
    retrigger: bool = False
    detect_s: float = 0.0

    def of(self, *vantages: Vantage) -> tuple[Asker, ...]:
        """Askers of these vantage points, in their order."""
        return tuple(asker for asker in self.askers if asker.vantage in vantages)

    def may_ask(self, question: Question) -> bool:
        """Whether somebody of ours can make this attempt, at a door that is ours to ask."""
        known = self.endpoints | set(self.loaded) | {asker.endpoint for asker in self.askers}
        who = {(asker.vantage, asker.who) for asker in self.askers}
        return question.endpoint in known and (question.vantage, question.who) in who
