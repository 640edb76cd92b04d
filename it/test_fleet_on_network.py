"""Many load servers on a network that customers use: chosen naively, chosen by the plan, lost, cut off, orphaned."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from net_lab import NetLab, Started, Watch, median
from waiting import wait_for

RATE, SIZE_KIB = 160, 32
"""Many small objects: one of 32 KiB stands in the queue of an uplink of 40 Mbit/s for 7 ms, all of them fill it."""
SILENCE_S = 5.0
SILENT_BPS = 200e3
"""What a load server sends at most when it makes no load: the fleet's own talk."""

CAMPAIGN = """\
version: 1
name: BUCKET
site: SITE
target: {endpoints: [vip], bucket: BUCKET}
fleet: {agents: AGENTS, on_loss: redistribute, trickle: TRICKLE, guard: GUARDING}
workload: {objects: 60, size: SIZE, mix: {MIX: 100}}
load: {request_timeout: 5s, connect_timeout: 2s, connections: 64, in_flight: 64}
phases:
  - {name: fill, kind: prepare, concurrency: 4}
  - {name: steady, kind: load, rate: RATE, for: SECONDS}
  - {name: tidy, kind: clean-up, concurrency: 4}
objectives:
  - {name: available, phases: [steady], errors_below: 5%}
checks: [objectives, map-true, links-kept, generator-honest, cleaned]
"""


