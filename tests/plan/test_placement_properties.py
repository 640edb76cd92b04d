"""Never a plan that breaks a cap, in any state: checked by a simulator that shares no code with the planner."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from slow_network import NOTHING, SlowNetwork, overfull, states
from small_networks import EVEN, GBIT, asks, host, place_of, wire

from maul.campaign.model_fleet import Fleet
from maul.campaign.problems import CampaignProblemsError
from maul.plan.fleet_model import FleetPlan
from maul.plan.placement import Demand, place
from maul.site import Site

SLOW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """Racks of servers and of the target under one or two tiers, with all that makes routing uneven."""
    spines = [f"spine-{n}" for n in range(draw(st.integers(1, 3)))]
    racks = [f"r{n}" for n in range(draw(st.integers(1, 3)))]
    homes = [f"t{n}" for n in range(draw(st.integers(1, 2)))]
    gbit = st.sampled_from([5, 10, 10, 20])
    others = st.sampled_from([0, 0, 0, 1, 2])
    links = []
    for leaf in (*racks, *homes):
        ways = draw(st.lists(st.sampled_from(spines), min_size=1, max_size=4))  # parallel links and missing ones
        for place_, spine in enumerate(ways):
            links.append(
                wire(
                    f"tor-{leaf}:u{place_}", f"{spine}:{leaf}-{place_}", draw(gbit),
                    out=draw(others), back=draw(others),
                    members=draw(st.sampled_from([1, 1, 1, 2])), shared=draw(st.booleans()),
                )
            )  # fmt: skip
    links += [wire(f"{spine}:c", f"core:{spine}", 20, back=draw(others)) for spine in spines]
    servers = []
    for rack in racks:
        for number in range(draw(st.integers(1, 3))):
            name = f"{rack}-{number}"
            servers.append(host(name, rack, **draw(st.sampled_from([{}, {}, {"requests": 400}]))))
            leaves = [rack, draw(st.sampled_from(racks))] if draw(st.booleans()) else [rack]
            links += [wire(f"{name}:e{n}", f"tor-{leaf}:{name}-{n}", 10, shared=False) for n, leaf in enumerate(leaves)]
    targets = {}
    for number, home in enumerate(homes):
        targets["lb" if number == 0 else f"lb{number}"] = home
        links.append(wire(f"{list(targets)[-1]}:e", f"tor-{home}:lb", 40, shared=False))
    group = {"name": "pair", "switches": draw(st.lists(st.sampled_from(spines), max_size=2, unique=True)),
             "links": [draw(st.permutations(draw(st.sampled_from(links))["between"]))]}  # fmt: skip
    return place_of(servers, links, targets=targets, groups=draw(st.sampled_from([[], [group]])))


demands = st.builds(
    asks,
    down=st.floats(0.1, 12),
    up=st.one_of(st.just(0.0), st.floats(0.01, 6)),
    connections=st.sampled_from([100, 1000, EVEN]),
)
fleets = st.builds(
    Fleet,
    rack_share=st.sampled_from([1.0, 1.0, 0.5, 0.4]),
    racks_at_least=st.sampled_from([1, 1, 2]),
    survive_one_failure=st.booleans(),
)


def parts_of(plan: FleetPlan) -> dict[str, float]:
    return {one.name: one.width / plan.wheel for one in plan.generators}


@SLOW
@given(sites(), fleets, demands)
def test_no_plan_breaks_a_cap_in_any_state(site: Site, fleet: Fleet, demand: Demand):
    try:
        plan = place(site, fleet, demand)
    except CampaignProblemsError as error:
        assert str(error)
        return
    parts = parts_of(plan)
    assert overfull(site, fleet.caps, demand, parts, failures=fleet.survive_one_failure) == []
    # shares go round the wheel without a gap, and nobody is above what is lent
    at = 0
    for one in plan.generators:
        assert one.first == at
        assert one.width >= 1
        at += one.width
        assert one.load.requests_per_s <= (one.requests_ceiling_per_s or np.inf) * (1 + 1e-5)
        assert one.load.requests_per_s <= (site.host(one.name).borrow.requests_per_s or np.inf) * (1 + 1e-5)
    assert at == plan.wheel <= 65_536
    racks = {one.rack: 0.0 for one in plan.generators}
    for one in plan.generators:
        racks[one.rack] += one.width / plan.wheel
    assert len(racks) >= fleet.racks_at_least
    assert max(racks.values()) <= fleet.rack_share + len(parts) / 50_000
    assert plan.most is None or plan.most.requests_per_s >= demand.load.requests_per_s * (1 - 1e-5)


@SLOW
@given(sites(), demands)
def test_links_carry_what_is_told(site: Site, demand: Demand):
    try:
        plan = place(site, Fleet(), demand)
    except CampaignProblemsError:
        return
    here, told = SlowNetwork(site, NOTHING), {link.name: link for link in plan.links}
    expected: dict[str, float] = {}
    for name, share in parts_of(plan).items():
        up, down = here.crossing(name)
        for found, bits, tell in ((up, demand.load.sent_bps, "up"), (down, demand.load.received_bps, "down")):
            for direction, part in found.items():
                if bits:
                    expected[direction] = expected.get(direction, 0.0) + part * bits * share
                    assert getattr(told[direction], tell)[name] == pytest.approx(part)
    ours = {name: link.ours_bps for name, link in told.items() if link.ours_bps > 0}
    assert ours == pytest.approx({name: bits for name, bits in expected.items() if bits > 0})
    for link in plan.links:
        assert sum(link.bps_of(one) for one in plan.generators) == pytest.approx(link.ours_bps, rel=1e-6, abs=1)
        assert link.worst_bps >= link.ours_bps + link.background_bps - 1e-3 * link.worst_bps - 1


@SLOW
@given(sites(), st.floats(1, 12), st.one_of(st.just(0.0), st.floats(0.01, 4)))
def test_no_fewer_servers_would_do(site: Site, down: float, up: float):
    """Against brute force: every smaller set is tried with a linear program over the simulator's rows."""
    demand = asks(down=down, up=up)
    names = [one.name for one in site.hosts if one.borrow]
    rows, bounds = _rows(site, demand, names)
    tops = [min(1.0, (site.host(name).borrow.requests_per_s or 1e9) / 1000) for name in names]

    def fits(chosen: tuple[int, ...]) -> bool:
        upper = [(0.0, tops[n] if n in chosen else 0.0) for n in range(len(names))]
        found = linprog(np.zeros(len(names)), rows, bounds, np.ones((1, len(names))), [1.0], upper)
        return found.status == 0

    everyone = tuple(range(len(names)))
    try:
        plan = place(site, Fleet(), demand)
    except CampaignProblemsError:
        bounds = bounds * (1 - 3e-3)
        assert not fits(everyone)
        return
    assert fits(tuple(names.index(one.name) for one in plan.generators))
    bounds = bounds * (1 - 3e-3)  # the plan leaves as much free for rounding
    for fewer in itertools.combinations(everyone, len(plan.generators) - 1):
        assert not fewer or not fits(fewer)


