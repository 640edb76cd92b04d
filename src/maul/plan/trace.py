"""Trace: an earlier run's operations, packed for the engine to ask for again, as fast as then or k times faster.

The packed row is that of `crates/engine/src/trace.rs`; a test replays one through the engine. What is replayed is the
demand, not the outcome: when each operation was due, which it was, on which key, how large an object it wrote.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from maul.core.errors import CampaignError
from maul.core.operation import REGION_SHIFT, WRITES, Flag, Op, Outcome, Region

OperationArray = np.ndarray[Any, np.dtype[np.void]]  # of OPERATION_DTYPE

TRACE_DTYPE = np.dtype(
    [
        ("due_ns", "<u8"),  # after the start, divided by the speed already
        ("key", "<u8"),
        ("size", "<u8"),  # bytes of the object that a PUT writes
        ("op", "u1"),
        ("zero", "u1", (7,)),
    ]
)
SPEED_MAX = 1000.0
_PUTS = tuple((WRITES | {Op.ABORTED_PUT}) - {Op.MULTIPART})
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Trace:
    """Packed rows, and what is to be known of them before they are sent."""

    rows: bytes
    """For `RustGenerator(plan, trace=rows)`: `count` rows of 32 bytes in the order of their times."""
    count: int
    """Arrivals. A request for several keys is one, on its first key."""
    seconds: float
    """From the first arrival to just behind the last, at the new speed: what `TraceArrivals.seconds` must cover."""
    ops: tuple[tuple[Op, int], ...]
    """How often each operation comes, the most frequent first. The engine's mix must name them all."""
    peak_per_s: int
    """Most arrivals within one second of the replay, counted in whole seconds from its start."""
    bytes_written: int
    """Of all objects that its PUTs write."""
    ends: tuple[tuple[Region, int], ...]
    """For each region in it, the first index behind its keys: what must be filled for its reads to find."""
    guessed_sizes: int
    """PUTs that did not succeed then, so that nobody noted their size: they get the mean of the others."""
    orphans: int
    """Operations on ephemeral keys that no earlier row of the trace PUTs: they will find nothing."""
    left_out: int
    """Arrivals that were never sent then (dropped): they never got a key."""


def trace_of(operations: OperationArray, speed: float = 1.0) -> Trace:
    """Pack operations (of `OPERATION_DTYPE`, any order) to be replayed at `speed` times their own.

    The caller chooses the phases: give the rows of those that are to be replayed, of one tenant. Pauses between them
    stay. The first due time becomes 0. CampaignError when there is nothing to replay, when the speed is not in
    (0, 1000], or when not one PUT tells its size.

    >>> from maul.core.operation import OPERATION_DTYPE
    >>> rows = np.zeros(3, OPERATION_DTYPE)
    >>> rows["due_ns"], rows["op"] = [5_000, 3_000, 4_000], Op.GET
    >>> trace = trace_of(rows, speed=2)
    >>> trace.count, np.frombuffer(trace.rows, TRACE_DTYPE)["due_ns"].tolist()
    (3, [0, 500, 1000])
    """
    if not 0.0 < speed <= SPEED_MAX:
        raise CampaignError(
            f"a trace cannot be replayed at {speed:g} times its speed",
            cure=f"give a speed above 0, up to {SPEED_MAX:g}",
        )
    asked = operations[(operations["flags"] & Flag.SAME_REQUEST) == 0]
    sent = asked[asked["outcome"] != Outcome.DROPPED]
    if not len(sent):
        raise CampaignError("the trace has no operations", cure="name a run and phases in which something was sent")
    sent = sent[np.lexsort((sent["start_ns"], sent["due_ns"]))]
    packed = np.zeros(len(sent), TRACE_DTYPE)
    since_ns = sent["due_ns"] - sent["due_ns"][0]
    packed["due_ns"] = np.floor(since_ns / speed).astype(np.uint64) if speed != 1.0 else since_ns
    packed["key"], packed["op"] = sent["key"], sent["op"]
    guessed = _fill_sizes(packed, sent)
    return Trace(
        rows=packed.tobytes(),
        count=len(packed),
        seconds=(int(packed["due_ns"][-1]) + 1) / _NS_PER_S,
        ops=_ops(packed),
        peak_per_s=int(np.unique(packed["due_ns"] // _NS_PER_S, return_counts=True)[1].max()),
        bytes_written=int(packed["size"].sum()),
        ends=_ends(packed),
        guessed_sizes=guessed,
        orphans=_orphans(packed),
        left_out=len(asked) - len(sent),
    )


def _fill_sizes(packed: OperationArray, sent: OperationArray) -> int:
    """Sizes of PUTs into `packed`; how many had to be guessed. Only what was OK has its size in the record."""
    puts = np.isin(sent["op"], _PUTS)
    known = puts & (sent["outcome"] == Outcome.OK) & (sent["status"] != 412)
    packed["size"] = np.where(known, sent["bytes"], 0)
    unknown = puts & ~known
    guessed = int(unknown.sum())
    if guessed and not known.any():
        raise CampaignError(
            "no PUT of the trace succeeded, so nobody knows how large its objects were",
            cure="replay a run, or phases of it, in which the target took some",
        )
    if guessed:
        packed["size"][unknown] = round(float(sent["bytes"][known].mean()))
    return guessed


def _ops(packed: OperationArray) -> tuple[tuple[Op, int], ...]:
    numbers, counts = np.unique(packed["op"], return_counts=True)
    found = [(Op(int(number)), int(count)) for number, count in zip(numbers, counts, strict=True)]
    return tuple(sorted(found, key=lambda entry: (-entry[1], entry[0])))


def _ends(packed: OperationArray) -> tuple[tuple[Region, int], ...]:
    regions = packed["key"] >> REGION_SHIFT
    indexes = packed["key"] & ((1 << REGION_SHIFT) - 1)
    return tuple((Region(int(region)), int(indexes[regions == region].max()) + 1) for region in np.unique(regions))


def _orphans(packed: OperationArray) -> int:
    """Rows on ephemeral keys in front of the first PUT of their key."""
    of_region = packed["key"] >> REGION_SHIFT == Region.EPHEMERAL
    puts = np.isin(packed["op"], _PUTS)
    places = np.arange(len(packed))
    made, first = np.unique(packed["key"][of_region & puts], return_index=True)
    first_place = places[of_region & puts][first]
    needy = of_region & ~puts
    slot = np.searchsorted(made, packed["key"][needy])
    inside = slot < len(made)
    found = np.zeros(int(needy.sum()), bool)
    slots = slot[inside]
    found[inside] = (made[slots] == packed["key"][needy][inside]) & (first_place[slots] < places[needy][inside])
    return int((~found).sum())


def mix_of(trace: Trace) -> tuple[tuple[str, float], ...]:
    """The operations of a trace as an engine's mix names them, with their counts as weights.

    >>> from maul.core.operation import OPERATION_DTYPE
    >>> mix_of(trace_of(np.zeros(2, OPERATION_DTYPE)))
    (('put', 2.0),)
    """
    return tuple((op.name.lower(), float(count)) for op, count in trace.ops)
