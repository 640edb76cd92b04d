"""What an agent counted and recorded since the last time, as bytes: for the wire and for its own disk.

    "MLB1" · length of the head · head (JSON) · rows · histograms · operations · CRC-32 of all before

Rows and operations are arrays of fixed records, so that a conductor reads those of a thousand agents in one second.
"""

import base64
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from maul.core.exhibit import Exhibit, ExhibitReason
from maul.core.generator import Drained
from maul.core.histogram import LatencyKind, LatencyRow
from maul.core.operation import OPERATION_DTYPE

_MAGIC = b"MLB1"
_HEAD = struct.Struct("<4sI")
_CRC = struct.Struct("<I")
KINDS = tuple(LatencyKind)
_KIND_NUMBER = {kind: number for number, kind in enumerate(KINDS)}
ROW_DTYPE = np.dtype(
    [
        ("second", "<u8"),
        ("count", "<u8"),
        ("size", "<u4"),
        ("op", "u1"),
        ("outcome", "u1"),
        ("kind", "u1"),
        ("tenant", "u1"),
    ]
)
"""One histogram: its key, how many it counted, and the bytes that it takes in `Batch.histograms`."""


class BatchError(ValueError):
    """Bytes that are no batch."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Histograms lie one behind the other in `histograms`, in the order of `rows`."""

    rows: np.ndarray
    histograms: bytes
    operations: np.ndarray
    exhibits: Sequence[Exhibit] = field(default_factory=tuple)

    def latency(self) -> list[LatencyRow]:
        """Row by row; slow, for few."""
        ends = np.cumsum(self.rows["size"], dtype=np.int64).tolist()
        return [
            LatencyRow(
                second=int(row["second"]),
                op=int(row["op"]),
                outcome=int(row["outcome"]),
                kind=KINDS[int(row["kind"])],
                count=int(row["count"]),
                hdr=self.histograms[end - int(row["size"]) : end],
                tenant=int(row["tenant"]),
            )
            for row, end in zip(self.rows, ends, strict=True)
        ]

    def drained(self) -> Drained:
        """As a generator gives it."""
        return Drained(self.latency(), self.operations, self.exhibits)


def encode(drained: Drained, *, operations: bool = True) -> bytes:
    """The bytes; without operation records if they must be saved."""
    rows = np.empty(len(drained.latency), ROW_DTYPE)
    for place, row in enumerate(drained.latency):
        number = _KIND_NUMBER[row.kind]
        rows[place] = (row.second, row.count, len(row.hdr), row.op, row.outcome, number, row.tenant)
    records = drained.operations if operations else drained.operations[:0]
    head = {"rows": len(rows), "operations": len(records), "exhibits": [_to_json(one) for one in drained.exhibits]}
    head_bytes = json.dumps(head).encode()
    parts = [
        _HEAD.pack(_MAGIC, len(head_bytes)),
        head_bytes,
        rows.tobytes(),
        *(row.hdr for row in drained.latency),
        records.tobytes(),
    ]
    body = b"".join(parts)
    return body + _CRC.pack(zlib.crc32(body))


def decode(content: bytes, *, fresh: bool = False) -> Batch:
    """BatchError for anything but what `encode` makes. `fresh`: TLS has just vouched for every byte of it."""
    try:
        magic, head_size = _HEAD.unpack_from(content)
        if magic != _MAGIC:
            raise BatchError("it does not begin as a batch does")
        if (
            not fresh
            and zlib.crc32(memoryview(content)[: -_CRC.size]) != _CRC.unpack_from(content, len(content) - _CRC.size)[0]
        ):
            raise BatchError("its checksum is wrong")
        place = _HEAD.size + head_size
        head = json.loads(content[_HEAD.size : place])
        rows = np.frombuffer(content, ROW_DTYPE, int(head["rows"]), place)
        place += rows.nbytes
        size = int(rows["size"].sum(dtype=np.int64))
        histograms = content[place : place + size]
        operations = np.frombuffer(content, OPERATION_DTYPE, int(head["operations"]), place + size)
        if place + size + operations.nbytes + _CRC.size != len(content):
            raise BatchError("its parts are not as long as it says")
        exhibits = tuple(_from_json(one) for one in head["exhibits"])
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise error if isinstance(error, BatchError) else BatchError(f"it cannot be read ({error})") from error
    if len(rows) and int(rows["kind"].max()) >= len(KINDS):
        raise BatchError("it has a kind of latency that does not exist")
    return Batch(rows, histograms, operations, exhibits)


def _to_json(exhibit: Exhibit) -> list[object]:
    return [
        exhibit.reason.value,
        base64.b64encode(exhibit.operation.tobytes()).decode(),
        exhibit.request_id,
        exhibit.says,
        exhibit.offset,
        exhibit.expected,
        exhibit.found,
    ]


def _from_json(data: Sequence[object]) -> Exhibit:
    reason, operation, request_id, says, offset, expected, found = data
    if offset is not None and not isinstance(offset, int):
        raise BatchError("an exhibit's offset is no number")
    return Exhibit(
        ExhibitReason(str(reason)),
        np.frombuffer(base64.b64decode(str(operation), validate=True), OPERATION_DTYPE)[0],
        str(request_id),
        str(says),
        offset,
        str(expected),
        str(found),
    )


_TIMES = ("due_ns", "start_ns", "connected_ns", "secured_ns", "sent_ns", "first_byte_ns", "end_ns")


def shifted(operations: np.ndarray, by_ns: int) -> np.ndarray:
    """The same operations on another clock; 0 stays "it never came"."""
    if by_ns == 0:
        return operations
    moved = operations.copy()
    for name in _TIMES:
        column = moved[name].astype(np.int64)
        moved[name] = np.where(column > 0, column + by_ns, 0)
    return moved
