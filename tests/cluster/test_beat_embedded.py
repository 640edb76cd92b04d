"""`maul beat` on its own lab, from the first word to the last: whole, interrupted, killed."""

import json
import time
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.compute as pc
import pytest
from beat_runs import INTERRUPT, KILL, Beat, campaign, everything_in, keys_in, left_in_state, maul

from maul.core.errors import ExitCode
from maul.core.event import EventKind
from maul.core.summary import Ending, Summary
from maul.core.verdict import Verdict
from maul.record import RunReader
from waiting import wait_for

pytestmark = pytest.mark.cluster
SECOND = 10**9


@pytest.fixture(scope="module")
def whole(lab_base: Path, tmp_path_factory: pytest.TempPathFactory):
    """A run that nobody disturbs; its exit code, and the keys of its lab."""
    folder = tmp_path_factory.mktemp("whole")
    with Beat(folder, campaign(folder / "c.yaml")) as beat:
        beat.until("the lab is up")
        (conf,) = (lab_base / "state" / "labs").glob("beat-*/conf")
        keys = keys_in(conf)
        code = beat.end()
    return beat, code, keys


def test_it_passes_and_its_directory_is_complete(whole):
    beat, code, _ = whole
    assert code == ExitCode.PASS, beat.said
    run = beat.record
    assert {path.name for path in run.path.iterdir()} == {
        "campaign.yaml", "site.yaml", "plan.json", "events.parquet", "samples.parquet", "latency.parquet",
        "operations.parquet", "exhibits.parquet", "listings.json", "audit.jsonl", "summary.json", "report.html",
        "junit.xml", "signals.jsonl",
        "lab-logs",
    }  # fmt: skip
    assert (run.path / "campaign.yaml").read_text() == (beat.folder / "c.yaml").read_text()
    assert len(list((run.path / "lab-logs").iterdir())) == 12
    assert left_in_state() == []


def test_its_summary_keeps_the_schema_and_tells_the_whole_story(whole):
    beat, code, _ = whole
    summary = Summary.model_validate_json((beat.record.path / "summary.json").read_text())
    assert (summary.ending, summary.verdict, summary.exit_code) == (Ending.COMPLETED, Verdict.PASS, code)
    assert [phase.name for phase in summary.phases] == ["fill", "hurt", "audit", "tidy"]
    (fault,) = summary.faults
    assert fault.proven and fault.healed and fault.healed_ns - fault.began_ns > 3 * SECOND
    assert summary.audit.complete and summary.audit.objects >= 120
    hurt = next(phase for phase in summary.phases if phase.name == "hurt")
    assert hurt.offered == hurt.ok + hurt.fail + hurt.unknown + hurt.dropped == 400
    assert summary.generator.requests >= 400 and not summary.generator.records_lost


def test_report_rebuilds_the_same_summary_from_the_record_alone(whole, capsys):
    beat, code, _ = whole
    path = beat.record.path
    before = (path / "summary.json").read_bytes()
    for name in ("summary.json", "report.html", "junit.xml"):
        (path / name).unlink()
    assert maul(capsys, "report", path)[0] == code
    assert (path / "summary.json").read_bytes() == before
    suites = ElementTree.parse(path / "junit.xml").getroot()
    cases = list(suites.iter("testcase"))
    assert len(cases) == len(json.loads(before)["checks"]) and not list(suites.iter("failure"))
    assert "<title>" in (path / "report.html").read_text(encoding="utf-8")


def test_no_key_of_the_lab_is_in_any_file_of_the_run(whole):
    beat, _, keys = whole
    everything = everything_in(beat.record)
    for key in keys:
        assert key.encode() not in everything
        assert key not in beat.said


@pytest.fixture(scope="module")
def interrupted(lab_base: Path, tmp_path_factory: pytest.TempPathFactory):
    """Ctrl-C while a volume server is down."""
    folder = tmp_path_factory.mktemp("interrupted")
    with Beat(folder, campaign(folder / "c.yaml", seconds="60s")) as beat:
        beat.until("kill-volume: proven")
        at_ns, began = beat.signal(INTERRUPT), time.monotonic()
        code = beat.end(30)
    return beat, code, at_ns, time.monotonic() - began


def test_after_ctrl_c_traffic_stops_and_the_process_ends_soon(interrupted):
    beat, code, at_ns, took_s = interrupted
    assert code == ExitCode.UNKNOWN, beat.said
    last_ns = pc.max(beat.record.operations()["end_ns"]).as_py()
    assert (last_ns - at_ns) / SECOND < 1.5, "traffic went on"
    assert took_s < 15.0
    assert left_in_state() == []


def test_after_ctrl_c_what_was_hurt_is_healed_and_the_report_is_there(interrupted):
    beat, _, at_ns, _ = interrupted
    run = beat.record
    assert not run.killed
    summary = run.summary()
    assert (summary.ending, summary.exit_code) == (Ending.INTERRUPTED, ExitCode.UNKNOWN)
    (fault,) = summary.faults
    assert fault.proven and fault.healed and fault.healed_ns > at_ns
    assert [phase.name for phase in summary.phases] == ["fill", "hurt"]
    assert "interrupted by SIGINT" in summary.headline and "interrupted by SIGINT" in beat.said
    assert run.has("report.html") and run.has("junit.xml")


def test_ctrl_c_while_the_lab_comes_up_leaves_nothing(tmp_path, look_for_leaks):
    with Beat(tmp_path, campaign(tmp_path / "c.yaml")) as beat:
        beat.until("starting 4 volume servers")
        beat.signal(INTERRUPT)
        code = beat.end(15)
    assert code == ExitCode.UNKNOWN and "maul: interrupted" in beat.said
    assert look_for_leaks() == {} and left_in_state() == []
    assert not (tmp_path / "runs").exists()


def test_kill_9_while_a_server_is_down_leaves_a_record_and_nothing_else(tmp_path, look_for_leaks, capsys):
    with Beat(tmp_path, campaign(tmp_path / "c.yaml", seconds="60s")) as beat:
        beat.until("kill-volume: proven")
        assert wait_for(lambda: fault_is_recorded(tmp_path), 5), "the record is flushed every half second"
        beat.signal(KILL)
        beat.process.wait(5)
    assert wait_for(lambda: not look_for_leaks() and not left_in_state(), 15), (look_for_leaks(), left_in_state())
    run = beat.record
    assert run.killed and run.operations().num_rows > 120
    code, out, _ = maul(capsys, "report", run.path)
    summary = run.summary()
    assert (code, summary.exit_code, summary.ending) == (ExitCode.UNHEALED, ExitCode.UNHEALED, Ending.KILLED)
    assert [fault.healed for fault in summary.faults] == [False]
    assert "maul was killed" in out
    assert maul(capsys, "heal")[:2] == (0, "nothing to heal\n"), "the helper has healed it"


def fault_is_recorded(folder: Path) -> bool:
    rows = RunReader.open("latest", folder / "runs").events().to_pylist()
    return any(row["kind"] == EventKind.FAULT and row["edge"] == "began" for row in rows)
