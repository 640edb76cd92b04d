"""The conductor's side of a fleet. Start reading at `Fleet.connect`, then `preflight`, then `generator`.

What it promises:

- one agent's silence holds up nobody else: every question has a deadline of its own;
- the lease that an agent gets is one that the conductor asked for by `Generator.renew`, told in the agent's clock;
- an agent that is lost stays lost until the conductor connects anew.
"""

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from maul.core.clock import Clock, SystemClock
from maul.core.errors import InternalError, MachineError, MaulError, TargetError
from maul.fleet.generator import START_EACH_S, FleetGenerator, Part
from maul.fleet.line import CONNECT_S, DaskLine, UnheardError
from maul.fleet.lookout import FleetLookout
from maul.fleet.members import CALL_S, Asking, LeftOutError, Member
from maul.fleet.messages import MessageError, Sealed
from maul.fleet.preflight import Question
from maul.fleet.words import AgentFacts, ClockReading, Preflight
from maul.hosts.machine_counters import MachineCounters
from maul.s3.patrol import words_of
from maul.s3.tcp_line import Gate

PREFLIGHT_S = 15.0
"""An agent that has not answered everything by then is left out."""
PREPARE_S = 15.0
FETCH_S = 10.0
AT_ONCE = 64
"""How many agents are asked at a time for what takes long: a thousand handshakes at once would all be late."""
_LOOK_S = 5.0
_LEAVE_S = 2.0
_SLACK_S = 1.0  # for the thread to be scheduled


@dataclass(frozen=True, slots=True)
class AgentKeeper:
    """What one agent keeps of runs whose conductors are gone. Satisfies `collect.Keeper`."""

    fleet: "Fleet"
    agent: str

    def spooled(self, run: str) -> Mapping[str, Mapping[str, Any]]:
        """As `Keeper`."""
        head, _ = self.fleet.hand_over(self.agent, "spooled", run)
        return {str(name): dict(about) for name, about in head["engines"].items()}

    def fetch(self, run: str, engine: str, after: int) -> list[tuple[int, bytes]]:
        """As `Keeper`."""
        head, parts = self.fleet.hand_over(self.agent, "fetch", run, engine, after)
        return [(int(number), part) for number, part in zip(head["numbers"], parts, strict=True)]

    def forget(self, run: str, engine: str) -> None:
        """As `Keeper`."""
        self.fleet.hand_over(self.agent, "finish", run, engine)


