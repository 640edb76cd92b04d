"""What those who ask from elsewhere felt during an episode: one reading per door and asker. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import NamedTuple

from maul.core.vantage import Attempt, Question, Reach, TcpFacts, Vantage
from maul.guard.mitigation.digest import NS, Digest
from maul.guard.mitigation.episode import Episode
from maul.guard.mitigation.terms import ClassifyTerms

HALF = (0.15, 0.85)  # shares of answers between which it is neither well nor dead
LATE_MS = 900.0  # the first SYN is repeated after one second (RFC 6298)
REVIVED_MIN = 3  # answers in a row
BEFORE_NS = 30 * NS  # what was usual
SENTINELS_NS = 30 * NS  # the fate of what stood is known by then
SLOW_MIN, SLOWER_MS = 3, 200.0  # the asker's own machine may be late for a moment
LOADED_MIN = 4  # attempts under load that are enough to tell


class Reading(NamedTuple):
    """What one feature is, in a word of the decision table, and in a sentence with its figure."""

    level: str
    says: str


@dataclass(frozen=True, slots=True)
class Felt:
    """The attempts of one kind. `bad`: while it lasted; `since`: the answers after it, when it ended."""

    before: Sequence[Attempt]
    bad: Sequence[Attempt]
    since: Sequence[Attempt]

    @property
    def revived(self) -> bool:
        """It failed, and then was answered again and again."""
        return len(self.since) >= REVIVED_MIN and any(not is_answer(each) for each in self.bad)


_ANSWERS = frozenset({Reach.ANSWERED, Reach.REJECTED, Reach.FAILED})


def is_answer(attempt: Attempt) -> bool:
    """Whether HTTP came back, be it an error."""
    return attempt.reach in _ANSWERS


def kind_of(attempt: Attempt, terms: ClassifyTerms) -> str | None:
    """Which feature the attempt speaks for; None: for none."""
    question = attempt.question
    if question.vantage is Vantage.INSIDE or question.endpoint in terms.private:
        return "inside"
    if question.endpoint in terms.neighbours:
        return "neighbour"
    if question.endpoint in terms.control:
        return "control_ours" if _is_ours(question, terms) else "control"
    return _of_loaded(question, terms) if question.endpoint in terms.loaded else None


def _of_loaded(question: Question, terms: ClassifyTerms) -> str:
    if question.port not in {0, terms.port}:
        return "port"
    if question.large:
        return "large"
    if question.vantage is Vantage.SENTINEL:
        return "sentinel"
    return "fresh" if _is_ours(question, terms) else "external"


def _is_ours(question: Question, terms: ClassifyTerms) -> bool:
    """Whether the asker sends from the same address as a generator, and so shares its fate."""
    if question.vantage in {Vantage.IDLE, Vantage.SENTINEL}:
        return True
    source = terms.sources.get(question.who)
    return source is not None and source in {terms.sources.get(name) for name in terms.generators}


def asked(digest: Digest, terms: ClassifyTerms) -> dict[str, list[tuple[int, Attempt]]]:
    """The attempts of a second by kind, without those that failed for want of something here; remembered."""
    if digest.kinds_asked is not None and digest.kinds_asked[0] is terms:
        return digest.kinds_asked[1]
    sorted_: dict[str, list[tuple[int, Attempt]]] = {}
    for began_ns, attempt in digest.attempts:
        if attempt.reach is not Reach.LOCAL and (kind := kind_of(attempt, terms)) is not None:
            known = attempt if attempt.at_ns == began_ns else replace(attempt, at_ns=began_ns)
            sorted_.setdefault(kind, []).append((began_ns, known))
    digest.kinds_asked = (terms, sorted_)
    return sorted_


def felt(episode: Episode, terms: ClassifyTerms) -> dict[str, Felt]:
    """Everything that was felt, by kind. Asked of the way from a generator: only of those that got nothing."""
    sick = episode.dead if episode.alive else frozenset()
    before: dict[str, list[Attempt]] = {}
    after: dict[str, list[Attempt]] = {}
    early_ns, sentinels_ns = episode.began_ns - BEFORE_NS, episode.began_ns + SENTINELS_NS
    for each in episode.everything:
        if each.at_ns < early_ns:
            continue
        for kind, attempts in asked(each, terms).items():
            if kind == "sentinel" and each.at_ns > sentinels_ns:
                continue
            ours = sick if kind in {"fresh", "control_ours"} else None
            for began_ns, attempt in attempts:
                if ours and attempt.question.who not in ours:
                    continue
                if began_ns < episode.began_ns - NS // 2:
                    before.setdefault(kind, []).append(attempt)
                elif began_ns >= episode.began_ns + NS or (began_ns >= episode.began_ns and not is_answer(attempt)):
                    after.setdefault(kind, []).append(attempt)  # an answer of the first second may be from before
    split = {
        kind: _split(before.get(kind, []), after.get(kind, []))
        for kind in {*before, *after}
        if not _never_worked(before.get(kind, []))
    }
    over_ns = over(episode, split)
    cut_off = _cut_off(split)
    known_bad_ns = _known_bad(episode, split, ("fresh", "external", "sentinel"))
    anew_bad_ns = _known_bad(episode, split, ("fresh", "external"))
    for kind in split.keys() - {"fresh", "external", "sentinel"}:
        one = split[kind]
        until_ns = anew_bad_ns if kind == "port" else known_bad_ns  # a port is a new connection, and told by such
        kept = [each for each in one.bad if each.at_ns <= until_ns or not _replied(each)]
        later = [each for each in one.bad if each.at_ns > known_bad_ns and is_answer(each)] if kind == "large" else []
        if kind in {"neighbour", "port"}:
            kept = [each for each in kept if each.question.who not in cut_off]
        split[kind] = Felt(one.before, kept, (*later, *one.since))
    return {kind: _while_it_lasted(one, over_ns, episode, kind) for kind, one in split.items()}


def _replied(attempt: Attempt) -> bool:
    return is_answer(attempt) or attempt.reach is Reach.REFUSED


def _cut_off(felt: Mapping[str, Felt]) -> set[str]:
    """Hosts of ours that reach nothing: what they cannot reach says nothing of it."""
    asked = felt["control_ours"].bad if "control_ours" in felt else ()
    return {each.question.who for each in asked} - {each.question.who for each in asked if is_answer(each)}


def _known_bad(episode: Episode, felt: Mapping[str, Felt], kinds: Sequence[str]) -> int:
    """Until when the target is known to have been bad: what answered later may have done so because it was over."""
    failed = [each.at_ns for kind in kinds if kind in felt for each in felt[kind].bad if not is_answer(each)]
    lasted = [each.at_ns + NS for each in episode.during[-1:]]
    return max([*failed, *lasted], default=episode.began_ns)


def over(episode: Episode, felt: Mapping[str, Felt]) -> int | None:
    """When the target answered again: the load, or new connections from anywhere. None: it did not, so far."""
    if episode.ended_ns is not None:
        return episode.ended_ns
    again = [one.since[0].at_ns for kind in ("fresh", "external") if (one := felt.get(kind)) and one.revived]
    return min(again, default=None)


def _while_it_lasted(one: Felt, over_ns: int | None, episode: Episode, kind: str) -> Felt:
    """Without what was felt when it was over; and under load alone, where enough was: overload ends with the load.

    A connection that stood is told by its whole life.
    """
    bad, since = list(one.bad), list(one.since)
    if over_ns is not None:
        bad, since = [each for each in bad if each.at_ns < over_ns], [each for each in bad if each.at_ns >= over_ns]
        since += one.since
    if episode.during and kind != "sentinel":
        last_ns = episode.during[-1].at_ns
        loaded = [each for each in bad if each.at_ns < last_ns]
        if len(loaded) >= LOADED_MIN:
            bad = loaded
    return Felt(one.before, bad, since)


def _never_worked(before: Sequence[Attempt]) -> bool:
    """A door that was shut before it began tells nothing."""
    return len(before) >= 3 and sum(map(is_answer, before)) < 0.5 * len(before)


def _split(before: Sequence[Attempt], after: Sequence[Attempt]) -> Felt:
    """Cut off the answers that came when it was over: a run at the end that is longer than any in its course."""
    tail = 0
    while tail < len(after) and is_answer(after[-1 - tail]):
        tail += 1
    run = in_course = 0
    for attempt in after[: len(after) - tail]:
        run = run + 1 if is_answer(attempt) else 0
        in_course = max(in_course, run)
    if tail < REVIVED_MIN or tail <= 2 * in_course or tail == len(after):
        return Felt(before, after, ())
    return Felt(before, after[: len(after) - tail], after[len(after) - tail :])


_DEAD: Mapping[Reach, str] = {
    Reach.TIMEOUT: "dead",
    Reach.UNREACHABLE: "unreachable",
    Reach.PROHIBITED: "prohibited",
    Reach.REFUSED: "refused",
    Reach.RESET: "reset",
    Reach.TLS: "reset",
}


def fate(attempt: Attempt) -> str:
    """One attempt in a word. A stall before TLS stood is told from one after it: then a process answered."""
    if attempt.reach is Reach.ANSWERED:
        return "ok"
    if attempt.reach is Reach.REJECTED:
        return "rejected"
    if attempt.reach is Reach.FAILED:
        return "failed"
    if attempt.reach is Reach.STALLED:
        return "unanswered" if attempt.tls_ms is not None else "stalled"
    return _DEAD.get(attempt.reach, "dead")


def door(name: str, attempts: Felt | None) -> Reading | None:
    """How a door that is asked anew each time does: ok, slow, half, dead, refused …"""
    if attempts is None or not attempts.bad:
        return None
    fates = Counter(map(fate, attempts.bad))
    count = len(attempts.bad)
    share = fates["ok"] / count
    if share >= HALF[1]:
        slow = _slow(attempts)
        if slow is not None:
            return Reading("slow", f"{name} was answered, but in {slow[1]:.0f} ms instead of {slow[0]:.0f} ms")
        return Reading("ok", f"{name} was answered {fates['ok']} times of {count}")
    if share > HALF[0]:
        return Reading("half", f"{name} was answered {fates['ok']} times of {count}")
    del fates["ok"]
    worst, times = fates.most_common(1)[0]
    if {worst} <= {"unreachable", "dead"} and fates["unreachable"] and fates["dead"]:
        worst = "unreachable" if fates["unreachable"] >= 2 else worst
    return Reading(worst, f"{name} was {_WORDS[worst]} {times} times of {count}")


_WORDS = {
    "dead": "not answered (the SYN timed out)",
    "unreachable": "unreachable (ICMP)",
    "prohibited": "prohibited (ICMP)",
    "refused": "refused (RST)",
    "reset": "reset",
    "stalled": "connected and then silent",
    "unanswered": "connected, TLS stood, and then silent",
    "rejected": "answered with 429 or 503",
    "failed": "answered with 5xx",
}


def _slow(attempts: Felt) -> tuple[float, float] | None:
    """The median time before and after, where the latter is far higher."""
    usual, now = times_ms(attempts.before), times_ms(attempts.bad)
    if len(now) < SLOW_MIN:
        return None
    was, is_ = (median(usual) if len(usual) >= 3 else 50.0), median(now)
    return (was, is_) if is_ > 3 * was and is_ > was + SLOWER_MS else None


def times_ms(attempts: Iterable[Attempt]) -> list[float]:
    """How long each answer took, connection included."""
    return [
        (each.connect_ms or 0.0) + (each.tls_ms or 0.0) + (each.answer_ms or 0.0)
        for each in attempts
        if is_answer(each)
    ]


def port(attempts: Felt | None) -> Reading | None:
    """Whether another port of the same address replies at all; a RST is a reply."""
    if attempts is None or not attempts.bad:
        return None
    silent = {Reach.TIMEOUT, Reach.UNREACHABLE, Reach.PROHIBITED}
    replied = sum(each.reach not in silent for each in attempts.bad)
    if replied > 0.5 * len(attempts.bad):
        return Reading("answers", f"another port of the address replied {replied} times of {len(attempts.bad)}")
    return Reading("dead", f"another port of the address was as silent: {len(attempts.bad)} times")


def large(attempts: Felt | None, small: Reading | None) -> Reading | None:
    """Whether what fills whole frames passes, where small things do."""
    if attempts is None or small is None or small.level not in {"ok", "slow"}:
        return None
    if not attempts.bad:
        passed = sum(map(is_answer, attempts.since))
        return (
            Reading("later", f"what fills whole frames passes once the load is silent: {passed} times")
            if passed
            else None
        )
    stalled = sum(each.reach in {Reach.STALLED, Reach.TLS, Reach.RESET} for each in attempts.bad)
    if stalled > 0.5 * len(attempts.bad):
        return Reading("stalls", f"what fills whole frames stalled {stalled} times of {len(attempts.bad)}")
    passed = sum(map(is_answer, attempts.bad))
    if passed > 0.5 * len(attempts.bad):
        return Reading("ok", f"what fills whole frames passed {passed} times of {len(attempts.bad)}")
    return None


_ON_WHAT_STOOD = _ANSWERS | {Reach.STALLED, Reach.RESET}


def is_old(attempt: Attempt) -> bool:
    """Of a sentinel: on the connection that stood before. A try to open a new one tells of its connecting."""
    return attempt.connect_ms is None and attempt.reach in _ON_WHAT_STOOD


def sentinels(attempts: Felt | None, sick: frozenset[str]) -> Reading | None:
    """What became of the connections that stood: ok, slow, dead, reset; or of some only. `sick`: of these, if any."""
    if attempts is None:
        return None
    stood = {each.question.who for each in attempts.before if is_answer(each)}
    fates: dict[str, str] = {}
    gone: set[str] = set()
    for attempt in (*attempts.bad, *attempts.since):
        who = attempt.question.who
        if (stood and who not in stood) or who in gone or (sick and who not in sick):
            continue
        if not is_old(attempt):
            gone.add(who)  # it opens a new one: the old one is over
            fates[who] = fates.get(who, "dead") if fates.get(who) in {"reset", "dead", None} else "dead"
        elif attempt.reach is Reach.RESET:
            fates[who] = "dead" if fates.get(who) == "dead" and "time" in attempt.says.lower() else "reset"
            gone.add(who)
        elif attempt.reach is Reach.STALLED:
            fates[who] = "dead" if fates.get(who, "dead") == "dead" else "slow"
        else:
            fates[who] = "slow" if fates.get(who) in {"dead", "slow"} or (attempt.answer_ms or 0) > 1000 else "ok"
    if not fates:
        return None
    counted = Counter(fates.values())
    most, count = counted.most_common(1)[0]
    total = len(fates)
    if count < 0.8 * total:
        says = ", ".join(f"{times} {word}" for word, times in sorted(counted.items()))
        return Reading("some", f"of {total} connections that stood: {says}")
    return Reading(most, f"{count} of {total} connections that stood {_STOOD[most]}")


_STOOD = {
    "ok": "went on being answered",
    "slow": "were answered late",
    "dead": "fell silent",
    "reset": "were reset",
}


def parted(felt: Mapping[str, Felt]) -> str | None:
    """Where new connections are answered and those that stood are not, at the same time: says so."""
    ok = [each for kind in ("fresh", "external") if kind in felt for each in (*felt[kind].bad, *felt[kind].since)]
    well = sorted(each.at_ns for each in ok if is_answer(each))
    if len(well) < 2 or "sentinel" not in felt:
        return None
    old = [each for each in (*felt["sentinel"].bad, *felt["sentinel"].since) if each.at_ns > well[0] and is_old(each)]
    silent = sum(each.reach in {Reach.STALLED, Reach.RESET} for each in old)
    if silent < 2 or silent < len(old):
        return None
    return f"{len(well)} new connections were answered, while what stood was not: {silent} times"


def handshake(attempts: Sequence[Felt], stood: Felt | None) -> Reading | None:
    """Whether somebody else now speaks in the SYN-ACK: a zero window, other options, a first SYN that is wasted."""
    now = [each for one in attempts for each in (*one.bad, *one.since) if each.connect_ms is not None]
    now += [each for each in (*stood.bad, *stood.since) if each.connect_ms is not None] if stood is not None else []
    if not now:
        return None
    zero = sum(bool(each.tcp.window_zero) for each in now)
    if zero > 0.5 * len(now):
        return Reading("zero-window", f"{zero} of {len(now)} SYN-ACKs offered a window of 0")
    usual = Counter(
        key for one in (*attempts, *((stood,) if stood else ())) for each in one.before if (key := _options(each.tcp))
    )
    seen = Counter(key for each in now if (key := _options(each.tcp)))
    if usual and seen:
        was, is_ = usual.most_common(1)[0][0], seen.most_common(1)[0][0]
        if is_ not in usual and seen[is_] > 0.5 * sum(seen.values()):
            return Reading("changed", f"the SYN-ACK's options changed: {_difference(was, is_)}")
    late = sum((each.connect_ms or 0.0) >= LATE_MS or bool(each.tcp.syn_retransmits) for each in now)
    if late >= 2 and late >= 0.8 * len(now):
        return Reading("late", f"{late} of {len(now)} new connections stood only after a second SYN")
    if late:
        return Reading("half-late", f"{late} of {len(now)} new connections stood only after a second SYN")
    return Reading("same", f"{len(now)} new connections stood as they used to") if usual else None


_FACTS = ("mss", "send_wscale", "sack", "timestamps")


def _options(tcp: TcpFacts) -> tuple[int | bool | None, ...] | None:
    facts = (tcp.mss, tcp.send_wscale, tcp.sack, tcp.timestamps)
    return None if tcp.send_wscale is None and tcp.sack is None else facts


def _difference(was: tuple[int | bool | None, ...], now: tuple[int | bool | None, ...]) -> str:
    return ", ".join(
        f"{name.replace('send_', '')} {one} → {other}"
        for name, one, other in zip(_FACTS, was, now, strict=True)
        if one != other
    )


def way(attempts: Sequence[Felt]) -> Reading | None:
    """Whether the round trip changed: the way is another one."""
    before = [each.tcp.rtt_ms for one in attempts for each in one.before if each.tcp.rtt_ms is not None]
    after = [each.tcp.rtt_ms for one in attempts for each in (*one.bad, *one.since) if each.tcp.rtt_ms is not None]
    if len(before) < 3 or len(after) < REVIVED_MIN:
        return None
    was, now = median(before), min(after)  # a queue is empty for a moment, a longer way never is
    if now > 2 * was + 1.0:
        return Reading("changed", f"the round trip went from {was:.1f} ms to {now:.1f} ms and more")
    return Reading("same", f"the round trip is still {now:.1f} ms")
