"""Kills, full disks, torn files, strangers' files, secrets: the record when the world is not kind."""

import json
import multiprocessing
import shutil
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from record_rows import (
    RUN,
    add_everything,
    event,
    files_no_larger_than,
    names,
    operations,
    sample,
    summary,
)

from maul.core.errors import CampaignError, MachineError
from maul.record import RunReader, RunWriter, write_summary

MIB = 1 << 20


def write_until_killed(root: str, pipe: "Connection[str, str]") -> None:
    writer = RunWriter.create(Path(root), RUN)
    add_everything(writer, 100)
    writer.write_text("campaign.yaml", "name: doomed\n")
    writer.flush()
    writer.operations("warm-up", operations(50))  # not flushed: may be lost
    pipe.send("flushed")
    pipe.recv()  # for ever: the parent kills us here


def test_a_kill_leaves_everything_up_to_the_last_flush(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=write_until_killed, args=(str(tmp_path), theirs))
    process.start()
    try:
        assert ours.recv() == "flushed"
        assert RunReader.open("latest", tmp_path).running
    finally:
        process.kill()
        process.join()
    reader = RunReader.open("latest", tmp_path)
    assert reader.killed
    assert not reader.running
    assert reader.operations().num_rows == 100
    assert [reader.events().num_rows, reader.samples().num_rows, reader.latency().num_rows] == [1, 2, 2]
    assert reader.text("campaign.yaml") == "name: doomed\n"
    assert reader.sql("SELECT count(*) AS n FROM operations").to_pylist() == [{"n": 100}]
    with pytest.raises(CampaignError, match=r"no summary\.json(?s:.)*killed"):
        reader.summary()


def killed_run(root: Path, batches: int = 3) -> Path:
    """A run as a kill leaves it: copied while its writer has it open."""
    writer = RunWriter.create(root / "live", RUN)
    for number in range(batches):
        writer.operations("load", operations(10, number * 10))
        writer.events([event(number, f"e{number}")])
        writer.flush()
    shutil.copytree(writer.path, root / RUN)
    writer.close()
    return root / RUN


def test_a_stream_may_be_cut_at_any_byte(tmp_path: Path) -> None:
    path = killed_run(tmp_path)
    stream = path / "operations.arrows"
    whole = stream.read_bytes()
    seen: list[int] = []
    for cut in range(len(whole) - 1, 0, -37):
        stream.write_bytes(whole[:cut])
        try:
            keys = RunReader.open(path).operations()["key"].to_pylist()
        except CampaignError as error:
            assert error.where == str(stream)  # not even the schema is left
            keys = []
        assert keys == list(range(len(keys)))
        seen.append(len(keys))
    assert set(seen) == {20, 10, 0}
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    "tail", [b"\0" * 4096, b"\xff" * 4096, b"\xff\xff\xff\xff\xff\xff\xff\x7f", bytes(range(256)) * 9]
)
def test_garbage_behind_a_stream_does_not_matter(tmp_path: Path, tail: bytes) -> None:
    path = killed_run(tmp_path)
    with (path / "operations.arrows").open("ab") as file:
        file.write(tail)
    reader = RunReader.open(path)
    assert reader.killed
    assert reader.operations().num_rows == 30


def test_a_kill_during_the_close_is_a_killed_run_that_lost_nothing(tmp_path: Path) -> None:
    path = killed_run(tmp_path)
    shutil.copy(tmp_path / "live" / RUN / "operations.parquet", path / "operations.parquet")
    (path / "operations.arrows").write_bytes((path / "operations.arrows").read_bytes()[:-64])
    (path / ".events.parquet.part").write_bytes(b"PAR1 half")
    reader = RunReader.open(path)
    assert reader.killed
    assert reader.operations().num_rows == 30  # not 60: the closed file alone counts
    assert reader.events().num_rows == 3


# ---------------------------------------------------------------- full disks


def test_a_full_disk_is_told_once_and_what_was_written_stays_readable(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, RUN)
    writer.events([event(name="begin")])
    writer.operations("load", operations(1000))
    writer.flush()
    with files_no_larger_than(100_000):
        writer.operations("load", operations(5000))
        writer.samples([sample()])
        with pytest.raises(MachineError, match="no room is left on this disk") as told:
            writer.flush()
        assert told.value.where == str(writer.path)
        assert writer.failed is told.value
        writer.events([event(name="end")])
        writer.flush()
        assert writer.write_text("campaign.yaml", "name: small\n")  # a small file still fits
        assert not writer.write_text("report.html", "x" * 200_000)
        writer.close()
    assert writer.rows_lost >= 5001
    reader = RunReader.open(writer.path)
    assert not reader.killed
    assert reader.operations().num_rows == 1000
    assert reader.events()["name"].to_pylist() == ["begin"]
    assert reader.text("campaign.yaml") == "name: small\n"
    assert names(writer.path) == {
        "campaign.yaml",
        "audit.jsonl",
        *(f"{t}.arrows" for t in ("events", "samples", "latency", "operations", "exhibits")),
    }


