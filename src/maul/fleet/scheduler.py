"""The scheduler's process: where agents and the conductor meet. It carries no load, knows no plan, outlives a run.

python -m maul.fleet.scheduler --certificates DIR --host 127.0.0.1 --port 0 --address-file FILE
"""

import argparse
import asyncio
import inspect
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from distributed import Scheduler

from maul.core.errors import MaulError
from maul.fleet import dask_settings
from maul.fleet.certificates import CONDUCTOR, SCHEDULER, Folder
from maul.fleet.tls import FleetSecurity, peer_agent, peer_uri
from maul.hosts.local import LocalHost

AGENT_OPERATIONS = frozenset({"register-worker", "heartbeat_worker", "unregister", "ping", "identity", "gather"})
"""All that an agent may ask of the scheduler; in its own name only."""


class RefusedError(ValueError):
    """Somebody asked for what is not his."""


class FleetScheduler(Scheduler):  # type: ignore[misc]  # dask has no types
    """A dask scheduler without HTTP that knows by the certificate who asks."""

    def __init__(self, **options: Any) -> None:
        """As dask's."""
        super().__init__(**options)
        self.handlers.update({name: _guarded(name, handler) for name, handler in self.handlers.items()})

    def start_http_server(self, *args: Any, **kwargs: Any) -> None:
        """There is none."""


def _guarded(operation: str, handler: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    wants_comm = next(iter(inspect.signature(handler).parameters), "") == "comm"

    async def guarded(comm: Any, **words: Any) -> Any:
        try:
            _check(operation, (comm.extra_info or {}).get("peercert"), words)
        except RefusedError as error:
            if operation == "register-worker":  # it waits for an answer of this form, and for no other
                await comm.write({"status": "error", "message": str(error), "time": 0.0})
            raise
        result = handler(comm, **words) if wants_comm else handler(**words)
        return await result if inspect.isawaitable(result) else result

    return guarded


def _check(operation: str, certificate: Any, words: dict[str, Any]) -> None:
    """RefusedError unless the holder of this certificate may ask for that."""
    uri, name = peer_uri(certificate), peer_agent(certificate)
    if uri in (CONDUCTOR.uri, SCHEDULER.uri):
        return
    if name is None or operation not in AGENT_OPERATIONS:
        raise RefusedError(f"{uri or 'somebody without a name'} may not ask for {operation}")
    if operation == "register-worker" and words.get("name") != name:
        raise RefusedError(f"the agent {name} wanted to join as {words.get('name')}")


async def _serve(folder: Folder, host: str, port: int, address_file: Path) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    security = FleetSecurity(folder, SCHEDULER)
    scheduler = FleetScheduler(
        security=security, protocol="tls", host=host, port=port, dashboard=False, dashboard_address=None
    )
    async with scheduler:
        LocalHost().write_bytes(address_file, f"{scheduler.address}\n".encode(), mode=0o600)
        await told.wait()
        await scheduler.close(reason="maul fleet down")


def main(words: list[str]) -> int:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m maul.fleet.scheduler")
    parser.add_argument("--certificates", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--address-file", type=Path, required=True)
    options = parser.parse_args(words)
    dask_settings.settle(options.address_file.parent / dask_settings.SCRATCH)
    try:
        asyncio.run(_serve(Folder(options.certificates), options.host, options.port, options.address_file))
    except (MaulError, OSError) as error:
        sys.stderr.write(f"maul: the fleet's scheduler ended: {error}\n")
        return 7
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
