"""A lab with a border: what stands where, what every play does to whom, and that nothing of it stays."""

import json
import os
import signal
import subprocess  # noqa: TID251 — runs the command line, as a user does
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from conftest import CUSTOMERS_BPS, UPLINK_BPS
from leftovers import left_since, traces
from maul.lab import border, cluster
from maul.lab.causes import PLAYS, Orders, playing
from maul.lab.health import ask_haproxy
from maul.lab.protecting import standing, switch_off, switch_on
from maul.lab.protection import Terms
from maul.lab.wiring import Wiring
from net_lab import NetLab, environment
from waiting import wait_for

ONLOOKER = str(Path(__file__).parent / "onlooker.py")
WELL = {"answered 403", "answered 308"}
"""Nobody signs; the cluster says so."""
SEEN: dict[str, tuple[str, str, int, int]] = {  # from where, which address, port, bytes beside the request
    "g41": ("g41", border.VIP, 8443, 0),
    "g51": ("g51", border.VIP, 8443, 0),
    "plain": ("g41", border.VIP, border.PLAIN_PORT, 0),
    "ext": ("ext", border.VIP, 8443, 0),
    "control": ("ops", border.CONTROL, 8443, 0),
    "g41 control": ("g41", border.CONTROL, 8443, 0),
    "neighbour": ("ops", border.NEIGHBOUR, 8443, 0),
    "inside": ("s11", border.PRIVATE[border.ACTIVE], 8443, 0),
    "large": ("g51", border.VIP, 8443, 6000),
}
VIP_ONLY = {"g41", "g51", "plain", "ext", "large"}
ALL = set(SEEN)
HURT = {  # whom a play hurts without load, how it ends for them, and what becomes of g41's connection that stands
    "vip-black-hole": (VIP_ONLY, {"timeout"}, "timeout"),
    # The kernel tells each host once per second at most (icmp_ratelimit): who asks more often is left in the dark.
    "vip-black-hole prohibit": (VIP_ONLY, {"unreachable", "timeout"}, "timeout"),
    "vip-black-hole unreachable": (VIP_ONLY, {"unreachable", "timeout"}, "timeout"),
    "subnet-black-hole": (VIP_ONLY | {"neighbour"}, {"timeout"}, "timeout"),
    "generators-banned": ({"g41", "plain", "g41 control"}, {"timeout"}, "timeout"),
    "generators-banned destination": ({"g41", "plain", "g41 control"}, {"timeout"}, "timeout"),
    "port-discard": (VIP_ONLY - {"plain"}, {"timeout"}, "timeout"),
    "balancer-down": (ALL, {"refused"}, "reset"),
    "balancer-hung": (ALL, {"timeout"}, "timeout"),
    "balancer-hung host": (ALL, {"timeout", "unreachable"}, "timeout"),
    "backends-down": (ALL - {"plain"}, {"answered 503"}, "answered"),
    "link-down": ({"g41", "plain", "g41 control"}, {"timeout"}, "timeout"),
    "mtu-hole": ({"large"}, {"timeout"}, "answered"),
    "scrubbing": (VIP_ONLY, {"timeout"}, "timeout"),
    "scrubbing reset": (VIP_ONLY, {"timeout"}, "timeout"),
    "vip-failover": (VIP_ONLY | {"control", "g41 control", "neighbour"}, {"timeout"}, "timeout"),
}
SETTLED = ("scrubbing", "scrubbing reset", "vip-failover")
"""Who connects anew is served again after some seconds, while it lasts."""


@pytest.fixture(scope="module")
def standing_border(base: Path) -> Iterator[NetLab]:
    began = time.monotonic()
    lab = cluster.up("border", wiring=Wiring(UPLINK_BPS, CUSTOMERS_BPS, border=True))
    folder = base / "border-files"
    folder.mkdir()
    net = NetLab(lab, folder)
    net.figure(
        f"a lab with a border: up in {time.monotonic() - began:.1f} s, {len(lab.layout.wiring.nodes)} namespaces"
    )
    try:
        yield net
    finally:
        PLAYS["vip-black-hole"].begin(lab.directory)  # a play that is on must not be in the way
        lab.down()
        assert os.listdir(lab.directory) == ["logs"]  # noqa: PTH208


