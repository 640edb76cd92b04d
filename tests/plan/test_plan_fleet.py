"""A campaign with a fleet: its demand on the wire, its place in the plan, its words."""

import pytest
from small_plans import CAMPAIGN, RUN_ID, SITE

from maul import campaign, plan, site
from maul.campaign.problems import CampaignProblemsError
from maul.plan import LimitWish, Overrides
from maul.plan.placement import demand_of

NETWORK = """\
network:
  switches: [{name: tor-1, rack: r1}, {name: tor-2, rack: r2}, {name: tor-3, rack: r3}, {name: spine, tier: spine}]
  links:
    - {between: [tor-1:up, spine:1], capacity: 10Gbit/s, shared_by: [customers]}
    - {between: [tor-2:up, spine:2], capacity: 10Gbit/s, shared_by: [customers]}
    - {between: [tor-3:up, spine:3], capacity: 1Gbit/s, background: {back: 100Mbit/s}, shared_by: [customers]}
    - {between: [h1:eth0, tor-1:1], capacity: 10Gbit/s}
    - {between: [h2:eth0, tor-2:1], capacity: 10Gbit/s}
    - {between: [h3:eth0, tor-3:1], capacity: 1Gbit/s}
    - {between: [h4:eth0, tor-3:2], capacity: 1Gbit/s}
  vips: [{name: vip, address: 127.0.0.1, endpoint: vip, hosts: [h1, h2]}]
"""
WIRED = (
    SITE.replace("racks: [r1, r2]", "racks: [r1, r2, r3]").replace(
        "services:\n",
        "  - {name: h3, address: 127.0.3.1, rack: r3, borrow: {}}\n"
        "  - {name: h4, address: 127.0.4.1, rack: r3, borrow: {requests: 50000}}\nservices:\n",
    )
    + NETWORK
)
SMALL = CAMPAIGN.replace("{get: 60, put: 30, delete: 9, multipart: 1}", "{get: 3, put: 1}").replace(
    "multipart: {parts: 2, part_size: 5MiB, objects: 3}", "connections: {requests_each: 10}"
)


def planned(text: str, place: str = WIRED, **more):
    return plan.build(campaign.parse(text, "c.yaml"), site.parse(place), RUN_ID, 4, **more)


def test_the_heaviest_moment_on_the_wire():
    made = planned(SMALL + "fleet: {}\n").fleet
    # calm: 50/s of 4 KiB, a quarter PUTs, 500 B of headers each way; 5 new TLS connections/s
    sent, received = 50 * (4096 / 4 + 500), 50 * (4096 * 3 / 4 + 500)
    assert made.load.requests_per_s == pytest.approx(50)
    assert made.load.connections_per_s == pytest.approx(5)
    assert made.load.sent_bps == pytest.approx(8 * (1.04 * (sent + 0.03 * received) + 5 * 2000), rel=1e-3)
    assert made.load.received_bps == pytest.approx(8 * (1.04 * (received + 0.03 * sent) + 5 * 6000), rel=1e-3)


def test_each_quantity_has_its_own_heaviest_phase():
    quiet = SMALL.replace("connections: {requests_each: 10}", "connections: {}")
    bursts = quiet.replace("each: 2s}", "each: 2s}, connections: {requests_each: 1}")
    load = planned(bursts + "fleet: {}\n").fleet.load
    assert (load.requests_per_s, load.connections_per_s) == (pytest.approx(50), pytest.approx(40))


def test_tenants_add_up():
    tenants = "tenants:\n  - {name: a, share: 1}\n  - {name: b, rates: {calm: 30/s}}\n"
    load = planned(SMALL.replace("objectives:", tenants + "objectives:") + "fleet: {}\n").fleet.load
    assert load.requests_per_s == pytest.approx(80)


def test_a_search_is_placed_for_the_end_of_its_range():
    made = planned(SMALL + "fleet: {}\n", overrides=Overrides(limit=LimitWish(axes=("requests",), to_rate="400/s")))
    assert made.fleet.load.requests_per_s == pytest.approx(400)


