"""Small facts of every kind, and a summary, for the tests of the record."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maul.core.event import Edge, Event, EventKind
from maul.core.exhibit import Exhibit, ExhibitReason
from maul.core.operation import OPERATION_DTYPE
from maul.core.sample import Sample
from maul.core.summary import Ending, Summary
from maul.core.verdict import Verdict
from maul.record import RunWriter

RUN = "20261122-214512-3fa09c"
T0_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class Row:
    """Stands for a LatencyRow: the record looks only at the attributes, and needs no compiled engine."""

    second: int = 1_700_000_000
    op: int = 1
    outcome: int = 0
    kind: str = "latency"
    count: int = 3
    hdr: bytes = b"\x1c\x84\x93\x14hdr"
    tenant: int = 0


def event(at_s: float = 0.0, name: str = "warm-up", says: str = "", **details: object) -> Event:
    return Event(T0_NS + int(at_s * 1e9), EventKind.PHASE, Edge.BEGAN, name, says, dict(details))


def sample(value: float = 0.5, at_s: float = 0.0) -> Sample:
    return Sample(T0_NS + int(at_s * 1e9), "cpu", "busy_ratio", "core0", value)


def operations(count: int, first_key: int = 0) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    array = np.zeros(count, OPERATION_DTYPE)
    array["key"] = np.arange(first_key, first_key + count)
    array["due_ns"] = T0_NS + np.arange(count) * 1000
    array["end_ns"] = array["due_ns"] + 5_000_000
    array["status"] = 200
    return array


def add_everything(writer: RunWriter, count: int = 10) -> None:
    writer.events([event(name="warm-up", kind="warm-up")])
    writer.samples([sample(0.25), sample(float("nan"), 1)])
    writer.latency("warm-up", [Row(), Row(kind="lag")])  # type: ignore[list-item]
    writer.operations("warm-up", operations(count))
    slow, torn = operations(2)
    torn_body = Exhibit(ExhibitReason.ERROR, torn, offset=4096, expected="version 1", found="version 2")
    writer.exhibits("warm-up", [Exhibit(ExhibitReason.SLOWEST, slow, "id-1"), torn_body])


def summary(headline: str = "all is well") -> Summary:
    return Summary(
        maul_version="0.1.0",
        run_id=RUN,
        campaign="first",
        target="lab",
        plan_hash="abc",
        began_ns=T0_NS,
        ended_ns=T0_NS + 10**9,
        ending=Ending.COMPLETED,
        verdict=Verdict.PASS,
        exit_code=0,
        headline=headline,
        checks=[],
        phases=[],
        capacity=None,
        errors=[],
        audit=None,
        faults=[],
        generator=None,
        gaps=[],
    )


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """A disk without room, made without privilege: the kernel refuses writes beyond a file's size limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(path: Path) -> set[str]:
    return {p.name for p in path.iterdir()}
