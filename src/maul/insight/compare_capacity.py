"""The limits of two sides: each is known only as lying between a rate that held and one that did not."""

from collections.abc import Sequence

from maul.core.comparison import ComparedRow, Judgement, Metric
from maul.core.summary import Capacity
from maul.insight.words import show_rate


def compare_capacity(a: Sequence[Capacity], b: Sequence[Capacity]) -> ComparedRow | None:
    """B's limit against A's; None when neither held any rate. A side's bracket holds those of all its repeats."""
    (good_a, bad_a), (good_b, bad_b) = _bracket(a), _bracket(b)
    good, bad = (good_a, good_b), (bad_a, bad_b)
    judgement, why = _judge(good, bad)
    if good == (0.0, 0.0):
        return None
    known = good[0] > 0 and good[1] > 0
    steps = [high / low - 1 for low, high in zip(good, bad, strict=True) if high is not None and low > 0]
    return ComparedRow(
        phase=a[0].phase,
        op="all",
        metric=Metric.CAPACITY,
        a=good[0] or None,
        b=good[1] or None,
        effect=good[1] / good[0] - 1 if known else None,
        low=good[1] / bad[0] - 1 if bad[0] else None,
        high=bad[1] / good[0] - 1 if bad[1] is not None and good[0] else None,
        floor=max(steps, default=None),
        judgement=judgement,
        why=why,
    )


def _bracket(side: Sequence[Capacity]) -> tuple[float, float | None]:
    """(the highest rate that held in every repeat, or 0; the highest that failed in any, or None)."""
    bad = [one.first_bad_per_s for one in side]
    return (
        min(one.highest_good_per_s or 0.0 for one in side),
        None if None in bad else max(rate for rate in bad if rate is not None),
    )


def _judge(good: tuple[float, float], bad: tuple[float | None, float | None]) -> tuple[Judgement, str]:
    if bad[1] is not None and bad[1] <= good[0]:
        return Judgement.WORSE, f"it gave way at {show_rate(bad[1])}; A held {show_rate(good[0])}"
    if bad[0] is not None and bad[0] <= good[1]:
        return Judgement.BETTER, f"it held {show_rate(good[1])}; A gave way at {show_rate(bad[0])}"
    if None in bad and bad != (None, None):
        return Judgement.UNKNOWN, "the limit of one side was not reached"
    if bad == (None, None) and good[0] != good[1]:
        return Judgement.UNKNOWN, "neither limit was reached"
    same = (
        "neither gave way" if bad == (None, None) else "both limits lie between the same steps, or in overlapping ones"
    )
    return Judgement.SAME, same
