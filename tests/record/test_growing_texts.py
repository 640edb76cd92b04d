"""Texts that grow line by line: bounded, masked, whole after a kill."""

import pytest

from maul.core.errors import InternalError, MachineError
from maul.record import RunWriter
from maul.record.lines import LineFile

SECRET = "a secret long enough"


@pytest.fixture
def writer(tmp_path):
    with RunWriter.create(tmp_path, "run", secrets=[SECRET]) as made:
        yield made


def test_every_line_is_on_the_disk_before_the_run_is_closed(writer):
    assert writer.add_line("signals.jsonl", '{"at_ns":1}')
    assert writer.add_line("signals.jsonl", f'{{"says":"it has {SECRET} in it"}}')
    lines = (writer.path / "signals.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert SECRET not in lines[1]


def test_what_does_not_fit_is_left_out_and_so_is_all_that_follows(tmp_path):
    lines = LineFile(tmp_path / "x", bytes_max=10)
    assert [lines.add("12345"), lines.add("123456"), lines.add("1")] == [True, False, False]
    lines.close()
    assert (tmp_path / "x").read_text() == "12345\n"
    assert not lines.add("")


def test_after_the_end_nothing_is_added_and_names_of_tables_are_refused(writer):
    with pytest.raises(InternalError):
        writer.add_line("events.parquet", "")
    writer.close()
    assert not writer.add_line("signals.jsonl", "late")


def test_a_disk_that_refuses_is_told_once_by_flush(writer):
    (writer.path / "signals.jsonl").mkdir()
    assert not writer.add_line("signals.jsonl", "x")
    with pytest.raises(MachineError):
        writer.flush()
