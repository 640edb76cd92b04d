"""Recorded runs, compared: the same, slower, of another plan, killed, twice the same."""

from pathlib import Path

import numpy as np
import pytest
from conduct_stage import T0_NS, make_plan, script

from maul.conduct.compare import compare_runs
from maul.conduct.drive import as_mapping
from maul.core.comparison import Judgement, Metric
from maul.core.errors import CampaignError, ExitCode
from maul.core.event import Edge, Event, EventKind
from maul.core.generator import GeneratorState, GeneratorStatus
from maul.core.operation import Op
from maul.load.fake import latency_rows
from maul.plan import Plan, to_json
from maul.record import RunReader, RunWriter

SECOND = 10**9
SECONDS, RATE = 40, 50


def made(
    root: Path, number: int, *, ms: float = 4.0, plan: Plan | None = None, end: bool = True, seconds: int = SECONDS
) -> RunReader:
    """A run at 50/s, latencies around `ms`."""
    plan = plan or make_plan()
    run_id = f"20260101-00000{number}-aaaaa{number}"
    rng = np.random.default_rng(number)
    count = seconds * RATE
    operations = script(count, seconds=float(seconds), op=Op.GET, key=np.arange(count) % 100, version=1)
    due = T0_NS + (np.arange(count) * (SECOND / RATE)).astype(np.int64)
    took = (ms * 1e6 * np.exp(0.3 * rng.normal(size=count))).astype(np.int64)
    operations["due_ns"] = operations["start_ns"] = due
    operations["end_ns"] = due + took
    with RunWriter.create(root, run_id) as writer:
        writer.write_text("plan.json", to_json(plan))

        def note(at_s: float, kind: EventKind, edge: Edge, name: str, /, **details: object) -> None:
            writer.events([Event(T0_NS + int(at_s * SECOND), kind, edge, name, "", details)])

        note(-1, EventKind.RUN, Edge.BEGAN, run_id)
        note(0, EventKind.PHASE, Edge.BEGAN, "calm", kind="load")
        writer.operations("calm", operations)
        writer.latency("calm", latency_rows(operations))
        status = as_mapping(GeneratorStatus(GeneratorState.DONE, "completed", started=count))
        note(seconds, EventKind.PHASE, Edge.ENDED, "calm", kind="load", status=status)
        if end:
            note(seconds + 1, EventKind.RUN, Edge.ENDED, run_id, ending="completed", exit_code=0)
    return RunReader.open(root / run_id)


def test_runs_of_the_same_are_not_worse(tmp_path: Path) -> None:
    found = compare_runs([made(tmp_path, 1)], [made(tmp_path, 2)])
    assert {row.judgement for row in found.rows} == {Judgement.SAME}
    assert {row.metric for row in found.rows} == {Metric.OK, Metric.P50, Metric.P99, Metric.ERRORS}
    assert found.exit_code == ExitCode.PASS
    assert found.headline.startswith("B is no different from A above the noise (4 no difference")
    assert not found.differences
    assert "One run a side" in found.notes[-1]


def test_a_slower_run_is_worse(tmp_path: Path) -> None:
    found = compare_runs([made(tmp_path, 1)], [made(tmp_path, 2, ms=8.0)])
    assert found.exit_code == ExitCode.FAIL
    assert found.headline.startswith("B is worse: p50 of GET in calm and 1 more")
    (p50,) = [row for row in found.rows if row.metric is Metric.P50]
    assert (p50.a, p50.b) == (pytest.approx(4, rel=0.05), pytest.approx(8, rel=0.05))
    assert p50.effect == pytest.approx(1, abs=0.1)
    back = compare_runs([made(tmp_path, 3, ms=8.0)], [made(tmp_path, 4)])
    assert back.exit_code == ExitCode.PASS
    assert "better in part" in back.headline


def test_repeats_on_both_sides(tmp_path: Path) -> None:
    a = [made(tmp_path, n, ms=m) for n, m in enumerate((4.0, 4.4, 4.1), 1)]
    b = [made(tmp_path, n, ms=m) for n, m in enumerate((8.3, 8.0, 8.6), 4)]
    found = compare_runs(a, b)
    assert found.exit_code == ExitCode.FAIL
    assert [len(found.a), len(found.b)] == [3, 3]
    assert all(row.repeats_p is not None for row in found.rows)
    assert not any("One run a side" in note for note in found.notes)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("size: 4KiB", "size: 8KiB"), "sizes"),
        (("keys: uniform", "keys: {zipf: 0.9}"), "keyspace.choice"),
    ],
)
def test_what_was_not_the_same_is_refused_and_said(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    a, b = made(tmp_path, 1), made(tmp_path, 2, plan=make_plan(change))
    with pytest.raises(CampaignError, match="did not send the same") as refused:
        compare_runs([a], [b])
    assert told in refused.value.message
    assert "--anyway" in refused.value.message
    assert refused.value.exit_code == ExitCode.USAGE
    anyway = compare_runs([a], [b], anyway=True)
    assert any(told in line for line in anyway.differences)


def test_another_place_is_told_and_not_refused(tmp_path: Path) -> None:
    plan = make_plan()
    elsewhere = plan.model_copy(update={"target": "https://elsewhere", "cores": plan.cores + 2})
    found = compare_runs([made(tmp_path, 1)], [made(tmp_path, 2, plan=elsewhere)])
    assert any(line.startswith("target: ") and "https://elsewhere in B" in line for line in found.differences)
    assert any(line.startswith("cores: ") for line in found.differences)


def test_a_killed_run_is_one_clear_message(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="this run was killed") as refused:
        compare_runs([made(tmp_path, 1)], [made(tmp_path, 2, end=False)])
    assert "aaaaa2" in refused.value.message
    found = compare_runs([made(tmp_path, 3)], [made(tmp_path, 4, end=False)], anyway=True)
    assert "run 20260101-000004-aaaaa4: killed" in found.differences


def test_a_run_against_itself_is_no_comparison(tmp_path: Path) -> None:
    one = made(tmp_path, 1)
    with pytest.raises(CampaignError, match="on both sides"):
        compare_runs([one], [made(tmp_path, 2), one])
    with pytest.raises(CampaignError, match="1 to 20 runs"):
        compare_runs([], [one])


def test_nothing_to_compare_is_unknown(tmp_path: Path) -> None:
    found = compare_runs([made(tmp_path, 1, seconds=5)], [made(tmp_path, 2)])
    assert not found.rows
    assert found.exit_code == ExitCode.UNKNOWN
    assert "5 s of steady time are too few" in " ".join(found.notes)


def test_the_answer_reads_back_from_json(tmp_path: Path) -> None:
    found = compare_runs([made(tmp_path, 1)], [made(tmp_path, 2)])
    assert type(found).model_validate_json(found.model_dump_json()) == found
