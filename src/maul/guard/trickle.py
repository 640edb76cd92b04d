"""Trickle: is the map of the network true? A little load from each rack in turn must show on the counters as predicted.

A difference smaller than what others' traffic scatters by proves nothing, and is not taken for agreement either.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, variance

from maul.core.units import show_bitrate
from maul.core.verdict import Verdict

NOISE_SIGMAS = 3.5
FLOW_SIGMAS = 3.0
LITTLE = 0.1
"""A direction that was to carry less than this part of the rack's busiest one is only looked at for too much."""
READINGS_MIN = 3
NAMED_MAX = 6


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time in which one rack sent, or nobody (`rack` None). `readings` in bits per second, by direction.

    `predicted`: ours in each direction, by what the rack really sent. `alone`: the part of the rack's traffic that
    crosses a direction, where equal ways share it; `flows`: connections that were spread over them. `unsure`: of
    `predicted`, what is only estimated (acknowledgements).
    """

    rack: str | None
    readings: Mapping[str, Sequence[float]]
    predicted: Mapping[str, float] = field(default_factory=dict)
    alone: Mapping[str, float] = field(default_factory=dict)
    flows: int = 0
    unsure: Mapping[str, float] = field(default_factory=dict)
    moved_bps: float = 0.0
    """All that the rack sent and received."""


@dataclass(frozen=True, slots=True)
class TrickleRow:
    """One direction while one rack sent (`all racks`: over all of them together). Bits per second of ours.

    `noise_bps`: what was seen may be off by that much. PASS: as predicted; FAIL: not; UNKNOWN: it cannot be told.
    """

    rack: str
    link: str
    predicted_bps: float
    seen_bps: float | None
    noise_bps: float
    verdict: Verdict
    says: str = ""


@dataclass(frozen=True, slots=True)
class TrickleFound:
    """PASS: the map is true. FAIL: it is wrong, and nothing may ramp. UNKNOWN: some shared link cannot be judged.

    `inner`: by direction between parts of the target, what it carried beyond what was predicted, as a part of all that
    the rack sent and received; and by how much that may be off.
    """

    verdict: Verdict
    says: str
    rows: tuple[TrickleRow, ...]
    inner: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def judge_trickle(
    windows: Sequence[Window], shared: frozenset[str], error: float, inner: frozenset[str] = frozenset()
) -> TrickleFound:
    """Hold each rack's window against the quiet ones beside it. `shared`: directions that customers use, which must be
    known; `error`: by which part a link may carry more or less than predicted; `inner`: directions between parts of the
    target, which carry what it sends to itself, too: more than predicted is no mistake of the map there."""
    rows: list[TrickleRow] = []
    own: dict[str, list[tuple[float, float]]] = {}
    for before, during, after in zip(windows, windows[1:], windows[2:], strict=False):
        if during.rack is not None and before.rack is None and after.rack is None:
            rows += _rack_rows(before, during, after, error, inner)
            for link, part in _inner_parts(before, during, after, inner).items():
                own.setdefault(link, []).append(part)
    over_all = _over_all_racks(rows, error)
    settled = {row.link: row for row in over_all if row.verdict is not Verdict.UNKNOWN}
    rows = [
        row
        if row.verdict is not Verdict.UNKNOWN or row.link not in settled or row.predicted_bps <= 0
        else _settle(row, settled[row.link])
        for row in rows
    ]
    measured = {link: _mean(parts) for link, parts in own.items()}
    return replace(
        _found([*rows, *over_all], shared), inner={link: one for link, one in measured.items() if one[0] > 0}
    )


def _settle(row: TrickleRow, by: TrickleRow) -> TrickleRow:
    return TrickleRow(row.rack, row.link, row.predicted_bps, row.seen_bps, row.noise_bps, by.verdict, by.says)


def _inner_parts(
    before: Window, during: Window, after: Window, inner: frozenset[str]
) -> dict[str, tuple[float, float]]:
    """What each inner direction carried beyond what was predicted, and its noise, as parts of what the rack moved."""
    found: dict[str, tuple[float, float]] = {}
    for link in inner & during.readings.keys() if during.moved_bps > 0 else ():
        delta = _delta(link, before, during, after)
        if delta is not None:
            extra = delta[0] - during.predicted.get(link, 0.0)
            found[link] = extra / during.moved_bps, delta[1] / during.moved_bps
    return found


def _mean(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return fmean(part for part, _ in parts), math.sqrt(sum(noise**2 for _, noise in parts)) / len(parts)


def _rack_rows(before: Window, during: Window, after: Window, error: float, inner: frozenset[str]) -> list[TrickleRow]:
    busiest = max(during.predicted.values(), default=0.0)
    rows: list[TrickleRow] = []
    for link in sorted({*during.predicted, *during.readings}):
        predicted = during.predicted.get(link, 0.0)
        expected = predicted > LITTLE * busiest
        delta = _delta(link, before, during, after)
        if delta is None:
            if expected:
                rows.append(_row(during, link, predicted, None, "nothing reads its counters"))
            continue
        seen, noise = delta
        noise += during.unsure.get(link, 0.0)
        noise += _uneven(during.alone.get(link, 1.0), during.flows) * predicted if expected else 0.0
        slack = error * (predicted if expected else busiest)
        verdict = _judge(seen - predicted, slack, noise)
        if link in inner and seen > predicted:
            if expected and verdict is not Verdict.PASS:
                says = f"carried {show_bitrate(seen)}: no less than predicted, and what the target sends to itself"
                rows.append(TrickleRow(str(during.rack), link, predicted, seen, noise, Verdict.PASS, says))
            elif expected:
                rows.append(TrickleRow(str(during.rack), link, predicted, seen, noise, verdict))
            continue
        if not expected and verdict is not Verdict.FAIL:
            continue  # traffic that nobody predicted and nobody sees
        if not expected and seen < 0:
            continue  # others sent less meanwhile
        says = _says(predicted if expected else 0.0, seen, noise, slack, verdict)
        rows.append(TrickleRow(str(during.rack), link, predicted, seen, noise, verdict, says))
    return rows


def _row(during: Window, link: str, predicted: float, seen: float | None, says: str) -> TrickleRow:
    return TrickleRow(str(during.rack), link, predicted, seen, 0.0, Verdict.UNKNOWN, says)


def _delta(link: str, before: Window, during: Window, after: Window) -> tuple[float, float] | None:
    """What the rack added, and by how much that may be off: by scatter, and by others' traffic that drifts."""
    first, last = list(before.readings.get(link, ())), list(after.readings.get(link, ()))
    sent = list(during.readings.get(link, ()))
    if min(len(first), len(last), len(sent)) < READINGS_MIN:
        return None
    quiet = fmean(first + last)
    scatter = math.sqrt(variance(sent) / len(sent) + (variance(first) + variance(last)) / 2 / len(first + last))
    drift = abs(fmean(first) - fmean(last)) / 2
    return fmean(sent) - quiet, NOISE_SIGMAS * scatter + drift


