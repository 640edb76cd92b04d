"""One agent as the conductor knows it, and everything that is asked of it: proof, facts, engines, beats."""

import asyncio
import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from maul import __version__
from maul.core.clock import Clock
from maul.core.errors import MaulError
from maul.core.generator import GeneratorState
from maul.fleet import clocks
from maul.fleet.actor import ERRORS
from maul.fleet.batch import BatchError
from maul.fleet.certificates import NONCE_BYTES, agent, proof_fault
from maul.fleet.line import ActorHandle, DaskLine, UnheardError
from maul.fleet.messages import WIRE, BeatAnswer, MessageError, pack_orders, unpack, unpack_answer
from maul.fleet.preflight import Question, fault_of
from maul.fleet.words import AgentFacts, ClockReading
from maul.hosts.machine_counters import MachineCounters

if TYPE_CHECKING:
    from maul.fleet.generator import FleetGenerator, Part
    from maul.fleet.lookout import FleetLookout

BEAT_EVERY_S = 1.0
CALL_S = 1.5
"""How long an agent may take to answer anything that is short."""
FACTS_S = 6.0
LATE_BEGIN_S = 1.5
"""An engine that has not begun so long after it was to begin does not take part."""
PROVE_S = 5.0
UNHEARD_S = 5.0
"""An agent that has not been heard of for so long is lost, unless the lease is shorter: then for that."""


class LeftOutError(Exception):
    """Why an agent does not take part."""


@dataclass(slots=True)
class Member:
    """An agent that dialled in."""

    name: str
    address: str
    version: str
    wire: int
    actor: ActorHandle | None = None
    clock: ClockReading | None = None
    recent: ClockReading | None = None
    heard_ns: int = 0
    lost: str = ""
    engines: "dict[str, tuple[FleetGenerator, Part]]" = field(default_factory=dict)
    sentinel: "FleetLookout | None" = None
    machine: MachineCounters | None = None
    nudged: asyncio.Event = field(default_factory=asyncio.Event)
    beating: "asyncio.Task[None] | None" = None


