"""FleetGenerator: a generator that is many. Satisfies `maul.core.generator.Generator`, and knows its agents by name."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from maul.core.clock import Clock
from maul.core.errors import InternalError, MachineError
from maul.core.generator import Drained, GeneratorState, GeneratorStatus
from maul.core.statuses import summed
from maul.fleet.batch import Batch, decode
from maul.fleet.merge import merge
from maul.fleet.messages import EngineOrder, EngineReport
from maul.fleet.words import ClockReading, LostAgent, StartSkew

START_AHEAD_S = 0.5
"""How far in the future a start is set, so that every agent knows of it before it comes …"""
START_EACH_S = 0.003
"""… and for each of them so much more."""
LEASE_MAX_S = 5.0
ALL_LOST = "every agent is lost"
"""The stop reason when nobody is left."""
_JOIN_POLL_S = 0.1


@dataclass(slots=True)
class Part:
    """One engine on one agent. `ahead_ns`: its clock - ours, as far as is known."""

    agent: str
    engine: str
    ahead_ns: int
    clock: ClockReading
    began: bool = False
    begin_ns: int = 0
    received: int = 0
    drained: int = 0
    kept: int = 0
    throttle: float = 1.0
    finished: bool = False
    lost: LostAgent | None = None
    status: GeneratorStatus = field(default_factory=lambda: GeneratorStatus(GeneratorState.READY))

    @property
    def over(self) -> bool:
        """Nothing more comes from it."""
        return self.finished or self.lost is not None


class Line(Protocol):
    """What a FleetGenerator needs of the connection to the agents. Every call is bounded in time."""

    clock: Clock

    def prepare(
        self, owner: "FleetGenerator", plans: Mapping[str, Mapping[str, Any]], trace: bytes | None
    ) -> list[Part]:
        """Make an engine on each of these agents; of those that could not, the part is lost."""
        ...

    def begin(self, owner: "FleetGenerator", parts: Sequence[Part], at_ns: int) -> None:
        """Tell them all at once when to begin, and beat from then on."""
        ...

    def tell(self, parts: Sequence[Part], verb: str, arguments: Callable[[Part], tuple[Any, ...]]) -> tuple[str, ...]:
        """Say something to all of them at once; the agents that did not confirm."""
        ...

    def nudge(self) -> None:
        """Beat now."""
        ...


class FleetGenerator:
    """Engines on many agents, started at one instant, read once a second, merged exactly.

    Times are those of the conductor's clock. The agents' clocks are corrected for, to the error that `skew` tells.
    """

    def __init__(
        self,
        line: Line,
        plans: Mapping[str, Mapping[str, Any]],
        trace: bytes | None = None,
        *,
        run: str = "run",
        about: Mapping[str, str | int] | None = None,
    ) -> None:
        """Prepare an engine on each agent; sends no load. Use `Fleet.generator`.

        TargetError, InternalError as a single generator raises them, with the agent's name. MachineError when no agent
        could prepare. An agent that did not answer is lost before it began.
        """
        self.run, self.about = run, dict(about or {})
        leases = {int(plan["lease_ms"] or 0) for plan in plans.values()}
        if not leases or max(leases) > LEASE_MAX_S * 1000 or min(leases) <= 0:
            raise InternalError(f"an agent's plan must have a lease of at most {LEASE_MAX_S:g} s")
        self.lease_s = min(leases) / 1000
        self._line = line
        self._lock = threading.Lock()
        self._heard = threading.Condition(self._lock)
        self._batches: list[tuple[Batch, int]] = []
        self._asked_ns: int | None = None
        self._renewed_until_ns = 0
        self._stop: tuple[str, bool] | None = None
        self._parts = line.prepare(self, plans, trace)
        if all(part.over for part in self._parts):
            why = "; ".join(f"{lost.name}: {lost.why}" for lost in self.lost())
            raise MachineError("no agent could prepare its part of the load", cure=why)

    # -- as a Generator --------------------------------------------------------------------------------------------

    def start(self, at_ns: int | None = None) -> None:
        """Begin on all agents at that moment; None: as soon as all can know of it. InternalError when called twice.

        Agents that do not confirm before their lease would be over are lost.
        """
        if self._asked_ns is not None:
            raise InternalError("the fleet was started before; make a new generator for every run")
        self._asked_ns = at_ns if at_ns is not None else self._line.clock.now_ns() + self._ahead_ns()
        self.renew()
        self._line.begin(self, [part for part in self._parts if not part.over], self._asked_ns)

    def status(self) -> GeneratorStatus:
        """Where the agents stand together, a second old at most; of lost agents, what they last said."""
        with self._lock:
            whole = summed([_last(part) for part in self._parts])
            if all(part.lost is not None for part in self._parts):
                return replace(whole, stop_reason=ALL_LOST)
            return whole

    def drain(self) -> Drained:
        """Take what came since the last call, merged; what the call before gave is acknowledged as kept."""
        with self._lock:
            batches, self._batches = self._batches, []
            for part in self._parts:
                part.kept, part.drained = part.drained, part.received
        return merge(batches)

    def renew(self, for_s: float | None = None) -> None:
        """Extend the lease from now on; agents learn of it with their next beat, and of nothing else."""
        for_s = self.lease_s if for_s is None else min(for_s, self.lease_s)
        self._renewed_until_ns = max(self._renewed_until_ns, self._line.clock.now_ns() + int(for_s * 1e9))

    def throttle(self, part: float) -> None:
        """Send only that part of the arrivals, on every agent."""
        self.throttle_agents(dict.fromkeys(self.by_agent(), part))

    def stop(self, reason: str, *, now: bool = False) -> None:
        """No new arrivals on any agent; `now` also closes all connections. Told to all at once."""
        if self._stop is None or (now and not self._stop[1]):
            self._stop = (self._stop[0] if self._stop else reason, now)
        told, at_once = self._stop
        self._line.tell(self._alive(), "stop", lambda part: (part.engine, told, at_once))
        self._line.nudge()

    def join(self, timeout_s: float) -> bool:
        """Wait until every agent is done or lost, and all that they counted is here."""
        until_ns = self._line.clock.now_ns() + int(timeout_s * 1e9)
        while True:
            with self._heard:
                if all(part.over for part in self._parts):
                    return True
                left_s = (until_ns - self._line.clock.now_ns()) / 1e9
                if left_s <= 0:
                    return False
                self._heard.wait(min(left_s, _JOIN_POLL_S))
            self._line.nudge()

    # -- besides ---------------------------------------------------------------------------------------------------

    def by_agent(self) -> Mapping[str, GeneratorStatus]:
        """Where each agent stands; one that took over has both engines added up."""
        with self._lock:
            names = dict.fromkeys(part.agent for part in self._parts)
            return {name: summed([_last(part) for part in self._parts if part.agent == name]) for name in names}

    def lost(self) -> tuple[LostAgent, ...]:
        """Agents that do not take part any more, in the order in which that was noticed."""
        with self._lock:
            found = {part.lost.name: part.lost for part in self._parts if part.lost is not None}
        return tuple(sorted(found.values(), key=lambda lost: lost.at_ns))

    def skew(self) -> StartSkew:
        """When each agent's engine says that it began; those of the start only, not of those that took over."""
        with self._lock:
            first = {}
            for part in self._parts:
                began_ns = part.status.began_ns
                if began_ns and part.agent not in first:
                    first[part.agent] = (began_ns - part.ahead_ns - (self._asked_ns or 0), part.clock.error_ns)
            return StartSkew(self._asked_ns or 0, first)

    def throttle_agents(self, parts: Mapping[str, float]) -> tuple[str, ...]:
        """Send only these parts of the arrivals; agents that did not confirm at once (every beat tells them again)."""
        chosen = [part for part in self._alive() if part.agent in parts]
        with self._lock:
            for part in chosen:
                part.throttle = min(1.0, max(0.0, parts[part.agent]))
        return self._line.tell(chosen, "throttle", lambda part: (part.engine, part.throttle))

    def take_over(self, plans: Mapping[str, Mapping[str, Any]], origin_ns: int, trace: bytes | None = None) -> None:
        """Start one more engine on each of these agents, as if it had begun at `origin_ns` (of our clock).

        What was due before now is skipped. Agents that cannot are told by `lost()`. Who is throttled stays so.
        """
        fresh = self._line.prepare(self, plans, trace)
        with self._lock:
            throttles = {part.agent: part.throttle for part in self._parts}
            for part in fresh:
                part.throttle = throttles.get(part.agent, 1.0)
            self._parts = [*self._parts, *fresh]
        held = [part for part in fresh if part.throttle < 1.0 and not part.over]
        if held:
            self._line.tell(held, "throttle", lambda part: (part.engine, part.throttle))
        self._line.begin(self, [part for part in fresh if not part.over], origin_ns)

    def progress(self) -> Mapping[str, int]:
        """By engine: the number of the last batch that `drain` has given."""
        with self._lock:
            return {part.engine: part.drained for part in self._parts}

    # -- for the connection, from its thread -----------------------------------------------------------------------

    def order(self, part: Part) -> EngineOrder:
        """What the next beat tells this engine. Leases are told in the agent's clock, cautiously."""
        until_ns = self._renewed_until_ns + part.clock.offset_ns - part.clock.error_ns
        with self._lock:
            return EngineOrder(until_ns, part.received, part.kept, part.throttle, self._stop)

    def receive(self, part: Part, report: EngineReport) -> None:
        """Take what an agent sent. BatchError when it is garbage; then nothing of it is taken."""
        fresh = [(number, content) for number, content in report.batches if number > part.received]
        batches = [(decode(content, fresh=True), part.ahead_ns) for _, content in fresh]
        with self._heard:
            self._batches += batches
            part.received = max([part.received, *(number for number, _ in fresh)])
            part.status = report.status
            part.finished = report.finished and part.received >= report.last
            self._heard.notify_all()

    def lose(self, part: Part, at_ns: int, why: str) -> None:
        """That agent does not take part any more."""
        with self._heard:
            if not part.over:
                part.lost = LostAgent(part.agent, at_ns, why, part.status)
            self._heard.notify_all()

    def _ahead_ns(self) -> int:
        """How far in the future a start must be for all to know of it."""
        return int((START_AHEAD_S + START_EACH_S * len(self._parts)) * 1e9)

    def _alive(self) -> list[Part]:
        with self._lock:
            return [part for part in self._parts if not part.over]


def _last(part: Part) -> GeneratorStatus:
    """Its last status, on our clock; what nobody can know of a lost agent any more is nothing."""
    status = part.status
    if status.began_ns:
        status = replace(status, began_ns=status.began_ns - part.ahead_ns)
    if part.lost is not None:
        return replace(status, state=GeneratorState.DONE, in_flight=0, backlog=0, connections=0, connecting=0)
    if status.state is GeneratorState.DONE and not part.finished:
        return replace(status, state=GeneratorState.DRAINING)  # its last results are still on their way
    if status.state is GeneratorState.READY and part.began:
        return replace(status, state=GeneratorState.RUNNING)
    return status
