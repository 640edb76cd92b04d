"""The lab's network itself: what it promises to the demonstrations that stand on it."""

import json
import os
import select
import signal
import subprocess  # noqa: TID251 — runs the command line, as a user does
import sys
import time
from pathlib import Path

import pytest

from leftovers import left_since, traces
from maul.hosts.holders import HOLDERS, living_holders
from maul.lab import cluster
from maul.lab.wiring import Wiring
from net_lab import MACHINE, environment, median
from waiting import wait_for

FILL = """
import select, socket, sys, time
doors = [socket.create_connection((sys.argv[1], 7008), 5) for _ in range(4)]
for door in doors: door.setblocking(False)
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    for door in select.select([], doors, [], 0.1)[1]:
        try: door.send(bytes(32768))
        except BlockingIOError: pass
"""


@pytest.mark.timeout(120)
def test_a_full_uplink_is_seen_by_its_counters_and_felt_by_the_customers_behind_it_alone(net_lab):
    with net_lab.watching() as watch:
        assert wait_for(lambda: len(watch.felt.get("c51-c61", [])) >= 4, 20)
        began_ns = time.time_ns()
        net_lab.run("g41", sys.executable, "-S", "-c", FILL, "10.77.6.101", "8")
        over_ns = time.time_ns()
        assert wait_for(lambda: watch.felt["c51-c61"][-1]["at_ns"] > over_ns, 10)
    full_ns = (over_ns - 6 * 10**9, over_ns - 10**9)
    assert watch.mean_bps("tor-r4:up0", *full_ns) > 0.9 * 40e6
    assert watch.mean_bps("tor-r4:up0", *full_ns) < 1.02 * 40e6, "more than the cable was built for"
    assert watch.discards("tor-r4:up0") > 0 and watch.discards("spine:dn-r4") == 0
    rest = median(watch.p50_ms("c41-c51", 0, began_ns))
    assert rest < 5, "at rest there is nothing to wait for"
    assert median(watch.p50_ms("c41-c51", *full_ns)) > rest + 20, "c41 sends through the full queue"
    assert watch.mean_bps("tor-r5:up0", *full_ns) < 0.5 * 40e6
    assert watch.discards("tor-r5:up0") == 0


@pytest.mark.timeout(60)
def test_a_rate_and_a_cut_hold_until_they_are_put_back(net_lab):
    with net_lab.watching() as watch, net_lab.wires() as wires:
        wires.set_rate("r5", 2e6)
        wires.cut("c61")
        assert wait_for(lambda: watch.felt.get("c51-c61", [{}])[-1].get("loss_ratio") == 1.0, 15)
        ports = wires.ports()
        assert not ports["c61:eth0"].up and not ports["tor-r6:p-c61"].up and ports["tor-r6:up0"].up
        slow_ns = time.time_ns()
        assert wait_for(lambda: time.time_ns() > slow_ns + 3 * 10**9, 5)
        assert watch.mean_bps("tor-r5:up0", slow_ns) < 2.2e6, "the customers' own stream of 4 Mbit/s does not fit"
        wires.restore("c61")
        wires.set_rate("r5")
        assert wait_for(lambda: watch.felt["c51-c61"][-1]["loss_ratio"] == 0.0, 15)
        assert all(port.up for port in wires.ports().values())


