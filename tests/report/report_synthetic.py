"""A made-up run with everything in it: its record and its summary."""

from pathlib import Path
from typing import Any

import numpy as np
from report_record import (
    END_S,
    FAULT,
    LEVELS,
    PHASES,
    RUN_ID,
    T0_NS,
    WALL_PER_S,
    FakeRun,
    events_table,
    latency_table,
    make_operations,
    ns,
    operations_table,
    samples_table,
)

from maul.core.operation import ErrorClass, Op, Outcome
from maul.core.summary import (
    AuditSummary,
    Capacity,
    Check,
    Ending,
    ErrorCount,
    FaultSummary,
    Finding,
    GeneratorSummary,
    Level,
    OperationLatency,
    Percentiles,
    PhaseSummary,
    Summary,
    Wall,
)
from maul.core.verdict import Verdict


def percentiles(values_ns: np.ndarray[Any, Any]) -> Percentiles:
    ms = values_ns / 1e6
    p50, p90, p99, p999, p9999 = (float(x) for x in np.percentile(ms, [50, 90, 99, 99.9, 99.99]))
    return Percentiles(
        count=ms.size,
        mean=float(ms.mean()),
        p50=p50,
        p90=p90,
        p99=p99,
        p999=p999,
        p9999=p9999,
        max=float(ms.max()),
    )


def phase_summaries(operations: np.ndarray[Any, Any], phases: list[str]) -> list[PhaseSummary]:
    names = np.array(phases)
    made = []
    for name, kind, begin, end, _ in PHASES:
        of = operations[names == name]
        due, start, ended = (of[column].astype(np.int64) for column in ("due_ns", "start_ns", "end_ns"))
        waited = of["outcome"] != Outcome.FAIL
        latency = [
            OperationLatency(
                op=Op(op).name.lower(),
                latency=percentiles((ended - due)[waited & (of["op"] == op)]),
                service=percentiles((ended - start)[waited & (of["op"] == op)]),
            )
            for op in np.unique(of["op"])
        ]
        by = [int((of["outcome"] == outcome).sum()) for outcome in Outcome]
        made.append(
            PhaseSummary(
                name=name,
                kind=kind,
                began_ns=ns(begin),
                ended_ns=ns(end),
                offered=of.size,
                ok=by[0],
                fail=by[1],
                unknown=by[2],
                late=int(((start - due) > 5e6).sum()),
                dropped=by[3],
                bytes_sent=by[0] * 4000,
                bytes_received=by[0] * 11000,
                latency=latency,
            )
        )
    return made


def levels(operations: np.ndarray[Any, Any]) -> list[Level]:
    made = []
    for i, (begin, rate) in enumerate(LEVELS):
        of = operations[(operations["due_ns"] >= ns(begin)) & (operations["due_ns"] < ns(begin + 6))]
        due, start, ended = (of[column].astype(np.int64) for column in ("due_ns", "start_ns", "end_ns"))
        ok = of["outcome"] == Outcome.OK
        p = percentiles(ended - due)
        errors, dropped = float((~ok).mean()), float((of["outcome"] == Outcome.DROPPED).mean())
        meets = p.p99 < 250 and errors < 0.001
        made.append(
            Level(
                began_ns=ns(begin),
                ended_ns=ns(begin + 6),
                offered_per_s=of.size / 6,
                achieved_per_s=min(int(ok.sum()) / 6, WALL_PER_S),
                p50_ms=p.p50,
                p99_ms=p.p99,
                p999_ms=p.p999,
                service_p99_ms=percentiles(ended - start).p99,
                error_ratio=errors,
                dropped_ratio=dropped,
                lag_p99_ms=float(np.percentile(start - due, 99)) / 1e6,
                void=["it gave"] if i == 9 else [],
                meets=meets,
                why_not="" if meets else f"p99 {p.p99:.0f} ms is above 250 ms",
            )
        )
        del rate
    return made


def errors(operations: np.ndarray[Any, Any], phases: list[str]) -> list[ErrorCount]:
    groups: dict[tuple[str, int, int, int], list[int]] = {}
    for i in np.flatnonzero(operations["outcome"] != 0).tolist():
        row = operations[i]
        groups.setdefault((phases[i], int(row["op"]), int(row["outcome"]), int(row["error_class"])), []).append(
            int(row["due_ns"])
        )
    return [
        ErrorCount(
            phase=phase,
            op=Op(op).name.lower(),
            outcome=Outcome(outcome).name.lower(),
            error_class=ErrorClass(error).name.lower(),
            count=len(times),
            first_ns=min(times),
            last_ns=max(times),
        )
        for (phase, op, outcome, error), times in groups.items()
    ]


