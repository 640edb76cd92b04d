"""A made-up run that was stopped by a protection upstream, with what its vantage points felt."""

from typing import Any

import pyarrow as pa
from report_record import T0_NS, FakeRun, ns
from report_synthetic import full_run

from maul.core.mitigation_summary import BracketSummary, MitigationSummary, SuspectSummary
from maul.core.summary import Summary
from maul.core.vantage import Reach
from maul.record.tables import SCHEMAS

ONSET_S, HOLD_S = 92.3, 45.0
REACHES = tuple(Reach)


def bracket(
    dimension: str, unit: str, window_s: float, survived: float | None, dropped_at: float | None
) -> BracketSummary:
    return BracketSummary(
        dimension=dimension, unit=unit, window_s=window_s, survived=survived, dropped_at=dropped_at, runs=3,
        estimated=dimension == "bits",
    )  # fmt: skip


BRACKETS = [
    bracket(
        dimension, unit, window_s, survived * shape if survived else None, dropped_at * shape if dropped_at else None
    )
    for dimension, unit, survived, dropped_at in (
        ("packets", "packets/s", 17_900.0, 21_400.0),
        ("bits", "bit/s", 212e6, 260e6),
        ("new_connections", "connections/s", 410.0, 395.0),
        ("flows", "connections", 610.0, None),
        ("packets of one generator", "packets/s", None, 5_900.0),
    )
    for window_s, shape in ((1.0, 1.08), (5.0, 1.0), (60.0, 0.81))
]


def made(**changes: Any) -> MitigationSummary:
    known: dict[str, Any] = {
        "cause": "vip-black-hole",
        "family": "protection",
        "says": "Somebody upstream drops everything towards 198.51.100.10: no packet of ours reached the balancers "
        "from one second to the next, while they were idle and answered on another address.",
        "suspects": [
            SuspectSummary(
                cause="vip-black-hole",
                score=11.4,
                evidence=[
                    "all 4 generators lost every answer within 1.0 s",
                    "99.8 % of new connections timed out, none was refused",
                    "packets for the address at the balancers fell from 21 400/s to 0/s",
                    "the control address of the same balancers answered 12 of 12 times",
                ],
                against=[],
            ),
            SuspectSummary(
                cause="port-discard",
                score=7.1,
                evidence=["all 4 generators lost every answer within 1.0 s"],
                against=["port 8080 of the same address did not answer either"],
            ),
        ],
        "scope": ["198.51.100.10"],
        "direction": "towards the target",
        "onset_ns": ns(ONSET_S),
        "suspected_ns": ns(ONSET_S + 0.9),
        "frozen_ns": ns(ONSET_S + 1.7),
        "verdict_ns": ns(ONSET_S + 9.7),
        "recovered_ns": ns(ONSET_S + HOLD_S + 5),
        "resumed_ns": ns(ONSET_S + HOLD_S + 6),
        "resumed_part": 0.5,
        "detect_s": 6.2,
        "hold_s": HOLD_S,
        "hold_quantum_s": 5.0,
        "hold_at_least_s": None,
        "brackets": BRACKETS,
        "separated_by": "port 8080 of the same address was tried: it timed out as well",
        "missing": ["feed", "external"],
        "customers": [
            "A customer would meet this at about 900 requests/s of 16 KiB, from one address or many.",
            "Whoever meets it is cut off for about 45.0 s, and all other customers of this address with him.",
        ],
        "ticket": "Load test dropped: vip-black-hole (as far as we can tell); 198.51.100.10\n\n"
        "When (UTC)\n  answers ceased   2026-11-22T21:46:44.7Z\n\nWhat we ask\n  1. Say whether a protection acted.\n",
    }
    return MitigationSummary(**(known | changes))


NOTHING_KNOWN = made(
    cause="unknown",
    family="unknown",
    says="a black hole on the way, place unknown",
    suspects=[],
    scope=[],
    direction="",
    suspected_ns=None,
    frozen_ns=None,
    verdict_ns=None,
    recovered_ns=None,
    resumed_ns=None,
    resumed_part=None,
    detect_s=None,
    hold_s=None,
    hold_quantum_s=None,
    brackets=[],
    separated_by="",
    missing=[],
    customers=[],
    ticket="",
)


def felt() -> pa.Table:
    """One sentinel and one control per second, canaries while held."""
    rows: list[tuple[float, str, Reach]] = []
    for second in range(70, 150):
        after = second - ONSET_S
        dead = 0 <= after < HOLD_S
        held = 1.7 <= after < HOLD_S + 5
        rows.append((second + 0.2, "control/control", Reach.ANSWERED))
        if not held:
            rows.append((second + 0.5, "sentinel/load-r1-1", Reach.TIMEOUT if dead else Reach.ANSWERED))
        elif second % 5 == 0:
            rows.append((second + 0.7, "idle/load-r1-1", Reach.TIMEOUT if dead else Reach.ANSWERED))
        if second == 97:
            rows.append((second + 0.9, "inside/inside", Reach.REFUSED))
    return pa.table(
        {
            "at_ns": [ns(at_s) for at_s, _, _ in rows],
            "host": ["local"] * len(rows),
            "probe": ["vantage"] * len(rows),
            "metric": ["reach"] * len(rows),
            "subject": [subject for _, subject, _ in rows],
            "value": [float(REACHES.index(reach)) for _, _, reach in rows],
        },
        schema=SCHEMAS["samples"],
    )


def stopped_run(*mitigations: MitigationSummary, scale: float = 0.1) -> tuple[FakeRun, Summary]:
    run, summary = full_run(scale=scale)
    run.tables["samples"] = pa.concat_tables([run.tables["samples"], felt()])
    assert summary.began_ns == T0_NS
    return run, summary.model_copy(update={"mitigations": list(mitigations or (made(),))})
