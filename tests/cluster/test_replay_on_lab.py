"""A run is recorded, and another campaign asks for the same again on the same lab, twice as fast."""

from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest
from beat_runs import maul

from maul.conduct.operations import as_operations
from maul.core.operation import REGION_SHIFT, WRITES, Flag, Op, Outcome, Region
from maul.lab.cluster import Lab
from maul.record import RunReader

PATTERN = """\
version: 1
name: recorded
site: lab
target: {endpoints: [vip], bucket: maul-replay}
workload:
  objects: 80
  size: {uniform: [1KiB, 64KiB]}
  keys: uniform
  MIX
phases:
  - {name: fill, kind: prepare, concurrency: 8}
  - {name: busy, kind: load, rate: 70/s, for: 8s}
  - {name: audit, kind: audit}
  - {name: tidy, kind: clean-up}
seed: 11
"""
FIRST = PATTERN.replace(
    "MIX", "mix: {get: 50, put: 25, delete: 6, head: 5, get_range: 4, get_deleted: 4, copy: 3, list: 3}"
)
REPLAY = (
    PATTERN.replace("name: recorded", "name: replayed")
    .replace("MIX", "mix: {get: 1}")
    .replace("name: busy", "name: again")
    .replace("rate: 70/s, for: 8s", "trace: {run: SOURCE, phase: busy, speed: 2}")
)
_SIZED = [int(op) for op in WRITES - {Op.MULTIPART}]


@pytest.mark.cluster
def test_a_trace_is_asked_for_again_in_half_the_time(lab: Lab, tmp_path: Path, capsys) -> None:
    recorded = beaten(lab, tmp_path, capsys, "first", FIRST)
    replayed = beaten(lab, tmp_path, capsys, "again", REPLAY.replace("SOURCE", recorded.run_id))

    then, now = demand(recorded, "busy"), demand(replayed, "again")
    assert len(then) > 400
    assert len({int(op) for op in then["op"]}) >= 7, "otherwise little was replayed"
    assert now["op"].tolist() == then["op"].tolist()
    assert now["key"].tolist() == then["key"].tolist()
    since_then, since_now = (rows["due_ns"] - rows["due_ns"][0] for rows in (then, now))
    assert np.abs(since_now.astype(np.int64) - since_then.astype(np.int64) // 2).max() <= 1
    # it was also sent then, not only meant to be
    lasted_s = [(int(rows["start_ns"].max()) - int(rows["start_ns"].min())) / 1e9 for rows in (then, now)]
    assert lasted_s[1] == pytest.approx(lasted_s[0] / 2, abs=1.0)
    # a write is as large as it was
    both = np.isin(then["op"], _SIZED) & (then["outcome"] == Outcome.OK) & (now["outcome"] == Outcome.OK)
    assert both.sum() > 80
    assert now["bytes"][both].tolist() == then["bytes"][both].tolist()
    assert {int(key) >> REGION_SHIFT for key in now["key"]} >= {Region.BASE, Region.EPHEMERAL, Region.COPY}


def beaten(lab: Lab, tmp_path: Path, capsys, name: str, text: str) -> RunReader:
    """One run that passes."""
    file = tmp_path / f"{name}.yaml"
    file.write_text(text, encoding="utf-8")
    code, said, told = maul(capsys, "beat", file, "--site", lab.site_path, "--runs", tmp_path / "runs")
    assert code == 0, said + told
    run = RunReader.open("latest", tmp_path / "runs")
    summary = run.summary()
    assert {check.verdict.name for check in summary.checks} == {"PASS"}, summary.checks
    return run


def demand(run: RunReader, phase: str) -> np.ndarray:
    """What was asked for, in the order in which it was due; what is due at one moment by its key."""
    table = run.operations()
    rows = as_operations(table.filter(pc.equal(table["phase"], phase)))
    rows = rows[(rows["flags"] & Flag.SAME_REQUEST) == 0]
    assert not (rows["outcome"] == Outcome.DROPPED).any()
    return rows[np.lexsort((rows["key"], rows["op"], rows["due_ns"]))]
