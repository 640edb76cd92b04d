"""The engine against the null server: scaling, exactness of the open loop, many connections, memory. `make bench`.

Goals are those of the project; say in docs/performance.md what was measured where.
"""

import os
import resource
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from frame import finished, rss_bytes, server_apart, tell

from maul.core.histogram import Histogram, LatencyKind, LatencyRow
from maul.load import RustGenerator
from maul.plan import with_secrets
from maul.plan.calibrating import Cell, Trial, trial_plan
from maul.plan.engine_plan import ClosedArrivals, KeyChoice, Keyspace

SMALL = Cell("get-verified", 4096, "http")
ROUNDS = 5
MANY_CONNECTIONS, DESCRIPTORS_SPARE = 20_000, 200
OBJECTS, MEMORY_CONNECTIONS, MEMORY_S, MEMORY_MAX_BYTES = 10**9, 1000, 20.0, 150 * 2**20
PACE_PER_S, PACE_S = 20_000.0, 5.0


def main() -> int:
    """Measure and print."""
    cores = tuple(sorted(os.sched_getaffinity(0)))
    scaling(cores)
    pace(cores)
    many_connections(cores)
    memory(cores)
    return 0


def scaling(cores: Sequence[int]) -> None:
    """One core with a shard and a server thread, against two cores with two of each, in turn."""
    if len(cores) < 2:
        tell("2 shards against 1", "needs two cores")
        return
    ratios = []
    with server_apart((cores[0],)) as one_url, server_apart((cores[0], cores[1])) as two_url:
        for _ in range(ROUNDS):
            one = per_s(trial_plan(Trial(SMALL, 1.0, (cores[0],), ()), one_url))
            two = per_s(trial_plan(Trial(SMALL, 1.0, (cores[0], cores[1]), ()), two_url))
            ratios.append(two / one)
    ratio = statistics.median(ratios)
    tell("2 shards on 2 cores against 1 on 1", f"{ratio:.2f}×", ">= 1.8×", ratio >= 1.8)


def per_s(plan: object) -> float:
    status, _ = finished(plan)  # type: ignore[arg-type]
    return status.ok / status.elapsed_s


def pace(cores: Sequence[int]) -> None:
    """Open loop on one core: is every arrival sent, and in time?"""
    with server_apart((cores[0],)) as url:
        trial = Trial(SMALL, PACE_S, (cores[-1],), (), rate_per_s=PACE_PER_S)
        status, latency = finished(trial_plan(trial, url))
    achieved = status.ok / (PACE_PER_S * PACE_S)
    lag_ms = p99_ms(latency, LatencyKind.LAG)
    busy = status.cpu_seconds / status.elapsed_s
    tell(f"open loop {PACE_PER_S:,.0f}/s: achieved", f"{achieved:.3%}", "within 0.1 %", abs(achieved - 1) <= 0.001)
    tell("  lag p99", f"{lag_ms:.3f} ms", "< 1 ms", lag_ms < 1.0)
    tell("  CPU of its core", f"{busy:.0%}", "< 70 %", busy < 0.7)


def p99_ms(rows: Sequence[LatencyRow], kind: LatencyKind) -> float:
    merged = Histogram()
    for row in rows:
        if row.kind == kind:
            merged.merge(Histogram.from_v2(row.hdr))
    return merged.percentile(99.0) / 1e6


def many_connections(cores: Sequence[int]) -> None:
    """All of them open at once and in use. Needs as many descriptors in each of the two processes, and ports."""
    enough, found = descriptors(MANY_CONNECTIONS + DESCRIPTORS_SPARE)
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split())
    wanted = min(MANY_CONNECTIONS, high - low, MANY_CONNECTIONS if enough else found - DESCRIPTORS_SPARE)
    tell("descriptors and local ports of this machine", f"{found:,} and {high - low:,}", "20,200 and 20,000")
    with server_apart((cores[0],)) as url:
        plan = trial_plan(Trial(SMALL, 10.0, (cores[-1],), ()), url)
        limits = plan.limits.model_copy(update={"in_flight": wanted, "connections": wanted, "seconds": 60.0})
        arrivals = ClosedArrivals(concurrency=wanted, seconds=10.0)
        timeouts = plan.timeouts.model_copy(update={"connect_ms": 20_000, "request_ms": 20_000})
        plan = plan.model_copy(update={"limits": limits, "arrivals": arrivals, "timeouts": timeouts})
        generator = RustGenerator(with_secrets(plan, None, {}))
        generator.start()
        most = 0
        while not generator.join(0.2):
            most = max(most, generator.status().connections)
        status = generator.status()
    bad = status.fail + status.unknown
    says = f"{most:,} open of {wanted:,}, {bad:,} not ok"
    met = (
        most >= MANY_CONNECTIONS and not bad if wanted == MANY_CONNECTIONS or bad else None
    )  # not by the machine's fault
    tell(f"{MANY_CONNECTIONS:,} connections", says, "20,000 open, 0", met)
    tell("  requests per second", f"{status.ok / status.elapsed_s:,.0f}")


def descriptors(wanted: int) -> tuple[bool, int]:
    """Raise the limits of this process and of those that it starts, if allowed: (are they enough, the one found)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return True, hard
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), wanted))  # root may
    except (ValueError, OSError):
        return False, hard
    return True, hard


def memory(cores: Sequence[int]) -> None:
    """A large key space with popular keys and many connections: does memory stay flat?"""
    with server_apart((cores[0],)) as url:
        plan = trial_plan(Trial(SMALL, MEMORY_S, (cores[-1],), ()), url)
        limits = plan.limits.model_copy(update={"in_flight": MEMORY_CONNECTIONS, "connections": MEMORY_CONNECTIONS})
        plan = plan.model_copy(
            update={
                "keyspace": Keyspace(objects=OBJECTS, choice=KeyChoice(kind="zipf", exponent=0.99)),
                "arrivals": ClosedArrivals(concurrency=MEMORY_CONNECTIONS, seconds=MEMORY_S),
                "limits": limits,
                "record_operations": True,
            }
        )
        generator = RustGenerator(with_secrets(plan, None, {}))
        generator.start()
        seen = []
        while not generator.join(1.0):
            generator.drain()  # as a run does
            seen.append(rss_bytes())
        ok = generator.status().ok
    early, late = max(seen[2 : len(seen) // 2]), max(seen[len(seen) // 2 :])
    growth = late / early - 1
    tell(
        f"10^9 objects, {MEMORY_CONNECTIONS:,} connections: memory",
        f"{late / 2**20:.0f} MiB",
        "< 150 MiB",
        late < MEMORY_MAX_BYTES,
    )
    tell("  growth from the first half to the second", f"{growth:+.1%}", "flat (< 5 %)", growth < 0.05)
    tell("  operations meanwhile", f"{ok:,}")


if __name__ == "__main__":
    sys.exit(main())
