"""A customer of a lab with a network: a program of its own in a customer host. Standard library only.

Started as `python -m maul.lab.customer FILE` (JSON, see `Orders`). It answers what others ask, sends a steady stream to
one other customer, and measures each second how long small packets take to others and back, and how many get lost.
Its own delays are not in the round trip: both ends take the kernel's time of arrival.
"""

import asyncio
import contextlib
import json
import math
import os
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ECHO_PORT, BULK_PORT = 7007, 7008
EVERY_S = 0.01
WINDOW_S, GRACE_S = 1.0, 0.3
"""What was sent in a window is told `GRACE_S` after its end; what did not come back by then counts as lost."""

_ASKED, _ANSWERED = struct.Struct("=QQ"), struct.Struct("=QQQ")  # number, sent ns; and how long it was held, ns
_PADDING = bytes(64)
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("=qq")
_BULK_TICK_S, _BULK_CREDIT_S, _RETRY_S = 0.02, 0.1, 1.0
# Of what a stream costs on the wire, so much is its own bytes: the rest are headers, and the answers to the other's.
_PAYLOAD_PART = 0.93


@dataclass(frozen=True, slots=True)
class Orders:
    """`canaries`: (name of the canary, address to ask, file to write). `bulk_to` None: no stream."""

    address: str
    canaries: tuple[tuple[str, str, str], ...]
    bulk_to: str | None
    bulk_bps: float
    report: str


@dataclass(slots=True)
class Canary:
    """Packets on their way, and those that are back: number → (sent ns, round trip ns)."""

    number: int = 0
    away: dict[int, int] = field(default_factory=dict)
    back: dict[int, tuple[int, int]] = field(default_factory=dict)

    def sent(self, at_ns: int) -> int:
        """One more is on its way. Gives its number."""
        self.number += 1
        self.away[self.number] = at_ns
        return self.number

    def came_back(self, number: int, at_ns: int, held_ns: int) -> None:
        """One is back; what nobody waits for any more is no news."""
        sent_ns = self.away.pop(number, None)
        if sent_ns is not None:
            self.back[number] = (sent_ns, max(0, at_ns - sent_ns - held_ns))

    def tell(self, until_ns: int) -> dict[str, Any]:
        """What became of the packets that were sent before `until_ns` and are not told yet."""
        lost = [number for number, sent_ns in self.away.items() if sent_ns < until_ns]
        came = [number for number, (sent_ns, _) in self.back.items() if sent_ns < until_ns]
        trips = sorted(self.back.pop(number)[1] / 1e6 for number in came)
        for number in lost:
            del self.away[number]
        sent = len(lost) + len(came)
        return {
            "at_ns": until_ns,
            "rtt_p50_ms": rank(trips, 0.5),
            "rtt_p99_ms": rank(trips, 0.99),
            "loss_ratio": len(lost) / sent if sent else 0.0,
            "sent": sent,
        }


def rank(values: Sequence[float], part: float) -> float | None:
    """The smallest of the sorted values that at least this part of them does not exceed; None of none."""
    return values[max(0, math.ceil(part * len(values)) - 1)] if values else None


