"""Onset: did answers suddenly cease to come? Only silence counts: an answer that says no, or comes late, is an answer.

Each generator by itself, and all together: a cumulative sum (CUSUM) of how much likelier the answers of a second are if
they fell to a tenth of what is to be expected than if they did not (Poisson), bounded per second, so that one bad
second is no collapse. To be expected is what was usual, or what was due if that is less: a load that falls is none.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from maul.core.operation import ErrorClass
from maul.core.vantage import Attempt, Reach, Vantage
from maul.guard.mitigation.signals import GeneratorSecond, Second

SILENT_CLASSES = frozenset(
    {ErrorClass.CONNECT_TIMEOUT, ErrorClass.CONNECT_FAILED, ErrorClass.RESET, ErrorClass.TIMEOUT}
)
SILENT_REACHES = frozenset({Reach.STALLED, Reach.TIMEOUT, Reach.RESET, Reach.UNREACHABLE, Reach.PROHIBITED})
FALLEN_TO = 0.1
SECOND_MAX = 4.0
"""The most that the answers of one second count."""
SENTINEL = 3.0
"""What a sentinel that is not answered counts."""
SUSPECT, CERTAIN, SCORE_MAX = 4.0, 7.5, 20.0
SILENT_S_MIN = 2
STALL_S = 5
"""As long as new connections still stand, the way is open and the target stalls: then it takes so long."""
USUAL_PART = 0.3
"""Of the newest second in the running mean of what is usual."""
SLOWER, SLOW_MS_MIN, SLOW_ROW = 4.0, 200.0, 2
"""Answers that took so many times as long as in good times, for so many seconds before: saturation, not silence."""
MISSED_MAX = 3
"""Who tells nothing for longer is forgotten: he is lost, and that is another matter."""
SIMULTANEOUS_NS = 3_000_000_000
ALL = ""
"""Stands for all generators together."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What is remembered of one generator, or of all. Begin with `Usual()`."""

    answered: float = 0.0
    in_flight: float = 0.0
    received: float = 0.0
    took_ms: float | None = None
    least_ms: float | None = None
    slow_row: int = 0
    score: float = 0.0
    silent_s: int = 0
    """Seconds in a row without answers to speak of."""
    since_ns: int = 0
    """When the first of them began; 0: none."""
    open_way: bool = False
    """A new connection stood within them."""
    missed: int = 0
    """Seconds in a row that nobody told of it."""

    @property
    def slowing(self) -> bool:
        """Answers took ever longer before they ceased to come."""
        return self.slow_row >= SLOW_ROW

    @property
    def certain(self) -> bool:
        """Enough to act upon."""
        return self.score >= CERTAIN and self.silent_s >= (STALL_S if self.open_way else SILENT_S_MIN)


@dataclass(frozen=True, slots=True)
class Onset:
    """What is remembered of everybody. Begin with `Onset()`."""

    phase: str = ""
    by_name: Mapping[str, Usual] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """The worst."""
        return max((usual.score for usual in self.by_name.values()), default=0.0)

    @property
    def certain(self) -> bool:
        """Somebody's answers ceased to come, and not because they became slower and slower."""
        return any(usual.certain and not usual.slowing for usual in self.by_name.values())

    @property
    def slowing(self) -> bool:
        """Whoever is silent was slowing before."""
        silent = [usual for usual in self.by_name.values() if usual.score >= SUSPECT]
        return bool(silent) and all(usual.slowing for usual in silent)

    @property
    def silent(self) -> tuple[str, ...]:
        """Generators whose answers ceased to come."""
        return tuple(sorted(name for name, usual in self.by_name.items() if name != ALL and usual.score >= SUSPECT))

    @property
    def together(self) -> float:
        """The part of all generators that fell silent within three seconds of the first; 0 where none did."""
        began = [usual.since_ns for name, usual in self.by_name.items() if name != ALL and usual.since_ns]
        everybody = sum(name != ALL for name in self.by_name)
        return sum(at - min(began) <= SIMULTANEOUS_NS for at in began) / everybody if began else 0.0

    @property
    def since_ns(self) -> int | None:
        """When the first of those who are silent fell silent; None: nobody is."""
        return min((usual.since_ns for usual in self.by_name.values() if usual.since_ns and usual.score), default=None)


def listen(onset: Onset, second: Second, phase: str = "") -> Onset:
    """Take in one second. With another phase, what is usual is learnt anew. What was sent by nobody says nothing."""
    if second.silent:
        return Onset(phase)
    if phase != onset.phase:
        onset = Onset(phase)
    asked = [attempt for attempt in second.attempts if attempt.question.vantage is Vantage.SENTINEL]
    by_who: dict[str, list[Attempt]] = {}
    for attempt in asked:
        by_who.setdefault(attempt.question.who, []).append(attempt)
    known = {name: onset.by_name.get(name, Usual()) for name in second.generators}
    found = {name: replace(usual, missed=usual.missed + 1) for name, usual in onset.by_name.items()}
    for name, one in second.generators.items():
        found[name] = _next(known[name], one, by_who.get(name, ()), second.at_ns)
    if len(known) > 1:
        whole = _whole(onset.by_name.get(ALL, Usual()), known.values())
        found[ALL] = _next(whole, together(second.generators.values()), asked, second.at_ns)
    return Onset(phase, {name: usual for name, usual in found.items() if usual.missed <= MISSED_MAX})


