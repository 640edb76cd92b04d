"""Calibrating: what is measured of a generator, and the engine plan of each trial. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from maul.campaign.model_mix import OpName
from maul.core.calibration import Family, Scheme
from maul.plan.engine_plan import (
    ClosedArrivals,
    Constant,
    EngineEndpoint,
    EngineLimits,
    EnginePlan,
    EngineS3,
    FixedSizes,
    KeyChoice,
    Keyspace,
    MixEntry,
    OpenArrivals,
    Timeouts,
)

RUN = 0x6D61756C  # of all bodies; nothing is stored, so nothing can be mistaken
SIZES_BYTES = (4096, 65_536, 1_048_576)
SCHEMES: tuple[Scheme, ...] = ("http", "https")
OBJECTS = 4  # the null server keeps their bodies, so that it has next to nothing to do
OPEN_LOOP_CONNECTIONS = 256
_OPS: dict[Family, OpName] = {"get": "get", "get-verified": "get", "put": "put", "head": "head"}
_IN_FLIGHT_BYTES = 8 << 20
_DRAIN_S = 5.0
_RATE_MAX_PER_S = 1e8


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing to measure."""

    op: Family
    size_bytes: int
    scheme: Scheme


@dataclass(frozen=True, slots=True)
class Trial:
    """One short round: `rate_per_s` None is a closed loop, as fast as it goes.

    `shard_cores` and `server_cores`: the processor of each shard, and of each thread of the server.
    """

    cell: Cell
    seconds: float
    shard_cores: tuple[int, ...]
    server_cores: tuple[int, ...]
    rate_per_s: float | None = None

    @property
    def in_flight(self) -> int:
        """Of all shards: enough to keep them busy, and no more bytes under way than caches can bear."""
        each = max(4, min(32, _IN_FLIGHT_BYTES // self.cell.size_bytes))
        return each * len(self.shard_cores)


def cells(sizes: Sequence[int] = SIZES_BYTES) -> tuple[Cell, ...]:
    """Everything that is measured; a HEAD has no size."""
    return tuple(
        Cell(op, size, scheme) for scheme in SCHEMES for op in _OPS for size in (sizes if op != "head" else sizes[:1])
    )


def trial_plan(trial: Trial, url: str) -> EnginePlan:
    """What the engine does in a trial. Requests are signed, as they would be.

    >>> cell = Cell("head", 4096, "http")
    >>> trial_plan(Trial(cell, 0.5, (1,), (0,)), "http://127.0.0.1:1").shards
    1
    """
    connections = OPEN_LOOP_CONNECTIONS if trial.rate_per_s is not None else trial.in_flight
    arrivals: OpenArrivals | ClosedArrivals
    if trial.rate_per_s is None:
        arrivals = ClosedArrivals(concurrency=trial.in_flight, seconds=trial.seconds)
    else:
        arrivals = OpenArrivals(profile=(Constant(rate=trial.rate_per_s, seconds=trial.seconds),))
    return EnginePlan(
        run=RUN,
        seed=1,
        shards=len(trial.shard_cores),
        pin=trial.shard_cores,
        endpoints=(EngineEndpoint(name="null", url=url),),
        s3=EngineS3(bucket=f"null-{trial.cell.size_bytes}", prefix="maul/calibrate/", region="us-east-1"),
        keyspace=Keyspace(objects=OBJECTS, choice=KeyChoice(kind="sequential")),
        sizes=FixedSizes(bytes=trial.cell.size_bytes),
        mix=(MixEntry(op=_OPS[trial.cell.op], weight=1.0),),
        arrivals=arrivals,
        timeouts=Timeouts(connect_ms=3000, request_ms=5000),
        limits=EngineLimits(
            rate_per_s=_RATE_MAX_PER_S,
            bytes_per_s=1e15,
            in_flight=connections,
            requests=10**10,
            bytes=10**16,
            seconds=trial.seconds + _DRAIN_S,
            connections=connections,
        ),
        lease_ms=None,
        verify=trial.cell.op == "get-verified",
        record_operations=False,
    )
