"""The one dask actor of each agent: it passes words on to the agent's `Duty`, and lets nothing out that is secret.

Every method takes and gives plain values, answers within moments (what takes longer runs in a thread, so that beats
go on meanwhile), and raises nothing: an exception would travel, and be logged, with whatever it holds.
"""

import asyncio
import functools
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, cast

from distributed import get_worker

from maul.core.errors import InternalError, MachineError, MaulError, TargetError
from maul.fleet import machine_facts
from maul.fleet.certificates import Folder, agent, prove
from maul.fleet.duty import Duty, Maker
from maul.fleet.messages import MessageError, Sealed, pack, pack_answer, unpack_orders

if TYPE_CHECKING:
    from maul.fleet.agent import AgentHome

ERRORS = {kind.__name__: kind for kind in (TargetError, MachineError, InternalError)}
P = ParamSpec("P")


def _answering(
    method: Callable[Concatenate["AgentActor", P], Coroutine[Any, Any, bytes]],
) -> Callable[Concatenate["AgentActor", P], Coroutine[Any, Any, bytes]]:
    """Turn what goes wrong into an answer without secrets."""

    @functools.wraps(method)
    async def safe(self: "AgentActor", *args: P.args, **kwargs: P.kwargs) -> bytes:
        try:
            return await method(self, *args, **kwargs)
        except MaulError as error:
            kind = type(error).__name__
            return pack({"error": kind, "what": error.what, "where": error.where, "cure": error.cure})
        except Exception as error:  # noqa: BLE001 — its text may hold what it was given: only its kind may travel
            return pack({"error": "InternalError", "what": f"a bug in the agent: {type(error).__name__}", "where": ""})

    return cast("Callable[Concatenate[AgentActor, P], Coroutine[Any, Any, bytes]]", safe)


class AgentActor:
    """Lives in the agent's process, found through the worker that carries it."""

    def __init__(self, session: str) -> None:
        """For one conductor."""
        home: AgentHome = get_worker().maul_home
        self._session = session
        self._name, self._duty, self._maker = home.name, home.duty, home.maker
        self._folder, self._certificates = home.folder, home.certificates

    @property
    def duty(self) -> Duty:
        """The agent itself."""
        return self._duty

    @_answering
    async def enter(self, nonce: bytes) -> bytes:
        """Serve this conductor from now on, and prove who we are."""
        self._duty.enter(self._session)
        folder: Folder = self._certificates
        proof = await asyncio.to_thread(prove, folder, agent(self._name), nonce, self._session.encode())
        return pack({}, proof)

    async def now_ns(self) -> int:
        """Our clock."""
        return self._duty.now_ns()

    @_answering
    async def facts(self, question: bytes) -> bytes:
        """What this machine has; connects to the addresses of the question. May take seconds."""
        maker: Maker = self._maker
        folder: Path = self._folder
        found = await asyncio.to_thread(machine_facts.facts, self._name, maker, folder, json.loads(question))
        return pack({**found, "spooled_runs": list(self._duty.spool.runs())})

    @_answering
    async def prepare(self, engine: str, run: str, plan: Sealed, trace: Sealed | None, about: bytes) -> bytes:
        """Make a generator. May take seconds."""
        words: dict[str, Any] = json.loads(plan.open())
        rows = None if trace is None else trace.open()
        ahead_ns = await asyncio.to_thread(self._duty.prepare, engine, run, words, rows, json.loads(about))
        return pack({"ahead_ns": ahead_ns})

    @_answering
    async def begin(self, engine: str, at_ns: int, lease_until_ns: int) -> bytes:
        """Start at that moment."""
        self._duty.begin(engine, at_ns, lease_until_ns)
        return pack({"now_ns": self._duty.now_ns()})

    @_answering
    async def beat(self, orders: bytes) -> bytes:
        """Renew what is to be renewed; answer with what was counted."""
        answer = await asyncio.to_thread(self._duty.beat, *unpack_orders(orders))
        return await asyncio.to_thread(pack_answer, answer)

    @_answering
    async def sentinel(self, words: bytes) -> bytes:
        """Have a sentinel from now on; without words, have none."""
        await asyncio.to_thread(self._duty.post_sentinel, self._name, json.loads(words) if words else None)
        return pack({})

    @_answering
    async def throttle(self, engine: str, part: float) -> bytes:
        """Send only that part of the arrivals."""
        self._duty.throttle(engine, part)
        return pack({})

    @_answering
    async def stop(self, engine: str, reason: str, now: bool) -> bytes:
        """No new arrivals."""
        self._duty.stop(engine, reason, now)
        return pack({})

    @_answering
    async def finish(self, run: str, engine: str) -> bytes:
        """Everything was received."""
        await asyncio.to_thread(self._duty.finish, run, engine)
        return pack({})

    @_answering
    async def leave(self) -> bytes:
        """The conductor goes."""
        self._duty.leave(self._session)
        return pack({})

    @_answering
    async def spooled(self, run: str) -> bytes:
        """Engines of a run of which something is kept here, and whose they were."""
        spool = self._duty.spool
        found = {name: dict(kept.about()) for name in spool.engines(run) if (kept := spool.engine(run, name))}
        return pack({"engines": found})

    @_answering
    async def fetch(self, run: str, engine: str, acknowledged: int) -> bytes:
        """Batches of an engine behind that one; none: that was all."""
        kept = self._duty.spool.engine(run, engine)
        if kept is None:
            raise MessageError("nothing is kept of it")
        batches = await asyncio.to_thread(kept.after, acknowledged, 32 << 20)
        return pack({"numbers": [number for number, _ in batches]}, [content for _, content in batches])