def _uneven(part: float, flows: int) -> float:
    """By which part equal ways may differ from an even split: each flow takes one of them, as a hash says.

    >>> round(_uneven(0.5, 100), 2), _uneven(1.0, 10)
    (0.3, 0.0)
    """
    if part >= 1.0 or part <= 0.0:
        return 0.0
    return FLOW_SIGMAS * math.sqrt((1 - part) / (part * max(flows, 1)))


def _judge(difference: float, slack: float, noise: float) -> Verdict:
    if abs(difference) > slack + noise:
        return Verdict.FAIL
    return Verdict.PASS if noise <= slack and abs(difference) <= slack else Verdict.UNKNOWN


def _says(predicted: float, seen: float, noise: float, slack: float, verdict: Verdict) -> str:
    if verdict is Verdict.PASS:
        return ""
    if verdict is Verdict.FAIL and predicted == 0:
        return f"carried {show_bitrate(seen)} where next to nothing of ours was to be"
    if verdict is Verdict.FAIL:
        return f"carried {show_bitrate(max(seen, 0.0))} of the {show_bitrate(predicted)} predicted"
    if noise > slack:
        return f"others' traffic scatters by {show_bitrate(noise)}, too much to see {show_bitrate(predicted)} in it"
    return f"carried {show_bitrate(seen)}, which may or may not be the {show_bitrate(predicted)} predicted"


def _over_all_racks(rows: Sequence[TrickleRow], error: float) -> list[TrickleRow]:
    """Regression through the origin of what was seen on what was predicted, for links that several racks cross and
    that no single one could settle."""
    by_link: dict[str, list[TrickleRow]] = {}
    for row in rows:
        if row.seen_bps is not None and row.predicted_bps > 0:
            by_link.setdefault(row.link, []).append(row)
    found: list[TrickleRow] = []
    for link, of in by_link.items():
        if len(of) < 2 or all(row.verdict is not Verdict.UNKNOWN for row in of):
            continue
        weights = [1.0 / max(row.noise_bps, 1e-9 * row.predicted_bps) ** 2 for row in of]
        mass = sum(w * row.predicted_bps**2 for w, row in zip(weights, of, strict=True))
        slope = sum(w * row.predicted_bps * (row.seen_bps or 0.0) for w, row in zip(weights, of, strict=True)) / mass
        predicted = sum(row.predicted_bps for row in of)
        noise = predicted / math.sqrt(mass)
        verdict = _judge((slope - 1) * predicted, error * predicted, noise)
        says = f"over all racks {slope:.2f} times what was predicted, give or take {1 / math.sqrt(mass):.2f}"
        found.append(TrickleRow("all racks", link, predicted, slope * predicted, noise, verdict, says))
    return found


def _found(rows: Sequence[TrickleRow], shared: frozenset[str]) -> TrickleFound:
    wrong = [row for row in rows if row.verdict is Verdict.FAIL]
    dim = {row.link for row in rows if row.verdict is Verdict.UNKNOWN}
    clear = {row.link for row in rows} - dim - {row.link for row in wrong}
    if wrong:
        shown = [f"{row.link} {row.says} while {row.rack} sent" for row in wrong[:NAMED_MAX]]
        more = [f"and {len(wrong) - NAMED_MAX} more"] if len(wrong) > NAMED_MAX else []
        return TrickleFound(Verdict.FAIL, f"the map of the network is wrong: {'; '.join(shown + more)}", tuple(rows))
    if not clear and not dim:
        return TrickleFound(Verdict.UNKNOWN, "no link was predicted to carry anything", tuple(rows))
    words = f"{len(clear)} directions carried what was predicted"
    if not dim:
        return TrickleFound(Verdict.PASS, f"the map of the network is true: {words}", tuple(rows))
    whose = sorted(dim)
    named = ", ".join(whose[:NAMED_MAX]) + (f" and {len(whose) - NAMED_MAX} more" if len(whose) > NAMED_MAX else "")
    verdict = Verdict.UNKNOWN if dim & shared or not clear else Verdict.PASS
    return TrickleFound(verdict, f"{words}; it cannot be told of {named}", tuple(rows))