def make_summary(operations: np.ndarray[Any, Any], phases: list[str]) -> Summary:
    found = levels(operations)
    good = [level for level in found if level.meets]
    bad = next(level for level in found if not level.meets)
    return Summary(
        maul_version="0.1.0",
        run_id=RUN_ID,
        campaign="first campaign",
        target="https://127.64.0.1:8443 (lab)",
        plan_hash="9f2c41d07ab35e8810c2",
        began_ns=T0_NS,
        ended_ns=ns(END_S),
        ending=Ending.COMPLETED,
        verdict=Verdict.FAIL,
        exit_code=1,
        headline="2 objects were lost after a volume server was killed; "
        f"capacity is {good[-1].offered_per_s:.0f} operations/s, limited by CPU.",
        checks=[
            Check(
                name="objects survive",
                verdict=Verdict.FAIL,
                says="2 of 4096 acknowledged objects could not be read back.",
                phase="audit",
            ),
            Check(
                name="p99 of GET below 100 ms",
                verdict=Verdict.PASS,
                says="p99 was 41.2 ms over 21 880 operations.",
                phase="steady",
            ),
            Check(
                name="errors below 0.1 %",
                verdict=Verdict.FAIL,
                says="0.74 % failed or were never answered, most while volume-r1-1 was dead.",
                phase="steady",
            ),
            Check(
                name="the load balancer keeps all gateways",
                verdict=Verdict.UNKNOWN,
                says="The balancer's statistics were not read for 12 s.",
            ),
            Check(
                name="the fault heals",
                verdict=Verdict.PASS,
                says="volume-r1-1 is back with the process that was found.",
                phase="steady",
            ),
            Check(
                name="the generator keeps up",
                verdict=Verdict.PASS,
                says="Lag p99 0.4 ms outside of the ramp's last level.",
            ),
        ],
        phases=phase_summaries(operations, phases),
        capacity=Capacity(
            phase="ramp",
            levels=found,
            highest_good_per_s=good[-1].offered_per_s,
            first_bad_per_s=bad.offered_per_s,
            broke="p99 of all operations",
            wall=Wall(
                kind="cpu",
                subject="all cores",
                utilisation=0.98,
                says="both cores were busy all the time; gateways and balancer took most of it.",
                evidence=[
                    "CPU busy 71 % at 1 200/s, 98 % at 1 400/s",
                    "CPU pressure rose from 22 % to 58 % of the time",
                    "disk vda busy 54 %, network lo far below its link: neither is the wall",
                ],
            ),
            says=f"The target kept its objectives up to {good[-1].offered_per_s:.0f} operations/s "
            f"and broke them at {bad.offered_per_s:.0f}: the CPU gave.",
        ),
        errors=errors(operations, phases),
        audit=AuditSummary(
            objects=4096,
            reads=12288,
            through=["gateway-r1", "gateway-r2", "gateway-r3"],
            counts={"lost": 2, "stale": 1, "corrupt": 0},
            findings=[
                Finding(
                    kind="lost",
                    key=f"maul/{RUN_ID}/b0000000003e7",
                    through="gateway-r1",
                    expected="version 281474976710912, 16 KiB",
                    found="404 NoSuchKey",
                ),
                Finding(
                    kind="lost",
                    key=f"maul/{RUN_ID}/b000000000c11",
                    through="gateway-r1",
                    expected="version 281474976711188, 4 KiB",
                    found="404 NoSuchKey",
                ),
                Finding(
                    kind="stale",
                    key="<script>alert(1)</script>/../\u202e&amp;'\"",
                    through="gateway-r2",
                    expected="version 281474976711190",
                    found="version 281474976710001",
                ),
            ],
            findings_total=3,
            complete=True,
            says="4 094 of 4 096 objects came back as written; 2 are lost, 1 is stale.",
        ),
        faults=[
            FaultSummary(
                name="kill volume-r1-1",
                target="volume-r1-1",
                began_ns=ns(FAULT[0]),
                healed_ns=ns(FAULT[1]),
                proven=True,
                healed=True,
                effect="SIGKILL; its port refused connections 12 ms later",
                undo="started again as found, answered its health URL after 3.1 s",
                customers="Errors rose from 0 % to 3.1 %, p99 from 22 ms to 118 ms; normal 6 s later.",
            )
        ],
        generator=GeneratorSummary(
            shards=2,
            requests=operations.size,
            cpu_seconds=21.4,
            cpu_us_per_request=174.0,
            lag_p50_ms=0.06,
            lag_p99_ms=0.42,
            lag_max_ms=812.0,
            late=4123,
            dropped=620,
            records_lost=0,
            bound=False,
            says="The generator used 0.13 cores and was never the limit below 2 000/s.",
        ),
        gaps=["balancer: no answer from its statistics page between 60.0 s and 72.0 s (connection refused)"],
        notes=["The lab ran on the same two cores as the generator: capacity is that of the pair."],
    )


def full_run(path: Path = Path("runs") / RUN_ID, scale: float = 1.0) -> tuple[FakeRun, Summary]:
    operations, phases = make_operations(scale=scale)
    run = FakeRun(
        path,
        {
            "events": events_table(),
            "samples": samples_table(),
            "latency": latency_table(operations, phases),
            "operations": operations_table(operations, phases),
        },
    )
    return run, make_summary(operations, phases)


def bare_summary(**changes: Any) -> Summary:
    """A run of which nothing is known but that it was."""
    known: dict[str, Any] = {
        "maul_version": "0.1.0",
        "run_id": RUN_ID,
        "campaign": "c",
        "target": "t",
        "plan_hash": "9f2c",
        "began_ns": T0_NS,
        "ended_ns": T0_NS,
        "ending": Ending.KILLED,
        "verdict": Verdict.UNKNOWN,
        "exit_code": 2,
        "headline": "The run died.",
        "capacity": None,
        "audit": None,
        "generator": None,
        **{part: [] for part in ("checks", "phases", "errors", "faults", "gaps")},
    }
    return Summary(**(known | changes))
