"""Hit: one quick load on one endpoint, as engine plans, without a campaign."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from maul.campaign.model_mix import PART_SIZE_MIN_BYTES, OpName
from maul.campaign.model_requests import ChecksumName, PayloadMode
from maul.campaign.problems import CampaignProblemsError, Problem
from maul.campaign.quantities import OBJECTS_MAX, SIZE_MAX_BYTES, BucketName
from maul.core.ids import run_number
from maul.core.units import show_size
from maul.plan.engine_plan import (
    Checksum,
    ClosedArrivals,
    Connections,
    Constant,
    EngineEndpoint,
    EngineLimits,
    EnginePlan,
    EngineS3,
    FixedSizes,
    Frozen,
    KeyChoice,
    Keyspace,
    MixEntry,
    Multipart,
    OpenArrivals,
    RegionName,
    Think,
    Timeouts,
)
from maul.plan.ground import DRAIN_MARGIN_S, derived_seed
from maul.plan.model import EndpointPlan
from maul.plan.shapes import IN_PARTS
from maul.plan.shards import Demand, choose_shards
from maul.site.model import Url

BUCKET = "maul-hit"
SECONDS_MAX = 3600.0  # also of the fill and of the clean-up
REQUESTS_MAX = 100_000_000
BYTES_MAX = 10**13
RATE_MAX_PER_S = 1e6
SWEEP_CONCURRENCY = 16
_WRITES: dict[OpName, RegionName] = {
    "put": "base", "presigned_put": "base", "multipart": "multipart", "multipart_abort": "multipart",
}  # fmt: skip
ALONE: tuple[OpName, ...] = (
    "get", "get_range", "presigned_get", "head", "put", "presigned_put", "delete", "list", "list_v1", "multipart",
    "multipart_abort", "put_tags", "get_tags",
)  # fmt: skip
"""Operations that say something when nothing else happens."""


class Hit(Frozen):
    """What `maul hit` was asked for. Exactly one of `rate_per_s` (open loop) and `concurrency` (closed loop)."""

    url: str
    """Scheme, host, port; the bucket may follow as the path."""
    op: OpName = "get"
    rate_per_s: float | None = None
    concurrency: int | None = None
    size_bytes: int = 4096
    seconds: float = 10.0
    objects: int = 1000
    key: str | None = None
    """An existing object to get or head as it is: nothing is written."""
    bucket: str | None = None
    region: str = "us-east-1"
    ca: str | None = None
    server_name: str | None = None
    shards: int | None = None
    connections: int = 128
    connect_timeout_s: float = 3.0
    request_timeout_s: float = 5.0
    seed: int = 1
    payload: PayloadMode = "unsigned"
    checksum: ChecksumName | None = None
    """In the header; in the trailer where the payload is chunked."""
    addressing: Literal["path", "virtual"] = "path"
    encryption: Literal["sse-s3", "sse-c"] | None = None
    anonymous: bool = False
    requests_each: int | None = None
    """A connection is closed after so many; None: kept."""
    resumption: bool = True
    think_s: float = 0.0
    """Closed loop: pause before each operation."""
    poisson: bool = False
    """Open loop: arrivals at random moments."""


@dataclass(frozen=True, slots=True)
class HitPlan:
    """Up to three engines, epochs 1 to 3: `fill` is None when nothing must exist before, `clean_up` when nothing was
    written."""

    endpoint: EndpointPlan
    bucket: str
    prefix: str
    fill: EnginePlan | None
    main: EnginePlan
    clean_up: EnginePlan | None


def hit(request: Hit, run_id: str, cores: int) -> HitPlan:
    """The engine plans of a hit. Raises CampaignError with every problem of the options.

    >>> plan = hit(Hit(url="http://127.0.0.1:8333/b-1", op="put", rate_per_s=50.0), "r1", cores=2)
    >>> plan.bucket, plan.fill, plan.main.arrivals.mode
    ('b-1', None, 'open')
    """
    origin, bucket, problems = _address(request)
    problems += [*_load_problems(request), *_object_problems(request), *_request_problems(request)]
    if problems:
        raise CampaignProblemsError(problems, None)
    return _Draft(request, run_id, cores, origin, bucket).plan()


def _address(request: Hit) -> tuple[str, str, list[Problem]]:
    try:
        TypeAdapter(Url).validate_python(request.url)
    except ValidationError as error:
        return "", "", [Problem(("URL",), str(error.errors()[0]["ctx"]["error"]))]
    parts = urlsplit(request.url)
    in_path, _, rest = parts.path.strip("/").partition("/")
    problems = []
    if rest or parts.query or parts.fragment:
        problems.append(Problem(("URL",), "expected nothing behind the bucket; name an object with --key"))
    if in_path and request.bucket and in_path != request.bucket:
        says = f'the URL names bucket "{in_path}" and --bucket "{request.bucket}"; name one'
        problems.append(Problem(("--bucket",), says))
    bucket = request.bucket or in_path or (BUCKET if request.key is None else "")
    try:
        if bucket:
            TypeAdapter(BucketName).validate_python(bucket)
    except ValidationError as error:
        problems.append(Problem(("--bucket",), str(error.errors()[0]["ctx"]["error"])))
    return f"{parts.scheme}://{parts.netloc}", bucket, problems


def _load_problems(request: Hit) -> Iterator[Problem]:
    if (request.rate_per_s is None) == (request.concurrency is None):
        yield Problem(("--rate",), "give exactly one of --rate (open loop) and --concurrency (closed loop)")
    rate, in_flight = request.rate_per_s, request.concurrency
    ranges: list[tuple[str, float | None, float, float]] = [
        ("--rate", rate, 0.001, RATE_MAX_PER_S),
        ("--concurrency", in_flight, 1, 65_535),
        ("--duration", request.seconds, 0.001, SECONDS_MAX),
        ("--shards", request.shards, 1, min(255, in_flight or request.connections)),
        ("--connections", request.connections, 1, 65_535),
        ("--connect-timeout", request.connect_timeout_s, 0.001, SECONDS_MAX),
        ("--timeout", request.request_timeout_s, 0.001, SECONDS_MAX),
        ("--seed", request.seed, 0, 2**63 - 1),
    ]
    for option, value, least, most in ranges:
        if value is not None and not least <= value <= most:
            yield Problem((option,), f"must be from {least:g} to {most:g}, and is {value:g}")
    if rate is not None and rate * request.seconds > REQUESTS_MAX:
        yield Problem(
            ("--duration",),
            f"{rate:g}/s × {request.seconds:g} s = {rate * request.seconds:,.0f} requests, and the limit is "
            f"{REQUESTS_MAX:,}; lower one",
        )


def _request_problems(request: Hit) -> Iterator[Problem]:
    if request.op not in ALONE:
        says = f"{request.op} says little alone; use one of {', '.join(ALONE)}, or a campaign"
        yield Problem(("--op",), says)
    if request.payload == "unsigned-trailer" and request.checksum is None:
        yield Problem(("--payload",), "unsigned-trailer carries a checksum behind the body; add --checksum")
    if request.anonymous and (request.payload != "unsigned" or request.op.startswith("presigned")):
        yield Problem(("--anonymous",), "needs no signature, and --payload or --op asks for one; drop one of them")
    if request.encryption == "sse-c" and not request.url.startswith("https:"):
        yield Problem(("--sse",), "sse-c sends its key with every request, and the URL is plain http; use https")
    if request.think_s and request.rate_per_s is not None:
        yield Problem(("--think",), "is the pause of a closed loop, and --rate is an open one; drop one of them")
    if request.poisson and request.rate_per_s is None:
        yield Problem(("--poisson",), "shapes an open loop; give --rate")
    for option, value, most in (("--requests-each", request.requests_each, 10**9), ("--think", request.think_s, 3600)):
        if (value is not None and not 0 <= value <= most) or (value == 0 and option == "--requests-each"):
            yield Problem((option,), f"must be from {1 if option == '--requests-each' else 0} to {most:,}")


def _object_problems(request: Hit) -> Iterator[Problem]:
    if not 1 <= request.objects <= OBJECTS_MAX:
        yield Problem(("--objects",), f"must be from 1 to {OBJECTS_MAX:,}")
    if not 0 <= request.size_bytes <= SIZE_MAX_BYTES:
        yield Problem(("--size",), f"must be from 0 to {show_size(SIZE_MAX_BYTES)}")
    if request.op == "multipart" and request.size_bytes == 0:
        yield Problem(("--size",), "an upload needs at least one byte")
    if request.key is not None and request.op not in {"get", "head"}:
        yield Problem(("--key",), f"an object that is not ours is only read; use --op get or head, not {request.op}")
    if request.key is not None and not 1 <= len(request.key.encode()) <= 1024:
        yield Problem(("--key",), "an object key has 1 to 1024 bytes")
    filled = request.objects * max(request.size_bytes, 1)
    if request.op not in _WRITES and request.key is None and filled > BYTES_MAX:
        yield Problem(
            ("--objects",),
            f"{request.objects:,} × {show_size(request.size_bytes)} = {show_size(filled)} to fill, and the limit is "
            f"{show_size(BYTES_MAX)}; lower one",
        )


@dataclass(frozen=True, slots=True)
class _Draft:
    """A sound request, on its way to engine plans."""

    request: Hit
    run_id: str
    cores: int
    origin: str
    bucket: str

    def plan(self) -> HitPlan:
        request = self.request
        region = _WRITES.get(request.op, "base")
        objects = self._objects()
        sweep = Keyspace(objects=objects, choice=KeyChoice(kind="sequential"), region=region, delete_from="base")
        fills = request.key is None and request.op not in _WRITES
        return HitPlan(
            endpoint=EndpointPlan(name="target", url=self.origin, ca=request.ca, server_name=request.server_name),
            bucket=self.bucket,
            prefix=self._prefix,
            fill=self._sweep(1, "put", sweep) if fills else None,
            main=self._main(objects, region),
            clean_up=self._sweep(3, "delete", sweep) if request.key is None else None,
        )

    @property
    def _prefix(self) -> str:
        return f"maul/{self.run_id}/"

    def _objects(self) -> int:
        """A paced DELETE takes a new object each time; all others go round."""
        request = self.request
        if request.op == "delete" and request.rate_per_s is not None:
            return max(1, math.ceil(round(request.rate_per_s * request.seconds, 6)))
        return request.objects

    def _main(self, objects: int, region: RegionName) -> EnginePlan:
        request, own = self.request, self.request.key is None
        in_turn = request.op == "delete" or request.op in _WRITES
        keyspace = Keyspace(
            objects=objects,
            choice=KeyChoice(kind="sequential" if in_turn else "uniform"),
            region=region,
            delete_from="base",
            fixed_key=request.key,
        )
        arrivals: OpenArrivals | ClosedArrivals
        if request.rate_per_s is not None:
            steady = (Constant(rate=request.rate_per_s, seconds=request.seconds),)
            arrivals = OpenArrivals(profile=steady, process="poisson" if request.poisson else "even")
        else:
            last = objects if request.op == "delete" else None
            arrivals = ClosedArrivals(
                concurrency=request.concurrency or 1,
                seconds=request.seconds,
                requests=last,
                think=Think(mean_ms=request.think_s * 1000) if request.think_s else None,
            )
        return self._engine(2, request.op, keyspace, arrivals).model_copy(update={"verify": own})

    def _sweep(self, epoch: int, op: OpName, keyspace: Keyspace) -> EnginePlan:
        arrivals = ClosedArrivals(concurrency=SWEEP_CONCURRENCY, seconds=SECONDS_MAX, requests=keyspace.objects)
        return self._engine(epoch, op, keyspace, arrivals)

    def _engine(
        self, epoch: int, op: OpName, keyspace: Keyspace, arrivals: OpenArrivals | ClosedArrivals
    ) -> EnginePlan:
        request = self.request
        closed = isinstance(arrivals, ClosedArrivals)
        in_flight = arrivals.concurrency if isinstance(arrivals, ClosedArrivals) else request.connections
        rate = math.inf if closed else request.rate_per_s or 0.0
        demand = Demand(rate, rate * max(request.size_bytes, 1), in_flight)
        timed_s = request.seconds if epoch == 2 else SECONDS_MAX
        return EnginePlan(
            run=run_number(self.run_id),
            seed=derived_seed(request.seed, f"hit/{epoch}"),
            epoch=epoch,
            shards=choose_shards(demand, self.cores, request.shards),
            endpoints=(EngineEndpoint(name="target", url=self.origin, server_name=request.server_name),),
            s3=self._s3(),
            keyspace=keyspace,
            sizes=FixedSizes(bytes=request.size_bytes),
            mix=(MixEntry(op=op, weight=1.0),),
            multipart=self._multipart(keyspace.objects) if op in IN_PARTS else None,
            arrivals=arrivals,
            connections=Connections(requests_each=request.requests_each, resumption=1.0 if request.resumption else 0.0),
            timeouts=Timeouts(
                connect_ms=math.ceil(request.connect_timeout_s * 1000),
                request_ms=math.ceil(request.request_timeout_s * 1000),
            ),
            limits=EngineLimits(
                rate_per_s=RATE_MAX_PER_S,
                bytes_per_s=float(BYTES_MAX),
                in_flight=in_flight,
                requests=max(REQUESTS_MAX, keyspace.objects),
                bytes=BYTES_MAX,
                seconds=timed_s + request.request_timeout_s + DRAIN_MARGIN_S,
                connections=in_flight,
            ),
            record_operations=False,
        )

    def _s3(self) -> EngineS3:
        request, checksum = self.request, None
        if request.checksum is not None:
            chunked = request.payload in {"chunked", "unsigned-trailer"}
            checksum = Checksum(algorithm=request.checksum, place="trailer" if chunked else "header")
        return EngineS3(
            bucket=self.bucket or None,
            prefix=self._prefix,
            region=request.region,
            payload=request.payload,
            addressing=request.addressing,
            checksum=checksum,
            encryption=request.encryption,
        )

    def _multipart(self, objects: int) -> Multipart:
        """As many parts of at least 5 MiB as the size has room for."""
        parts = min(10_000, max(1, self.request.size_bytes // PART_SIZE_MIN_BYTES))
        return Multipart(parts=parts, part_bytes=math.ceil(self.request.size_bytes / parts), objects=objects)
