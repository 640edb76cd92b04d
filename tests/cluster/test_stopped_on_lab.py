"""The balancer of a real cluster hangs or dies under load, by nobody's campaign: it is told as what it is."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from beat_runs import Beat, campaign

from maul.core.clock import SystemClock
from maul.core.event import EventKind
from maul.core.summary import Summary
from maul.faults.catalogue import FAULTS
from maul.faults.fault import Target
from maul.faults.fault_run import FaultRun
from maul.guard.mitigation.causes import Cause, Family
from maul.hosts.journal import UndoJournal
from maul.hosts.local import LocalHost
from maul.lab.cluster import Lab
from maul.lab.health import answers
from waiting import wait_for

pytestmark = pytest.mark.cluster
HOST, CLOCK = LocalHost(), SystemClock()
NO_FAULT = (
    "faults:\n  - {name: kill-volume, fault: process.kill, role: volume, pick: 1, phase: hurt, after: 1s, hold: 3s}\n",
    "mitigation: {act: freeze, probe: 8s, recovered_after: 5s, resume: 0.5, resume_for: 4s}\n",
)
COUNTED = "vantage: {balancers: [{service: balancer}]}\n"


@pytest.fixture
def started(lab: Lab, tmp_path: Path):
    """A run at 50/s on a site that says whose counters are read; under load for six seconds when this returns."""
    place = tmp_path / "site.yaml"
    place.write_text(lab.site_path.read_text(encoding="utf-8") + COUNTED, encoding="utf-8")
    path = campaign(tmp_path / "c.yaml", NO_FAULT, bucket="maul-stopped", seconds="32s")
    with Beat(tmp_path / "run", path, "--site", place) as beat:
        beat.until("hurt: load at an exact rate", 90)
        wait_for(lambda: False, 6)  # what is usual is learnt
        yield beat


def told(beat: Beat) -> list[tuple[str, str]]:
    """(cause, family) of every verdict."""
    rows = [row for row in beat.record.events().to_pylist() if row["kind"] == EventKind.MITIGATION]
    verdicts = [json.loads(row["details"]) for row in rows if row["name"] == "verdict"]
    return [(one["cause"], one["family"]) for one in verdicts]


def told_so_far(beat: Beat) -> bool:
    return "mitigation, verdict: " in beat.said


def ended(beat: Beat) -> Summary:
    beat.end(120)
    return beat.record.summary()


@contextlib.contextmanager
def hurting(lab: Lab, fault: str, tmp_path: Path) -> Iterator[None]:
    """The balancer is hurt by somebody that the run knows nothing of, and healed when the block ends."""
    service = lab.layout.service("balancer")
    target = Target("balancer", lab.layout.pidfile(service), lambda: answers(service, timeout_s=1.0))
    run = FaultRun(FAULTS[fault](target, HOST, CLOCK), target, UndoJournal(tmp_path / "j"), CLOCK)
    run.prepare()
    try:
        run.inject(60.0)
        yield
    finally:
        run.finish()


def test_a_balancer_that_hangs_is_told_as_such(lab: Lab, started: Beat, tmp_path: Path):
    with hurting(lab, "process.pause", tmp_path):
        wait_for(lambda: told_so_far(started), 20)
    summary = ended(started)
    assert Family.PROTECTION not in {family for _, family in told(started)}, started.said
    (one,) = summary.mitigations
    assert one.family != Family.PROTECTION
    # with a page and a sentinel alone it may say that it is not sure; what fits best is what it was
    assert one.suspects[0].cause == Cause.BALANCER_HUNG, started.said
    assert one.frozen_ns is not None and one.recovered_ns is not None and one.resumed_part == 0.5


def test_a_balancer_that_is_gone_is_told_as_such(lab: Lab, started: Beat, tmp_path: Path):
    with hurting(lab, "process.kill", tmp_path):
        wait_for(lambda: told_so_far(started), 20)
    summary = ended(started)
    assert Family.PROTECTION not in {family for _, family in told(started)}, started.said
    assert Cause.BALANCER_DOWN in {cause for cause, _ in told(started)}, started.said
    assert summary.mitigations == []  # a RST is an answer: nothing is frozen for it