def _whole(before: Usual, told: Iterable[Usual]) -> Usual:
    """What is usual of all who told something; who did not is no silence."""
    of = tuple(told)
    return replace(
        before,
        answered=sum(usual.answered for usual in of),
        in_flight=sum(usual.in_flight for usual in of),
        received=sum(usual.received for usual in of),
    )


def answered(one: GeneratorSecond) -> float:
    """What was answered, be it by an error; what failed for a reason of our own counts, too: it is no silence."""
    return one.ok + sum(count for kind, count in one.failed.items() if kind not in SILENT_CLASSES)


def unanswered(one: GeneratorSecond) -> float:
    """What ended without an answer."""
    return sum(count for kind, count in one.failed.items() if kind in SILENT_CLASSES)


def together(counted: Iterable[GeneratorSecond]) -> GeneratorSecond:
    """All generators as one; only what can be added up."""
    all_of = tuple(counted)
    failed: dict[ErrorClass, float] = {}
    for one in all_of:
        for kind, count in one.failed.items():
            failed[kind] = failed.get(kind, 0.0) + count
    return GeneratorSecond(
        due=sum(one.due for one in all_of),
        withheld=sum(one.withheld for one in all_of),
        ok=sum(one.ok for one in all_of),
        dropped=sum(one.dropped for one in all_of),
        failed=failed,
        in_flight=sum(one.in_flight for one in all_of),
        backlog=sum(one.backlog for one in all_of),
        opened=sum(one.opened for one in all_of),
        connections=sum(one.connections for one in all_of),
        exhausted=sum(one.exhausted for one in all_of),
        bytes_sent=sum(one.bytes_sent for one in all_of),
        bytes_received=sum(one.bytes_received for one in all_of),
        sent_packets=_sum_known([one.sent_packets for one in all_of]),
        received_packets=_sum_known([one.received_packets for one in all_of]),
    )


def _sum_known(values: Sequence[float | None]) -> float | None:
    """None where one of them is not known: a part is not the whole."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _next(usual: Usual, one: GeneratorSecond, sentinels: Sequence[Attempt], at_ns: int) -> Usual:
    came, expected = answered(one), _expected(usual, one)
    gain = _gain(usual, one, came, expected)
    dead = [attempt for attempt in sentinels if attempt.reach in SILENT_REACHES]
    if 2 * len(dead) > len(sentinels) and (gain > 0 or expected < 1.0):
        gain += SENTINEL
    score = min(max(0.0, usual.score + gain), SCORE_MAX)
    if gain <= 0:
        usual = _learn(usual, one, came) if came or one.due else usual  # a second without load teaches nothing
        return replace(
            usual, score=score, missed=0, silent_s=0, open_way=False, since_ns=usual.since_ns if score else 0
        )
    stood = one.opened > 0 or any(attempt.connect_ms is not None for attempt in dead)
    return replace(
        usual,
        score=score,
        missed=0,
        silent_s=usual.silent_s + 1,
        since_ns=usual.since_ns or at_ns - 1_000_000_000,
        open_way=usual.open_way or (usual.silent_s > 0 and stood),
    )


def _expected(usual: Usual, one: GeneratorSecond) -> float:
    """Answers per second. A closed loop has nothing due while it waits: then what waits should be answered."""
    wanted = one.due
    if one.in_flight >= 1 and one.in_flight >= usual.in_flight / 2:
        wanted = max(wanted, one.in_flight)
    return min(usual.answered, wanted)


def _gain(usual: Usual, one: GeneratorSecond, came: float, expected: float) -> float:
    if usual.received and one.bytes_received >= usual.received / 2:
        return -SECOND_MAX  # large answers are on their way
    gain = came * math.log(FALLEN_TO) + (1 - FALLEN_TO) * expected
    return min(max(gain, -SECOND_MAX), SECOND_MAX)


def _learn(usual: Usual, one: GeneratorSecond, came: float) -> Usual:
    took_ms = usual.took_ms
    now_ms = one.p50_ms if one.p50_ms is not None else 1000 * one.in_flight / came if came else None  # Little's law
    if now_ms is not None:
        took_ms = now_ms if took_ms is None else _mean(took_ms, now_ms)
    least_ms = usual.least_ms if took_ms is None else min(took_ms, usual.least_ms or math.inf)
    slow = now_ms is not None and now_ms >= max(SLOW_MS_MIN, SLOWER * (least_ms or 0.0))
    return replace(
        usual,
        answered=_mean(usual.answered, came),
        in_flight=_mean(usual.in_flight, one.in_flight),
        received=_mean(usual.received, one.bytes_received),
        took_ms=took_ms,
        least_ms=least_ms,
        slow_row=usual.slow_row + 1 if slow else 0,
    )


def _mean(before: float, now: float) -> float:
    return before + USUAL_PART * (now - before)