def test_what_nobody_paces_asks_for_nothing():
    made = planned(SMALL + "fleet: {}\n")
    assert demand_of([one for one in made.phases if not one.timed], [("vip", "https://x")]).load.sent_bps == 0


def test_what_nobody_paces_is_held_to_what_the_links_allow():
    narrow = WIRED.replace("[tor-3:up, spine:3], capacity: 1Gbit/s", "[tor-3:up, spine:3], capacity: 200Mbit/s")
    narrow = narrow.replace("back: 100Mbit/s", "back: 80Mbit/s")
    made, free = planned(SMALL + "fleet: {}\n", narrow), planned(SMALL)
    # 60 % of 200 Mbit/s there, 40 left of it back; acknowledgements are 3 % of what comes
    assert made.fleet.unpaced.sent_bps == pytest.approx(120e6)
    assert made.fleet.unpaced.received_bps == pytest.approx(40e6)
    for name, most_bps, size in (("fill", 120e6, "bytes_sent"), ("audit", 40e6, "bytes_received")):
        for one in made.phase(name).passes:
            wire = one.engine.limits.rate_per_s * getattr(one.expected, size) / one.expected.operations * 8 * 1.04
            assert most_bps * 0.5 < wire <= most_bps * 1.000001
    assert made.phase("calm") == free.phase("calm")
    assert made.phase("audit").seconds >= free.phase("audit").seconds
    wide = planned(SMALL + "fleet: {}\n")
    assert wide.phase("tidy").passes == free.phase("tidy").passes


def test_the_plan_carries_it_and_says_it():
    made = planned(SMALL + "fleet: {on_loss: hold}\n")
    assert plan.Plan.model_validate_json(plan.to_json(made)) == made
    text = "\n".join(plan.explain(made))
    for words in (
        "fleet\n",
        "1 load server in 1 rack",
        "100 %, 50 requests/s: h",
        "its share stays unsent",
        "closed loops are held to",
        "what stops it there:",
        "requests/s for one more ",
        "what the fullest links will carry\n",
        "spine:3>tor-3:up ",
    ):
        assert words in text


def test_one_plan_has_one_hash():
    assert planned(SMALL + "fleet: {}\n").hash == planned(SMALL + "fleet: {}\n").hash
    assert planned(SMALL + "fleet: {}\n").hash != planned(SMALL).hash


def test_what_does_not_fit_is_refused_with_everything_else():
    text = SMALL.replace("rate: 50/s", "rate: 40000/s") + "fleet: {}\nlimits: {rate: 50000, bandwidth: 1GB/s}\n"
    with pytest.raises(CampaignProblemsError) as caught:
        planned(text)
    said = str(caught.value)
    assert "c.yaml:" in said
    assert "fleet: the heaviest moment asks for 40,000 requests/s, and the most that is possible is" in said
    assert "spine:3>tor-3:up" in said
    assert "raise limits.requests or plan less" in said


def test_a_site_without_a_network_has_local_processes_only():
    with pytest.raises(CampaignProblemsError, match="has no network"):
        planned(SMALL + "fleet: {}\n", SITE)
    assert len(planned(SMALL + "fleet: {agents: 2}\n", SITE).fleet.generators) == 2


def test_a_guard_that_only_watches_is_for_labs():
    counted = WIRED + "  counters: {kind: prometheus, url: http://127.0.0.1:9090}\n"
    text = SMALL + "fleet: {guard: watch, trickle: 0}\n"
    assert "kind: lab" in counted
    made = planned(text, counted)
    assert made.fleet.guard_acts is False
    assert any("only watches" in note for note in made.notes)
    with pytest.raises(CampaignProblemsError, match="customers use 3 links of this site") as refused:
        planned(text, counted.replace("kind: lab", "kind: real"))
    assert refused.value.problems[0].path == ("fleet", "guard")
    assert planned(text.replace("watch", "act"), counted.replace("kind: lab", "kind: real")).fleet.guard_acts