def _rows(site: Site, demand: Demand, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Our load per part of each server, and the room: a row for each direction in each state."""
    links = {name: (number, link) for number, link in enumerate(site.network.links) for name in link.directions}
    rows, bounds = [np.zeros(len(names))], [1.0]
    caps = Fleet().caps
    for state in states(site):
        here = SlowNetwork(site, state)
        others = here.background()
        table: dict[str, np.ndarray] = {}
        for place_, name in enumerate(names):
            up, down = here.crossing(name)
            for found, bits in ((up, demand.load.sent_bps), (down, demand.load.received_bps)):
                for direction, part in found.items():
                    table.setdefault(direction, np.zeros(len(names)))[place_] += part * bits
        for direction, row in table.items():
            number, link = links[direction]
            size = link.capacity * ((link.members - 1) / link.members if number in state[2] else 1)
            cap = (caps.shared if link.shared_by else caps.dedicated) if state == NOTHING else caps.failure
            rows.append(row / GBIT)
            bounds.append(max(cap * size - others[direction], 0.0) / GBIT)
    return np.array(rows), np.array(bounds)


@pytest.mark.parametrize("state", [{}, {"survive_one_failure": False}])
@SLOW
@given(site=sites(), demand=demands, number=st.integers(0, 5))
def test_a_shadow_price_bounds_what_a_moved_bound_brings(site: Site, demand: Demand, number: int, state):
    """The most is concave in every bound: less room costs at least its price, more room brings at most its price."""
    fleet = Fleet(**state, agents="auto")
    load = demand.load
    little = load.model_copy(update={"sent_bps": load.sent_bps / 100, "received_bps": load.received_bps / 100})
    small = replace(demand, load=little)
    try:
        plan = place(site, fleet, small)
    except CampaignProblemsError:
        return
    told = [one for one in plan.blockers if one.unit == "Mbit/s" and " while " not in one.what and ":" in one.what]
    if plan.most is None or not told:
        return
    blocker = told[number % len(told)]
    name = blocker.what.split(": ")[-1]
    link = next((one for one in site.network.links if name in one.directions), None)
    if link is None:
        return
    for mbit in (-20.0, 20.0):
        moved = most_with(site, fleet, small, name, mbit * 1e6)
        change = moved - plan.most.requests_per_s
        assert change <= blocker.price * mbit + 1e-4 * plan.most.requests_per_s


def most_with(site: Site, fleet: Fleet, demand: Demand, direction: str, more_bps: float) -> float:
    """The most with more room in one direction: less of the others' load there."""
    links = []
    for link in site.network.links:
        if direction not in link.directions:
            links.append(link)
            continue
        key = ("out_bps", "back_bps")[link.directions.index(direction)]
        flow = link.background.model_copy(update={key: getattr(link.background, key) - more_bps})
        links.append(link.model_copy(update={"background": flow}))
    network = site.network.model_copy(update={"links": tuple(links)})
    try:
        return place(site.model_copy(update={"network": network}), fleet, demand).most.requests_per_s
    except CampaignProblemsError:
        return 0.0
