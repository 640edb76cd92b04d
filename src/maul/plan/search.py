"""Search: where is the highest rate that still keeps what was promised? Pure: from what was tried to what to do next.

The ideas are those of MLRsearch (IETF BMWG, draft-ietf-bmwg-mlrsearch): a load is a lower bound when enough of enough
time at it was good, an upper bound when too much of it was bad; cheap short trials and a wide interval first, then
longer trials and a narrower one, each stage reusing the time that the stages before have spent. Added for a target
that remembers: a cool-down after every bad trial, and a soak a little below the answer.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

STAGES = 3
"""Short, middling and long trials; each stage wants half the (logarithmic) width of the one before."""
_DIGITS = 4  # of a rate: nobody asks for 812.2517/s
_TINY = 1e-9


class Judged(StrEnum):
    """What a trial was worth. Void: the generator was the limit, which says nothing about the target."""

    GOOD = "good"
    BAD = "bad"
    VOID = "void"


class Why(StrEnum):
    """Why a search ended."""

    FOUND = "found"  # an interval of the width asked for, and a soak
    CEILING = "ceiling"  # the highest rate that may be asked was held: the limit lies above
    FLOOR = "floor"  # not even the lowest rate was held
    GENERATOR = "generator"  # beyond the lower bound we were the limit
    NOT_RECOVERED = "not-recovered"  # after a bad trial the target did not come back by itself
    OUT_OF_TIME = "out-of-time"  # trials or time of the search are used up
    STOPPED = "stopped"  # somebody ended the run in the middle of the search
    FROZEN = "frozen"  # traffic was stopped by somebody upstream, or by silence


@dataclass(frozen=True, slots=True)
class Goal:
    """What is searched, and how sure one wants to be. Rates per second; `*_s` seconds.

    `confirm_s` of trial time decides a bound of the answer; of it at most `exceed_ratio` may have been bad below it.
    `width` is (upper - lower) / lower. A trial is longer than asked where it takes that to see `operations_min`.
    """

    from_per_s: float
    to_per_s: float
    trial_s: float = 4.0
    confirm_s: float = 20.0
    soak_s: float = 30.0
    width: float = 0.05
    cool_down_s: float = 30.0
    growth: float = 2.0
    exceed_ratio: float = 0.2
    soak_share: float = 0.95
    operations_min: int = 50
    voids_max: int = 2
    moves_max: int = 120
    seconds_max: float = 900.0


@dataclass(frozen=True, slots=True)
class Trial:
    """Try this rate for this long."""

    rate_per_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class CoolDown:
    """Send this low rate until the target is as it was, for so long at most."""

    rate_per_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Soak:
    """Hold this rate, a little below the lower bound."""

    rate_per_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """The search is over."""

    why: Why


Move = Trial | CoolDown | Soak | Done


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial that was made; `seconds` is how long it lasted."""

    rate_per_s: float
    seconds: float
    judged: Judged


@dataclass(frozen=True, slots=True)
class Cooled:
    """A cool-down that was made."""

    rate_per_s: float
    seconds: float
    recovered: bool


@dataclass(frozen=True, slots=True)
class Soaked:
    """A soak that was made."""

    rate_per_s: float
    seconds: float
    judged: Judged


