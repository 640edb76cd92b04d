"""Two sides of runs, read, held to be comparable, and compared. A fold: it writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from maul import __version__
from maul.conduct.judge import judge
from maul.conduct.recorded import plan_of
from maul.core.comparison import ComparedRow, ComparedRun, Comparison, Judgement, Metric
from maul.core.errors import CampaignError, ExitCode
from maul.core.summary import Ending, Summary
from maul.insight import LatencyBook
from maul.insight.compare import Measured, compare
from maul.insight.compare_capacity import compare_capacity
from maul.insight.levels import whole_seconds
from maul.insight.words import listed, show_rate
from maul.plan import Plan
from maul.plan.sameness import Difference, sent_differently, told_differently
from maul.record import RunReader

KINDS = frozenset({"prepare", "load"})
"""Phases that say how the target serves. A warm-up is cut away, an audit asks another question."""
KINDS_SENT = KINDS | {"warm-up"}
"""Phases that must have sent the same."""
SHOWN_MAX = 6
RUNS_MAX = 20
METRIC_WORDS = {
    Metric.P50: "p50",
    Metric.P99: "p99",
    Metric.OK: "throughput",
    Metric.ERRORS: "the error ratio",
    Metric.CAPACITY: "the highest good rate",
}
_GENERATOR = "the generator was the limit there: it says nothing about the target"


@dataclass(frozen=True, slots=True)
class _Run:
    reader: RunReader
    plan: Plan
    summary: Summary


def compare_runs(a: Sequence[RunReader], b: Sequence[RunReader], *, anyway: bool = False) -> Comparison:
    """The comparison of B with A; each side is a run or several repeats.

    CampaignError: a run cannot be read, is still going or ended early, or they did not send the same; `anyway`
    compares the last two all the same.
    """
    if not a or not b or max(len(a), len(b)) > RUNS_MAX:
        raise CampaignError(f"each side has 1 to {RUNS_MAX} runs, not {len(a)} and {len(b)}", "compare")
    twice = {run.path.resolve() for run in a} & {run.path.resolve() for run in b}
    if twice:
        raise CampaignError("this run is on both sides", str(twice.pop()), "A run compared with itself says nothing.")
    sides = [[_read(reader, anyway) for reader in side] for side in (a, b)]
    differences = _differences(sides[0], sides[1], anyway)
    found = compare(*([_measured(run) for run in side] for side in sides))
    rows = found.rows + _capacity_row(sides[0], sides[1])
    headline, exit_code = _answer(rows)
    return Comparison(
        maul_version=__version__,
        a=[_told(run) for run in sides[0]],
        b=[_told(run) for run in sides[1]],
        rows=rows,
        headline=headline,
        exit_code=exit_code,
        differences=differences,
        notes=[*found.notes, *_repeats_note(sides[0], sides[1])],
    )


def _read(reader: RunReader, anyway: bool) -> _Run:
    summary = judge(reader)
    if summary.ending is not Ending.COMPLETED and not anyway:
        how = "was killed" if summary.ending is Ending.KILLED else f"did not complete ({summary.ending.value})"
        raise CampaignError(
            f"this run {how}: it did not send what its plan says",
            str(reader.path),
            "Compare whole runs, or add --anyway to compare what there is.",
        )
    return _Run(reader, plan_of(reader), summary)


def _differences(a: Sequence[_Run], b: Sequence[_Run], anyway: bool) -> list[str]:
    first = a[0]
    sent: list[Difference] = []
    told: list[Difference] = []
    for other in (*a[1:], *b):
        sent += sent_differently(first.plan, other.plan, KINDS_SENT)
        told += told_differently(first.plan, other.plan)
    sent, told = list(dict.fromkeys(sent)), list(dict.fromkeys(told))
    if sent and not anyway:
        more = f"; and {len(sent) - SHOWN_MAX} more" if len(sent) > SHOWN_MAX else ""
        raise CampaignError(
            f"they did not send the same: {'; '.join(map(str, sent[:SHOWN_MAX]))}{more}",
            f"{first.reader.run_id} against {b[0].reader.run_id}",
            "Compare runs of the same load, or add --anyway if the difference is what you mean to see.",
        )
    versions = sorted({run.summary.maul_version for run in (*a, *b)})
    made = [f"made by maul {listed(versions)}"] if len(versions) > 1 else []
    endings = [f"run {r.reader.run_id}: {r.summary.ending.value}" for r in (*a, *b) if r.summary.ending != "completed"]
    return [*map(str, (*sent, *told)), *made, *endings]


def _measured(run: _Run) -> Measured:
    capacity, generator = run.summary.capacity, run.summary.generator
    stretches: dict[tuple[str, str], tuple[int, int]] = {}
    void: dict[str, str] = {}
    voided = {capacity.phase} if capacity and any(v.generator_bound for v in capacity.levels) else set()
    for phase in run.summary.phases:
        if phase.kind not in KINDS:
            continue
        levels = capacity.levels if capacity is not None and capacity.phase == phase.name else []
        for level in levels:
            title = f"{phase.name} at {show_rate(level.offered_per_s)}"
            stretches[phase.name, title] = whole_seconds(level.began_ns, level.ended_ns)
        if not levels:
            stretches[phase.name, phase.name] = whole_seconds(phase.began_ns, phase.ended_ns)
        # Bound, and no level to blame: then it was so in a phase without levels.
        if phase.name in voided or (generator is not None and generator.bound and not voided and phase.kind == "load"):
            void[phase.name] = _GENERATOR
    return Measured(run.reader.run_id, LatencyBook.of(run.reader.latency()), stretches, void)


def _capacity_row(a: Sequence[_Run], b: Sequence[_Run]) -> list[ComparedRow]:
    sides = [[r.summary.capacity for r in side if r.summary.capacity is not None] for side in (a, b)]
    if (len(sides[0]), len(sides[1])) != (len(a), len(b)):
        return []
    row = compare_capacity(sides[0], sides[1])
    return [row] if row is not None else []


def _told(run: _Run) -> ComparedRun:
    return ComparedRun(
        run_id=run.reader.run_id,
        campaign=run.summary.campaign,
        target=run.summary.target,
        began_ns=run.summary.began_ns,
        plan_hash=run.summary.plan_hash,
        maul_version=run.summary.maul_version,
    )


def _answer(rows: Sequence[ComparedRow]) -> tuple[str, int]:
    by = {judgement: [row for row in rows if row.judgement is judgement] for judgement in Judgement}
    counts = ", ".join(f"{len(found)} {judgement.value}" for judgement, found in by.items() if found)
    if by[Judgement.WORSE]:
        first = by[Judgement.WORSE][0]
        which = f"{METRIC_WORDS[first.metric]} of {first.op.upper()} in {first.phase}"
        more = len(by[Judgement.WORSE]) - 1
        return f"B is worse: {which}{f' and {more} more' if more else ''} ({counts}).", ExitCode.FAIL
    if by[Judgement.UNKNOWN] or not rows:
        return f"It cannot be told whether B is worse ({counts or 'nothing could be compared'}).", ExitCode.UNKNOWN
    head = (
        "B is better in part, and nowhere worse" if by[Judgement.BETTER] else "B is no different from A above the noise"
    )
    return f"{head} ({counts}).", ExitCode.PASS


def _repeats_note(a: Sequence[_Run], b: Sequence[_Run]) -> list[str]:
    if min(len(a), len(b)) > 1:
        return []
    if max(len(a), len(b)) > 1:
        return ["One side is a single run: how far its like lie apart is judged by the repeats of the other."]
    return [
        "One run a side: how far two runs of the same lie apart is not measured. Only large effects are findings. "
        "Repeat both (A1,A2,A3 B1,B2,B3) to see smaller ones."
    ]
