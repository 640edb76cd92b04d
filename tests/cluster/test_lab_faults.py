"""Every fault of the catalogue on the real cluster: proven, healed, seen to be healed."""

from pathlib import Path

import pytest

from maul import site
from maul.core.clock import SystemClock
from maul.faults.catalogue import FAULTS
from maul.faults.fault import Target
from maul.faults.fault_run import FaultRun, State
from maul.hosts.deadman import DeadMan
from maul.hosts.journal import UndoJournal
from maul.hosts.local import LocalHost
from maul.hosts.pidfile import read_pidfile
from maul.lab.cluster import Lab
from maul.lab.health import answers, leader, registered_volumes

pytestmark = pytest.mark.cluster
HOST, CLOCK = LocalHost(), SystemClock()


def target_of(lab: Lab, name: str) -> Target:
    """As the conductor makes it: from the site, with a health question that is a function."""
    told = site.load(lab.site_path).service(name)
    assert told.process is not None
    service = lab.layout.service(name)
    return Target(name, Path(told.process.pidfile), lambda: answers(service, timeout_s=1.0))


@pytest.mark.parametrize("name", ["volume-r1-1", "gateway-r2-1", "balancer"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
def test_proven_and_healed(lab, tmp_path, fault, name):
    target = target_of(lab, name)
    before = {status.name: status.pid for status in lab.status()}
    with DeadMan.arm(UndoJournal(tmp_path / "undo.jsonl")) as deadman:
        run = FaultRun(FAULTS[fault](target, HOST, CLOCK), target, deadman.journal, CLOCK)
        run.prepare()
        run.inject(hold_s_max=60.0)
        effect = run.prove_effect()
        hurt = {status.name: status for status in lab.status()}[name]
        assert run.finish() is State.CLEAN, run.healing
        assert effect.proven, effect.says
        assert not hurt.healthy, hurt
        assert deadman.journal.pending() == ()
    after = {status.name: status.pid for status in lab.status()}
    assert {key for key in before if before[key] != after[key]} == ({name} if fault == "process.kill" else set())
    assert run.summary().proven and run.summary().healed


def test_a_killed_volume_server_comes_back_to_the_cluster_as_it_was(lab, tmp_path):
    target = target_of(lab, "volume-r3-1")
    before = read_pidfile(HOST, target.pidfile)
    run = FaultRun(FAULTS["process.kill"](target, HOST, CLOCK), target, UndoJournal(tmp_path / "j"), CLOCK)
    run.prepare()
    run.inject(60.0)
    assert run.prove_effect().proven
    assert run.finish() is State.CLEAN
    after = read_pidfile(HOST, target.pidfile)
    assert (after.spec, after.process != before.process) == (before.spec, True)
    volume, master = lab.layout.service("volume-r3-1"), lab.layout.service("master-r2-1")
    for _ in range(300):
        named = leader(lab.layout, master)
        if named and volume.endpoint in registered_volumes(lab.layout.service(named)):
            break
        CLOCK.wait(0.1)
    else:
        raise AssertionError("the cluster did not take it back within 30 s")
