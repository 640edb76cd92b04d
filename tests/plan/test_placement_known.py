"""Topologies small enough to solve by hand: the placement must find the same."""

# ruff: noqa: E501 (messages stand here whole, as a person reads them)

import pytest
from small_networks import asks, host, place_of, wire

from maul.campaign.model_fleet import Fleet
from maul.campaign.problems import CampaignProblemsError
from maul.plan.fleet_model import FleetPlan
from maul.plan.placement import place

ALONE = {"survive_one_failure": False}


def fleet(**wishes) -> Fleet:
    return Fleet.model_validate(wishes)


def by_name(plan: FleetPlan) -> dict[str, float]:
    return {one.name: one.width / plan.wheel for one in plan.generators}


def by_rack(plan: FleetPlan) -> dict[str, float]:
    racks: dict[str, float] = {}
    for one in plan.generators:
        racks[one.rack] = racks.get(one.rack, 0.0) + one.width / plan.wheel
    return racks


def most(plan: FleetPlan) -> float:
    return plan.most.requests_per_s / plan.load.requests_per_s


def refused(site, wishes: Fleet, demand) -> str:
    with pytest.raises(CampaignProblemsError) as caught:
        place(site, wishes, demand)
    return str(caught.value)


def rack(name: str, count: int, up: float, spine: str = "spine", **more) -> tuple[list, list]:
    """A rack of `count` servers with 10 Gbit/s each behind one uplink."""
    servers = [host(f"{name}-{number}", name) for number in range(count)]
    links = [wire(f"{name}-{number}:e", f"tor-{name}:{number}", 10, shared=False) for number in range(count)]
    return servers, [*links, wire(f"tor-{name}:up", f"{spine}:{name}", up, **more)]


def star(*racks: tuple[list, list], target: float = 1000.0, **more):
    """Racks around one spine, the target behind a wide link of its own."""
    servers = [one for some, _ in racks for one in some]
    links = [one for _, some in racks for one in some]
    links += [wire("tor-t:up", "spine:t", target), wire("lb:e", "tor-t:0", target, shared=False)]
    return place_of(servers, links, **more)


def test_one_bottleneck_gives_its_cap_and_its_price():
    plan = place(star(rack("a", 4, up=10)), fleet(), asks(down=3))
    # responses come down spine>tor-a: 60 % of 10 Gbit/s for 3 Gbit/s asked
    assert most(plan) == pytest.approx(2.0, rel=1e-6)
    (blocker, *_) = plan.blockers
    assert blocker.what == "spine:a>tor-a:up"
    assert blocker.unit == "Mbit/s"
    assert blocker.price == pytest.approx(1000 / 3000)  # requests/s for one more Mbit/s


def test_as_few_servers_as_their_cables_allow():
    # a cable of one's own carries 80 % of 10 Gbit/s
    plan = place(star(rack("a", 4, up=100)), fleet(), asks(down=15))
    assert by_name(plan) == {"a-0": 0.5, "a-1": 0.5}
    assert len(place(star(rack("a", 4, up=100)), fleet(), asks(down=7.9)).generators) == 1


def test_cheaper_servers_first():
    dear, links = rack("a", 1, up=100)
    dear[0]["borrow"]["cost"] = 5
    plan = place(star((dear, links), rack("b", 3, up=100)), fleet(), asks(down=15))
    assert set(by_name(plan)) <= {"b-0", "b-1", "b-2"}


def test_two_racks_with_unequal_uplinks_are_heated_alike():
    wide, narrow = rack("a", 4, up=40), rack("b", 4, up=10)
    plan = place(star(wide, narrow), fleet(racks_at_least=2), asks(down=12))
    # two servers are enough; as full would be 0.8 on the wide one, but its one server carries at most 8 of 12
    assert len(plan.generators) == 2
    assert by_rack(plan)["a"] == pytest.approx(8 / 12, abs=3e-3)
    four = place(star(wide, narrow), fleet(racks_at_least=2), asks(down=29))
    # four servers; both uplinks as full: 0.8 of the load on the wide one, if its three servers can carry it
    assert by_rack(four)["a"] == pytest.approx(0.8, abs=5e-3)


def test_rack_shares_come_out_flat_where_nothing_else_decides():
    racks = [rack(name, 2, up=1000) for name in "abcd"]
    plan = place(star(*racks, target=1e5), fleet(racks_at_least=4), asks(down=1))
    assert by_rack(plan) == pytest.approx(dict.fromkeys("abcd", 0.25), abs=2e-3)


def spines(count: int = 2, up: float = 10.0):
    """One rack of servers and one of the target, `count` spines between them."""
    servers, links = [host(f"a-{n}", "a") for n in range(8)], []
    links += [wire(f"a-{n}:e", f"tor-a:{n}", 10, shared=False) for n in range(8)]
    for spine in range(count):
        links += [wire(f"tor-a:u{spine}", f"spine-{spine}:a", up), wire(f"tor-t:u{spine}", f"spine-{spine}:t", up)]
    links.append(wire("lb:e", "tor-t:0", 1000, shared=False))
    return place_of(servers, links)


