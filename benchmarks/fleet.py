"""What a thousand agents cost the conductor: one core for it, one for all of them.

    python benchmarks/fleet.py [--agents 1000] [--seconds 20]

The conductor's side is the product's own: one dask actor call to each agent every second over mutual TLS, each with its
deadline, decoded, merged exactly. The agents are simulated by one process on the other core: a dask server for each,
with a listener and a TLS connection of its own, that answers beats with histograms of the real engine (4 operations ×
3 outcomes × all kinds that it counts). Prints the conductor's CPU, what the exact merge takes, memory, beats that came
late, and compares every merged histogram with one that is added up by hand.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from distributed import Scheduler
from distributed.core import Server
from distributed.protocol import to_serialize

from maul.core.clock import SystemClock
from maul.core.generator import Drained, GeneratorState, GeneratorStatus
from maul.core.histogram import Histogram, LatencyRow
from maul.core.operation import OPERATION_DTYPE
from maul.fleet import certificates, dask_settings
from maul.fleet.batch import encode
from maul.fleet.certificates import SCHEDULER, Folder, agent
from maul.fleet.connection import Fleet
from maul.fleet.generator import FleetGenerator, Part
from maul.fleet.members import Member
from maul.fleet.messages import BeatAnswer, EngineReport, pack, pack_answer, unpack_orders
from maul.fleet.tls import FleetSecurity
from maul.fleet.words import ClockReading
from maul.load import NullServer, RustGenerator

VARIANTS = 16
CLOCK = SystemClock()


def real_rows(rate: float, seconds: float = 2.0) -> list[LatencyRow]:
    """Histograms of one second of the real engine at that rate, four operations."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))
    from engine_plans import gets  # noqa: PLC0415 — it lies with the tests

    mix = [{"op": op, "weight": 1.0} for op in ("get", "head", "put", "delete")]
    with NullServer(run=1) as server:
        plan = gets(server.url, rate, seconds, mix=mix, record_operations=False)
        generator = RustGenerator(plan)
        generator.start()
        while not generator.join(0.2):
            generator.renew()
        drained = generator.drain()
    second = sorted({row.second for row in drained.latency})[-2]
    return [row for row in drained.latency if row.second == second and row.outcome == 0]


def variants() -> list[list[LatencyRow]]:
    """Four operations, three outcomes each, sixteen different agents.

    The engine's own counts: of a second at 2,000 requests per second for `ok`, at 40 for `fail` and for `unknown`.
    """
    by_outcome = [real_rows(2000.0), real_rows(40.0), real_rows(40.0)]
    made = []
    for number in range(VARIANTS):
        mine = []
        for outcome, rows in enumerate(by_outcome):
            for row in rows:
                whole = Histogram.from_v2(row.hdr)
                whole.record(1_000_000 * (number + 1), number + outcome + 1)
                mine.append(LatencyRow(0, row.op, outcome, row.kind, whole.count, whole.to_v2(), row.tenant))
        made.append(mine)
    return made


# -- the simulated agents ----------------------------------------------------------------------------------------------


class SimulatedAgent(Server):
    """A dask server that answers an actor's beat."""

    def __init__(self, number: int, templates: list[bytes], security: FleetSecurity) -> None:
        self.number, self.template, self.security, self.last = number, templates[number % VARIANTS], security, 0
        super().__init__({"actor_execute": self.actor_execute}, connection_args=security.get_connection_args("worker"))

    async def actor_execute(self, function: str, args: list[bytes], **_: object) -> object:
        if function != "beat":
            return {"status": "OK", "result": pack({})}
        orders = unpack_orders(args[0])
        self.last += 1
        status = GeneratorStatus(GeneratorState.RUNNING, offered=self.last, ok=self.last, began_ns=1)
        reports = {
            name: EngineReport(status, False, order.received + 1, [(order.received + 1, self.template)])
            for name, order in orders.items()
        }
        return {"status": "OK", "result": to_serialize(pack_answer(BeatAnswer(CLOCK.now_ns(), reports)))}


