"""Comparison: what `maul compare` says of two sides, A and B. The schema of its `--json`, versioned.

Effects are B against A: a ratio minus one (0.1 = 10 % more), of `error_ratio` a difference (0.01 = one in a hundred
more).
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

COMPARISON_VERSION = 1


class Judgement(StrEnum):
    """What a row says of B."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "no difference above the noise"
    UNKNOWN = "cannot tell"


class Metric(StrEnum):
    """What is compared. More is better only where it says `_per_s`."""

    P50 = "p50_ms"
    P99 = "p99_ms"
    OK = "ok_per_s"
    ERRORS = "error_ratio"
    CAPACITY = "highest_good_per_s"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ComparedRun(_Part):
    """One run of a side."""

    run_id: str
    campaign: str
    target: str
    began_ns: int
    plan_hash: str
    maul_version: str


class ComparedRow(_Part):
    """One figure of one operation in one phase, on both sides.

    `low` and `high`: the interval of the effect that holds for all rows together with 95 % confidence. `floor`: a
    smaller effect is noise. Null where it is not known; `why` says why.
    """

    phase: str
    op: str
    metric: Metric
    a: float | None
    b: float | None
    effect: float | None
    low: float | None
    high: float | None
    floor: float | None
    repeats_p: float | None = None
    """Mann-Whitney over the repeats of both sides; null without repeats."""
    judgement: Judgement
    why: str = ""


class Comparison(_Part):
    """The whole answer. `differences`: what the runs did not do alike. `notes`: what was left out, and why."""

    comparison_version: int = COMPARISON_VERSION
    maul_version: str
    a: list[ComparedRun]
    b: list[ComparedRun]
    rows: list[ComparedRow]
    headline: str
    exit_code: int
    differences: list[str]
    notes: list[str]