class Fleet:
    """A connection to a fleet that stands. Close it, or use it as a context manager.

    >>> with Fleet.connect("tls://127.0.0.1:8786", Path("certificates")) as fleet:       # doctest: +SKIP
    ...     found = fleet.preflight(Question(addresses=(("127.0.0.1", 8333),)))
    ...     generator = fleet.generator({name: plans[name] for name in found.ready}, run="r1")
    """

    def __init__(self, line: DaskLine) -> None:
        """Use `connect`."""
        self.session = secrets.token_hex(8)
        self.clock: Clock = SystemClock()
        self._line = line
        self._asking = Asking(line, self.clock, self.session)
        self._members: dict[str, Member] = {}
        self._engines = 0
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._stopping: set[asyncio.Task[None]] = set()

    @classmethod
    def connect(cls, address: str, certificates: Path, timeout_s: float = CONNECT_S) -> Self:
        """Join as the conductor. MachineError when nobody is there, or our certificate is not in order."""
        return cls(DaskLine.open(address, certificates, timeout_s))

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the fleet; after an error, agents keep what nobody acknowledged."""
        self.close(forget=error is None)

    def close(self, *, forget: bool = True) -> None:
        """Go: agents stop what still runs. `forget`: the record is complete, they need not keep anything of it.

        Bounded in time; harmless a second time.
        """
        if self._line.loop.is_closed():
            return
        with contextlib.suppress(TimeoutError, OSError):
            self._line.wait(self._leave(forget), 2 * _LEAVE_S + _SLACK_S)
        self._line.close()

    # -- who is there ----------------------------------------------------------------------------------------------

    def agents(self) -> tuple[str, ...]:
        """Names of the agents that are in the fleet now, whomever they serve. MachineError when it is gone."""
        return tuple(sorted(self._line.wait(self._line.workers(), _LOOK_S)))

    def wait_for(self, names: Iterable[str], timeout_s: float) -> tuple[str, ...]:
        """Wait until these agents have dialled in; the names of those that have not."""
        wanted = set(names)
        until_ns = self.clock.now_ns() + int(timeout_s * 1e9)
        while missing := wanted - set(self.agents()):
            if self.clock.now_ns() > until_ns:
                break
            self.clock.wait(0.05)
        return tuple(sorted(missing))

    def preflight(self, question: Question, names: Iterable[str] | None = None) -> Preflight:
        """Ask these agents (None: all) everything that must be known before a byte is sent; all at once, bounded."""
        turns = 1 + len(self.agents()) // AT_ONCE
        return self._line.wait(self._preflight(question, names), turns * PREFLIGHT_S + _LOOK_S + _SLACK_S)

    async def _preflight(self, question: Question, names: Iterable[str] | None) -> Preflight:
        there = await self._line.workers()
        wanted = sorted(there) if names is None else list(dict.fromkeys(names))
        left_out = {name: "it has not joined the fleet" for name in wanted if name not in there}
        members = {name: self._member(name, there[name]) for name in wanted if name in there}
        met = await asyncio.gather(*(self._meet(member, question) for member in members.values()))
        ready: dict[str, AgentFacts] = {}
        for member, found in zip(members.values(), met, strict=True):
            if isinstance(found, AgentFacts):
                ready[member.name] = found
            else:
                left_out[member.name] = found
                self._line.release(member.name)
                self._members.pop(member.name, None)
        return Preflight(ready, left_out)

    async def _meet(self, member: Member, question: Question) -> AgentFacts | str:
        if member.lost:
            return member.lost
        try:
            async with self._turns:
                return await asyncio.wait_for(self._asking.meet(member, question), PREFLIGHT_S)
        except LeftOutError as error:
            return str(error)
        except TimeoutError:
            return f"it did not answer everything within {PREFLIGHT_S:g} s"

    def _member(self, name: str, about: Mapping[str, Any]) -> Member:
        known = self._members.get(name)
        if known is not None and (known.lost or known.address == about["address"]):
            return known
        said = about.get("maul")
        said = said if isinstance(said, Mapping) else {}
        wire = said.get("wire")
        version = str(said.get("version", "?"))
        member = Member(name, str(about["address"]), version, wire if isinstance(wire, int) else 0)
        self._members[name] = member
        return member

    # -- what agents kept --------------------------------------------------------------------------------------------

    def hand_over(self, agent: str, verb: str, *arguments: Any) -> tuple[dict[str, Any], list[bytes]]:
        """Ask an agent of the pre-flight for what it keeps; see `AgentKeeper`. MachineError when it does not answer."""
        asked = self._asking.ask_parts(self._members[agent], verb, *arguments, timeout_s=FETCH_S)
        try:
            return self._line.wait(asked, FETCH_S + _SLACK_S)
        except (UnheardError, MessageError) as error:
            raise MachineError(f"{agent} does not hand over what it keeps: {error}", cure="try again") from error

    # -- load ------------------------------------------------------------------------------------------------------

    def generator(
        self,
        plans: Mapping[str, Mapping[str, Any]],
        trace: bytes | None = None,
        *,
        run: str = "run",
        about: Mapping[str, str | int] | None = None,
    ) -> FleetGenerator:
        """A generator of one engine plan for each agent that the pre-flight found ready. See FleetGenerator.

        `run` and `about`: what agents note beside the results that they keep (`phase`, `endpoint_offset`), for
        `maul fleet collect`.
        """
        return FleetGenerator(self, plans, trace, run=run, about=about)

    def prepare(self, owner: FleetGenerator, plans: Mapping[str, Mapping[str, Any]], trace: bytes | None) -> list[Part]:
        """As `generator.Line`."""
        strangers = sorted(name for name in plans if name not in self._members)
        if strangers:
            raise InternalError(f"{', '.join(strangers)} did not pass the pre-flight and cannot get a plan")
        parts = []
        for name in plans:
            clock = self._members[name].recent or ClockReading(0, 0, 0)
            self._engines += 1
            parts.append(Part(name, f"{self.session}.{self._engines}", clock.offset_ns, clock))
        turns = 1 + len(parts) // AT_ONCE
        self._line.wait(self._prepare_all(owner, parts, plans, trace), turns * PREPARE_S + _SLACK_S)
        return parts

    async def _prepare_all(
        self, owner: FleetGenerator, parts: list[Part], plans: Mapping[str, Mapping[str, Any]], trace: bytes | None
    ) -> None:
        rows = None if trace is None else Sealed(trace)
        done = await asyncio.gather(
            *(self._prepare(owner, part, plans[part.agent], rows) for part in parts), return_exceptions=True
        )
        for part, error in zip(parts, done, strict=True):
            if isinstance(error, TargetError | InternalError):
                raise error
            if isinstance(error, BaseException):
                why = error.what if isinstance(error, MaulError) else str(error)
                owner.lose(part, self.clock.now_ns(), f"it could not prepare its part: {why}")

    async def _prepare(self, owner: FleetGenerator, part: Part, plan: Mapping[str, Any], rows: Sealed | None) -> None:
        member = self._members[part.agent]
        if member.lost:
            raise UnheardError(member.lost)
        about = json.dumps({**owner.about, "agent": part.agent, "offset_ns": part.ahead_ns})
        sealed = Sealed(json.dumps(plan).encode())
        async with self._turns:
            head = await self._asking.ask(
                member, "prepare", part.engine, owner.run, sealed, rows, about.encode(), timeout_s=PREPARE_S
            )
        part.ahead_ns += int(head["ahead_ns"])
        member.engines[part.engine] = (owner, part)

    def begin(self, owner: FleetGenerator, parts: Sequence[Part], at_ns: int) -> None:
        """As `generator.Line`."""
        self._line.wait(self._begin_all(owner, parts, at_ns), CALL_S + _SLACK_S + START_EACH_S * len(parts))

    async def _begin_all(self, owner: FleetGenerator, parts: Sequence[Part], at_ns: int) -> None:
        await asyncio.gather(*(self._begin(owner, part, at_ns) for part in parts))

    async def _begin(self, owner: FleetGenerator, part: Part, at_ns: int) -> None:
        member = self._members[part.agent]
        lease_until_ns = owner.order(part).lease_until_ns
        try:
            await self._asking.ask(member, "begin", part.engine, at_ns + part.clock.offset_ns, lease_until_ns)
        except (UnheardError, MessageError) as error:
            self._lose(member, f"it did not confirm its start: {error}")
            return
        except MaulError as error:
            self._lose(member, f"it did not start: {error.what}")
            return
        part.began, part.begin_ns = True, max(at_ns, self.clock.now_ns())
        self._keep_beating(member)

    def _keep_beating(self, member: Member) -> None:
        member.heard_ns = self.clock.now_ns()
        if member.beating is None or member.beating.done():
            member.beating = asyncio.ensure_future(self._asking.beat(member, self._lose))
        member.nudged.set()

    def tell(self, parts: Sequence[Part], verb: str, arguments: Callable[[Part], tuple[Any, ...]]) -> tuple[str, ...]:
        """As `generator.Line`."""
        try:
            return self._line.wait(self._tell_all(parts, verb, arguments), CALL_S + _SLACK_S)
        except TimeoutError:
            return tuple(part.agent for part in parts)

    async def _tell_all(
        self, parts: Sequence[Part], verb: str, arguments: Callable[[Part], tuple[Any, ...]]
    ) -> tuple[str, ...]:
        asked = [self._asking.ask(self._members[part.agent], verb, *arguments(part)) for part in parts]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        return tuple(part.agent for part, one in zip(parts, answers, strict=True) if isinstance(one, BaseException))

    def nudge(self) -> None:
        """As `generator.Line`."""
        for member in list(self._members.values()):
            self._line.loop.call_soon_threadsafe(member.nudged.set)

    def _lose(self, member: Member, why: str) -> None:
        """No more leases for this agent; its engines are told to stop, should it hear us."""
        member.lost = why
        if member.sentinel is not None:
            member.sentinel.lose(member.name, why)
        for name, (owner, part) in member.engines.items():
            if not part.over:
                owner.lose(part, member.heard_ns, why)
                stopping = asyncio.ensure_future(self._try_to_stop(member, name))
                self._stopping.add(stopping)
                stopping.add_done_callback(self._stopping.discard)

    async def _try_to_stop(self, member: Member, engine: str) -> None:
        with contextlib.suppress(UnheardError, MessageError, MaulError):
            await self._asking.ask(member, "stop", engine, "left out", True)

    # -- sentinels, and what agents' machines count ----------------------------------------------------------------

    def machines(self) -> Mapping[str, MachineCounters]:
        """By agent, as its last beat told: a second old while it has an engine or a sentinel. Of lost ones, nothing."""
        members = list(self._members.values())
        return {one.name: one.machine for one in members if one.machine is not None and not one.lost}

    def lookout(self, endpoint: str, gates: Mapping[str, Gate], names: Iterable[str] | None = None) -> FleetLookout:
        """A sentinel at `endpoint` in each of these agents of the pre-flight (None: all); see FleetLookout.

        `gates`: where questions may lead, by the endpoint's name; each agent sends from its own address.
        """
        members = [self._members[name] for name in (list(self._members) if names is None else names)]
        members = [member for member in members if not member.lost]
        lookout = FleetLookout(self, [member.name for member in members], gates)
        doors = {name: words_of(replace(gate, source="")) for name, gate in gates.items()}
        words = json.dumps({"endpoint": endpoint, "gates": doors}).encode()
        turns = 1 + len(members) // AT_ONCE
        self._line.wait(self._post_all(lookout, members, words), turns * PREPARE_S + _SLACK_S)
        return lookout

    async def _post_all(self, lookout: FleetLookout, members: Sequence[Member], words: bytes) -> None:
        await asyncio.gather(*(self._post(lookout, member, words) for member in members))

    async def _post(self, lookout: FleetLookout, member: Member, words: bytes) -> None:
        try:
            async with self._turns:
                await self._asking.ask(member, "sentinel", words, timeout_s=PREPARE_S)
        except (UnheardError, MessageError, MaulError) as error:
            lookout.lose(member.name, error.what if isinstance(error, MaulError) else str(error))
            return
        member.sentinel = lookout
        self._keep_beating(member)

    def withdraw(self, lookout: FleetLookout) -> None:
        """As `lookout.Posting`."""
        if not self._line.loop.is_closed():
            with contextlib.suppress(TimeoutError):
                self._line.wait(self._withdraw_all(lookout), _LEAVE_S + _SLACK_S)

    async def _withdraw_all(self, lookout: FleetLookout) -> None:
        members = [member for member in self._members.values() if member.sentinel is lookout]
        for member in members:
            member.sentinel = None
        told = [self._asking.ask(member, "sentinel", b"", timeout_s=_LEAVE_S) for member in members if not member.lost]
        await asyncio.gather(*told, return_exceptions=True)

    # -- the end ---------------------------------------------------------------------------------------------------

    async def _leave(self, forget: bool) -> None:
        goodbyes = [self._say_goodbye(member, forget) for member in self._members.values() if not member.lost]
        await asyncio.gather(*goodbyes, return_exceptions=True)
        for member in self._members.values():
            if member.beating is not None:
                member.beating.cancel()

    async def _say_goodbye(self, member: Member, forget: bool) -> None:
        if forget:
            for name, (owner, part) in member.engines.items():
                if part.finished and part.drained == part.received:
                    await self._asking.ask(member, "finish", owner.run, name, timeout_s=_LEAVE_S)
        if member.actor is not None:
            await self._asking.ask(member, "leave", timeout_s=_LEAVE_S)
