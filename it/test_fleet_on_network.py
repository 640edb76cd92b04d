"""Many load servers on a network that customers use: chosen naively, chosen by the plan, lost, cut off, orphaned."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from net_lab import NetLab, Started, Watch, median, wait_for

RATE, SIZE_KIB = 40, 128
OURS_BPS = RATE * SIZE_KIB * 1024 * 8
SILENCE_S = 5.0
SILENT_BPS = 200e3
"""What a load server sends at most when it makes no load: the fleet's own talk."""

CAMPAIGN = """\
version: 1
name: BUCKET
site: SITE
target: {endpoints: [vip], bucket: BUCKET}
fleet: {agents: AGENTS, on_loss: redistribute, trickle: 0}
workload: {objects: 60, size: SIZE, mix: {MIX: 100}}
load: {request_timeout: 5s, connect_timeout: 2s, connections: 64, in_flight: 64}
phases:
  - {name: fill, kind: prepare, concurrency: 4}
  - {name: steady, kind: load, rate: RATE, for: SECONDS}
  - {name: tidy, kind: clean-up, concurrency: 4}
objectives:
  - {name: available, phases: [steady], errors_below: 5%}
"""


def campaign(net_lab: NetLab, name: str, agents: str, *, seconds: int, rate: int = RATE, mix: str = "get") -> Path:
    path = net_lab.folder / f"{name}.yaml"
    words = {
        "BUCKET": name, "SITE": json.dumps(str(net_lab.lab.site_path)), "AGENTS": agents, "SECONDS": f"{seconds}s",
        "SIZE": f"{SIZE_KIB}KiB", "RATE": f"{rate}/s", "MIX": mix,
    }  # fmt: skip
    text = CAMPAIGN
    for word, value in words.items():
        text = text.replace(word, value)
    path.write_text(text, encoding="utf-8")
    return path


@contextmanager
def beating(net_lab: NetLab, path: Path) -> Iterator[Started]:
    """The conductor at work in `ops`."""
    words = (sys.executable, "-m", "maul", "beat", str(path), "--runs", str(net_lab.folder / "runs"))
    with net_lab.started("ops", *words) as conductor:
        yield conductor


def under_load(watch: Watch, conductor: Started, port: str, limit_s: float = 90.0) -> int:
    """Wait until a port has sent for three seconds at a stretch. Unix ns of now."""

    def loud() -> bool:
        assert conductor.process.poll() is None, conductor.says()
        now = time.time_ns()
        rates = watch.bits_per_s(port, now - 3 * 10**9)
        return len(rates) >= 8 and median([rate for _, rate in rates]) > 4 * SILENT_BPS

    assert wait_for(loud, limit_s), conductor.says()
    return time.time_ns()


@pytest.mark.timeout(180)
def test_a_naive_choice_fills_an_uplink_and_its_customers_suffer(net_lab):
    """Two load servers, side by side in one rack, because they were free."""
    net_lab.make_bucket("naive")
    options = ("--op", "get", "--rate", f"{RATE // 2}/s", "--size", f"{SIZE_KIB}KiB", "--objects", "40")
    words = net_lab.hit("naive", *options, "--duration", "12s", "--connections", "64")
    with net_lab.watching() as watch, ThreadPoolExecutor(2) as pool:
        assert wait_for(lambda: len(watch.felt.get("c61-c41", [])) >= 4, 20)
        quiet_ns = time.time_ns()
        runs = [pool.submit(net_lab.run, host, *words, timeout_s=120.0) for host in ("g41", "g42")]
        told = [json.loads(run.result().stdout) for run in runs]
    assert sum(run["requests"] for run in told) > 0
    down = "spine:dn-r4"
    full = [at_ns for at_ns, rate in watch.bits_per_s(down, quiet_ns) if rate > 0.9 * 40e6]
    assert len(full) >= 12, "three seconds of a full uplink"
    rest, hurt = watch.p50_ms("c61-c41", 0, quiet_ns), watch.p50_ms("c61-c41", full[4], full[-1])
    assert median(hurt) > median(rest) + 20, (rest, hurt)
    assert watch.discards(down) > 0


