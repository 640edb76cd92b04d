"""The dead-man helper: decisions as a table, then real deaths of a real owner."""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from maul.core.errors import MachineError, UnhealedError
from maul.hosts import deadman as deadman_module
from maul.hosts.deadman import DeadMan
from maul.hosts.host import ProcessId, ProcessState, SpawnSpec
from maul.hosts.journal import UndoJournal
from maul.hosts.local import LocalHost, parse_stat
from maul.hosts.pidfile import read_pidfile
from maul.hosts.reaper import Step, View, decide
from maul.hosts.undo_kinds import UndoSignal, UndoSpawn

HOST = LocalHost()
SERVICE = (sys.executable, "-S", "-c", "import time; time.sleep(60)")

# Stands for maul: arms the helper, writes one harm to the journal, does it, says so, waits for its fate.
OWNER = """
import os, signal, sys, time
from pathlib import Path
from maul.hosts.deadman import DeadMan
from maul.hosts.journal import UndoJournal
from maul.hosts.local import LocalHost
from maul.hosts.pidfile import read_pidfile
from maul.hosts.undo_kinds import UndoSpawn
folder, ending = Path(sys.argv[1]), sys.argv[2]
lease = 1.0 if ending == "hang" else None
deadline = time.time_ns() if ending == "deadline" else None
journal = UndoJournal(folder / "undo.jsonl")
deadman = DeadMan.arm(journal, lease_s=lease, budget_s=20.0, log=folder / "helper.log")
if ending == "leak":
    heir = os.fork()
    if heir == 0:  # inherits the pipe: its end will not tell that we died
        time.sleep(60)
    (folder / "heir").write_text(str(heir))
host, pidfile = LocalHost(), folder / "service.json"
deadman.journal.record("process.kill", "service", UndoSpawn(pidfile), deadline)
host.signal(read_pidfile(host, pidfile).process, signal.SIGKILL)
print("helper", deadman._helper.pid, flush=True)
if ending == "disarm":
    deadman.disarm()
    print("disarmed", flush=True)
if ending == "raise":
    raise SystemExit(3)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("view", "step"),
    [
        (View(), Step.WAIT),
        (View(overdue=1), Step.UNDO_OVERDUE),
        (View(pipe_ended=True), Step.UNDO_ALL),
        (View(parent_lives=False), Step.UNDO_ALL),
        (View(terminated=True), Step.UNDO_ALL),
        (View(lease_left_s=0.1), Step.WAIT),
        (View(lease_left_s=0.0), Step.UNDO_ALL),
        (View(lease_left_s=-1.0), Step.UNDO_ALL),
        (View(lease_left_s=-1.0, overdue=1), Step.UNDO_ALL),
        (View(disarmed=True, pipe_ended=True, parent_lives=False, overdue=1, lease_left_s=-1.0), Step.GO),
    ],
)
def test_what_the_helper_decides(view, step):
    assert decide(view) is step


def named_in(path: Path) -> ProcessId | None:
    named = read_pidfile(HOST, path)
    return None if named is None else named.process


def identity(pid: int) -> ProcessId:
    return ProcessId(pid, parse_stat(Path(f"/proc/{pid}/stat").read_text())[1])


def await_end(process: ProcessId, limit_s: float = 15.0) -> None:
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if HOST.process(process) is not None:
            assert select.select([descriptor], [], [], limit_s)[0], f"{process} did not end within {limit_s} s"
    finally:
        os.close(descriptor)
    HOST.process(process)


def await_text(path: Path, text: str) -> str:
    for _ in range(2_000_000):
        content = path.read_text() if path.exists() else ""
        if text in content and content.endswith("\n"):
            return content
    raise AssertionError(f"{text!r} never came: {path.read_text() if path.exists() else 'no file'}")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ProcessId]:
    spec = SpawnSpec(SERVICE, tmp_path, tmp_path / "service.log", {}, tmp_path / "service.json")
    yield HOST.spawn(spec)
    HOST.signal(named_in(tmp_path / "service.json"), signal.SIGKILL)


@pytest.fixture
def own(tmp_path: Path, service: ProcessId) -> Iterator[Callable[[str], tuple[ProcessId, ProcessId]]]:
    started: list[ProcessId] = []

    def start(ending: str) -> tuple[ProcessId, ProcessId]:
        argv = (sys.executable, "-c", OWNER, str(tmp_path), ending)
        owner = HOST.spawn(SpawnSpec(argv, tmp_path, tmp_path / "owner.log", {"PATH": os.environ["PATH"]}))
        started.append(owner)
        helper = identity(int(await_text(tmp_path / "owner.log", "helper").split()[1]))
        started.append(helper)
        return owner, helper

    yield start
    for process in started:
        HOST.signal(process, signal.SIGKILL)


def healed(tmp_path: Path, victim: ProcessId) -> bool:
    now = named_in(tmp_path / "service.json")
    return now != victim and HOST.process(now) is not None


def test_kill_9_of_maul_is_healed_by_the_helper(own, service, tmp_path):
    owner, helper = own("sleep")
    await_end(service)  # otherwise the harm was not done, and this test would prove nothing
    HOST.signal(owner, signal.SIGKILL)
    await_end(helper)
    assert healed(tmp_path, service)
    assert not (tmp_path / "undo.jsonl").exists(), "the journal is retired when all is undone"
    assert "undone: process.kill of service" in (tmp_path / "helper.log").read_text()


def test_so_is_a_maul_that_ends_without_a_word(own, service, tmp_path):
    _, helper = own("raise")
    await_end(helper)
    assert healed(tmp_path, service)


def test_so_is_a_maul_that_hangs_past_its_lease(own, service, tmp_path):
    owner, helper = own("hang")
    HOST.signal(owner, signal.SIGSTOP)
    await_end(helper)
    assert healed(tmp_path, service)


def test_so_is_a_harm_past_its_deadline_and_the_helper_watches_on(own, service, tmp_path):
    owner, helper = own("deadline")
    await_text(tmp_path / "helper.log", "undone")
    assert healed(tmp_path, service)
    assert isinstance(HOST.process(helper), ProcessState)
    HOST.signal(owner, signal.SIGKILL)
    await_end(helper)


def test_a_pipe_held_open_by_a_stranger_does_not_hide_the_death(own, service, tmp_path):
    owner, helper = own("leak")
    heir = identity(int((tmp_path / "heir").read_text()))
    try:
        HOST.signal(owner, signal.SIGKILL)
        await_end(helper)
        assert HOST.process(heir) is not None
        assert healed(tmp_path, service)
    finally:
        HOST.signal(heir, signal.SIGKILL)


def test_a_disarmed_helper_undoes_nothing(own, service, tmp_path):
    owner, helper = own("disarm")
    await_text(tmp_path / "owner.log", "disarmed")
    assert HOST.process(helper) is None
    HOST.signal(owner, signal.SIGKILL)
    await_end(owner)
    assert not healed(tmp_path, service)
    assert len(UndoJournal(tmp_path / "undo.jsonl").pending()) == 1


def test_sigterm_heals_and_sigint_does_not_reach_it(own, service, tmp_path):
    _, helper = own("sleep")
    HOST.signal(helper, signal.SIGINT)
    assert HOST.process(helper) is not None
    HOST.signal(helper, signal.SIGTERM)
    await_end(helper)
    assert healed(tmp_path, service)


def test_leaving_the_block_undoes_what_is_pending(service, tmp_path):
    with DeadMan.arm(UndoJournal(tmp_path / "undo.jsonl")) as deadman:
        deadman.journal.record("process.kill", "service", UndoSpawn(tmp_path / "service.json"))
        HOST.signal(service, signal.SIGKILL)
        await_end(service)
        deadman.renew()
        assert deadman.armed
    assert healed(tmp_path, service)
    assert not deadman.armed
    assert not (tmp_path / "undo.jsonl").exists()


def test_what_cannot_be_undone_is_an_unhealed_error_and_stays_on_disk(tmp_path):
    (tmp_path / "service.json").write_text("{")
    with (
        pytest.raises(UnhealedError, match="maul heal"),
        DeadMan.arm(UndoJournal(tmp_path / "j.jsonl")) as deadman,
    ):
        deadman.journal.record("process.kill", "service", UndoSpawn(tmp_path / "service.json"))
    assert len(UndoJournal(tmp_path / "j.jsonl").pending()) == 1


def test_it_does_not_hide_the_error_that_ended_the_block(tmp_path):
    (tmp_path / "service.json").write_text("{")
    with pytest.raises(RuntimeError, match="mine"), DeadMan.arm(UndoJournal(tmp_path / "j.jsonl")) as deadman:
        deadman.journal.record("process.kill", "service", UndoSpawn(tmp_path / "service.json"))
        raise RuntimeError("mine")


def test_a_dead_helper_is_noticed_at_the_next_renewal(tmp_path):
    with DeadMan.arm(UndoJournal(tmp_path / "j.jsonl")) as deadman:
        helper = identity(deadman._helper.pid)
        HOST.signal(helper, signal.SIGKILL)
        deadman._helper.wait(5)
        assert not deadman.armed
        with pytest.raises(MachineError, match="helper is gone"):
            deadman.renew()


def test_a_helper_that_cannot_start_means_no_harm(tmp_path, monkeypatch):
    monkeypatch.setattr(deadman_module.sys, "executable", "/bin/false")
    with pytest.raises(MachineError, match="did not start"):
        DeadMan.arm(UndoJournal(tmp_path / "j.jsonl"))


def test_the_helper_needs_nothing_but_the_standard_library(tmp_path):
    """It must start when site-packages is broken, the disk is full of wheels, or memory is short."""
    code = (
        "import sys, maul.hosts.reaper;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))"
    )
    src = str(Path(deadman_module.__file__).parents[2])
    done = HOST.run((sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {src!r}); {code}"), 20.0)
    assert done.stderr == b""
    assert set(done.stdout.decode().split()) <= {"__main__", "__mp_main__", "maul"}


def test_an_undo_signal_reaches_the_same_process_after_our_death(own, service, tmp_path):
    """Signals are journalled by pid and start time: a new process under the old pid would be left alone."""
    journal = UndoJournal(tmp_path / "other.jsonl")
    journal.record("process.pause", "x", UndoSignal(ProcessId(service.pid, service.start_ticks + 5), signal.SIGKILL))
    with DeadMan.arm(journal):
        pass
    assert HOST.process(service) is not None
