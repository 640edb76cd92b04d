"""What a chart shows, as data: lines over one shared time axis, bands behind them, and what is missing.

Times are seconds since the run began. A value that was not measured is NaN: a gap in the line, never zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil
from typing import Any

import numpy as np
import pyarrow as pa

from maul.core.event import Edge, EventKind
from maul.core.summary import Summary
from maul.report.mitigation_words import cause_name

POINTS_MAX = 900  # of one line: more than a screen can show, few enough for a small page

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Form(StrEnum):
    """How the lines of a panel are drawn."""

    LINES = "lines"
    STACK = "stack"


@dataclass(frozen=True)
class Line:
    """One quantity over time. `values` has one entry per point of the panel's grid."""

    label: str
    colour: str
    values: Floats
    dash: str = "solid"
    width: float = 1.6


@dataclass(frozen=True)
class Panel:
    """One chart; or, where there is nothing to see, `instead`: the sentence that says why."""

    key: str
    title: str
    unit: str
    lines: tuple[Line, ...] = ()
    note: str = ""
    form: Form = Form.LINES
    log: bool = False
    full_scale: float | None = None  # the axis always reaches this far, as 100 % does
    instead: str = ""
    group: str = ""

    def settled(self) -> "Panel":
        """A sentence instead of the chart where all readings are zero: quiet is worth a line."""
        seen = [line.values[np.isfinite(line.values)] for line in self.lines]
        if self.instead or any(values.any() for values in seen):
            return self
        readings = max((values.size for values in seen), default=0)
        return replace(self, instead=f"zero throughout ({readings} points, {self.unit})")


@dataclass(frozen=True)
class Grid:
    """The shared time axis: whole Unix seconds, several to a point when the run is long."""

    zero_ns: int
    first_s: int
    step_s: int
    points: int

    @classmethod
    def over(cls, began_ns: int, ended_ns: int) -> "Grid":
        """The grid of a run. Even a run without length has one point."""
        first = began_ns // 10**9
        seconds = max(1, ended_ns // 10**9 - first + 1)
        step = ceil(seconds / POINTS_MAX)
        return cls(began_ns, first, step, ceil(seconds / step))

    @property
    def t(self) -> Floats:
        """The middle of each point, in seconds since the run began."""
        middles = np.arange(self.points, dtype=np.float64) + 0.5
        return self.first_s - self.zero_ns / 1e9 + middles * self.step_s

    @property
    def end_s(self) -> float:
        """The right edge of the axis."""
        return float(self.t[-1]) + self.step_s / 2

    def points_of(self, unix_s: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The point that each Unix second (whole or not) falls into; may lie outside 0 … points-1."""
        return np.floor((np.asarray(unix_s, dtype=np.float64) - self.first_s) / self.step_s).astype(np.int64)


HURT = frozenset({"fault", "loss", "held"})
"""Kinds of bands in which something was not as it should be."""


@dataclass(frozen=True)
class Band:
    """A stretch of time behind the lines. `kind` is phase, fault, loss (of an agent of the fleet) or held (silence)."""

    kind: str
    label: str
    begin_s: float
    end_s: float


@dataclass(frozen=True)
class Mark:
    """A moment worth a line: what the guard did, and why."""

    label: str
    at_s: float
    says: str = ""


def bands(summary: Summary, events: pa.Table) -> tuple[Band, ...]:
    """Phases and faults, from the summary where it knows them and from the events where it does not."""
    zero, end = summary.began_ns, summary.ended_ns
    found = [("phase", phase.name, phase.began_ns, phase.ended_ns) for phase in summary.phases]
    found += [("fault", fault.name, fault.began_ns, fault.healed_ns or end) for fault in summary.faults]
    losses = summary.fleet.losses if summary.fleet is not None else []
    found += [("loss", f"{one.agent} lost", one.began_ns, one.ended_ns or end) for one in losses]
    found += [
        ("held", f"held: {cause_name(one.cause)}", one.frozen_ns, one.resumed_ns or one.recovered_ns or end)
        for one in summary.mitigations
        if one.frozen_ns is not None
    ]
    known = {(kind, name) for kind, name, _, _ in found}
    for kind in (EventKind.PHASE, EventKind.FAULT):
        found += [
            (kind.value, name, began, ended)
            for name, began, ended in _pairs(events, kind, end)
            if (kind.value, name) not in known
        ]
    found.sort(key=lambda item: (item[0] in HURT, item[2]))  # faults are drawn over phases
    return tuple(
        Band(kind, name, (began - zero) / 1e9, (max(ended, began) - zero) / 1e9) for kind, name, began, ended in found
    )


def _pairs(events: pa.Table, kind: EventKind, end_ns: int) -> Iterable[tuple[str, int, int]]:
    """Each beginning with its end; what never ended ends with the run."""
    open_since: dict[str, int] = {}
    for row in _rows(events, kind):
        if row["edge"] == Edge.BEGAN:
            open_since.setdefault(row["name"], row["at_ns"])
        elif row["edge"] == Edge.ENDED and row["name"] in open_since:
            yield row["name"], open_since.pop(row["name"]), row["at_ns"]
    for name, began in open_since.items():
        yield name, began, end_ns


def marks(summary: Summary, events: pa.Table) -> tuple[Mark, ...]:
    """What the guard did, and when; and when answers ceased to come."""
    onsets = [Mark("onset", (one.onset_ns - summary.began_ns) / 1e9, one.says) for one in summary.mitigations]
    did = [
        Mark(row["name"], (row["at_ns"] - summary.began_ns) / 1e9, row["says"])
        for row in _rows(events, EventKind.GUARD)
    ]
    return (*onsets, *did)


def _rows(events: pa.Table, kind: EventKind) -> Sequence[dict[str, Any]]:
    rows = events.select(["at_ns", "kind", "edge", "name", "says"]).to_pylist()
    return sorted((row for row in rows if row["kind"] == kind), key=lambda row: row["at_ns"])
