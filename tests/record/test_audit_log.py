"""The audit log: every way to change it after the fact is seen, and a run that dies leaves one that can be read."""

import json
import os
import signal
import subprocess  # noqa: TID251 — a run that dies
import sys
import threading

import pytest
from record_rows import RUN, T0_NS

from maul.core.errors import CampaignError, MachineError
from maul.core.event import Edge, Event, EventKind
from maul.record import RunWriter
from maul.record.audit import AUDIT, ENDED, START, AuditLog, Tail, line_of, verify
from maul.record.audit_chain import add_later, known, verify_all, verify_run

SECRET = "the secret of the tests"


def write(path, count=6, ended=True, phase="phase"):
    log = AuditLog.begin(path)
    for number in range(1, count):
        log.add(T0_NS + number, "phase began", f"{phase} {number}", "ünïcödé\n", {"sent": number})
    if ended:
        log.add(T0_NS + count, ENDED)
    log.close()
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def log(tmp_path):
    return tmp_path / AUDIT


def test_a_whole_log(log):
    lines = write(log)
    found = verify(log)
    assert (found.broken, found.tail, len(found.entries)) == ("", Tail.CLOSED, 6)
    assert [entry.seq for entry in found.entries] == [1, 2, 3, 4, 5, 6]
    assert found.entries[0].prev == START and found.entries[1].prev == found.entries[0].hash
    assert found.head == json.loads(lines[-1])["hash"] and found.entries[0].says == "ünïcödé\n"


def test_every_flipped_bit_is_seen_at_its_line(log):
    whole = b"".join(write(log, 4))
    ends = [place for place, byte in enumerate(whole) if byte == 10]
    for place in range(len(whole)):
        log.write_bytes(bytes([*whole[:place], whole[place] ^ 1, *whole[place + 1 :]]))
        found = verify(log)
        number = 1 + sum(end < place for end in ends)
        if place == len(whole) - 1:
            assert found.tail is Tail.TORN  # the last line feed: the same as a line that was not finished
        else:
            assert found.broken.startswith(f"line {number} "), (place, found.broken)
            assert len(found.entries) == number - 1


@pytest.mark.parametrize("dropped", range(5))
def test_a_dropped_line_is_seen(log, dropped):
    lines = write(log)
    log.write_bytes(b"".join(lines[:dropped] + lines[dropped + 1 :]))
    says = verify(log).broken
    assert "beginning is missing" in says if dropped == 0 else f"does not follow line {dropped}" in says


def test_lines_in_another_order_or_twice_are_seen(log):
    lines = write(log)
    for order in ([0, 2, 1, 3, 4, 5], [0, 1, 1, 2, 3, 4, 5], [1, 0, 2, 3, 4, 5]):
        log.write_bytes(b"".join(lines[place] for place in order))
        assert verify(log).broken


def test_lines_of_another_run_are_seen(tmp_path, log):
    lines = write(log)
    other = write(tmp_path / "other", 7, phase="other")
    for mixed in (lines[:3] + other[3:], [*lines[:3], other[3], *lines[4:]], lines + other):
        log.write_bytes(b"".join(mixed))
        assert verify(log).broken


def test_a_forged_line_with_a_hash_of_its_own_breaks_the_next(log):
    lines = write(log)
    data = json.loads(lines[2])
    forged, _ = line_of({name: "forged" if name == "says" else value for name, value in data.items() if name != "hash"})
    log.write_bytes(b"".join([*lines[:2], forged, *lines[3:]]))
    assert "line 4 does not follow line 3" in verify(log).broken


@pytest.mark.parametrize(
    "junk", [b"\n", b"{}\n", b"null\n", b"\xff\xfe\n", b'{"hash":"' + b"0" * 64 + b'"}\n', b"x" * (2 << 20)]
)
def test_junk_is_no_line(log, junk):
    lines = write(log, 3)
    log.write_bytes(b"".join(lines) + junk)
    assert verify(log).broken.startswith("line 4 ")


def test_a_torn_line_is_told_apart_from_tampering(log):
    whole = b"".join(write(log, 4, ended=False))
    last = len(whole) - len(whole.splitlines(keepends=True)[-1])
    for cut in range(last + 1, len(whole)):
        log.write_bytes(whole[:cut])
        found = verify(log)
        assert (found.broken, found.tail, len(found.entries)) == ("", Tail.TORN, 2)
    log.write_bytes(whole[:last])
    assert verify(log).tail is Tail.OPEN, "cut after a line: nobody can tell from the log alone"


