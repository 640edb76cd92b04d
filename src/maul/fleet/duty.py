"""What an agent does: engines under leases, results on its own disk until the conductor has them. No dask here.

Everything below is called from the agent's actor, except the watch: a thread of our own that goes on emptying engines
when nobody asks any more, and forgets what is secret when they have ended.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maul.core.clock import Clock, SystemClock
from maul.core.errors import InternalError, MachineError
from maul.core.generator import Generator, GeneratorState, GeneratorStatus
from maul.fleet.messages import BeatAnswer, EngineOrder, EngineReport
from maul.fleet.sentinels import AgentSentinel, SentinelOrder
from maul.fleet.spool import EngineSpool, Spool
from maul.hosts.machine_counters import machine_counters

ANSWER_BYTES_MAX = 32 << 20
"""About how many bytes of batches go into one answer."""
WATCH_S = 0.25
_UNHEARD_S = 1.5  # the watch empties engines that no beat emptied for so long
_SESSION_S = 15.0  # after so long without a word, another conductor may take the agent

MakeGenerator = Callable[[Mapping[str, Any], bytes | None], Generator]
"""From an engine plan, and the packed rows of a trace where the plan replays one."""


@dataclass(frozen=True, slots=True)
class Maker:
    """What the agent's process brings along: how to make a generator, and what is known about its engine."""

    make: MakeGenerator
    engine_version: str
    ceiling_per_s: Callable[[], float | None] = lambda: None
    clock: Callable[[], Clock] = SystemClock


@dataclass(slots=True)
class _Engine:
    generator: Generator | None  # None: it ended, and everything that it had is in the spool
    spool: EngineSpool
    lease_max_ns: int
    ahead_ns: int  # the engine's own clock - the agent's
    lease_until_ns: int = 0
    throttle: float = 1.0
    emptied_ns: int = 0
    status: GeneratorStatus = field(default_factory=lambda: GeneratorStatus(GeneratorState.READY))
    lock: threading.Lock = field(default_factory=threading.Lock)


