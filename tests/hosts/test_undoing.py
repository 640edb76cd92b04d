"""Undoing: decisions as tables, acts on real processes and files."""

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maul.core.clock import FakeClock, SystemClock
from maul.core.errors import MachineError
from maul.hosts import undo as undo_module
from maul.hosts.fake import FakeHost
from maul.hosts.host import ProcessId, SpawnSpec
from maul.hosts.journal import UndoJournal
from maul.hosts.local import LocalHost
from maul.hosts.pidfile import Pidfile
from maul.hosts.undo import (
    Clear,
    End,
    Facts,
    Nothing,
    Refuse,
    Send,
    Start,
    Watch,
    act,
    decide,
    look,
    perform,
    undo_one,
    undo_pending,
)
from maul.hosts.undo_kinds import UndoKill, UndoRemove, UndoSeries, UndoSignal, UndoSpawn

ONE, TWO = ProcessId(11, 1), ProcessId(12, 2)
SPEC = SpawnSpec(("weed", "volume"), Path("/home"), Path("/log"), {}, Path("/run/v.json"))
NAMED, OTHER = Pidfile(Path("/run/v.json"), ONE, SPEC), Pidfile(Path("/run/w.json"), TWO, SPEC)
SPAWN, SIGNAL = UndoSpawn(Path("/run/v.json")), UndoSignal(ONE, signal.SIGCONT)
KILL, REMOVE = UndoKill(Path("/run"), 2.0), UndoRemove(Path("/lab"), "lab.json", ("conf", "data"))


@pytest.mark.parametrize(
    ("undo", "facts", "action"),
    [
        (SPAWN, Facts(dead=(NAMED,)), Start(SPEC)),
        (SPAWN, Facts(living=(NAMED,)), Watch(NAMED)),
        (SPAWN, Facts(), Nothing),  # the pidfile is gone: it was taken down since
        (SPAWN, Facts(unreadable=("/run/v.json",)), Refuse),
        (SIGNAL, Facts(signal_target_lives=True), Send(ONE, signal.SIGCONT)),
        (SIGNAL, Facts(), Nothing),
        (KILL, Facts(living=(NAMED, OTHER)), End((ONE, TWO), 2.0, ())),
        (KILL, Facts(living=(NAMED,), dead=(OTHER,)), End((ONE,), 2.0, ())),
        (KILL, Facts(dead=(NAMED, OTHER)), Nothing),
        (KILL, Facts(living=(NAMED,), unreadable=("x",)), End((ONE,), 2.0, ("x cannot be read",))),
        (KILL, Facts(unreadable=("x",)), End((), 2.0, ("x cannot be read",))),
        (REMOVE, Facts(marked=True, names=("conf", "x")), Clear(Path("/lab"), ("conf", "data", "lab.json"))),
        (REMOVE, Facts(names=("conf",)), Refuse),  # not marked: somebody else's
        (REMOVE, Facts(names=("logs", "foreign")), Nothing),
        (REMOVE, Facts(), Nothing),
    ],
)  # fmt: skip
def test_what_is_decided(undo, facts, action):
    decided = decide(undo, facts)
    assert isinstance(decided, action) if isinstance(action, type) else decided == action


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def start(run_dir: Path) -> Iterator[Callable[[str, str], ProcessId]]:
    host, started = LocalHost(), []

    def start_one(name: str, code: str) -> ProcessId:
        argv = (sys.executable, "-S", "-u", "-c", code)
        spec = SpawnSpec(argv, run_dir, run_dir / f"{name}.log", {}, run_dir / f"{name}.json")
        process = host.spawn(spec)
        started.append(process)
        while b"ready" not in (host.read_bytes(spec.log) or b"") and host.process(process):
            pass
        return process

    yield start_one
    for process in started:
        host.signal(process, signal.SIGKILL)


POLITE = "import time; print('ready'); time.sleep(60)"
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready'); time.sleep(60)"


def test_polite_deaf_and_stopped_processes_all_end(start, run_dir):
    host = LocalHost()
    processes = [start("polite", POLITE), start("deaf", DEAF), start("stopped", POLITE)]
    host.signal(processes[2], signal.SIGSTOP)
    kill = UndoKill(run_dir, 0.1)
    done, says = act(host, SystemClock(), decide(kill, look(host, kill)))
    assert (done, says) == (True, "ended 3 processes")
    assert [host.process(process) for process in processes] == [None, None, None]
    assert isinstance(decide(kill, look(host, kill)), Nothing)


def test_a_stale_pidfile_does_not_kill_whoever_has_the_pid_now(start, run_dir):
    host = LocalHost()
    process = start("mine", POLITE)
    pidfile = run_dir / "mine.json"
    pidfile.write_text(pidfile.read_text().replace(f": {process.start_ticks}", f": {process.start_ticks - 1}"))
    kill = UndoKill(run_dir, 0.1)
    assert act(host, SystemClock(), decide(kill, look(host, kill)))[0]
    assert host.process(process) is not None