def test_losing_one_of_two_spines_doubles_what_the_other_carries():
    # 60 % of 2 × 10 Gbit/s in normal state = 12; with one spine down 90 % of 10 = 9
    assert most(place(spines(), fleet(**ALONE), asks(down=1))) == pytest.approx(12, rel=1e-6)
    plan = place(spines(), fleet(), asks(down=1))
    assert most(plan) == pytest.approx(9, rel=1e-6)
    assert " while " in plan.blockers[0].what
    assert "spine" in plan.blockers[0].what
    load = {one.name: one for one in plan.links}["spine-0:a>tor-a:u0"]
    assert load.ours_bps == pytest.approx(0.5e9)
    assert load.worst_bps == pytest.approx(1e9)
    assert "spine-1" in load.worst_when


def test_with_four_spines_normal_state_binds_before_a_failure():
    # 60 % of 40 = 24; one down: 90 % of 30 = 27
    assert most(place(spines(4), fleet(), asks(down=1))) == pytest.approx(24, rel=1e-6)


def test_a_failure_group_takes_its_switches_together():
    servers, links = [host("a-0", "a")], [wire("a-0:e", "tor-a:0", 100, shared=False)]
    for spine in range(4):
        links += [wire(f"tor-a:u{spine}", f"spine-{spine}:a", 10), wire(f"tor-t:u{spine}", f"spine-{spine}:t", 10)]
    links.append(wire("lb:e", "tor-t:0", 1000, shared=False))
    feed = {"name": "feed", "switches": ["spine-0", "spine-1", "spine-2"]}
    plan = place(place_of(servers, links, groups=[feed]), fleet(), asks(down=1))
    assert most(plan) == pytest.approx(9, rel=1e-6)  # one spine is left: 90 % of 10
    assert plan.blockers[0].what.endswith("while group feed is down")


def test_background_of_a_link_that_fails_moves_to_the_others():
    servers, links = [host("a-0", "a")], [wire("a-0:e", "tor-a:0", 1000, shared=False)]
    for spine in range(2):
        links += [
            wire(f"tor-a:u{spine}", f"spine-{spine}:a", 10, back=2),
            wire(f"tor-t:u{spine}", f"spine-{spine}:t", 100),
        ]
    links.append(wire("lb:e", "tor-t:0", 1000, shared=False))
    plan = place(place_of(servers, links), fleet(), asks(down=1))
    assert most(plan) == pytest.approx(9 - 4, rel=1e-6)  # 90 % of 10 − 2 − 2 that moved


def test_background_eats_a_cap():
    plan = place(star(rack("a", 4, up=10, back=4)), fleet(), asks(down=1))
    assert most(plan) == pytest.approx(2, rel=1e-6)
    said = refused(star(rack("a", 4, up=10, back=7)), fleet(), asks(down=1))
    assert "spine:a>tor-a:up (60% of 10 Gbit/s − 7 Gbit/s of others = 0 bit/s)" in said


@pytest.mark.parametrize(("up", "down", "binds"), [(2.0, 0.1, "tor-a:up>spine:a"), (0.1, 2.0, "spine:a>tor-a:up")])
def test_uploads_fill_the_other_direction_than_downloads(up, down, binds):
    plan = place(star(rack("a", 4, up=10)), fleet(), asks(down=down, up=up))
    assert most(plan) == pytest.approx(3, rel=1e-6)
    assert plan.blockers[0].what == binds


def test_one_direction_may_be_full_of_others():
    uploads, downloads = rack("a", 1, up=10, out=5), rack("b", 1, up=10, back=5)
    site = star(uploads, downloads)
    assert by_rack(place(site, fleet(), asks(down=3))) == {"a": 1.0}
    assert by_rack(place(site, fleet(), asks(up=3))) == {"b": 1.0}


def test_a_protection_that_counts_sources_wants_more_sources():
    limits = {"vip": {"mitigation_per_source": {"requests": 400}}}
    plan = place(star(rack("a", 6, up=100), **limits), fleet(), asks(down=0.1))
    assert len(plan.generators) == 4  # 70 % of 400 = 280 requests/s each of 1,000
    assert max(one.load.requests_per_s for one in plan.generators) <= 280 * 1.000001
    said = refused(star(rack("a", 3, up=100), **limits), fleet(), asks(down=0.1))
    assert "70% of the requests of one source at which vip's protection may act" in said
    assert "840/s (84%)" in said


