"""A campaign on three agents, on a real cluster: whole, and with one of them killed, taken over and held."""

import json
import signal
from pathlib import Path

import pytest
from beat_runs import Beat, left_in_state

from maul.core.errors import ExitCode
from maul.core.event import EventKind
from maul.core.operation import Op
from maul.core.verdict import Verdict
from maul.hosts.local import LocalHost
from maul.hosts.undo import pidfiles_in
from maul.record import RunReader
from waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

CAMPAIGN = """\
version: 1
name: fleet
site: lab
target: {endpoints: [vip], bucket: maul-fleet}
fleet: {agents: 3, on_loss: ON_LOSS}
workload: {objects: 120, size: 4KiB, keys: uniform, mix: {get: 60, put: 30, delete: 5, head: 5}}
load: {request_timeout: 2s, connect_timeout: 1s, connections: 32, in_flight: 32}
phases:
  - {name: fill, kind: prepare, concurrency: 9}
  - {name: steady, kind: load, rate: 60/s, for: SECONDS}
  - {name: audit, kind: audit, concurrency: 9, list: true}
  - {name: tidy, kind: clean-up, concurrency: 9}
objectives:
  - {name: available, phases: [steady], errors_below: 50%}
seed: 7
"""


def beat(folder: Path, *, seconds: str, on_loss: str = "redistribute") -> Beat:
    path = folder / "c.yaml"
    path.write_text(CAMPAIGN.replace("SECONDS", seconds).replace("ON_LOSS", on_loss), encoding="utf-8")
    return Beat(folder, path)


def kill(lab_base: Path, agent: str) -> None:
    (found,) = (lab_base / "state" / "fleet").glob("run-*/run")
    (named,) = [one for one in pidfiles_in(LocalHost(), found) if one.path.stem == agent]
    assert LocalHost().signal(named.process, signal.SIGKILL)


def agent_events(run: RunReader) -> list[dict]:
    return [row for row in run.events().to_pylist() if row["kind"] == EventKind.AGENT]


@pytest.fixture(scope="module")
def whole(lab_base, tmp_path_factory):
    with beat(tmp_path_factory.mktemp("whole"), seconds="8s") as run:
        code = run.end(120)
    return run, code


def test_three_agents_are_one_generator_and_every_object_is_right(whole):
    run, code = whole
    assert code == ExitCode.PASS, run.said
    summary = run.record.summary()
    steady = next(phase for phase in summary.phases if phase.name == "steady")
    assert steady.offered == 480 == steady.ok + steady.fail + steady.unknown + steady.dropped
    assert summary.audit.complete and not summary.audit.findings_total
    assert {check.name: check.verdict for check in summary.checks}["generator-honest"] is Verdict.PASS
    assert left_in_state() == []


def test_its_record_knows_whose_each_write_is(whole):
    run, _ = whole
    agents: dict[int, str] = {}
    for row in agent_events(run.record):
        if row["name"] == "engines":
            agents |= {one["epoch"]: one["agent"] for one in json.loads(row["details"])["engines"]}
    puts = [row for row in run.record.operations().to_pylist() if row["op"] == Op.PUT and row["version"]]
    wrote = {agents[row["version"] >> 48] for row in puts if row["phase"] == "steady"}
    assert wrote == {"local-1", "local-2", "local-3"}
    assert len({row["version"] for row in puts}) == len(puts)


def test_the_start_is_one_and_the_switch_was_rehearsed(whole):
    fleet = whole[0].record.summary().fleet
    assert fleet.skew_ms is not None and fleet.skew_ms - fleet.skew_error_ms < 50.0
    assert fleet.drill is not None and fleet.drill.passed and fleet.drill.agents == 3 and fleet.drill.seconds < 3.0
    assert [agent.sent > 100 for agent in fleet.agents] == [True] * 3 and not fleet.losses


@pytest.mark.parametrize("on_loss", ["redistribute", "hold"])
def test_an_agent_that_is_killed_is_made_up_for_or_held_and_no_object_is_wrong(lab_base, tmp_path, on_loss):
    with beat(tmp_path, seconds="24s", on_loss=on_loss) as run:
        run.until("steady: 3 agents began", 90)
        assert wait_for(lambda: run.said.count("steady:") >= 4, 20), run.said
        kill(lab_base, "local-2")
        code = run.end(150)
    summary = run.record.summary()
    (loss,) = summary.fleet.losses
    assert (loss.agent, loss.phase, loss.policy) == ("local-2", "steady", on_loss)
    honest = next(check for check in summary.checks if check.name == "generator-honest")
    steady = next(phase for phase in summary.phases if phase.name == "steady")
    if on_loss == "redistribute":
        assert set(loss.taken) == {"local-1", "local-3"} and loss.held == 0
        assert steady.offered + loss.not_sent == pytest.approx(24 * 60, rel=0.03), run.said
    else:
        assert not loss.taken and loss.held == pytest.approx(1 / 3, rel=0.01)
        assert honest.verdict is Verdict.UNKNOWN and code == ExitCode.UNKNOWN
    # several writers, one of them unheard at the end: nothing is lost, nothing is called wrong, nothing stays
    assert summary.audit.complete and not summary.audit.findings_total, summary.audit.findings
    checks = {check.name: check.verdict for check in summary.checks}
    assert checks["durability"] is checks["reads-true"] is checks["cleaned"] is Verdict.PASS, run.said
    assert left_in_state() == []
