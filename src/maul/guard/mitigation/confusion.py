"""How well the classifier judges recorded plays, with all vantage points and with some taken away. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from maul.core.vantage import Vantage
from maul.guard.mitigation.causes import Cause, Family
from maul.guard.mitigation.classify import WINDOW, classify
from maul.guard.mitigation.plays import Play
from maul.guard.mitigation.signals import Second
from maul.guard.mitigation.terms import ClassifyTerms

NS = 1_000_000_000
UNKNOWN = "unknown"
HEALTHY = "healthy"
EVERY = frozenset(Vantage)
AFTER_S = 15  # so many seconds after it was taken back count, too: some causes show only when they end


@dataclass(frozen=True, slots=True)
class Sight:
    """A set of vantage points that were taken away."""

    name: str
    gone: frozenset[Vantage]

    @property
    def links(self) -> bool:
        """Whether the links of the network are still seen."""
        return self.gone != EVERY


SIGHTS: Sequence[Sight] = (
    Sight("all", frozenset()),
    *(Sight(f"without {vantage.value}", frozenset({vantage})) for vantage in Vantage),
    Sight("generators only", EVERY),
)


def blinded(
    seconds: Sequence[Second], terms: ClassifyTerms, gone: frozenset[Vantage], *, links: bool = True
) -> tuple[Sequence[Second], ClassifyTerms]:
    """The same seconds as they are seen without these vantage points; `links` False: without links, too."""
    if not gone and links:
        return seconds, terms
    kept = [
        replace(
            each,
            attempts=[one for one in each.attempts if one.question.vantage not in gone],
            balancers={} if Vantage.BALANCER in gone else each.balancers,
            notices=[] if Vantage.FEED in gone else each.notices,
            links=each.links if links else {},
        )
        for each in seconds
    ]
    return kept, replace(
        terms,
        lookouts={who: role for who, role in terms.lookouts.items() if role not in gone},
        balancers=() if Vantage.BALANCER in gone else terms.balancers,
        feeds=() if Vantage.FEED in gone else terms.feeds,
    )


@dataclass(frozen=True, slots=True)
class Judged:
    """One play under one sight. `said`: the last word; `ever`: every cause that was said at any second."""

    play: Play
    sight: Sight
    said: Cause | None
    healthy: bool
    right_after_s: float | None
    ever: frozenset[Cause]

    @property
    def word(self) -> str:
        """What was said in the end."""
        return self.said.value if self.said is not None else HEALTHY if self.healthy else UNKNOWN

    @property
    def wrong(self) -> frozenset[Cause]:
        """What was said at some second, and is not so."""
        return self.ever - {self.play.cause}

    @property
    def wrong_family(self) -> bool:
        """Whether the fault was ever put on somebody whose doing it was not."""
        family = None if self.play.cause is None else self.play.cause.family
        return any(cause.family is not family for cause in self.wrong)

    @property
    def false_protection(self) -> bool:
        """Whether a protection was ever blamed that did nothing; the worst mistake."""
        family = None if self.play.cause is None else self.play.cause.family
        return family is not Family.PROTECTION and any(cause.family is Family.PROTECTION for cause in self.ever)


def judge(play: Play, sight: Sight) -> Judged:
    """Classify at every second since the cause was played, as it would have been done at that time."""
    seconds, terms = blinded(play.seconds, play.terms, sight.gone, links=sight.links)
    ever: set[Cause] = set()
    said: Cause | None = None
    healthy = True
    right: float | None = None
    until = None if play.ended_ns is None else play.ended_ns + AFTER_S * NS
    for index, second in enumerate(seconds):
        if second.at_ns < play.played_ns or (until is not None and second.at_ns > until):
            continue
        diagnosis = classify(seconds[max(0, index + 1 - WINDOW) : index + 1], terms)
        healthy = healthy and diagnosis.healthy
        if diagnosis.cause is None:
            continue
        said = diagnosis.cause
        ever.add(said)
        if said is play.cause and right is None:
            right = (second.at_ns - play.played_ns) / NS
    return Judged(play, sight, said, healthy, right, frozenset(ever))


def written(judged: Sequence[Judged], command: str, date: str) -> str:
    """The page: what was played against what was said, for each class of sight."""
    classes = {
        "All vantage points": [one for one in judged if not one.sight.gone],
        "One vantage point taken away": [one for one in judged if one.sight.gone and one.sight.gone != EVERY],
        "Generators only": [one for one in judged if one.sight.gone == EVERY],
    }
    plays = len({id(one.play) for one in judged})
    lines = [
        "# What was played, and what was said",
        "",
        f"{plays} recorded plays, each judged second by second. Written on {date} by",
        "",
        f"    {command}",
        "",
        "Rows: the cause that was really played. Columns: the last word of the classifier. "
        "*Wrong at times* counts plays in which another cause was said at any second.",
        "",
    ]
    for title, some in classes.items():
        lines += [f"## {title}", "", *_totals(some), "", *_matrix(some), ""]
    return "\n".join(lines).rstrip() + "\n"


def _totals(judged: Sequence[Judged]) -> Iterator[str]:
    right = sum(one.said is one.play.cause for one in judged)
    unknown = sum(one.said is None and one.play.cause is not None for one in judged)
    wrong = sum(bool(one.wrong) for one in judged)
    family, protection = sum(one.wrong_family for one in judged), sum(one.false_protection for one in judged)
    yield f"- {len(judged)} judgements: {right} right in the end, {unknown} unknown, {wrong} wrong at times"
    yield f"- blamed on the wrong family at times: {family}; a protection blamed that did nothing: {protection}"


def _matrix(judged: Sequence[Judged]) -> Iterator[str]:
    said = sorted({one.word for one in judged})
    yield f"| played | judged | {' | '.join(said)} | wrong at times | right after (median, worst) |"
    yield "|---|" + "---|" * (len(said) + 3)
    rows: dict[str, list[Judged]] = {}
    for one in judged:
        rows.setdefault(one.play.cause.value if one.play.cause is not None else "nothing", []).append(one)
    for name, some in sorted(rows.items()):
        counts = [sum(one.word == word for one in some) for word in said]
        cells = [str(count) if count else "" for count in counts]
        after = sorted(one.right_after_s for one in some if one.right_after_s is not None)
        took = f"{after[len(after) // 2]:.0f} s, {after[-1]:.0f} s" if after else ""
        yield f"| {name} | {len(some)} | {' | '.join(cells)} | {sum(bool(one.wrong) for one in some) or ''} | {took} |"
