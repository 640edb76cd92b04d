"""Counters of every network device of a namespace, over a route netlink socket that was made in it.

Binary formats: linux/rtnetlink.h, linux/if_link.h, linux/pkt_sched.h, linux/gen_stats.h. All native byte order.
"""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from maul.core.errors import MachineError

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # length with this header, type
_LINK = struct.Struct("=BBHiII")  # family, -, type, index, flags, change
_QUEUE = struct.Struct("=BBHiIII")  # family, -, -, index, handle, parent, info
_DONE, _ERROR = 3, 2
_GET_LINK, _GET_QDISC = 18, 38
_REQUEST_DUMP = 0x301
_IFLA_IFNAME, _IFLA_STATS64 = 3, 23
_TCA_STATS2, _TCA_STATS_QUEUE = 7, 3
_IFF_UP, _IFF_LOWER_UP = 0x1, 0x10000
_ROOT = 0xFFFFFFFF
_TYPE_MASK = 0x3FFF  # the top two bits say "nested" and "network byte order"
_ANSWER_BYTES = 256 * 1024
_TIMEOUT_S = 2.0
_ANSWERS_MAX = 1000


@dataclass(frozen=True, slots=True)
class DeviceCounters:
    """One device, since it was made. `discards`: what its own queue threw away instead of sending."""

    sent_bytes: int
    sent_packets: int
    received_bytes: int
    received_packets: int
    discards: int
    up: bool


def read_devices(door: socket.socket) -> dict[str, DeviceCounters]:
    """Every device of the namespace that `door` was made in, by name. MachineError when the kernel does not tell."""
    door.settimeout(_TIMEOUT_S)
    try:
        links = list(_dump(door, _GET_LINK, _LINK.pack(0, 0, 0, 0, 0, 0)))
        queues = list(_dump(door, _GET_QDISC, _QUEUE.pack(0, 0, 0, 0, 0, 0, 0)))
    except OSError as error:
        raise MachineError(f"the kernel does not tell its link counters: {error}") from error
    return decode(links, queues)


def decode(links: list[bytes], queues: list[bytes]) -> dict[str, DeviceCounters]:
    """From the payloads of RTM_NEWLINK and RTM_NEWQDISC messages. Pure."""
    dropped: dict[int, int] = {}
    for payload in queues:
        _, _, _, index, _, parent, _ = _QUEUE.unpack_from(payload)
        # Only the outermost queue: it counts what the ones inside it dropped.
        if parent == _ROOT:
            dropped[index] = _queue_drops(dict(_attributes(payload[_QUEUE.size :])))
    devices = {}
    for payload in links:
        _, _, _, index, flags, _ = _LINK.unpack_from(payload)
        found = dict(_attributes(payload[_LINK.size :]))
        name = found[_IFLA_IFNAME].rstrip(b"\0").decode()
        received_packets, sent_packets, received, sent, _, _, _, sent_dropped = struct.unpack_from(
            "=8Q", found[_IFLA_STATS64]
        )
        devices[name] = DeviceCounters(
            sent_bytes=sent,
            sent_packets=sent_packets,
            received_bytes=received,
            received_packets=received_packets,
            discards=sent_dropped + dropped.get(index, 0),
            up=bool(flags & _IFF_UP and flags & _IFF_LOWER_UP),
        )
    return devices


def _queue_drops(attributes: dict[int, bytes]) -> int:
    statistics = dict(_attributes(attributes.get(_TCA_STATS2, b"")))
    queue = statistics.get(_TCA_STATS_QUEUE)
    return int(struct.unpack_from("=IIIII", queue)[2]) if queue else 0


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _TYPE_MASK, data[position + _ATTRIBUTE.size : position + length]
        position += (length + 3) & ~3


def _dump(door: socket.socket, kind: int, body: bytes) -> Iterator[bytes]:
    door.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_DUMP, kind, 0) + body)
    for _ in range(_ANSWERS_MAX):
        answer, position = door.recv(_ANSWER_BYTES), 0
        while position + _HEADER.size <= len(answer):
            length, answer_kind, _, sequence, _ = _HEADER.unpack_from(answer, position)
            if answer_kind == _DONE and sequence == kind:
                return
            if answer_kind == _ERROR:
                (code,) = struct.unpack_from("=i", answer, position + _HEADER.size)
                raise OSError(-code, "netlink error")
            if sequence == kind:  # not the rest of an answer that was given up
                yield answer[position + _HEADER.size : position + length]
            position += (length + 3) & ~3
    raise OSError("the answer does not end")