class Asking:
    """Asks one agent at a time, in the line's thread."""

    def __init__(self, line: DaskLine, clock: Clock, session: str) -> None:
        """For one conductor's session."""
        self._line, self._clock, self._session = line, clock, session

    async def ask(self, member: Member, verb: str, *arguments: Any, timeout_s: float = CALL_S) -> dict[str, Any]:
        """The head of the answer. UnheardError, MessageError, or the MaulError that the agent met."""
        head, _ = await self.ask_parts(member, verb, *arguments, timeout_s=timeout_s)
        return head

    async def ask_parts(
        self, member: Member, verb: str, *arguments: Any, timeout_s: float = CALL_S
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Head and parts of the answer."""
        head, parts = unpack(await self._line.ask(member.actor, verb, *arguments, timeout_s=timeout_s))
        if "error" in head:
            kind = ERRORS.get(str(head["error"]), MaulError)
            where = f"{member.name}: {head.get('where')}" if head.get("where") else member.name
            raise kind(str(head.get("what", "")), where, str(head.get("cure", "")))
        return head, parts

    # -- before any load -------------------------------------------------------------------------------------------

    async def meet(self, member: Member, question: Question) -> AgentFacts:
        """Prove who it is, read its clock, hear what it has. LeftOutError with the reason."""
        if member.wire != WIRE or member.version != __version__:
            raise LeftOutError(f"it is maul {member.version}, and we are {__version__}")
        try:
            await self._prove(member)
            member.clock = member.recent = await self._read_clock(member)
            words = {"addresses": [list(one) for one in question.addresses], "permit": question.permit}
            head = await self.ask(member, "facts", json.dumps(words).encode(), timeout_s=FACTS_S)
            facts = facts_from(head, member, member.clock)
            later = await self._read_clock(member)
        except (UnheardError, MessageError) as error:
            raise LeftOutError(f"before the start: {error}") from error
        except MaulError as error:
            raise LeftOutError(error.what) from error
        lie = clocks.contradiction([member.clock], later)
        fault = lie or fault_of(facts, question)
        if fault:
            raise LeftOutError(fault)
        return facts

    async def _prove(self, member: Member) -> None:
        if member.actor is None:
            try:
                making = self._line.actor(member.name, member.address, self._session)
                member.actor = await asyncio.wait_for(making, PROVE_S)
            except TimeoutError:
                raise UnheardError(f"no answer within {PROVE_S:g} s") from None
            except Exception as error:  # whatever its process raised, dask raises here
                raise LeftOutError(f"its process cannot serve ({type(error).__name__})") from error
        nonce = secrets.token_bytes(NONCE_BYTES)
        _, parts = await self.ask_parts(member, "enter", nonce, timeout_s=PROVE_S)
        if len(parts) != 2:
            raise MessageError("no proof of its name")
        challenge = nonce, self._session.encode()
        fault = proof_fault(self._line.ca, agent(member.name), challenge, (parts[0], parts[1]))
        if fault:
            raise LeftOutError(fault)

    async def _read_clock(self, member: Member) -> ClockReading:
        readings = []
        for _ in range(clocks.ROUND_TRIPS):
            asked_ns = self._clock.now_ns()
            theirs = await self._line.ask(member.actor, "now_ns", timeout_s=CALL_S)
            if not isinstance(theirs, int) or isinstance(theirs, bool):
                raise MessageError("a time that is no number")
            readings.append(clocks.reading(asked_ns, theirs, self._clock.now_ns()))
        chosen = clocks.best(readings)
        for one in readings:
            if lie := clocks.contradiction([chosen], one):
                raise LeftOutError(lie)
        member.heard_ns = self._clock.now_ns()
        return chosen

    # -- beats -----------------------------------------------------------------------------------------------------

    async def beat(self, member: Member, lose: Callable[[Member, str], None]) -> None:
        """Once a second, until nothing more comes from this agent; `lose` is told why when it is lost."""
        next_s = self._line.loop.time()
        while (member.sentinel or any(not part.over for _, part in member.engines.values())) and not member.lost:
            now_s = self._line.loop.time()
            next_s = now_s + min(BEAT_EVERY_S, max(0.0, next_s + BEAT_EVERY_S - now_s))  # nudges put nothing off
            member.nudged.clear()
            try:
                await self._beat_once(member)
            except UnheardError as error:
                leases_s = [owner.lease_s for owner, _ in member.engines.values()]
                silent_s = (self._clock.now_ns() - member.heard_ns) / 1e9
                if silent_s > min([UNHEARD_S, *leases_s]):
                    lose(member, f"not heard of for {silent_s:.1f} s ({error})")
            except (MessageError, BatchError) as error:
                lose(member, f"it sends garbage: {error}")
            except LeftOutError as error:
                lose(member, str(error))
            except MaulError as error:
                lose(member, error.what)
            timer = self._line.loop.call_at(next_s, member.nudged.set)
            await member.nudged.wait()
            timer.cancel()

    async def _beat_once(self, member: Member) -> None:
        sentinel = member.sentinel
        ordered = sentinel.order(member.name) if sentinel is not None else None
        orders = {name: owner.order(part) for name, (owner, part) in member.engines.items() if not part.over}
        asked_ns = self._clock.now_ns()
        content = await self._line.ask(member.actor, "beat", pack_orders(orders, ordered), timeout_s=CALL_S)
        answer = self._answer(content)
        reading = clocks.reading(asked_ns, answer.now_ns, self._clock.now_ns())
        known = [one for one in (member.clock, member.recent) if one is not None]
        if lie := clocks.contradiction(known, reading):
            raise LeftOutError(lie)
        if member.recent is None or reading.error_ns <= 2 * member.recent.error_ns:
            member.recent = reading
        member.heard_ns, member.machine = reading.at_ns, answer.machine
        self._deliver(member, answer, orders)
        if sentinel is not None and ordered is not None:
            sentinel.receive(member.name, answer.sentinel, member.recent.offset_ns)

    @staticmethod
    def _answer(content: object) -> BeatAnswer:
        try:
            return unpack_answer(content)
        except MessageError:
            head, _ = unpack(content)
            if "error" in head:
                raise MaulError(str(head.get("what", "an error without words"))) from None
            raise

    def _deliver(self, member: Member, answer: BeatAnswer, asked: Iterable[str]) -> None:
        for name in asked:  # what was prepared meanwhile is not to be expected yet
            owner, part = member.engines[name]
            report = answer.engines.get(name)
            if report is not None:
                owner.receive(part, report)
                silent_ns = member.heard_ns - part.begin_ns
                if part.began and report.status.state is GeneratorState.READY and silent_ns > LATE_BEGIN_S * 1e9:
                    raise LeftOutError("it confirmed its start, and did not begin")
            elif part.began and not part.over:
                raise MessageError("it does not know its engine any more")


def facts_from(head: dict[str, Any], member: Member, clock: ClockReading) -> AgentFacts:
    """What an agent says about itself; MessageError when that is garbage."""
    try:
        ceiling = head["ceiling_per_s"]
        facts = AgentFacts(
            name=member.name,
            address=member.address,
            version=str(head["version"]),
            engine_version=str(head["engine_version"]),
            cores=int(head["cores"]),
            descriptors=int(head["descriptors"]),
            ports=int(head["ports"]),
            ceiling_per_s=None if ceiling is None else float(ceiling),
            spool_free_bytes=int(head["spool_free_bytes"]),
            permit=str(head["permit"]),
            reach={str(address): str(says) for address, says in head["reach"].items()},
            spooled_runs=tuple(str(run) for run in head["spooled_runs"]),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise MessageError(f"facts that make no sense ({type(error).__name__})") from error
    return replace(facts, clock=clock)