async def simulate(folder: Path, count: int, core: int) -> None:
    os.sched_setaffinity(0, {core})
    templates = [(folder / f"{number}.batch").read_bytes() for number in range(VARIANTS)]
    securities = [FleetSecurity(Folder(folder / "certificates"), agent(f"sim-{number}")) for number in range(VARIANTS)]
    scheduler = Scheduler(
        security=FleetSecurity(Folder(folder / "certificates"), SCHEDULER),
        protocol="tls",
        host="127.0.0.1",
        port=0,
        dashboard=False,
        dashboard_address="127.0.0.1:0",
    )
    async with scheduler:
        addresses, servers = [], []
        for number in range(count):
            one = SimulatedAgent(number, templates, securities[number % VARIANTS])
            await one.listen("tls://127.0.0.1:0", **one.security.get_listen_args("worker"))
            starting = asyncio.ensure_future(one.start())
            servers.append((one, starting))
            addresses.append(one.address)
        found = folder / "addresses.json.part"
        found.write_text(json.dumps({"scheduler": scheduler.address, "agents": addresses}))
        found.rename(folder / "addresses.json")
        await asyncio.sleep(600)


# -- the conductor -----------------------------------------------------------------------------------------------------


class Joined(Fleet):
    """A fleet whose agents are known without a pre-flight."""

    def prepare(self, owner, plans, trace):  # noqa: ARG002 — as generator.Line
        now_ns = self.clock.now_ns()
        reading = ClockReading(0, 10_000_000, now_ns)  # one machine, one clock
        parts = []
        for number, (name, plan) in enumerate(plans.items()):
            handle = self._line.handle(f"sim-{number}", plan["address"])
            member = Member(name, plan["address"], "", 1, handle, reading, reading, now_ns)
            part = Part(name, f"engine-{number}", 0, reading, began=True, begin_ns=now_ns)
            member.engines[part.engine] = (owner, part)
            self._members[name] = member
            parts.append(part)
        self._spread = [(member, number / len(plans)) for number, member in enumerate(self._members.values())]
        return parts

    def begin(self, owner, parts, at_ns):  # noqa: ARG002 — as generator.Line
        async def go(member, delay_s):
            await asyncio.sleep(delay_s)
            await self._asking.beat(member, self._lose)

        async def greet(member, turn):
            async with turn:
                await self._asking.ask(member, "leave", timeout_s=10)

        async def all_of_them():
            turn = asyncio.Semaphore(16)  # as the pre-flight does: connections are made before the start
            await asyncio.gather(*(greet(member, turn) for member, _ in self._spread))
            for member, delay_s in self._spread:
                member.heard_ns = self.clock.now_ns() + int(delay_s * 1e9)
                member.beating = asyncio.ensure_future(go(member, delay_s))

        self._line.wait(all_of_them(), 120)


def run(count: int, seconds: int) -> None:
    dask_settings.settle()
    rows = variants()
    with tempfile.TemporaryDirectory(prefix="maul-fleet-bench-") as name:
        folder = Path(name)
        certificates.init(folder / "certificates", [f"sim-{number}" for number in range(VARIANTS)], days=1)
        for number, mine in enumerate(rows):
            (folder / f"{number}.batch").write_bytes(encode(Drained(mine, np.empty(0, OPERATION_DTYPE))))
        size = (folder / "0.batch").stat().st_size
        print(f"{count} agents, {len(rows[0])} histograms and {size / 1024:.1f} KiB each, every second")
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[0]})
        words = [sys.executable, __file__, "--simulate", name, "--agents", str(count), "--core", str(cores[-1])]
        simulation = subprocess.Popen(words)
        try:
            measure(folder, rows, seconds, simulation.pid)
        finally:
            simulation.kill()
            simulation.wait()


