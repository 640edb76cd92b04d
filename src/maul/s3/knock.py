"""Knocking at an endpoint: one attempt as an `Attempt`, and a `Lookout` of this process that knocks again and again."""

import time
from collections.abc import Mapping
from typing import Any

from maul.core.clock import Clock, SystemClock
from maul.core.vantage import Attempt, Question, Reach, TcpFacts, Vantage
from maul.s3.doorstep import GENTLE, PACE_S, Limits, due_s, last_sent
from maul.s3.doorstep import knock as knock_once
from maul.s3.endpoint import Endpoint, Url
from maul.s3.own_thread import OwnThread
from maul.s3.tcp_line import Gate, Stopped
from maul.s3.tls import context_for


def gate(
    endpoint: Endpoint,
    address: str,
    *,
    ca_pem: str | None = None,
    source: str = "",
    ports: frozenset[int] | None = frozenset(),
) -> Gate:
    """The gate of an endpoint at an address that the guard has checked. `ca_pem`: instead of the endpoint's file;
    `ports`: other ports there that the guard allows, too; None: any.

    Raises CampaignError for a bad URL or CA.
    """
    url = Url.parse(endpoint.url)
    shown = f"[{url.host}]" if ":" in url.host else url.host
    host, name = f"{shown}:{url.port}", endpoint.server_name or url.host
    if url.scheme == "http":
        return Gate(address, url.port, host, source=source, ports=ports)
    context = context_for(endpoint.ca, ca_pem)
    if ca_pem is None and endpoint.ca is not None:
        ca_pem = endpoint.ca.read_text(encoding="utf-8", errors="replace")  # comments may hold anything
    return Gate(address, url.port, host, context, name, source, ca_pem or "", ports)


def may_be_asked(gates: Mapping[str, Gate], question: Question) -> bool:
    """Whether the guard has checked where a question leads."""
    where = gates.get(question.endpoint)
    return where is not None and (not question.port or where.ports is None or question.port in where.ports)


def attempt_of(told: Mapping[str, Any], question: Question, at_ns: int) -> Attempt:
    """An attempt as `doorstep` tells it. ValueError, KeyError or TypeError when it is none."""
    return Attempt(
        at_ns=at_ns,
        question=question,
        reach=Reach(told["reach"]),
        status=int(told["status"]),
        connect_ms=told.get("connect_ms"),
        tls_ms=told.get("tls_ms"),
        answer_ms=told.get("answer_ms"),
        tcp=TcpFacts(**told["tcp"]),
        says=str(told["says"]),
    )


def knock(where: Gate, question: Question, clock: Clock, limits: Limits = GENTLE) -> Attempt:
    """One attempt, never repeated, within its limits; never raises for what the network does."""
    at_ns = clock.now_ns()
    return attempt_of(knock_once(where, question.port, question.large, limits), question, at_ns)


class Rounds(OwnThread):
    """Knocks every `every_s` seconds, and when it is asked; one at a time, never more than one per second.

    Satisfies `Lookout`. `every_s` 0: only when asked. `gates`: by the endpoint's name; nothing else is connected to.
    `takes`: the vantages whose questions it answers, when `who` is its own.
    """

    def __init__(
        self,
        routine: Question,
        gates: Mapping[str, Gate],
        every_s: float = 1.0,
        takes: frozenset[Vantage] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Begins at once."""
        super().__init__(f"knock-{routine.who}")
        self._routine, self._gates, self._every_s = routine, dict(gates), every_s
        self._takes = takes or frozenset({routine.vantage})
        self._clock = clock or SystemClock()
        self._asked: Question | None = None
        self._thread.start()

    def ask(self, question: Question) -> bool:
        """See `Lookout`."""
        ours = question.vantage in self._takes and question.who == self._routine.who
        with self._changed:
            if not ours or not may_be_asked(self._gates, question) or self._asked or self._over:
                return False
            self._asked = question
            self._changed.notify()
        return True

    def _go(self) -> None:
        last = time.monotonic() - max(self._every_s, PACE_S)
        while (question := self._next(last)) is not None:
            began, at_ns = time.monotonic(), self._clock.now_ns()
            where = self._gates[question.endpoint]
            try:
                told = knock_once(where, question.port, question.large, stop=self._wake.fd)
            except Stopped:
                return
            last = last_sent(began, time.monotonic())
            self._came.append(attempt_of(told, question, at_ns))
            with self._changed:
                if self._asked is question:
                    self._asked = None

    def _next(self, last: float) -> Question | None:
        """Wait for the next question's moment; None: it is over."""
        with self._changed:
            while not self._over:
                asked = self._asked is not None
                wait_s = due_s(time.monotonic(), last, self._every_s, quiet=self._quiet, asked=asked)
                if wait_s <= 0:
                    return self._asked or self._routine
                self._changed.wait(None if wait_s == float("inf") else wait_s)
        return None
