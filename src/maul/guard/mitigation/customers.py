"""Customers: what a threshold means for them, a sentence each: "a customer sees this at N requests/s of size S"."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from maul.core.mitigation_summary import OF_ONE, BracketSummary, show_load
from maul.core.units import show_size
from maul.guard.mitigation.fingerprint import may_be_it
from maul.plan import Plan
from maul.plan.costs import HEADER_BYTES
from maul.plan.engine_plan import EnginePlan, FixedSizes, LognormalSizes, UniformSizes
from maul.plan.placement.demand import Stream, on_the_wire, packets_to

SENTENCES_MAX = 8
WINDOW_S = 5
"""The window of which sentences speak: what detectors usually average over."""


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of request: so many bytes of body there, and back."""

    says: str
    """`GET of 64 KiB`."""
    sent: float
    received: float


def work_of(plan: Plan) -> tuple[Work, ...]:
    """Reads and writes of the plan's loads, of a small, a usual and a large object, those that there are."""
    found: dict[str, Work] = {}
    for phase in plan.phases:
        for one in phase.passes if phase.kind in {"load", "limit"} else ():
            for work in _of_engine(one.engine):
                found.setdefault(work.says, work)
    return tuple(found.values())


def sentences(found: Sequence[BracketSummary], works: Sequence[Work], *, tls: bool = True) -> tuple[str, ...]:
    """For every dimension that may be the protection's, at how many requests of each kind it acts."""
    mine = [one for one in found if may_be_it(one) and one.window_s == WINDOW_S]
    mine = mine or [one for one in found if may_be_it(one) and one.window_s == 1]
    told = [sentence for one in mine for sentence in _told(one, works, tls)]
    return tuple(dict.fromkeys(told))[:SENTENCES_MAX]


def _told(one: BracketSummary, works: Sequence[Work], tls: bool) -> Iterator[str]:
    if one.dropped_at is None:
        return
    dimension, alone = one.dimension.removesuffix(OF_ONE), one.dimension.endswith(OF_ONE)
    who = "one customer, from one address," if alone else "customers together"
    counted = f"if it counts {dimension.replace('_', ' ')}"
    if dimension in {"requests", "new_connections", "flows"}:
        yield f"{counted}: {who} {_see(alone)} this {_between(one.survived, one.dropped_at, one.unit)}"
        return
    costs = [(work, _cost(dimension, work, tls)) for work in works]
    for work, cost in sorted(costs, key=lambda item: -item[1])[:2]:
        if cost > 0:
            survived = one.survived / cost if one.survived is not None else None
            between = _between(survived, one.dropped_at / cost, "requests/s")
            yield f"{counted}: {who} {_see(alone)} this {between} of {work.says}"


def _see(alone: bool) -> str:
    return "sees" if alone else "see"


def _between(survived: float | None, dropped_at: float, unit: str) -> str:
    if survived is None:
        return f"at {show_load(dropped_at, unit)} at the latest"
    return f"somewhere between {show_load(survived, unit)} and {show_load(dropped_at, unit)}"


def _cost(dimension: str, work: Work, tls: bool) -> float:
    """Of one request of one that keeps its connections."""
    stream = Stream(1.0, 0.0, work.sent + HEADER_BYTES, work.received + HEADER_BYTES)
    back = Stream(1.0, 0.0, stream.received, stream.sent)
    if dimension.endswith("packets"):
        return packets_to(stream if dimension == "packets" else back)
    load = on_the_wire(stream, tls)
    return load.sent_bps if dimension == "bits" else load.received_bps


def _of_engine(engine: EnginePlan) -> Iterator[Work]:
    ops = {entry.op for entry in engine.mix if entry.weight > 0}
    reads, writes = any("get" in op for op in ops), any("put" in op or "multipart" in op for op in ops)
    for size in _sizes(engine):
        shown = show_size(size)
        if reads:
            yield Work(f"GET of {shown}", 0.0, size)
        if writes:
            yield Work(f"PUT of {shown}", size, 0.0)


def _sizes(engine: EnginePlan) -> list[float]:
    """A small one, a usual one and a large one."""
    sizes = engine.sizes
    if isinstance(sizes, FixedSizes):
        return [float(sizes.bytes)]
    if isinstance(sizes, UniformSizes):
        return [float(sizes.min), float(sizes.max)]
    if isinstance(sizes, LognormalSizes):
        return [sizes.median, min(float(sizes.max), sizes.median * math.exp(2 * sizes.sigma))]
    used = sorted(bucket.bytes for bucket in sizes.buckets if bucket.weight > 0)
    return [float(used[0]), float(used[len(used) // 2]), float(used[-1])]