@pytest.mark.timeout(400)
def test_the_plans_choice_reaches_the_same_rate_and_no_customer_feels_it(net_lab):
    path = campaign(net_lab, "planned", "auto", seconds=15)
    plan = json.loads(net_lab.maul("ops", "plan", str(path), "--json").stdout)
    chosen = [one["name"] for one in plan["fleet"]["generators"]]
    assert {name[1] for name in chosen} >= {"4", "5"}, "one rack's uplink cannot carry it"
    with net_lab.watching() as watch, net_lab.fleet(*chosen):
        assert wait_for(lambda: len(watch.felt.get("c61-c41", [])) >= 4, 20)
        quiet_ns = time.time_ns()
        with beating(net_lab, path) as conductor:
            assert conductor.wait(180) in (0, 1, 2), conductor.says()
        summary = json.loads((net_lab.folder / "runs" / "latest" / "summary.json").read_text())
    steady = next(phase for phase in summary["phases"] if phase["name"] == "steady")
    assert steady["ok"] >= 0.98 * 15 * RATE, conductor.says()
    for rack in ("r4", "r5", "r6"):
        assert watch.discards(f"spine:dn-{rack}") == watch.discards(f"tor-{rack}:up0") == 0
        busiest = max(rate for _, rate in watch.bits_per_s(f"spine:dn-{rack}", quiet_ns))
        assert busiest < 40e6
    for name in watch.felt:
        assert median(watch.p50_ms(name, quiet_ns)) < median(watch.p50_ms(name, 0, quiet_ns)) + 2, name


@pytest.mark.timeout(240)
def test_when_the_conductor_is_killed_the_fleet_is_silent_within_five_seconds(net_lab):
    path = campaign(net_lab, "killed", "[g41, g51]", seconds=60, rate=20, mix="put")
    with net_lab.watching() as watch, net_lab.fleet("g41", "g51"), beating(net_lab, path) as conductor:
        under_load(watch, conductor, "g41:eth0")
        killed_ns = time.time_ns()
        conductor.send(signal.SIGKILL)
        conductor.wait(10)
        silence(watch, killed_ns, "g41:eth0", "g51:eth0")


@pytest.mark.timeout(240)
def test_when_the_conductor_is_cut_off_the_fleet_is_silent_within_five_seconds(net_lab):
    path = campaign(net_lab, "cut-off", "[g41, g51]", seconds=60, rate=20, mix="put")
    with (
        net_lab.watching() as watch,
        net_lab.wires() as wires,
        net_lab.fleet("g41", "g51"),
        beating(net_lab, path) as conductor,
    ):
        under_load(watch, conductor, "g41:eth0")
        cut_ns = time.time_ns()
        wires.cut("ops")
        silence(watch, cut_ns, "g41:eth0", "g51:eth0")
        wires.restore("ops")


@pytest.mark.timeout(240)
def test_what_a_lost_agent_sent_is_taken_over(net_lab):
    path = campaign(net_lab, "lost", "[g41, g51, g61]", seconds=30, rate=30, mix="put")
    with (
        net_lab.watching() as watch,
        net_lab.fleet("g41", "g51", "g61") as fleet,
        beating(net_lab, path) as conductor,
    ):
        under_load(watch, conductor, "g61:eth0")
        before_ns = time.time_ns() - 3 * 10**9
        lost_ns = time.time_ns()
        fleet.agents["g61"].send(signal.SIGKILL)
        assert wait_for(lambda: time.time_ns() > lost_ns + 12 * 10**9, 20)
        was = watch.mean_bps("g41:eth0", before_ns, lost_ns)
        now = watch.mean_bps("g41:eth0", lost_ns + 7 * 10**9)
        assert now > 1.25 * was, f"{was / 1e6:.1f} Mbit/s before, {now / 1e6:.1f} after\n{conductor.says()}"
        assert watch.mean_bps("g61:eth0", lost_ns + 2 * 10**9) < SILENT_BPS
        assert conductor.wait(120) in (0, 1, 2), conductor.says()


def silence(watch: Watch, since_ns: int, *ports: str) -> None:
    """Every port is silent for good within the lease, and stays so for three more seconds."""
    assert wait_for(lambda: time.time_ns() > since_ns + (SILENCE_S + 3) * 1e9, 20)
    for port in ports:
        last_ns = watch.silent_from(port, SILENT_BPS, since_ns)
        assert last_ns is not None, f"{port} still sends"
        assert last_ns - since_ns <= (SILENCE_S + 0.3) * 1e9, f"{port} sent {(last_ns - since_ns) / 1e9:.1f} s on"
