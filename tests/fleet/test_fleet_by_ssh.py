"""`maul fleet up SITE`: agents started by SSH on hosts that a site lends, and ended again, all of them."""

import json
import os
import sys
from pathlib import Path

import pytest

from maul.core.errors import MachineError, UnhealedError
from maul.fleet import bringup, place, remote
from maul.fleet.connection import Fleet
from maul.fleet.preflight import Question
from maul.fleet.remote import SshOptions
from maul.hosts.host import ProcessId
from maul.hosts.local import LocalHost
from maul.hosts.pidfile import parse_pidfile
from maul.site.model import Host
from ssh_servers import asyncssh_server


@pytest.fixture
def ssh(tmp_path):
    """A server whose HOME is a folder of ours; `maul` is called by a small script there."""
    with asyncssh_server(tmp_path / "machine") as address:
        program = tmp_path / "machine" / "maul"
        code = "import sys; from maul.cli.main import main; main()"
        python = f"PYTHONPATH={os.environ.get('PYTHONPATH', '')} exec {sys.executable} -c '{code}'"
        program.write_text(f'#!/bin/sh\n{python} "$@"\n')
        program.chmod(0o755)
        yield address, SshOptions(address.known_hosts, address.keys, str(program), sys.executable)


def lent(name: str, port: int, **changes) -> Host:
    words = {"name": name, "address": "127.0.0.1", "rack": "r1", "borrow": {}, "ssh": {"port": port, "user": "tester"}}
    return Host.model_validate({**words, **changes})


def process_of(machine: Path, name: str) -> ProcessId:
    path = machine / f".local/state/maul/fleet/fleet/run/{name}.json"
    return parse_pidfile(path, path.read_bytes()).process


def test_up_by_ssh_and_down_again(ssh, tmp_path):
    address, options = ssh
    machine, told = tmp_path / "machine", []
    hosts = [lent("g1", address.port), lent("g2", address.port), lent("gone", 9)]
    fleet = bringup.up("fleet", tmp_path / "fleet", hosts=hosts, ssh=options, on_step=told.append)
    try:
        assert fleet.agents == ("g1", "g2", "gone")
        assert any("gone is left out" in line and "cannot reach it" in line for line in told)
        with Fleet.connect(fleet.address, fleet.certificates) as connected:
            assert connected.wait_for(["g1", "g2"], 20.0) == (), told
            found = connected.preflight(Question(), fleet.agents)
            assert set(found.ready) == {"g1", "g2"}
            assert found.left_out == {"gone": "it has not joined the fleet"}
        theirs = machine / ".local/state/maul/fleet/fleet/certificates"
        assert {path.name for path in theirs.rglob("*") if path.is_file()} == {
            "ca.pem", "g1.pem", "g1.key", "g2.pem", "g2.key",
        }  # fmt: skip
        assert (theirs / "agents" / "g1.key").stat().st_mode & 0o777 == 0o600
        processes = [process_of(machine, name) for name in ("g1", "g2")]
        assert all(LocalHost().process(one) is not None for one in processes)
    finally:
        with pytest.raises(UnhealedError, match="gone"):  # it may run there, for all that we know
            bringup.down("fleet", tmp_path / "fleet", options)
    assert all(LocalHost().process(one) is None for one in processes)
    assert not list((theirs / "agents").glob("*.key")), "their keys went with them"
    state = json.loads((tmp_path / "fleet" / place.MARKER).read_text())
    state["remote"] = [one for one in state["remote"] if one["name"] != "gone"]
    (tmp_path / "fleet" / place.MARKER).write_text(json.dumps(state))
    assert bringup.down("fleet", tmp_path / "fleet", options).ended == 1, "the scheduler; agents are gone already"
    assert not (tmp_path / "fleet" / place.MARKER).exists()


def test_only_what_is_lent_and_reached_carries_an_agent():
    hosts = [lent("a", 22), lent("b", 22, borrow=None), lent("c", 22, ssh=None)]
    assert [host.name for host in remote.lent(hosts)] == ["a"]
    for name, says in (("b", "not lent"), ("c", "SSH"), ("d", "not in the site")):
        with pytest.raises(MachineError, match=says):
            remote.lent(hosts, [name])
