"""Which cause fits what is seen, and how surely; "unknown" rather than a guess. Pure."""

from collections.abc import Iterator, Sequence

from maul.core.vantage import Vantage
from maul.guard.mitigation.causes import Cause, Family
from maul.guard.mitigation.diagnosis import Diagnosis, Suspect
from maul.guard.mitigation.digest import NS, Digest, digest
from maul.guard.mitigation.doors import Reading, is_answer
from maul.guard.mitigation.episode import Episode, find
from maul.guard.mitigation.features import Features, features
from maul.guard.mitigation.separating import needed, separating
from maul.guard.mitigation.signals import Second
from maul.guard.mitigation.table import MARGIN_MIN, MARGIN_SURE, SCORE_MIN, TABLE
from maul.guard.mitigation.terms import ClassifyTerms

WINDOW = 180
"""Seconds that a diagnosis looks at."""
HEALTHY_S = 3


def classify(seconds: Sequence[Second], terms: ClassifyTerms) -> Diagnosis:
    """What it was, from a window of seconds (the last 180 count), oldest first. Never raises for odd data.

    `cause` None with `healthy` False: something is wrong, or nothing was seen, and it cannot be told what.
    """
    digests = [digest(each) for each in seconds[-WINDOW:]]
    if not digests:
        return Diagnosis(0, None, (), "nothing was seen yet")
    episode = find(digests, terms)
    now_ns = digests[-1].at_ns
    if episode is None:
        return _nothing(digests, now_ns)
    seen = features(episode, terms)
    ranked = rank(seen)
    return _decide(episode, seen, ranked, terms, now_ns)


def rank(seen: Features) -> list[Suspect]:
    """Every cause with its score, the likeliest first."""
    suspects = []
    for cause, row in TABLE.items():
        weighed = [(row.weight(name, reading.level), reading.says) for name, reading in seen.items()]
        suspects.append(
            Suspect(
                cause,
                round(row.prior + sum(weight for weight, _ in weighed), 2),
                [says for weight, says in sorted(weighed, key=lambda one: -one[0]) if weight > 0],
                [says for weight, says in sorted(weighed, key=lambda one: one[0]) if weight < 0],
            )
        )
    return sorted(suspects, key=lambda one: -one.score)


def proven(cause: Cause, seen: Features) -> bool:
    """Whether the signs without which this cause is not said were seen."""
    signs = {(name, reading.level) for name, reading in seen.items()}
    return all(signs & line for line in TABLE[cause].needs)


def _decide(
    episode: Episode, seen: Features, ranked: Sequence[Suspect], terms: ClassifyTerms, now_ns: int
) -> Diagnosis:
    first, second = ranked[0], ranked[1]
    question, question_says = separating(first.cause, second.cause, seen, episode, terms)
    margin = first.score - second.score
    sure = (
        first.score >= SCORE_MIN
        and proven(first.cause, seen)
        and margin >= (MARGIN_SURE if question is not None else MARGIN_MIN)
    )
    cause = first.cause if sure else None
    return Diagnosis(
        now_ns,
        cause,
        [each for each in ranked[:2] if each.score > 0],
        _told(cause, first, seen) if cause is not None else _untold(episode, seen, ranked),
        onset_ns=_onset(episode, seen),
        scope=_scope(cause, episode, terms),
        direction=_direction(cause, seen),
        separate=None if sure else question,
        separate_says="" if sure else question_says,
        missing=() if sure else _missing(first.cause, second.cause, seen, episode, terms),
    )


def _onset(episode: Episode, seen: Features) -> int | None:
    """When answers ceased to come; an error is an answer."""
    errors, loss = seen.get("errors"), seen.get("loss")
    if errors is not None and errors.level in {"throttled", "gateway", "server", "local"}:
        return None if loss is None or loss.level in {"none", "few"} else episode.began_ns
    return episode.began_ns


def _nothing(digests: Sequence[Digest], now_ns: int) -> Diagnosis:
    """No change for the worse was found; whether that is good news depends on whether anything was seen at all."""
    last = digests[-10:]
    loaded = [each for each in last if each.loaded]
    answered = sum(is_answer(attempt) for each in last for _, attempt in each.attempts)
    if sum(each.ok for each in loaded) > 0 or answered >= HEALTHY_S:
        return Diagnosis(now_ns, None, (), "answers come as they did", healthy=True)
    return Diagnosis(now_ns, None, (), "nothing was asked, so that nothing can be told")


def _told(cause: Cause, suspect: Suspect, seen: Features) -> str:
    words = WORDS[cause]
    if cause is Cause.VIP_BLACK_HOLE and "neighbour" not in seen and not _is(seen, "notice", "vip"):
        words += " (or its whole prefix: nothing else in it was asked)"
    return f"{words}: {suspect.evidence[0]}" if suspect.evidence else words