def test_a_full_disk_never_leaves_half_a_text(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, RUN)
    write_summary(writer.path, summary("the first"))
    with files_no_larger_than(300):
        with pytest.raises(MachineError, match="no room"):
            write_summary(writer.path, summary("the second"))
        with pytest.raises(MachineError, match="no room"):
            writer.write_text("plan.json", json.dumps({"a": "x" * 1000}))
        assert not writer.write_text("plan.json", json.dumps({"a": "x" * 1000}))
    writer.close()
    assert RunReader.open(writer.path).summary().headline == "the first"
    assert not {n for n in names(writer.path) if n.endswith(".part") or n == "plan.json"}


def test_a_disk_that_fills_up_while_closing_keeps_the_streams(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, RUN)
    writer.operations("load", operations(20_000))
    writer.flush()
    with files_no_larger_than(3_000), pytest.raises(MachineError, match="no room"):
        writer.close()
    reader = RunReader.open(writer.path)
    assert not reader.killed
    assert reader.operations().num_rows == 20_000
    assert not {n for n in names(writer.path) if n.endswith(".part")}


def test_a_disk_that_is_full_from_the_start_leaves_nothing(tmp_path: Path) -> None:
    with files_no_larger_than(10), pytest.raises(MachineError, match="no room"):
        RunWriter.create(tmp_path / "runs", RUN)
    assert names(tmp_path / "runs") == set()


def test_the_reserve_is_given_back_when_the_disk_is_full(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, RUN)
    reserve = writer.path / ".reserve"
    assert reserve.stat().st_blocks * 512 >= MIB  # real blocks, not a hole
    with files_no_larger_than(2_000):
        writer.operations("load", operations(5000))
        with pytest.raises(MachineError):
            writer.flush()
    assert not reserve.exists()
    writer.close()


def test_a_stream_that_was_damaged_on_disk_is_not_thrown_away(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, RUN)
    writer.operations("load", operations(10))
    writer.flush()
    stream = writer.path / "operations.arrows"
    with stream.open("r+b") as file:
        file.truncate(stream.stat().st_size - 8)
    with pytest.raises(MachineError, match="0 of 10 rows"):
        writer.close()
    assert stream.exists()


# ---------------------------------------------------------------- paths that are no runs


def refused(run: str | Path, root: Path) -> str:
    with pytest.raises(CampaignError) as told:
        RunReader.open(run, root)
    assert told.value.exit_code == 3
    assert told.value.cure, "what to do is missing"
    return told.value.message


def test_what_is_no_run_is_named(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    assert "no runs in" in refused("latest", root)
    RunWriter.create(root, RUN).close()
    assert f"Runs in {root}: {RUN}" in refused("20260101-000000-000000", root)
    assert "holds runs and is not one itself" in refused(root, root)
    (tmp_path / "empty").mkdir()
    assert "is empty" in refused(tmp_path / "empty", root)
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "holiday.jpg").write_bytes(b"\xff\xd8")
    assert "is not a run" in refused(tmp_path / "foreign", root)
    assert "is a file" in refused(tmp_path / "foreign" / "holiday.jpg", root)
    shutil.rmtree(root / RUN)
    assert "which is gone" in refused("latest", root)


def closed_run(root: Path) -> Path:
    with RunWriter.create(root, RUN) as writer:
        add_everything(writer, 500)
    write_summary(writer.path, summary())
    return writer.path


