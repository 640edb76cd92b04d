"""`maul heal`: after any crash, alone, from the journal."""

import signal
from pathlib import Path

import pytest

from maul.core.clock import FakeClock
from maul.core.errors import MachineError
from maul.faults.healing import heal, journals_in
from maul.hosts.fake import FakeHost
from maul.hosts.host import ProcessId, SpawnSpec
from maul.hosts.journal import UndoJournal
from maul.hosts.undo_kinds import UndoSignal, UndoSpawn

SPEC = SpawnSpec(("weed",), Path("/home"), Path("/log"), {}, Path("/run/v.json"))
DEAD_OWNER = ProcessId(9_999_999, 1)


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


@pytest.fixture
def journal(tmp_path: Path) -> UndoJournal:
    journal = UndoJournal(tmp_path / "j.jsonl", FakeClock())
    journal.claim(DEAD_OWNER)
    return journal


def test_everything_pending_is_healed_and_the_journal_goes(host, journal):
    killed, paused = host.spawn(SPEC), host.spawn(SpawnSpec(("haproxy",), Path("/"), Path("/l")))
    journal.record("process.kill", "volume", UndoSpawn(Path("/run/v.json")))
    journal.record("process.pause", "balancer", UndoSignal(paused, signal.SIGCONT))
    host.signal(killed, signal.SIGKILL)
    host.signal(paused, signal.SIGSTOP)
    report = heal(journal.path, host, FakeClock())
    assert report.all_healed and len(report.healed) == 2 and report.in_use_by is None
    assert sorted(state.letter for state in host.processes.values()) == ["S", "S"]
    assert not journal.path.exists()


def test_what_stays_hurt_is_told_and_stays_in_the_journal(host, journal):
    host.doomed.add("weed")
    host.spawn(SPEC)
    journal.record("process.kill", "volume", UndoSpawn(Path("/run/v.json")))
    report = heal(journal.path, host, FakeClock())
    assert not report.all_healed
    assert [(item.entry.target, item.done) for item in report.unhealed] == [("volume", False)]
    assert len(journal.pending()) == 1
    host.doomed.clear()
    assert heal(journal.path, host, FakeClock()).all_healed


def test_a_run_that_lives_heals_for_itself(host, journal):
    owner = host.spawn(SpawnSpec(("maul",), Path("/"), Path("/l")))
    killed = host.spawn(SPEC)
    host.signal(killed, signal.SIGKILL)
    journal.claim(owner)
    journal.record("process.kill", "volume", UndoSpawn(Path("/run/v.json")))
    report = heal(journal.path, host, FakeClock())
    assert report.in_use_by == owner and not report.healed
    assert len(host.processes) == 1
    assert len(heal(journal.path, host, FakeClock(), force=True).healed) == 1


def test_nothing_to_heal(host, journal, tmp_path):
    assert heal(journal.path, host, FakeClock()).all_healed
    assert heal(tmp_path / "absent.jsonl", host, FakeClock()).all_healed


def test_damaged_lines_are_told_and_keep_the_journal(host, journal):
    with journal.path.open("a") as file:
        file.write('{"id": "torn')
    report = heal(journal.path, host, FakeClock())
    assert report.damaged_lines == 1 and journal.path.exists()


def test_a_journal_that_cannot_be_read_is_an_error(host, tmp_path):
    with pytest.raises(MachineError):
        heal(tmp_path, host, FakeClock())


def test_journals_are_found_and_an_absent_directory_has_none(tmp_path):
    (tmp_path / "b.jsonl").write_text("")
    (tmp_path / "a.jsonl").write_text("")
    (tmp_path / "x.txt").write_text("")
    assert [path.name for path in journals_in(tmp_path)] == ["a.jsonl", "b.jsonl"]
    assert journals_in(tmp_path / "absent") == []
