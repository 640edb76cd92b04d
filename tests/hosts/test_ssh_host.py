"""What only SSH can get wrong: who is at the other end, quoting, a broken line, secrets on the way."""

import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from maul.core.clock import SystemClock
from maul.core.errors import MachineError
from maul.hosts.host import SpawnSpec
from maul.hosts.ssh import SshAddress, SshHost
from ssh_servers import asyncssh_server, known, make_keys


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshAddress]:
    with asyncssh_server(tmp_path_factory.mktemp("server")) as found:
        yield replace(found, python=sys.executable)


@pytest.fixture
def host(address: SshAddress) -> Iterator[SshHost]:
    with SshHost(address) as found:
        yield found


def test_a_host_with_another_key_is_not_talked_to(address, tmp_path):
    make_keys(tmp_path / "other")
    stranger = replace(address, known_hosts=known(tmp_path / "other", address.port))
    with SshHost(stranger) as host, pytest.raises(MachineError, match="its host key is not the one"):
        host.run(("true",), 5.0)


def test_an_unknown_host_is_not_talked_to_either(address, tmp_path):
    (tmp_path / "none").write_text("")
    with (
        SshHost(replace(address, known_hosts=tmp_path / "none")) as host,
        pytest.raises(MachineError, match="host key"),
    ):
        host.run(("true",), 5.0)


def test_without_a_key_that_it_knows_we_stay_outside(address, tmp_path):
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "key")
    with SshHost(replace(address, keys=(tmp_path / "key",))) as host, pytest.raises(MachineError, match="let us in"):
        host.run(("true",), 5.0)


def test_nobody_there(address):
    with SshHost(replace(address, port=9)) as host, pytest.raises(MachineError, match="cannot reach it"):
        host.run(("true",), 5.0)


@pytest.mark.parametrize("argument", ["a b", "$HOME", "'", '"', "*", ";echo x", "-n", "\\", "é\nf", "", "`id`", "!!"])
def test_arguments_pass_unharmed(host, argument):
    code = "import sys; sys.stdout.buffer.write(sys.argv[1].encode('utf-8', 'surrogateescape'))"
    done = host.run((sys.executable, "-S", "-X", "utf8", "-c", code, argument), 10.0)
    assert (done.code, done.stdout, done.stderr) == (0, argument.encode(), b"")


def test_output_comes_whole_and_apart(host):
    code = "import sys; sys.stdout.write('o' * 300000); sys.stderr.write('e' * 300000); sys.exit(3)"
    done = host.run((sys.executable, "-S", "-c", code), 20.0)
    assert (done.code, len(done.stdout), len(done.stderr), done.timed_out) == (3, 300_000, 300_000, False)


def test_a_command_does_not_outlive_its_time_nor_the_line(host, address, tmp_path):
    for end in ("time", "line"):
        mark = tmp_path / end
        code = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
        argv = (sys.executable, "-S", "-c", code)
        if end == "time":
            assert host.run(argv, 1.0).timed_out
        else:
            other = SshHost(address)
            work = other._run(argv, 30.0)  # as if the conductor died in the middle
            import asyncio  # noqa: PLC0415

            asyncio.run_coroutine_threadsafe(work, other._loop)
            assert any((mark.exists() and mark.read_text()) or SystemClock().wait(0.05) for _ in range(100))
            other.close()
        pid = int(mark.read_text())
        gone = any(not Path(f"/proc/{pid}").exists() or SystemClock().wait(0.05) for _ in range(100))
        assert gone, f"it outlived its {end}"


def test_the_environment_is_what_was_given_and_in_no_command_line(host, tmp_path):
    spec = SpawnSpec(("/bin/sleep", "30"), tmp_path, tmp_path / "log", {"SECRET": "hunter2"}, tmp_path / "p.json")
    process = host.spawn(spec)
    try:
        environ = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        assert b"SECRET=hunter2" in environ and len(environ) <= 2
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert b"hunter2" not in path.read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
        assert os.getsid(process.pid) == process.pid
        assert (tmp_path / "p.json").stat().st_mode & 0o777 == 0o600
    finally:
        host.signal(process, signal.SIGKILL)


def test_a_program_that_is_not_there_says_so_in_its_log(host, tmp_path):
    process = host.spawn(SpawnSpec(("/no/such/program",), tmp_path, tmp_path / "log", {}, tmp_path / "p.json"))
    assert any(host.process(process) is None for _ in range(50))
    assert "/no/such/program" in (tmp_path / "log").read_text()


def test_python_missing_over_there_is_one_message(address):
    with SshHost(replace(address, python="python-of-nobody")) as host, pytest.raises(MachineError, match="did not do"):
        host.read_bytes(Path("/etc/hostname"))


def test_a_file_that_may_not_be_written_is_the_machine_owners_business(host, tmp_path):
    with pytest.raises(MachineError, match="cannot write"):
        host.write_bytes(tmp_path / "no" / "file", b"x")
    host.write_bytes(tmp_path / "key", b"x", mode=0o600)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
