"""The link guard and the trickle at work: a fleet and a network that are fakes of one small world, a real record."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conduct_stage import T0_NS, events_of, make_plan, make_stage

from maul.conduct import trickle as trickles
from maul.conduct.drive import Driven, as_mapping
from maul.conduct.link_guard import LinkGuard, baseline_s, guarding
from maul.conduct.link_meter import LinkMeter
from maul.conduct.network_story import network_summary
from maul.conduct.stage import Stage
from maul.core.clock import FakeClock
from maul.core.event import Edge, Event, EventKind
from maul.core.generator import GeneratorState, GeneratorStatus
from maul.core.sample import Sample
from maul.core.verdict import Verdict
from maul.plan import Plan
from maul.plan.fleet_model import FleetPlan, GeneratorPlan, LinkLoad, Load
from maul.plan.trickling import with_trickle
from maul.probes.sampler import Reading
from maul.record import RunReader
from maul.site.loading import parse as parse_site

S = 1_000_000_000
MBIT = 1e6
UP1, UP2, IN3 = "tor-r1:up>spine:p1", "tor-r2:up>spine:p2", "spine:p3>tor-r3:up"
BACK = {UP1: "spine:p1>tor-r1:up", UP2: "spine:p2>tor-r2:up", IN3: "tor-r3:up>spine:p3"}
SITE = parse_site("""
version: 1
name: three
kind: lab
racks: [r1, r2, r3]
hosts:
  - {name: g1, address: 10.0.1.1, rack: r1, nics: [{name: eth0, speed: 1Gbit/s}], borrow: {}}
  - {name: g2, address: 10.0.2.1, rack: r2, nics: [{name: eth0, speed: 1Gbit/s}], borrow: {}}
  - {name: c1, address: 10.0.1.9, rack: r1, nics: [{name: eth0, speed: 1Gbit/s}]}
  - {name: c2, address: 10.0.2.9, rack: r2, nics: [{name: eth0, speed: 1Gbit/s}]}
  - {name: lb, address: 10.0.3.1, rack: r3, nics: [{name: eth0, speed: 1Gbit/s}]}
  - {name: st, address: 10.0.2.5, rack: r2, nics: [{name: eth0, speed: 1Gbit/s}]}
services: [{name: gw, role: gateway, host: st}, {name: ha, role: balancer, host: lb}]
endpoints: [{name: vip, kind: balancer, url: "http://10.0.3.1:80", serves: [gw]}]
network:
  switches: [{name: tor-r1}, {name: tor-r2}, {name: tor-r3}, {name: spine}]
  links:
    - {between: ["tor-r1:up", "spine:p1"], capacity: 100Mbit/s, shared_by: [customers]}
    - {between: ["tor-r2:up", "spine:p2"], capacity: 100Mbit/s, shared_by: [customers]}
    - {between: ["tor-r3:up", "spine:p3"], capacity: 400Mbit/s}
    - {between: ["g1:eth0", "tor-r1:a"], capacity: 1Gbit/s}
    - {between: ["c1:eth0", "tor-r1:b"], capacity: 1Gbit/s}
    - {between: ["g2:eth0", "tor-r2:a"], capacity: 1Gbit/s}
    - {between: ["c2:eth0", "tor-r2:b"], capacity: 1Gbit/s}
    - {between: ["st:eth0", "tor-r2:c"], capacity: 1Gbit/s}
    - {between: ["lb:eth0", "tor-r3:a"], capacity: 1Gbit/s}
  canaries: [{name: shop, from: c1, to: c2}]
  counters: {kind: lab}
