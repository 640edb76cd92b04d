"""A mitigation, as a summary tells of it: what it was, how it was recognised, at which load, what to ask for."""

from pydantic import BaseModel, ConfigDict

from maul.core.units import show_bitrate

OF_ONE = " of one generator"
UNITS = {
    "packets": "packets/s",
    "bits": "bit/s",
    "new_connections": "connections/s",
    "flows": "connections",
    "requests": "requests/s",
    "answer_packets": "packets/s",
    "answer_bits": "bit/s",
}
"""What load is counted in, all towards the target but the answers; a dimension may be that of one source (`OF_ONE`)."""


def show_load(value: float, unit: str) -> str:
    """A figure with its unit, three digits of it.

    >>> show_load(21_934.2, "packets/s"), show_load(1.04e9, "bit/s")
    ('21,900 packets/s', '1.04 Gbit/s')
    """
    if unit == "bit/s":
        return show_bitrate(value)
    return f"{float(f'{value:.3g}'):,.6g} {unit}"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BracketSummary(_Part):
    """One dimension of what we sent: the most that was survived, the least that was answered by silence.

    The threshold lies between them, if it is one of this dimension. None: never seen. `runs`: how many narrowed it.
    """

    dimension: str
    """`packets`, `bits`, `new_connections`, `flows`, `requests`, all towards the target; `answer_packets`,
    `answer_bits` back from it; of one source: `… of one generator`."""
    unit: str
    window_s: float
    """The mean is over so many seconds: 1, 5 or 60."""
    survived: float | None
    dropped_at: float | None
    runs: int = 1
    estimated: bool = False
    """Not counted by anybody, but reckoned from requests and bytes."""


class SuspectSummary(_Part):
    """A cause that fits."""

    cause: str
    score: float
    evidence: list[str]
    against: list[str] = []


class MitigationSummary(_Part):
    """One time that traffic was stopped. Times are Unix nanoseconds; None: it did not come to that."""

    cause: str
    """`unknown` when the signs did not suffice."""
    family: str
    """`protection`, `network`, `target`, `generator` or `unknown`."""
    says: str
    suspects: list[SuspectSummary]
    scope: list[str]
    direction: str
    onset_ns: int
    suspected_ns: int | None
    frozen_ns: int | None
    verdict_ns: int | None
    recovered_ns: int | None
    resumed_ns: int | None
    resumed_part: float | None
    detect_s: float | None
    """From the threshold's crossing, as far as it can be told, to the silence: how slow the protection is."""
    hold_s: float | None
    hold_quantum_s: float | None
    hold_at_least_s: float | None
    """Where it was not seen to end."""
    brackets: list[BracketSummary] = []
    """What this run alone saw."""
    narrowed: list[BracketSummary] = []
    """Together with what earlier runs against the same target had seen; empty where there were none."""
    separated_by: str = ""
    missing: list[str] = []
    """Vantage points that were not there."""
    customers: list[str] = []
    """What it means for them, a sentence each."""
    ticket: str = ""
    """For the network team."""