def measure(folder: Path, rows: list[list[LatencyRow]], seconds: int, simulation: int) -> None:
    found = folder / "addresses.json"
    for _ in range(6000):
        if found.exists():
            break
        time.sleep(0.02)
    where = json.loads(found.read_text())
    fleet = Joined.connect(where["scheduler"], folder / "certificates")
    plans = {f"a{number:04}": {"lease_ms": 5000, "address": one} for number, one in enumerate(where["agents"])}
    generator = FleetGenerator(fleet, plans)
    generator.start()
    for _ in range(8):  # connections are made, caches are warm
        generator.renew()
        time.sleep(1)
        generator.drain()
    before = dict(generator.progress())
    merged: dict[tuple[int, int, str], Histogram] = {}
    merge_s = worst_s = 0.0
    began_s, cpu_s, sim_cpu_s = time.monotonic(), time.process_time(), cpu_of(simulation)
    for tick in range(1, seconds + 1):
        generator.renew()
        time.sleep(max(0.0, began_s + tick - time.monotonic()))
        at_s = time.thread_time()
        drained = generator.drain()
        took_s = time.thread_time() - at_s
        merge_s, worst_s = merge_s + took_s, max(worst_s, took_s)
        add_up(merged, drained.latency)
    lasted_s, used_s = time.monotonic() - began_s, time.process_time() - cpu_s
    sim_used_s = cpu_of(simulation) - sim_cpu_s
    beats = {engine: last - before[engine] for engine, last in generator.progress().items()}
    lost = generator.lost()
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = sum(beats.values())
    print(f"beats: {total} in {lasted_s:.1f} s = {total / lasted_s:,.0f}/s; agents lost: {len(lost)}")
    print(f"beats of one agent: {min(beats.values())} to {max(beats.values())}, of {seconds} due")
    used, merging = 100 * used_s / lasted_s, 100 * merge_s / lasted_s
    print(f"conductor: {used:.0f} % of a core; {merging:.0f} % for the exact merge, the rest for the beats")
    print(f"  merging one second of all agents: {1000 * merge_s / seconds:.0f} ms, {1000 * worst_s:.0f} ms at worst")
    print(f"  peak memory {peak_mib:.0f} MiB; the simulation used {100 * sim_used_s / lasted_s:.0f} % of its core")
    check(merged, rows, beats)
    fleet.close()


def add_up(merged: dict[tuple[int, int, str], Histogram], latency: list[LatencyRow]) -> None:
    for row in latency:
        key = (row.op, row.outcome, row.kind)
        merged.setdefault(key, Histogram()).merge(Histogram.from_v2(row.hdr))


def check(merged, rows, beats) -> None:
    """Everything once more by hand: every agent's histograms, added one by one by another function."""
    by_variant = Counter()
    for engine, count in beats.items():
        by_variant[int(engine.split("-")[1]) % VARIANTS] += count
    expected: dict[tuple[int, int, str], Counter[int]] = {}
    for number, count in by_variant.items():
        for row in rows[number]:
            slots = expected.setdefault((row.op, row.outcome, row.kind), Counter())
            for value, times in Histogram.from_v2(row.hdr).slots():
                slots[value] += times * count
    assert merged.keys() == expected.keys()
    for key, slots in expected.items():
        assert dict(merged[key].slots()) == dict(slots), key
        for percent in (50.0, 99.0, 99.9):
            assert merged[key].percentile(percent) == percentile(slots, percent), (key, percent)
    counts = sum(sum(slots.values()) for slots in expected.values())
    print(
        f"merge: {len(expected)} histograms, {counts:,} counts, every slot and p50, p99, p99.9 equal to those by hand"
    )


def percentile(slots: Counter[int], percent: float) -> int:
    left = max(1, round(percent / 100 * sum(slots.values()) + 0.5 - 1e-9))
    for value in sorted(slots):
        left -= slots[value]
        if left <= 0:
            return value
    raise AssertionError("no value")


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--simulate", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.simulate:
        dask_settings.settle()
        asyncio.run(simulate(options.simulate, options.agents, options.core))
    else:
        run(options.agents, options.seconds)


if __name__ == "__main__":
    main()