def test_a_damaged_pidfile_is_told_and_the_others_are_ended_all_the_same(start, run_dir):
    host = LocalHost()
    process = start("good", POLITE)
    (run_dir / "bad.json").write_text("{")
    kill = UndoKill(run_dir, 0.1)
    done, says = act(host, SystemClock(), decide(kill, look(host, kill)))
    assert not done and "bad.json cannot be read" in says
    assert host.process(process) is None


def test_a_process_that_cannot_be_killed_is_not_called_done():
    host = FakeHost()
    process = host.spawn(SPEC)
    host.signal = lambda *args: True
    done, says = act(host, FakeClock(), End((process,), 1.0, ()))
    assert not done and "does not die" in says


def test_restart_rewrites_the_pidfile_and_a_second_undo_starts_nothing(start, run_dir):
    host = LocalHost()
    process = start("service", POLITE)
    host.signal(process, signal.SIGKILL)
    while host.process(process):
        pass
    spawn = UndoSpawn(run_dir / "service.json")
    assert act(host, FakeClock(), decide(spawn, look(host, spawn)))[0]
    facts = look(host, spawn)
    assert facts.living[0].process != process
    assert perform(host, FakeClock(), spawn) == (True, f"service runs already (process {facts.living[0].process.pid})")
    host.signal(facts.living[0].process, signal.SIGKILL)


def test_one_that_is_just_dying_is_restarted():
    clock = FakeClock()

    class Dying(FakeHost):
        def process(self, process: ProcessId):
            if clock.now_ns() > FakeClock().now_ns() + 10**8:
                self.processes.pop(victim, None)
            return super().process(process)

    host = Dying()
    victim = host.spawn(SPEC)
    done, says = perform(host, clock, SPAWN)
    assert done and "started again" in says
    assert victim not in host.processes and len(host.processes) == 1


def test_a_program_that_ends_at_once_is_not_restarted():
    host = FakeHost(doomed={"volume"})
    host.spawn(SPEC)
    done, says = act(host, FakeClock(), decide(SPAWN, look(host, SPAWN)))
    assert not done and "/log" in says


def make_lab(tmp_path: Path, *names: str) -> UndoRemove:
    lab = tmp_path / "lab"
    for name in names:
        (lab / name / "deep").mkdir(parents=True)
        (lab / name / "deep" / "file").write_text("x")
    return UndoRemove(lab, "lab.json", ("conf", "data"))


def undo_files(remove: UndoRemove) -> bool:
    host = LocalHost()
    return act(host, FakeClock(), decide(remove, look(host, remove)))[0]


def test_only_our_names_are_removed_and_only_under_the_marker(tmp_path):
    remove = make_lab(tmp_path, "conf", "data", "foreign")
    assert undo_files(remove) is False
    assert (remove.directory / "conf" / "deep" / "file").exists()
    (remove.directory / "lab.json").write_text("{}")
    assert undo_files(remove) is True
    assert [path.name for path in remove.directory.iterdir()] == ["foreign"]


def test_an_emptied_directory_goes_too(tmp_path):
    remove = make_lab(tmp_path, "conf")
    (remove.directory / "lab.json").write_text("{}")
    assert undo_files(remove) and not remove.directory.exists()
    assert undo_files(remove), "removing twice is harmless"


