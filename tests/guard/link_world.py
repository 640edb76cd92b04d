"""A small network that generators, customers and a guard share: fluid traffic, one step per second, nothing real.

Generators g1 and g2 stand in rack r1, g3 and g4 in r2; the target is behind the spine. A customer of r1 talks to one
of r2, so it shares the uplinks. The world is what it is; the plan is what the guard was told.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from maul.guard.canary import CanaryBaseline
from maul.guard.link_trouble import Background
from maul.guard.links import CanaryTerms, LinkAction, LinkGuardState, LinkTerms, NetworkLook, begin, decide_links
from maul.guard.network_words import CanaryReading, Direction, LinkReading, SetParts
from maul.guard.watch import StopRun

S = 1_000_000_000
T0 = 1_700_000_000 * S
GBIT = 1e9
FRAME_BITS = 12_000

UP1, UP2, CORE = "tor-r1:up0>spine:dn-r1", "tor-r2:up0>spine:dn-r2", "spine:dn-r3>tor-r3:up0"
GENERATORS = ("g1", "g2", "g3", "g4")
CROSSES = {UP1: ("g1", "g2"), UP2: ("g3", "g4"), CORE: GENERATORS}


def direction(name: str, each_bps: float, capacity_bps: float = 10 * GBIT, **more: float) -> Direction:
    crossing = frozenset(CROSSES[name])
    return Direction(
        name=name,
        capacity_bps=capacity_bps,
        cap=more.get("cap", 0.6),
        background_bps=more.get("background", 0.0),
        shared=True,
        worst_bps=more.get("worst", 0.0),
        by_generator=dict.fromkeys(crossing, each_bps),
        crossing=crossing,
        through=crossing,
    )


Knob = Callable[[int], float]


def steady(value: float) -> Knob:
    return lambda second: value


@dataclass
class World:
    """`capacity`, `background` (by link) and `profile` are functions of the second; so is what is stale or down."""

    each_bps: float = 1.0 * GBIT
    every: int = 1
    capacity: Mapping[str, Knob] = field(default_factory=dict)
    background: Mapping[str, Knob] = field(default_factory=dict)
    profile: Knob = lambda second: 1.0
    stale: Callable[[int], bool] = lambda second: False
    down: Callable[[int], frozenset[str]] = lambda second: frozenset()
    plan_background: float = 1.0 * GBIT
    noise: float = 0.0
    seed: int = 1
    reaction: int = 1

    def __post_init__(self) -> None:
        self.directions = {
            name: direction(
                name,
                self.each_bps,
                10 * GBIT if name != CORE else 20 * GBIT,
                background=self.plan_background,
                worst=self.each_bps * len(CROSSES[name]) + self.plan_background,
            )
            for name in CROSSES
        }
        high = self.plan_background
        self.terms = LinkTerms(
            self.directions,
            GENERATORS,
            dict.fromkeys(CROSSES, Background(high, high)),
            {"shop": CanaryTerms(frozenset({UP1, UP2}), CanaryBaseline(0.3, 0.0, 1000))},
            self.every * S,
        )
        self.state: LinkGuardState = begin(self.terms, T0)
        self.actions: list[tuple[int, LinkAction]] = []
        self.parts: list[dict[str, float]] = []
        self.seen: list[dict[str, float]] = []
        self.lost: list[dict[str, float]] = []
        self.customers_hurt: list[int] = []
        self._random = random.Random(self.seed)
        self._orders: list[tuple[int, Mapping[str, float]]] = []

    def run(self, seconds: int) -> "World":
        obeyed = dict.fromkeys(GENERATORS, 1.0)
        window: dict[str, list[tuple[float, float]]] = {name: [] for name in CROSSES}
        for second in range(seconds):
            for at, parts in self._orders:
                if at == second - self.reaction:
                    obeyed |= parts
            self.parts.append(dict(obeyed))
            carried, lost = self._traffic(second, obeyed)
            self.seen.append(carried)
            self.lost.append(lost)
            for name in CROSSES:
                window[name].append((carried[name], lost[name]))
            canary = self._canary(second, lost)
            look = NetworkLook(
                T0 + (second + 1) * S,
                self._readings(second, window) if not self.stale(second) else {},
                {"shop": [canary]} if not self.stale(second) else {},
                {name: self.profile(second) * part for name, part in obeyed.items()},
                dict.fromkeys(GENERATORS, 1000 * self.profile(second)),
            )
            self.state, actions = decide_links(self.state, look, self.terms)
            for action in actions:
                self.actions.append((second, action))
                if isinstance(action, SetParts):
                    self._orders.append((second, action.parts))
                if isinstance(action, StopRun):
                    self._orders.append((second, dict.fromkeys(GENERATORS, 0.0)))
        return self

    def _traffic(self, second: int, obeyed: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
        carried: dict[str, float] = {}
        lost: dict[str, float] = {}
        for name, who in CROSSES.items():
            ours = sum(self.each_bps * obeyed[one] * self.profile(second) for one in who)
            others = self.background.get(name, steady(self.plan_background))(second)
            offered = (ours + others) * (1 + self._random.uniform(-self.noise, self.noise))
            capacity = self.capacity.get(name, steady(self.directions[name].capacity_bps))(second)
            if name in self.down(second):
                capacity = 0.0
            carried[name] = min(offered, capacity)
            lost[name] = max(0.0, offered - capacity)
        return carried, lost

    def _readings(self, second: int, window: dict[str, list[tuple[float, float]]]) -> dict[str, LinkReading]:
        if (second + 1) % self.every:
            return {}
        found = {}
        for name, rows in window.items():
            bits = sum(row[0] for row in rows) / len(rows)
            frames = sum(row[1] for row in rows) / len(rows) / FRAME_BITS
            found[name] = LinkReading(T0 + (second + 1) * S, bits, frames, name not in self.down(second))
            rows.clear()
        return found

    def _canary(self, second: int, lost: Mapping[str, float]) -> CanaryReading:
        hurt = any(lost[name] > 0 for name in (UP1, UP2))
        if hurt:
            self.customers_hurt.append(second)
        noise = self._random.uniform(0.9, 1.3)
        return CanaryReading(T0 + (second + 1) * S, 50, 0.1 if hurt else 0.0, 3.0 if hurt else 0.3 * noise)

    # what happened

    def cuts(self) -> list[tuple[int, SetParts]]:
        return [(at, one) for at, one in self.actions if isinstance(one, SetParts) and one.says]

    def ever_cut(self) -> set[str]:
        return {name for parts in self.parts for name, part in parts.items() if part < 1.0}

    def relieved_after(self, link: str, since: int, limit_bps: float) -> int:
        """Seconds from `since` until the link is, and for five seconds stays, below the limit."""
        for second in range(since, len(self.seen) - 5):
            if all(self.seen[later][link] + self.lost[later][link] <= limit_bps for later in range(second, second + 5)):
                return second - since
        return 10**6
