"""The last door: bugs, readers that go away, letters that a terminal lacks, and the verbs on records and journals."""

import contextlib
import io
import json
import os
import re
import sys
import tempfile
from pathlib import Path

import pytest

from maul import campaign
from maul.cli import main as cli
from maul.cli import screen
from maul.cli.live import Screen
from maul.conduct.conductor import Beaten
from maul.conduct.drive import as_mapping
from maul.conduct.hit import HitResult
from maul.conduct.judge import judge
from maul.conduct.progress import PhaseProgress
from maul.core.errors import ExitCode, GuardError, InternalError, UnhealedError
from maul.core.event import Edge, Event, EventKind
from maul.core.generator import GeneratorState, GeneratorStatus
from maul.core.summary import Ending
from maul.hosts.host import ProcessId
from maul.hosts.journal import UndoJournal
from maul.hosts.local import own_process_id
from maul.hosts.undo_kinds import UndoRemove, UndoSignal
from maul.lab.health import RoleStatus
from maul.lab.sketch import sketch_site
from maul.plan import Hit, build, to_json
from maul.plan import hit as plan_hit
from maul.record import RunReader, RunWriter

RUN = "20261122-214512-3fa09c"


# ---------------------------------------------------------------- errors


@pytest.fixture
def bug(monkeypatch, tmp_path):
    """`maul plan` fails with an error."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def fails(error):
        def planned(*given, **more):
            raise error

        monkeypatch.setattr("maul.cli.plan.planned", planned)

    return fails


@pytest.mark.parametrize("error", [ZeroDivisionError("x / 0"), KeyError("phase"), RecursionError(), MemoryError()])
def test_a_bug_is_one_message_and_a_file(maul, bug, tmp_path, error):
    bug(error)
    answer = maul("plan")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"maul: a bug in maul, not in what it tested: {type(error).__name__}")
    (trace,) = tmp_path.iterdir()
    assert str(trace) in answer.err
    assert "Traceback" in trace.read_text() and type(error).__name__ in trace.read_text()


def test_a_bug_where_there_is_no_room_for_its_trace(maul, bug, monkeypatch):
    bug(ZeroDivisionError("x / 0"))

    def full(**given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    answer = maul("plan")
    assert answer.code == 2 and "no room to save the trace" in answer.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GuardError("too many errors", "", "look"), 5),
        (UnhealedError("a volume server is down", "volume-r1-1", "run: maul heal"), 6),
        (InternalError("the engine broke down"), 2),
        (KeyboardInterrupt(), 2),
    ],
)
def test_every_error_has_its_exit_code_and_leaves_no_trace(maul, bug, tmp_path, error, code):
    bug(error)
    answer = maul("plan")
    assert answer.code == code and answer.err.startswith("maul: ")
    assert list(tmp_path.iterdir()) == []


def test_brackets_in_a_message_are_not_taken_for_colours(maul, bug):
    bug(GuardError("[red]no[/red] [/nothing] [Errno 5]"))
    assert "[red]no[/red] [/nothing] [Errno 5]" in maul("plan").err


# ---------------------------------------------------------------- readers that go away, letters that are missing


@contextlib.contextmanager
def nobody_reads(monkeypatch, name):
    """Standard output or error is a pipe whose reader has gone. Not a fixture: pytest would put its own there again."""
    reading, writing = os.pipe()
    os.close(reading)
    with monkeypatch.context() as patch, os.fdopen(writing, "w", encoding="utf-8") as stream:
        patch.setattr(sys, name, stream)
        yield


@pytest.mark.parametrize(
    ("words", "code"), [(["plan"], 0), (["plan", "--json"], 0), (["campaign", "schema"], 0), (["--version"], 0)]
)
def test_an_answer_that_nobody_reads_is_no_error(monkeypatch, words, code):
    with nobody_reads(monkeypatch, "stdout"):
        assert cli.run(words) == code


def test_a_verdict_that_nobody_reads_is_a_verdict(monkeypatch):
    recorded(Path("runs"), Ending.GUARD)
    monkeypatch.setattr(screen.OUT, "quiet", False)  # it falls silent, and the tests after this one read it
    for words in (["report"], ["report", "--json"]):
        with nobody_reads(monkeypatch, "stdout"):
            assert cli.run(words) == 5


def test_help_that_nobody_reads_ends_without_a_word(monkeypatch, capfd):
    with nobody_reads(monkeypatch, "stdout"):
        assert cli.run(["--help"]) in (ExitCode.PASS, ExitCode.UNKNOWN)
    assert capfd.readouterr().err == ""


def test_a_run_goes_on_when_nobody_reads_its_progress(monkeypatch):
    """Rich would end the program here, with exit code 1: a verdict that nobody gave."""
    monkeypatch.setattr(screen.ERR, "quiet", False)
    with nobody_reads(monkeypatch, "stderr"):
        told = Screen(screen.ERR)
        for _ in range(3):
            told.step("a line")
            told.phase(PhaseProgress("calm", 1.0, 1.0, 1.0, 5.0, 5.0, None, 0, 0, 0))
        told.close()
        screen.step("another")
        screen.complain("and another")


def test_a_terminal_that_lacks_a_letter_ends_nothing(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    err = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(sys, "argv", ["maul", "plan", "ü–×.yaml"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    err.flush()
    assert left.value.code == 3
    assert b"no such file" in err.buffer.getvalue()


# ---------------------------------------------------------------- hits


@pytest.mark.parametrize(
    ("ok", "why", "code"), [(5, "", 0), (0, "", 1), (5, "interrupted by SIGINT", 2), (5, "lease", 2)]
)
def test_a_hit_says_how_it_ended_and_what_it_left(maul, monkeypatch, ok, why, code):
    request = Hit(url="http://127.0.0.1:9", concurrency=1)
    status = as_mapping(GeneratorStatus(GeneratorState.DONE, completed=5, ok=ok, fail=5 - ok, elapsed_s=1.0))
    result = HitResult(
        plan=plan_hit(request, RUN, 1), request=request, open_loop=False, status=status, latency=None, service=None,
        first_byte=None, lag=None, cpu_seconds=0.5, interrupted=why, left=1234 if why else 0,
    )  # fmt: skip
    monkeypatch.setattr("maul.cli.hit.run_hit", lambda *given: result)
    answer = maul("hit", "http://127.0.0.1:9")
    assert (answer.code, answer.err) == (code, "")
    assert f"{ok} ok, {5 - ok} fail" in answer.out
    assert ("ended before its time: " + why in answer.out) is bool(why)
    assert (f"up to 1,234 of its objects are left under maul/{RUN}/" in answer.out) is bool(why)
    assert json.loads(maul("hit", "http://127.0.0.1:9", "--json").out)["stopped"] == why


# ---------------------------------------------------------------- records


def recorded(root, ending: Ending | None, exit_code=ExitCode.PASS, name=RUN):
    """A run in which nothing happened, and that ended so; None: it was killed."""
    plan = build(campaign.load(), sketch_site(), name, 2)
    writer = RunWriter.create(root, name)
    writer.write_text("plan.json", to_json(plan))
    writer.events([Event(10**18, EventKind.RUN, Edge.BEGAN, name)])
    if ending is not None:
        details = {"ending": ending, "exit_code": int(exit_code)}
        writer.events([Event(10**18 + 10**9, EventKind.RUN, Edge.ENDED, name, "so it was", details)])
    writer.flush()
    if ending is not None:
        writer.close()
    return writer


@pytest.mark.parametrize(
    ("ending", "exit_code", "expected"),
    [
        (Ending.COMPLETED, ExitCode.PASS, 2),  # no check could be decided
        (Ending.GUARD, ExitCode.PASS, 5),
        (Ending.FAILED, ExitCode.ENVIRONMENT, 7),
        (Ending.INTERRUPTED, ExitCode.PASS, 2),
    ],
)
def test_report_rebuilds_a_run_and_has_its_exit_code(maul, ending, exit_code, expected):
    run = recorded(Path("runs"), ending, exit_code).path
    answer = maul("report")
    assert answer.code == expected
    assert str(ending) in answer.out and "report.html" in answer.out
    assert {"summary.json", "report.html", "junit.xml"} <= {path.name for path in run.iterdir()}
    first = (run / "summary.json").read_text()
    again = maul("report", RUN, "--json")
    assert again.code == expected and (run / "summary.json").read_text() == first
    assert json.loads(again.out) == json.loads(first)


def test_report_of_a_killed_run(maul):
    writer = recorded(Path("runs"), None)
    assert (maul("report").code, maul("wipe").code) == (3, 3), "while it goes, nobody judges or wipes it"
    writer._close_files()
    answer = maul("report")
    assert answer.code == 2 and "maul was killed" in answer.out


@pytest.mark.parametrize("verb", ["report", "wipe"])
@pytest.mark.parametrize("what", ["nothing", "an empty directory", "a directory", "a file", "damaged"])
def test_what_is_no_run(maul, tmp_path, verb, what):
    path = tmp_path / "run"
    if what == "a file":
        path.write_text("hello")
    elif what == "damaged":
        path = recorded(tmp_path, Ending.COMPLETED).path
        (path / "events.parquet").write_bytes(b"PAR1 and no more")
    elif what != "nothing":
        path.mkdir()
        if what == "a directory":
            (path / "letter.txt").write_text("dear")
    answer = maul(verb, path)
    assert (answer.code, answer.out) == (3, "") and str(path) in answer.err


def test_a_damaged_plan_is_no_bug_of_ours(maul):
    run = recorded(Path("runs"), Ending.COMPLETED).path
    (run / "plan.json").write_text('{"version": 99}')
    for verb in ("report", "wipe"):
        answer = maul(verb)
        assert answer.code == 3 and "plan.json" in answer.err


def test_a_report_that_has_no_room(maul, monkeypatch):
    recorded(Path("runs"), Ending.COMPLETED)

    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("maul.cli.report.write", full)
    answer = maul("report")
    assert answer.code == 7 and "no room is left" in answer.err


@pytest.mark.parametrize(
    ("error", "says"), [(OSError(28, "No space left on device"), "no room is left"), (ValueError("x"), "a bug in maul")]
)
def test_beat_tells_its_verdict_though_its_page_cannot_be_drawn(maul, monkeypatch, tmp_path, error, says):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run = RunReader.open(recorded(Path("runs"), Ending.GUARD).path)

    def fails(*given):
        raise error

    monkeypatch.setattr("maul.cli.report.write", fails)
    monkeypatch.setattr("maul.cli.beat.conduct", lambda order, progress, **more: Beaten(run, judge(run)))
    answer = maul("beat", "--quiet")
    assert answer.code == 5
    assert "guard" in answer.out and says in answer.err


# ---------------------------------------------------------------- journals and labs


def test_where_nothing_was_hurt_there_is_nothing_to_heal(maul, tmp_path):
    for words in ([], ["--journals", tmp_path], ["--journals", tmp_path / "absent"]):
        answer = maul("heal", *words)
        assert (answer.code, answer.out) == (0, "nothing to heal\n")


def test_heal_finishes_every_journal_though_one_cannot_be_read(maul, tmp_path, monkeypatch):
    unreadable = UndoJournal(tmp_path / "a.jsonl")
    unreadable.record("process.pause", "volume-r1-1", UndoSignal(ProcessId(2**22 - 1, 1), 18))
    good = UndoJournal(tmp_path / "b.jsonl")
    good.record("process.pause", "volume-r2-1", UndoSignal(ProcessId(2**22 - 1, 1), 18))
    read = Path.read_text

    def refuse(path, *given, **more):
        if path.name == "a.jsonl":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path, *given, **more)

    monkeypatch.setattr(Path, "read_text", refuse)
    answer = maul("heal", "--journals", tmp_path)
    assert answer.code == 6
    assert "healed   process.pause of volume-r2-1" in answer.out
    assert "a.jsonl" in answer.err and not good.path.exists()


def test_heal_tells_of_lines_that_it_cannot_read(maul, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"half a li\n')
    answer = maul("heal", "--journals", tmp_path)
    assert "1 lines cannot be read" in answer.out and (tmp_path / "a.jsonl").exists()


def test_heal_leaves_a_living_owner_alone_unless_told(maul, tmp_path):
    journal = UndoJournal(tmp_path / "a.jsonl")
    journal.claim(own_process_id())
    journal.record("process.pause", "volume-r1-1", UndoSignal(ProcessId(2**22 - 1, 1), 18))
    answer = maul("heal", "--journals", tmp_path)
    assert answer.code == 0 and "still runs" in answer.out and len(journal.pending()) == 1
    assert "healed   process.pause" in maul("heal", "--journals", tmp_path, "--force").out
    assert maul("heal", "--journals", tmp_path).out == "nothing to heal\n"


def test_what_cannot_be_healed_is_exit_code_6(maul, tmp_path):
    (tmp_path / "lab" / "data").mkdir(parents=True)  # without its marker: it may be anybody's
    journal = UndoJournal(tmp_path / "a.jsonl")
    journal.record("lab", "lab", UndoRemove(tmp_path / "lab", "lab.json", ("data",)))
    answer = maul("heal", "--journals", tmp_path)
    assert answer.code == 6 and re.search(r"UNHEALED lab of lab: .*may not be ours", answer.out)
    assert (tmp_path / "lab" / "data").is_dir()


def test_no_lab_is_no_trouble(maul, tmp_path):
    assert maul("lab", "status").code == 7
    down = maul("lab", "down")
    assert down.code == 0 and "nothing to take down" in down.out
    odd = tmp_path / "[bold]x[/bold]"
    assert str(odd) in maul("lab", "down", "--dir", odd).out


def test_brackets_in_what_a_role_says_are_shown_as_they_are(maul, monkeypatch):
    role = RoleStatus("volume-r1-1", "volume", "s11", False, "[/dev/sda] [bold]full[/bold]", None)
    monkeypatch.setattr("maul.cli.lab.cluster.status", lambda directory: [role])
    answer = maul("lab", "status")
    assert answer.code == 1 and "[/dev/sda] [bold]full[/bold]" in answer.out
