"""Calibration: what one machine's generator can do at most, measured against a server that does nothing.

The schema of the file that `maul calibrate` keeps. Times of CPU are microseconds per operation; rates per second.
"""

from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION: Literal[1] = 1

Scheme = Literal["http", "https"]
Family = Literal["get", "get-verified", "put", "head"]
"""What was measured; every other operation costs about what the one of these costs that moves as much."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(_Part):
    """What a calibration is good for: another processor, core count or kernel needs another one."""

    cpu_model: str
    cores: int
    kernel: str


class Figure(_Part):
    """One operation at one size: medians of several short rounds, with one shard on a core of its own.

    `per_s` is what was answered; `cpu_us` what the shard's thread used for each. `busy_ratio` is how full the shard's
    core was: below 0.9 the server or the machine was the limit of `per_s`, and `ceiling_per_s` is the better figure.
    """

    op: Family
    size_bytes: int
    scheme: Scheme
    per_s: float
    cpu_us: float
    busy_ratio: float
    server_cpu_us: float
    spread_ratio: float
    """(largest - smallest) / median of the rounds' CPU time."""
    rounds: int

    @property
    def ceiling_per_s(self) -> float:
        """What one core can do when the shard has the whole of it."""
        return 1e6 / self.cpu_us if self.cpu_us else 0.0

    @property
    def bytes_per_s(self) -> float:
        """Bytes of bodies in `per_s` answers; a HEAD has none."""
        return 0.0 if self.op == "head" else self.per_s * self.size_bytes


class Scaling(_Part):
    """One core that holds one shard and one thread of the server, against two cores that hold two of each."""

    one_per_s: float
    two_per_s: float
    ratio: float
    """Median of the ratios of rounds that ran one after the other."""
    rounds: int


class OpenLoop(_Part):
    """The highest rate tried at which arrivals were sent in time: GET of 4 KiB over HTTP, verified, one shard."""

    per_s: float
    lag_p99_ms: float
    achieved_ratio: float
    busy_ratio: float


class Calibration(_Part):
    """All of it. `notes`: what could not be measured here, and what disturbed the measurement."""

    schema_version: Literal[1] = SCHEMA_VERSION
    maul_version: str
    at_ns: int
    machine: Machine
    seconds: float
    figures: tuple[Figure, ...]
    scaling: Scaling | None
    open_loop: OpenLoop | None
    notes: tuple[str, ...] = ()

    def cpu_us(self, op: Family, size_bytes: float, scheme: Scheme) -> float | None:
        """CPU of one shard for one operation of any size; None when nothing like it was measured.

        A straight line between the sizes measured, the last one carried on beyond them; never below the smallest.
        """
        points = sorted((f.size_bytes, f.cpu_us) for f in self.figures if f.op == op and f.scheme == scheme)
        if not points:
            return None
        if len(points) == 1 or size_bytes <= points[0][0]:
            return points[0][1]
        pairs = list(pairwise(points))
        (low, low_us), (high, high_us) = next((pair for pair in pairs if size_bytes <= pair[1][0]), pairs[-1])
        slope = max(0.0, (high_us - low_us) / (high - low))
        return low_us + slope * (size_bytes - low)
