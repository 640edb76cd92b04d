"""One second, boiled down to what the features need. Pure; remembered, because a window holds each second 180 times."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from maul.core.operation import ErrorClass
from maul.core.vantage import Attempt
from maul.guard.mitigation.signals import GeneratorSecond, Second

SKEW_NS_MAX = 15_000_000_000  # an attempt cannot have begun longer ago: the clock of its host is off
NS = 1_000_000_000

# How an operation failed, as far as the way to the target is concerned. Classes that are not here were an answer
# (4xx, wrong bytes), or our own doing (stopped, given up, backlog).
KINDS: Mapping[ErrorClass, str] = {
    ErrorClass.SLOW_DOWN: "throttled",
    ErrorClass.THROTTLED: "throttled",
    ErrorClass.GATEWAY_ERROR: "gateway",
    ErrorClass.INTERNAL_ERROR: "server",
    ErrorClass.OTHER_SERVER_ERROR: "server",
    ErrorClass.CONNECT_REFUSED: "refused",
    ErrorClass.CONNECT_TIMEOUT: "unconnected",
    ErrorClass.CONNECT_FAILED: "unreachable",
    ErrorClass.TLS_FAILED: "tls",
    ErrorClass.RESET: "reset",
    ErrorClass.TIMEOUT: "unanswered",
    ErrorClass.PROTOCOL: "reset",
    ErrorClass.EXHAUSTED: "local",
}
REPLIES = frozenset({"throttled", "gateway", "server"})  # somebody answered, with an error
_OURS = frozenset({ErrorClass.STOPPED, ErrorClass.BACKLOG, ErrorClass.GIVEN_UP, ErrorClass.NONE})


class Count(NamedTuple):
    """What one generator did within the second."""

    due: float
    ok: float  # answered, and not by an error of the target
    lost: float  # failed without an answer; not for want of ports
    in_flight: float
    waiting: float  # backlog and dropped: due, and not sent


@dataclass(slots=True)
class Digest:
    """The sums over the generators. `kinds`: failures by kind."""

    second: Second
    due: float = 0.0
    ok: float = 0.0
    in_flight: float = 0.0
    waiting: float = 0.0
    opened: float = 0.0
    exhausted: float = 0.0
    received: float = 0.0  # bytes
    moved: float = 0.0  # bytes, both ways
    p50_ms: float | None = None  # of the typical generator
    connect_p50_ms: float | None = None
    retransmits: float | None = None
    cpu_ratio: float | None = None  # of the busiest generator
    kinds: dict[str, float] = field(default_factory=dict)
    generators: dict[str, Count] = field(default_factory=dict)
    attempts: list[tuple[int, Attempt]] = field(default_factory=list)  # when it began, by a clock that is not absurd
    kinds_asked: tuple[object, dict[str, list[tuple[int, Attempt]]]] | None = None  # remembered by `doors.asked`

    @property
    def at_ns(self) -> int:
        """The second's end."""
        return self.second.at_ns

    @property
    def replies(self) -> float:
        """Answers that were errors of the target."""
        return sum(count for kind, count in self.kinds.items() if kind in REPLIES)

    @property
    def lost(self) -> float:
        """What ended without an answer."""
        return sum(count for kind, count in self.kinds.items() if kind not in REPLIES and kind != "local")

    @property
    def loaded(self) -> bool:
        """Whether the generators' counts mean anything: the load was not frozen, and somebody had something to send."""
        return not self.second.silent and (self.due > 0 or self.in_flight > 0 or self.ok > 0)


_REMEMBERED: OrderedDict[int, Digest] = OrderedDict()
_REMEMBERED_MAX = 1024


def digest(second: Second) -> Digest:
    """What the second says. The same object is read once only; a digest must not be changed."""
    known = _REMEMBERED.get(id(second))
    if known is not None and known.second is second:
        return known
    made = _read(second)
    _REMEMBERED[id(second)] = made  # it holds the second, so that its id is not used again meanwhile
    while len(_REMEMBERED) > _REMEMBERED_MAX:
        _REMEMBERED.popitem(last=False)
    return made


def _read(second: Second) -> Digest:
    out = Digest(second)
    medians: list[tuple[float, float]] = []
    connects: list[tuple[float, float]] = []
    for name, generator in second.generators.items():
        count = _count(generator, out.kinds)
        out.generators[name] = count
        out.due += count.due
        out.ok += count.ok
        out.in_flight += count.in_flight
        out.waiting += count.waiting
        out.opened += generator.opened
        out.exhausted += generator.exhausted
        out.received += generator.bytes_received
        out.moved += generator.bytes_sent + generator.bytes_received
        if generator.p50_ms is not None:
            medians.append((generator.p50_ms, count.ok))
        if generator.connect_p50_ms is not None and generator.opened > 0:
            connects.append((generator.connect_p50_ms, generator.opened))
        if generator.retransmits is not None:
            out.retransmits = (out.retransmits or 0.0) + generator.retransmits
        if generator.cpu_ratio is not None:
            out.cpu_ratio = max(out.cpu_ratio or 0.0, generator.cpu_ratio)
    out.p50_ms, out.connect_p50_ms = _middle(medians), _middle(connects)
    for attempt in second.attempts:
        late = second.at_ns - attempt.at_ns
        out.attempts.append((attempt.at_ns if -NS // 2 <= late <= SKEW_NS_MAX else second.at_ns - NS, attempt))
    out.attempts.sort(key=lambda made: made[0])
    return out


def _count(generator: GeneratorSecond, kinds: dict[str, float]) -> Count:
    ok, lost = generator.ok, 0.0
    for error, count in generator.failed.items():
        kind = KINDS.get(error)
        if kind is not None:
            kinds[kind] = kinds.get(kind, 0.0) + count
            if kind not in REPLIES and kind != "local":
                lost += count
        elif error not in _OURS:
            ok += count
    return Count(generator.due, ok, lost, generator.in_flight, generator.backlog + generator.dropped)


def _middle(weighted: list[tuple[float, float]]) -> float | None:
    """The median by weight. It tells of the typical generator; it is no percentile of all operations."""
    if not weighted:
        return None
    weighted.sort()
    half, total = sum(weight for _, weight in weighted) / 2, 0.0
    for value, weight in weighted:
        total += weight
        if total >= half:
            return value
    return weighted[-1][0]