def test_after_a_torn_line_the_chain_goes_on(log):
    whole = b"".join(write(log, 4, ended=False))
    log.write_bytes(whole[:-5])
    resumed = AuditLog.resume(log)
    resumed.add(T0_NS, "wipe began")
    resumed.close()
    found = verify(log)
    assert (found.broken, [entry.seq for entry in found.entries]) == ("", [1, 2, 3])
    log.write_bytes(log.read_bytes().replace(b"wipe began", b"nothing   "))
    with pytest.raises(CampaignError, match="line 4 was changed"):
        AuditLog.resume(log)


def test_nobody_begins_a_log_twice_and_nobody_reads_one_that_is_not_there(log):
    with pytest.raises(CampaignError, match="no audit log"):
        verify(log)
    write(log)
    with pytest.raises(FileExistsError):
        AuditLog.begin(log)


def test_what_is_too_long_is_told_by_its_hash(log):
    made = AuditLog.begin(log)
    made.add(T0_NS, "note", details={"all": "x" * (2 << 20)})
    made.close()
    assert verify(log).entries[0].details["too_long"] > 2 << 20


def test_many_threads_make_one_chain(log):
    made = AuditLog.begin(log)
    threads = [threading.Thread(target=lambda: [made.add(T0_NS, "note") for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made.close()
    found = verify(log)
    assert (found.broken, len(found.entries)) == ("", 200)


# ---------------------------------------------------------------- as the writer keeps it


def events(writer):
    def event(sort, edge, name, says="", **details):
        writer.events([Event(T0_NS, sort, edge, name, says, details)])

    event(EventKind.RUN, Edge.BEGAN, RUN, plan="abc", cores=1)
    event(EventKind.RUN, Edge.INSTANT, "plan", "a line of the plan")
    event(EventKind.PHASE, Edge.BEGAN, "load", kind="load")
    writer.audit(T0_NS, "fault prepared", "kill", f"with {SECRET}")
    event(EventKind.FAULT, Edge.BEGAN, "kill", f"killed it, {SECRET}")
    event(EventKind.FAULT, Edge.ENDED, "kill", "started it", summary={"healed": True})
    event(EventKind.FAULT, Edge.ENDED, "pause", "could not", summary={"healed": False})
    event(EventKind.LEVEL, Edge.BEGAN, "level 1")
    event(EventKind.GUARD, Edge.INSTANT, "error-ratio", "too many")
    status = {"started": 5, "bytes_sent": 7, "errors": {"X": 1}, "agents": {"a": {"started": 5, "cpu_seconds": 1.0}}}
    event(EventKind.PHASE, Edge.ENDED, "load", kind="load", status=status)
    event(EventKind.RUN, Edge.ENDED, RUN, "why", ending="completed")


WHAT = [
    "log began", "run began", "phase began", "fault prepared", "fault injected", "fault healed", "fault NOT HEALED",
    "guard", "phase ended", "run ended",
]  # fmt: skip


def a_run(tmp_path, name=RUN, index=True):
    path = tmp_path / "state" / "runs.jsonl" if index else None
    with RunWriter.create(tmp_path / "runs", name, secrets=[SECRET], audit_index=path) as writer:
        events(writer)
    return writer.path


def test_what_was_sent_broken_and_healed_is_in_it_and_no_secret(tmp_path):
    path = a_run(tmp_path, index=False) / AUDIT
    path.rename(tmp_path / "log")
    found = verify(tmp_path / "log")
    assert [entry.what for entry in found.entries] == WHAT
    assert found.entries[-2].details["sent"] == {"started": 5, "bytes_sent": 7, "agents": {"a": {"started": 5}}}
    assert SECRET not in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    "what", ["fault prepared", "fault injected", "fault healed", "guard", "phase ended", "run ended"]
)
def test_what_matters_is_on_the_disk_before_anything_else_happens(tmp_path, monkeypatch, what):
    synced = []
    monkeypatch.setattr(AuditLog, "sync", lambda log: synced.append(verify(log.path).entries[-1].what))
    a_run(tmp_path)
    assert what in synced


def test_runs_follow_each_other(tmp_path):
    index = tmp_path / "state" / "runs.jsonl"
    paths = [a_run(tmp_path, f"run-{number}") for number in range(3)]
    assert [one.run for one in known(index)] == ["run-0", "run-1", "run-2"]
    assert [(problems, len(found.entries)) for _, found, problems in verify_all(index)] == [((), len(WHAT))] * 3
    second = verify(paths[1] / AUDIT).entries[0]
    assert second.details["previous"] == {"run": "run-0", "hash": verify(paths[0] / AUDIT).head}


def broken(tmp_path):
    return {one.run: problems for one, _, problems in verify_all(tmp_path / "state" / "runs.jsonl") if problems}


def test_a_log_that_was_written_anew_as_a_whole_is_seen(tmp_path):
    paths = [a_run(tmp_path, f"run-{number}") for number in range(3)]
    (paths[1] / AUDIT).unlink()
    write(paths[1] / AUDIT, len(WHAT))
    assert "not the one that this machine wrote" in broken(tmp_path)["run-1"][0]
    assert "run-1, is not as it was" in broken(tmp_path)["run-2"][0]


def test_lines_cut_off_the_end_or_added_to_it_are_seen(tmp_path):
    path = a_run(tmp_path)
    whole = (path / AUDIT).read_bytes()
    (path / AUDIT).write_bytes(b"".join(whole.splitlines(keepends=True)[:-2]))
    (says,) = verify_run(tmp_path / "state" / "runs.jsonl", path)[1]
    assert f"missing after line {len(WHAT) - 2}" in says
    (path / AUDIT).write_bytes(whole)
    log = AuditLog.resume(path / AUDIT)
    log.add(T0_NS, "wipe began")
    log.close()
    assert broken(tmp_path) == {RUN: ("lines were added after its end",)}


def test_a_run_that_is_gone_is_missed(tmp_path):
    paths = [a_run(tmp_path, f"run-{number}") for number in range(2)]
    (paths[0] / AUDIT).unlink()
    assert list(broken(tmp_path)) == ["run-0"]
    index = tmp_path / "state" / "runs.jsonl"
    kept = [line for line in index.read_text().splitlines(keepends=True) if '"run":"run-0","log"' not in line]
    index.write_text("".join(kept))
    assert "run-0, is not as it was" in broken(tmp_path)["run-1"][0]


def test_what_is_done_later_is_part_of_the_chain(tmp_path):
    index = tmp_path / "state" / "runs.jsonl"
    path = a_run(tmp_path)
    a_run(tmp_path, "run-2")
    head = add_later(index, path, T0_NS, "wipe ended", "all gone")
    found, problems = verify_run(index, path)
    assert (found.head, problems, broken(tmp_path)) == (head, (), {})


DIES = """
import os, signal, sys
from pathlib import Path
from maul.core.event import Edge, Event, EventKind
from maul.record import RunWriter
writer = RunWriter.create(Path(sys.argv[1]) / "runs", "dead", audit_index=Path(sys.argv[1]) / "state" / "runs.jsonl")
writer.events([Event(1, EventKind.RUN, Edge.BEGAN, "dead")])
writer.events([Event(2, EventKind.PHASE, Edge.BEGAN, "load")])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_that_is_killed_leaves_a_log_and_the_next_follows_it(tmp_path):
    died = subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], env=os.environ, check=False, timeout=60)
    assert died.returncode == -signal.SIGKILL
    found, problems = verify_run(tmp_path / "state" / "runs.jsonl", tmp_path / "runs" / "dead")
    assert (problems, found.tail, [entry.what for entry in found.entries]) == (
        (), Tail.OPEN, ["log began", "run began", "phase began"],
    )  # fmt: skip
    with (tmp_path / "runs" / "dead" / AUDIT).open("ab") as stream:
        stream.write(b'{"seq":4,"at":"20')
    next_run = a_run(tmp_path, "next")
    assert verify(next_run / AUDIT).entries[0].details["previous"] == {"run": "dead", "hash": found.head}
    assert broken(tmp_path) == {}


def test_where_the_disk_refuses_the_log_the_run_is_told(tmp_path, monkeypatch):
    writer = RunWriter.create(tmp_path / "runs", RUN)

    def refuse(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("maul.record.audit.write_all", refuse)
    events(writer)
    with pytest.raises(MachineError, match="no room is left"):
        writer.flush()
    writer.close()


def test_a_damaged_index_is_told_and_begins_nothing(tmp_path):
    index = tmp_path / "state" / "runs.jsonl"
    a_run(tmp_path)
    index.write_bytes(b"garbage\n" + index.read_bytes())
    with pytest.raises(CampaignError, match="line 1 of the index"):
        a_run(tmp_path, "next")
    assert not (tmp_path / "runs" / "next").exists()