Made = Tried | Cooled | Soaked
History = tuple[Made, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a history says. The limit lies in [`lower_per_s`, `upper_per_s`); None: no such bound is known.

    `confirmed`: both bounds that are there had the whole time that a bound needs.
    """

    lower_per_s: float | None
    upper_per_s: float | None
    confirmed: bool
    soak: Judged | None
    recovered: bool | None
    """None: no trial was bad, so nothing had to recover."""
    why: Why


def next_move(goal: Goal, history: History) -> Move:
    """What to do after this history. Deterministic; a search ends after at most `moves_max` moves.

    >>> goal = Goal(from_per_s=100.0, to_per_s=1000.0)
    >>> next_move(goal, ())
    Trial(rate_per_s=100.0, seconds=4.0)
    >>> next_move(goal, (Tried(100, 4, Judged.GOOD),))
    Trial(rate_per_s=200.0, seconds=4.0)
    >>> next_move(goal, (Tried(100, 4, Judged.GOOD), Tried(200, 4, Judged.BAD)))
    CoolDown(rate_per_s=100.0, seconds=30.0)
    """
    last = history[-1] if history else None
    if isinstance(last, Cooled) and not last.recovered:
        return Done(Why.NOT_RECOVERED)
    if isinstance(last, Tried | Soaked) and last.judged is Judged.BAD and len(history) < goal.moves_max:
        return CoolDown(goal.from_per_s, goal.cool_down_s)
    if len(history) >= goal.moves_max or _spent_s(history) >= goal.seconds_max:
        return Done(Why.OUT_OF_TIME)
    loads = _loads(history)
    for stage in _stages(goal):
        rate = _wanted(goal, stage, loads)
        if rate is not None:
            return Trial(rate, _seconds(goal, stage, loads.get(rate, _Load(rate))))
    return _soak_or_done(goal, history, loads)


def answer(goal: Goal, history: History) -> Answer:
    """What is known so far; of a history that was cut short as of a whole one."""
    loads = _loads(history)
    lower, upper, confirmed = None, None, True
    for index, stage in enumerate(reversed(_stages(goal))):
        bounds = _bounds(stage, loads)
        if lower is None and bounds.floor is not None and (upper is None or bounds.floor < upper):
            lower, confirmed = bounds.floor, confirmed and index == 0
        if upper is None and bounds.upper is not None and (lower is None or bounds.upper > lower):
            upper, confirmed = bounds.upper, confirmed and index == 0
    move = next_move(goal, history)
    return Answer(
        lower_per_s=lower,
        upper_per_s=upper,
        confirmed=confirmed,
        soak=next((one.judged for one in reversed(history) if isinstance(one, Soaked)), None),
        recovered=next((one.recovered for one in reversed(history) if isinstance(one, Cooled)), None),
        why=move.why if isinstance(move, Done) else Why.STOPPED,
    )


def rehearse(goal: Goal, limit_per_s: float, cool_down_s: float = 4.0) -> History:
    """The search against an ideal target that holds every rate up to `limit_per_s`: what it would send at most."""
    history: History = ()
    while not isinstance(move := next_move(goal, history), Done):
        judged = Judged.GOOD if move.rate_per_s <= limit_per_s else Judged.BAD
        made: Made
        if isinstance(move, CoolDown):
            made = Cooled(move.rate_per_s, min(cool_down_s, move.seconds), recovered=True)
        elif isinstance(move, Soak):
            made = Soaked(move.rate_per_s, move.seconds, judged)
        else:
            made = Tried(move.rate_per_s, move.seconds, judged)
        history = (*history, made)
    return history


# ---------------------------------------------------------------- what is known of a rate


@dataclass(frozen=True, slots=True)
class _Stage:
    """How much time decides a load, and how near to each other the bounds shall be."""

    sum_s: float
    ratio: float
    exceed: float
    voids_max: int


@dataclass(frozen=True, slots=True)
class _Load:
    """All trials at one rate."""

    rate_per_s: float
    good_s: float = 0.0
    bad_s: float = 0.0
    voids: int = 0

    @property
    def total_s(self) -> float:
        return self.good_s + self.bad_s

    def add(self, tried: Tried) -> "_Load":
        good = tried.seconds if tried.judged is Judged.GOOD else 0.0
        bad = tried.seconds if tried.judged is Judged.BAD else 0.0
        void = int(tried.judged is Judged.VOID)
        return _Load(self.rate_per_s, self.good_s + good, self.bad_s + bad, self.voids + void)

    def is_lower(self, stage: _Stage) -> bool:
        """Enough time, and enough of it good."""
        whole = self.total_s >= stage.sum_s - _TINY
        return whole and self.bad_s <= stage.exceed * self.total_s + _TINY

    def is_upper(self, stage: _Stage) -> bool:
        """So much bad time that the rest cannot mend it."""
        return self.bad_s > stage.exceed * max(stage.sum_s, self.total_s) + _TINY

    def is_void(self, stage: _Stage) -> bool:
        """We were the limit as often as it takes to believe it."""
        return self.voids >= stage.voids_max and not self.is_lower(stage) and not self.is_upper(stage)


_Loads = dict[float, _Load]


@dataclass(frozen=True, slots=True)
class _Bounds:
    """`floor` is a lower bound below both others; `upper` gave way; at `void` we did."""

    floor: float | None
    upper: float | None
    void: float | None

    @property
    def ceiling(self) -> float | None:
        return min((edge for edge in (self.upper, self.void) if edge is not None), default=None)


def _stages(goal: Goal) -> tuple[_Stage, ...]:
    """From trials of `trial_s` to bounds of `confirm_s`, evenly in the logarithm."""
    growth = max(1.0, goal.confirm_s / goal.trial_s)
    return tuple(
        _Stage(
            sum_s=goal.trial_s * growth ** (index / (STAGES - 1)),
            ratio=(1 + goal.width) ** 2 ** (STAGES - 1 - index),
            exceed=goal.exceed_ratio,
            voids_max=goal.voids_max,
        )
        for index in range(STAGES)
    )


def _loads(history: History) -> _Loads:
    loads: _Loads = {}
    for made in history:
        if isinstance(made, Tried):
            loads[made.rate_per_s] = loads.get(made.rate_per_s, _Load(made.rate_per_s)).add(made)
    return loads


def _bounds(stage: _Stage, loads: _Loads) -> _Bounds:
    upper = min((rate for rate, load in loads.items() if load.is_upper(stage)), default=None)
    void = min((rate for rate, load in loads.items() if load.is_void(stage)), default=None)
    edge = min((one for one in (upper, void) if one is not None), default=math.inf)
    floor = max((rate for rate, load in loads.items() if load.is_lower(stage) and rate < edge), default=None)
    return _Bounds(floor, upper if upper == edge else None, void if void == edge else None)


# ---------------------------------------------------------------- which rate next


def _wanted(goal: Goal, stage: _Stage, loads: _Loads) -> float | None:
    """The rate that this stage wants tried next; None when it has what it wants."""
    bounds = _bounds(stage, loads)
    floor, ceiling = bounds.floor, bounds.ceiling
    if floor is None:
        return _first_floor(goal, stage, loads, ceiling)
    if ceiling is not None and ceiling <= floor * stage.ratio * (1 + _TINY):
        return None
    doubted = _doubted(stage, loads, floor, ceiling)
    if doubted is not None:
        return doubted
    if ceiling is None:
        return None if floor >= goal.to_per_s else min(goal.to_per_s, _rounded(floor * goal.growth))
    return _between(floor, ceiling)


def _first_floor(goal: Goal, stage: _Stage, loads: _Loads, ceiling: float | None) -> float | None:
    """Nothing is a lower bound yet: the best of what shorter trials said, else the lowest rate of all."""
    if ceiling is not None and ceiling <= goal.from_per_s:
        return None
    edge = min([math.inf if ceiling is None else ceiling, *_open(stage, loads, lambda load: load.bad_s > load.good_s)])
    promising = [rate for rate in _open(stage, loads, lambda load: load.good_s > load.bad_s) if rate < edge]
    return max(promising, default=goal.from_per_s)


def _doubted(stage: _Stage, loads: _Loads, floor: float, ceiling: float | None) -> float | None:
    """A rate between the bounds that was tried, but not long enough: first the lowest that seemed bad."""
    top = math.inf if ceiling is None else ceiling
    bad = _open(stage, loads, lambda load: load.bad_s > 0 or load.voids > 0)
    good = _open(stage, loads, lambda load: load.bad_s == 0 and load.voids == 0)
    inside = [rate for rate in bad if floor < rate < top]
    return min(inside) if inside else max((rate for rate in good if floor < rate < top), default=None)


def _open(stage: _Stage, loads: _Loads, wanted: Callable[[_Load], bool]) -> Iterable[float]:
    """The rates of such loads that this stage has not decided."""
    return [
        rate
        for rate, load in loads.items()
        if wanted(load) and not (load.is_lower(stage) or load.is_upper(stage) or load.is_void(stage))
    ]


def _between(floor: float, ceiling: float) -> float | None:
    """The geometric middle; None when two roundings leave no room."""
    middle = math.sqrt(floor * ceiling)
    rounded = _rounded(middle)
    return rounded if floor < rounded < ceiling else middle


def _rounded(rate: float) -> float:
    return float(f"{rate:.{_DIGITS}g}")


def _seconds(goal: Goal, stage: _Stage, load: _Load) -> float:
    """What the stage still lacks at this rate, and no less than a trial."""
    missing = max(goal.trial_s, stage.sum_s - load.total_s)
    return round(max(missing, goal.operations_min / load.rate_per_s), 3)


def _soak_or_done(goal: Goal, history: History, loads: _Loads) -> Move:
    bounds = _bounds(_stages(goal)[-1], loads)
    if bounds.floor is None:
        return Done(Why.GENERATOR if bounds.void is not None else Why.FLOOR)
    soaks: Sequence[Soaked] = [one for one in history if isinstance(one, Soaked)]
    if goal.soak_s > 0 and (not soaks or (soaks[-1].judged is Judged.VOID and len(soaks) < goal.voids_max)):
        rate = _rounded(bounds.floor * goal.soak_share)
        return Soak(rate, max(goal.soak_s, goal.operations_min / rate))
    if bounds.void is not None:
        return Done(Why.GENERATOR)
    return Done(Why.FOUND if bounds.upper is not None else Why.CEILING)


def _spent_s(history: History) -> float:
    return math.fsum(one.seconds for one in history)
