"""Ground: what all passes of a plan have in common, and how an engine plan grows on it."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from maul.campaign import Campaign
from maul.campaign.model_mix import OpName
from maul.campaign.model_requests import Connections as CampaignConnections
from maul.campaign.model_requests import Slow as CampaignSlow
from maul.campaign.model_workload import Workload
from maul.campaign.parties import Party
from maul.plan.engine_plan import (
    Checksum,
    ClosedArrivals,
    Connections,
    EngineEndpoint,
    EngineLimits,
    EnginePlan,
    EngineS3,
    Keyspace,
    MixEntry,
    OpenArrivals,
    Slow,
    Timeouts,
    TraceArrivals,
)
from maul.plan.model import EndpointPlan
from maul.plan.shapes import engine_listing, engine_multipart, engine_sizes
from maul.plan.trace import Trace

DRAIN_MARGIN_S = 5.0  # beyond the request timeout, before a paced engine is cut off
SLOWEST_KEPT = 10  # with their request ids, for each shard and kind of operation
TraceKey = tuple[str, int]  # phase, tenant
Arrivals = OpenArrivals | ClosedArrivals | TraceArrivals
KEPT = CampaignConnections()  # connections as any client would use them


@dataclass(frozen=True, slots=True)
class Ground:
    """Campaign, site and run, resolved, as one of its parties sees them."""

    campaign: Campaign
    party: Party
    run: int
    prefix: str
    """Of this party."""
    region: str
    shards: int
    """Of this party."""
    endpoints: tuple[EndpointPlan, ...]
    """Where load goes."""
    doors: dict[str, EndpointPlan]
    """Every endpoint of the site, by name."""
    audited: tuple[EndpointPlan, ...]
    """Endpoints that an audit which names none reads through."""
    traces: Mapping[TraceKey, Trace] = field(default_factory=dict)
    """What phases replay, by phase and tenant; nothing of a tenant that sent nothing then."""

    @property
    def workload(self) -> Workload:
        """What the party's clients do."""
        return self.party.workload


@dataclass(frozen=True, slots=True)
class Portion:
    """How much of the campaign's speed one engine may use, where several run side by side."""

    rate_per_s: float
    bytes_per_s: float
    in_flight: int
    connections: int


@dataclass(frozen=True, slots=True)
class Errand:
    """What one engine is to do."""

    seed_name: str
    """Makes its random choices its own: phase and label."""
    endpoints: tuple[EndpointPlan, ...]
    keyspace: Keyspace
    mix: Mapping[OpName, float]
    arrivals: Arrivals
    portion: Portion
    connections: CampaignConnections = KEPT
    slow: CampaignSlow | None = None


def engine_plan(ground: Ground, errand: Errand) -> EnginePlan:
    """The template of one engine: epoch 1, no ephemeral keys yet, the whole of the limits."""
    load, workload, portion = ground.campaign.load, ground.workload, errand.portion
    closed = isinstance(errand.arrivals, ClosedArrivals)
    in_flight = errand.arrivals.concurrency if isinstance(errand.arrivals, ClosedArrivals) else portion.in_flight
    name = f"{errand.seed_name}/{ground.party.name}" if ground.party.name else errand.seed_name
    return EnginePlan(
        run=ground.run,
        seed=derived_seed(ground.campaign.seed, name),
        tenant=ground.party.index,
        shards=min(ground.shards, in_flight),
        endpoints=tuple(
            EngineEndpoint(name=endpoint.name, url=endpoint.url, server_name=endpoint.server_name)
            for endpoint in errand.endpoints
        ),
        s3=_s3(ground),
        keyspace=errand.keyspace,
        sizes=engine_sizes(workload),
        mix=tuple(MixEntry(op=op, weight=weight) for op, weight in errand.mix.items()),
        multipart=engine_multipart(workload, errand.mix),
        listing=engine_listing(workload),
        range_bytes=workload.range_bytes,
        multi_delete_keys=workload.multi_delete_keys,
        retention_s=math.ceil(workload.retention_s),
        arrivals=errand.arrivals,
        connections=Connections(
            requests_each=errand.connections.requests_each, resumption=errand.connections.resumption
        ),
        slow=_slow(errand.slow),
        timeouts=Timeouts(
            connect_ms=math.ceil(load.connect_timeout_s * 1000),
            request_ms=math.ceil(load.request_timeout_s * 1000),
        ),
        limits=EngineLimits(
            rate_per_s=portion.rate_per_s,
            bytes_per_s=portion.bytes_per_s,
            in_flight=in_flight,
            requests=ground.campaign.limits.requests,
            bytes=max(1, ground.campaign.limits.total_bytes),
            seconds=_seconds(ground, errand.arrivals),
            connections=in_flight if closed else portion.connections,
        ),
        slowest=SLOWEST_KEPT,
    )


def _s3(ground: Ground) -> EngineS3:
    made = ground.party.requests
    return EngineS3(
        bucket=ground.party.bucket,
        prefix=ground.prefix,
        region=ground.region,
        payload=made.payload,
        addressing=made.addressing,
        checksum=Checksum(algorithm=made.checksum.algorithm, place=made.checksum.place) if made.checksum else None,
        encryption=made.encryption,
    )


def _slow(slow: CampaignSlow | None) -> Slow | None:
    if slow is None:
        return None
    return Slow(
        readers=slow.readers,
        read_bytes_per_s=slow.read_rate_bytes_per_s,
        writers=slow.writers,
        write_bytes_per_s=slow.write_rate_bytes_per_s,
    )


def _seconds(ground: Ground, arrivals: Arrivals) -> float:
    if isinstance(arrivals, ClosedArrivals):
        return arrivals.seconds
    if isinstance(arrivals, TraceArrivals):
        planned = arrivals.seconds
    else:
        planned = math.fsum(segment.seconds for segment in arrivals.profile)
    return planned + ground.campaign.load.request_timeout_s + DRAIN_MARGIN_S


def derived_seed(seed: int, name: str) -> int:
    """A seed of its own for each engine, so that phases do not repeat each other's choices.

    >>> derived_seed(1, "ramp") == derived_seed(1, "ramp") != derived_seed(1, "fault")
    True
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big")


def apportion(total: int, weights: Sequence[float]) -> list[int]:
    """`total` in whole numbers, as the weights say, each at least 1; they add up to `total`.

    >>> apportion(10, [1.0, 1.0, 8.0]), apportion(3, [1.0, 1.0, 1000.0])
    ([1, 1, 8], [1, 1, 1])
    """
    spare, weight = total - len(weights), math.fsum(weights)
    exact = [spare * one / weight if weight else spare / len(weights) for one in weights]
    parts = [math.floor(one) for one in exact]
    by_rest = sorted(range(len(parts)), key=lambda place: parts[place] - exact[place])
    for place in by_rest[: spare - sum(parts)]:
        parts[place] += 1
    return [1 + part for part in parts]