def test_a_command_in_a_host_keeps_its_streams_its_signals_and_its_exit_code(net_lab):
    done = subprocess.run(
        [sys.executable, "-m", "maul", "lab", "exec", "g41", "--", "sh", "-c", "cat; echo down >&2; exit 7"],
        input=b"in and out", capture_output=True, check=False, timeout=30, env=environment(),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (7, b"in and out", b"down\n")
    script = "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    with net_lab.started("g41", "sh", "-c", script) as started:
        assert wait_for(lambda: "ready" in started.says(), 20)
        started.send(signal.SIGTERM)
        assert started.wait(10) == 9
        assert "caught" in started.says()


def test_a_host_sees_its_own_card_and_no_way_out(net_lab):
    routes = json.loads(net_lab.run("g41", "ip", "-j", "route").stdout)
    assert [(route["dst"], route.get("gateway")) for route in routes] == [("10.77.0.0/16", None)]
    assert net_lab.run("g41", "cat", "/proc/sys/net/ipv4/tcp_congestion_control").stdout.strip() in ("cubic", "reno")


def test_maul_refuses_to_hit_anything_but_the_lab_from_inside(net_lab):
    done = net_lab.maul("ops", "hit", "http://198.51.100.1:80/bucket", "--duration", "1s", "--rate", "1", check=False)
    assert done.returncode == 4, done.stderr


def test_maul_refuses_the_lab_from_outside(net_lab):
    words = [sys.executable, "-m", "maul", "hit", f"{net_lab.lab.url}/bucket", "--rate", "1", "--duration", "1s"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60, env=environment())
    assert done.returncode == 4, done.stderr


@pytest.mark.timeout(120)
@pytest.mark.parametrize("moment", ["making the network", "starting 4 volume servers", "starting the customers"])
def test_kill_9_of_maul_while_it_brings_a_lab_up_leaves_nothing(base, moment):
    before = traces(base)
    words = [sys.executable, "-m", "maul", "lab", "up", "--net", "--name", "doomed"]
    log = base / "doomed.log"
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment())
    try:
        assert wait_for(lambda: moment in log.read_text(), 60), log.read_text()
        select.select([], [], [], 0.2)
    finally:
        process.kill()
        process.wait()
    assert left_since(base, before, 30.0) == {}
    assert wait_for(lambda: not list((base / "state" / "undo").glob("*")), 20)
    assert not (base / "state" / "labs" / "doomed" / "lab.json").exists()


@pytest.mark.timeout(120)
def test_a_lab_of_which_half_is_dead_is_taken_down_whole(base):
    before = traces(base)
    lab = cluster.up("half", wiring=Wiring(20e6, 0))
    try:
        held = {holder.name: holder for holder in living_holders(MACHINE, lab.directory / HOLDERS)}
        assert set(held) == set(lab.layout.wiring.nodes)
        for name in ("spine", "g41", "s31"):  # the first holder is the one that made the user namespace
            MACHINE.signal(held[name].process, signal.SIGKILL)
        unhealthy = [status.name for status in lab.status() if not status.healthy]
        assert "c41" in unhealthy, "without a spine no customer reaches the other"
        (lab.directory / "lab.json").unlink()
    finally:
        lab.down()
    assert not [line for line in left_since(base, before, 10.0).get("processes", []) if "half" in line]
    assert os.listdir(lab.directory) == ["logs"]  # noqa: PTH208


@pytest.mark.timeout(180)
def test_it_needs_no_root(base, tmp_path_factory):
    """As nobody, if we may become nobody and nobody may read Python and us."""
    if os.geteuid() != 0:
        pytest.skip("we are not root: the other tests show it")
    folder = Path("/tmp") / f"maul-it-{os.getpid()}"
    folder.mkdir(mode=0o755)
    os.chown(folder, 65534, 65534)
    site_packages = Path(json.__file__).parent.parent
    path = ":".join([str(Path(cluster.__file__).parents[2]), *(p for p in sys.path if p.endswith("site-packages"))])
    python = "/usr/bin/python3"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "HOME": str(folder), "MAUL_STATE": str(folder / "state")}

    def nobody(*words: str) -> subprocess.CompletedProcess[str]:
        argv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", python, *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120, env=env, cwd="/")

    try:
        able = nobody("-c", "import maul.lab.cluster, maul._engine, pydantic_core")
        if able.returncode != 0:
            pytest.skip(f"nobody cannot run maul here ({site_packages}): {able.stderr.strip().splitlines()[-1]}")
        before = traces(folder)
        up = nobody("-m", "maul", "lab", "up", "--net")
        assert up.returncode == 0, up.stderr
        status = nobody("-m", "maul", "lab", "status")
        inside = nobody("-m", "maul", "lab", "exec", "c41", "--", "sh", "-c", "ip -j address show eth0")
        down = nobody("-m", "maul", "lab", "down")
        assert (status.returncode, inside.returncode, down.returncode) == (0, 0, 0), (status, inside, down)
        assert "10.77.4.101" in inside.stdout
        assert left_since(folder, before, 10.0) == {}
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=False)
