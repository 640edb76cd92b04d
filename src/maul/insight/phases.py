"""Each phase in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from maul.core.event import EventKind
from maul.core.histogram import LatencyKind
from maul.core.operation import ABANDONED, WRITES, ErrorClass, Flag, Op, Outcome
from maul.core.summary import OperationLatency, Percentiles, PhaseSummary, TenantSummary
from maul.insight.latency import ANSWERED, LatencyBook, Select, percentiles
from maul.insight.spans import Span, last_event_ns, rows_where, spans

Status = Mapping[str, Any]  # the engine's final status() of a phase

LATE_MS = 5.0
"""An arrival sent later than this after its due time is late, when no engine status says how many were."""
_PARTS = (
    LatencyKind.FIRST_BYTE,
    LatencyKind.CONNECT,
    LatencyKind.TLS,
    LatencyKind.SEND,
    LatencyKind.WAIT,
    LatencyKind.BODY,
)
_UPLOADS = tuple(int(op) for op in WRITES | ABANDONED)


def final_statuses(events: pa.Table) -> dict[str, dict[str, Any]]:
    """The engine's final status by phase: `details["status"]` of the PHASE events that ended."""
    statuses = {span.name: span.end_details.get("status") for span in spans(events, EventKind.PHASE)}
    return {name: status for name, status in statuses.items() if isinstance(status, dict)}


def phase_summaries(
    events: pa.Table,
    book: LatencyBook,
    operations: pa.Table,
    statuses: Mapping[str, Status] | None = None,
    tenants: Sequence[str] = (),
) -> list[PhaseSummary]:
    """One summary per PHASE that began, in order of time; its kind is the beginning's `details["kind"]`.

    A phase without an end (a killed run) ends at the last thing known of it. `statuses` defaults to
    `final_statuses(events)`. `tenants`: their names, where there are several.
    """
    known = final_statuses(events) if statuses is None else statuses
    return [
        _summary(span, book, rows_where(operations, "phase", span.name), known.get(span.name, {}), tenants)
        for span in spans(events, EventKind.PHASE, last_known_ns(events, book, operations))
    ]


def last_known_ns(events: pa.Table, book: LatencyBook, operations: pa.Table) -> int:
    """The last moment that the record tells of."""
    bounds = book.bounds()
    last_end = pc.max(operations["end_ns"]).as_py() or 0
    return max(last_event_ns(events), int(last_end), bounds[1] * 10**9 if bounds else 0)


def _summary(
    span: Span, book: LatencyBook, operations: pa.Table, status: Status, tenants: Sequence[str]
) -> PhaseSummary:
    counts = _counts(book, Select(phase=span.name), operations)
    sent, received = _bytes(operations)
    return PhaseSummary(
        name=span.name,
        kind=str(span.details.get("kind", "")),
        began_ns=span.began_ns,
        ended_ns=span.ended_ns,
        offered=sum(counts.values()),
        ok=counts[Outcome.OK],
        fail=counts[Outcome.FAIL],
        unknown=counts[Outcome.UNKNOWN],
        late=int(status.get("late", _late(operations))),
        dropped=counts[Outcome.DROPPED],
        bytes_sent=int(status.get("bytes_sent", sent)),
        bytes_received=int(status.get("bytes_received", received)),
        latency=_latencies(book, Select(phase=span.name)),
        given_up=_given_up(operations),
        tenants=[
            _tenant(name, book, Select(phase=span.name, tenant=index), operations) for index, name in enumerate(tenants)
        ],
    )


def _tenant(name: str, book: LatencyBook, select: Select, operations: pa.Table) -> TenantSummary:
    own = operations.filter(pc.equal(operations["tenant"], pa.scalar(select.tenant, pa.uint8())))
    counts = _counts(book, select, own)
    return TenantSummary(
        name=name,
        offered=sum(counts.values()),
        ok=counts[Outcome.OK],
        fail=counts[Outcome.FAIL],
        unknown=counts[Outcome.UNKNOWN],
        dropped=counts[Outcome.DROPPED],
        latency=_latencies(book, select),
    )


def _given_up(operations: pa.Table) -> int:
    """Operations that the client gave up on purpose."""
    return int((operations["error_class"].to_numpy() == ErrorClass.GIVEN_UP).sum())


def _counts(book: LatencyBook, select: Select, operations: pa.Table) -> dict[Outcome, int]:
    """By outcome. Histograms and operations each may have lost some at a kill; neither counts one twice.

    Further keys of one request are no further operations, and what we gave up on purpose is none of the target's.
    """
    counted = book.counts(select)
    outcomes, flags = operations["outcome"].to_numpy(), operations["flags"].to_numpy()
    given_up = (operations["op"].to_numpy() == Op.ABORTED_PUT) & (outcomes == Outcome.FAIL)
    own = (flags & Flag.SAME_REQUEST == 0) & ~given_up
    return {o: max(counted[o], int((own & (outcomes == o)).sum())) for o in Outcome}


def _latencies(book: LatencyBook, select: Select) -> list[OperationLatency]:
    return [_latency(book, replace(select, op=op)) for op in book.ops(select)]


def _latency(book: LatencyBook, select: Select) -> OperationLatency:
    return OperationLatency(
        op=select.op.name.lower() if select.op is not None else "",
        latency=percentiles(book.merged(LatencyKind.LATENCY, select)),
        service=percentiles(book.merged(LatencyKind.SERVICE, replace(select, outcomes=ANSWERED))),
        parts={str(kind): found for kind in _PARTS if (found := _part(book, kind, select)).count},
    )


def _part(book: LatencyBook, kind: LatencyKind, select: Select) -> Percentiles:
    return percentiles(book.merged(kind, replace(select, outcomes=ANSWERED)))


def _late(operations: pa.Table) -> int:
    due, start = (operations[name].to_numpy().astype("int64") for name in ("due_ns", "start_ns"))
    return int((start - due > LATE_MS * 1e6).sum())


def _bytes(operations: pa.Table) -> tuple[int, int]:
    """Of bodies: (sent, received)."""
    written = pc.is_in(operations["op"], value_set=pa.array(_UPLOADS, pa.uint8()))
    total = int(pc.sum(operations["bytes"]).as_py() or 0)
    sent = int(pc.sum(operations.filter(written)["bytes"]).as_py() or 0)
    return sent, total - sent
