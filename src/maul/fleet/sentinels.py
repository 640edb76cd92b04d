"""An agent's own look at the target, beside the load and while it is silent: its sentinel, asked and heard by beats.

No dask here. `AgentSentinel` is the agent's side; the conductor's is `lookout.FleetLookout`.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from maul.core.clock import Clock
from maul.core.vantage import Attempt, Question, Vantage
from maul.s3.knock import attempt_of
from maul.s3.patrol import gate_of
from maul.s3.pulse import Sentinel

LEASE_S = 4.0
"""A sentinel that nobody listens to for so long ends: a conductor that is gone leaves nobody at the target's door."""
KEPT_MAX = 4096
REPORT_MAX = 256
"""Attempts that go into one answer."""
SAYS_MAX = 300


@dataclass(frozen=True, slots=True)
class SentinelOrder:
    """What a beat tells a sentinel, as it is to be. `received`: the last attempt that the conductor has.

    `quiet`: as `Lookout.quiet`. `questions`: with their numbers, so that one told twice is asked once.
    """

    received: int = 0
    quiet: bool = False
    questions: Sequence[tuple[int, Question]] = ()


@dataclass(frozen=True, slots=True)
class SentinelReport:
    """What it answers: attempts with their numbers, those behind `received`; the number of the last question heard."""

    attempts: Sequence[tuple[int, Attempt]] = ()
    asked: int = 0


class AgentSentinel:
    """One sentinel of this agent, under a lease that each order renews."""

    def __init__(self, who: str, words: Mapping[str, Any], clock: Clock) -> None:
        """Connects at once. `words`: {"endpoint": name, "gates": {name: `patrol.words_of`}}."""
        gates = {str(name): gate_of(dict(gate)) for name, gate in words["gates"].items()}
        self._sentinel = Sentinel(who, str(words["endpoint"]), gates, clock)
        self._clock = clock
        self._heard_ns = clock.now_ns()
        self._kept: deque[tuple[int, Attempt]] = deque(maxlen=KEPT_MAX)
        self._number = self._asked = 0
        self._quiet = False

    def obey(self, order: SentinelOrder) -> SentinelReport:
        """Do as it is told; what was felt and is not received yet."""
        self._heard_ns = self._clock.now_ns()
        if order.quiet != self._quiet:
            self._sentinel.quiet(order.quiet)
            self._quiet = order.quiet
        for number, question in order.questions:
            if number > self._asked:
                self._sentinel.ask(question)
                self._asked = number
        for felt in self._sentinel.take():
            if isinstance(felt, Attempt):
                self._number += 1
                self._kept.append((self._number, felt))
        while self._kept and self._kept[0][0] <= order.received:
            self._kept.popleft()
        return SentinelReport(tuple(self._kept)[:REPORT_MAX], self._asked)

    def is_forgotten(self) -> bool:
        """Nobody listened for longer than its lease."""
        return self._clock.now_ns() - self._heard_ns > LEASE_S * 1e9

    def close(self) -> None:
        """Let go of its connections."""
        self._sentinel.close()


# -- as JSON -----------------------------------------------------------------------------------------------------------


def order_to_json(order: SentinelOrder | None) -> dict[str, Any] | None:
    """An order in plain words."""
    if order is None:
        return None
    questions = [[number, _question_to_json(question)] for number, question in order.questions]
    return {"received": order.received, "quiet": order.quiet, "questions": questions}


def order_from_json(words: Mapping[str, Any] | None) -> SentinelOrder | None:
    """The reverse; ValueError, KeyError or TypeError for garbage."""
    if words is None:
        return None
    questions = tuple((int(number), _question_from_json(said)) for number, said in words["questions"])
    return SentinelOrder(int(words["received"]), bool(words["quiet"]), questions)


def report_to_json(report: SentinelReport | None) -> dict[str, Any] | None:
    """A report in plain words."""
    if report is None:
        return None
    attempts = [[number, _attempt_to_json(one)] for number, one in report.attempts]
    return {"asked": report.asked, "attempts": attempts}


def report_from_json(words: Mapping[str, Any] | None) -> SentinelReport | None:
    """The reverse; ValueError, KeyError or TypeError for garbage."""
    if words is None:
        return None
    attempts = tuple((int(number), _attempt_from_json(said)) for number, said in words["attempts"])
    return SentinelReport(attempts, int(words["asked"]))


def _question_to_json(question: Question) -> list[object]:
    return [question.vantage.value, question.who, question.endpoint, question.port, question.large]


def _question_from_json(said: Sequence[Any]) -> Question:
    vantage, who, endpoint, port, large = said
    return Question(Vantage(vantage), str(who), str(endpoint), int(port), bool(large))


def _attempt_to_json(attempt: Attempt) -> dict[str, Any]:
    words = asdict(attempt)
    return {**words, "reach": attempt.reach.value, "question": _question_to_json(attempt.question)}


def _attempt_from_json(words: Mapping[str, Any]) -> Attempt:
    for name in ("connect_ms", "tls_ms", "answer_ms"):
        value = words[name]
        if value is not None and (type(value) not in (int, float) or not 0 <= value < 1e9):
            raise ValueError(f"{name} is {value!r}")
    told = {**words, "says": str(words["says"])[:SAYS_MAX]}
    return attempt_of(told, _question_from_json(words["question"]), int(words["at_ns"]))