""")


def fleet_plan(sent_bps: float = 20 * MBIT) -> FleetPlan:
    load = Load(requests_per_s=100, sent_bps=sent_bps, received_bps=sent_bps / 50)
    generators = tuple(
        GeneratorPlan(
            name=f"g{i}", host=f"g{i}", rack=f"r{i}", first=i - 1, width=1, load=load, requests_ceiling_per_s=None
        )
        for i in (1, 2)
    )

    def link(name: str, capacity: float, up: dict[str, float], down: dict[str, float], shared: bool) -> LinkLoad:
        return LinkLoad(
            name=name, capacity_bps=capacity, background_bps=10 * MBIT, shared=shared, cap=0.6,
            ours_bps=sent_bps * len(up), worst_bps=0, worst_when=None, up=up, down=down,
        )  # fmt: skip

    links = []
    for name, who in ((UP1, ("g1",)), (UP2, ("g2",)), (IN3, ("g1", "g2"))):
        shared, capacity = name != IN3, 400 * MBIT if name == IN3 else 100 * MBIT
        links.append(link(name, capacity, dict.fromkeys(who, 1.0), {}, shared))
        links.append(link(BACK[name], capacity, {}, dict.fromkeys(who, 1.0), shared))
    whole = Load(requests_per_s=200, sent_bps=2 * sent_bps, received_bps=sent_bps / 25)
    return FleetPlan(wheel=2, generators=generators, links=tuple(links), load=whole)


@dataclass
class Fleet:
    """Two agents that send evenly what they may; `by_agent` tells what was sent up to now."""

    clock: FakeClock
    level: float = 1.0
    each_bps: float = 20 * MBIT
    parts: dict[str, float] = field(default_factory=lambda: {"g1": 1.0, "g2": 1.0})
    sent: dict[str, float] = field(default_factory=lambda: {"g1": 0.0, "g2": 0.0})
    orders: list[dict[str, float]] = field(default_factory=list)
    running: bool = True

    def advance(self, seconds: float) -> None:
        for name, part in self.parts.items():
            self.sent[name] += self.now_bps(name, part) * seconds
        self.clock.wait(seconds)

    def now_bps(self, name: str, part: float | None = None) -> float:
        return self.each_bps * self.level * (self.parts[name] if part is None else part) * self.running

    def by_agent(self) -> Mapping[str, GeneratorStatus]:
        elapsed_s = (self.clock.now_ns() - T0_NS) / 1e9
        return {
            name: GeneratorStatus(
                GeneratorState.RUNNING,
                elapsed_s=elapsed_s,
                offered=round(100 * elapsed_s),
                bytes_sent=round(bits / 8 / 1.04),
                bytes_received=round(bits / 50 / 8 / 1.04),
                connections=50,
            )
            for name, bits in self.sent.items()
        }

    def throttle_agents(self, parts: Mapping[str, float]) -> tuple[str, ...]:
        self.orders.append(dict(parts))
        self.parts |= parts
        return ()


@dataclass
class World:
    """What the wires really do. `ways`: by agent, the directions that its requests take."""

    stage: Stage
    guard: LinkGuard
    fleet: Fleet
    ways: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"g1": (UP1, IN3), "g2": (UP2, IN3)})
    others_bps: dict[str, float] = field(default_factory=lambda: dict.fromkeys((*BACK, *BACK.values()), 10 * MBIT))
    discards: dict[str, float] = field(default_factory=dict)
    inner: dict[str, float] = field(default_factory=dict)
    blind: bool = False
    rtt_ms: float = 0.4

    def second(self) -> None:
        carried = dict(self.others_bps)
        for name, way in self.ways.items():
            for link in way:
                carried[link] += self.fleet.now_bps(name)
                carried[BACK[link]] += self.fleet.now_bps(name) / 50
            for link, part in self.inner.items():
                carried[link] += part * self.fleet.now_bps(name)
        self.fleet.advance(1.0)
        now_ns = self.stage.clock.now_ns()
        samples = [
            Sample(now_ns, "link", "bits_per_s", link, bps + (now_ns // S % 3) * 1e4) for link, bps in carried.items()
        ]
        samples += [Sample(now_ns, "link", "discards_per_s", link, self.discards.get(link, 0.0)) for link in carried]
        samples += [Sample(now_ns, "link", "up", link, 1.0) for link in carried]
        felt = {"sent": 50.0, "loss_ratio": 0.0, "rtt_p99_ms": self.rtt_ms}
        samples += [Sample(now_ns, "canary", metric, "shop", value) for metric, value in felt.items()]
        if not self.blind:
            self.guard.heard(Reading(samples, []))
            self.stage.writer.samples(samples)

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.second()
            self.guard.tick([self.fleet])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    plan = make_plan(fleet=fleet_plan())
    stage = make_stage(tmp_path, plan)
    stage.site = SITE
    assert SITE.network is not None and plan.fleet is not None
    clock = stage.clock
    assert isinstance(clock, FakeClock)
    guard = LinkGuard(stage, plan.fleet, SITE.network)
    made = World(stage, guard, Fleet(clock))
    made.fleet.running = False
    stage.link_guard = guard
    for _ in range(8):
        made.second()
    guard.begin()
    made.fleet.running = True
    with stage.writer:
        yield made


def noted(world: World, kind: EventKind) -> list[dict[str, Any]]:
    world.stage.writer.flush()
    return events_of(world.stage.writer.path, kind)


def test_a_calm_run_is_left_alone(world: World) -> None:
    world.run(40)
    assert world.fleet.orders == []
    (event,) = noted(world, EventKind.LINK)
    words = json.loads(event["details"])
    assert (len(words["watched"]), words["unwatched"], words["canaries"]) == (6, {}, {"shop": [0.4, 0.0]})
    assert "6 directions of links and 1 canaries are watched" in event["says"]


def test_a_hot_uplink_is_cut_where_it_crosses_and_written_down(world: World) -> None:
    world.run(10)
    world.discards[UP1] = 500.0
    world.run(1)
    assert world.fleet.orders == [{"g1": 0.5}]
    world.discards.clear()
    world.run(60)
    # it carried 30 Mbit/s then: never again more than four fifths of that, of which customers have 10
    assert world.fleet.parts == {"g1": pytest.approx(0.68), "g2": 1.0}
    (event,) = noted(world, EventKind.GUARD)
    details = json.loads(event["details"])
    assert (event["name"], details["link"], details["parts"]) == ("links: discards", UP1, {"g1": 0.5})
    assert "throws away 500 frames" in event["says"]
    found = summary_of(world)
    assert [(span.agent, span.least) for span in found.cut] == [("g1", 0.5)]
    parts = samples_of(world, "guard", "g1")
    assert parts[:2] == [1.0, 0.5], "a chart falls from the whole"
    assert found.cut[0].seconds > 50
    by_name = {link.name: link for link in found.links}
    assert by_name[UP1].cuts == 1
    assert by_name[UP1].discards == pytest.approx(500)
    assert by_name[UP1].seen_max_bps == pytest.approx(30 * MBIT, rel=0.01)
    assert by_name[UP1].predicted_max_bps == pytest.approx(20 * MBIT, rel=0.02)
    assert by_name[UP1].before_bps == pytest.approx(10 * MBIT, rel=0.01)


def samples_of(world: World, probe: str, subject: str) -> list[float]:
    world.stage.writer.flush()
    rows = RunReader.open(world.stage.writer.path).samples().to_pylist()
    return [row["value"] for row in rows if (row["probe"], row["subject"]) == (probe, subject)]


def summary_of(world: World) -> Any:
    world.stage.writer.flush()
    reader = RunReader.open(world.stage.writer.path)
    found = network_summary(world.stage.plan, reader.events(), reader.samples())
    assert found is not None
    return found


def test_a_new_load_is_told_at_once_what_was_cut_before(world: World) -> None:
    world.run(5)
    world.discards[UP1] = 500.0
    world.run(1)
    clock = world.stage.clock
    assert isinstance(clock, FakeClock)
    world.fleet = Fleet(clock)
    world.guard.tick([world.fleet])
    assert world.fleet.orders == [{"g1": 0.5}]


def test_customers_that_feel_it(world: World) -> None:
    world.run(5)
    world.rtt_ms = 3.0
    world.run(2)
    assert world.fleet.parts == {"g1": 0.5, "g2": 0.5}
    world.rtt_ms = 0.4
    world.run(5)
    (canary,) = summary_of(world).canaries
    assert (canary.before_p99_ms, canary.worst_p99_ms, len(canary.harmed)) == (0.4, 3.0, 1)


def test_a_second_canary_is_harmed_too_though_all_beside_it_were_just_cut(world: World) -> None:
    world.run(5)
    world.discards[UP1] = world.discards[UP2] = 500.0
    world.run(1)
    world.discards.clear()
    assert world.fleet.parts == {"g1": 0.5, "g2": 0.5}
    world.rtt_ms = 3.0
    world.run(2)  # slow twice: but the cut cannot have shown yet
    assert world.fleet.parts == {"g1": 0.5, "g2": 0.5}
    world.rtt_ms = 0.4
    world.run(5)
    (canary,) = summary_of(world).canaries
    assert len(canary.harmed) == 1
    assert canary.harmed[0].endswith("before we began it was 0.4 ms"), "nobody was cut for it"


def test_a_guard_that_only_watches_cuts_nobody_and_tells_all(world: World) -> None:
    assert world.stage.plan.fleet is not None and SITE.network is not None
    looks_on = world.stage.plan.fleet.model_copy(update={"guard_acts": False})
    world.guard = LinkGuard(world.stage, looks_on, SITE.network)
    world.fleet.running = False
    for _ in range(8):
        world.second()
    world.guard.begin()
    world.fleet.running = True
    world.run(5)
    world.discards[UP1] = 500.0
    world.rtt_ms = 3.0
    world.run(4)
    world.blind = True
    world.run(10)
    assert world.fleet.orders == []
    assert not world.stage.stopped
    found = summary_of(world)
    assert found.cut == []
    assert all(link.cuts == 0 for link in found.links)
    assert "customers feel it: of shop" in found.canaries[0].harmed[0]
    says = [row["says"] for kind in (EventKind.GUARD, EventKind.LINK) for row in noted(world, kind)]
    assert any("only watched" in line and "throws away" in line for line in says)
    assert any("only watched" in line and "nobody watches the links" in line for line in says)


def test_blind_is_silent(world: World) -> None:
    world.run(5)
    world.blind = True
    world.run(10)
    assert world.stage.stopped
    assert world.stage.stop.ending == "guard"
    names = [(row["name"], row["edge"]) for row in noted(world, EventKind.LINK)]
    assert ("telemetry", "began") in names
    assert [row["name"] for row in noted(world, EventKind.GUARD)] == ["telemetry-stale", "telemetry-lost"]
    assert summary_of(world).frozen_s > 0


# the trickle


def trickle(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run it, the drive replaced by this world's seconds."""
    fleet = world.stage.plan.fleet
    assert fleet is not None
    phases = with_trickle(world.stage.plan.phases, fleet, 0.02, 1.0)
    phase = next(phase for phase in phases if phase.kind == "trickle")
    assert phases.index(phase) == 1
    assert phase.passes[0].engine.arrivals.profile[0].rate == pytest.approx(1.0)  # type: ignore[union-attr]
    world.fleet.level = 0.05

    def drive(stage: Stage, phase: Any, passes: Any, *, ear: Any) -> Driven:
        for _ in range(200):
            world.second()
            world.guard.tick([world.fleet])
            if stage.stopped or ear.enough():
                break
        return Driven(as_mapping(GeneratorStatus(GeneratorState.DONE)))

    monkeypatch.setattr(trickles, "run_together", drive)
    before_ns = world.stage.clock.now_ns()
    trickles.run_trickle(world.stage, phase)
    assert (world.stage.clock.now_ns() - before_ns) / 1e9 <= phase.seconds
    world.guard.tick([world.fleet])
    assert world.fleet.parts == {"g1": 1.0, "g2": 1.0}, "let go afterwards"
    return summary_of(world)


