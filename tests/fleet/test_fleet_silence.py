"""The fleet falls silent by itself: real engines, a server that counts, a conductor that dies or stands still."""

import json
import signal

import pytest
from fleet_plans import CLOCK, gets

from conftest import wait_for
from maul.fleet.collect import collect
from maul.fleet.connection import Fleet
from maul.fleet.preflight import Question
from maul.load import NullServer

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
    words = ("tests/fleet/conductor_process.py", town.address, str(town.certificates), str(plan), *NAMES)
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


def test_kill_9_of_the_conductor(conductor, target, town):
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
        found = list(collect(fleet, "killed"))
        assert {one.agent for one in found} == set(NAMES)
        assert all(one.complete for one in found)
        counted = sum(row.count for one in found for row in one.drained.latency if row.kind == "latency")
        operations = sum(len(one.drained.operations) for one in found)
        assert counted == operations == total, "every request is in what they kept: nothing was acknowledged"
        again = sum(len(one.drained.operations) for one in collect(fleet, "killed"))
        assert again == operations, "fetching does not forget"
        for one in found:
            one.forget()
        assert list(collect(fleet, "killed")) == []


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
