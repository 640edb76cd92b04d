"""What every Host must do, whatever machine it stands for."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from namespaces import held_namespace

from maul.core.errors import MachineError
from maul.hosts.fake import FakeHost
from maul.hosts.host import Host, ProcessId, SpawnSpec
from maul.hosts.local import LocalHost
from maul.hosts.namespace import NamespaceHost
from maul.hosts.pidfile import read_pidfile
from maul.hosts.ssh import SshHost
from ssh_servers import SSHD, asyncssh_server, openssh_server
from waiting import wait_for

SLEEPER = (sys.executable, "-S", "-c", "import time; time.sleep(60)")


SERVERS = {"asyncssh": asyncssh_server, "openssh": openssh_server}


@pytest.fixture(scope="module")
def ssh_hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SshHost]]:
    """One connection to each server, as a fleet would have it."""
    with ExitStack() as stack:
        hosts = {}
        for name, server in SERVERS.items():
            if name == "openssh" and SSHD is None:
                continue
            address = stack.enter_context(server(tmp_path_factory.mktemp(name)))
            hosts[name] = stack.enter_context(SshHost(replace(address, python=sys.executable)))
        yield hosts


@pytest.fixture(params=[LocalHost, FakeHost, NamespaceHost, *SERVERS])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Host]:
    if request.param in SERVERS:
        hosts = request.getfixturevalue("ssh_hosts")
        if request.param not in hosts:
            pytest.skip("no sshd is installed here")
        yield hosts[request.param]
    elif request.param is NamespaceHost:
        (tmp_path / "holder").mkdir()
        with held_namespace(tmp_path / "holder") as holder:
            yield NamespaceHost("h1", holder)
    else:
        yield request.param()


@pytest.fixture
def start(host: Host, tmp_path: Path) -> Iterator[Callable[[], tuple[ProcessId, SpawnSpec]]]:
    started = []

    def start_one() -> tuple[ProcessId, SpawnSpec]:
        number = len(started)
        spec = SpawnSpec(SLEEPER, tmp_path, tmp_path / "log", {"A": "b"}, tmp_path / f"{number}.json")
        process = host.spawn(spec)
        started.append(process)
        return process, spec

    yield start_one
    for process in started:
        host.signal(process, signal.SIGKILL)


def test_a_spawned_process_lives_and_its_pidfile_says_who_it_is(host, start):
    process, spec = start()
    assert host.process(process) is not None
    named = read_pidfile(host, spec.pidfile)
    assert (named.process, replace(named.spec, inside=None)) == (process, spec)
    data = json.loads(host.read_bytes(spec.pidfile))
    assert set(data) - {"inside"} == {"pid", "start_ticks", "argv", "cwd", "env", "log"}
    assert named.spec.inside == getattr(host, "holder", None)


def test_kill_ends_it_and_then_there_is_nothing_to_signal(host, start):
    process, _ = start()
    assert host.signal(process, signal.SIGKILL)
    assert wait_for(lambda: host.process(process) is None)
    assert host.signal(process, signal.SIGKILL) is False


def test_another_start_time_is_another_process(host, start):
    process, _ = start()
    stranger = ProcessId(process.pid, process.start_ticks + 1)
    assert host.process(stranger) is None
    assert host.signal(stranger, signal.SIGKILL) is False
    assert host.process(process) is not None, "the process with the right pid and the wrong start time was hurt"


def test_stop_and_continue_show_in_the_state(host, start):
    process, _ = start()
    host.signal(process, signal.SIGSTOP)
    assert wait_for(lambda: host.process(process).letter == "T")
    host.signal(process, signal.SIGCONT)
    assert wait_for(lambda: host.process(process).letter != "T")


def test_two_processes_are_two(host, start):
    (one, _), (other, _) = start(), start()
    assert one != other
    host.signal(one, signal.SIGKILL)
    assert wait_for(lambda: host.process(one) is None)
    assert host.process(other) is not None


def test_run_tells_the_exit_code_and_the_timeout(host):
    assert host.run(("true",), 5.0).code == 0
    assert host.run(("false",), 5.0).code == 1
    late = host.run(("sleep", "30"), 0.05)
    assert late.timed_out and late.code < 0


def test_run_of_a_missing_program_is_the_machine_owners_business(host):
    with pytest.raises(MachineError, match="cannot run no-such-program"):
        host.run(("no-such-program",), 1.0)


def test_files_are_replaced_whole(host, tmp_path):
    path = tmp_path / "file"
    assert host.read_bytes(path) is None
    host.write_bytes(path, b"one")
    host.write_bytes(path, b"two")
    assert host.read_bytes(path) == b"two"


def test_a_pidfile_that_cannot_be_written_starts_nothing(host, tmp_path):
    proof = tmp_path / "ran"
    spec = SpawnSpec(("/bin/sh", "-c", f"echo ran > '{proof}'"), tmp_path, tmp_path / "log", {}, Path("/full/1.json"))
    with pytest.raises(MachineError):
        host.spawn(spec)
    assert not proof.exists()
