"""`maul limit` on a real cluster: an interval, its record, and what a person's Ctrl-C leaves."""

import json
from pathlib import Path

import boto3
import pytest
from beat_runs import INTERRUPT, Beat, maul

from maul.conduct.judge import judge
from maul.core.event import EventKind
from maul.record import RunReader

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"
SMALL = """\
version: 1
name: narrow
site: lab
target: {endpoints: [vip], bucket: BUCKET}
workload: {objects: 60, size: 4KiB, mix: {get: 3, put: 1}}
phases:
  - {name: fill, kind: prepare, concurrency: 8}
objectives:
  - {name: quick, phases: [], percentile: 99, latency_below: 2s}
limit:
  requests: {from: 40/s, to: 80/s}
  connections: {from: 25/s, to: 50/s}
  bytes: {from: 10MiB/s, to: 20MiB/s, size: 256KiB, objects: 4}
  trial: 1s
  confirm: 2s
  soak: 2s
  width: 30%
""".replace("phases: []", "phases: [steady]").replace(
    "objectives:", "  - {name: steady, kind: load, rate: 10/s, for: 1s}\nobjectives:"
)


def written(path: Path, bucket: str) -> Path:
    path.write_text(SMALL.replace("BUCKET", bucket), encoding="utf-8")
    return path


@pytest.mark.cluster
@pytest.mark.timeout(180)
def test_three_axes_that_the_lab_carries_are_lower_bounds(lab, tmp_path, capsys):
    """Far below what it can do: every axis holds the most that may be asked, and nothing is claimed beyond."""
    path = written(tmp_path / "c.yaml", "maul-narrow")
    code, said, told = maul(
        capsys, "limit", path, "--axis", "all", "--site", lab.site_path, "--runs", tmp_path / "runs", "--json"
    )
    assert code == 2, said + told
    answer = json.loads(said)
    limits = {limit["axis"]: limit for limit in answer["limits"]}
    assert {axis: limit["why"] for axis, limit in limits.items()} == dict.fromkeys(limits, "ceiling"), said
    assert [limits[axis]["lower"] for axis in ("requests", "bytes", "connections")] == [80.0, 20 * 2**20, 50.0]
    assert all(limit["upper"] is None and limit["soak"] == "good" for limit in limits.values())
    run = RunReader.open("latest", tmp_path / "runs")
    operations = run.operations()
    phases = operations["phase"].to_pylist()
    news = [flags & 1 for flags, phase in zip(operations["flags"].to_pylist(), phases, strict=True) if "conn" in phase]
    assert len(news) > 100 and sum(news) / len(news) > 0.99  # a connection for each request
    large = [
        size for size, phase in zip(operations["bytes"].to_pylist(), phases, strict=True) if phase == "limit-bytes"
    ]
    assert large and set(large) == {256 * 1024}
    assert judge(run) == run.summary()
    checks = {check.name: check.verdict.name for check in run.summary().checks}
    assert checks["cleaned"] == "PASS", said


@pytest.mark.cluster
@pytest.mark.timeout(180)
def test_the_example_finds_an_interval_and_tells_why(lab, tmp_path, capsys):
    code, said, told = maul(
        capsys, "limit", EXAMPLES / "limit.yaml", "--site", lab.site_path, "--runs", tmp_path / "runs"
    )
    summary = RunReader.open("latest", tmp_path / "runs").summary()
    (limit,) = summary.limits
    # Other work on this machine may spoil a soak or outlast a cool-down: that is told, too, and is no pass.
    passed = limit.why == "found" and limit.soak == "good"
    assert (code == 0) == passed, said + told
    assert limit.lower is not None and limit.lower >= 40
    assert limit.trials[0].judged == "good" and limit.trials[0].rate_per_s == 40.0
    if limit.why == "found":
        assert limit.upper is not None and limit.upper <= limit.lower * 1.2501
        assert limit.stopped_by in ("target", "generator") and limit.wall is not None
    checks = {check.name: check.verdict.name for check in summary.checks}
    assert checks["durability"] == checks["cleaned"] == "PASS"
    page = (tmp_path / "runs" / "latest" / "report.html").read_text(encoding="utf-8")
    assert 'id="limit-requests"' in page and 'id="chart-limit-requests"' in page


@pytest.mark.cluster
@pytest.mark.timeout(120)
def test_ctrl_c_keeps_what_was_learnt_and_leaves_nothing(lab, tmp_path):
    path = written(tmp_path / "c.yaml", "maul-cut")
    with Beat(tmp_path / "here", path, "--site", lab.site_path, verb="limit") as run:
        run.until("trial 2 at")
        run.signal(INTERRUPT)
        assert run.end() == 2
        assert "Not finished: interrupted by SIGINT" in run.said
        assert "0 left after the clean-up" in run.said and "are left; remove them" not in run.said
        record = run.record
    (limit,) = record.summary().limits
    assert limit.why == "stopped" and limit.lower is not None and limit.lower >= 40.0
    assert any(row["kind"] == EventKind.TRIAL for row in record.events().to_pylist())
    names = [one["Name"] for one in _client(lab).list_buckets()["Buckets"]]
    assert "maul-cut" not in names  # we made it, so it went too


def _client(lab):
    conf = json.loads((lab.layout.conf / "credentials.json").read_text())
    site = lab.site_path.read_text()
    url = next(word for word in site.replace('"', " ").split() if word.startswith("http://"))
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=conf["access_key"],
        aws_secret_access_key=conf["secret_key"],
    )
