"""This machine's own traps: odd names, zombies, environments, half-started programs, full disks."""

import os
import select
import signal
import sys
import threading
from pathlib import Path

import pytest

from maul.core.errors import MachineError
from maul.hosts import local
from maul.hosts.host import ProcessId, SpawnSpec
from maul.hosts.local import LocalHost, own_process_id, parse_stat
from maul.hosts.pidfile import parse_pidfile

HOST = LocalHost()


def spec_of(tmp_path: Path, *argv: str, **env: str) -> SpawnSpec:
    return SpawnSpec(argv, tmp_path, tmp_path / "log", env, tmp_path / "pid.json")


def wait_gone(process: ProcessId, limit_s: float = 10.0) -> None:
    """Wait for exactly this process to end: by its pidfd, without polling."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return
    try:
        if HOST.process(process) is not None:
            assert select.select([descriptor], [], [], limit_s)[0], "the process did not end"
    finally:
        os.close(descriptor)
    HOST.process(process)  # bury it


TAIL = " ".join(str(number) for number in range(4, 52))


@pytest.mark.parametrize("name", ["weed", "a b", "a) S 1 (b", "))", "", "(", "a\nb"])
def test_a_process_name_cannot_confuse_the_start_time(name):
    assert parse_stat(f"42 ({name}) D {TAIL}\n") == ("D", 22)


@pytest.mark.parametrize("text", ["", "42 (x", "42 (x) S 1 2 3"])
def test_a_torn_stat_line_is_an_error_not_a_guess(text):
    with pytest.raises((ValueError, IndexError)):
        parse_stat(text)


def test_we_find_ourselves():
    us = own_process_id()
    assert us.pid == os.getpid()
    assert HOST.process(us).argv[0].endswith(Path(sys.executable).name) or HOST.process(us).argv


def test_a_zombie_is_gone(tmp_path):
    process = HOST.spawn(spec_of(tmp_path, "/bin/true"))
    wait_gone(process)
    assert HOST.process(process) is None
    assert not Path(f"/proc/{process.pid}").exists(), "our own dead child was not buried"


def test_the_program_runs_only_after_its_pidfile_is_on_disk(tmp_path):
    script = 'if [ -s "$1" ]; then echo yes; else echo no; fi'
    for _ in range(10):
        (tmp_path / "pid.json").unlink(missing_ok=True)
        process = HOST.spawn(spec_of(tmp_path, "/bin/sh", "-c", script, "sh", str(tmp_path / "pid.json")))
        wait_gone(process)
    assert set((tmp_path / "log").read_text().split()) == {"yes"}


def test_the_pidfile_names_the_program_itself_not_a_launcher(tmp_path):
    process = HOST.spawn(spec_of(tmp_path, "/bin/sh", "-c", "echo $$"))
    wait_gone(process)
    assert int((tmp_path / "log").read_text()) == process.pid
    assert parse_pidfile(tmp_path / "pid.json", (tmp_path / "pid.json").read_bytes()).process == process


def test_when_we_die_before_the_pidfile_the_program_never_runs(tmp_path, monkeypatch):
    """What kill -9 between fork and pidfile looks like to the launcher: the gate closes without a word."""
    monkeypatch.setattr(local.os, "write", lambda descriptor, data: len(data))
    process = HOST.spawn(spec_of(tmp_path, "/bin/sh", "-c", "echo ran"))
    monkeypatch.undo()
    wait_gone(process)
    assert (tmp_path / "log").read_text() == ""


def test_nothing_of_our_environment_gets_in(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    process = HOST.spawn(spec_of(tmp_path, "/usr/bin/env", ONLY="this"))
    wait_gone(process)
    lines = set((tmp_path / "log").read_text().split())
    assert "ONLY=this" in lines
    assert lines <= {"ONLY=this", f"PWD={tmp_path}", "OLDPWD=" + str(Path.cwd()), "SHLVL=0", "_=/usr/bin/env"}


def test_it_has_a_session_of_its_own_no_input_and_default_signals(tmp_path):
    code = (
        "import os, signal, sys; print(os.getsid(0) == os.getpid(), repr(sys.stdin.read()),"
        " signal.getsignal(signal.SIGINT) == signal.default_int_handler)"
    )
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a background shell does
    try:
        process = HOST.spawn(spec_of(tmp_path, sys.executable, "-S", "-c", code))
        wait_gone(process)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert (tmp_path / "log").read_text() == "True '' True\n"


def test_no_descriptor_of_ours_gets_in(tmp_path):
    with (tmp_path / "secret").open("w") as secret:
        os.set_inheritable(secret.fileno(), True)
        process = HOST.spawn(spec_of(tmp_path, "/bin/ls", "/proc/self/fd"))
        wait_gone(process)
    assert (tmp_path / "log").read_text().split() == ["0", "1", "2", "3"]  # 3 is ls reading the directory


@pytest.mark.parametrize("argument", ["a b", "$HOME", "'", '"', "*", ";echo x", "-n", "\\", "é\nf", ""])
def test_arguments_pass_unharmed(tmp_path, argument):
    code = "import sys; sys.stdout.buffer.write(sys.argv[1].encode('utf-8', 'surrogateescape'))"
    process = HOST.spawn(spec_of(tmp_path, sys.executable, "-S", "-X", "utf8", "-c", code, argument))
    wait_gone(process)
    assert (tmp_path / "log").read_bytes() == argument.encode()


def test_a_missing_program_says_so_in_its_log_and_is_gone(tmp_path):
    process = HOST.spawn(spec_of(tmp_path, "/no/such/program"))
    wait_gone(process)
    assert HOST.process(process) is None
    assert "/no/such/program" in (tmp_path / "log").read_text()


def test_a_missing_working_directory_is_the_same(tmp_path):
    spec = SpawnSpec(("/bin/echo", "ran"), tmp_path / "gone", tmp_path / "log", {}, tmp_path / "pid.json")
    process = HOST.spawn(spec)
    wait_gone(process)
    log = (tmp_path / "log").read_text()
    assert "gone" in log and "ran\n" not in log, "it ran in another directory"


def test_a_log_that_cannot_be_opened_is_an_error_with_the_programs_name(tmp_path):
    with pytest.raises(MachineError, match="/bin/true"):
        HOST.spawn(SpawnSpec(("/bin/true",), tmp_path, tmp_path / "no" / "log", {}, None))


def test_many_threads_spawn_at_once_and_no_gate_stays_open(tmp_path):
    """A gate that leaks into a sibling would leave a launcher waiting for ever."""
    processes: list[ProcessId] = []

    def spawn(number: int) -> None:
        spec = SpawnSpec(("/bin/true",), tmp_path, tmp_path / f"{number}.log", {}, tmp_path / f"{number}.json")
        processes.append(HOST.spawn(spec))

    threads = [threading.Thread(target=spawn, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(processes) == 16
    for process in processes:
        wait_gone(process)


def test_written_files_have_their_mode_from_the_first_byte_and_leave_no_scraps(tmp_path, monkeypatch):
    path = tmp_path / "secret"
    HOST.write_bytes(path, b"x", mode=0o600)
    assert path.stat().st_mode & 0o777 == 0o600

    def no_room(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(local.os, "fsync", no_room)
    with pytest.raises(MachineError, match="No space left"):
        HOST.write_bytes(path, b"y")
    assert path.read_bytes() == b"x"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"17",
        b'{"pid": 1}',
        b'{"pid": true, "start_ticks": 1, "argv": [], "cwd": "/", "env": {}, "log": "/l"}',
        b'{"pid": -1, "start_ticks": 1, "argv": [], "cwd": "/", "env": {}, "log": "/l"}',
        b'{"pid": 0, "start_ticks": 1, "argv": [], "cwd": "/", "env": {}, "log": "/l"}',
        b'{"pid": "1", "start_ticks": 1, "argv": [], "cwd": "/", "env": {}, "log": "/l"}',
        b'{"pid": 1, "start_ticks": 1, "argv": [], "cwd": "/", "env": [], "log": "/l"}',
        b"\xff\xfe",
    ],
)
def test_a_damaged_pidfile_is_refused_never_guessed(content):
    """pid 0 and -1 would be whole process groups."""
    with pytest.raises(MachineError, match="pidfile"):
        parse_pidfile(Path("/run/x.json"), content)