class Duty:
    """One agent. Its methods are called by one conductor at a time; each is short or says so."""

    def __init__(self, maker: Maker, folder: Path) -> None:
        """`folder` is the agent's own: results that nobody has yet are kept there."""
        self._maker = maker
        self.spool = Spool(folder / "spool")
        self._engines: dict[str, _Engine] = {}
        self._sentinel: AgentSentinel | None = None
        self._clock = maker.clock()
        self._session, self._heard_ns = "", 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._watch_engines, name="maul-agent-watch", daemon=True)
        self._watch.start()

    def enter(self, session: str) -> None:
        """Serve this conductor. MachineError while another one holds the agent."""
        with self._lock:
            now_ns = self._clock.now_ns()
            if self._session not in ("", session) and now_ns - self._heard_ns < _SESSION_S * 1e9 and self._busy():
                raise MachineError("this agent works for another conductor", cure="wait for its end")
            if session != self._session:
                self._stop_engines("another conductor took over")
                self._engines.clear()
                self._end_sentinel()
                self._clock = self._maker.clock()  # anchored anew: what was measured before is void
            self._session, self._heard_ns = session, self._clock.now_ns()

    def leave(self, session: str) -> None:
        """The conductor has finished; whatever still runs is stopped."""
        with self._lock:
            if session == self._session:
                self._stop_engines("the conductor left")
                self._end_sentinel()
                self._session = ""

    def now_ns(self) -> int:
        """This agent's clock, which is what leases and starts are told in."""
        return self._clock.now_ns()

    def prepare(
        self, engine: str, run: str, plan: Mapping[str, Any], trace: bytes | None, about: Mapping[str, Any]
    ) -> int:
        """Make a generator; sends nothing yet. May take seconds (names, certificates).

        Returns by how much the engine's clock is ahead of ours. MaulError when there can be none.
        """
        with self._lock:
            if engine in self._engines:
                raise InternalError(f"engine {engine} was prepared before")
        lease_ms = int(plan["lease_ms"])
        spool = self.spool.begin(run, engine, about)
        generator = self._maker.make(plan, trace)
        ahead_ns = time.time_ns() - self._clock.now_ns()  # both carried on by the monotonic clock from here on
        spool.note({**about, "ahead_ns": int(about.get("offset_ns", 0)) + ahead_ns})
        with self._lock:
            self._engines[engine] = _Engine(generator, spool, lease_ms * 1_000_000, ahead_ns)
        return ahead_ns

    def begin(self, engine: str, at_ns: int, lease_until_ns: int) -> None:
        """Start at a moment of this agent's clock; a moment that is over makes the engine skip what was due before."""
        found = self._engine(engine)
        generator = found.generator
        if generator is None:
            raise InternalError(f"engine {engine} has ended already")
        found.lease_until_ns = lease_until_ns
        if lease_until_ns <= self._clock.now_ns():
            raise InternalError("the order to begin came when its lease was over")
        generator.start(at_ns + found.ahead_ns)
        self._heard_ns = self._clock.now_ns()

    def post_sentinel(self, who: str, words: Mapping[str, Any] | None) -> None:
        """Have a sentinel as `AgentSentinel` wants it, instead of the one before; None: have none."""
        with self._lock:
            self._end_sentinel()
            if words is not None:
                self._sentinel = AgentSentinel(who, words, self._clock)

    def beat(self, orders: Mapping[str, EngineOrder], sentinel: SentinelOrder | None = None) -> BeatAnswer:
        """Renew leases as told and hand over what was counted; engines that are not named get no lease."""
        self._heard_ns = self._clock.now_ns()
        reports = {}
        for name, order in orders.items():
            engine = self._engines.get(name)
            if engine is not None:
                self._renew(engine, order.lease_until_ns)
                self._obey(engine, order)
                reports[name] = self._report(engine, order)
        own = self._sentinel
        felt = own.obey(sentinel) if own is not None and sentinel is not None else None
        return BeatAnswer(self._clock.now_ns(), reports, machine_counters(), felt)

    def throttle(self, engine: str, part: float) -> None:
        """Send only that part of the arrivals."""
        found = self._engine(engine)
        generator = found.generator
        if generator is not None:
            generator.throttle(part)
            found.throttle = part

    def stop(self, engine: str, reason: str, now: bool) -> None:
        """No new arrivals; `now`: close all connections, too. An engine that is not here is stopped well enough."""
        found = self._engines.get(engine)
        generator = found.generator if found is not None else None
        if generator is not None:
            generator.stop(reason, now=now)

    def finish(self, run: str, engine: str) -> None:
        """The conductor has everything: forget the engine and what was kept of it."""
        found = self._engines.pop(engine, None)
        if found is not None and found.generator is not None:
            found.generator.stop("finished", now=True)
        self.spool.drop(run, engine)

    def close(self, wait_s: float) -> None:
        """End: stop all engines at once, save what they counted."""
        self._ended.set()
        self._stop_engines("the agent ended")
        self._end_sentinel()
        for engine in list(self._engines.values()):
            if engine.generator is not None:
                engine.generator.join(wait_s)
                self._empty(engine)

    def _engine(self, name: str) -> _Engine:
        try:
            return self._engines[name]
        except KeyError:
            raise InternalError(f"engine {name} is not here") from None

    def _busy(self) -> bool:
        return any(engine.generator is not None for engine in self._engines.values())

    def _renew(self, engine: _Engine, until_ns: int) -> None:
        """A lease that came late, or older than the one that we have, is none."""
        now_ns = self._clock.now_ns()
        until_ns = min(until_ns, now_ns + engine.lease_max_ns)
        generator = engine.generator  # the watch may take it away
        if generator is None or until_ns <= max(now_ns, engine.lease_until_ns) or engine.lease_until_ns == 0:
            return
        engine.lease_until_ns = until_ns
        generator.renew((until_ns - now_ns) / 1e9)

    def _obey(self, engine: _Engine, order: EngineOrder) -> None:
        generator = engine.generator
        if generator is None:
            return
        if order.stop is not None:
            generator.stop(order.stop[0], now=order.stop[1])
        if order.throttle != engine.throttle:
            generator.throttle(order.throttle)
            engine.throttle = order.throttle

    def _report(self, engine: _Engine, order: EngineOrder) -> EngineReport:
        self._empty(engine)
        with engine.lock:
            engine.spool.forget(order.kept)
            batches = engine.spool.after(order.received, ANSWER_BYTES_MAX)
            finished = engine.generator is None
            spool = engine.spool
            lost = spool.operations_lost + spool.batches_lost
            return EngineReport(engine.status, finished, spool.last, batches, lost)

    def _empty(self, engine: _Engine) -> None:
        """Take what the engine counted onto our disk; an engine that is done is forgotten, its secrets with it."""
        with engine.lock:
            if engine.generator is None:
                return
            done = engine.generator.join(0.0)
            engine.spool.put(engine.generator.drain())
            engine.status = engine.generator.status()
            engine.emptied_ns = self._clock.now_ns()
            if done:
                engine.generator = None

    def _end_sentinel(self) -> None:
        own, self._sentinel = self._sentinel, None
        if own is not None:
            own.close()

    def _watch_engines(self) -> None:
        while not self._ended.wait(WATCH_S):
            own = self._sentinel
            if own is not None and own.is_forgotten():
                with self._lock:
                    if own is self._sentinel:
                        self._end_sentinel()
            for engine in list(self._engines.values()):
                now_ns = self._clock.now_ns()
                generator = engine.generator
                if generator is not None and 0 < engine.lease_until_ns < now_ns:
                    # The engine keeps its lease itself. This is for its first one, which counts from its start: an
                    # order to begin that came late must not make it longer.
                    generator.stop("lease")
                if generator is not None and now_ns - engine.emptied_ns > _UNHEARD_S * 1e9:
                    with contextlib.suppress(Exception):  # what fails here, the next beat tells
                        self._empty(engine)
                        if engine.lease_until_ns == 0 and now_ns - self._heard_ns > _SESSION_S * 1e9:
                            engine.generator = None  # prepared, never begun, nobody there: its plan holds secrets

    def _stop_engines(self, reason: str) -> None:
        for engine in list(self._engines.values()):
            if engine.generator is not None:
                engine.generator.stop(reason, now=True)
