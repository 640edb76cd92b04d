"""Is B worse than A? Effects with intervals and a noise floor, never bare deltas.

Of each phase and operation: per-second histograms after the warm-up is cut (MSER-5), merged exactly. The interval
comes from a moving-block bootstrap within the runs, widened for the number of rows (Bonferroni), and from the repeats
where there are some (Hodges-Lehmann, Mann-Whitney). The floor is what a run does against itself, what repeats do
against each other, and of single runs what such runs are known to do.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from maul.core.comparison import ComparedRow, Judgement, Metric
from maul.core.histogram import Histogram, LatencyKind
from maul.core.operation import Op, Outcome
from maul.insight.latency import LatencyBook, Select
from maul.insight.resample import DRAWS, SEED, Bins, FloatArray, block_length, block_weights, merged_bins
from maul.insight.steady import mser5
from maul.insight.words import show_count

CONFIDENCE = 0.95
"""Of all rows together."""
SECONDS_MIN = 8
"""A shorter steady stretch has no blocks to draw from."""
COUNT_MIN = {Metric.OK: 50, Metric.P50: 50, Metric.P99: 500, Metric.ERRORS: 50}
"""Operations on each side: five of them lie above a p99 then."""
FLOOR_MIN = 0.01
"""An effect below one per cent is no news."""
ERRORS_FLOOR_MIN = 0.0005
ONE_RUN_FLOOR = 0.1
"""Two single runs of the same differ by so much without a cause: placement, caches, the hour (Treadmill, 2016)."""
ONE_RUN_SURE = math.log(1.5)
"""On a shared machine two equal runs lay 40 % apart, far outside of what either showed by itself. One run a side
settles only what is larger than this, as a logarithm, and whose whole interval lies beyond `ONE_RUN_FLOOR`."""
USEFUL = 0.25
"""Behind a higher noise floor hides what matters: then nothing is said."""
ERRORS_USEFUL = 0.01
_SPLITS = 200
_SPLIT_QUANTILE = 0.95
_TINY = 1e-12

Statistic = Callable[[FloatArray], FloatArray]
"""From weights (draws, bins) to a figure per draw, on the scale on which effects are differences."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run: its histograms, and the stretches [first, end) in Unix seconds to compare, by (phase, title)."""

    run_id: str
    book: LatencyBook
    stretches: Mapping[tuple[str, str], tuple[int, int]]
    void: Mapping[str, str]
    """Phases that say nothing about the target, and why."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows, and what was left out."""

    rows: list[ComparedRow]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class _Side:
    """The bins of all repeats of a side, one after the other; `sizes` says how many each has."""

    sizes: tuple[int, ...]
    lengths: tuple[int, ...]  # of the blocks of each
    bins: Bins
    ok: FloatArray
    bad: FloatArray
    seconds: FloatArray

    @property
    def count(self) -> float:
        """Operations."""
        return float(self.ok.sum() + self.bad.sum())

    @property
    def blocks(self) -> int:
        """How many the bootstrap draws from."""
        return sum(math.ceil(size / length) for size, length in zip(self.sizes, self.lengths, strict=True))

    def statistic(self, metric: Metric) -> Statistic:
        if metric in (Metric.P50, Metric.P99):
            percentile = 50.0 if metric is Metric.P50 else 99.0
            return lambda weights: np.log(np.maximum(self.bins.percentile_ms(weights, percentile), _TINY))
        if metric is Metric.OK:
            return lambda w: np.log(np.maximum(w @ self.ok, _TINY) / np.maximum(w @ self.seconds, _TINY))
        return lambda w: (w @ self.bad) / np.maximum(w @ (self.ok + self.bad), 1.0)

    def whole(self) -> FloatArray:
        return np.ones((1, sum(self.sizes)))

    def each(self) -> FloatArray:
        """Weights of each repeat alone: (repeats, bins)."""
        return np.repeat(np.eye(len(self.sizes)), self.sizes, axis=1)

    def drawn(self, rng: np.random.Generator) -> FloatArray:
        pairs = zip(self.sizes, self.lengths, strict=True)
        return np.hstack([block_weights(size, length, DRAWS, rng) for size, length in pairs])

    def halves(self, run: int) -> FloatArray:
        """The first half of a run's time and the second: (2, bins)."""
        return self._within(run, np.arange(self.sizes[run]) < self.sizes[run] // 2)

    def splits(self, run: int, rng: np.random.Generator) -> FloatArray:
        """The blocks of a run dealt out to two sides by chance, many times: (2 * splits, bins), sides in turn."""
        size, length = self.sizes[run], self.lengths[run]
        block = np.arange(size) // length
        count = int(block[-1]) + 1
        dealt = [self._within(run, (rng.permutation(count) < count // 2)[block]) for _ in range(_SPLITS)]
        return np.vstack(dealt)

    def _within(self, run: int, chosen: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> FloatArray:
        start = sum(self.sizes[:run])
        weights = np.zeros((2, sum(self.sizes)))
        weights[0, start : start + self.sizes[run]] = chosen
        weights[1, start : start + self.sizes[run]] = ~chosen
        return weights


def compare(a: Sequence[Measured], b: Sequence[Measured]) -> Found:
    """Every phase and operation that all runs have, repeats of a side together."""
    notes: list[str] = []
    stretches = [key for key in a[0].stretches if all(key in run.stretches for run in (*a, *b))]
    notes += [f"{title}: not in every run, left out" for _, title in _others(a, b, stretches)]
    drafts: list[_Draft] = []
    for key in stretches:
        drafts += _drafts(a, b, key, notes)
    tail = (1 - CONFIDENCE) / 2 / max(1, len(drafts))
    return Found([draft.row(float(stats.t.isf(tail, draft.free))) for draft in drafts], notes)


def _others(a: Sequence[Measured], b: Sequence[Measured], known: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return list(dict.fromkeys(key for run in (*a, *b) for key in run.stretches if key not in known))


def _drafts(a: Sequence[Measured], b: Sequence[Measured], key: tuple[str, str], notes: list[str]) -> "list[_Draft]":
    """The rows of one stretch, before their number is known."""
    phase, title = key
    settled = {run.run_id: _settled(run, key, notes) for run in (*a, *b)}
    shortest = min(end - first for first, end in settled.values())
    if shortest < SECONDS_MIN:
        notes.append(f"{title}: {shortest} s of steady time are too few to compare (at least {SECONDS_MIN} s)")
        return []
    void = next((run.void[phase] for run in (*a, *b) if phase in run.void), "")
    drafts: list[_Draft] = []
    ops = [run.book.ops(Select(phase=phase, seconds=settled[run.run_id])) for run in (*a, *b)]
    # The mix decides how often each operation comes; how many come through together is the target's doing.
    for op in [None, *(op for op in ops[0] if all(op in found for found in ops))]:
        sides = [[_bins(run, phase, op, settled[run.run_id]) for run in runs] for runs in (a, b)]
        pair = _Pair(_joined(sides[0]), _joined(sides[1]))
        for metric, least in COUNT_MIN.items():
            if (metric is Metric.OK) is (op is not None):
                continue
            fewest = min(side.count for side in (pair.a, pair.b))
            if fewest < least:
                what = f"{title}, {_name(op)} {metric.value}"
                notes.append(f"{what}: {show_count(fewest)} operations are too few (at least {least})")
                continue
            drafts.append(pair.draft(title, op, metric, void))
    return drafts


def _name(op: Op | None) -> str:
    return op.name if op is not None else "all"


def _settled(run: Measured, key: tuple[str, str], notes: list[str]) -> tuple[int, int]:
    """The stretch without its warm-up."""
    phase, title = key
    first, end = run.stretches[key]
    means = {
        second: histogram.mean
        for second, histogram in run.book.by_second(LatencyKind.LATENCY, Select(phase=phase, seconds=(first, end)))
        if histogram.count
    }
    seconds = sorted(means)
    cut = mser5([means[second] for second in seconds])
    if cut is None:
        if len(seconds) >= SECONDS_MIN:
            notes.append(f"{title} of run {run.run_id} did not settle: all of it is compared")
        return first, end
    return seconds[cut] if cut else first, end


@dataclass(frozen=True, slots=True)
class _RunBins:
    histograms: list[Histogram]
    ok: FloatArray
    bad: FloatArray
    seconds: FloatArray


def _bins(run: Measured, phase: str, op: Op | None, seconds: tuple[int, int]) -> _RunBins:
    first, end = seconds
    select = Select(phase, op, None, seconds)
    found = dict(run.book.by_second(LatencyKind.LATENCY, select))
    histograms = merged_bins([found.get(second, Histogram()) for second in range(first, end)])
    per_bin = math.ceil((end - first) / len(histograms))
    starts = np.arange(0, end - first, per_bin)

    def counted(*outcomes: Outcome) -> FloatArray:
        total = sum((run.book.per_second(o, select, first, end) for o in outcomes), np.zeros(end - first))
        return np.asarray(np.add.reduceat(total, starts), np.float64)

    return _RunBins(
        histograms,
        counted(Outcome.OK),
        counted(Outcome.FAIL, Outcome.UNKNOWN, Outcome.DROPPED),
        np.add.reduceat(np.ones(end - first), starts),
    )


def _joined(runs: Sequence[_RunBins]) -> _Side:
    return _Side(
        sizes=tuple(len(run.histograms) for run in runs),
        lengths=tuple(block_length([h.mean for h in run.histograms]) for run in runs),
        bins=Bins.of([h for run in runs for h in run.histograms]),
        ok=np.concatenate([run.ok for run in runs]),
        bad=np.concatenate([run.bad for run in runs]),
        seconds=np.concatenate([run.seconds for run in runs]),
    )


@dataclass(frozen=True, slots=True)
class _Pair:
    a: _Side
    b: _Side

    def draft(self, title: str, op: Op | None, metric: Metric, void: str) -> "_Draft":
        rng = np.random.default_rng(SEED)
        sides = (self.a, self.b)
        tells = [side.statistic(metric) for side in sides]
        whole = [float(tell(side.whole())[0]) for tell, side in zip(tells, sides, strict=True)]
        repeats = [tell(side.each()) for tell, side in zip(tells, sides, strict=True)]
        pairs = np.subtract.outer(repeats[1], repeats[0]).ravel()
        errors = [_spread(tell(side.drawn(rng)), side.blocks) for tell, side in zip(tells, sides, strict=True)]
        repeated = min(len(self.a.sizes), len(self.b.sizes)) > 1
        effect = float(np.median(pairs)) if repeated else whole[1] - whole[0]
        return _Draft(
            title=title,
            op=_name(op).lower(),
            metric=metric,
            a=whole[0],
            b=whole[1],
            effect=effect,
            error=math.hypot(*errors),
            free=max(1, self.a.blocks + self.b.blocks - 2),
            pairs=self._spanned(pairs if repeated else np.array([effect]), effect, metric),
            repeats_p=_repeats_p(repeats[0], repeats[1]) if repeated else None,
            floor=max(self._floor(metric, rng), *(float(np.ptp(r)) for r in repeats)),
            alone=max(len(self.a.sizes), len(self.b.sizes)) == 1,
            void=void,
        )

    def _spanned(self, pairs: FloatArray, effect: float, metric: Metric) -> FloatArray:
        """What the interval must span at least. Of n without an error the ratio may still be 3/n (rule of three)."""
        if metric is not Metric.ERRORS:
            return pairs
        room = [0.0 if side.bad.any() else 3 / side.count for side in (self.a, self.b)]
        return np.append(pairs, [effect - room[0], effect + room[1]])

    def _floor(self, metric: Metric, rng: np.random.Generator) -> float:
        """What each run does against itself; on the scale of effects."""
        found = [FLOOR_MIN]
        for side in (self.a, self.b):
            tell = side.statistic(metric)
            for run in range(len(side.sizes)):
                found.append(abs(float(np.diff(tell(side.halves(run)))[0])))
                dealt = tell(side.splits(run, rng))
                apart = np.abs(dealt[1::2] - dealt[::2])
                # Halves have half of the data each, so they lie further apart than whole runs do.
                found.append(float(np.quantile(apart, _SPLIT_QUANTILE)) / math.sqrt(2))
        if metric is Metric.ERRORS:
            return max(ERRORS_FLOOR_MIN, 3 / min(self.a.count, self.b.count), *found[1:])
        alone = max(len(self.a.sizes), len(self.b.sizes)) == 1
        return max(*found, ONE_RUN_FLOOR if alone else 0.0)


def _spread(drawn: FloatArray, blocks: int) -> float:
    """The standard error from draws of blocks, of which a few vary less than the whole world of them does."""
    return float(drawn.std()) * math.sqrt(blocks / max(1, blocks - 1))


def _repeats_p(a: FloatArray, b: FloatArray) -> float:
    """Mann-Whitney; without ties exact."""
    method = "auto" if np.unique(np.concatenate([a, b])).size < a.size + b.size else "exact"
    return float(stats.mannwhitneyu(a, b, method=method).pvalue)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A row before it is known how many there are. Figures on the scale of effects: logarithms, or ratios of errors."""

    title: str
    op: str
    metric: Metric
    a: float
    b: float
    effect: float
    error: float
    free: int
    """Degrees of freedom of the error: few blocks know it badly."""
    pairs: FloatArray
    repeats_p: float | None
    floor: float
    alone: bool
    void: str

    def row(self, t: float) -> ComparedRow:
        # Between repeats lies more than within them: the interval holds both.
        low = min(self.effect - t * self.error, float(self.pairs.min()))
        high = max(self.effect + t * self.error, float(self.pairs.max()))
        judgement, why = self._judge(low, high)
        shown = self._shown
        return ComparedRow(
            phase=self.title,
            op=self.op,
            metric=self.metric,
            a=self._level(self.a),
            b=self._level(self.b),
            effect=shown(self.effect),
            low=shown(low),
            high=shown(high),
            floor=shown(self.floor),
            repeats_p=self.repeats_p,
            judgement=judgement,
            why=why,
        )

    def _judge(self, low: float, high: float) -> tuple[Judgement, str]:
        if self.void:
            return Judgement.UNKNOWN, self.void
        more_is_better = self.metric is Metric.OK
        if abs(self.effect) > self.floor:
            if low <= 0 <= high:
                return Judgement.UNKNOWN, "the interval includes no effect at all"
            if self.alone and self.metric is not Metric.ERRORS and not self._beyond_chance(low, high):
                return Judgement.UNKNOWN, "one run a side does not settle it, repeat both"
            return (Judgement.BETTER if (self.effect > 0) is more_is_better else Judgement.WORSE), ""
        useful = ERRORS_USEFUL if self.metric is Metric.ERRORS else USEFUL
        if self.floor > useful:
            return Judgement.UNKNOWN, "too noisy"
        return Judgement.SAME, ""

    def _beyond_chance(self, low: float, high: float) -> bool:
        return abs(self.effect) > ONE_RUN_SURE and min(abs(low), abs(high)) > ONE_RUN_FLOOR

    def _level(self, value: float) -> float:
        return value if self.metric is Metric.ERRORS else math.exp(value)

    def _shown(self, effect: float) -> float:
        return effect if self.metric is Metric.ERRORS else math.expm1(min(effect, 50.0))
