"""What people are told of a mitigation: customers' sentences and the ticket."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maul import campaign
from maul.core.mitigation_summary import BracketSummary, MitigationSummary, SuspectSummary
from maul.guard.mitigation.customers import Work, sentences, work_of
from maul.guard.mitigation.ticket import LINES_MAX, TicketFacts, ticket
from maul.lab.sketch import sketch_site
from maul.plan import build

S = 1_000_000_000
ONSET = 1_700_000_000 * S
PACKETS = BracketSummary(dimension="packets", unit="packets/s", window_s=5, survived=18_000.0, dropped_at=22_000.0)
FOUND = MitigationSummary(
    cause="vip-black-hole", family="protection", says="everything towards 198.51.100.10 is dropped at the edge",
    suspects=[SuspectSummary(cause="vip-black-hole", score=9.0, evidence=["balancers saw no packet for 12 s"])],
    scope=["198.51.100.10/32"], direction="towards the target", onset_ns=ONSET, suspected_ns=ONSET + S,
    frozen_ns=ONSET + 2 * S, verdict_ns=ONSET + 22 * S, recovered_ns=ONSET + 700 * S, resumed_ns=None,
    resumed_part=None, detect_s=6.0, hold_s=640.0, hold_quantum_s=120.0, hold_at_least_s=None, brackets=[PACKETS],
)  # fmt: skip
FACTS = TicketFacts(
    "20260101-aa", "ramp", ("vip 198.51.100.10:443",), ("10.1.0.0/24", "10.2.0.7"),
    window="2026-11-23T08:00:00Z until 2026-11-23T12:00:00Z", contacts=("load test: 4711",),
    planned={"packets": 35_000.0, "requests": 7_000.0},
)  # fmt: skip


def test_it_says_what_happened_and_what_is_asked():
    text = ticket(FOUND, FACTS)
    for part in (
        "2023-11-14T22:13:20.0Z", "198.51.100.10:443", "10.1.0.0/24", "dropped at 22,000 packets/s",
        "balancers saw no packet", "packets 50,000 packets/s, requests 10,000 requests/s", "4711", "08:00:00Z until",
        "after 10 min 40 s, give or take 2 min", "webhook",
    ):  # fmt: skip
        assert part in text, part
    assert len(text.splitlines()) <= LINES_MAX


def test_the_unknown_is_called_unknown_and_what_is_no_protection_is_not_accused():
    unknown = ticket(FOUND.model_copy(update={"cause": "unknown", "family": "unknown"}), FACTS)
    assert "cause unknown" in unknown
    assert "Say whether" in unknown
    link = ticket(FOUND.model_copy(update={"cause": "link-down", "family": "network"}), FACTS)
    assert "speak of no protection" in link
    assert "raise the thresholds" not in link


def test_without_a_plan_twice_what_was_dropped_is_asked_for():
    assert "packets 44,000 packets/s" in ticket(FOUND, replace(FACTS, planned={}))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.text(max_size=400), max_size=40),
    st.lists(st.text(min_size=1, max_size=30), max_size=300),
    st.text(max_size=500),
)
def test_it_stays_short_and_plain_whatever_it_is_given(evidence, sources, says):
    suspects = [SuspectSummary(cause="policer", score=1.0, evidence=evidence)]
    many = [PACKETS.model_copy(update={"dimension": name}) for name in ("packets", "bits", "flows", "requests")] * 9
    found = FOUND.model_copy(update={"suspects": suspects, "says": says, "brackets": many})
    text = ticket(found, replace(FACTS, sources=tuple(sources)))
    assert len(text.split("\n")) <= LINES_MAX + 1
    assert max(map(len, text.split("\n"))) <= 160
    assert all(char.isprintable() or char == "\n" for char in text)
    assert "Contact: load test: 4711" in text


SMALL, LARGE = Work("GET of 4 KiB", 0.0, 4096.0), Work("PUT of 1 MiB", 1048576.0, 0.0)


def test_customers_see_it_at_so_many_requests():
    (large, small) = sentences([PACKETS], [SMALL, LARGE])
    assert large == "if it counts packets: customers together see this somewhere between 24.8 requests/s and 30.3 " \
        "requests/s of PUT of 1 MiB"  # fmt: skip
    assert "GET of 4 KiB" in small


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dimension": "requests", "unit": "requests/s"}, "customers together see this somewhere between"),
        ({"dimension": "flows of one generator", "unit": "connections"}, "one customer, from one address, sees this"),
        ({"dimension": "requests", "unit": "requests/s", "survived": None}, "at the latest"),
    ],
)
def test_other_dimensions(changes, words):
    assert words in sentences([PACKETS.model_copy(update=changes)], [SMALL])[0]


def test_what_cannot_be_it_is_not_told():
    assert sentences([PACKETS.model_copy(update={"dropped_at": 10.0})], [SMALL]) == ()
    assert sentences([PACKETS.model_copy(update={"dropped_at": None})], [SMALL]) == ()


def test_what_the_plan_does_is_what_is_spoken_of():
    plan = build(campaign.load(None), sketch_site(), "20261121-110203-9f21aa", 2)
    works = work_of(plan)
    assert {work.says.split()[0] for work in works} == {"GET", "PUT"}
    assert all(work.sent or work.received for work in works)
