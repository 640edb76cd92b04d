"""The cheapest question that would tell the two likeliest causes apart. Pure."""

from collections.abc import Callable, Iterable, Sequence

from maul.core.vantage import Question, Vantage
from maul.guard.mitigation.causes import Cause
from maul.guard.mitigation.episode import Episode
from maul.guard.mitigation.features import Features
from maul.guard.mitigation.table import TABLE
from maul.guard.mitigation.terms import ClassifyTerms

TELLS_MIN = 3.0  # nats that an answer would have to part the two by

# Who sees which feature. The order is that of the cost: a single SYN first, many bytes last.
SEEN_BY: dict[str, Vantage] = {
    "port": Vantage.IDLE,
    "fresh": Vantage.IDLE,
    "control_ours": Vantage.IDLE,
    "control": Vantage.CONTROL,
    "external": Vantage.EXTERNAL,
    "inside": Vantage.INSIDE,
    "neighbour": Vantage.IDLE,
    "sentinel": Vantage.SENTINEL,
    "large": Vantage.IDLE,
    "handshake": Vantage.IDLE,
    "ingress": Vantage.BALANCER,
    "knocks": Vantage.BALANCER,
    "peer": Vantage.BALANCER,
    "balancer": Vantage.BALANCER,
    "listener": Vantage.BALANCER,
    "process": Vantage.BALANCER,
    "overflow": Vantage.BALANCER,
    "accepts": Vantage.BALANCER,
    "half_open": Vantage.BALANCER,
    "tracking": Vantage.BALANCER,
    "backends": Vantage.BALANCER,
    "notice": Vantage.FEED,
}
_SAYS = {
    "port": "whether another port of the address replies",
    "fresh": "whether a new connection from a generator's host stands",
    "control_ours": "whether that generator's host reaches the control address",
    "control": "whether the control address answers",
    "external": "whether the target answers from outside",
    "inside": "whether the balancers answer on their private address",
    "neighbour": "whether another address of the same prefix answers",
    "large": "whether what fills whole frames passes",
}


def separating(
    first: Cause, second: Cause, seen: Features, episode: Episode, terms: ClassifyTerms
) -> tuple[Question | None, str]:
    """The question and, in words, what it would tell; None where nobody is there to ask, or all was asked."""
    asker, proofs = _asker(episode, terms), _unproven(first, seen)
    for feature, make in _QUESTIONS.items():
        if feature in seen or (feature not in proofs and _parts(first, second, feature) < TELLS_MIN):
            continue
        question = make(asker, terms)
        if question is not None:
            return question, f"{_SAYS[feature]}: {first.value} or {second.value}"
    return None, ""


def needed(causes: Iterable[Cause], seen: Features) -> Sequence[Vantage]:
    """The vantage points whose sight would be a proof of one of the causes, or part them; unique, in order of cost."""
    both = tuple(causes)
    wanted: dict[Vantage, None] = {}
    for cause in both:
        wanted.update(dict.fromkeys(SEEN_BY[name] for name in sorted(_unproven(cause, seen)) if name in SEEN_BY))
    for feature, vantage in SEEN_BY.items():
        if feature not in seen and len(both) == 2 and _parts(both[0], both[1], feature) >= TELLS_MIN:
            wanted.setdefault(vantage)
    order = list(Vantage)
    return sorted(wanted, key=order.index)


def _unproven(cause: Cause, seen: Features) -> set[str]:
    """The features that nobody saw, and one of which would be a proof that still lacks."""
    signs = {(name, reading.level) for name, reading in seen.items()}
    return {name for line in TABLE[cause].needs if not signs & line for name, _ in line if name not in seen}


def _parts(first: Cause, second: Cause, feature: str) -> float:
    """By how much the feature can part the two: the widest gap between their weights over its levels."""
    one, other = TABLE[first], TABLE[second]
    levels = {*one.weights.get(feature, ()), *other.weights.get(feature, ())}
    return max((abs(one.weight(feature, level) - other.weight(feature, level)) for level in levels), default=0.0)


def _asker(episode: Episode, terms: ClassifyTerms) -> str:
    """The generator to ask from: one that got nothing, where some did."""
    for names in (episode.dead, terms.generators, episode.alive, episode.paused):
        if names:
            return min(names)
    return next((name for each in reversed(episode.everything) for name in sorted(each.generators)), "")


def _first(names: Sequence[str]) -> str:
    return names[0] if names else ""


def _control(terms: ClassifyTerms) -> str:
    """The control address; a neighbour in the loaded prefix is none."""
    return next((name for name in terms.control if name not in terms.neighbours), "")


def _lookout(role: Vantage, terms: ClassifyTerms) -> str:
    return next((who for who, has in terms.lookouts.items() if has is role), "")


def _question(vantage: Vantage, who: str, endpoint: str, port: int = 0, *, large: bool = False) -> Question | None:
    return Question(vantage, who, endpoint, port, large) if who and endpoint else None


_Make = Callable[[str, ClassifyTerms], Question | None]
_QUESTIONS: dict[str, _Make] = {
    "port": lambda who, terms: (
        _question(Vantage.IDLE, who, _first(terms.loaded), terms.other_port) if terms.other_port else None
    ),
    "fresh": lambda who, terms: _question(Vantage.IDLE, who, _first(terms.loaded)),
    "control_ours": lambda who, terms: _question(Vantage.IDLE, who, _control(terms)),
    "control": lambda _, terms: _question(Vantage.CONTROL, _lookout(Vantage.CONTROL, terms), _control(terms)),
    "external": lambda _, terms: _question(Vantage.EXTERNAL, _lookout(Vantage.EXTERNAL, terms), _first(terms.loaded)),
    "inside": lambda _, terms: _question(Vantage.INSIDE, _lookout(Vantage.INSIDE, terms), _first(terms.private)),
    "neighbour": lambda who, terms: _question(Vantage.IDLE, who, _first(terms.neighbours)),
    "large": lambda who, terms: _question(Vantage.IDLE, who, _first(terms.loaded), large=True),
}