@pytest.mark.parametrize("table", ["events", "samples", "latency", "operations"])
def test_a_table_cut_short_is_named(tmp_path: Path, table: str) -> None:
    path = closed_run(tmp_path)
    file = path / f"{table}.parquet"
    whole = file.read_bytes()
    for cut in (len(whole) - 1, len(whole) // 2, 3, 0):
        file.write_bytes(whole[:cut])
        message = refused(path, tmp_path)
        assert str(file) in message
        assert "cut short" in message or "is empty" in message
    file.unlink()
    assert f"{table}.parquet is missing" in refused(path, tmp_path) or "is not a run" in refused(path, tmp_path)


def test_flipped_bytes_in_a_table_never_pass_for_facts(tmp_path: Path) -> None:
    path = closed_run(tmp_path)
    file = path / "operations.parquet"
    whole, facts = file.read_bytes(), RunReader.open(path).operations()
    found = 0
    for place in range(4, len(whole) - 8, 61):
        data = bytearray(whole)
        data[place] ^= 0x04
        file.write_bytes(data)
        try:
            reader = RunReader.open(path)
            assert reader.operations().equals(facts), place  # a byte that means nothing
            assert reader.sql("FROM operations").num_rows == facts.num_rows
        except CampaignError as error:
            assert error.where == str(file)
            with pytest.raises(CampaignError):
                RunReader.open(path).sql("FROM operations")
            found += 1
    assert found > 50


def test_strangers_tables_are_refused(tmp_path: Path) -> None:
    path = closed_run(tmp_path)
    pq.write_table(pa.table({"a": [1]}), path / "samples.parquet")
    assert "was not written by maul" in refused(path, tmp_path)
    (path / "samples.parquet").write_bytes(b"not parquet at all, but long enough to be looked at")
    assert "is damaged or cut short" in refused(path, tmp_path)


def test_a_record_of_a_newer_maul_is_refused_as_such(tmp_path: Path) -> None:
    path = closed_run(tmp_path)
    file = path / "samples.parquet"
    table = pq.read_table(file)
    newer = {**(table.schema.metadata or {}), b"maul.record_version": b"3"}
    pq.write_table(table.replace_schema_metadata(newer), file)
    assert "made by a newer maul (record 3; this one knows 2)" in refused(path, tmp_path)
    older = {**(table.schema.metadata or {}), b"maul.record_version": b"1"}
    pq.write_table(table.replace_schema_metadata(older), file)
    assert "made by an older maul (record 1; this one reads 2)" in refused(path, tmp_path)
    other = table.rename_columns(["at_ns", "host", "probe", "metric", "subject", "number"])
    pq.write_table(other.replace_schema_metadata(table.schema.metadata), file)
    assert "does not have the columns of samples" in refused(path, tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not the summary"),
        ("{", "is not the summary"),
        ("[]", "is not the summary"),
        ('{"verdict": "PASS"}', "is not the summary"),
        ('{"schema_version": 2, "anything": true}', "made by a newer maul"),
        ('{"schema_version": "1"}', "made by a newer maul"),
        ('{"schema_version": 1, "verdict": "PASS"}', "is damaged: maul_version: Field required"),
    ],
)
def test_bad_summaries_are_named(tmp_path: Path, text: str, says: str) -> None:
    path = closed_run(tmp_path)
    (path / "summary.json").write_text(text, encoding="utf-8")
    with pytest.raises(CampaignError, match=says) as told:
        RunReader.open(path).summary()
    assert told.value.where.endswith("summary.json")
    assert told.value.cure


def test_texts_that_are_not_there_or_no_text(tmp_path: Path) -> None:
    path = closed_run(tmp_path)
    reader = RunReader.open(path)
    for name in ("nothing.txt", "../runs", "/etc/passwd", ""):
        with pytest.raises(CampaignError, match="the run has no"):
            reader.text(name)
    (path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CampaignError, match="cannot be read"):
        reader.text("binary.txt")
    assert reader.has("summary.json")
    assert not reader.has("nothing.txt")


# ---------------------------------------------------------------- secrets

SECRET = 'wJalr/XUtn+F"EMI&K7<Ü'


def test_no_file_of_a_run_holds_a_secret(tmp_path: Path) -> None:
    with RunWriter.create(tmp_path, RUN, secrets=[SECRET, "", "AKIDEXAMPLE"]) as writer:
        writer.write_text("site.yaml", f"secret: {SECRET}\nkey: AKIDEXAMPLE\n")
        writer.write_text("plan.json", json.dumps({"s3": {"secret": SECRET, SECRET: [1, None, SECRET]}}))
        writer.write_text("url.txt", "https://h/?k=wJalr%2FXUtn%2BF%22EMI%26K7%3C%C3%9C")
        writer.events([event(says=f"denied: {SECRET}", key={"deep": [SECRET]}, **{"AKIDEXAMPLE": 1})])
        writer.flush()
        assert_no_secret(writer.path)
    assert_no_secret(writer.path)
    reader = RunReader.open(writer.path)
    assert reader.text("site.yaml") == "secret: ****\nkey: ****\n"
    assert json.loads(reader.text("plan.json")) == {"s3": {"secret": "****", "****": [1, None, "****"]}}
    assert reader.events()["says"].to_pylist() == ["denied: ****"]
    assert json.loads(reader.events()["details"][0].as_py()) == {"key": {"deep": ["****"]}, "****": 1}


def assert_no_secret(path: Path) -> None:
    spellings = [
        SECRET,
        "AKIDEXAMPLE",
        "XUtn",
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
    ]
    for file in path.iterdir():
        data = file.read_bytes()
        assert not [s for s in spellings if s.encode() in data], file.name


def test_masking_digits_does_not_break_numbers(tmp_path: Path) -> None:
    with RunWriter.create(tmp_path, RUN, secrets=["17000000"]) as writer:
        writer.write_text("plan.json", json.dumps({"at": 1700000000, "text": "17000000"}))
        assert json.loads(RunReader.open(writer.path).text("plan.json")) == {"at": 1700000000, "text": "****"}


def test_a_secret_too_short_to_hide_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="fewer than 4 characters") as told:
        RunWriter.create(tmp_path, RUN, secrets=["q!z"])
    assert "q!z" not in told.value.message
    assert names(tmp_path) == set()
