"""The agent's process: dials in, serves, dials again when the line breaks, ends within a second when it is told to."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Worker
from distributed.comm.addressing import parse_host_port

from maul import __version__
from maul.core.errors import MachineError, MaulError
from maul.fleet import dask_settings
from maul.fleet.certificates import Folder, agent
from maul.fleet.duty import Duty, Maker
from maul.fleet.messages import WIRE
from maul.fleet.tls import FleetSecurity

BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Between two tries to dial in; the last one is kept."""
TRIES_MAX = 100_000
_JOIN_LIMIT_S = 10.0
_CLOSE_S = 0.4


@dataclass(frozen=True, slots=True)
class AgentHome:
    """What the actor finds in the process that carries it."""

    name: str
    duty: Duty
    maker: Maker
    certificates: Folder
    folder: Path


@dataclass(frozen=True, slots=True)
class Join:
    """Where an agent dials in, as whom, and where it keeps its files."""

    address: str
    name: str
    certificates: Path
    folder: Path
    listen: str | None = None
    """Address to be reached at; None: the one that leads to the scheduler."""
    wire: int = WIRE


class FleetWorker(Worker):  # type: ignore[misc]  # dask has no types
    """A dask worker that listens for nothing but the fleet."""

    maul_home: AgentHome

    def start_http_server(self, *args: Any, **kwargs: Any) -> None:
        """There is none."""


def run(join: Join, maker: Maker, say: Callable[[str], None], tries_max: int = TRIES_MAX) -> None:
    """Serve until SIGTERM or SIGINT. MachineError when the certificates are not in order or all tries failed."""
    if not join.address.startswith("tls://"):
        raise MachineError("an agent joins by TLS only", join.address, "give an address such as tls://10.0.0.1:8786")
    dask_settings.settle(join.folder / dask_settings.SCRATCH)
    certificates = Folder(join.certificates)
    security = FleetSecurity(certificates, agent(join.name))
    try:
        join.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"cannot keep files here: {error.strerror}", str(join.folder)) from error
    home = AgentHome(join.name, Duty(maker, join.folder), maker, certificates, join.folder)
    ended = False
    try:
        ended = asyncio.run(_serve(join, home, security, say, tries_max))
    finally:
        home.duty.close(_CLOSE_S)
    if not ended:
        raise MachineError("gave up after many tries to join", join.address, "is the fleet up? maul fleet status")
    say(f"agent {join.name}: ended")


async def _serve(
    join: Join, home: AgentHome, security: FleetSecurity, say: Callable[[str], None], tries_max: int
) -> bool:
    """True when a signal ended it."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    failed = 0
    while failed < tries_max and not told.is_set():
        if failed == 0:
            say(f"agent {join.name}: joining {join.address}")
        serving = asyncio.ensure_future(_serve_once(join, home, security, say))
        waiting = asyncio.ensure_future(told.wait())
        await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if told.is_set():
            # Traffic first: closing a worker politely may take longer than we have.
            await asyncio.to_thread(home.duty.close, _CLOSE_S)
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await asyncio.wait_for(serving, _CLOSE_S)
            return True
        why = serving.result()
        failed = 0 if why == "" else failed + 1
        pause_s = BACKOFF_S[min(failed, len(BACKOFF_S) - 1)]
        if failed in (1, len(BACKOFF_S)) or failed % 60 == 0:
            say(f"agent {join.name}: {why or 'the scheduler is gone'}; trying again every {pause_s:g} s")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(told.wait(), pause_s)
    return told.is_set()


async def _serve_once(join: Join, home: AgentHome, security: FleetSecurity, say: Callable[[str], None]) -> str:
    """Until the line breaks. Why it could not be made; empty when it stood for a while."""
    worker = FleetWorker(
        join.address,
        name=join.name,
        nthreads=1,
        security=security,
        host=join.listen or own_address(join.address),
        memory_limit=0,
        death_timeout=_JOIN_LIMIT_S,
        heartbeat_interval="1s",
        dashboard=False,
        startup_information={"maul": lambda _: {"version": __version__, "wire": join.wire}},
    )
    worker.maul_home = home
    try:
        await worker
        say(f"agent {join.name}: in the fleet, reached at {worker.address}")
        await worker.finished()
    except (OSError, TimeoutError, ValueError, RuntimeError, MaulError) as error:
        return f"cannot join {join.address}: {_cause(error)}"
    finally:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(worker.close(timeout=1, executor_wait=False), 2)
    return ""


def own_address(scheduler: str) -> str:
    """The address of ours that leads to the scheduler; we listen on no other. Nothing is sent to find out.

    >>> own_address("tls://127.0.0.1:8786")
    '127.0.0.1'
    """
    host, port = parse_host_port(scheduler.removeprefix("tls://"), 0)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port or 9))
        return str(probe.getsockname()[0])


def _cause(error: BaseException) -> str:
    """The innermost reason, in one line."""
    seen: BaseException = error
    for _ in range(10):
        inner = seen.__cause__ or seen.__context__
        if inner is None:
            break
        seen = inner
    text = str(seen) or type(seen).__name__
    return text.splitlines()[0]