def test_links_are_cut_not_followed(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    remove = make_lab(tmp_path, "conf")
    (remove.directory / "lab.json").write_text("{}")
    (remove.directory / "data").symlink_to(precious)
    (remove.directory / "conf" / "link").symlink_to(precious)
    assert undo_files(remove) and (precious / "file").exists()
    (precious / "lab.json").write_text("{}")
    (precious / "conf").mkdir()
    (tmp_path / "lab").symlink_to(precious)
    undo_files(remove)
    assert (precious / "conf").exists(), "a lab's directory that became a link was followed"


def test_an_interrupted_removal_can_be_finished(tmp_path, monkeypatch):
    """The marker goes last: what is left after a crash still counts as ours."""
    remove = make_lab(tmp_path, "conf", "data")
    (remove.directory / "lab.json").write_text("{}")
    real, calls = undo_module.shutil.rmtree, []

    def breaks_at_the_second(path: Path) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise OSError(5, "Input/output error", str(path))
        real(path)

    monkeypatch.setattr(undo_module.shutil, "rmtree", breaks_at_the_second)
    assert undo_files(remove) is False
    monkeypatch.undo()
    assert undo_files(remove) is True and not remove.directory.exists()


def test_a_series_ends_at_its_first_failure(tmp_path):
    """A directory must not be removed under a process that could not be ended."""
    remove = make_lab(tmp_path, "conf", "run")
    (remove.directory / "lab.json").write_text("{}")
    (remove.directory / "run" / "bad.json").write_text("{")
    series = UndoSeries((UndoKill(remove.directory / "run", 0.1), remove))
    done, says = perform(LocalHost(), FakeClock(), series)
    assert not done and "bad.json" in says
    assert (remove.directory / "conf").exists()
    (remove.directory / "run" / "bad.json").unlink()
    assert perform(LocalHost(), FakeClock(), series)[0]
    assert [path.name for path in remove.directory.iterdir()] == ["run"]


class TestPending:
    """The journal's pending entries, as one."""

    @pytest.fixture
    def journal(self, tmp_path: Path) -> UndoJournal:
        return UndoJournal(tmp_path / "j.jsonl", FakeClock())

    def test_newest_first_and_each_struck_off(self, journal):
        host = FakeHost()
        processes = [host.spawn(SpawnSpec(("a",), Path("/"), Path("/l"))) for _ in range(3)]
        for process in processes:
            journal.record("pause", f"t{process.pid}", UndoSignal(process, signal.SIGCONT))
        results = undo_pending(journal, host, FakeClock(), 10.0)
        assert [process for process, _ in host.sent] == processes[::-1]
        assert all(result.done for result in results) and journal.pending() == ()

    def test_an_older_harm_waits_for_a_newer_one_to_the_same_target(self, journal, tmp_path):
        """A directory must not be removed under a process that could not be ended."""
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "bad.json").write_text("{")
        (tmp_path / "lab.json").write_text("{}")
        (tmp_path / "data").mkdir()
        journal.record("lab", "lab", UndoRemove(tmp_path, "lab.json", ("data",)))
        other = journal.record("pause", "elsewhere", SIGNAL)
        journal.record("lab", "lab", UndoKill(tmp_path / "run", 0.1))
        results = undo_pending(journal, LocalHost(), FakeClock(), 10.0)
        assert [result.done for result in results] == [False, True, False]
        assert "waits" in results[2].says
        assert (tmp_path / "data").exists()
        assert other not in journal.pending()

    def test_one_failure_does_not_stop_the_others(self, journal):
        class Broken(FakeHost):
            def signal(self, process: ProcessId, signal_number: int) -> bool:
                if process == TWO:
                    raise MachineError("not allowed")
                return super().signal(process, signal_number)

        host = Broken()
        process = host.spawn(SPEC)
        host.processes[TWO] = host.processes[process]
        journal.record("pause", "a", UndoSignal(process, signal.SIGCONT))
        bad = journal.record("pause", "b", UndoSignal(TWO, signal.SIGCONT))
        results = undo_pending(journal, host, FakeClock(), 10.0)
        assert [(result.done, result.says) for result in results] == [
            (False, "not allowed"),
            (True, "sent SIGCONT"),
        ]
        assert journal.pending() == (bad,)

    def test_what_somebody_else_undid_meanwhile_is_not_done_again(self, journal):
        host = FakeHost()
        process = host.spawn(SPEC)
        entry = journal.record("pause", "a", UndoSignal(process, signal.SIGCONT))
        UndoJournal(journal.path, FakeClock()).done(entry.id)
        assert undo_one(journal, entry, host, FakeClock(), 1.0).says == "undone already"
        journal.retire()
        assert undo_one(journal, entry, host, FakeClock(), 1.0).says == "undone already"
        assert host.sent == [] and not journal.path.exists()

    def test_a_lock_held_by_another_is_told_and_the_entry_stays(self, journal):
        entry = journal.record("pause", "a", SIGNAL)
        with UndoJournal(journal.path, FakeClock()).lock(1.0):
            result = undo_one(journal, entry, FakeHost(), FakeClock(), 1.0)
        assert not result.done and "holds this journal" in result.says
        assert journal.pending() == (entry,)

    def test_the_budget_ends_it(self, journal):
        clock = FakeClock()

        class Slow(FakeHost):
            def signal(self, process: ProcessId, signal_number: int) -> bool:
                clock.wait(20.0)
                return super().signal(process, signal_number)

        host = Slow()
        for number in range(3):
            journal.record("pause", f"t{number}", UndoSignal(host.spawn(SPEC), signal.SIGCONT))
        results = undo_pending(journal, host, clock, 30.0)
        assert [result.done for result in results] == [True, True, False]
        assert "no time left" in results[2].says

    def test_only_what_is_due(self, journal):
        host = FakeHost()
        one, two = host.spawn(SPEC), host.spawn(SPEC)
        due = journal.record("pause", "a", UndoSignal(one, signal.SIGCONT), deadline_ns=1)
        later = journal.record("pause", "b", UndoSignal(two, signal.SIGCONT))
        undo_pending(journal, host, FakeClock(), 10.0, due=lambda entry: entry.deadline_ns is not None)
        assert journal.pending() == (later,) and due not in journal.pending()
