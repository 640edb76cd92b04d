"""Loads: what was sent in every second, in the dimensions that protections count, and its means over 1, 5 and 60 s.

Towards the target, of all generators together and of the one that sent most. Packets are those that the balancers
count for the address, or the generators' machines; where nobody counts them they are reckoned, and that is said.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from maul.core.mitigation_summary import OF_ONE, UNITS
from maul.guard.mitigation.onset import together
from maul.guard.mitigation.signals import BalancerSecond, GeneratorSecond, Second
from maul.plan.placement.demand import Stream, on_the_wire, packets_to

WINDOWS_S = (1, 5, 60)
GAP_NS = 1_800_000_000
"""Seconds that are further apart have a hole between them: no mean is made over it."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Of one second, by dimension; what is not known is missing. `estimated`: dimensions that nobody counted."""

    at_ns: int
    values: Mapping[str, float]
    estimated: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Peak:
    """The highest mean of a dimension over a window, and when that window ended."""

    value: float
    at_ns: int


def amounts_of(seconds: Sequence[Second], *, tls: bool = True, requests_each: float = 1.0) -> list[Amounts]:
    """One for each second in which load was made, in their order. `requests_each`: HTTP requests of one operation."""
    before: Mapping[str, GeneratorSecond] = {}
    found = []
    for second in seconds:
        if second.silent or not second.generators:
            before = {}
            continue
        found.append(_amounts(second, before, tls, requests_each))
        before = second.generators
    return found


def peaks(amounts: Sequence[Amounts], dimension: str, window_s: int, after_ns: int, until_ns: int) -> Peak | None:
    """The highest mean of whole windows that end after the one moment and not after the other; None: there is none."""
    best: Peak | None = None
    for at_ns, mean in _means(amounts, dimension, window_s):
        if after_ns < at_ns <= until_ns and (best is None or mean > best.value):
            best = Peak(mean, at_ns)
    return best


def dimensions(amounts: Sequence[Amounts]) -> dict[str, bool]:
    """Every dimension that is known of some second, and whether any of it is only reckoned."""
    found: dict[str, bool] = {}
    for one in amounts:
        for name in one.values:
            found[name] = found.get(name, False) or name in one.estimated
    return found


def unit_of(dimension: str) -> str:
    """Its unit."""
    return UNITS[dimension.removesuffix(OF_ONE)]


def _means(amounts: Sequence[Amounts], dimension: str, window_s: int) -> Iterator[tuple[int, float]]:
    total, first = 0.0, 0
    for last, one in enumerate(amounts):
        value = one.values.get(dimension)
        hole = last > 0 and one.at_ns - amounts[last - 1].at_ns > GAP_NS
        if value is None or hole:
            total, first = 0.0, last if value is not None else last + 1
        if value is None:
            continue
        total += value
        if last - first + 1 > window_s:
            total -= amounts[first].values[dimension]
            first += 1
        if last - first + 1 == window_s:
            yield one.at_ns, total / window_s


def _amounts(second: Second, before: Mapping[str, GeneratorSecond], tls: bool, requests_each: float) -> Amounts:
    each = [_of_one(one, before.get(name), tls, requests_each) for name, one in second.generators.items()]
    whole = _of_one(
        together(second.generators.values()), together(before.values()) if before else None, tls, requests_each
    )
    values, estimated = dict(whole.values), set(whole.estimated)
    counted = tuple(second.balancers.values())
    for name, field in (("packets", "vip_packets"), ("answer_packets", "answer_packets")):
        seen = _counted(counted, field)
        if seen is not None:
            values[name] = seen
            estimated.discard(name)
    octets = _counted(counted, "vip_bytes")
    if octets is not None:
        values["bits"] = 8 * octets
        estimated.discard("bits")
    for name in UNITS:
        known = [(one.values[name], name in one.estimated) for one in each if name in one.values]
        if known:
            values[name + OF_ONE], reckoned = max(known)
            estimated |= {name + OF_ONE} if reckoned else set()
    return Amounts(second.at_ns, values, frozenset(estimated))


def _counted(balancers: Sequence[BalancerSecond], field: str) -> float | None:
    """Over all balancers; None where none tells. One that stands by tells zero, or nothing."""
    seen: list[float] = [value for one in balancers if (value := getattr(one, field)) is not None]
    return sum(seen) if seen else None


def _of_one(one: GeneratorSecond, before: GeneratorSecond | None, tls: bool, requests_each: float) -> Amounts:
    waits_more = one.backlog - (before.backlog if before is not None else 0.0)
    operations = max(0.0, one.due - one.dropped - waits_more)
    stream = Stream(operations * requests_each, one.opened, one.bytes_sent, one.bytes_received)
    load = on_the_wire(stream, tls)
    back = replace(stream, sent=stream.received, received=stream.sent)
    values = {
        "packets": packets_to(stream) if one.sent_packets is None else one.sent_packets,
        "bits": load.sent_bps,
        "new_connections": one.opened,
        "flows": one.connections,
        "requests": stream.requests,
        "answer_packets": packets_to(back) if one.received_packets is None else one.received_packets,
        "answer_bits": load.received_bps,
    }
    reckoned = {"bits", "answer_bits"}
    reckoned |= {"packets"} if one.sent_packets is None else set()
    reckoned |= {"answer_packets"} if one.received_packets is None else set()
    return Amounts(0, values, frozenset(reckoned))