def _untold(episode: Episode, seen: Features, ranked: Sequence[Suspect]) -> str:
    """What can be said where the cause cannot."""
    level = {name: reading.level for name, reading in seen.items()}
    if episode.paused and not episode.dead:
        names = ", ".join(sorted(episode.paused)[:4])
        return f"{names} sent nothing: the generator itself stood still, that says nothing of the target"
    likely = [each.cause.value for each in ranked[:2] if each.score >= SCORE_MIN]
    fits = f"; fits best: {' or '.join(likely)}" if likely else ""
    if level.get("pace") == "gradual":
        return f"it became slower and slower, and then too slow: overload of something on the way{fits}"
    if level.get("loss") == "all" and level.get("errors") == "silence" and level.get("control", "ok") != "dead":
        return f"a black hole on the way, place unknown: everything fell silent at once{fits}"
    if episode.ended_ns is not None:
        took = (episode.ended_ns - episode.began_ns) / NS
        return f"answers failed to come for {took:.0f} s, and then came again{fits}"
    return f"answers do not come as they did, cause unknown{fits}"


def _scope(cause: Cause | None, episode: Episode, terms: ClassifyTerms) -> Sequence[str]:
    addresses = [terms.addresses.get(name, name) for name in terms.loaded]
    if cause in {Cause.VIP_BLACK_HOLE, Cause.POLICER, Cause.SCRUBBING, Cause.SYN_PROXY}:
        return addresses
    if cause is Cause.SUBNET_BLACK_HOLE:
        return [f"the prefix of {address}" for address in addresses]
    if cause is Cause.PORT_DISCARD:
        return [f"{address} port {terms.port}" for address in addresses]
    if cause in {Cause.GENERATORS_BANNED, Cause.NAT_FULL, Cause.LINK_DOWN, Cause.GENERATOR_EXHAUSTED}:
        return [terms.sources.get(name, name) for name in sorted(episode.dead)]
    return ()


def _direction(cause: Cause | None, seen: Features) -> str:
    """Which way what we send, or what comes back, is lost."""
    if cause is not None and cause.family is Family.TARGET:
        return ""
    if cause is Cause.LINK_DOWN:
        return "both"
    if _is(seen, "half_open", "pile"):
        return "back from it"
    if _is(seen, "ingress", "gone") or _is(seen, "knocks", "none"):
        return "towards the target"
    if _is(seen, "knocks", "arrive") and _is(seen, "fresh", "dead") and _is(seen, "listener", "there"):
        return "back from it"
    return ""


def _is(seen: Features, name: str, level: str) -> bool:
    reading: Reading | None = seen.get(name)
    return reading is not None and reading.level == level


def _missing(first: Cause, second: Cause, seen: Features, episode: Episode, terms: ClassifyTerms) -> Sequence[Vantage]:
    """The vantage points that would tell, and that are not there."""
    there = _there(episode, terms)
    return [vantage for vantage in needed((first, second), seen) if vantage not in there]


def _there(episode: Episode, terms: ClassifyTerms) -> set[Vantage]:
    there = set(terms.lookouts.values()) | ({Vantage.FEED} if terms.feeds else set())
    there |= set(_asked(episode))
    if any(each.second.balancers for each in episode.everything[-30:]):
        there.add(Vantage.BALANCER)
    return there


def _asked(episode: Episode) -> Iterator[Vantage]:
    return (attempt.question.vantage for each in episode.everything for _, attempt in each.attempts)


WORDS: dict[Cause, str] = {
    Cause.VIP_BLACK_HOLE: "somebody upstream drops everything towards the address",
    Cause.SUBNET_BLACK_HOLE: "somebody upstream drops everything towards the whole prefix",
    Cause.GENERATORS_BANNED: "somebody drops our generators, and nobody else",
    Cause.PORT_DISCARD: "somebody upstream drops this port of the address, and no other",
    Cause.POLICER: "somebody upstream lets a fixed rate through and drops the rest",
    Cause.SCRUBBING: "the address was diverted: what stood died, what is new works",
    Cause.SYN_PROXY: "somebody answers new connections for the balancer",
    Cause.BALANCER_DOWN: "nothing listens on the balancer any more",
    Cause.BALANCER_HUNG: "the balancer, or its machine, does not move",
    Cause.BALANCER_SATURATED: "the balancer is saturated",
    Cause.CONNTRACK_FULL: "the balancer's machine drops new connections: its connection tracking is full, or limited",
    Cause.NAT_FULL: "something on our way that tracks connections is full: new ones are dropped",
    Cause.LINK_DOWN: "a link is down",
    Cause.LINK_CONGESTED: "a link is full and drops packets",
    Cause.GENERATOR_EXHAUSTED: "our generators have no port or descriptor left",
    Cause.APPLICATION_THROTTLE: "the store asks us to slow down",
    Cause.BACKENDS_DOWN: "the balancer has no backend to ask",
    Cause.VIP_FAILOVER: "the address moved to another balancer",
    Cause.MTU_HOLE: "what fills whole frames is lost, what is small passes",
}
