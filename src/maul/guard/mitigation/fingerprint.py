"""Fingerprint: at which load we were dropped, at which we were not, and how long it took; narrowed over runs.

A protection acts some time after its threshold was crossed, so the load of the last seconds before the silence tells
neither: what was highest then is the least that is known to be answered by silence, and only what lay further back is
known to be borne.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from maul.core.mitigation_summary import OF_ONE, BracketSummary, show_load
from maul.guard.mitigation.loads import WINDOWS_S, Amounts, dimensions, peaks, unit_of

REACTION_S = 10.0
"""How long a protection may take to act, where nobody knows better."""
HELD_PART = 0.95
"""A load is the one that was dropped from the second on in which it comes so near to it."""
CLOSE = 3.0
"""A bracket that is wider tells of no particular number."""
ROUND_WITHIN = 1.25


@dataclass(frozen=True, slots=True)
class KnownDefault:
    """What a product ships with."""

    dimension: str
    value: float
    says: str


DEFAULTS = (
    KnownDefault("packets", 20_000, "FastNetMon's default: 20,000 packets/s of one address, mean over 5 s"),
    KnownDefault("bits", 1e9, "FastNetMon's default: 1 Gbit/s of one address, mean over 5 s"),
    KnownDefault("flows", 3_500, "FastNetMon's default: 3,500 flows of one address (off unless switched on)"),
    KnownDefault("packets", 500_000, "sFlow-RT ddos-protect's default for TCP floods: 500,000 frames/s"),
    KnownDefault("packets", 1_000_000, "sFlow-RT ddos-protect's default for IP floods: 1,000,000 frames/s"),
)


def brackets(
    amounts: Sequence[Amounts], onset_ns: int | None, reaction_s: float = REACTION_S
) -> tuple[BracketSummary, ...]:
    """Of every dimension and window: the highest survived, and, where it was dropped at `onset_ns`, the lowest of that.

    `amounts`: of one stretch of load, from `loads.amounts_of`; it ends with the silence, or was never stopped.
    """
    if not amounts:
        return ()
    end_ns = onset_ns if onset_ns is not None else amounts[-1].at_ns
    safe_ns = end_ns - round(reaction_s * 1e9)
    found = []
    for dimension, estimated in dimensions(amounts).items():
        for window_s in WINDOWS_S:
            survived = peaks(amounts, dimension, window_s, 0, safe_ns)
            dropped_at = peaks(amounts, dimension, window_s, safe_ns, end_ns) if onset_ns is not None else None
            if survived is None and dropped_at is None:
                continue
            found.append(
                BracketSummary(
                    dimension=dimension,
                    unit=unit_of(dimension),
                    window_s=window_s,
                    survived=survived.value if survived is not None else None,
                    dropped_at=dropped_at.value if dropped_at is not None else None,
                    estimated=estimated,
                )
            )
    return tuple(found)


def may_be_it(bracket: BracketSummary) -> bool:
    """Whether a threshold of this dimension could explain it: what was dropped is more than what was borne."""
    return bracket.dropped_at is not None and (bracket.survived is None or bracket.dropped_at > bracket.survived)


def detect_s(amounts: Sequence[Amounts], onset_ns: int, threshold: BracketSummary | None = None) -> float | None:
    """How long it took to act. `threshold`: a bracket that says where it lies, of earlier runs; then since its middle
    was crossed. Without: since the load first came near to what was dropped, which is the most that it can have been.

    None: nothing was seen of the time before.
    """
    dimension, window_s = (threshold.dimension, int(threshold.window_s)) if threshold is not None else ("requests", 1)
    before = [one for one in amounts if one.at_ns <= onset_ns]
    dropped_at = peaks(before, dimension, window_s, onset_ns - round(REACTION_S * 1e9), onset_ns)
    if dropped_at is None:
        return None
    level = HELD_PART * dropped_at.value
    if threshold is not None and threshold.dropped_at is not None:
        level = (threshold.dropped_at + (threshold.survived or threshold.dropped_at)) / 2
    since_ns: int | None = None
    for one in reversed(before):
        value = one.values.get(dimension)
        if value is None or value < level:
            break
        since_ns = one.at_ns - 1_000_000_000
    return max(0.0, (onset_ns - since_ns) / 1e9) if since_ns is not None else None


@dataclass(frozen=True, slots=True)
class Contradiction:
    """One run was dropped at `dropped_at`, another bore `survived`, which is as much or more."""

    dropped_at: float
    survived: float
    of: BracketSummary


def narrow(
    earlier: Sequence[BracketSummary], now: Sequence[BracketSummary]
) -> tuple[tuple[BracketSummary, ...], tuple[Contradiction, ...]]:
    """What all runs together say: the highest survived, the lowest dropped at; and what does not fit together.

    Where one run bore more than another was dropped for, the bracket is made as wide as both: the threshold is of
    another dimension, or it was changed.
    """
    by_key = {_key(one): one for one in earlier}
    merged, found = [], []
    for one in now:
        before = by_key.pop(_key(one), None)
        if before is None:
            merged.append(one)
            continue
        both, contradicts = _joined(before, one)
        merged.append(both)
        if contradicts is not None:
            found.append(contradicts)
    return (*merged, *by_key.values()), tuple(found)


def doubt(found: Sequence[Contradiction]) -> str:
    """All that does not fit together, as one sentence with one example; empty where everything fits."""
    if not found:
        return ""
    names = list(dict.fromkeys(one.of.dimension.replace("_", " ") for one in found))
    first = next((one for one in found if one.of.window_s == 5), found[0])
    return (
        f"It does not go by {', '.join(names)}, or it was changed: one run was dropped at what another bore "
        f"({first.of.dimension.replace('_', ' ')}, mean over {first.of.window_s:g} s: dropped at "
        f"{show_load(first.dropped_at, first.of.unit)}, bore {show_load(first.survived, first.of.unit)})."
    )


def hints(found: Sequence[BracketSummary]) -> tuple[str, ...]:
    """Numbers that products ship with, or that people like, within a bracket that is narrow enough to tell."""
    told: dict[str, None] = {}
    for one in found:
        if not may_be_it(one) or one.dropped_at is None or not one.survived or one.dropped_at > CLOSE * one.survived:
            continue
        dimension = one.dimension.removesuffix(OF_ONE)
        within = [
            known for known in DEFAULTS if known.dimension == dimension and one.survived < known.value <= one.dropped_at
        ]
        if one.window_s == 5:
            told.update({f"{said(one)}: {known.says}": None for known in within})
        rounds = [value for value in _round_numbers(one.dropped_at) if one.survived < value <= one.dropped_at]
        if one.window_s == 5 and not within and rounds and one.dropped_at <= ROUND_WITHIN * one.survived:
            told[f"{said(one)}: a round number lies within, {show_load(rounds[-1], one.unit)}"] = None
    return tuple(told)


def said(bracket: BracketSummary) -> str:
    """In words: `packets, mean over 5 s: survived 18,000 packets/s, dropped at 22,000 packets/s`."""
    window = f"{bracket.dimension.replace('_', ' ')}, mean over {bracket.window_s:g} s"
    parts = [f"survived {show_load(bracket.survived, bracket.unit)}"] if bracket.survived is not None else []
    parts += [f"dropped at {show_load(bracket.dropped_at, bracket.unit)}"] if bracket.dropped_at is not None else []
    guess = " (reckoned, not counted)" if bracket.estimated else ""
    return f"{window}: {', '.join(parts)}{guess}"


def _key(one: BracketSummary) -> tuple[str, float, bool]:
    return one.dimension, one.window_s, one.estimated


def _joined(before: BracketSummary, now: BracketSummary) -> tuple[BracketSummary, Contradiction | None]:
    survived = [one.survived for one in (before, now) if one.survived is not None]
    dropped_at = [one.dropped_at for one in (before, now) if one.dropped_at is not None]
    most, least = max(survived, default=None), min(dropped_at, default=None)
    contradiction = None
    if most is not None and least is not None and least <= most:
        contradiction = Contradiction(least, most, now)
        most, least = min(survived), max(dropped_at)
    both = now.model_copy(update={"survived": most, "dropped_at": least, "runs": before.runs + now.runs})
    return both, contradiction


def _round_numbers(around: float) -> Iterator[float]:
    """1, 2 and 5 times a power of ten up to a figure, the last ones."""
    power = 10.0 ** (len(str(int(around))) - 2) if around >= 10 else 1.0
    for scale in (power, 10 * power):
        yield from (factor * scale for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * scale <= around)
