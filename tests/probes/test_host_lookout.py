"""A patrol on this machine, started as on any other: through the contract of a host."""

import ast
import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from knocked_door import Door, door
from maul.core.clock import SystemClock
from maul.core.errors import MachineError
from maul.core.vantage import Attempt, Question, Reach, Vantage
from maul.hosts.host import Completed, SpawnSpec
from maul.hosts.local import LocalHost
from maul.probes import host_lookout
from maul.probes.host_lookout import HostLookout, Job
from maul.s3 import doorstep, patrol, tcp_line
from maul.s3.endpoint import Endpoint
from maul.s3.knock import gate

INSIDE = Question(Vantage.INSIDE, "inside", "private")


@pytest.fixture
def server() -> Iterator[Door]:
    with door() as found:
        yield found


@pytest.fixture
def job(server: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    where = gate(Endpoint("private", f"http://127.0.0.1:{server.port}"), "127.0.0.1")
    return Job(INSIDE, {"private": where}, every_s=1.0, for_s=60.0, python=sys.executable)


@contextlib.contextmanager
def lookout(job: Job, host: LocalHost | None = None) -> Iterator[HostLookout]:
    one = HostLookout(job, host or LocalHost(), SystemClock())
    try:
        yield one
    finally:
        one.close()


def heard(one: HostLookout, count: int) -> list[Attempt]:
    found: list[Attempt] = []
    until = time.monotonic() + 20
    while len(found) < count and time.monotonic() < until:
        found += [item for item in one.take() if isinstance(item, Attempt)]
        threading.Event().wait(0.01)
    assert len(found) >= count, one.missing
    return found


def gone(folder: Path) -> bool:
    until = time.monotonic() + 10
    while any(folder.iterdir()) and time.monotonic() < until:
        threading.Event().wait(0.02)
    return not any(folder.iterdir())


def test_it_knocks_there_and_answers_questions_and_leaves_nothing(job: Job, tmp_path: Path) -> None:
    began_ns = time.time_ns()
    with lookout(job) as one:
        first = heard(one, 1)[0]
        asked = replace(INSIDE, large=True)
        assert one.ask(asked)
        assert not one.ask(asked), "one at a time"
        assert not one.ask(replace(INSIDE, who="else"))
        assert not one.ask(replace(INSIDE, endpoint="unchecked"))
        answers = heard(one, 1)
        while all(item.question != asked for item in answers):
            answers += heard(one, 1)
        assert one.ask(asked), "and then another"
        (folder,) = tmp_path.iterdir()
        assert json.loads((folder / patrol.JOB).read_text())["for_s"] == 60.0
    assert (first.question, first.reach, first.status) == (INSIDE, Reach.ANSWERED, 403)
    assert began_ns - 1e9 < first.at_ns < time.time_ns()
    assert first.tcp.mss is not None
    assert gone(tmp_path)


def test_quiet_it_only_answers(job: Job) -> None:
    """What it is asked is `large`, so that routine can be told from it; asked twice, a routine one was due between."""
    asked = replace(INSIDE, large=True)
    with lookout(job) as one:
        heard(one, 1)
        one.quiet(True)
        assert one.ask(asked)
        while all(item.question != asked for item in heard(one, 1)):
            pass
        assert one.ask(asked)
        assert [item.question for item in heard(one, 1)] == [asked]


def test_a_patrol_that_nobody_hears_ends_by_itself(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a kill -9 of the conductor."""
    monkeypatch.setattr(host_lookout, "LEASE_S", 1.0)
    monkeypatch.setattr(HostLookout, "_attend", lambda self, running: None)
    monkeypatch.setattr(HostLookout, "_end", lambda self: None)
    with lookout(job):
        assert len(list(tmp_path.iterdir())) <= 1
        threading.Event().wait(0.5)
        assert gone(tmp_path)


class LostHost(LocalHost):
    """Reached for the first, then no more."""

    def __init__(self, good: int) -> None:
        super().__init__()
        self.good = good

    def run(self, argv: tuple[str, ...], timeout_s: float) -> Completed:
        self.good -= 1
        if self.good < 0:
            raise MachineError("cannot reach it", "ssh far")
        return super().run(argv, timeout_s)


@pytest.mark.parametrize("good", [0, 1, 3])
def test_a_host_that_cannot_be_reached_is_told_and_hurts_nobody(job: Job, good: int) -> None:
    with lookout(job, LostHost(good)) as one:
        until = time.monotonic() + 10
        while not one.missing and time.monotonic() < until:
            threading.Event().wait(0.01)
        assert "cannot reach it" in one.missing
        assert one.ask(INSIDE)


def test_a_host_without_python_says_so(job: Job, tmp_path: Path) -> None:
    with lookout(replace(job, python="no-such-python")) as one:
        until = time.monotonic() + 10
        while not one.missing and time.monotonic() < until:
            threading.Event().wait(0.01)
        assert "no-such-python" in one.missing
    assert gone(tmp_path)


class WrongClock(LocalHost):
    """A machine that is an hour ahead."""

    def run(self, argv: tuple[str, ...], timeout_s: float) -> Completed:
        argv = tuple(word.replace("date +%s%N", "date -d '+1 hour' +%s%N") for word in argv)
        return super().run(argv, timeout_s)

    def spawn(self, spec: SpawnSpec):  # type: ignore[no-untyped-def]
        for path in spec.cwd.rglob("patrol.py"):
            path.write_text(path.read_text().replace("time.time_ns()", "time.time_ns() + 3_600 * 10**9"))
        return super().spawn(spec)


def test_its_clock_is_held_against_ours(job: Job) -> None:
    with lookout(job, WrongClock()) as one:
        seen = heard(one, 1)[0]
    assert abs(seen.at_ns - time.time_ns()) < 10e9


@pytest.mark.parametrize("module", [tcp_line, doorstep, patrol])
def test_what_is_sent_needs_an_old_python_and_nothing_else(module: ModuleType) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"), feature_version=(3, 9))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    named = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported |= {str(node.module) for node in named if node.level == 0}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
    assert {node.module for node in named if node.level} <= {"tcp_line", "doorstep"}
