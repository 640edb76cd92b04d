import json
import math
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from record_rows import RUN, T0_NS, Row, add_everything, event, names, operations, sample, summary

from maul.core.errors import CampaignError, InternalError
from maul.core.operation import OPERATION_DTYPE
from maul.core.summary import GeneratorSummary
from maul.record import RunReader, RunWriter, write_summary
from maul.record.audit import AUDIT

PARQUET = {"events.parquet", "samples.parquet", "latency.parquet", "operations.parquet", "exhibits.parquet"}
STREAMS = {"events.arrows", "samples.arrows", "latency.arrows", "operations.arrows", "exhibits.arrows"}


def test_a_closed_run_holds_parquet_only_and_reads_back_what_was_written(tmp_path: Path) -> None:
    with RunWriter.create(tmp_path / "runs", RUN) as writer:
        add_everything(writer, count=10)
    assert names(writer.path) == PARQUET | {AUDIT}
    reader = RunReader.open(writer.path)
    assert (reader.run_id, reader.killed, reader.running) == (RUN, False, False)
    assert reader.events().to_pylist() == [
        {
            "at_ns": T0_NS,
            "kind": "phase",
            "edge": "began",
            "name": "warm-up",
            "says": "",
            "details": '{"kind": "warm-up"}',
        }
    ]
    values = reader.samples()["value"].to_pylist()
    assert values[0] == 0.25
    assert math.isnan(values[1])
    assert reader.latency().to_pylist()[1] == {
        "second": 1_700_000_000,
        "phase": "warm-up",
        "op": 1,
        "outcome": 0,
        "kind": "lag",
        "count": 3,
        "hdr": Row().hdr,
        "tenant": 0,
    }
    shown = reader.exhibits().to_pylist()
    assert [(row["reason"], row["request_id"], row["offset"]) for row in shown] == [
        ("slowest", "id-1", None),
        ("error", "", 4096),
    ]
    assert (shown[1]["expected"], shown[1]["found"], shown[1]["end_ns"]) == (
        "version 1",
        "version 2",
        int(operations(2)["end_ns"][1]),
    )
    back = reader.operations()
    for name in OPERATION_DTYPE.names or ():
        assert back[name].to_numpy().tolist() == operations(10)[name].tolist(), name
        assert back[name].to_numpy().dtype == OPERATION_DTYPE[name], name


def test_a_running_run_is_readable_up_to_the_last_flush(tmp_path: Path) -> None:
    with RunWriter.create(tmp_path, RUN) as writer:
        writer.operations("load", operations(5))
        writer.flush()
        writer.operations("load", operations(7))
        reader = RunReader.open("latest", tmp_path)
        assert reader.running
        assert not reader.killed
        assert reader.operations().num_rows == 5
        assert names(writer.path) >= STREAMS
        writer.flush()
        assert reader.operations().num_rows == 12
    assert reader.operations().num_rows == 12  # the streams went away under the reader


def test_events_come_back_in_order_of_time_and_stable(tmp_path: Path) -> None:
    with RunWriter.create(tmp_path, RUN) as writer:
        writer.events([event(2, "last"), *(event(1, f"{n}") for n in range(200))])
        writer.flush()
        writer.events([event(0, "first"), event(1, "200")])
    found = RunReader.open(writer.path).events()["name"].to_pylist()
    assert found == ["first", *(f"{n}" for n in range(201)), "last"]


def test_an_empty_run_has_empty_tables(tmp_path: Path) -> None:
    with RunWriter.create(tmp_path, RUN) as writer:
        writer.events([])
        writer.operations("load", operations(0))
        writer.flush()
    reader = RunReader.open(writer.path)
    assert [t.num_rows for t in (reader.events(), reader.samples(), reader.latency(), reader.operations())] == [0] * 4


def test_latest_follows_the_newest_run_and_never_dangles_in_between(tmp_path: Path) -> None:
    RunWriter.create(tmp_path, "r1").close()
    assert (tmp_path / "latest").readlink() == Path("r1")
    RunWriter.create(tmp_path, "r2").close()
    assert (tmp_path / "latest").readlink() == Path("r2")
    assert names(tmp_path) == {"r1", "r2", "latest"}
    assert RunReader.open("r1", tmp_path).run_id == "r1"
    assert RunReader.open(tmp_path / "latest").run_id == "r2"


def test_a_directory_in_the_place_of_latest_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "latest").mkdir()
    with pytest.raises(CampaignError, match="is in the way"):
        RunWriter.create(tmp_path, RUN)
    assert names(tmp_path) == {"latest"}


def test_a_run_is_never_written_twice(tmp_path: Path) -> None:
    RunWriter.create(tmp_path, RUN).close()
    with pytest.raises(CampaignError, match="there is a run of this name"):
        RunWriter.create(tmp_path, RUN)
    assert RunReader.open(RUN, tmp_path).events().num_rows == 0


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "latest", ".hidden", "x" * 200, "a\nb"])
def test_names_that_would_escape_or_hide_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CampaignError, match="cannot name a run"):
        RunWriter.create(tmp_path, name)
    assert names(tmp_path) == set()


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    threads, rounds = 6, 40
    writer = RunWriter.create(tmp_path, RUN)

    def work(number: int) -> None:
        for turn in range(rounds):
            key = (number * rounds + turn) * 10
            writer.operations("load", operations(10, key))
            writer.samples([sample(key)])
            writer.events([event(turn, f"{number}")])
            if turn % 7 == 0:
                writer.flush()

    pool = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    writer.close()
    reader = RunReader.open(writer.path)
    assert sorted(reader.operations()["key"].to_pylist()) == list(range(threads * rounds * 10))
    assert reader.samples().num_rows == reader.events().num_rows == threads * rounds
    assert writer.rows_lost == 0


