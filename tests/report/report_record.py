"""The record of a made-up run: a ramp into saturation, a killed server, errors, a blind sensor."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from maul.core.histogram import Histogram
from maul.core.operation import OPERATION_DTYPE, ErrorClass, Outcome
from maul.record.tables import SCHEMAS

T0_NS = 1_795_383_912_400_000_000  # 2026-11-22 21:45:12.4 UTC
RUN_ID = "20261122-214512-3fa09c"


@dataclass
class FakeRun:
    """Tables with the columns of a record."""

    path: Path = Path("runs") / RUN_ID
    tables: dict[str, pa.Table] = field(default_factory=dict)

    def events(self) -> pa.Table:
        return self._table("events")

    def samples(self) -> pa.Table:
        return self._table("samples")

    def latency(self) -> pa.Table:
        return self._table("latency")

    def operations(self) -> pa.Table:
        return self._table("operations")

    def _table(self, name: str) -> pa.Table:
        return self.tables.get(name, SCHEMAS[name].empty_table())


def ns(seconds: float) -> int:
    return T0_NS + int(seconds * 1e9)


# name, kind, begin, end, rate
PHASES = [
    ("prepare", "prepare", 6.0, 18.0, 350.0),
    ("warm-up", "warm-up", 18.5, 28.5, 150.0),
    ("ramp", "load", 29.0, 89.0, 0.0),
    ("steady", "load", 90.0, 145.0, 600.0),
    ("audit", "audit", 146.0, 158.0, 400.0),
    ("clean-up", "clean-up", 158.5, 165.0, 500.0),
]
END_S = 171.0
LEVELS = [(29.0 + 6 * i, 200.0 * (i + 1)) for i in range(10)]
FAULT = (105.0, 121.0)
WALL_PER_S = 1450.0


def _rate(phase: str, base: float, t: float) -> float:
    if phase != "ramp":
        return base
    return [rate for begin, rate in LEVELS if begin <= t][-1]


def make_operations(seed: int = 1, scale: float = 1.0) -> tuple[np.ndarray[Any, Any], list[str]]:
    rng = np.random.default_rng(seed)
    parts, names = [], []
    for name, kind, begin, end, base in PHASES:
        backlog_s = 0.0
        for t in np.arange(begin, end, 1.0):
            length = min(1.0, end - t)
            rate = _rate(name, base, t + 0.01)
            n = max(1, rng.poisson(rate * length * scale))
            due = np.sort(t + rng.random(n) * length)
            backlog_s = max(0.0, backlog_s + (rate - WALL_PER_S) / WALL_PER_S * length) if name == "ramp" else 0.0
            parts.append(_second(rng, kind, due, rate, backlog_s))
            names += [name] * n
    return np.concatenate(parts), names


def _second(
    rng: np.random.Generator, kind: str, due: np.ndarray[Any, Any], rate: float, backlog_s: float
) -> np.ndarray[Any, Any]:
    n = due.size
    made = np.zeros(n, OPERATION_DTYPE)
    ops = {"prepare": ([0], [1.0]), "audit": ([1], [1.0]), "clean-up": ([3], [1.0])}.get(
        kind, ([0, 1, 2, 3, 4], [0.25, 0.6, 0.08, 0.05, 0.02])
    )
    op = rng.choice(ops[0], size=n, p=ops[1])
    rho = min(rate / WALL_PER_S, 0.97)
    median_s = np.array([0.007, 0.0025, 0.0012, 0.004, 0.015, 0.03])[op]
    service = median_s * rng.lognormal(0, 0.45, n) / (1 - rho) ** 0.8
    lag = rng.exponential(0.00008, n) + backlog_s * rng.uniform(0.9, 1.1, n)
    outcome, error, status = np.zeros(n, int), np.zeros(n, int), np.full(n, 200)
    in_fault = (due > FAULT[0]) & (due < FAULT[1])
    early = in_fault & (due < FAULT[0] + 4)
    for where, share, what, class_, code in (
        (early, 0.06, Outcome.FAIL, ErrorClass.RESET, 0),
        (in_fault, 0.012, Outcome.FAIL, ErrorClass.INTERNAL_ERROR, 500),
        (early, 0.02, Outcome.UNKNOWN, ErrorClass.TIMEOUT, 0),
        (np.full(n, rate > 1700), 0.03, Outcome.FAIL, ErrorClass.SLOW_DOWN, 503),
        (np.full(n, rate > 1900), 0.05, Outcome.DROPPED, ErrorClass.BACKLOG, 0),
    ):
        hit = where & (rng.random(n) < share)
        outcome[hit], error[hit], status[hit] = what, class_, code
    service[in_fault] *= rng.lognormal(0.7, 0.6, int(in_fault.sum()))
    service[error == ErrorClass.TIMEOUT] = 5.0
    service[outcome == Outcome.DROPPED] = 0.0
    lag[outcome == Outcome.DROPPED] = 5.0
    due_ns = T0_NS + (due * 1e9).astype(np.int64)
    made["due_ns"] = due_ns
    made["start_ns"] = due_ns + (lag * 1e9).astype(np.int64)
    made["end_ns"] = made["start_ns"] + (service * 1e9).astype(np.uint64)
    made["op"], made["outcome"], made["error_class"], made["status"] = op, outcome, error, status
    made["bytes"] = 16384
    return made


def operations_table(operations: np.ndarray[Any, Any], phases: list[str]) -> pa.Table:
    return pa.table(
        {"phase": phases} | {name: operations[name].copy() for name in OPERATION_DTYPE.names},
        schema=SCHEMAS["operations"],
    )


def latency_table(operations: np.ndarray[Any, Any], phases: list[str]) -> pa.Table:
    seconds = operations["due_ns"] // 10**9
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, key in enumerate(
        zip(seconds.tolist(), phases, operations["op"].tolist(), operations["outcome"].tolist(), strict=True)
    ):
        groups.setdefault(key, []).append(i)
    due, start, end = (operations[name].astype(np.int64) for name in ("due_ns", "start_ns", "end_ns"))
    timed = {"latency": end - due, "service": end - start, "lag": start - due}
    rows = []
    for (second, phase, op, outcome), members in groups.items():
        for kind, values in timed.items():
            if outcome == Outcome.DROPPED and kind != "latency":
                continue
            histogram = Histogram()
            for value in values[members].tolist():
                histogram.record(max(1, value))
            rows.append(
                {
                    "second": second,
                    "phase": phase,
                    "op": op,
                    "outcome": outcome,
                    "kind": kind,
                    "count": len(members),
                    "hdr": histogram.to_v2(),
                    "tenant": 0,
                }
            )
    return pa.Table.from_pylist(rows, schema=SCHEMAS["latency"])


def load_at(t: float) -> float:
    """How busy the target is, between 0 and 1."""
    for name, _, begin, end, base in PHASES:
        if begin <= t < end:
            return min(1.0, _rate(name, base, t) / WALL_PER_S)
    return 0.02


def samples_table(seed: int = 2) -> pa.Table:
    rng = np.random.default_rng(seed)
    rows: list[tuple[Any, ...]] = []
    roles = [
        "master-r1",
        "volume-r1-1",
        "volume-r2-1",
        "volume-r3-1",
        "filer-r1",
        "filer-r2",
        "gateway-r1",
        "gateway-r2",
        "gateway-r3",
        "balancer",
        "maul",
    ]
    for i in range(int(END_S / 1.002)):
        t = 0.3 + i * 1.002  # a sensor is never quite on the second
        at, load, noise = ns(t), load_at(t), lambda: float(rng.normal(1, 0.06))
        dead = FAULT[0] < t < FAULT[1]

        def add(probe: str, metric: str, subject: str, value: float, at: int = at) -> None:
            rows.append((at, "local", probe, metric, subject, value))

        for core in range(2):
            add("cpu", "busy_ratio", f"core{core}", min(1.0, (0.08 + 0.9 * load) * noise()))
        add("cpu", "busy_ratio", "all", min(1.0, 0.08 + 0.9 * load))
        add("cpu", "iowait_ratio", "all", 0.02 + 0.05 * load * noise())
        for k, role in enumerate(roles):
            if dead and role == "volume-r1-1":
                continue
            add("process", "cpu_ratio", role, max(0.0, (0.02 + 0.25 * load / (1 + k * 0.3)) * noise()))
            add("process", "rss_bytes", role, (60 + 12 * k + t * 0.2) * 2**20)
        if load > 0.05:
            add("disk", "await_ms", "vda", 0.4 + 6 * load**4 * noise())
        add("disk", "busy_ratio", "vda", min(1.0, 0.03 + 0.55 * load * noise()))
        add("disk", "write_bytes_per_s", "vda", 30e6 * load * noise())
        add("disk", "read_bytes_per_s", "vda", 2e6 * load * noise())
        add("memory", "used_ratio", "", 0.31 + 0.0007 * t)
        for metric, height in (
            ("cpu_some", 0.6),
            ("io_some", 0.12),
            ("io_full", 0.05),
            ("memory_some", 0.0),
            ("memory_full", 0.0),
        ):
            add("pressure", f"{metric}_ratio", "", min(1.0, height * load**2 * abs(noise())))
        add("network", "sent_bytes_per_s", "lo", 90e6 * load * noise())
        add("network", "received_bytes_per_s", "lo", 90e6 * load * noise())
        for metric in ("retransmits_per_s", "listen_drops_per_s", "listen_overflows_per_s"):
            add("network", metric, "tcp", 0.0)
        if 60 < t < 72:  # the balancer's page did not answer
            continue
        for gateway in ("gateway-r1", "gateway-r2", "gateway-r3"):
            add("balancer", "requests_per_s", f"s3/{gateway}", 480 * load * noise())
            add("balancer", "up", f"s3/{gateway}", 1.0)
        add("balancer", "queue", "s3/BACKEND", max(0.0, (load - 0.9) * 300))
        add("balancer", "sessions", "s3/FRONTEND", 5 + 60 * load**2)
        add("balancer", "http_5xx_per_s", "s3/BACKEND", 8.0 if dead else 0.0)
    columns = list(zip(*rows, strict=True))
    return pa.table(
        dict(zip(SCHEMAS["samples"].names, (list(column) for column in columns), strict=True)),
        schema=SCHEMAS["samples"],
    )


def events_table() -> pa.Table:
    rows = [
        ("run", "began", "run", 0.0),
        ("phase", "began", "lab up", 0.4),
        ("phase", "ended", "lab up", 5.2),
    ]
    for name, _, begin, end, _ in PHASES:
        rows += [("phase", "began", name, begin), ("phase", "ended", name, end)]
    rows += [
        ("fault", "began", "kill volume-r1-1", FAULT[0]),
        ("fault", "ended", "kill volume-r1-1", FAULT[1]),
        ("gap", "began", "balancer", 60.0),
        ("gap", "ended", "balancer", 72.0),
        ("phase", "began", "lab down", 166.0),
    ]
    return pa.table(
        {
            "at_ns": [ns(row[3]) for row in rows],
            "kind": [row[0] for row in rows],
            "edge": [row[1] for row in rows],
            "name": [row[2] for row in rows],
            "says": [""] * len(rows),
            "details": ["{}"] * len(rows),
        },
        schema=SCHEMAS["events"],
    )
