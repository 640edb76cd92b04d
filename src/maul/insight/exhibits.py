"""The operations worth showing one by one: the slowest of a run, and the first of each way to go wrong."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from maul.core.exhibit import ExhibitReason
from maul.core.operation import LISTINGS, ErrorClass, Op, key_name
from maul.core.summary import Exhibit

SLOWEST_SHOWN_MAX = 20
"""Of the whole run."""
ERRORS_SHOWN_MAX = 5
"""Of each phase and error class."""
PARTS = ("connect", "tls", "send", "wait", "body")
"""Of the service time of an operation of one exchange, in the order in which they happen."""


def exhibits_of(table: pa.Table, prefixes: Sequence[str], endpoints: Mapping[str, Sequence[str]]) -> list[Exhibit]:
    """From the exhibits of a record: errors by time, then the slowest operations.

    `prefixes`: of the keys of each tenant. `endpoints`: names by phase, as operations number
    them; other phases are left out.
    """
    rows = sorted((row for row in table.to_pylist() if row["phase"] in endpoints), key=lambda row: row["due_ns"])
    errors = [row for row in rows if row["reason"] == ExhibitReason.ERROR]
    slowest = [row for row in rows if row["reason"] == ExhibitReason.SLOWEST]
    slowest.sort(key=lambda row: row["due_ns"] - row["end_ns"])
    chosen = [*_first_of_each(errors), *slowest[:SLOWEST_SHOWN_MAX]]
    return [_exhibit(row, prefixes[row["tenant"]], endpoints[row["phase"]]) for row in chosen]


def parts_ms(row: Mapping[str, Any]) -> dict[str, float]:
    """Where the service time went; a moment that never came ends the list.

    >>> parts_ms({"start_ns": 1, "connected_ns": 0, "secured_ns": 0, "sent_ns": 1_000_001, "first_byte_ns": 3_000_001,
    ...           "end_ns": 3_500_001})
    {'send': 1.0, 'wait': 2.0, 'body': 0.5}
    """
    moments = [row[name] for name in ("start_ns", "connected_ns", "secured_ns", "sent_ns", "first_byte_ns", "end_ns")]
    parts: dict[str, float] = {}
    before = moments[0]
    for name, moment in zip(PARTS, moments[1:], strict=True):
        if moment:
            parts[name] = max(0, moment - before) / 1e6
            before = moment
        elif name not in ("connect", "tls"):
            break
    return parts


def _first_of_each(rows: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    seen: dict[tuple[str, int], int] = {}
    for row in rows:
        kind = (row["phase"], row["error_class"])
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= ERRORS_SHOWN_MAX:
            yield row


def _exhibit(row: Mapping[str, Any], prefix: str, endpoints: Sequence[str]) -> Exhibit:
    number = row["endpoint"]
    op = Op(row["op"])
    return Exhibit(
        reason=row["reason"],
        phase=row["phase"],
        op=op.name.lower(),
        key="" if op in LISTINGS else key_name(prefix, row["key"]),
        endpoint=endpoints[number] if number < len(endpoints) else str(number),
        due_ns=row["due_ns"],
        latency_ms=(row["end_ns"] - row["due_ns"]) / 1e6,
        service_ms=(row["end_ns"] - row["start_ns"]) / 1e6 if row["start_ns"] else 0.0,
        parts_ms=parts_ms(row) if row["start_ns"] and row["exchanges"] <= 1 else {},
        status=row["status"],
        error_class=ErrorClass(row["error_class"]).name,
        request_id=row["request_id"],
        says=row["says"],
        offset=row["offset"],
        expected=row["expected"],
        found=row["found"],
    )
