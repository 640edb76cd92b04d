"""What conductor and agents say to each other: plain bytes, so that neither side has to believe the other's objects."""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from maul.core.generator import GeneratorState, GeneratorStatus
from maul.core.operation import ErrorClass
from maul.fleet.sentinels import (
    SentinelOrder,
    SentinelReport,
    order_from_json,
    order_to_json,
    report_from_json,
    report_to_json,
)
from maul.hosts.machine_counters import MachineCounters

WIRE = 2
"""The version of what is said here."""
_LENGTH = struct.Struct("<I")


class MessageError(ValueError):
    """Bytes that are no message of ours."""


class Sealed:
    """Bytes that nobody prints: dask logs the arguments of calls that fail."""

    __slots__ = ("_content",)

    def __init__(self, content: bytes) -> None:
        """`content` may hold secrets."""
        self._content = content

    def open(self) -> bytes:
        """The bytes."""
        return self._content

    def __repr__(self) -> str:
        """How long it is, at most."""
        return f"<sealed, {len(self._content)} bytes>"

    def __reduce__(self) -> tuple[type["Sealed"], tuple[bytes]]:
        """For the wire, which is encrypted."""
        return Sealed, (self._content,)


@dataclass(frozen=True, slots=True)
class EngineOrder:
    """What a beat tells one engine, as it is to be: one that got lost is made good by the next.

    `lease_until_ns`: the agent's clock; 0: no more. `received`: the last batch that the conductor has; `kept`: the last
    one that is in its record. `throttle`: the part of the arrivals to send. `stop`: (reason, whether at once).
    """

    lease_until_ns: int
    received: int
    kept: int
    throttle: float = 1.0
    stop: tuple[str, bool] | None = None


@dataclass(frozen=True, slots=True)
class EngineReport:
    """What one engine answers. `finished`: it is done, and `last` is the number of its last batch."""

    status: GeneratorStatus
    finished: bool
    last: int
    batches: Sequence[tuple[int, bytes]]
    spool_lost: int = 0


@dataclass(frozen=True, slots=True)
class BeatAnswer:
    """Of one agent. `now_ns` is its clock while it answered; `sentinel`: of its own, None where it has none."""

    now_ns: int
    engines: Mapping[str, EngineReport] = field(default_factory=dict)
    machine: MachineCounters = field(default_factory=MachineCounters)
    sentinel: SentinelReport | None = None


def pack(head: Mapping[str, Any], parts: Sequence[bytes] = ()) -> bytes:
    """A JSON head and byte strings."""
    text = json.dumps({**head, "_sizes": [len(part) for part in parts]}).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *parts])


def unpack(content: object) -> tuple[dict[str, Any], list[bytes]]:
    """The reverse; MessageError for anything else."""
    if not isinstance(content, bytes | bytearray | memoryview):
        raise MessageError(f"an answer of type {type(content).__name__}")
    content = bytes(content)
    try:
        (length,) = _LENGTH.unpack_from(content)
        head = json.loads(content[_LENGTH.size : _LENGTH.size + length])
        place, parts = _LENGTH.size + length, []
        for size in head.pop("_sizes"):
            parts.append(content[place : place + size])
            place += size
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MessageError("bytes that cannot be read") from error
    if place != len(content):
        raise MessageError("a message that is not as long as it says")
    return head, parts


def pack_orders(orders: Mapping[str, EngineOrder], sentinel: SentinelOrder | None = None) -> bytes:
    """The question of a beat."""
    engines = {
        name: [one.lease_until_ns, one.received, one.kept, one.throttle, one.stop] for name, one in orders.items()
    }
    return pack({"engines": engines, "sentinel": order_to_json(sentinel)})


def unpack_orders(content: bytes) -> tuple[dict[str, EngineOrder], SentinelOrder | None]:
    """The reverse."""
    head, _ = unpack(content)
    orders = {}
    for name, said in head["engines"].items():
        until_ns, received, kept, throttle, stop = said
        told = None if stop is None else (str(stop[0]), bool(stop[1]))
        orders[str(name)] = EngineOrder(int(until_ns), int(received), int(kept), float(throttle), told)
    return orders, order_from_json(head["sentinel"])


def pack_answer(answer: BeatAnswer) -> bytes:
    """The answer to a beat."""
    engines, parts = {}, []
    for name, report in answer.engines.items():
        engines[name] = {
            "status": status_to_json(report.status),
            "finished": report.finished,
            "last": report.last,
            "batches": [number for number, _ in report.batches],
            "spool_lost": report.spool_lost,
        }
        parts += [content for _, content in report.batches]
    machine, sentinel = asdict(answer.machine), report_to_json(answer.sentinel)
    return pack({"now_ns": answer.now_ns, "engines": engines, "machine": machine, "sentinel": sentinel}, parts)


def unpack_answer(content: object) -> BeatAnswer:
    """The reverse; MessageError when it is garbage."""
    head, parts = unpack(content)
    try:
        left = iter(parts)
        engines = {}
        for name, said in head["engines"].items():
            engines[str(name)] = EngineReport(
                status=status_from_json(said["status"]),
                finished=bool(said["finished"]),
                last=int(said["last"]),
                batches=[(int(number), next(left)) for number in said["batches"]],
                spool_lost=int(said["spool_lost"]),
            )
        machine, sentinel = _machine(head["machine"]), report_from_json(head["sentinel"])
        return BeatAnswer(int(head["now_ns"]), engines, machine, sentinel)
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise MessageError(f"an answer that makes no sense ({type(error).__name__})") from error


def _machine(words: Mapping[str, Any]) -> MachineCounters:
    counters = MachineCounters(**words)
    if any(value is not None and (type(value) not in _NUMBER_TYPES or value < 0) for value in words.values()):
        raise ValueError("counters that are no counts")
    return counters


def status_to_json(status: GeneratorStatus) -> dict[str, Any]:
    """A status in plain words."""
    words = asdict(status)
    words["errors"] = {kind.name: count for kind, count in status.errors.items()}
    words["error_examples"] = {kind.name: text for kind, text in status.error_examples.items()}
    return words


def status_from_json(words: Mapping[str, Any]) -> GeneratorStatus:
    """The reverse; ValueError, KeyError or TypeError for garbage."""
    plain = dict(words)
    plain["state"] = GeneratorState(plain["state"])
    plain["errors"] = {ErrorClass[name]: int(count) for name, count in plain["errors"].items()}
    plain["error_examples"] = {ErrorClass[name]: str(text) for name, text in plain["error_examples"].items()}
    status = GeneratorStatus(**plain)
    for name in _NUMBERS:
        value = plain.get(name, 0)
        if type(value) not in _NUMBER_TYPES or value < 0:
            raise ValueError(f"{name} is {value!r}")
    return status


_NUMBERS = tuple(one.name for one in fields(GeneratorStatus) if one.type in (int, float))
_NUMBER_TYPES = {int, float}
