"""Is the first read of a key slower than the next? Then something between disk and customer caches.

First reads crowd at the beginning of a run, when everything else warms up too: so both are compared within the same
stretches of time only, stretch by stretch (Wilcoxon's signed ranks over their medians), without new connections.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from maul.core.operation import Flag, Op, Outcome
from maul.core.summary import FirstAccess
from maul.insight.words import show_count, show_ms, show_ratio

STRETCHES_MAX = 60
STRETCHES_MIN = 8
"""Signed ranks of fewer cannot be significant."""
EACH_MIN = 5
"""First and repeated reads that a stretch needs for two medians."""
DIFFERS_RATIO = 0.05
P_MAX = 0.01
_NS_PER_MS = 1e6


def first_access(operations: pa.Table, phases: Collection[str]) -> FirstAccess | None:
    """First against repeated whole GETs of the same run, in these phases; None where they cannot be told apart."""
    wanted = pc.and_(
        pc.is_in(operations["phase"], value_set=pa.array(list(phases), pa.string())),
        pc.and_(
            pc.equal(operations["op"], pa.scalar(int(Op.GET))),
            pc.equal(operations["outcome"], pa.scalar(int(Outcome.OK))),
        ),
    )
    reads = operations.filter(wanted)
    start, end, key, flags = (_column(reads, name) for name in ("start_ns", "end_ns", "key", "flags"))
    order = np.argsort(start, kind="stable")
    start, end, key, flags = start[order], end[order], key[order], flags[order]
    first = np.zeros(start.size, bool)
    first[np.unique(key, return_index=True)[1]] = True
    settled = (flags & int(Flag.NEW_CONNECTION)) == 0
    ms = (end - start) / _NS_PER_MS
    ratios = _ratios(start, ms, first, settled)
    if ratios.size < STRETCHES_MIN:
        return None
    effect = float(np.median(ratios))
    p = float(stats.wilcoxon(ratios).pvalue) if np.any(ratios) else 1.0
    one, again = ms[first & settled], ms[~first & settled]
    p50 = (float(np.median(one)), float(np.median(again)))
    differs = p < P_MAX and abs(np.expm1(effect)) > DIFFERS_RATIO
    return FirstAccess(
        first=one.size,
        repeated=again.size,
        first_p50_ms=p50[0],
        repeated_p50_ms=p50[1],
        effect=float(np.expm1(effect)),
        p=p,
        differs=differs,
        says=_says(one.size, p50, float(np.expm1(effect))) if differs else "",
    )


def _ratios(start: Any, ms: Any, first: Any, settled: Any) -> Any:
    """Of each stretch that has enough of both: the logarithm of first / repeated, of their medians."""
    if not first.any():
        return np.empty(0)
    # Stretches with as many first reads each: those thin out as time goes on.
    firsts = start[first & settled]
    count = min(STRETCHES_MAX, firsts.size // EACH_MIN)
    if count < STRETCHES_MIN:
        return np.empty(0)
    stretch = np.searchsorted(np.quantile(firsts, np.linspace(0, 1, count + 1)[1:-1]), start, side="right")
    last = start <= firsts[-1]
    found = []
    for number in range(count):
        inside = settled & last & (stretch == number)
        one, again = ms[inside & first], ms[inside & ~first]
        if one.size >= EACH_MIN and again.size >= EACH_MIN:
            found.append(np.log(max(np.median(one), 1e-6) / max(np.median(again), 1e-6)))
    return np.array(found)


def _says(first: int, p50: tuple[float, float], effect: float) -> str:
    more = f"{show_ratio(abs(effect))} {'slower' if effect > 0 else 'quicker'}"
    why = "something caches" if effect > 0 else "what reads again pays for it"
    return (
        f"The first GET of a key ({show_count(first)} of them, p50 {show_ms(p50[0])}) was {more} than further GETs at "
        f"the same time (p50 {show_ms(p50[1])} over the whole run): {why}."
    )


def _column(table: pa.Table, name: str) -> Any:
    return table[name].to_numpy().astype(np.int64)
