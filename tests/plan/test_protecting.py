"""What a plan says of protections before they act."""

import pytest
from small_plans import SITE

from maul import campaign, plan, site
from maul.campaign.problems import CampaignProblemsError
from maul.core.addresses import is_loopback
from maul.core.mitigation_summary import BracketSummary
from maul.plan.protecting import with_earlier

RUN_ID = "20261122-214512-3fa09c"
REAL = (
    SITE.replace("kind: lab", "kind: real")
    .replace("https://127.0.0.1:8443", "https://198.51.100.10")
    .replace("http://127.0.", "http://10.1.")
)
VIP = """\
network:
  switches: [{name: sw}]
  links:
    - {between: ["h1:a", "sw:p1"], capacity: 100Gbit/s}
    - {between: ["h3:a", "sw:p3"], capacity: 100Gbit/s}
  vips:
    - {name: front, address: 198.51.100.10, endpoint: vip, hosts: [h1]MITIGATION}
"""
STEPS = """\
version: 1
name: steps
target: {endpoints: [vip], bucket: maul-test}
workload: {objects: 100, size: 64KiB, mix: {get: 1, put: 1}}
phases:
  - {name: fill, kind: prepare, concurrency: 8}
  - {name: rise, kind: load, steps: {from: 100, to: 400, count: 4, each: EACH}}
  - {name: tidy, kind: clean-up}
limits: {rate: 1000/s, requests: 1000000, bytes: 1TB, bandwidth: 1GB/s, duration: 1h}
"""


def made(*, act="", each="20s", mitigation="", text=REAL):
    text = (
        text.replace("services:\n", "  - {name: h3, address: 10.9.9.9, rack: r1}\nservices:\n", 1)
        if mitigation
        else text
    )
    where = site.parse(text + (VIP.replace("MITIGATION", f", {mitigation}") if mitigation else ""))
    wish = f"mitigation: {{act: {act}}}\n" if act else ""
    return plan.build(campaign.parse(STEPS.replace("EACH", each) + wish, "c.yaml"), where, RUN_ID, 4)


def told(made_, word):
    return [note for note in made_.notes if word in note]


@pytest.mark.parametrize(
    ("text", "act", "found"),
    [(REAL, "", "freeze"), (REAL, "freeze", "freeze"), (SITE, "", "watch"), (SITE, "freeze", "freeze"),
     (SITE, "watch", "watch"), (REAL.replace("kind: real", "kind: lab"), "watch", "watch"),
     (REAL.replace("kind: real", "kind: lab"), "", "freeze")],
)  # fmt: skip
def test_nobody_is_upstream_of_a_loopback(text, act, found):
    assert made(text=text, act=act).mitigation.act == found


def test_watching_is_refused_where_somebody_may_be_upstream():
    with pytest.raises(CampaignProblemsError) as caught:
        made(act="watch")
    assert "neither loopback nor maul's own lab: use freeze" in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "localhost.example.org", "0.0.0.0", "128.0.0.1", ""])
def test_everything_else_is_not(host):
    assert not is_loopback(host)


def test_levels_shorter_than_twice_what_a_protection_takes_are_told():
    assert told(made(each="5s"), "cannot be told which level")
    assert not told(made(each="20s"), "cannot be told which level")
    assert not told(made(each="5s", text=SITE), "cannot be told which level")


@pytest.mark.parametrize(
    ("threshold", "high"),
    [("requests: 570/s", True), ("requests: 580/s", False), ("bandwidth: 100Mbit/s", True),
     ("bandwidth: 100Gbit/s", False), ("packets: 10000/s", True), ("packets: 1000000/s", False)],
)  # fmt: skip
def test_a_profile_that_goes_above_known_thresholds_is_told(threshold, high):
    for key in ("mitigation", "mitigation_per_source"):
        notes = told(made(mitigation=f"{key}: {{{threshold}}}"), "front's protection may act at")
        assert bool(notes) == high
        assert not notes or notes[0].startswith("rise goes up to about")


@pytest.mark.parametrize(
    ("address", "kind", "unseen"), [("10.9.9.9", "real", True), ("8.8.8.8", "real", False), ("10.9.9.9", "lab", False)]
)
def test_load_that_an_outward_looking_protection_does_not_see_is_told(address, kind, unseen):
    lent = f"  - {{name: h3, address: {address}, rack: r1, borrow: {{requests: 5000}}}}\n"
    text = REAL.replace("kind: real", f"kind: {kind}").replace("services:\n", lent + "services:\n", 1)
    where = site.parse(text + VIP.replace("MITIGATION", ""))
    fleet = "fleet: {avoid_target_racks: false}\n"
    made_ = plan.build(campaign.parse(STEPS.replace("EACH", "20s") + fleet, "c.yaml"), where, RUN_ID, 4)
    assert bool(told(made_, "all load servers have private addresses")) == unseen


def bracket(**changes):
    base = BracketSummary(dimension="requests", unit="requests/s", window_s=5, survived=200.0, dropped_at=390.0)
    return base.model_copy(update=changes)


@pytest.mark.parametrize(
    ("changes", "high"),
    [({}, True), ({"dropped_at": 401.0}, False), ({"dropped_at": None}, False), ({"window_s": 60}, False),
     ({"survived": 500.0}, False), ({"dimension": "requests of one generator"}, True),
     ({"dimension": "packets", "dropped_at": 5000.0}, True)],
)  # fmt: skip
def test_a_profile_that_goes_above_what_was_dropped_before_is_told(changes, high):
    notes = told(with_earlier(made(), [bracket(**changes)]), "earlier runs were dropped at")
    assert bool(notes) == high


def test_slow_protections_of_earlier_runs_ask_for_longer_levels():
    assert told(with_earlier(made(each="30s"), [], 40.0), "takes about 40.0 s to act")
    assert with_earlier(made(each="30s"), [], 12.0) == made(each="30s")
