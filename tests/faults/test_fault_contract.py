"""What every fault of the catalogue must do, on a fake machine."""

import signal
from pathlib import Path

import pytest

from maul.core.clock import FakeClock
from maul.core.errors import MachineError, TargetError, UnhealedError
from maul.faults.catalogue import FAULTS
from maul.faults.fault import Target
from maul.faults.fault_run import FaultRun, State
from maul.hosts.fake import FakeHost
from maul.hosts.host import ProcessId, SpawnSpec
from maul.hosts.journal import UndoJournal
from maul.hosts.pidfile import read_pidfile
from maul.hosts.undo import undo_pending

PIDFILE = Path("/run/volume-r1-1.json")
SPEC = SpawnSpec(("weed", "volume"), Path("/home"), Path("/log"), {"A": "b"}, PIDFILE)


class Stage:
    """A service on a fake machine that answers while it runs and is not stopped."""

    def __init__(self) -> None:
        self.host, self.clock = FakeHost(), FakeClock()
        self.victim = self.host.spawn(SPEC)
        self.bystander = self.host.spawn(
            SpawnSpec(("weed", "filer"), Path("/"), Path("/log2"), {}, Path("/run/f.json"))
        )
        self.deaf = False
        self.target = Target("volume-r1-1", PIDFILE, self.answers)

    def answers(self) -> bool:
        now = read_pidfile(self.host, PIDFILE)
        state = None if now is None else self.host.process(now.process)
        return state is not None and state.letter != "T" and not self.deaf


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture(params=sorted(FAULTS))
def fault(request: pytest.FixtureRequest, stage: Stage):
    return FAULTS[request.param](stage.target, stage.host, stage.clock)


def test_the_catalogue_calls_each_fault_by_its_own_name(stage):
    for name, make in FAULTS.items():
        assert make(stage.target, stage.host, stage.clock).name == name


def test_the_whole_life(fault, stage, tmp_path):
    run = FaultRun(fault, stage.target, UndoJournal(tmp_path / "j.jsonl", stage.clock), stage.clock)
    run.prepare()
    assert stage.host.sent == [], "prepare hurt something"
    run.inject(30.0)
    effect = run.prove_effect()
    assert effect.proven, effect.says
    assert str(stage.victim.pid) in effect.says
    assert not stage.answers()
    run.heal()
    healing = run.prove_healed()
    assert healing.proven, healing.says
    run.clean()
    assert stage.answers()
    assert {process for process, _ in stage.host.sent} == {stage.victim}, "somebody else was signalled"
    now = read_pidfile(stage.host, PIDFILE)
    assert now.spec == SPEC, "it runs differently from before"


def test_the_undo_from_the_journal_alone_heals_as_well(fault, stage, tmp_path):
    """What the dead-man helper does: it has no fault, only the entry."""
    journal = UndoJournal(tmp_path / "j.jsonl", stage.clock)
    run = FaultRun(fault, stage.target, journal, stage.clock)
    run.prepare()
    run.inject(30.0)
    assert not stage.answers()
    results = undo_pending(UndoJournal(journal.path), stage.host, stage.clock, 10.0)
    assert [result.done for result in results] == [True]
    assert stage.answers()
    # The run comes back to life and finishes: nothing is started twice, nobody else is signalled.
    living = set(stage.host.processes)
    assert run.finish() is State.CLEAN
    assert set(stage.host.processes) == living


def test_healing_twice_is_harmless(fault, stage):
    fault.prepare()
    fault.inject()
    fault.heal()
    living = set(stage.host.processes)
    fault.heal()
    assert set(stage.host.processes) == living


def test_no_harm_no_proof(fault, stage):
    fault.prepare()
    assert not fault.prove_effect().proven


def test_a_proof_waits_only_so_long(fault, stage):
    fault.prepare()
    before = stage.clock.now_ns()
    fault.prove_effect()
    assert (stage.clock.now_ns() - before) / 1e9 < 10
    fault.inject()
    fault.heal()
    stage.deaf = True
    before = stage.clock.now_ns()
    healing = fault.prove_healed()
    assert not healing.proven and "does not answer" in healing.says
    assert (stage.clock.now_ns() - before) / 1e9 < 60


def test_no_proof_of_healing_while_it_is_hurt(fault, stage):
    fault.prepare()
    fault.inject()
    assert not fault.prove_healed().proven


@pytest.mark.parametrize("trouble", ["no pidfile", "dead", "silent", "stopped"])
def test_what_is_not_well_is_not_hurt(fault, stage, trouble):
    if trouble == "no pidfile":
        del stage.host.files[PIDFILE]
    elif trouble == "dead":
        stage.host.signal(stage.victim, signal.SIGKILL)
    elif trouble == "stopped":
        stage.host.signal(stage.victim, signal.SIGSTOP)
    else:
        stage.deaf = True
    stage.host.sent.clear()
    with pytest.raises(TargetError):
        fault.prepare()
    assert stage.host.sent == []


