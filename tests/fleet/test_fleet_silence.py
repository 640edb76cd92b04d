"""The fleet falls silent by itself: real engines, a server that counts, a conductor that dies or stands still."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from fleet_plans import CLOCK

from engine_plans import gets
from maul.conduct.collect import _add
from maul.core.errors import CampaignError
from maul.fleet.collect import collect
from maul.fleet.connection import AgentKeeper, Fleet
from maul.fleet.preflight import Question
from maul.load import NullServer
from maul.record import RunReader, RunWriter, completing
from waiting import wait_for

SILENT_S = 5.0
NAMES = ("one", "two")


@pytest.fixture
def target():
    with NullServer(run=1) as server:
        yield server


@pytest.fixture
def conductor(town, target, tmp_path):
    """A conductor in a process of its own that drives both agents at 100 requests per second each."""
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(gets(target.url, 100.0, 40.0)))
    words = (
        str(Path(__file__).with_name("conductor_process.py")),
        town.address,
        str(town.certificates),
        str(plan),
        *NAMES,
    )
    process = town.start("conductor", *words)
    assert wait_for(lambda: "running" in town.log("conductor").read_text()), town.logs()
    assert wait_for(lambda: target.totals().requests > 100), town.logs()
    yield process
    town.end("conductor")
    town.log("conductor").unlink()


def last_request_s(target: NullServer, since_ns: int, watch_s: float) -> float:
    """When the last request came, seconds after `since_ns`, in so many seconds of watching."""
    seen, last_s = target.totals().requests, 0.0
    while (now_s := (CLOCK.now_ns() - since_ns) / 1e9) < watch_s:
        requests = target.totals().requests
        if requests != seen:
            seen, last_s = requests, now_s
        CLOCK.wait(0.02)
    return last_s


def test_kill_9_of_the_conductor(conductor, target, town, tmp_path):
    conductor.kill()
    killed_ns = CLOCK.now_ns()
    last_s = last_request_s(target, killed_ns, SILENT_S + 2.0)
    print(f"\nsilent {last_s:.2f} s after kill -9 of the conductor")
    assert 0.5 < last_s < SILENT_S, "they live on their lease for a while, and not for longer"
    total = target.totals().requests

    # Their results outlived the conductor: what it never fetched is on the agents' disks.
    with Fleet.connect(town.address, town.certificates) as fleet:
        kept = fleet.preflight(Question())
        assert all("killed" in facts.spooled_runs for facts in kept.ready.values())
        keepers = {name: AgentKeeper(fleet, name) for name in NAMES}
        found = list(collect(keepers, "killed"))
        assert {one.agent for one in found} == set(NAMES)
        assert not any(one.damaged for one in found)
        batches = [batch for one in found for batch in one.batches]
        counted = sum(row.count for batch in batches for row in batch.latency if row.kind == "latency")
        operations = sum(len(batch.operations) for batch in batches)
        assert counted == operations == total, "every request is in what they kept: nothing was acknowledged"
        again = sum(len(batch.operations) for one in collect(keepers, "killed") for batch in one.batches)
        assert again == operations, "fetching does not forget"
        complete_the_record(tmp_path, found, batches)
        for one in found:
            one.forget()
        assert list(collect(keepers, "killed")) == []


def complete_the_record(tmp_path, found, batches):
    """A record that had the first batch of each engine when its writer was killed gets the rest, once."""
    writer = RunWriter.create(tmp_path / "runs", "killed")
    for one in found:
        first = one.batches[0]
        writer.latency("load", first.latency)
        writer.operations("load", first.operations)
    writer.flush()
    with pytest.raises(CampaignError, match="still being recorded"), completing.opened("killed", tmp_path / "runs"):
        pass
    writer._close_files()  # as its death would
    for _ in range(2):
        with completing.opened("killed", tmp_path / "runs") as killed:
            assert sum(_add(killed, replace(one, about={"phase": "load"})) for one in found) >= len(found)
            killed.write()
    record = RunReader.open("killed", tmp_path / "runs")
    assert record.operations().num_rows == sum(len(batch.operations) for batch in batches)
    latency = record.latency().to_pylist()
    assert sum(row["count"] for row in latency) == sum(row.count for batch in batches for row in batch.latency)


def test_sigstop_of_the_conductor_and_no_traffic_after_it_goes_on(conductor, target, town):
    conductor.send_signal(signal.SIGSTOP)
    stopped_ns = CLOCK.now_ns()
    last_s = last_request_s(target, stopped_ns, SILENT_S + 0.5)
    print(f"\nsilent {last_s:.2f} s after SIGSTOP of the conductor")
    assert 0.5 < last_s < SILENT_S
    requests = target.totals().requests
    conductor.send_signal(signal.SIGCONT)
    assert wait_for(lambda: conductor.poll() is not None, 10.0), "it sees that its load has ended"
    assert "ended: lease" in town.log("conductor").read_text() or "lost" in town.log("conductor").read_text()
    assert target.totals().requests == requests, "traffic resumed"