def test_memory_is_bounded_when_nobody_flushes(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, RUN)
    each = 50_000
    bytes_each = each * (OPERATION_DTYPE.itemsize + 8)
    for _ in range(8):
        writer.operations("load", operations(each))
    # 8 * 3.6 MB were given; at most 16 MiB and the last addition may still be in memory.
    on_disk = (writer.path / "operations.arrows").stat().st_size
    assert on_disk >= 8 * bytes_each - (16 << 20) - bytes_each
    assert on_disk > 0
    writer.close()
    assert RunReader.open(writer.path).operations().num_rows == 8 * each


def test_what_is_added_after_the_end_is_counted_as_lost(tmp_path: Path) -> None:
    writer = RunWriter.create(tmp_path, RUN)
    writer.close()
    writer.samples([sample(), sample()])
    writer.flush()
    writer.close()
    assert writer.rows_lost == 2


def test_operations_of_another_layout_are_a_bug_of_ours(tmp_path: Path) -> None:
    with RunWriter.create(tmp_path, RUN) as writer:
        with pytest.raises(InternalError):
            writer.operations("load", np.zeros(3, np.uint64))
        with pytest.raises(InternalError):
            writer.operations("load", np.zeros((2, 2), OPERATION_DTYPE))


def test_the_array_may_be_reused_by_its_owner(tmp_path: Path) -> None:
    array = operations(3)
    with RunWriter.create(tmp_path, RUN) as writer:
        writer.operations("load", array)
        array["key"] = 99
    assert RunReader.open(writer.path).operations()["key"].to_pylist() == [0, 1, 2]


def test_texts_are_whole_or_absent(tmp_path: Path) -> None:
    with RunWriter.create(tmp_path, RUN) as writer:
        assert writer.write_text("campaign.yaml", "name: erste Prüfung\n")
        assert writer.write_text("campaign.yaml", "name: zweite\n")
        assert RunReader.open(writer.path).text("campaign.yaml") == "name: zweite\n"
        for bad in ("../escape", "a/b", ".recording", "events.parquet", ""):
            with pytest.raises(InternalError):
                writer.write_text(bad, "x")
    assert not any(name.endswith(".part") for name in names(writer.path))
    assert names(tmp_path) == {RUN, "latest"}


def test_details_are_json_even_with_numbers_that_json_does_not_know(tmp_path: Path) -> None:
    with RunWriter.create(tmp_path, RUN) as writer:
        writer.events([event(ratio=float("nan"), of=[float("inf"), 1.5], path=Path("x"), nested={"a": (1, 2)})])
    details = json.loads(RunReader.open(writer.path).events()["details"][0].as_py(), parse_constant=pytest.fail)
    assert details == {"ratio": None, "of": [None, 1.5], "path": "x", "nested": {"a": [1, 2]}}


def test_sql_over_a_closed_and_over_a_running_run(tmp_path: Path) -> None:
    query = "SELECT phase, count(*) AS n, sum(bytes) AS b FROM operations GROUP BY phase"
    writer = RunWriter.create(tmp_path, RUN)
    add_everything(writer, 10)
    writer.flush()
    running = RunReader.open(writer.path).sql(query).to_pylist()
    writer.close()
    assert running == RunReader.open(writer.path).sql(query).to_pylist() == [{"phase": "warm-up", "n": 10, "b": 0}]
    joined = "SELECT e.name, s.value FROM events e, samples s, latency l WHERE s.value < 1 AND l.kind = 'lag'"
    assert RunReader.open(writer.path).sql(joined).to_pylist() == [{"name": "warm-up", "value": 0.25}]


@pytest.mark.parametrize(
    "query",
    [
        "SELEC 1",
        "SELECT * FROM nowhere",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY events TO '{path}/stolen.csv'",
        "ATTACH '{path}/other.db'",
        "SET enable_external_access = true",
        "SELECT * FROM secret_variable",
    ],
)
def test_sql_that_is_wrong_or_reaches_outside_is_refused(tmp_path: Path, query: str) -> None:
    secret_variable = pa.table({"a": [1]})  # DuckDB would find the caller's variables if it were let
    assert secret_variable.num_rows
    RunWriter.create(tmp_path, RUN).close()
    with pytest.raises(CampaignError, match="DuckDB refuses"):
        RunReader.open(RUN, tmp_path).sql(query.format(path=tmp_path))
    assert names(tmp_path) == {RUN, "latest"}


def test_a_summary_comes_back_as_it_went(tmp_path: Path) -> None:
    with RunWriter.create(tmp_path, RUN) as writer:
        pass
    write_summary(writer.path, summary("an older judgement"))
    write_summary(writer.path, summary("held 1,200/s – “gut”"))
    assert RunReader.open(writer.path).summary() == summary("held 1,200/s – “gut”")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_summary_that_is_no_json_is_not_written(tmp_path: Path, number: float) -> None:
    generator = GeneratorSummary(
        shards=1, requests=0, cpu_seconds=0, cpu_us_per_request=number, lag_p50_ms=0, lag_p99_ms=0,
        lag_max_ms=0, late=0, dropped=0, records_lost=0, bound=False, says="",
    )  # fmt: skip
    broken = summary().model_copy(update={"generator": generator})
    with pytest.raises(InternalError):
        write_summary(tmp_path, broken)
    assert names(tmp_path) == set()


def test_a_summary_of_another_shape_is_not_written(tmp_path: Path) -> None:
    broken = summary().model_copy(update={"exit_code": None})
    with pytest.raises(InternalError):
        write_summary(tmp_path, broken)
    assert names(tmp_path) == set()