@pytest.fixture
def net(standing_border: NetLab) -> Iterator[NetLab]:
    """All well before and after, and every setting as it was."""
    assert wait_for(lambda: all(one.healthy for one in standing_border.lab.status()), 30), standing_border.lab.status()
    dwelled, before = standing_border.dwellers(), state_of(standing_border)
    yield standing_border
    assert playing(standing_border.directory) == ()
    assert standing(standing_border.directory).terms is None
    assert state_of(standing_border) == before
    assert wait_for(lambda: all(one.healthy for one in standing_border.lab.status()), 30)
    assert wait_for(lambda: len(standing_border.dwellers()) <= len(dwelled), 10)


def state_of(net: NetLab) -> dict[str, list[str]]:
    """Tables, routes, rules, devices, queues and settings of whoever is played with."""
    script = """
    nft list tables; ip route show table all; ip rule; ip link; tc qdisc
    cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/net/netfilter/nf_conntrack_tcp_loose
    """
    nodes = ("border", "lb", "lb2", "g41", "tor-r4", "spine")
    with ThreadPoolExecutor(2) as pool:
        told = pool.map(lambda node: net.run(node, "sh", "-c", script).stdout, nodes)
    shown = {
        node: sorted(line.strip() for line in text.splitlines() if "cache" not in line)
        for node, text in zip(nodes, told, strict=True)
    }
    most = ask_haproxy(net.lab.layout, net.lab.layout.balancer, f"show map {net.lab.layout.throttle_map}").split()[-1]
    return shown | {"throttle": [most]}


def look(net: NetLab, name: str) -> dict[str, Any]:
    host, address, port, size = SEEN[name]
    words = ("once", str(net.lab.layout.ca_path), address, str(port), *((str(size),) if size else ()))
    found: dict[str, Any] = json.loads(net.run(host, sys.executable, "-S", ONLOOKER, *words).stdout)
    return found


def views(net: NetLab) -> dict[str, str]:
    """How an attempt of everybody ends."""
    with ThreadPoolExecutor(5) as pool:
        told = pool.map(lambda name: look(net, name), SEEN)
    return {name: f"{one['reach']} {one.get('status', '')}".strip() for name, one in zip(SEEN, told, strict=True)}


def many(net: NetLab, host: str, count: int = 60, size: int = 0) -> dict[str, int]:
    """So many attempts side by side on the VIP: how often which end."""
    words = ("many", str(net.lab.layout.ca_path), border.VIP, "8443", str(count), str(size))
    found: dict[str, int] = json.loads(net.run(host, sys.executable, "-S", ONLOOKER, *words).stdout)
    return found


def test_every_public_address_is_reached_through_the_border_and_the_private_one_only_from_within(net):
    assert set(views(net).values()) <= WELL
    done = net.run("ext", "curl", "-sm", "2", "http://10.77.0.1:80/", check=False)
    assert done.returncode == 7, "no route leads from outside to the fabric"
    counted = {name: watched(net, name) for name in ("lb", "lb2", "border")}
    assert counted["lb"]["vip_syn"] > 0 and counted["lb"]["vip_out"] > 0 and counted["border"]["vip_in"] > 0
    assert counted["lb2"]["vip_in"] == 0, "it is in reserve"


def watched(net: NetLab, host: str) -> dict[str, int]:
    listing = json.loads(net.run(host, "nft", "-j", "list", "counters", "table", "inet", "maul_watch").stdout)
    counters = [one["counter"] for one in listing["nftables"] if "counter" in one]
    return {one["name"]: one["packets"] for one in counters}


@pytest.mark.timeout(90)
def test_a_process_inside_may_hit_the_vip_and_nothing_that_no_route_of_the_lab_leads_to(net):
    net.make_bucket("inside")
    done = net.run("g41", *net.hit("inside", "--op", "get", "--rate", "20", "--duration", "2s"), check=False)
    assert done.returncode == 0, done.stderr
    words = ("hit", "http://198.51.101.1:80/bucket", "--duration", "1s", "--rate", "1")
    assert net.maul("g41", *words, check=False).returncode == 4


