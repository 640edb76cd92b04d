"""A fleet without machines: each agent plays what its own plan says; one may be lost at a moment of the phase.

What the plans say is taken at its word: arrivals by wheel and stride, sweeps by range. So a plan that is split wrongly
shows in the record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from maul.core.clock import Clock
from maul.core.errors import MachineError
from maul.core.generator import Drained, GeneratorState, GeneratorStatus
from maul.core.operation import OPERATION_DTYPE, REGION_SHIFT, ErrorClass, Op, Outcome, Region
from maul.core.statuses import summed
from maul.fleet.words import LostAgent, StartSkew
from maul.load import FakeGenerator
from maul.plan.sharing import stride

REGIONS = {"base": Region.BASE, "ephemeral": Region.EPHEMERAL, "multipart": Region.MULTIPART, "copy": Region.COPY}
S = 1_000_000_000


def due_of(plan: Mapping[str, Any]) -> list[tuple[int, float]]:
    """(arrival number, seconds) of what is this plan's, of a profile of one constant stretch."""
    (stretch,) = plan["arrivals"]["profile"]
    share = plan["arrivals"]["share"]
    places = range(share["first"], share["first"] + share["width"])
    step = stride(share["wheel"])
    count = round(stretch["rate"] * stretch["seconds"])
    return [(k, k / stretch["rate"]) for k in range(count) if k * step % share["wheel"] in places]


@dataclass
class Store:
    """The latest version of each key, as the fake agents wrote them."""

    versions: dict[int, int] = field(default_factory=dict)


def play(plan: Mapping[str, Any], store: Store) -> np.ndarray:
    """The operations of a plan: PUTs on base keys in turn (a paced load), or its sweep; all of 2 ms."""
    keyspace, op = plan["keyspace"], Op[plan["mix"][0]["op"].upper()]
    if plan["arrivals"]["mode"] == "open":
        rows = [(k, due, (Region.BASE << REGION_SHIFT) + k % keyspace["objects"]) for k, due in due_of(plan)]
        op = Op.PUT
    else:
        base = REGIONS[keyspace["region"]] << REGION_SHIFT
        rows = [(n, n * 0.002, base + keyspace["start"] + n) for n in range(plan["arrivals"]["requests"])]
    made = np.zeros(len(rows), OPERATION_DTYPE)
    for row, (number, due, key) in zip(made, rows, strict=True):
        row["due_ns"] = int(due * 1e9)
        row["start_ns"], row["end_ns"] = row["due_ns"] + 1000, row["due_ns"] + 2_000_000
        row["key"], row["op"], row["status"], row["tenant"] = key, op, 200, plan["tenant"]
        if op is Op.PUT:
            row["version"] = plan["epoch"] << 48 | number + 1
        elif op is Op.GET:
            row["version"] = store.versions.get(key, 0)
            if key not in store.versions:
                row["status"], row["outcome"], row["error_class"] = 404, Outcome.FAIL, ErrorClass.NO_SUCH_KEY
    return made


@dataclass
class _Engine:
    agent: str
    plan: Mapping[str, Any]
    generator: FakeGenerator
    lost: LostAgent | None = None
    last: Drained | None = None


