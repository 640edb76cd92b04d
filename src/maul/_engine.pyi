"""The compiled engine (crates/engine-py). Every method releases the GIL while it waits for anything."""

from collections.abc import Sequence
from typing import Literal, TypedDict, final

__all__ = [
    "ERROR_CLASS_NAMES",
    "OPERATION_RECORD_BYTES",
    "OP_NAMES",
    "OUTCOME_NAMES",
    "Engine",
    "Histogram",
    "NullServer",
    "build_info",
]

OP_NAMES: dict[int, str]
OUTCOME_NAMES: dict[int, str]
ERROR_CLASS_NAMES: dict[int, str]
OPERATION_RECORD_BYTES: int

class _Status(TypedDict):
    state: Literal["ready", "running", "draining", "done"]
    stop_reason: str
    elapsed_s: float
    began_ns: int
    offered: int
    withheld: int
    started: int
    completed: int
    ok: int
    fail: int
    unknown: int
    late: int
    dropped: int
    in_flight: int
    in_flight_seconds: float
    backlog: int
    connections: int
    connecting: int
    connect_failed: int
    opened: int
    resumed: int
    ports_exhausted: int
    descriptors_exhausted: int
    bytes_sent: int
    bytes_received: int
    cpu_seconds: float
    records_lost: int
    ephemeral_next: int
    versions_used: int
    last_error: str
    errors: dict[str, int]
    error_examples: dict[str, str]

class _BuildInfo(TypedDict):
    version: str
    profile: Literal["debug", "release"]

def build_info() -> _BuildInfo: ...

@final
class Engine:
    def __new__(cls, plan_json: str, trace: bytes | None = None) -> Engine: ...
    def start(self, at_unix_ns: int | None = None) -> None: ...
    def status(self) -> _Status: ...
    def take_latency(self) -> list[tuple[int, int, int, str, int, bytes]]: ...
    def take_operations(self) -> bytes: ...
    def take_exhibits(self) -> list[tuple[str, bytes, str, str, int | None, str, str]]: ...
    def renew(self, for_s: float | None = None) -> None: ...
    def throttle(self, part: float) -> None: ...
    def stop(self, reason: str) -> None: ...
    def abort(self) -> None: ...
    def join(self, timeout_s: float) -> bool: ...

@final
class Histogram:
    def __new__(cls) -> Histogram: ...
    def record(self, value_ns: int, count: int = 1) -> None: ...
    def merge(self, other: Histogram) -> None: ...
    @staticmethod
    def from_v2(bytes: bytes) -> Histogram: ...  # noqa: A002 - the compiled name
    def add_all_v2(self, parts: Sequence[bytes]) -> None: ...  # ValueError: then none was added
    def to_v2(self) -> bytes: ...
    def percentile(self, p: float) -> int: ...
    def slots(self) -> list[tuple[int, int]]: ...  # (highest value of the slot in ns, how many), rising
    @property
    def count(self) -> int: ...
    @property
    def min(self) -> int: ...
    @property
    def max(self) -> int: ...
    @property
    def mean(self) -> float: ...

class _Totals(TypedDict):
    requests: int
    connections: int
    cpu_seconds: float

@final
class NullServer:
    def __new__(
        cls,
        *,
        threads: int = 1,
        pin: Sequence[int] = (),
        run: int = 0,
        object_bytes: int = 4096,
        connections_max: int = 65536,
        certificate_pem: str | None = None,
    ) -> NullServer: ...
    @property
    def url(self) -> str: ...
    def totals(self) -> _Totals: ...
    def stall(self, after_s: float, seconds: float) -> None: ...
    def stop(self) -> None: ...
