"""EnginePlan: what one engine instance will do, as the Rust engine reads it (JSON), without the secrets.

The keys are those of `crates/engine/src/plan.rs`, which refuses unknown ones; `with_secrets` makes the dictionary that
is handed over, and nothing else of ours ever holds a secret.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from maul.campaign.model_mix import OpName
from maul.campaign.model_requests import ChecksumName, PayloadMode

LEASE_MS_MAX = 5000
"""No generator sends for longer than that without hearing from who drives it; the engine refuses more."""
RegionName = Literal["base", "ephemeral", "multipart", "copy"]


class Frozen(BaseModel):
    """A frozen value that refuses unknown keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )


class EngineEndpoint(Frozen):
    """One place to send to. `ca_pem` is filled in at the door, and so is `address`, once it was checked."""

    name: str
    url: str
    ca_pem: str | None = None
    server_name: str | None = None
    address: str | None = None


class Checksum(Frozen):
    """A checksum that goes with every written body, in a header before it or in a trailer behind it."""

    algorithm: ChecksumName
    place: Literal["header", "trailer"] = Field(alias="in")


class EngineS3(Frozen):
    """Bucket and prefix. The keys are filled in at the door; null means anonymous requests."""

    bucket: str | None
    """None only for an existing object right below the endpoint: any HTTP server can be hit."""
    prefix: str
    region: str
    access_key: None = None
    secret_key: None = None
    session_token: None = None
    payload: PayloadMode = "unsigned"
    addressing: Literal["path", "virtual"] = "path"
    checksum: Checksum | None = None
    encryption: Literal["sse-s3", "sse-c"] | None = None


class KeyChoice(Frozen):
    """How the next key is chosen. What a kind does not need is None, and left out of the engine's JSON.

    `exponent`: zipf and latest. `keys`, `traffic` (ratios) and `moves_every_s` (0: never): hot_set. Latest and churn
    read ephemeral keys of their shard (base keys while it has none), and make every PUT a new one.
    """

    kind: Literal["uniform", "sequential", "zipf", "hot_set", "latest", "churn"]
    exponent: float | None = None
    keys: float | None = None
    traffic: float | None = None
    moves_every_s: float | None = None


class Lane(Frozen):
    """Number `index` of `count` engines that run side by side: none of them makes an ephemeral key of another's."""

    index: int = 0
    count: int = 1


class Keyspace(Frozen):
    """Which keys are acted upon."""

    objects: int
    choice: KeyChoice
    region: RegionName = "base"
    start: int = 0
    ephemeral_start: int = 0
    ephemeral_lane: Lane = Lane()
    """Numbers the operations of a closed loop and the keys of multipart uploads apart, too."""
    delete_from: Literal["ephemeral", "base"] = "ephemeral"
    fixed_key: str | None = None


class SizeBucket(Frozen):
    """One size and its weight."""

    bytes: int
    weight: float


class FixedSizes(Frozen):
    """All objects alike."""

    kind: Literal["fixed"] = "fixed"
    bytes: int


class UniformSizes(Frozen):
    """Evenly between two sizes, both included."""

    kind: Literal["uniform"] = "uniform"
    min: int
    max: int


class LognormalSizes(Frozen):
    """Lognormal, cut at `max`."""

    kind: Literal["lognormal"] = "lognormal"
    median: float
    sigma: float
    max: int


class WeightedSizes(Frozen):
    """One of a few sizes."""

    kind: Literal["weighted"] = "weighted"
    buckets: tuple[SizeBucket, ...]


class MixEntry(Frozen):
    """How often an operation comes, relative to the others."""

    op: OpName
    weight: float


class Multipart(Frozen):
    """The shape of multipart uploads."""

    parts: int
    part_bytes: int
    objects: int
    parallel: int = 1
    """Parts of one upload under way at once."""


class Listing(Frozen):
    """The shape of listings."""

    max_keys: int = 100
    delimiter: str | None = None
    pages: int = 1
    """Pages that one listing follows, at most."""


class Constant(Frozen):
    """A stretch of constant rate."""

    kind: Literal["constant"] = "constant"
    rate: float
    seconds: float


class Ramp(Frozen):
    """A stretch in which the rate goes evenly from one value to another."""

    kind: Literal["ramp"] = "ramp"
    from_per_s: float = Field(alias="from")
    to_per_s: float = Field(alias="to")
    seconds: float


class Sine(Frozen):
    """A wave around a rate, from its middle upwards."""

    kind: Literal["sine"] = "sine"
    rate: float
    amplitude: float
    period_s: float
    seconds: float


class Share(Frozen):
    """This generator's part of the arrivals: the places `first` to `first + width` (without it) of a wheel.

    Arrival k stands at place (k * stride(wheel)) mod wheel (`maul.plan.sharing`). Shares that partition the wheel
    partition the arrivals, whatever their widths.
    """

    first: int = 0
    width: int = 1
    wheel: int = 1