class FakeMany:
    """As `FleetGenerator`. `dies`: agent → seconds after the start at which it is not heard of any more."""

    def __init__(self, line: "FakeLine", plans: Mapping[str, Mapping[str, Any]]) -> None:
        self.line, self.clock = line, line.clock
        self.engines = [self._engine(name, plan) for name, plan in plans.items()]
        self.asked_ns = 0
        self.taken: list[tuple[int, Mapping[str, Mapping[str, Any]]]] = []

    def _engine(self, name: str, plan: Mapping[str, Any]) -> _Engine:
        return _Engine(name, plan, FakeGenerator(play(plan, self.line.store), self.clock))

    def start(self, at_ns: int | None = None) -> None:
        self.asked_ns = at_ns or self.clock.now_ns()
        for engine in self.engines:
            engine.generator.start(self.asked_ns)

    def _look(self) -> None:
        for engine in self.engines:
            after_s = self.line.dies.get(engine.agent)
            if engine.lost is None and after_s is not None and self.clock.now_ns() >= self.asked_ns + after_s * S:
                heard_ns = int(self.asked_ns + after_s * S)
                status = engine.generator.status()
                engine.last = engine.generator.drain()  # its last word: what it counts from here on nobody hears
                engine.lost = LostAgent(engine.agent, heard_ns, "not heard of for 3.0 s", status)

    def _status(self, engine: _Engine) -> GeneratorStatus:
        status = engine.lost.status if engine.lost else engine.generator.status()
        if engine.lost:
            words = {name: getattr(status, name) for name in status.__slots__}
            return GeneratorStatus(
                **{**words, "state": GeneratorState.DONE, "stop_reason": "completed", "in_flight": 0}
            )
        ended = self.line.ends.get(engine.agent)
        if ended and self.asked_ns and self.clock.now_ns() >= self.asked_ns + S:
            engine.generator.stop(ended, now=True)
        return engine.generator.status()

    def status(self) -> GeneratorStatus:
        self._look()
        return summed([self._status(engine) for engine in self.engines])

    def by_agent(self) -> dict[str, GeneratorStatus]:
        names = dict.fromkeys(engine.agent for engine in self.engines)
        return {name: summed([self._status(e) for e in self.engines if e.agent == name]) for name in names}

    def lost(self) -> tuple[LostAgent, ...]:
        return tuple({e.lost.name: e.lost for e in self.engines if e.lost}.values())

    def skew(self) -> StartSkew:
        began = {e.agent: (self.line.late.get(e.agent, 0), 1000) for e in self.engines if not e.lost}
        return StartSkew(self.asked_ns, began if self.asked_ns else {})

    def drain(self) -> Drained:
        self._look()
        parts = [engine.generator.drain() for engine in self.engines if engine.lost is None]
        parts += [engine.last for engine in self.engines if engine.last is not None]
        for engine in self.engines:
            engine.last = None
        for part in parts:
            for row in part.operations[part.operations["op"] == Op.PUT]:
                self.line.store.versions[int(row["key"])] = int(row["version"])
        rows = [part.operations for part in parts]
        return Drained(
            [row for part in parts for row in part.latency],
            np.concatenate(rows) if rows else np.empty(0, OPERATION_DTYPE),
        )

    def renew(self, for_s: float | None = None) -> None:
        for engine in self.engines:
            engine.generator.renew()

    def throttle(self, part: float) -> None:
        raise AssertionError("nobody asked for this")

    def throttle_agents(self, parts: Mapping[str, float]) -> tuple[str, ...]:
        raise AssertionError("nobody asked for this")

    def take_over(self, plans: Mapping[str, Mapping[str, Any]], origin_ns: int, trace: bytes | None = None) -> None:
        if self.line.refuses:
            raise MachineError("no agent could prepare its part of the load")
        self.taken.append((self.clock.now_ns(), plans))
        fresh = [self._engine(name, plan) for name, plan in plans.items()]
        for engine in fresh:
            engine.generator.start(origin_ns)
        self.engines += fresh

    def stop(self, reason: str, *, now: bool = False) -> None:
        for engine in self.engines:
            engine.generator.stop(reason, now=now)

    def join(self, timeout_s: float) -> bool:
        return all(engine.lost or engine.generator.join(timeout_s) for engine in self.engines)


@dataclass
class FakeLine:
    """As `Fleet`. `dies`: see FakeMany; `late`: ns after the start's instant; `ends`: why an engine stops itself."""

    clock: Clock
    dies: dict[str, float] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)
    ends: dict[str, str] = field(default_factory=dict)
    refuses: bool = False
    store: Store = field(default_factory=Store)
    made: list[FakeMany] = field(default_factory=list)

    def generator(
        self,
        plans: Mapping[str, Mapping[str, Any]],
        trace: bytes | None = None,
        *,
        run: str = "run",
        about: Mapping[str, str | int] | None = None,
    ) -> FakeMany:
        many = FakeMany(self, plans)
        self.made.append(many)
        return many


def at_once(act: Callable[[], None]) -> Callable[[float], None]:
    """For `Crew.start_beside`: here nothing takes its time."""
    act()
    return lambda _: None
