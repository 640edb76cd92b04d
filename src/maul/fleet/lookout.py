"""The sentinels of a fleet as one `core.vantage.Lookout`: one in each agent, whatever the load does meanwhile."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from maul.core.clock import Clock
from maul.core.vantage import Attempt, Notice, Question, Vantage
from maul.fleet.messages import MessageError
from maul.fleet.sentinels import SentinelOrder, SentinelReport
from maul.s3.knock import may_be_asked
from maul.s3.tcp_line import Gate

OURS = frozenset({Vantage.SENTINEL, Vantage.IDLE})
ANSWER_S = 10.0
"""A question that nothing came of for so long may be asked again."""


@dataclass(slots=True)
class _Post:
    """What is known of one agent's sentinel."""

    received: int = 0
    number: int = 0
    open: Question | None = None
    asked_ns: int = 0
    heard: int = 0


class Posting(Protocol):
    """What a FleetLookout needs of the connection to the agents."""

    clock: Clock

    def nudge(self) -> None:
        """Beat now."""
        ...

    def withdraw(self, lookout: "FleetLookout") -> None:
        """End its sentinels; bounded in time."""
        ...


class FleetLookout:
    """Use `Fleet.lookout`. Attempts come with the agent's name as `who`, on the conductor's clock.

    Sentinels live as long as beats come: also while no engine runs. They end with `close`, with the connection, and by
    themselves when the conductor is gone for four seconds.
    """

    def __init__(self, line: Posting, agents: Iterable[str], gates: Mapping[str, Gate]) -> None:
        """`agents`: who is to have one. `gates`: where questions may lead, by the endpoint's name."""
        self._line, self._gates = line, dict(gates)
        self._lock = threading.Lock()
        self._posts = {name: _Post() for name in agents}
        self._came: list[Attempt] = []
        self._quiet = self._closed = False
        self._left_out: dict[str, str] = {}

    def left_out(self) -> Mapping[str, str]:
        """Agents that have none (any more), with the reason."""
        with self._lock:
            return dict(self._left_out)

    # -- as a Lookout ----------------------------------------------------------------------------------------------

    def take(self) -> Sequence[Attempt | Notice]:
        """See `Lookout`."""
        with self._lock:
            came, self._came = self._came, []
        return came

    def ask(self, question: Question) -> bool:
        """See `Lookout`. `who` is the agent that is to ask: `IDLE` by a connection of its own."""
        now_ns = self._line.clock.now_ns()
        with self._lock:
            post = self._posts.get(question.who)
            if post is None or question.vantage not in OURS or self._closed:
                return False
            if not may_be_asked(self._gates, question):
                return False
            if post.open is not None and now_ns - post.asked_ns < ANSWER_S * 1e9:
                return False
            post.number += 1
            post.open, post.asked_ns = question, now_ns
        self._line.nudge()
        return True

    def quiet(self, wanted: bool) -> None:
        """See `Lookout`."""
        with self._lock:
            self._quiet = wanted
        self._line.nudge()

    def close(self) -> None:
        """See `Lookout`. Harmless a second time."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._line.withdraw(self)

    # -- for the connection, from its thread -----------------------------------------------------------------------

    def order(self, agent: str) -> SentinelOrder | None:
        """What the next beat tells the sentinel of this agent; None: it has none."""
        with self._lock:
            post = self._posts.get(agent)
            if post is None:
                return None
            asks = post.open is not None and post.heard < post.number
            questions = ((post.number, post.open),) if asks and post.open is not None else ()
            return SentinelOrder(post.received, self._quiet, questions)

    def receive(self, agent: str, report: SentinelReport | None, ahead_ns: int) -> None:
        """Take what an agent sent; `ahead_ns`: its clock - ours. MessageError when that cannot be its own."""
        if report is None:
            self.lose(agent, "its sentinel has ended: nobody heard it for too long")
            return
        with self._lock:
            post = self._posts.get(agent)
            if post is None:
                return
            fresh = [(number, one) for number, one in report.attempts if number > post.received]
            if any(one.question.who != agent or one.question.vantage not in OURS for _, one in fresh):
                raise MessageError("attempts that are not its own")
            post.heard = max(post.heard, min(report.asked, post.number))
            for number, one in fresh:
                post.received = max(post.received, number)
                self._came.append(replace(one, at_ns=one.at_ns - ahead_ns))
                if one.question == post.open and post.heard == post.number:
                    post.open = None

    def lose(self, agent: str, why: str) -> None:
        """It has no sentinel, or none any more."""
        with self._lock:
            if self._posts.pop(agent, None) is not None:
                self._left_out[agent] = why