class OpenArrivals(Frozen):
    """By the clock, whatever the target does.

    `process` poisson: as many independent clients come; how many is random, the profile's integral on average, give
    or take its square root.
    """

    mode: Literal["open"] = "open"
    profile: tuple[Constant | Ramp | Sine, ...]
    process: Literal["even", "poisson"] = "even"
    share: Share = Share()


class Think(Frozen):
    """Pause of a closed loop's client before its next operation: always `mean_ms`, or exponential around it."""

    mean_ms: float
    exponential: bool = False


class ClosedArrivals(Frozen):
    """Always `concurrency` in flight, for `seconds` or until `requests` operations are done."""

    mode: Literal["closed"] = "closed"
    concurrency: int
    seconds: float
    requests: int | None = None
    think: Think | None = None


class TraceArrivals(Frozen):
    """By the rows of a trace (`maul.plan.trace`), which the engine gets beside its plan.

    `seconds`: until the last of them, or longer. The mix must name every operation of it; weights are of no account.
    """

    mode: Literal["trace"] = "trace"
    seconds: float
    share: Share = Share()


class Connections(Frozen):
    """How connections are used: closed after so many requests (None: kept); ratio of TLS sessions resumed."""

    requests_each: int | None = None
    resumption: float = 1.0


class Slow(Frozen):
    """Clients that are slow on purpose: ratios of reads and writes, and how slow."""

    readers: float
    read_bytes_per_s: int
    writers: float
    write_bytes_per_s: int


class Timeouts(Frozen):
    """How long to wait."""

    connect_ms: int
    request_ms: int


class EngineLimits(Frozen):
    """Hard ceilings of this instance: the first two delay, in_flight and connections bound, the others stop it."""

    rate_per_s: float
    bytes_per_s: float
    in_flight: int
    requests: int
    bytes: int
    seconds: float
    connections: int


class EnginePlan(Frozen):
    """Everything that one engine instance will do."""

    version: Literal[3] = 3
    run: int
    seed: int
    epoch: int = 1
    tenant: int = 0
    shards: int
    pin: tuple[int, ...] | None = None
    endpoints: tuple[EngineEndpoint, ...]
    s3: EngineS3
    keyspace: Keyspace
    sizes: FixedSizes | UniformSizes | LognormalSizes | WeightedSizes = Field(discriminator="kind")
    mix: tuple[MixEntry, ...]
    multipart: Multipart | None = None
    listing: Listing = Field(default=Listing(), alias="list")
    range_bytes: int = 65_536
    multi_delete_keys: int = 100
    retention_s: int = 60
    arrivals: OpenArrivals | ClosedArrivals | TraceArrivals = Field(discriminator="mode")
    connections: Connections = Connections()
    slow: Slow | None = None
    timeouts: Timeouts
    limits: EngineLimits
    lease_ms: int | None = Field(default=3000, ge=1, le=LEASE_MS_MAX)
    """Silence this long after the last renewal. None is refused by the engine unless all endpoints are loopback."""
    verify: bool = True
    record_operations: bool = True
    late_ms: float = 5.0
    slowest: int = 0
    """How many of the slowest operations are kept with their request ids, for each shard and operation."""


class Credentials(Protocol):
    """An access key pair; what `s3` reads from a file or the environment."""

    @property
    def access_key(self) -> str:
        """The public half."""
        ...

    @property
    def secret_key(self) -> str:
        """The secret half."""
        ...

    @property
    def session_token(self) -> str | None:
        """What goes with temporary ones."""
        ...


def with_secrets(
    engine_plan: EnginePlan,
    credentials: Credentials | None,
    ca_pems: Mapping[str, str | None],
    addresses: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The engine's own JSON object, secrets included: hand it to the engine and let go of it; never write it down.

    `credentials` None sends anonymous requests; `ca_pems` maps endpoint names to PEM text (absent: the system's
    authorities); `addresses` maps them to the address that was checked (absent: the engine resolves the host).
    """
    plan: dict[str, Any] = engine_plan.model_dump(mode="json", by_alias=True)
    choice = plan["keyspace"]["choice"]
    plan["keyspace"]["choice"] = {name: value for name, value in choice.items() if value is not None}
    for endpoint in plan["endpoints"]:
        endpoint["ca_pem"] = ca_pems.get(endpoint["name"])
        endpoint["address"] = (addresses or {}).get(endpoint["name"])
    if credentials is not None:
        plan["s3"]["access_key"], plan["s3"]["secret_key"] = credentials.access_key, credentials.secret_key
        plan["s3"]["session_token"] = credentials.session_token
    return plan
