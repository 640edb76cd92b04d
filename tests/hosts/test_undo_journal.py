"""The journal: on disk before the harm, readable after every kind of death."""

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maul.core.clock import FakeClock
from maul.core.errors import MachineError
from maul.hosts import journal as journal_module
from maul.hosts.host import ProcessId
from maul.hosts.journal import UndoJournal, parse
from maul.hosts.undo_kinds import (
    Undo,
    UndoKill,
    UndoRemove,
    UndoSeries,
    UndoSignal,
    UndoSpawn,
    undo_from_json,
    undo_to_json,
)

KINDS: list[Undo] = [
    UndoSpawn(Path("/run/a b.json")),
    UndoSignal(ProcessId(7, 99), 18),
    UndoKill(Path("/run"), 1.5),
    UndoRemove(Path("/lab"), "lab.json", ("conf", "data")),
    UndoSeries((UndoKill(Path("/run"), 1.5), UndoRemove(Path("/lab"), "lab.json", ("conf",)))),
]


@pytest.fixture
def journal(tmp_path: Path) -> UndoJournal:
    return UndoJournal(tmp_path / "undo" / "run.jsonl", FakeClock())


@pytest.mark.parametrize("undo", KINDS)
def test_every_kind_of_undo_survives_the_disk(journal, undo):
    entry = journal.record("some-fault", "some-target", undo, deadline_ns=5)
    assert UndoJournal(journal.path).pending() == (entry,)
    assert undo_from_json(json.loads(json.dumps(undo_to_json(undo)))) == undo


def test_a_path_that_is_not_unicode_survives(journal):
    undo = UndoSpawn(Path(os.fsdecode(b"/run/\xff.json")))
    journal.record("f", "t", undo)
    assert journal.pending()[0].undo == undo


def test_what_is_done_is_not_pending_and_twice_is_harmless(journal):
    first, second = journal.record("f", "a", KINDS[0]), journal.record("f", "b", KINDS[1])
    journal.done(first.id, "ok")
    journal.done(first.id)
    assert journal.pending() == (second,)
    assert journal.retire() is False
    journal.done(second.id)
    assert journal.retire() is True
    assert not journal.path.exists()


def test_an_absent_journal_has_nothing_pending(journal):
    assert journal.pending() == ()
    assert journal.retire() is True
    with journal.lock(0.1):
        pass


def test_the_owner_is_remembered(journal):
    journal.claim(ProcessId(3, 4))
    journal.record("f", "t", KINDS[0])
    assert journal.contents().owner == ProcessId(3, 4)


def test_the_journal_is_private(journal):
    journal.record("f", "t", KINDS[0])
    assert journal.path.stat().st_mode & 0o777 == 0o600


def test_file_and_directory_are_synced_before_record_returns(journal, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(
        journal_module.os,
        "fsync",
        lambda fd: (synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())), real(fd)),
    )
    journal.record("f", "t", KINDS[0])
    assert synced == [str(journal.path), str(journal.path.parent), str(journal.path.parent.parent)]
    synced.clear()
    journal.record("f", "t", KINDS[0])
    assert synced == [str(journal.path)]


@pytest.mark.parametrize("torn", [b'{"id": "x', b"{", b'{"done"', b"\xc3", b'{"id": "x"}', b"null", b"[1]", b"7"])
def test_a_torn_last_line_is_counted_and_the_next_line_stays_whole(journal, torn):
    first = journal.record("f", "a", KINDS[0])
    with journal.path.open("ab") as file:
        file.write(torn)
    assert journal.pending() == (first,)
    assert journal.contents().damaged_lines == 1
    second = journal.record("f", "b", KINDS[1])
    assert journal.pending() == (first, second)
    assert journal.contents().damaged_lines == 1


@given(cut=st.integers(min_value=0), entries=st.integers(1, 4))
def test_cut_anywhere_the_whole_lines_before_the_cut_are_all_there(tmp_path_factory, cut, entries):
    journal = UndoJournal(tmp_path_factory.mktemp("j") / "j.jsonl", FakeClock())
    recorded = [journal.record("f", f"t{number}", KINDS[number]) for number in range(entries)]
    journal.done(recorded[0].id)
    whole = journal.path.read_bytes()
    cut %= len(whole) + 1
    contents = parse(whole[:cut].decode())
    complete = whole[:cut].count(b"\n")
    expected = recorded[:complete] if complete <= entries else recorded[1:]
    if whole[cut : cut + 1] == b"\n":  # only the newline is missing: the line is as good as whole
        return
    assert list(contents.pending) == expected
    assert contents.damaged_lines == (0 if cut == 0 or whole[cut - 1 : cut] == b"\n" else 1)


def test_an_undo_of_a_newer_maul_is_counted_never_guessed(journal):
    line = {"id": "1", "at_ns": 1, "fault": "f", "target": "t", "undo": {"kind": "telepathy"}}
    journal.path.parent.mkdir()
    journal.path.write_text(json.dumps(line) + "\n")
    assert (journal.contents().pending, journal.contents().damaged_lines) == ((), 1)


@pytest.mark.parametrize("name", ["../etc", "a/b", "..", ".", ""])
def test_a_journal_cannot_name_what_is_outside_the_directory(name):
    for data in ({"names": [name], "marker": "m"}, {"names": [], "marker": name}):
        with pytest.raises(ValueError, match="inside"):
            undo_from_json({"kind": "remove", "directory": "/lab", **data})


@pytest.mark.parametrize("how", ["nothing written", "half written", "fsync fails"])
def test_a_full_disk_is_told_before_any_harm_and_leaves_the_journal_whole(journal, monkeypatch, how):
    first = journal.record("f", "a", KINDS[0])
    before = journal.path.read_bytes()
    real = os.write

    def no_space(*args: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if how == "fsync fails":
        monkeypatch.setattr(journal_module.os, "fsync", no_space)
    elif how == "half written":
        monkeypatch.setattr(journal_module.os, "write", lambda fd, data: real(fd, data[: len(data) // 2]))
    else:
        monkeypatch.setattr(journal_module.os, "write", no_space)
    with pytest.raises(MachineError, match="no harm is done"):
        journal.record("f", "b", KINDS[1])
    monkeypatch.undo()
    if how != "fsync fails":
        assert journal.path.read_bytes() == before
    assert journal.pending()[0] == first


def test_a_directory_that_cannot_be_made_is_a_machine_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="undo journal"):
        UndoJournal(tmp_path / "file" / "j.jsonl").record("f", "t", KINDS[0])


def test_the_lock_is_held_by_one_and_its_wait_is_bounded(journal):
    journal.record("f", "t", KINDS[0])
    with (
        journal.lock(1.0),
        pytest.raises(MachineError, match="another process holds"),
        UndoJournal(journal.path, FakeClock()).lock(1.0),
    ):
        pass
    with journal.lock(0.1):
        pass


def test_an_error_inside_the_lock_lets_go_of_it(journal):
    journal.record("f", "t", KINDS[0])
    with pytest.raises(RuntimeError), journal.lock(0.1):
        raise RuntimeError
    with journal.lock(0.1):
        pass