@dataclass(slots=True)
class Customer:
    """The program. `sent` and `received` count the bytes of streams."""

    orders: Orders
    sent: int = 0
    received: int = 0

    async def run(self) -> None:
        """For as long as the lab stands."""
        loop = asyncio.get_running_loop()
        echo = _udp(self.orders.address, ECHO_PORT)
        loop.add_reader(echo, _echo, echo)
        await asyncio.start_server(self._sink, self.orders.address, BULK_PORT)
        async with asyncio.TaskGroup() as tasks:
            for _, to, file in self.orders.canaries:
                tasks.create_task(self._measure(to, Path(file)))
            if self.orders.bulk_to is not None and self.orders.bulk_bps > 0:
                tasks.create_task(self._stream(self.orders.bulk_to, self.orders.bulk_bps))
            tasks.create_task(self._report())

    async def _measure(self, to: str, file: Path) -> None:
        loop, canary = asyncio.get_running_loop(), Canary()
        door = _udp(self.orders.address, 0)
        loop.add_reader(door, _take_back, door, canary)
        told = loop.time()
        while True:
            with contextlib.suppress(OSError):  # no buffer, no route: it stays away, and is counted as lost
                now_ns = time.time_ns()
                door.sendto(_ASKED.pack(canary.sent(now_ns), now_ns) + _PADDING, (to, ECHO_PORT))
            if loop.time() - told >= WINDOW_S:
                told = loop.time()
                replace_file(file, canary.tell(time.time_ns() - int(GRACE_S * 1e9)))
            await asyncio.sleep(EVERY_S)

    async def _stream(self, to: str, bits_per_s: float) -> None:
        bytes_per_s = bits_per_s / 8 * _PAYLOAD_PART
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(to, BULK_PORT, local_addr=(self.orders.address, 0))
                try:
                    await self._pour(writer, bytes_per_s)
                finally:
                    writer.close()
            await asyncio.sleep(_RETRY_S)

    async def _pour(self, writer: asyncio.StreamWriter, bytes_per_s: float) -> None:
        loop, credit = asyncio.get_running_loop(), 0.0
        last = loop.time()
        while not writer.is_closing():
            await asyncio.sleep(_BULK_TICK_S)
            now = loop.time()
            # What could not be sent in time is not made up for: the stream is steady or slower, never a burst.
            credit = min(credit + (now - last) * bytes_per_s, _BULK_CREDIT_S * bytes_per_s)
            last = now
            if writer.transport.get_write_buffer_size() == 0:
                writer.write(bytes(int(credit)))
                self.sent += int(credit)
                credit -= int(credit)

    async def _sink(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while part := await reader.read(256 * 1024):
                self.received += len(part)
        writer.close()

    async def _report(self) -> None:
        before, sent, received = time.time_ns(), 0, 0
        while True:
            await asyncio.sleep(WINDOW_S)
            now, seconds = time.time_ns(), (time.time_ns() - before) / 1e9
            rates = {
                "at_ns": now,
                "sent_bps": (self.sent - sent) * 8 / seconds,
                "received_bps": (self.received - received) * 8 / seconds,
            }
            replace_file(Path(self.orders.report), rates)
            before, sent, received = now, self.sent, self.received


def replace_file(path: Path, content: dict[str, Any]) -> None:
    """In one step: a reader sees the old or the new. Not synced: it is news, not memory."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content) + "\n", encoding="ascii")
    new.replace(path)


def _udp(address: str, port: int) -> socket.socket:
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    door.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    door.setblocking(False)
    door.bind((address, port))
    return door


def _receive(door: socket.socket) -> tuple[bytes, int, Any] | None:
    """A packet, when the kernel got it (ns), and from whom."""
    try:
        packet, extra, _, sender = door.recvmsg(2048, 64)
    except (BlockingIOError, ConnectionRefusedError):
        return None
    for level, kind, data in extra:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return packet, seconds * 10**9 + nanoseconds, sender
    return packet, time.time_ns(), sender


def _echo(door: socket.socket) -> None:
    while (received := _receive(door)) is not None:
        packet, at_ns, sender = received
        if len(packet) >= _ASKED.size:
            number, sent_ns = _ASKED.unpack_from(packet)
            with contextlib.suppress(OSError):
                held = max(0, time.time_ns() - at_ns)
                door.sendto(_ANSWERED.pack(number, sent_ns, held) + _PADDING[8:], sender)


def _take_back(door: socket.socket, canary: Canary) -> None:
    while (received := _receive(door)) is not None:
        packet, at_ns, _ = received
        if len(packet) >= _ANSWERED.size:
            number, _, held_ns = _ANSWERED.unpack_from(packet)
            canary.came_back(number, at_ns, held_ns)


def main(path: str) -> None:
    """Read the orders and follow them."""
    given = json.loads(Path(path).read_text(encoding="utf-8"))
    orders = Orders(
        address=given["address"],
        canaries=tuple((name, to, file) for name, to, file in given["canaries"]),
        bulk_to=given["bulk_to"],
        bulk_bps=given["bulk_bps"],
        report=given["report"],
    )
    os.umask(0o077)
    asyncio.run(Customer(orders).run())


if __name__ == "__main__":
    main(sys.argv[1])
