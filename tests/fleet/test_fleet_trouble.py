"""Agents that hang, lag, lie, send garbage, speak another version, die, pose as others: named, and left out."""

import os
import shutil
import signal
from pathlib import Path

import pytest
from fleet_plans import CLOCK, counting, steady
from test_fleet_life import BOTH, drive

from maul.core.errors import InternalError
from maul.core.generator import GeneratorState
from maul.fleet import certificates, connection
from maul.fleet.certificates import Folder, agent
from maul.fleet.connection import Fleet
from maul.fleet.preflight import Question


@pytest.fixture
def third(town, fleet):
    """One more agent, for what it does not survive."""
    process = town.agent("third")
    assert not fleet.wait_for(["third"], 20), town.logs()
    yield process
    town.end("third")


def only(fleet, *names):
    found = fleet.preflight(Question(), names)
    assert set(found.ready) == set(names), found.left_out


def lost_names(generator):
    return [lost.name for lost in generator.lost()]


def test_one_that_hangs_in_prepare_is_left_out_and_holds_up_nobody(fleet, third, monkeypatch):
    monkeypatch.setattr(connection, "PREPARE_S", 1.0)
    only(fleet, "one", "third")
    with counting() as counted:
        began_ns = CLOCK.now_ns()
        plans = {"one": steady("one", counted.port, seconds=1.0), "third": steady("third", counted.port, mode="hang")}
        generator = fleet.generator(plans)
        assert CLOCK.now_ns() - began_ns < 3e9
        generator.start()
        drive(generator)
        assert lost_names(generator) == ["third"]
        assert "prepare" in generator.lost()[0].why
        assert counted.by_agent["one"] > 40 and counted.by_agent["third"] == 0


def test_one_that_is_stopped_in_the_preflight_is_left_out(town, fleet, third, monkeypatch):
    monkeypatch.setattr(connection, "PREFLIGHT_S", 2.0)
    third.send_signal(signal.SIGSTOP)
    began_ns = CLOCK.now_ns()
    found = fleet.preflight(Question(), ["one", "third"])
    assert "one" in found.ready and "within" in found.left_out["third"]
    assert CLOCK.now_ns() - began_ns < 4e9


def test_kill_9_in_the_middle_of_a_run(fleet, third):
    only(fleet, "one", "third")
    with counting() as counted:
        plans = {name: steady(name, counted.port, seconds=6.0) for name in ("one", "third")}
        generator = fleet.generator(plans)
        generator.start()
        drained = drive(generator, until=lambda: generator.by_agent()["third"].ok > 50)
        third.kill()
        killed_ns = CLOCK.now_ns()
        drained += drive(generator, until=lambda: bool(generator.lost()))
        assert CLOCK.now_ns() - killed_ns < 4.5e9, "lost within the lease"
        drained += drive(generator)
        (lost,) = generator.lost()
        assert lost.name == "third" and "not heard of" in lost.why
        assert abs(lost.at_ns - killed_ns) < 1.6e9, "the moment is when it was last heard of"
        assert lost.status.ok > 50
    status = generator.status()
    assert status.state is GeneratorState.DONE
    kept = sum(row.count for part in drained for row in part.latency)
    assert kept == status.ok == generator.by_agent()["one"].ok + lost.status.ok, "what it had sent is kept"
    assert generator.by_agent()["one"].stop_reason == "completed"


def test_one_that_stands_still_is_lost_and_stays_lost(fleet, third):
    only(fleet, "one", "third")
    with counting() as counted:
        plans = {name: steady(name, counted.port, seconds=30.0) for name in ("one", "third")}
        generator = fleet.generator(plans)
        generator.start()
        drive(generator, until=lambda: counted.by_agent["third"] > 20)
        third.send_signal(signal.SIGSTOP)
        drive(generator, until=lambda: bool(generator.lost()))
        third.send_signal(signal.SIGCONT)
        resumed = counted.by_agent["third"]
        drive(generator, limit_s=2.0)
        assert lost_names(generator) == ["third"]
        assert counted.by_agent["third"] <= resumed + 5, "its lease was over when it went on"
        generator.stop("enough", now=True)
        assert generator.join(3.0)


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ({"mode": "garbage"}, "garbage"),
        ({"mode": "liar", "after_s": 0.5, "jump_s": 0.3}, "its clock jumped by +"),
        ({"mode": "liar", "after_s": 0.5, "jump_s": -60.0}, "its clock jumped by -"),
        ({"mode": "sluggish", "seconds": 30.0}, "not heard of"),
        ({"mode": "deaf"}, "did not begin"),
    ],
    ids=["garbage", "ahead", "behind", "sluggish", "deaf"],
)
def test_one_that_misbehaves_is_named_and_the_other_goes_on(fleet, third, plan, says):
    only(fleet, "one", "third")
    with counting() as counted:
        plans = {"one": steady("one", counted.port, seconds=4.0), "third": steady("third", counted.port, **plan)}
        generator = fleet.generator(plans)
        generator.start()
        seen = drive(generator, limit_s=8.0)
        assert generator.by_agent()["one"].ok == counted.by_agent["one"] == pytest.approx(200, abs=5)
        assert lost_names(generator) == ["third"]
        assert says in generator.lost()[0].why
        assert sum(row.count for part in seen for row in part.latency) >= 195