def campaign(
    net_lab: NetLab,
    name: str,
    agents: str,
    *,
    seconds: int,
    rate: int = RATE,
    mix: str = "get",
    guard: str = "act",
    trickle: str = "0",
    site: Path | None = None,
) -> Path:
    path = net_lab.folder / f"{name}.yaml"
    words = {
        "BUCKET": name, "SITE": json.dumps(str(site or net_lab.lab.site_path)), "AGENTS": agents,
        "SECONDS": f"{seconds}s",
        "SIZE": f"{SIZE_KIB}KiB", "RATE": f"{rate}/s", "MIX": mix,
        "GUARDING": guard, "TRICKLE": trickle,
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


def check_of(summary: dict[str, Any], name: str) -> dict[str, Any]:
    """One check of a run."""
    return next(check for check in summary["checks"] if check["name"] == name)


def summary_of(net_lab: NetLab) -> dict[str, Any]:
    """Of the newest run."""
    found: dict[str, Any] = json.loads((net_lab.folder / "runs" / "latest" / "summary.json").read_text())
    return found


def quiet_watch(watch: Watch) -> int:
    """Wait until customers were heard of. Unix ns of now."""
    assert wait_for(lambda: len(watch.felt.get("c61-c41", [])) >= 4, 20)
    return time.time_ns()


DOWN4 = "spine:dn-r4"


@pytest.mark.timeout(240)
def test_a_naive_choice_fills_an_uplink_and_its_customers_suffer(net_lab):
    """Two load servers, side by side in one rack, because they were free; the guard only looks on."""
    path = campaign(net_lab, "naive", "[g41, g42]", seconds=15, guard="watch")
    with net_lab.watching() as watch, net_lab.fleet("g41", "g42"):
        quiet_ns = quiet_watch(watch)
        with beating(net_lab, path) as conductor:
            assert conductor.wait(120) == 1, conductor.says()
    full = [at_ns for at_ns, rate in watch.bits_per_s(DOWN4, quiet_ns) if rate > 0.9 * 40e6]
    assert len(full) >= 12, "three seconds of a full uplink"
    rest, hurt = watch.p99_ms("c61-c41", 0, quiet_ns), watch.p99_ms("c61-c41", full[4], full[-1])
    net_lab.figure(f"naive, only watched: canary p99 {median(rest):.2f} ms at rest, {median(hurt):.1f} ms under load")
    assert median(watch.p50_ms("c61-c41", full[4], full[-1])) > median(watch.p50_ms("c61-c41", 0, quiet_ns)) + 20
    assert watch.discards(DOWN4) > 0
    summary = summary_of(net_lab)
    kept = check_of(summary, "links-kept")
    net_lab.figure(f"naive, only watched: {kept['says']}")
    assert kept["verdict"] == "FAIL"
    assert f"{DOWN4}>tor-r4:up0" in kept["says"]
    assert "c61-c41" in kept["says"]
    assert summary["network"]["cut"] == []


@pytest.mark.timeout(240)
def test_the_guard_cuts_a_naive_choice_until_its_customers_are_well(net_lab):
    path = campaign(net_lab, "guarded", "[g41, g42]", seconds=30)
    with net_lab.watching() as watch, net_lab.fleet("g41", "g42"):
        quiet_ns = quiet_watch(watch)
        with beating(net_lab, path) as conductor:
            began_ns = under_load(watch, conductor, "tor-r4:p-g41")
            assert conductor.wait(120) == 1, conductor.says()
    summary = summary_of(net_lab)
    assert {span["agent"] for span in summary["network"]["cut"]} == {"g41", "g42"}
    rest = median(watch.p99_ms("c61-c41", 0, quiet_ns))
    well = watch.p99_ms("c61-c41", began_ns + 12 * 10**9, began_ns + 24 * 10**9)
    carried = watch.mean_bps(DOWN4, began_ns + 12 * 10**9, began_ns + 24 * 10**9)
    net_lab.figure(
        f"naive, guarded: canary p99 {rest:.2f} ms at rest, {median(well):.1f} ms cut; {carried / 1e6:.1f} Mbit/s"
    )
    assert median(well) < rest + 20
    assert carried < 0.6 * 40e6 * 1.05


@pytest.mark.timeout(400)
def test_the_plans_choice_reaches_the_same_rate_and_no_customer_feels_it(net_lab):
    """The map is held to be true by the trickle, and every link is watched."""
    path = campaign(net_lab, "planned", "auto", seconds=20, trickle="10%")
    plan = json.loads(net_lab.maul("ops", "plan", str(path), "--json").stdout)
    chosen = [one["name"] for one in plan["fleet"]["generators"]]
    assert {name[1] for name in chosen} >= {"4", "5"}, "one rack's uplink cannot carry it"
    with net_lab.watching() as watch, net_lab.fleet(*chosen):
        quiet_ns = quiet_watch(watch)
        with beating(net_lab, path) as conductor:
            assert conductor.wait(240) == 0, conductor.says()
    summary = summary_of(net_lab)
    steady = next(phase for phase in summary["phases"] if phase["name"] == "steady")
    assert steady["ok"] >= 0.98 * 20 * RATE, conductor.says()
    for rack in ("r4", "r5", "r6"):
        assert watch.discards(f"spine:dn-{rack}") == watch.discards(f"tor-{rack}:up0") == 0
        busiest = max(rate for _, rate in watch.bits_per_s(f"spine:dn-{rack}", quiet_ns))
        assert busiest < 40e6
    for name in watch.felt:
        rest, load = median(watch.p99_ms(name, 0, quiet_ns)), watch.p99_ms(name, steady["began_ns"], steady["ended_ns"])
        net_lab.figure(f"planned: {name} p99 {rest:.2f} ms at rest, {median(load):.1f} ms under load")
        assert median(watch.p50_ms(name, quiet_ns)) < median(watch.p50_ms(name, 0, quiet_ns)) + 2, name
    for name in ("map-true", "links-kept"):
        found = check_of(summary, name)
        net_lab.figure(f"planned: {steady['ok'] / 20:.0f} ok/s, {name}: {found['says']}")
        assert found["verdict"] == "PASS", conductor.says()


def swapped(site: str) -> str:
    """Somebody mixed up the uplinks of two racks."""
    return site.replace("spine:dn-r4", "spine:dn-r?").replace("spine:dn-r5", "spine:dn-r4").replace("r?", "r5")


def misplaced(site: str) -> str:
    """Somebody believes that g41 stands in the rack r5."""
    moved = site.replace('"tor-r4:p-g41"', '"tor-r5:p-g41"')
    return "\n".join(
        line.replace('"rack": "r4"', '"rack": "r5"') if '"name": "g41"' in line else line for line in moved.split("\n")
    )


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("wrong", "names"), [(swapped, {"dn-r4", "dn-r5"}), (misplaced, {"tor-r4", "tor-r5"})], ids=["swapped", "misplaced"]
)
def test_a_wrong_map_is_found_by_the_trickle_and_nothing_ramps(net_lab, wrong, names):
    true = net_lab.lab.site_path.read_text(encoding="utf-8")
    site = net_lab.directory / f"site-{wrong.__name__}.yaml"
    assert wrong(true) != true
    site.write_text(wrong(true), encoding="utf-8")
    try:
        path = campaign(net_lab, f"wrong-{wrong.__name__}", "[g41, g51]", seconds=20, trickle="10%", site=site)
        with net_lab.watching() as watch, net_lab.fleet("g41", "g51"), beating(net_lab, path) as conductor:
            assert conductor.wait(180) == 5, conductor.says()
    finally:
        site.unlink()
    summary = summary_of(net_lab)
    found = check_of(summary, "map-true")
    net_lab.figure(f"{wrong.__name__}: {found['says']}")
    assert found["verdict"] == "FAIL"
    assert all(name in found["says"] for name in names), found["says"]
    assert "steady" not in {phase["name"] for phase in summary["phases"]}, "it ramped all the same"
    assert max(rate for _, rate in watch.bits_per_s(DOWN4)) < 0.6 * 40e6


