"""Summary: what a run says in the end. The schema of `summary.json`, versioned; every report is drawn from it.

Times are Unix nanoseconds, latencies milliseconds, ratios between 0 and 1.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from maul.core.fleet_summary import FleetSummary
from maul.core.mitigation_summary import BracketSummary, MitigationSummary
from maul.core.network_summary import NetworkSummary
from maul.core.verdict import VerdictName

SCHEMA_VERSION = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ending(StrEnum):
    """How the run came to its end."""

    COMPLETED = "completed"
    INTERRUPTED = "interrupted"  # Ctrl-C
    GUARD = "guard"
    FAILED = "failed"  # an error of ours, of the machine or of the target
    KILLED = "killed"  # no end was recorded: the process died


class Check(_Part):
    """One question asked of the record, and its answer."""

    name: str
    verdict: VerdictName
    says: str
    phase: str = ""


class Percentiles(_Part):
    """Of one merged histogram; milliseconds."""

    count: int
    mean: float
    p50: float
    p90: float
    p99: float
    p999: float
    p9999: float
    max: float


class OperationLatency(_Part):
    """Latency of the completed operations of one kind: from the due time, and from the send."""

    op: str
    latency: Percentiles
    service: Percentiles
    parts: dict[str, Percentiles] = {}
    """Of the service time: connect, tls (both only of new connections), send, wait, body; and first_byte."""


class TenantSummary(_Part):
    """One tenant in one phase."""

    name: str
    offered: int
    ok: int
    fail: int
    unknown: int
    dropped: int
    latency: list[OperationLatency]


class PhaseSummary(_Part):
    """One phase in numbers. `offered` = all arrivals due; each is ok, fail, unknown or dropped."""

    name: str
    kind: str
    began_ns: int
    ended_ns: int
    offered: int
    ok: int
    fail: int
    unknown: int
    late: int
    dropped: int
    bytes_sent: int
    bytes_received: int
    latency: list[OperationLatency]
    void: list[str] = []
    """Why the phase tells of the generator rather than of the target; rising loads say so level by level."""
    given_up: int = 0
    """Uploads that the client gave up on purpose; among none of the counts above."""
    tenants: list[TenantSummary] = []
    """Each of them, where there are several."""

    @property
    def duration_s(self) -> float:
        """Wall-clock length."""
        return (self.ended_ns - self.began_ns) / 1e9

    @property
    def achieved_per_s(self) -> float:
        """Operations that were OK, per second."""
        return self.ok / self.duration_s if self.ended_ns > self.began_ns else 0.0


class Wall(_Part):
    """What gave. `kind` is cpu, disk, memory, network, process, generator or none."""

    kind: str
    subject: str
    utilisation: float
    says: str
    evidence: list[str] = []


class Level(_Part):
    """One step of a rising load. Rates per second; latencies from the due time, all operations together."""

    began_ns: int
    ended_ns: int
    offered_per_s: float
    achieved_per_s: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    service_p99_ms: float
    error_ratio: float
    dropped_ratio: float
    lag_p99_ms: float
    meets: bool
    why_not: str = ""
    void: list[str] = []
    """Why this level tells of the generator rather than of the target; empty when it does not."""
    schedule_p99_ms: float | None = None
    """How late the generator itself was, whatever the target did; None in records that do not tell."""
    mean_ms: float = 0.0
    """Mean latency from the due time."""
    service_mean_ms: float = 0.0
    """Mean from the send, of what was answered or given up."""
    in_flight: float | None = None
    """Mean number of operations in flight, as the generator counted them; None where it was not sampled."""
    little_gap: float | None = None
    """How far `in_flight` lies from rate x service time (Little's law), as a ratio; None where it cannot be told."""

    @property
    def generator_bound(self) -> bool:
        """Whether the generator may have been the limit."""
        return bool(self.void)


class KneeAnswer(_Part):
    """Where one method sees the knee of a rising load. `per_s` null: nowhere, for the reason in `says`."""

    method: str
    per_s: float | None
    low_per_s: float | None
    high_per_s: float | None
    says: str


class Knee(_Part):
    """The knee, when two of three methods agree (within 10 % or one step); else null with their answers.

    `short_per_s`: the lowest rate of which less than 98 % was achieved.
    """

    per_s: float | None
    low_per_s: float | None
    high_per_s: float | None
    answers: list[KneeAnswer]
    short_per_s: float | None
    says: str


class ScalingLaw(_Part):
    """Throughput over concurrency: linear, Amdahl or USL, whichever explains it best (AICc). Intervals are 95 %."""

    model: str
    levels: int
    in_flight_max: float
    per_s_alone: float
    contention: float
    contention_low: float
    contention_high: float
    coherency: float
    coherency_low: float
    coherency_high: float
    peak_in_flight: float | None
    peak_per_s: float | None
    says: str


class Capacity(_Part):
    """The highest rate that still met the objectives, the first that did not, and the wall between them."""

    phase: str
    levels: list[Level]
    highest_good_per_s: float | None
    first_bad_per_s: float | None
    broke: str
    wall: Wall | None
    says: str
    knee: Knee | None = None
    scaling: ScalingLaw | None = None
    warnings: list[str] = []
    """Why some figure of a level should not be trusted."""


class TrialSummary(_Part):
    """One move of the search of a limit. Rates in operations per second, as asked and of the steady part.

    `move`: trial, cool-down or soak. `judged`: good, bad, void (the generator was the limit), recovered,
    not-recovered, cut-short, frozen (traffic was stopped by somebody upstream). The bounds are those known after it.
    """

    move: str
    began_ns: int
    ended_ns: int
    rate_per_s: float
    seconds: float
    judged: str
    offered_per_s: float
    achieved_per_s: float
    p50_ms: float
    p99_ms: float
    mean_ms: float = 0.0
    service_mean_ms: float = 0.0
    error_ratio: float
    dropped_ratio: float
    lag_p99_ms: float
    settled_s: float | None
    lower_per_s: float | None
    upper_per_s: float | None
    why_not: str = ""


class AxisLimit(_Part):
    """The highest rate of one axis that still meets the objectives: it lies in [`lower`, `upper`], in `unit`.

    None: there is no such bound. `why`: found, ceiling, floor, generator, not-recovered, out-of-time, stopped, frozen.
    `confirmed`: the bounds had the whole trial time that a bound needs. `soak`: good, bad, void, or none was made.
    `stopped_by`: target, generator or nothing. `per_operation`: units of one operation (bytes of an object, else 1).
    """

    axis: str
    phase: str
    unit: str
    per_operation: float
    lower: float | None
    upper: float | None
    confirmed: bool
    why: str
    soak: str | None
    recovered: bool | None
    stopped_by: str
    wall: Wall | None
    trials: list[TrialSummary]
    knee: Knee | None = None
    scaling: ScalingLaw | None = None
    says: str


class FirstAccess(_Part):
    """First against repeated GETs of a key, service time. `effect`: first / repeated - 1, at the same time."""

    first: int
    repeated: int
    first_p50_ms: float
    repeated_p50_ms: float
    effect: float
    p: float
    differs: bool
    says: str


class ErrorCount(_Part):
    """Operations that were not OK, by what went wrong."""

    phase: str
    op: str
    outcome: str
    error_class: str
    count: int
    first_ns: int
    last_ns: int


class Exhibit(_Part):
    """One operation with its request id, for the logs of whoever runs the target.

    `reason`: slowest or error. `parts_ms`: connect, tls, send, wait, body, where they came, of an
    operation of one exchange. `expected` and `found` are empty unless the body was wrong at `offset`.
    """

    reason: str
    phase: str
    op: str
    key: str
    endpoint: str
    due_ns: int
    latency_ms: float
    service_ms: float
    parts_ms: dict[str, float]
    status: int
    error_class: str
    request_id: str
    says: str
    offset: int | None = None
    expected: str = ""
    found: str = ""


class Finding(_Part):
    """One object that is not as promised, through one or several gateways.

    `kind`: lost, corrupt, stale, resurrected, phantom, unreadable, divergent (gateways disagree), unlisted, ghost
    (listed, but deleted); of reads during the load: corrupt, phantom, missing, stale.
    """

    kind: str
    key: str
    through: str
    expected: str
    found: str


class AuditSummary(_Part):
    """Every acknowledged object read back through every gateway."""

    objects: int
    reads: int
    through: list[str]
    counts: dict[str, int]
    findings: list[Finding]
    findings_total: int
    complete: bool
    says: str


class FaultSummary(_Part):
    """One fault: what was hurt, whether the effect was proven, whether it was healed."""

    name: str
    target: str
    began_ns: int
    healed_ns: int | None
    proven: bool
    healed: bool
    effect: str
    undo: str
    customers: str = ""


class GeneratorSummary(_Part):
    """What the load generator itself cost and whether it was the limit."""

    shards: int
    requests: int
    cpu_seconds: float
    cpu_us_per_request: float
    lag_p50_ms: float
    lag_p99_ms: float
    lag_max_ms: float
    late: int
    dropped: int
    records_lost: int
    bound: bool
    says: str
    judged: bool = True
    """Whether any phase that can tell came to its end; if not, nobody knows."""
    withheld: int = 0


class Summary(_Part):
    """The whole answer of a run."""

    schema_version: int = SCHEMA_VERSION
    maul_version: str
    run_id: str
    campaign: str
    target: str
    plan_hash: str
    began_ns: int
    ended_ns: int
    ending: Ending
    verdict: VerdictName
    exit_code: int
    headline: str
    checks: list[Check]
    phases: list[PhaseSummary]
    capacity: Capacity | None
    limits: list[AxisLimit] = []
    errors: list[ErrorCount]
    exhibits: list[Exhibit] = []
    audit: AuditSummary | None
    faults: list[FaultSummary]
    generator: GeneratorSummary | None
    gaps: list[str]
    notes: list[str] = []
    first_access: FirstAccess | None = None
    fleet: FleetSummary | None = None
    """None where one process made the load by itself."""
    network: NetworkSummary | None = None
    """None: no network was watched."""
    mitigations: list[MitigationSummary] = []
    """Every time that traffic was stopped by somebody or something."""
    borne: list[BracketSummary] = []
    """Of a run whose traffic nobody stopped: the most of each dimension that was survived."""
