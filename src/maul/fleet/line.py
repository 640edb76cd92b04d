"""dask's client in a thread of its own, and one question to one actor with a deadline. Nothing of the fleet's rules."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from distributed import Client
from distributed.protocol import to_serialize

from maul.core.errors import MachineError
from maul.fleet import dask_settings
from maul.fleet.actor import AgentActor
from maul.fleet.certificates import CONDUCTOR, Folder
from maul.fleet.messages import Sealed
from maul.fleet.tls import FleetSecurity

T = TypeVar("T")
CONNECT_S = 10.0
CONNECTIONS_MAX = 8192
"""dask keeps 512 unless told; with more agents every beat would cost a handshake of TLS."""
_CLOSE_S = 3.0


@dataclass(frozen=True, slots=True)
class ActorHandle:
    """Where an actor lives. dask's own proxy asks again by itself when a line breaks, and costs twice the time."""

    key: str
    remote: Any


class UnheardError(Exception):
    """An agent gave no answer in time, or the way to it is broken."""


class DaskLine:
    """A client of the fleet's scheduler."""

    def __init__(self, ca: bytes) -> None:
        """Use `open`."""
        self.ca = ca
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="maul-fleet", daemon=True)
        self._client: Client | None = None
        self._futures: dict[str, Any] = {}

    @classmethod
    def open(cls, address: str, certificates: Path, timeout_s: float = CONNECT_S) -> Self:
        """Join as the conductor. MachineError when nobody is there, or our certificate is not in order."""
        dask_settings.settle()
        folder = Folder(certificates)
        security = FleetSecurity(folder, CONDUCTOR)
        line = cls(folder.ca.read_bytes())
        line._thread.start()
        try:
            line.wait(line._dial(address, security, timeout_s), timeout_s + 2)
        except (OSError, TimeoutError, ValueError) as error:
            line.close()
            raise MachineError(
                "no fleet answers there", address, "bring it up: maul fleet up; look at it: maul fleet status"
            ) from error
        return line

    async def _dial(self, address: str, security: FleetSecurity, timeout_s: float) -> None:
        self._client = await Client(
            address,
            asynchronous=True,
            security=security,
            timeout=timeout_s,
            set_as_default=False,
            direct_to_workers=True,
            connection_limit=CONNECTIONS_MAX,
            name="maul-conductor",
        )

    def wait(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Do it in the thread, from any other; TimeoutError (and it is cancelled) when it takes longer."""
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise

    async def workers(self) -> dict[str, Mapping[str, Any]]:
        """By name: what the scheduler knows of every agent."""
        assert self._client is not None
        identity = await self._client.scheduler.identity(n_workers=-1)
        return {str(about["name"]): {**about, "address": address} for address, about in identity["workers"].items()}

    async def actor(self, name: str, address: str, session: str) -> ActorHandle:
        """A new actor on that agent and on no other; never made a second time."""
        assert self._client is not None
        key = f"maul-{session}-{name}"
        future = self._client.submit(
            AgentActor,
            session,
            key=key,
            actor=True,
            workers=[address],
            allow_other_workers=False,
            retries=0,
            pure=False,
        )
        self._futures[name] = future
        with self._client.as_current():
            await future
        return self.handle(key, address)

    def handle(self, key: str, address: str) -> ActorHandle:
        """For calls to an actor that is there."""
        assert self._client is not None
        return ActorHandle(key, self._client.rpc(address))

    async def ask(self, actor: ActorHandle | None, verb: str, *arguments: Any, timeout_s: float) -> Any:
        """One call, made once. UnheardError when there is no answer in time."""
        if actor is None:
            raise UnheardError("it has no actor of ours")
        words = [to_serialize(one) if isinstance(one, Sealed) else one for one in arguments]
        try:
            async with asyncio.timeout(timeout_s):
                answer = await actor.remote.actor_execute(function=verb, actor=actor.key, args=words, kwargs={})
        except TimeoutError:
            raise UnheardError(f"no answer within {timeout_s:g} s") from None
        except Exception as error:  # whatever dask raises for a line that broke or an actor that is gone
            raise UnheardError(f"the line to it is broken ({type(error).__name__})") from error
        if not isinstance(answer, dict) or answer.get("status") != "OK":
            raise UnheardError("its actor is gone")
        return answer["result"]

    def release(self, name: str) -> None:
        """Let the actor go; in the thread."""
        future = self._futures.pop(name, None)
        if future is not None:
            future.release()

    def close(self) -> None:
        """Leave; harmless a second time."""
        if self.loop.is_closed():
            return
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(TimeoutError, OSError):
                self.wait(self._hang_up(client), _CLOSE_S)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_CLOSE_S)

    async def _hang_up(self, client: Client) -> None:
        for name in list(self._futures):
            self.release(name)
        await client.close(timeout=1)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
        finally:
            self.loop.close()
