"""The lab's protection on paper: it acts on means, not on moments, and lifts when it says so."""

import pytest

from maul.core.errors import CampaignError
from maul.lab import border
from maul.lab.protecting import terms_from
from maul.lab.protection import Ban, Counts, Detector, Terms, act_text, counts_of, notice, table_text

VIP = border.VIP


def run(terms: Terms, rates: list[float], who: str = VIP) -> tuple[Detector, dict[int, list[Ban]]]:
    """A second for each rate of packets; what was done in which."""
    detector, total, done = Detector(terms), 0.0, {}
    detector.look(0.0, {who: Counts()})
    for second, rate in enumerate(rates, 1):
        total += rate
        if bans := detector.look(float(second), {who: Counts(total, total * 100, total / 10)}):
            done[second] = bans
    return detector, done


def test_it_is_the_vip_of_the_lab_that_it_protects():
    assert (Terms().vip, Terms().port, Terms().feed) == (border.VIP, 8443, f"http://{border.FEED}/")


def test_it_acts_on_the_mean_of_five_seconds():
    _, done = run(Terms(packets=1000, hold_s=45), [0, 0, 0, 0, 0, 4000, 0, 0, 0, 0, 0])
    assert done == {}, "a burst of 4000 within five seconds of 1000 is no flood"
    _, done = run(Terms(packets=1000, hold_s=45), [900] * 10 + [1600] * 10)
    assert list(done) == [11], "after one second: (4 x 900 + 1600) / 5 = 1040"
    (ban,) = done[11]
    assert ban.drop and ban.who == VIP and "1040 packets" in ban.says


def test_it_says_nothing_before_it_has_seen_five_seconds():
    assert run(Terms(packets=1000), [9000] * 4)[1] == {}
    assert list(run(Terms(packets=1000), [9000] * 5)[1]) == [5]


def test_it_lifts_after_its_time_and_acts_again_if_nothing_changed():
    _, done = run(Terms(packets=1000, hold_s=6), [2000] * 20)
    assert [(second, ban.drop) for second, bans in done.items() for ban in bans] == [
        (5, True), (11, False), (12, True), (18, False), (19, True),
    ]  # fmt: skip


def test_it_never_lifts_while_it_is_hammered_if_so_told():
    terms = Terms(packets=1000, hold_s=6, never_lift_while_hammered=True)
    assert list(run(terms, [2000] * 40)[1]) == [5]
    _, done = run(terms, [2000] * 20 + [0] * 10)
    assert [second for second, bans in done.items() if not bans[0].drop] == [23], "the mean fell below after three"


@pytest.mark.parametrize(
    ("terms", "what"),
    [(Terms(packets=0, bits=400_000), "bits"), (Terms(packets=0, new_connections=50), "new connections")],
)
def test_each_limit_counts_for_itself(terms, what):
    _, done = run(terms, [1000] * 6)
    assert what in done[5][0].says


def test_sources_are_judged_each_for_itself():
    detector = Detector(Terms(packets=100, action="ban-sources"))
    for second in range(7):
        bans = detector.look(float(second), {"10.77.4.1": Counts(500.0 * second), "10.77.5.1": Counts(50.0 * second)})
        if second == 5:
            assert [ban.who for ban in bans] == ["10.77.4.1"]
    assert list(detector.banned) == ["10.77.4.1"]


@pytest.mark.parametrize(
    ("action", "begin", "lift"),
    [
        ("black-hole", f"act ip daddr {VIP} drop", "flush chain"),
        ("port-discard", f"act ip daddr {VIP} tcp dport 8443 drop", "flush chain"),
        ("ban-sources", "banned { 10.77.4.1 }; flush chain", "delete element"),
    ],
)
def test_what_it_does_is_what_it_lifts(action, begin, lift):
    terms = Terms(action=action)
    assert begin in act_text(terms, Ban("10.77.4.1", True, ""))
    assert lift in act_text(terms, Ban("10.77.4.1", False, ""))


def test_it_counts_before_it_drops():
    text = table_text(Terms())
    count, act = (
        int(text.split(f"chain {chain}")[1].split("priority ")[1].split(";")[0]) for chain in ("count", "act")
    )
    assert count < act


def test_it_reads_what_nft_tells():
    listing = {
        "nftables": [
            {"counter": {"name": "vip_all", "packets": 7, "bytes": 70}},
            {"counter": {"name": "vip_syns", "packets": 2, "bytes": 20}},
            {
                "set": {
                    "name": "sources",
                    "elem": [{"elem": {"val": "10.77.4.1", "counter": {"packets": 5, "bytes": 50}}}],
                }
            },
            {"set": {"name": "opening"}},
        ]
    }
    assert counts_of(listing, Terms()) == {VIP: Counts(7, 70, 2)}
    assert counts_of(listing, Terms(action="ban-sources")) == {"10.77.4.1": Counts(5, 50, 0)}


def test_the_feed_is_told_who_and_what():
    assert notice(Ban(VIP, True, "too much"), Terms(), 5) == {
        "at_ns": 5, "source": "lab-protection", "prefix": f"{VIP}/32", "action": "drop", "kind": "black-hole",
        "says": "black-hole: too much",
    }  # fmt: skip
    assert notice(Ban(VIP, False, ""), Terms(), 5)["action"] == "release"


def test_terms_in_words():
    said = terms_from({"packets": "500", "hold": "20s", "mean": "2s", "bits": "10Mbit/s", "action": "ban-sources"})
    assert (said.packets, said.hold_s, said.mean_s, said.bits, said.action) == (500, 20, 2, 10e6, "ban-sources")
    assert terms_from({"never-lift-while-hammered": ""}).never_lift_while_hammered


@pytest.mark.parametrize(
    "words",
    [
        {"packets": "many"}, {"hold": "long"}, {"action": "shout"}, {"pakets": "3"}, {"packets": "0"},
        {"packets": "-1"}, {"hold": "0s"}, {"never-lift-while-hammered": "perhaps"},
    ],
)  # fmt: skip
def test_words_that_cannot_be_are_told(words):
    with pytest.raises(CampaignError):
        terms_from(words)