@pytest.mark.parametrize(
    ("threshold", "demand"),
    [
        ({"requests": 1000}, asks(down=0.1)),
        ({"new_connections": 500}, asks(down=0.1, new=500.0)),
        ({"bandwidth": 1e8}, asks(up=0.1)),
        ({"packets": 5000}, asks(up=0.1, packets=5000.0)),
    ],
)
def test_a_protection_that_counts_everything_bounds_the_load(threshold, demand):
    said = refused(star(rack("a", 4, up=100), vip={"mitigation": threshold}), fleet(), demand)
    assert "700/s (70%)" in said
    assert "at which vip's protection may act" in said


def test_what_an_owner_lends_is_all_that_is_taken():
    servers, links = rack("a", 3, up=100)
    for one in servers:
        one["borrow"] = {"requests": 450}
    plan = place(star((servers, links)), fleet(), asks(down=0.1))
    assert len(plan.generators) == 3
    assert plan.generators[0].requests_ceiling_per_s == pytest.approx(450)
    assert most(plan) == pytest.approx(1.35, rel=1e-6)
    assert plan.blockers[0].what == "each of 3 servers in a such as a-0: its borrow.requests"
    assert plan.blockers[0].price == pytest.approx(3)


def test_a_card_may_be_slower_than_its_cable():
    servers, links = rack("a", 3, up=100)
    for one in servers:
        one["nics"] = [{"name": "e", "speed": 1e9}]
    assert most(place(star((servers, links)), fleet(), asks(down=1))) == pytest.approx(2.4, rel=1e-6)


def test_no_rack_sends_more_than_its_share():
    racks = [rack(name, 4, up=1000) for name in "abcde"]
    plan = place(star(*racks, target=1e5), fleet(rack_share=0.25), asks(down=1))
    assert len(by_rack(plan)) == 4
    assert max(by_rack(plan).values()) <= 0.25 + 1e-3
    said = refused(star(*racks[:3], target=1e5), fleet(rack_share=0.25), asks(down=1))
    assert "takes 4 racks, and load servers that can send stand in 3 (a, b, c)" in said
    assert "rack_share" in said


def test_as_many_racks_as_asked():
    racks = [rack(name, 1, up=1000) for name in "abc"]
    assert len(by_rack(place(star(*racks, target=1e5), fleet(racks_at_least=3), asks(down=1)))) == 3
    assert "asks for 4 racks" in refused(star(*racks, target=1e5), fleet(racks_at_least=4), asks(down=1))


def test_racks_that_hold_the_target_are_avoided():
    servers, links = rack("a", 1, up=100)
    near = host("near", "t")
    site = star(([near, *servers], [wire("near:e", "tor-t:9", 10, shared=False), *links]))
    plan = place(site, fleet(), asks(down=1))
    assert by_rack(plan) == {"a": 1.0}
    assert any("1 host stand in a rack that holds part of the target" in note for note in plan.notes)
    assert set(by_rack(place(site, fleet(avoid_target_racks=False), asks(down=1)))) == {"t"}  # its links are cooler
    alone = star(([near], [wire("near:e", "tor-t:9", 10, shared=False)]))
    assert "no host can be borrowed" in refused(alone, fleet(), asks(down=1))


def test_a_bundle_that_loses_a_member_is_smaller():
    # 60 % of 10 = 6, with one of two members gone 90 % of 5 = 4.5
    assert most(place(star(rack("a", 4, up=10, members=2)), fleet(), asks(down=1))) == pytest.approx(4.5, rel=1e-6)
    assert most(place(star(rack("a", 4, up=10, members=2)), fleet(**ALONE), asks(down=1))) == pytest.approx(6, rel=1e-6)


def test_few_connections_fall_unevenly_on_equal_ways():
    # two spines: x + √(2 ln 2 · b · x) ≤ 6 Gbit/s on each, b = 1 Gbit/s over 100 connections
    demand = asks(down=1, connections=100)
    b, room = 1e9 / 100, 6e9
    beta = 2 * 0.6931471805599453 * b
    mean = (((beta + 4 * room) ** 0.5 - beta**0.5) / 2) ** 2
    plan = place(spines(), fleet(**ALONE), demand)
    assert most(plan) == pytest.approx(2 * mean / 1e9, rel=1e-6)
    link = {one.name: one for one in plan.links}["spine-0:a>tor-a:u0"]
    n = 50  # connections that cross it: 1 + √(2 m ln m / 100) with m = 2
    assert link.worst_bps == pytest.approx(0.5e9 * (1 + (2 * 0.6931471805599453 / n) ** 0.5))


def test_a_failure_that_cuts_servers_off_is_told_and_is_no_link_problem():
    plan = place(star(rack("a", 4, up=10), rack("b", 4, up=10)), fleet(racks_at_least=2), asks(down=2))
    cut = [note for note in plan.notes if note.endswith("not sent")]
    assert cut == [
        "while link tor-t:up – spine:t is down, no load server can reach the whole target: 100 % of the load is not sent",
        "while link tor-a:up – spine:a is down, 1 load server cannot reach the whole target: 50 % of the load is not sent",
    ]
    assert most(plan) == pytest.approx(6, rel=1e-6)