def test_a_failing_call_does_not_give_the_secret_away(town, fleet, caplog):
    secret = "wJalrXUtnFEMI-do-not-tell-anybody"
    only(fleet, "one")
    plan = steady("one", 9, mode="refuse", s3={"secret_key": secret, "access_key": "AKIDX"})
    with caplog.at_level("DEBUG"), pytest.raises(InternalError) as raised:
        fleet.generator({"one": plan})
    assert "RuntimeError" in str(raised.value)
    told = [str(raised.value), repr(raised.value.__cause__), caplog.text, town.logs()]
    files = [path for path in town.path.rglob("*") if path.is_file()]
    told += [path.read_bytes().decode(errors="replace") for path in files]
    for process in town.processes.values():
        told += [Path(f"/proc/{process.pid}/{what}").read_text() for what in ("cmdline", "environ")]
    assert not [text for text in told if secret in text]


def test_another_version_is_left_out(town, fleet):
    town.agent("stranger", "--wire", "999")
    try:
        assert not fleet.wait_for(["stranger"], 20)
        found = fleet.preflight(Question())
        assert set(BOTH) <= set(found.ready)
        assert "it is maul" in found.left_out["stranger"]
    finally:
        town.end("stranger")


def test_an_agent_cannot_join_under_another_ones_name(town, fleet):
    """`mallory` has a certificate of its own, and the name `dora` in its mouth."""
    certificates.init(town.certificates, ["mallory", "dora"])
    theirs = town.path / "mallory"
    (theirs / "agents").mkdir(parents=True)
    real, false = Folder(town.certificates), Folder(theirs)
    shutil.copy(real.ca, false.ca)
    for ending in ("pem", "key"):
        shutil.copy(real.path / f"agents/mallory.{ending}", false.path / f"agents/dora.{ending}")
    false.check(agent("dora"))  # the files are there; what they prove is another thing
    here = os.fspath(town.path / "homes" / "mallory")
    script = os.path.join(os.path.dirname(__file__), "agent_process.py")  # noqa: PTH118, PTH120
    town.start("mallory", script, town.address, "dora", os.fspath(theirs), here)
    try:
        assert fleet.wait_for(["dora"], 4) == ("dora",), "the scheduler let it in"
        assert "the agent mallory wanted to join as dora" in town.log("mallory").read_text()
    finally:
        town.end("mallory")


def test_a_stranger_without_a_certificate_of_ours_cannot_even_ask(town, tmp_path):
    certificates.init(tmp_path, ["one"])
    with pytest.raises(Exception, match="no fleet answers there"):
        Fleet.connect(town.address, tmp_path, timeout_s=1.5)


def test_an_agent_may_not_act_as_the_conductor(town, tmp_path):
    """Its certificate is good; what it may ask the scheduler for is not what a conductor may."""
    thief = Folder(tmp_path)
    real = Folder(town.certificates)
    (tmp_path / "agents").mkdir()
    shutil.copy(real.ca, thief.ca)
    for ending in ("pem", "key"):
        shutil.copy(real.path / f"agents/one.{ending}", thief.path / f"conductor.{ending}")
    with pytest.raises(Exception, match="no fleet answers there"):
        Fleet.connect(town.address, tmp_path, timeout_s=1.5)


def test_nothing_listens_in_the_clear_and_no_http(town):
    import psutil  # noqa: PLC0415

    for name in ("scheduler", "one", "two"):
        listening = [
            one for one in psutil.Process(town.processes[name].pid).net_connections("tcp") if one.status == "LISTEN"
        ]
        assert len(listening) == 1, f"{name} listens on {[one.laddr for one in listening]}"
        assert listening[0].laddr.ip == "127.0.0.1"
