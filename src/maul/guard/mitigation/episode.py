"""When answers ceased to come, and whether they came back: the one change that the features are read around. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, sqrt

from maul.core.vantage import Attempt, Reach, TcpFacts, Vantage
from maul.guard.mitigation.digest import NS, Count, Digest
from maul.guard.mitigation.terms import ClassifyTerms

# A one-sided CUSUM of the answers that are missing, in standard deviations of a Poisson count (domain knowledge: a
# second of n answers varies by √n). 5 % may always be missing; what is more than that adds up to the alarm.
SLACK = 0.05
DRIFT = 0.5
ALARM = 3.0
STEP_MAX = 10.0  # no single second counts for more
GOOD_S = 3  # so many good seconds one after the other: it is over
KEPT_S = 30  # what was over for longer is past
DEAD_EXPECTED_MIN = 5.0  # a generator is dead when so many answers were due and none came
ASKED_S = 60  # so far back attempts are looked through, where the load does not tell
LATER_MS = 800.0  # the first SYN is sent again after a second (RFC 6298)
FAILING_MIN = 3  # attempts in a row, where there is no load to tell


@dataclass(slots=True)
class Episode:
    """What happened, cut out of the window. `before` and `during` hold loaded seconds only."""

    began_ns: int  # the begin of the second in which it began
    ended_ns: int | None  # the end of the last bad second; None: not over, or not seen to be
    before: Sequence[Digest]
    during: Sequence[Digest]
    silent: Sequence[Digest]  # seconds since it began in which the load was frozen, or there was none
    everything: Sequence[Digest]  # the whole window
    ratio: float = 1.0  # answers per arrival before it
    dead: frozenset[str] = frozenset()  # generators that got nothing any more
    alive: frozenset[str] = frozenset()
    paused: frozenset[str] = frozenset()  # that sent nothing themselves
    died_ns: dict[str, int] = field(default_factory=dict)  # the end of the first second without an answer

    @property
    def settled(self) -> Sequence[Digest]:
        """Without the second in which it began, where there are others; the last ten of them."""
        return (self.during[1:] or self.during)[-10:]


@dataclass(slots=True)
class _Alarm:
    first: int
    last: int | None
    ratio: float


def find(digests: Sequence[Digest], terms: ClassifyTerms) -> Episode | None:
    """The latest change for the worse; None where there is none, or it is long over."""
    loaded = [each for each in digests if each.loaded]
    alarm = _collapse(loaded, terms.baseline_s)
    past = alarm is not None and alarm.last is not None and len(loaded) - 1 - alarm.last > KEPT_S
    if past:
        alarm = None
    dead, alive, paused, died = _fates(loaded, alarm)
    if alarm is None and not dead:
        return _by_links(digests, loaded, terms) or _by_attempts(digests, loaded, terms)
    first = len(loaded) if alarm is None else alarm.first
    if dead and (alarm is None or alarm.last is None):
        first = min(first, *(index for index in died.values()))
    last = alarm.last if alarm is not None else None
    began = loaded[first].at_ns - NS
    return Episode(
        began,
        None if last is None else loaded[last].at_ns,
        loaded[max(0, first - terms.baseline_s) : first],
        loaded[first : None if last is None else last + 1],
        [each for each in digests if each.at_ns > began and not each.loaded],
        digests,
        alarm.ratio if alarm is not None else 1.0,
        dead,
        alive,
        paused,
        {name: loaded[index].at_ns for name, index in died.items()},
    )


def expected(loaded: Sequence[Digest], index: int, ratio: float) -> float:
    """Answers that should have come in that second: what was due as long ago as an answer takes."""
    now = loaded[index]
    lag = min(30, 1 + ceil((now.p50_ms or 0.0) / 1000))
    return ratio * min(each.due for each in loaded[max(0, index - lag) : index + 1])


def _collapse(loaded: Sequence[Digest], baseline_s: int) -> _Alarm | None:
    """The last alarm of the CUSUM."""
    keep = 1 - 2 / (baseline_s + 1)
    ok = due = flying = total = 0.0
    first = good = 0
    found: _Alarm | None = None
    for index, now in enumerate(loaded):
        ratio = min(ok / due, 1.2) if due > 0 else 0.0
        due_here = expected(loaded, index, ratio)
        weight = (1 - keep ** max(index, 1)) / (1 - keep)
        if now.due < 0.5 * due / weight and now.in_flight > 0 and now.in_flight >= 0.5 * flying / weight:
            due_here = max(due_here, ok / weight)  # a closed loop waits: nothing is due, nothing comes
        if len(now.generators) < max((len(each.generators) for each in loaded[max(0, index - 3) : index]), default=0):
            continue  # who is late with his counts tells nothing, good or bad
        missing = due_here - now.ok
        if found is not None and found.last is None:
            good = good + 1 if missing <= 0.1 * due_here + 1 and now.ok > 0 else 0
            if good < GOOD_S:
                continue
            found.last, total, good = index - GOOD_S, 0.0, 0
        before, total = (
            total,
            max(0.0, total + min(STEP_MAX, (missing - SLACK * due_here) / sqrt(due_here + 1)) - DRIFT),
        )
        if before == 0.0:
            first = index
        if total > ALARM:
            found = _Alarm(first, None, ratio)
            continue
        if total == 0.0:
            ok, due, flying = ok * keep + now.ok, due * keep + now.due, flying * keep + now.in_flight
    return found


def _fates(
    loaded: Sequence[Digest], alarm: _Alarm | None
) -> tuple[frozenset[str], frozenset[str], frozenset[str], dict[str, int]]:
    """Which generators got nothing any more in the last loaded second, since when, and which of them sent nothing."""
    if not loaded:
        return frozenset(), frozenset(), frozenset(), {}
    end = len(loaded) - 1 if alarm is None or alarm.last is None else alarm.last
    dead: dict[str, int] = {}
    alive, paused = set(), set()
    for name, count in loaded[end].generators.items():
        if count.ok > 0.05 * count.due:
            if count.due > 0:
                alive.add(name)
            continue
        index, due = end, 0.0
        while index >= 0 and (was := loaded[index].generators.get(name)) is not None and was.ok <= 0.05 * was.due:
            due += max(was.due, min(was.in_flight, 1.0))
            index -= 1
        usual = loaded[index].generators.get(name) if index >= 0 else None
        if usual is None or usual.ok == 0 or due < min(DEAD_EXPECTED_MIN, 2 * usual.ok):
            continue  # it never worked within the window, or too little was due to tell
        # The second in which it fell silent holds what hung already: what is usual lies before it.
        before = [was for each in loaded[max(0, index - 5) : index] if (was := each.generators.get(name)) is not None]
        usual = min(before, key=lambda one: one.in_flight, default=usual)
        if _sends_nothing([each.generators[name] for each in loaded[index + 1 : end + 1]], usual):
            paused.add(name)
        else:
            dead[name] = index + 1
    return frozenset(dead), frozenset(alive), frozenset(paused), dead


def _sends_nothing(run: Sequence[Count], usual: Count) -> bool:
    """Nothing went out, so that nothing can have been lost: what is due waits, no more is in flight than ever."""
    due = sum(count.due for count in run)
    return (
        due > 0
        and all(count.lost == 0 for count in run)
        and run[-1].in_flight <= 1.5 * usual.in_flight + 2
        and usual.in_flight < 0.5 * due
        and run[-1].waiting > usual.waiting
    )


def _by_links(digests: Sequence[Digest], loaded: Sequence[Digest], terms: ClassifyTerms) -> Episode | None:
    """A link went down, and who is behind it is not heard of any more: nobody can tell what he felt."""
    cut: set[str] = set()
    began = 0
    for each in digests[-ASKED_S:]:
        if each.second.links:
            racks = {rack for link in each.second.links.values() if link.up is False for rack in link.racks}
            down = {name for name, rack in terms.generators.items() if rack and rack in racks}
            began = 0 if not down else began or each.at_ns - NS
            cut = down
    last = {name for each in loaded[-3:] for name in each.generators}
    lost = {name for name in cut if any(name in each.generators for each in loaded)} - last
    if not lost or len(digests) < 2 or began <= digests[max(0, len(digests) - ASKED_S)].at_ns:
        return None
    return Episode(
        began,
        None,
        [each for each in loaded if each.at_ns <= began][-terms.baseline_s :],
        [each for each in loaded if each.at_ns > began],
        [each for each in digests if each.at_ns > began and not each.loaded],
        digests,
        dead=frozenset(lost),
        alive=frozenset(last),
        died_ns=dict.fromkeys(lost, began + NS),
    )


def _by_attempts(digests: Sequence[Digest], loaded: Sequence[Digest], terms: ClassifyTerms) -> Episode | None:
    """Without load, or while it does well: somebody who was answered is not any more, time and again."""
    doors = set(terms.loaded)
    failing: dict[tuple[Vantage, str], list[int]] = {}
    for each in digests[-ASKED_S:]:
        for began, attempt in each.attempts:
            question = attempt.question
            if question.endpoint not in doors or question.port or question.large:
                continue
            who = (question.vantage, question.who)
            if _works(attempt):
                failing.pop(who, None)
            elif attempt.reach is not Reach.LOCAL:
                failing.setdefault(who, []).append(began)
    long = [times[0] for times in failing.values() if len(times) >= FAILING_MIN]
    if long and loaded and loaded[-1].at_ns - min(long) > KEPT_S * NS and not digests[-1].second.silent:
        long = []  # the load does well all the same: that asker has a trouble of its own
    long += _others_speak(digests, terms) or _later(loaded)
    if not long:
        return None
    began = min(long)
    return Episode(
        began,
        None,
        [each for each in loaded if each.at_ns <= began][-terms.baseline_s :],
        [each for each in loaded if each.at_ns > began],
        [each for each in digests if each.at_ns > began and not each.loaded],
        digests,
        alive=frozenset(name for each in loaded[-1:] for name, count in each.generators.items() if count.ok > 0),
    )


def _others_speak(digests: Sequence[Digest], terms: ClassifyTerms) -> list[int]:
    """Somebody else than before answers the SYN: another window, other options, attempt after attempt, until now."""
    usual: dict[tuple[Vantage, str], TcpFacts] = {}
    other: dict[tuple[Vantage, str], list[int]] = {}
    for each in digests:
        for began, attempt in each.attempts:
            if attempt.connect_ms is None:
                continue
            question, tcp = attempt.question, attempt.tcp
            if question.endpoint not in terms.loaded or question.port:
                continue
            if tcp.send_wscale is None and tcp.window_zero is None:
                continue
            who = (question.vantage, question.who)
            before = usual.setdefault(who, tcp)
            if tcp.window_zero is before.window_zero and _options(tcp) == _options(before):
                other.pop(who, None)
            else:
                other.setdefault(who, []).append(began)
    return [times[0] for times in other.values() if len(times) >= FAILING_MIN]


def _options(tcp: TcpFacts) -> tuple[int | bool | None, ...]:
    return tcp.mss, tcp.send_wscale, tcp.sack, tcp.timestamps


def _later(loaded: Sequence[Digest]) -> list[int]:
    """New connections of the load take about a second longer, second after second: a SYN is wasted each time."""
    timed = [(each.at_ns - NS, each.connect_p50_ms) for each in loaded if each.connect_p50_ms is not None]
    if len(timed) < 6:
        return []
    late: list[int] = []
    for at, took in timed[3:]:
        if took - timed[0][1] >= LATER_MS:
            late.append(at)
        else:
            late.clear()
    return late[:1] if len(late) >= FAILING_MIN else []


_ANSWERS = frozenset({Reach.ANSWERED, Reach.REJECTED, Reach.FAILED})


def _works(attempt: Attempt) -> bool:
    return attempt.reach in _ANSWERS