def test_a_victim_that_went_away_meanwhile_is_told(fault, stage):
    fault.prepare()
    stage.host.signal(stage.victim, signal.SIGKILL)
    with pytest.raises(TargetError, match="was gone before"):
        fault.inject()


def test_a_pid_given_to_somebody_else_is_left_alone(fault, stage):
    fault.prepare()
    stage.host.signal(stage.victim, signal.SIGKILL)
    stranger = ProcessId(stage.victim.pid, stage.victim.start_ticks + 7)
    stage.host.processes[stranger] = stage.host.processes[stage.bystander]
    with pytest.raises(TargetError):
        fault.inject()
    assert stranger in stage.host.processes


@pytest.mark.parametrize("method", ["inject", "prove_effect", "prove_healed"])
def test_nothing_goes_without_prepare(fault, method):
    with pytest.raises(TargetError, match="not prepared"):
        getattr(fault, method)()


def test_a_service_that_does_not_come_back_is_unhealed(stage):
    fault = FAULTS["process.kill"](stage.target, stage.host, stage.clock)
    fault.prepare()
    fault.inject()
    stage.host.doomed.add("volume")
    with pytest.raises(UnhealedError, match="ended at once"):
        fault.heal()


def test_gone_alone_or_silent_alone_is_no_proof_of_a_kill(stage):
    somebody = Target("volume-r1-1", PIDFILE, lambda: True)  # somebody else answers in its place
    fault = FAULTS["process.kill"](somebody, stage.host, stage.clock)
    fault.prepare()
    fault.inject()
    effect = fault.prove_effect()
    assert not effect.proven and "is gone, its health answers" in effect.says
    stage = Stage()
    fault = FAULTS["process.kill"](stage.target, stage.host, stage.clock)
    fault.prepare()
    stage.deaf = True
    effect = fault.prove_effect()
    assert not effect.proven and "is alive, its health does not answer" in effect.says


def test_a_kill_that_was_refused_hurt_nobody_and_counts_as_healed(stage, tmp_path):
    """Otherwise a missing permission would end as `something is unhealed`."""

    def refuse(process: ProcessId, signal_number: int) -> bool:
        raise MachineError("not allowed")

    stage.host.signal = refuse
    fault = FAULTS["process.kill"](stage.target, stage.host, stage.clock)
    run = FaultRun(fault, stage.target, UndoJournal(tmp_path / "j.jsonl", stage.clock), stage.clock)
    run.prepare()
    with pytest.raises(MachineError):
        run.inject(30.0)
    assert run.finish() is State.CLEAN
    assert not run.summary().proven and run.summary().healed


def test_a_process_that_is_still_dying_is_waited_for_and_then_restarted(stage):
    """SIGKILL returns before the process is gone; healing at once must not find it alive and leave it at that."""

    class SlowlyDying(FakeHost):
        looks = 0

        def signal(self, process: ProcessId, signal_number: int) -> bool:
            self.looks = 3
            return process in self.processes

        def process(self, process: ProcessId):
            if self.looks:
                self.looks -= 1
                if not self.looks:
                    super().signal(process, signal.SIGKILL)
            return super().process(process)

    host = SlowlyDying(files=stage.host.files, processes=stage.host.processes, _pid_next=200)
    fault = FAULTS["process.kill"](stage.target, host, stage.clock)
    fault.prepare()
    fault.inject()
    fault.heal()
    assert fault.prove_healed().proven
    assert stage.victim not in host.processes


def test_a_killed_process_that_does_not_die_is_not_healed(stage):
    """Stuck in the kernel: it still answers, and will be gone one day."""
    fault = FAULTS["process.kill"](stage.target, stage.host, stage.clock)
    fault.prepare()
    stage.host.signal = lambda *args: True
    fault.inject()
    fault.heal()
    assert not fault.prove_healed().proven


def test_a_stopped_process_whose_health_answers_is_not_healed(stage):
    """Somebody else may answer in its place."""
    fault = FAULTS["process.pause"](Target("volume-r1-1", PIDFILE, lambda: True), stage.host, stage.clock)
    fault.prepare()
    fault.inject()
    assert not fault.prove_healed().proven


def test_a_paused_process_that_dies_is_not_called_healed(stage):
    fault = FAULTS["process.pause"](stage.target, stage.host, stage.clock)
    fault.prepare()
    fault.inject()
    stage.host.signal(stage.victim, signal.SIGKILL)
    fault.heal()
    healing = fault.prove_healed()
    assert not healing.proven and "did not survive" in healing.says
