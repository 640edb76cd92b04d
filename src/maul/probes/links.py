"""Links: what each direction carries and throws away, from the counters of the ports at its ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from maul.core.errors import MaulError
from maul.core.ports import PortCounters, PortReader
from maul.core.sample import Sample
from maul.probes.contract import ProbeError
from maul.probes.port_rates import PortRates

PROBE = "link"
BITS_PER_S, DISCARDS_PER_S, UP = "bits_per_s", "discards_per_s", "up"
GAP_MIN_NS = 15_000_000_000
DISCARDS_WRAP_PER_S = 1e6
"""A 32-bit discard counter is taken to have wrapped when that leaves fewer than this."""


class CounterReader(Protocol):
    """Reads ports. Must not repeat a value as if it were new: every value carries the time at which it was true."""

    @property
    def missing(self) -> Mapping[str, str]:
        """Ports that the last reading could not read, and why."""
        ...

    def read(self, now_ns: int) -> Mapping[str, PortCounters]:
        """By port. Raises MaulError or OSError when nothing can be read."""
        ...


class FunctionReader:
    """Counters that somebody hands in, all ports at once: the lab's."""

    def __init__(self, read: PortReader) -> None:
        """`read` is called once per reading."""
        self._read = read

    @property
    def missing(self) -> Mapping[str, str]:
        """Nothing: a port that is not among those read is missed by the probe itself."""
        return {}

    def read(self, now_ns: int) -> Mapping[str, PortCounters]:
        """What the function gives. Raises ProbeError where it raises MaulError."""
        del now_ns
        try:
            return self._read()
        except MaulError as error:
            raise ProbeError(error.what, error.where) from None


@dataclass(frozen=True, slots=True)
class WatchedLink:
    """A cable by the ports at its ends; `capacity_bps` in each direction."""

    first: str
    second: str
    capacity_bps: float


class LinkProbe:
    """`bits_per_s`, `discards_per_s` and `up` (1 or 0) of each direction `A>B`.

    Bits are those that A sent; where A does not tell, those that B received. Discards are A's: a full queue towards B.
    A direction is down when either end says so. Samples carry the time at which the counter was true, which for a slow
    source lies well before the reading; where nothing newer came, there is no sample.
    """

    name = PROBE

    def __init__(self, links: Sequence[WatchedLink], reader: CounterReader, every_s: float = 1.0) -> None:
        """`every_s`: how often fresh values appear at the reader."""
        self._links = links
        self._reader = reader
        self._rates = PortRates(max(GAP_MIN_NS, round(every_s * 5e9)))
        self._told_ns: dict[str, int] = {}
        self._missing: dict[str, str] = {}

    @property
    def missing(self) -> Mapping[str, str]:
        """The directions that no port tells of, and why."""
        return self._missing

    def read(self, now_ns: int) -> list[Sample]:
        """One reading of every port. Raises ProbeError when no direction is told of."""
        found = self._reader.read(now_ns)
        self._missing = {}
        samples: list[Sample] = []
        for link in self._links:
            for source, target in ((link.first, link.second), (link.second, link.first)):
                samples += self._direction(source, target, link.capacity_bps, found)
        if self._links and len(self._missing) == 2 * len(self._links):
            raise ProbeError(f"no counter of any link; {next(iter(self._missing.values()))}")
        return samples

    def _direction(
        self, source: str, target: str, capacity_bps: float, found: Mapping[str, PortCounters]
    ) -> list[Sample]:
        sender, receiver = found.get(source), found.get(target)
        name = f"{source}>{target}"
        if (sender is None or sender.sent_bytes is None) and (receiver is None or receiver.received_bytes is None):
            self._missing[name] = self._why(source, target)
            return []
        samples: list[Sample] = []
        rates = self._bits(name, sender, receiver, capacity_bps)
        if rates is not None:
            samples.append(Sample(rates[0], PROBE, BITS_PER_S, name, rates[1]))
        if sender is not None and sender.discards is not None:
            rate = self._rates.per_second(
                (name, DISCARDS_PER_S), sender.at_ns, sender.discards, sender.discard_bits, DISCARDS_WRAP_PER_S
            )
            if rate is not None:
                samples.append(Sample(sender.at_ns, PROBE, DISCARDS_PER_S, name, rate))
        samples += self._up(name, [end for end in (sender, receiver) if end is not None and end.up is not None])
        return samples

    def _bits(
        self, name: str, sender: PortCounters | None, receiver: PortCounters | None, capacity_bps: float
    ) -> tuple[int, float] | None:
        """When, and bits per second. Both ends are followed, so that one can step in for the other at once."""
        rates: list[tuple[int, float]] = []
        for key, end, octets in (
            ((name, "sent"), sender, sender.sent_bytes if sender is not None else None),
            ((name, "received"), receiver, receiver.received_bytes if receiver is not None else None),
        ):
            if end is not None and octets is not None:
                rate = self._rates.per_second(key, end.at_ns, octets, end.octet_bits, capacity_bps / 8)
                if rate is not None:
                    rates.append((end.at_ns, rate * 8))
        return rates[0] if rates else None

    def _up(self, name: str, ends: Sequence[PortCounters]) -> list[Sample]:
        if not ends:
            return []
        at_ns = max(end.at_ns for end in ends)
        if at_ns <= self._told_ns.get(name, -1):
            return []
        self._told_ns[name] = at_ns
        return [Sample(at_ns, PROBE, UP, name, float(all(end.up for end in ends)))]

    def _why(self, source: str, target: str) -> str:
        for port in (source, target):
            if port in self._reader.missing:
                return self._reader.missing[port]
        unnamed = [port for port in (source, target) if ":" not in port]
        if len(unnamed) == 2:
            return "the site names no port of it (write it as node:port)"
        return f"no counter of {source} or {target}"