def test_the_site_fits_together(net):
    assert net.maul("ops", "site", "check", str(net.lab.site_path)).returncode == 0


@pytest.mark.timeout(60)
@pytest.mark.parametrize("play", sorted(HURT))
def test_a_play_hurts_whom_it_should_as_it_should_and_nobody_else(net, play):
    cause, _, variant = play.partition(" ")
    hurt, ends, kept = HURT[play]
    ca = str(net.lab.layout.ca_path)
    with net.started("g41", sys.executable, "-S", ONLOOKER, "keep", ca, border.VIP, "8443", "40") as keeper:
        assert wait_for(lambda: "answered" in keeper.says(), 10)
        began = time.time()
        PLAYS[cause].begin(net.directory, Orders(strength=8 if cause == "vip-failover" else 0, variant=variant))
        try:
            found = views(net)
            failing = {name for name, how in found.items() if how not in WELL}
            # Where it is over in seconds, the last who looks may see that.
            assert failing == hurt or (play in SETTLED and {"g41", "g51", "ext"} <= failing < hurt), found
            assert {found[name] for name in failing} <= ends, found
            assert wait_for(lambda: kept in fates(keeper.says(), began), 5), keeper.says()
            assert kept == "answered" or "answered" not in fates(keeper.says(), began + 1), keeper.says()
            if play in SETTLED:
                assert wait_for(lambda: set(views(net).values()) <= WELL, 20), "what is new is served"
                assert wait_for(lambda: {"reset"} & set(fates(keeper.says(), began)), 5) or play == "scrubbing"
        finally:
            assert PLAYS[cause].end(net.directory)
        assert wait_for(lambda: set(views(net).values()) <= WELL, 20)


def fates(says: str, since: float) -> list[str]:
    told = [json.loads(line) for line in says.splitlines() if line.startswith("{")]
    return [one["reach"] for one in told if one["at"] > since]


@pytest.mark.timeout(60)
def test_a_scrubbing_centre_makes_the_way_longer_and_a_proxy_answers_for_the_balancer(net):
    rest = look(net, "g51")
    with PLAYS["scrubbing"].held(net.directory, Orders(strength=40)):
        assert wait_for(lambda: look(net, "g51")["reach"] == "answered", 15)
        longer = look(net, "g51")
    assert longer["connect_ms"] > 40 and longer["connect_ms"] > rest["connect_ms"] + 20
    with PLAYS["syn-proxy"].held(net.directory):
        assert set(views(net).values()) <= WELL
        proxied, other = look(net, "g51"), look(net, "control")
    assert proxied["mss"] < rest["mss"] == other["mss"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "cause", ["conntrack-full", "nat-full", "generator-exhausted", "application-throttle", "policer"]
)
def test_a_play_that_needs_load_hurts_a_crowd(net, cause):
    """Sixty at a time. Without the play all of them are served."""
    hurt = {
        "conntrack-full": ("timeout", {"g41", "g51"}),
        "nat-full": ("timeout", {"g41"}),
        "generator-exhausted": ("local", {"g41"}),
        "application-throttle": ("answered 503", {"g41", "g51"}),
        "policer": ("timeout", {"g41", "g51"}),
    }
    how, whom = hurt[cause]
    with PLAYS[cause].held(net.directory):
        found = {host: many(net, host, size=6000 if cause == "policer" else 0) for host in ("g41", "g51")}
    assert {host for host, ends in found.items() if ends.get(how, 0) >= 20} == whom, found
    assert all(ends.get("answered 403") == 60 for host, ends in found.items() if host not in whom), found
    assert wait_for(lambda: many(net, "g41") == {"answered 403": 60}, 20)


@pytest.mark.timeout(90)
def test_a_balancer_without_time_answers_late_and_its_queue_overflows(net):
    def overflows() -> int:
        lines = net.run("lb", "cat", "/proc/net/netstat").stdout.splitlines()
        names, values = (line.split() for line in lines if line.startswith("TcpExt:"))
        return int(dict(zip(names, values, strict=True))["ListenOverflows"])

    before = overflows()
    with PLAYS["balancer-saturated"].held(net.directory):
        found = many(net, "g41", 250)
        assert overflows() > before
    assert found.get("timeout", 0) > 50, found
    assert wait_for(lambda: many(net, "g41") == {"answered 403": 60}, 20)