def test_an_address_whose_host_is_cut_off_moves_to_the_other():
    servers, links = rack("a", 8, up=1000)
    links += [wire(f"tor-{one}:up", f"spine:{one}", 10) for one in "tu"]
    links += [wire("lb:e", "tor-t:0", 1000, shared=False), wire("lb2:e", "tor-u:0", 1000, shared=False)]
    site = place_of(servers, links, targets={"lb": "t", "lb2": "u"})
    assert most(place(site, fleet(**ALONE), asks(down=1))) == pytest.approx(12, rel=1e-6)
    assert most(place(site, fleet(), asks(down=1))) == pytest.approx(9, rel=1e-6)


def test_a_server_with_two_cables_takes_the_other_way_when_one_fails():
    links = [wire("a:e0", "tor-1:a", 10, shared=False), wire("a:e1", "tor-2:a", 10, shared=False)]
    links += [wire(f"tor-{n}:up", f"spine:{n}", 10) for n in (1, 2)]
    links += [wire("tor-t:up", "spine:t", 1000), wire("lb:e", "tor-t:0", 1000, shared=False)]
    site = place_of([host("a", "a")], links)
    assert most(place(site, fleet(**ALONE), asks(down=1))) == pytest.approx(12, rel=1e-6)
    plan = place(site, fleet(), asks(down=1))
    assert most(plan) == pytest.approx(9, rel=1e-6)
    worst = {one.name: one for one in plan.links}
    assert worst["tor-1:a>a:e0"].worst_bps == pytest.approx(1e9)


def test_too_much_says_what_is_possible_and_why():
    said = refused(star(rack("a", 4, up=10), rack("b", 4, up=5)), fleet(), asks(down=20))
    assert "asks for 1,000 requests/s, and the most that is possible is 450/s (45%)" in said
    assert "spine:a>tor-a:up (60% of 10 Gbit/s)" in said
    assert "spine:b>tor-b:up (60% of 5 Gbit/s)" in said


def test_a_site_without_a_network_cannot_choose():
    site = star(rack("a", 1, up=1)).model_copy(update={"network": None})
    assert "site small has no network" in refused(site, fleet(), asks(down=1))


def test_processes_of_this_machine_share_evenly():
    plan = place(star(rack("a", 1, up=1)), fleet(agents=3, on_loss="hold"), asks(down=99))
    assert [(one.name, one.first, one.width) for one in plan.generators] == [
        ("local-1", 0, 1), ("local-2", 1, 1), ("local-3", 2, 1),
    ]  # fmt: skip
    assert (plan.wheel, plan.links, plan.on_loss) == (3, (), "hold")
    assert "1 to 65,536" in refused(star(rack("a", 1, up=1)), fleet(agents=0), asks(down=1))


def test_servers_named_by_the_campaign_are_taken_and_broken_caps_told():
    site = star(rack("a", 4, up=10), rack("b", 4, up=10))
    plan = place(site, fleet(agents=["a-0", "a-1"]), asks(down=8))
    assert by_name(plan) == {"a-0": 0.5, "a-1": 0.5}
    link = {one.name: one for one in plan.links}["spine:a>tor-a:up"]
    assert link.ours_bps == pytest.approx(8e9)
    assert link.down == {"a-0": 1.0, "a-1": 1.0}
    (note,) = [note for note in plan.notes if note.startswith("cap broken")]
    assert note == "cap broken: spine:a>tor-a:up: our 8 Gbit/s exceed 60% of 10 Gbit/s"
    spread = place(site, fleet(agents=["a-0", "b-0"]), asks(down=8))
    assert not [note for note in spread.notes if note.startswith("cap broken")]


def test_a_named_server_sends_no_more_than_is_lent():
    servers, links = rack("a", 3, up=100)
    servers[0]["borrow"] = {"requests": 100}
    site = star((servers, links))
    plan = place(site, fleet(agents=["a-0", "a-1", "a-2"]), asks(down=1))
    assert by_name(plan) == pytest.approx({"a-0": 0.1, "a-1": 0.45, "a-2": 0.45}, abs=1e-4)
    assert "100/s together (a-0: its borrow.requests)" in refused(site, fleet(agents=["a-0"]), asks(down=1))


def test_names_must_be_hosts_that_may_be_borrowed():
    site = star(rack("a", 2, up=100))
    said = refused(site, fleet(agents=["a-7", "a-0", "a-0", "lb"]), asks(down=1))
    for words in ('no host "a-7"', '"a-0" stands here twice', '"lb" may not be borrowed'):
        assert words in said
