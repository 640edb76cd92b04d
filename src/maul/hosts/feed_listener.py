"""Ears of the conductor: HTTP POST over TCP, and datagrams over UDP, on exactly the addresses that were said.

One thread for all of them. Whoever speaks is not trusted: a message has a greatest size and a longest time, and there
are only so many callers at once; what goes beyond is turned away.
"""

import asyncio
import errno
import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from maul.core.closing import Closes
from maul.core.errors import MachineError

BODY_BYTES_MAX = 256 * 1024
HEAD_BYTES_MAX = 16 * 1024
REQUEST_S = 5.0
CALLERS_MAX = 32
PORT_MAX = 65535
_START_S = 5.0
_REASONS = {
    204: "No Content", 400: "Bad Request", 405: "Method Not Allowed", 408: "Request Timeout", 411: "Length Required",
    413: "Content Too Large", 429: "Too Many Requests", 503: "Service Unavailable",
}  # fmt: skip
Hear = Callable[[bytes], bool]
"""Takes one message; False: too many of them. Must not wait, must not raise."""


@dataclass(frozen=True, slots=True)
class Ear:
    """`listen`: `ADDRESS:PORT`, port 0 for any free one. `datagrams`: UDP, else HTTP. `name` is for messages."""

    name: str
    listen: str
    hear: Hear
    datagrams: bool = False


class FeedListener(Closes):
    """Listens from the moment it is made until it is closed."""

    def __init__(self, ears: list[Ear]) -> None:
        """MachineError when an address cannot be had: then none is held."""
        self.ports: dict[str, int] = {}
        """Of each ear, by name: the port that it really has."""
        self._sockets: list[tuple[Ear, socket.socket]] = []
        self._callers = 0
        try:
            for ear in ears:
                held = _bound(ear)
                self._sockets.append((ear, held))
                self.ports[ear.name] = held.getsockname()[1]
        except MachineError:
            self._let_go()
            raise
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="maul-feeds", daemon=True)
        self._thread.start()
        started.wait(_START_S)

    def close(self) -> None:
        """Listen no more. Harmless a second time."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(_START_S)

    def _let_go(self) -> None:
        for _, held in self._sockets:
            held.close()

    def _run(self, started: threading.Event) -> None:
        try:
            self._loop.run_until_complete(self._listen(started))
        finally:
            self._let_go()
            self._loop.close()

    async def _listen(self, started: threading.Event) -> None:
        servers: list[asyncio.Server] = []
        transports: list[asyncio.BaseTransport] = []
        for ear, held in self._sockets:
            if ear.datagrams:
                made = await self._loop.create_datagram_endpoint(partial(_Datagrams, ear), sock=held)
                transports.append(made[0])
            else:
                servers.append(await asyncio.start_server(self._caller(ear), sock=held, limit=HEAD_BYTES_MAX))
        started.set()
        await self._over.wait()
        for transport in transports:
            transport.close()
        for server in servers:
            server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)

    def _caller(self, ear: Ear) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._callers += 1
            try:
                async with asyncio.timeout(REQUEST_S):
                    code = await _request(reader, ear.hear) if self._callers <= CALLERS_MAX else 503
            except TimeoutError:
                code = 408
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
                code = 400
            finally:
                self._callers -= 1
            await _say(writer, code)

        return serve


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, ear: Ear) -> None:
        self._ear = ear

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr
        self._ear.hear(data)


async def _request(reader: asyncio.StreamReader, hear: Hear) -> int:
    """One request; the status to answer with. Raises for what is no HTTP."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, _, version = head[0].split(" ")
    if not version.startswith("HTTP/1."):
        return 400
    if method not in {"POST", "PUT"}:
        return 405
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    if fields.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    elif "content-length" in fields:
        length = fields["content-length"]
        if not length.isascii() or not length.isdigit():
            return 400
        body = await reader.readexactly(int(length)) if len(length) < 12 and int(length) <= BODY_BYTES_MAX else None
    else:
        return 411
    if body is None:
        return 413
    return 204 if hear(body) else 429


async def _chunks(reader: asyncio.StreamReader) -> bytes | None:
    """A chunked body; None: it is too long."""
    body = b""
    while True:
        size = int((await reader.readuntil(b"\r\n")).partition(b";")[0].strip() or b"x", 16)
        if not 0 <= size <= BODY_BYTES_MAX - len(body):
            return None
        if size == 0:
            return body
        body += await reader.readexactly(size)
        await reader.readexactly(2)


async def _say(writer: asyncio.StreamWriter, code: int) -> None:
    try:
        async with asyncio.timeout(1.0):
            writer.write(f"HTTP/1.1 {code} {_REASONS[code]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()


def _bound(ear: Ear) -> socket.socket:
    host, _, port = ear.listen.rpartition(":")
    kind = socket.SOCK_DGRAM if ear.datagrams else socket.SOCK_STREAM
    try:
        if int(port) > PORT_MAX:  # getaddrinfo would take it for another one
            raise ValueError(f"there is no port {port}")
        family, _, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=kind)[0]
        held = socket.socket(family, kind)
    except (OSError, ValueError) as error:
        raise MachineError(f"the feed {ear.name} cannot listen: {error}", ear.listen, "mend `listen`") from error
    try:
        if not ear.datagrams:  # or the port stays taken for a minute after every run
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(address)
        if not ear.datagrams:
            held.listen(CALLERS_MAX)
        held.setblocking(False)
    except OSError as error:
        held.close()
        cure = {
            errno.EADDRINUSE: "another program listens there, perhaps another run: end it, or choose another port",
            errno.EADDRNOTAVAIL: "this machine does not have that address: name one of its own",
            errno.EACCES: "ports below 1024 need a privilege: choose a higher one",
        }.get(error.errno or 0, "look at `listen` in the site's vantage.feeds")
        raise MachineError(f"the feed {ear.name} cannot listen: {error}", ear.listen, cure) from error
    return held