@pytest.mark.timeout(60)
def test_a_congested_uplink_delays_those_behind_it(net):
    with PLAYS["link-congested"].held(net.directory):
        time.sleep(1)
        slow, other = look(net, "g41"), look(net, "g51")
    assert slow.get("connect_ms", 1e3) > 30 > other["connect_ms"]


@pytest.mark.timeout(90)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_play_ends_with_whoever_plays_it(net, how):
    words = [sys.executable, "-m", "maul", "lab", "play", "vip-black-hole", "--for", "60s", "--name", "border"]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment())
    try:
        assert wait_for(lambda: playing(net.directory), 20)
        assert wait_for(lambda: look(net, "g41")["reach"] == "timeout", 10)
        process.send_signal(how)
        process.wait(20)
    finally:
        process.kill()
        process.wait()
    assert wait_for(lambda: not playing(net.directory), 15)
    assert look(net, "g41")["reach"] == "answered"


@pytest.mark.timeout(60)
def test_the_command_line_plays_lists_and_takes_back(net):
    def maul(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "maul", "lab", "play", *words, "--name", "border"],
            capture_output=True, text=True, check=False, timeout=30, env=environment() | {"COLUMNS": "200"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    maul("port-discard")
    maul("mtu-hole", "--strength", "1000")
    on = [line.split()[0] for line in maul("--list").splitlines() if " yes " in line]
    assert on == ["port-discard", "mtu-hole"]
    assert "port-discard" in maul("port-discard", "--end")
    assert "mtu-hole" in maul("--end") and "nothing" in maul("--end")


LISTEN = """
import http.server, sys
class Feed(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["content-length"])).decode(), flush=True)
        self.send_response(204); self.end_headers()
http.server.HTTPServer(("10.77.0.2", 9880), Feed).serve_forever()
"""


@pytest.mark.timeout(200)
@pytest.mark.parametrize("action", ["black-hole", "ban-sources", "port-discard"])
def test_the_protection_sees_a_flood_drops_tells_and_lifts(net, action):
    net.make_bucket(f"flood-{action}")
    with net.started("ops", sys.executable, "-c", LISTEN) as feed:
        switch_on(net.directory, Terms(packets=100, mean_s=2, hold_s=6, action=action))
        try:
            flood = net.hit(f"flood-{action}", "--op", "get", "--rate", "150", "--duration", "12s")
            with net.started("g41", *flood) as hit:
                assert wait_for(lambda: '"drop"' in feed.says(), 90), hit.says()
                dropped = time.monotonic()
                assert look(net, "g41")["reach"] == "timeout"
                assert (look(net, "g51")["reach"] == "answered") == (action == "ban-sources")
                assert (look(net, "plain")["reach"] == "answered") == (action == "port-discard")
                assert look(net, "control")["reach"] == "answered"
            assert wait_for(lambda: '"release"' in feed.says(), 40)
            net.figure(f"protection, {action}: free again {time.monotonic() - dropped:.1f} s after it was told")
            assert wait_for(lambda: look(net, "g41")["reach"] == "answered", 20)
        finally:
            assert switch_off(net.directory)
        told = [json.loads(line) for line in feed.says().splitlines() if line.startswith("{")]
    who = "10.77.4.1" if action == "ban-sources" else border.VIP
    assert {one["prefix"] for one in told} == {f"{who}/32"}


@pytest.mark.timeout(200)
def test_kill_9_while_a_lab_with_a_border_comes_up_leaves_nothing(base):
    before = traces(base)
    words = [sys.executable, "-m", "maul", "lab", "up", "--net", "--border", "--name", "doomed-border"]
    log = base / "doomed-border.log"
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment())
    try:
        assert wait_for(lambda: "starting gateways" in log.read_text(), 60), log.read_text()
    finally:
        process.kill()
        process.wait()
    assert left_since(base, before, 30.0) == {}