def test_a_true_map_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found = trickle(world, monkeypatch)
    assert found.trickle_verdict is Verdict.PASS, found.trickle_says
    assert not world.stage.stopped
    assert {row.rack for row in found.trickle} == {"r1", "r2"}


def test_a_wrong_map_stops_the_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.ways = {"g1": (UP2, IN3), "g2": (UP1, IN3)}
    found = trickle(world, monkeypatch)
    assert found.trickle_verdict is Verdict.FAIL
    assert world.stage.stopped
    assert UP1 in world.stage.stop.reason and "map of the network is wrong" in world.stage.stop.reason
    assert [row["name"] for row in noted(world, EventKind.GUARD)] == ["map-wrong"]


def test_what_the_target_sends_to_itself_is_learnt(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The balancer in r3 hands to the store in r2, down its uplink: nobody's mistake, and not ours to cut for."""
    world.inner = {"tor-r3:up>spine:p3": 1.0, "spine:p2>tor-r2:up": 1.0}
    found = trickle(world, monkeypatch)
    assert found.trickle_verdict is Verdict.PASS, found.trickle_says
    learnt = world.guard.terms.directions["spine:p2>tor-r2:up"]
    assert sum(learnt.by_generator.values()) == pytest.approx(40 * MBIT, rel=0.1)
    world.fleet.level = 1.0
    world.run(20)
    assert noted(world, EventKind.GUARD) == [], "as expected"


def test_what_the_target_sends_to_itself_may_be_too_much(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.inner = {"spine:p2>tor-r2:up": 2.0}  # 80 Mbit/s at full load, and customers' 10, of at most 60
    found = trickle(world, monkeypatch)
    assert found.trickle_verdict is Verdict.FAIL
    assert world.stage.stopped
    assert "the target's own traffic" in world.stage.stop.reason


# the parts


def test_listening_and_nothing_to_listen_to(tmp_path: Path) -> None:
    stage = make_stage(tmp_path, make_plan(fleet=fleet_plan()))
    stage.site = SITE

    class Silent:
        name = "link"
        missing: Mapping[str, str] = {}

        def read(self, now_ns: int) -> list[Sample]:
            return []

    before_ns = stage.clock.now_ns()
    with stage.writer:
        with guarding(stage, []) as none:
            assert none is None
        with guarding(stage, [Silent()]) as guard:
            assert guard is not None
            assert len(guard.terms.background) == 0
        assert (stage.clock.now_ns() - before_ns) / 1e9 >= baseline_s(1.0)
        stage.writer.events([Event(stage.clock.now_ns(), EventKind.NOTE, Edge.INSTANT, "end")])
        stage.writer.flush()
        (event,) = events_of(stage.writer.path, EventKind.LINK)
    assert "of 6 nothing is told" in event["says"]


def test_an_agent_that_is_heard_late_is_no_fast_one() -> None:
    meter = LinkMeter({"g": Load(sent_bps=8e6)})

    def status(elapsed_s: float, sent: int) -> dict[str, GeneratorStatus]:
        return {
            "g": GeneratorStatus(GeneratorState.RUNNING, elapsed_s=elapsed_s, bytes_sent=sent, offered=int(elapsed_s))
        }

    assert meter.read(0, [(1, status(0.0, 0))])["g"].made == 0
    assert meter.read(S, [(1, status(1.0, 10**6))])["g"].made == pytest.approx(1.04)
    assert meter.read(2 * S, [(1, status(1.0, 10**6))])["g"].made == pytest.approx(1.04), "nothing new, nothing else"
    assert meter.read(3 * S, [(1, status(3.0, 3 * 10**6))])["g"].made == pytest.approx(1.04)
    assert meter.read(7 * S, [(1, status(3.0, 3 * 10**6))])["g"].made == 0, "a standstill"
    assert meter.read(8 * S, [])["g"].made == 0


def test_the_trickle_as_a_phase() -> None:
    plan: Plan = make_plan()
    fleet = fleet_plan()
    phases = with_trickle(plan.phases, fleet, 0.02, 1.0)
    assert [phase.name for phase in phases] == ["fill", "trickle", "calm", "rising", "audit", "tidy"]
    assert with_trickle(plan.phases, fleet, 0.0, 1.0) == plan.phases
    assert with_trickle(plan.phases, fleet.model_copy(update={"links": ()}), 0.02, 1.0) == plan.phases
    slow = next(phase for phase in with_trickle(plan.phases, fleet, 0.02, 15.0) if phase.kind == "trickle")
    assert slow.seconds > 5 * 100
    assert slow.passes[0].engine.limits.seconds > slow.seconds
