"""Events in pairs: what began when, and when it ended."""

import json
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from maul.core.event import Edge, EventKind

SETTLE_RATIO, SETTLE_NS_MAX = 0.2, 1_000_000_000
"""The first part of a level, in which the operations in flight change over from the level before."""


@dataclass(frozen=True, slots=True)
class Span:
    """Something that lasted. `ended` False: no end was recorded, `ended_ns` is the last thing known."""

    name: str
    began_ns: int
    ended_ns: int
    ended: bool
    details: dict[str, Any]  # of the beginning
    end_details: dict[str, Any]

    def holds(self, at_ns: int) -> bool:
        """Whether a moment lies in it."""
        return self.began_ns <= at_ns < self.ended_ns


def spans(events: pa.Table, kind: EventKind, until_ns: int | None = None) -> list[Span]:
    """The spans of a kind in order of time. `until_ns` ends those without an end; default: the last event."""
    last_ns = until_ns if until_ns is not None else last_event_ns(events)
    rows = rows_where(events, "kind", kind.value).sort_by("at_ns").to_pylist()
    open_rows: dict[str, list[dict[str, Any]]] = {}
    found: list[Span] = []
    for row in rows:
        if row["edge"] == Edge.BEGAN:
            open_rows.setdefault(row["name"], []).append(row)
        elif row["edge"] == Edge.ENDED and open_rows.get(row["name"]):
            began = open_rows[row["name"]].pop(0)
            found.append(_span(began, row["at_ns"], details_of(row), ended=True))
    unended = (row for rows in open_rows.values() for row in rows)
    found += [_span(began, last_ns, {}, ended=False) for began in unended]
    return sorted(found, key=lambda span: span.began_ns)


def settled_ns(began_ns: int, ended_ns: int) -> int:
    """Where the settled part of a level begins."""
    return began_ns + min(SETTLE_NS_MAX, int((ended_ns - began_ns) * SETTLE_RATIO))


def rows_where(table: pa.Table, column: str, value: str) -> pa.Table:
    """The rows that have this text in a column."""
    return table.filter(pc.equal(table[column], pa.scalar(value)))


def details_of(row: dict[str, Any]) -> dict[str, Any]:
    """The details of an event's row; empty when they are no JSON object."""
    try:
        value = json.loads(row["details"] or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def last_event_ns(events: pa.Table) -> int:
    """When the last event was; 0 without events."""
    return int(pc.max(events["at_ns"]).as_py() or 0)


def _span(began: dict[str, Any], ended_ns: int, end_details: dict[str, Any], *, ended: bool) -> Span:
    began_ns = began["at_ns"]
    return Span(began["name"], began_ns, max(began_ns, ended_ns), ended, details_of(began), end_details)
