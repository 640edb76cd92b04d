"""Holders: only a living one with a namespace of its own says anything, and ending them ends all who live there."""

import os
import signal
import sys
from pathlib import Path

import pytest
from namespaces import held_namespace

from maul.core.clock import SystemClock
from maul.core.errors import MachineError
from maul.hosts.holders import living_holders, note_holder
from maul.hosts.host import ProcessId, SpawnSpec
from maul.hosts.inside_sockets import InsideSockets
from maul.hosts.link_counters import read_devices
from maul.hosts.local import LocalHost, own_process_id
from maul.hosts.namespace import NamespaceHost, net_namespace
from maul.hosts.own_place import OwnPlace, own_place
from maul.hosts.pidfile import pidfile_text
from maul.hosts.undo import perform
from maul.hosts.undo_kinds import UndoVacate, undo_from_json, undo_to_json
from waiting import wait_for

HOST, CLOCK = LocalHost(), SystemClock()
SLEEPER = (sys.executable, "-S", "-c", "import time; time.sleep(60)")


@pytest.fixture
def holders(tmp_path: Path) -> Path:
    directory = tmp_path / "lab" / "run" / "holders"
    directory.mkdir(parents=True)
    return directory


def name_holder(directory: Path, process: ProcessId, net: int | None, name: str = "ops") -> None:
    spec = SpawnSpec(("sleep",), Path("/"), Path("/dev/null"))
    HOST.write_bytes(directory / f"{name}.json", pidfile_text(process, spec).encode())
    if net is not None:
        note_holder(HOST, directory, name, net)


def test_whoever_lives_in_the_namespace_is_ended_with_its_holder_and_nobody_else(tmp_path, holders):
    outside = HOST.spawn(SpawnSpec(SLEEPER, tmp_path, tmp_path / "log"))
    try:
        with held_namespace(tmp_path) as holder:
            name_holder(holders, holder, net_namespace(holder.pid))
            inside = NamespaceHost("ops", holder).spawn(SpawnSpec(SLEEPER, tmp_path, tmp_path / "log"))
            assert wait_for(lambda: net_namespace(inside.pid) == net_namespace(holder.pid))
            undo = undo_from_json(undo_to_json(UndoVacate(holders, 1.0)))
            assert perform(HOST, CLOCK, undo) == (True, "ended 2 processes")
            assert HOST.process(inside) is None and HOST.process(holder) is None
            assert HOST.process(outside) is not None
            assert perform(HOST, CLOCK, undo) == (True, "nobody holds a namespace"), "undoing twice is harmless"
    finally:
        HOST.signal(outside, signal.SIGKILL)


def test_a_holder_still_in_the_namespace_it_was_started_in_does_not_stand_for_it(tmp_path, holders):
    """Otherwise ending it would end every process of this machine."""
    bystander = HOST.spawn(SpawnSpec(SLEEPER, tmp_path, tmp_path / "log"))
    half_made = HOST.spawn(SpawnSpec(SLEEPER, tmp_path, tmp_path / "log"))
    try:
        name_holder(holders, half_made, None)
        assert living_holders(HOST, holders) == ()
        assert perform(HOST, CLOCK, UndoVacate(holders, 1.0)) == (True, "ended 1 processes")
        assert HOST.process(half_made) is None and HOST.process(bystander) is not None
    finally:
        HOST.signal(bystander, signal.SIGKILL)
        HOST.signal(half_made, signal.SIGKILL)


def test_a_dead_holder_whose_inode_somebody_else_has_by_now_says_nothing(tmp_path, holders):
    ours = own_process_id()
    stranger = ProcessId(ours.pid, ours.start_ticks + 1)
    name_holder(holders, stranger, net_namespace(os.getpid()))
    assert living_holders(HOST, holders) == ()
    assert perform(HOST, CLOCK, UndoVacate(holders, 0.1)) == (True, "nobody holds a namespace")


def test_a_living_holder_in_another_namespace_than_was_noted_says_nothing(tmp_path, holders):
    with held_namespace(tmp_path) as holder:
        name_holder(holders, holder, net_namespace(os.getpid()))
        assert living_holders(HOST, holders) == ()
        assert own_place([tmp_path / "lab"]) == OwnPlace()


def test_damaged_notes_say_nothing(tmp_path, holders):
    name_holder(holders, own_process_id(), None)
    (holders / "ops.net").write_text("all of them\n")
    (holders / "odd.json").write_text("{")
    assert living_holders(HOST, holders) == ()
    done, says = perform(HOST, CLOCK, UndoVacate(holders / "absent", 0.1))
    assert done and says == "nobody holds a namespace"


def test_a_process_that_shares_our_namespace_puts_us_in_its_lab(holders, tmp_path):
    """As it is for what runs in the lab: the holder lives, and its namespace is ours."""
    name_holder(holders, own_process_id(), net_namespace(os.getpid()))
    assert (own_place([tmp_path / "lab"]).host, own_place([tmp_path / "lab"]).lab) == ("ops", tmp_path / "lab")


def test_a_host_whose_holder_is_gone_is_told_and_nothing_is_run(tmp_path):
    with held_namespace(tmp_path) as holder:
        proof = tmp_path / "ran"
        stranger = NamespaceHost("g41", ProcessId(holder.pid, holder.start_ticks + 1))
        with pytest.raises(MachineError, match="host g41 is gone"):
            stranger.run(("touch", str(proof)), 5.0)
        with pytest.raises(MachineError, match="host g41 is gone"):
            stranger.read_bytes(Path("/etc/hostname"))
        stranger.spawn(SpawnSpec(("/bin/sh", "-c", f"touch '{proof}'"), tmp_path, tmp_path / "log"))
        assert wait_for(lambda: (tmp_path / "log").exists() and b"nobody holds" in (tmp_path / "log").read_bytes())
        assert not proof.exists()


def test_sockets_and_counters_are_those_of_the_namespace(tmp_path):
    with held_namespace(tmp_path) as holder:
        host = NamespaceHost("h", holder)
        setup = (
            "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up; ip link add x0 type veth peer name x1; ip link set x0 up"
        )
        assert host.run(("/bin/sh", "-c", setup), 5.0).code == 0
        with InsideSockets(holder) as sockets:
            door = sockets.netlink(holder)
            listener = sockets.tcp(holder)
            with pytest.raises(MachineError, match="is gone"):
                sockets.tcp(ProcessId(holder.pid, holder.start_ticks + 1))
        with door, listener:
            devices = read_devices(door)
            assert set(devices) >= {"lo", "x0", "x1"}
            assert devices["lo"].up and not devices["x0"].up, "its other end is down"
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
            here = NamespaceHost("h", holder)
            assert here.run((sys.executable, "-S", "-c", DIAL, str(port)), 10.0).code == 0
            assert HOST.run((sys.executable, "-S", "-c", DIAL, str(port)), 10.0).code != 0, "out here nobody listens"
            assert read_devices(door)["lo"].sent_packets > devices["lo"].sent_packets


DIAL = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5)"