@pytest.mark.timeout(300)
def test_when_an_uplink_is_slower_mid_run_only_those_who_cross_it_are_cut(net_lab):
    path = campaign(net_lab, "slower", "[g41, g51, g61]", seconds=45)
    ports = {name: f"tor-r{name[1]}:p-{name}" for name in ("g41", "g51", "g61")}
    with (
        net_lab.watching() as watch,
        net_lab.wires() as wires,
        net_lab.fleet("g41", "g51", "g61"),
        beating(net_lab, path) as conductor,
    ):
        began_ns = under_load(watch, conductor, ports["g41"])
        assert wait_for(lambda: time.time_ns() > began_ns + 4 * 10**9, 10)
        slow_ns = time.time_ns()
        wires.set_rate("r4", 10e6)
        assert conductor.wait(120) == 1, conductor.says()
    summary = summary_of(net_lab)
    steady = next(phase for phase in summary["phases"] if phase["name"] == "steady")
    assert {span["agent"] for span in summary["network"]["cut"]} == {"g41"}, conductor.says()
    for name in ("g51", "g61"):
        before, after = (
            watch.mean_bps(ports[name], began_ns, slow_ns),
            watch.mean_bps(ports[name], slow_ns, steady["ended_ns"]),
        )
        net_lab.figure(f"r4 at 10 Mbit/s: {name} {before / 1e6:.1f} Mbit/s before, {after / 1e6:.1f} after")
        assert after > 0.9 * before, name
    relief_s = relieved_s(watch, "c61-c41", slow_ns, steady["ended_ns"])
    before = median(watch.p99_ms("c61-c41", began_ns, slow_ns))
    worst = max(watch.p99_ms("c61-c41", slow_ns, steady["ended_ns"]))
    after = median(watch.p99_ms("c61-c41", slow_ns + int((relief_s + 1) * 1e9), steady["ended_ns"]))
    net_lab.figure(
        f"r4 at 10 Mbit/s: canary p99 {before:.1f} ms before, {worst:.0f} ms at worst, {after:.1f} ms after; "
        f"relief after {relief_s:.1f} s; g41 at {watch.mean_bps(ports['g41'], began_ns, slow_ns) / 1e6:.1f}, then "
        f"{watch.mean_bps(ports['g41'], steady['ended_ns'] - 10 * 10**9, steady['ended_ns']) / 1e6:.1f} Mbit/s"
    )
    assert relief_s < 10


def relieved_s(watch: Watch, canary: str, since_ns: int, until_ns: int) -> float:
    """Seconds until the median round trip of a canary was below 10 ms for good (3 measurements in a row)."""
    felt = [told for told in watch.felt[canary] if since_ns <= told["at_ns"] <= until_ns]
    slow = [told["at_ns"] for told in felt if told["rtt_p50_ms"] is None or told["rtt_p50_ms"] > 10]
    assert slow, "nobody felt anything"
    assert sum(told["at_ns"] > slow[-1] for told in felt) >= 3, "it is not over yet"
    return (slow[-1] - since_ns) / 1e9


@pytest.mark.timeout(240)
def test_when_the_conductor_is_killed_the_fleet_is_silent_within_five_seconds(net_lab):
    path = campaign(net_lab, "killed", "[g41, g51]", seconds=60, rate=20, mix="put")
    with net_lab.watching() as watch, net_lab.fleet("g41", "g51"), beating(net_lab, path) as conductor:
        under_load(watch, conductor, "g41:eth0")
        killed_ns = time.time_ns()
        conductor.send(signal.SIGKILL)
        conductor.wait(10)
        silence(net_lab, "conductor killed", watch, killed_ns, "g41:eth0", "g51:eth0")


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
        silence(net_lab, "conductor cut off", watch, cut_ns, "g41:eth0", "g51:eth0")
        wires.restore("ops")


@pytest.mark.timeout(240)
def test_what_a_lost_agent_sent_is_taken_over(net_lab):
    path = campaign(net_lab, "lost", "[g41, g51, g61]", seconds=30, rate=30, mix="put")
    with (
        net_lab.watching() as watch,
        net_lab.fleet("g41", "g51", "g61") as fleet,
        beating(net_lab, path) as conductor,
    ):
        before_ns = under_load(watch, conductor, "g61:eth0")
        assert wait_for(lambda: time.time_ns() > before_ns + 4 * 10**9, 10)
        lost_ns = time.time_ns()
        fleet.agents["g61"].send(signal.SIGKILL)
        assert wait_for(lambda: time.time_ns() > lost_ns + 12 * 10**9, 20)
        was = watch.mean_bps("g41:eth0", before_ns, lost_ns)
        now = watch.mean_bps("g41:eth0", lost_ns + 7 * 10**9)
        net_lab.figure(f"g61 lost: g41 sends {was / 1e6:.1f} Mbit/s before, {now / 1e6:.1f} after")
        assert now > 1.25 * was, f"{was / 1e6:.1f} Mbit/s before, {now / 1e6:.1f} after\n{conductor.says()}"
        assert watch.mean_bps("g61:eth0", lost_ns + 2 * 10**9) < SILENT_BPS
        assert conductor.wait(120) in (0, 1, 2), conductor.says()


def silence(net_lab: NetLab, what: str, watch: Watch, since_ns: int, *ports: str) -> None:
    """Every port is silent for good within the lease, and stays so for three more seconds."""
    assert wait_for(lambda: time.time_ns() > since_ns + (SILENCE_S + 3) * 1e9, 20)
    for port in ports:
        last_ns = watch.silent_from(port, SILENT_BPS, since_ns)
        assert last_ns is not None, f"{port} still sends"
        net_lab.figure(f"{what}: {port} silent after {(last_ns - since_ns) / 1e9:.1f} s")
        assert last_ns - since_ns <= (SILENCE_S + 0.3) * 1e9, f"{port} sent {(last_ns - since_ns) / 1e9:.1f} s on"
