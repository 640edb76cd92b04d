"""Canaries: what customers feel of each other across the network, round trip and loss, read from who measures it."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from maul.core.errors import MaulError
from maul.core.sample import Sample
from maul.probes.contract import Fetch, refuse_all_missing, why_not
from maul.probes.prometheus import ask

PROBE = "canary"
RTT_P50_MS, RTT_P99_MS, LOSS_RATIO, SENT = "rtt_p50_ms", "rtt_p99_ms", "loss_ratio", "sent"
DURATION, SUCCESS = "probe_duration_seconds", "probe_success"
RANGE_S = 60.0
_FILE_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Felt:
    """One measurement, over the time since the one before. Round trips are None where no answer came."""

    at_ns: int
    sent: float
    loss_ratio: float
    rtt_p50_ms: float | None = None
    rtt_p99_ms: float | None = None


class CanaryReader(Protocol):
    """Reads what was measured of one canary since the last reading; None when nothing newer came."""

    def read(self, now_ns: int) -> Felt | None:
        """Raises MaulError or OSError when it cannot be read, ValueError when it is not a measurement."""
        ...


class CanaryProbe:
    """`rtt_p50_ms`, `rtt_p99_ms`, `loss_ratio` and `sent` of each canary, at the time of the measurement."""

    name = PROBE

    def __init__(self, readers: Mapping[str, CanaryReader]) -> None:
        """By the canary's name in the site."""
        self._readers = readers
        self._missing: dict[str, str] = {}

    @property
    def missing(self) -> Mapping[str, str]:
        """Canaries that could not be read."""
        return self._missing

    def read(self, now_ns: int) -> list[Sample]:
        """What is new of each. Raises ProbeError when none can be read."""
        self._missing = {}
        samples: list[Sample] = []
        for name, reader in self._readers.items():
            try:
                felt = reader.read(now_ns)
            except (MaulError, OSError, ValueError) as error:
                self._missing[name] = why_not(error)
            else:
                samples += _samples(name, felt) if felt is not None else []
        refuse_all_missing(self._missing, len(self._readers))
        return samples


def _samples(name: str, felt: Felt) -> list[Sample]:
    values = {
        RTT_P50_MS: felt.rtt_p50_ms,
        RTT_P99_MS: felt.rtt_p99_ms,
        LOSS_RATIO: felt.loss_ratio,
        SENT: felt.sent,
    }
    return [Sample(felt.at_ns, PROBE, metric, name, value) for metric, value in values.items() if value is not None]


@dataclass(slots=True)
class CanaryFile:
    """A file that the customer replaces with every measurement: JSON with at_ns, rtt_p50_ms, rtt_p99_ms (null where
    nothing came back), loss_ratio and sent."""

    path: Path
    _told_ns: int = 0

    def read(self, now_ns: int) -> Felt | None:
        """What the file says, if that is newer than what it said before."""
        del now_ns
        with self.path.open("rb") as file:
            text = file.read(_FILE_MAX_BYTES)
        try:
            found = json.loads(text)
            felt = Felt(
                at_ns=int(found["at_ns"]),
                sent=float(found["sent"]),
                loss_ratio=float(found["loss_ratio"]),
                rtt_p50_ms=_number(found["rtt_p50_ms"]),
                rtt_p99_ms=_number(found["rtt_p99_ms"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{self.path.name} is no measurement ({type(error).__name__}: {error})") from None
        if felt.at_ns <= self._told_ns:
            return None
        self._told_ns = felt.at_ns
        return felt


def _number(value: object) -> float | None:
    if value is None:
        return None
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else None


@dataclass(slots=True)
class CanaryQuery:
    """A blackbox exporter's probes, as a Prometheus scraped them: each scrape is one packet sent."""

    url: str
    selector: str
    fetch: Fetch
    _told_ns: dict[str, int] = field(default_factory=dict)

    def read(self, now_ns: int) -> Felt | None:
        """All probes since the last reading, as one measurement. ValueError when Prometheus has none at all."""
        del now_ns
        series = ask(self.fetch, self.url, f"{{__name__=~`{DURATION}|{SUCCESS}`,{self.selector}}}", RANGE_S)
        if not any(one.name == SUCCESS for one in series):
            raise ValueError(f"Prometheus has no recent {SUCCESS} with {self.selector}")
        answered: list[tuple[int, float]] = []
        took: dict[tuple[str, int], float] = {}
        fresh: list[tuple[str, int, float]] = []
        for one in series:
            key = one.key
            if one.name == DURATION:
                took |= {(key, at_ns): seconds for at_ns, seconds in one.points}
                continue
            seen_ns = self._told_ns.get(key, -1)
            fresh += [(key, at_ns, value) for at_ns, value in one.points if at_ns > seen_ns]
            self._told_ns[key] = max(seen_ns, one.points[-1][0])
        if not fresh:
            return None
        answered = [(at_ns, took[key, at_ns] * 1e3) for key, at_ns, ok in fresh if ok == 1 and (key, at_ns) in took]
        lost = sum(ok != 1 for _, _, ok in fresh)
        trips = sorted(ms for _, ms in answered)
        return Felt(
            at_ns=max(at_ns for _, at_ns, _ in fresh),
            sent=float(len(fresh)),
            loss_ratio=lost / len(fresh),
            rtt_p50_ms=rank(trips, 0.5),
            rtt_p99_ms=rank(trips, 0.99),
        )


def rank(values: Sequence[float], part: float) -> float | None:
    """The smallest of the sorted values that at least this part of them does not exceed; None of none.

    >>> rank([1.0, 2.0, 3.0, 4.0], 0.5), rank([], 0.5)
    (2.0, None)
    """
    return values[max(0, math.ceil(part * len(values)) - 1)] if values else None


CanaryFiles = Callable[[str], Path]
"""Where the lab's customers write what they measured, by the canary's name."""
