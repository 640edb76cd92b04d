"""Ground: what all passes of a plan have in common, and how an engine plan grows on it."""

import hashlib
import math
from dataclasses import dataclass

from maul.campaign import Campaign
from maul.campaign.model_workload import (
    LognormalSize,
    UniformSize,
    WeightedSize,
    Workload,
    Zipf,
)
from maul.plan.engine_plan import (
    ClosedArrivals,
    EngineEndpoint,
    EngineLimits,
    EnginePlan,
    EngineS3,
    FixedSizes,
    KeyChoice,
    Keyspace,
    Listing,
    LognormalSizes,
    MixEntry,
    Multipart,
    OpenArrivals,
    OpName,
    SizeBucket,
    Timeouts,
    UniformSizes,
    WeightedSizes,
)
from maul.plan.model import EndpointPlan

DRAIN_MARGIN_S = 5.0  # beyond the request timeout, before a paced engine is cut off
SLOWEST_KEPT = 10  # with their request ids, for each shard and kind of operation
Sizes = FixedSizes | UniformSizes | LognormalSizes | WeightedSizes


@dataclass(frozen=True, slots=True)
class Ground:
    """Campaign, site and run, resolved."""

    campaign: Campaign
    run: int
    prefix: str
    region: str
    shards: int
    endpoints: tuple[EndpointPlan, ...]
    """Where load goes."""
    doors: dict[str, EndpointPlan]
    """Every endpoint of the site, by name."""
    audited: tuple[EndpointPlan, ...]
    """Endpoints that an audit which names none reads through."""

    @property
    def workload(self) -> Workload:
        """What the clients do."""
        return self.campaign.workload


@dataclass(frozen=True, slots=True)
class Errand:
    """What one engine is to do."""

    seed_name: str
    """Makes its random choices its own: phase and label."""
    endpoints: tuple[EndpointPlan, ...]
    keyspace: Keyspace
    mix: dict[str, float]
    arrivals: OpenArrivals | ClosedArrivals


def engine_plan(ground: Ground, errand: Errand) -> EnginePlan:
    """The template of one engine: epoch 1, no ephemeral keys yet, the whole of the limits."""
    load, workload = ground.campaign.load, ground.workload
    closed = isinstance(errand.arrivals, ClosedArrivals)
    in_flight = errand.arrivals.concurrency if isinstance(errand.arrivals, ClosedArrivals) else load.in_flight
    return EnginePlan(
        run=ground.run,
        seed=derived_seed(ground.campaign.seed, errand.seed_name),
        shards=min(ground.shards, in_flight),
        endpoints=tuple(
            EngineEndpoint(name=endpoint.name, url=endpoint.url, server_name=endpoint.server_name)
            for endpoint in errand.endpoints
        ),
        s3=EngineS3(
            bucket=ground.campaign.target.bucket,
            prefix=ground.prefix,
            region=ground.region,
            payload=ground.campaign.target.payload,
        ),
        keyspace=errand.keyspace,
        sizes=engine_sizes(workload),
        mix=tuple(MixEntry(op=_op(op), weight=weight) for op, weight in errand.mix.items()),
        multipart=engine_multipart(workload) if "multipart" in errand.mix else None,
        listing=Listing(max_keys=workload.listing.max_keys),
        arrivals=errand.arrivals,
        timeouts=Timeouts(
            connect_ms=math.ceil(load.connect_timeout_s * 1000),
            request_ms=math.ceil(load.request_timeout_s * 1000),
        ),
        limits=EngineLimits(
            rate_per_s=ground.campaign.limits.rate_per_s,
            bytes_per_s=float(ground.campaign.limits.bandwidth_bytes_per_s),
            in_flight=in_flight,
            requests=ground.campaign.limits.requests,
            bytes=max(1, ground.campaign.limits.total_bytes),
            seconds=_seconds(ground, errand.arrivals),
            connections=in_flight if closed else load.connections,
        ),
        slowest=SLOWEST_KEPT,
    )


def _seconds(ground: Ground, arrivals: OpenArrivals | ClosedArrivals) -> float:
    if isinstance(arrivals, ClosedArrivals):
        return arrivals.seconds
    planned = math.fsum(segment.seconds for segment in arrivals.profile)
    return planned + ground.campaign.load.request_timeout_s + DRAIN_MARGIN_S


def derived_seed(seed: int, name: str) -> int:
    """A seed of its own for each engine, so that phases do not repeat each other's choices.

    >>> derived_seed(1, "ramp") == derived_seed(1, "ramp") != derived_seed(1, "fault")
    True
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big")


def engine_sizes(workload: Workload) -> Sizes:
    """The size distribution in the engine's words."""
    size = workload.size
    if isinstance(size, UniformSize):
        return UniformSizes(min=size.uniform[0], max=size.uniform[1])
    if isinstance(size, LognormalSize):
        shape = size.lognormal
        return LognormalSizes(median=float(shape.median_bytes), sigma=shape.sigma, max=shape.max_bytes)
    if isinstance(size, WeightedSize):
        buckets = tuple(SizeBucket(bytes=b.size_bytes, weight=b.weight) for b in size.weighted)
        return WeightedSizes(buckets=buckets)
    return FixedSizes(bytes=size)


def engine_multipart(workload: Workload) -> Multipart:
    """The multipart shape in the engine's words."""
    shape = workload.multipart
    return Multipart(parts=shape.parts, part_bytes=shape.part_size_bytes, objects=shape.objects)


def engine_keys(workload: Workload) -> KeyChoice:
    """The key choice in the engine's words."""
    if isinstance(workload.keys, Zipf):
        return KeyChoice(kind="zipf", exponent=workload.keys.zipf)
    return KeyChoice(kind=workload.keys)


def _op(name: str) -> OpName:
    ops: dict[str, OpName] = {
        "put": "put", "get": "get", "head": "head", "delete": "delete", "list": "list", "multipart": "multipart",
    }  # fmt: skip
    return ops[name]
