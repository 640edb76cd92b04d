"""Brackets against a detector that is known: its threshold lies within, whatever the load did."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maul.core.mitigation_summary import BracketSummary
from maul.guard.mitigation.fingerprint import brackets, detect_s, doubt, hints, may_be_it, narrow, said
from maul.guard.mitigation.loads import Amounts, amounts_of, peaks
from maul.guard.mitigation.signals import BalancerSecond, GeneratorSecond, Second

S = 1_000_000_000
BEGAN = 1_700_000_000 * S


def at(second):
    return BEGAN + second * S


def lives(values, threshold, *, window=5, delay=2):
    """Loads until a detector (mean over `window`, checked each second, acts `delay` later) drops them; the onset."""
    for second in range(window, len(values) + 1):
        if sum(values[second - window : second]) / window > threshold:
            onset = min(second + delay, len(values))
            return [Amounts(at(n + 1), {"packets": value}) for n, value in enumerate(values[:onset])], at(onset)
    return [Amounts(at(n + 1), {"packets": value}) for n, value in enumerate(values)], None


def of(found, dimension="packets", window_s=5):
    (one,) = [one for one in found if one.dimension == dimension and one.window_s == window_s]
    return one


LOADS = st.lists(st.tuples(st.floats(0, 50_000), st.integers(1, 40)), min_size=1, max_size=8).map(
    lambda levels: [rate for rate, seconds in levels for _ in range(seconds)]
)


@settings(max_examples=200, deadline=None)
@given(LOADS, st.floats(100, 40_000), st.integers(0, 9))
def test_the_threshold_lies_within(values, threshold, delay):
    amounts, onset_ns = lives(values, threshold, delay=delay)
    found = brackets(amounts, onset_ns)
    fives = [one for one in found if one.window_s == 5]
    for one in fives:
        assert one.survived is None or one.survived <= threshold * (1 + 1e-9)
        assert (one.dropped_at is None) == (onset_ns is None)
        assert one.dropped_at is None or one.dropped_at > threshold * (1 - 1e-9)
        assert onset_ns is None or may_be_it(one)


@settings(max_examples=100, deadline=None)
@given(st.lists(LOADS, min_size=2, max_size=5), st.floats(100, 40_000))
def test_runs_only_ever_narrow_it(runs, threshold):
    known = ()
    for values in runs:
        now = brackets(*lives(values, threshold))
        before = {(one.dimension, one.window_s): one for one in known}
        known, notes = narrow(known, now)
        assert not [note for note in notes if note.of.window_s == 5]
        for one in known:
            earlier = before.get((one.dimension, one.window_s))
            if one.window_s == 5:
                assert one.survived is None or one.survived <= threshold * (1 + 1e-9)
                assert one.dropped_at is None or one.dropped_at > threshold * (1 - 1e-9)
                if earlier is not None:
                    assert (one.survived or 0) >= (earlier.survived or 0)
                    assert (one.dropped_at or 1e9) <= (earlier.dropped_at or 1e9)


def test_runs_that_contradict_each_other_widen_it_and_that_is_said():
    first = bracket(survived=18_000, dropped_at=22_000)
    second = bracket(survived=30_000, dropped_at=35_000)
    (both,), (note,) = narrow([first], [second])
    assert (both.survived, both.dropped_at, both.runs) == (18_000, 35_000, 2)
    assert (note.dropped_at, note.survived) == (22_000, 30_000)
    says = doubt([note, replace(note, of=bracket(dimension="flows"))])
    assert says.startswith("It does not go by packets, flows, or it was changed")
    assert "(packets, mean over 5 s: dropped at 22,000 packets/s, bore 30,000 packets/s)" in says
    assert doubt([]) == ""


def test_a_run_that_bore_more_without_a_drop_contradicts_too():
    (both,), notes = narrow([bracket(survived=10.0, dropped_at=20.0)], [bracket(survived=25.0, dropped_at=None)])
    assert (both.survived, both.dropped_at) == (10.0, 20.0)
    assert len(notes) == 1


def test_what_is_new_and_what_was_not_seen_again_is_kept():
    both, notes = narrow([bracket(dimension="bits")], [bracket(dimension="flows")])
    assert {one.dimension for one in both} == {"bits", "flows"}
    assert notes == ()


def test_a_dimension_that_bore_more_before_is_not_it():
    values = [5000.0] * 30 + [1000.0] * 30
    amounts = [Amounts(at(n + 1), {"packets": value}) for n, value in enumerate(values)]
    one = of(brackets(amounts, at(60)))
    assert (one.survived, one.dropped_at) == (5000.0, 1000.0)
    assert not may_be_it(one)


def test_no_mean_is_made_over_a_hole():
    holed = [Amounts(at(n), {"packets": 10.0}) for n in (1, 2, 3, 10, 11, 12, 13, 14)]
    assert peaks(holed, "packets", 5, 0, at(99)).at_ns == at(14)
    assert peaks(holed, "packets", 6, 0, at(99)) is None
    unknown = [replace(one, values={}) if n == 5 else one for n, one in enumerate(holed)]
    assert peaks(unknown, "packets", 2, at(5), at(99)).at_ns == at(11)
    assert peaks(unknown, "packets", 3, at(5), at(99)) is None


def second(n, *, balancers=None, silent=False, **generators):
    return Second(at(n), generators, balancers=balancers or {}, silent=silent)


G = GeneratorSecond(due=100.0, opened=10.0, connections=64.0, bytes_sent=50_000.0, bytes_received=500_000.0)


def test_what_is_counted_is_taken_and_what_is_not_is_reckoned_and_said():
    alone = amounts_of([second(1, g=G)])[0]
    assert alone.values["requests"] == 100.0
    assert 100 < alone.values["packets"] < 1000
    assert {"packets", "bits"} <= alone.estimated
    own = amounts_of([second(1, g=replace(G, sent_packets=777.0), h=replace(G, sent_packets=3.0))])[0]
    assert own.values["packets"] == 780.0
    assert own.values["packets of one generator"] == 777.0
    assert "packets" not in own.estimated
    balancers = {"lb": BalancerSecond(vip_packets=5000.0, vip_bytes=1e6), "lb2": BalancerSecond(vip_packets=0.0)}
    counted = amounts_of([second(1, balancers=balancers, g=G)])[0]
    assert (counted.values["packets"], counted.values["bits"]) == (5000.0, 8e6)
    assert "packets" not in counted.estimated
    assert "packets of one generator" in counted.estimated


def test_what_one_of_two_machines_counted_is_not_the_whole():
    half = amounts_of([second(1, g=replace(G, sent_packets=777.0), h=G)])[0]
    assert "packets" in half.estimated


def test_what_waits_was_not_sent():
    waits = [second(1, g=G), second(2, g=replace(G, backlog=60.0)), second(3, g=replace(G, dropped=25.0, backlog=60.0))]
    assert [one.values["requests"] for one in amounts_of(waits)] == [100.0, 40.0, 75.0]
    assert [one.at_ns for one in amounts_of([second(1, g=G), second(2, g=G, silent=True)])] == [at(1)]
    assert amounts_of([second(1, g=G)], requests_each=3.0)[0].values["requests"] == 300.0


def test_how_long_it_took_is_since_the_load_came_near_or_since_a_known_threshold():
    values = [1000.0 * (1 + n // 20) for n in range(100)]  # steps of 20 s
    amounts = [Amounts(at(n + 1), {"requests": value, "packets": value}) for n, value in enumerate(values)]
    assert detect_s(amounts, at(88)) == 8.0
    known = bracket(survived=3900.0, dropped_at=4000.1)
    assert detect_s(amounts, at(88), known) == 28.0
    assert detect_s([], at(88)) is None


@pytest.mark.parametrize(
    ("dimension", "survived", "dropped_at", "word"),
    [
        ("packets", 18_000.0, 22_000.0, "20,000 packets/s of one address"),
        ("packets of one generator", 18_000.0, 22_000.0, "FastNetMon"),
        ("bits", 9e8, 1.1e9, "1 Gbit/s"),
        ("flows", 3000.0, 4000.0, "3,500 flows"),
        ("packets", 900_000.0, 1_100_000.0, "sFlow-RT"),
        ("requests", 480.0, 510.0, "a round number lies within, 500 requests/s"),
        ("packets", 2_000.0, 22_000.0, ""),
        ("packets", 20_001.0, 24_000.0, ""),
    ],
)
def test_numbers_that_products_ship_with(dimension, survived, dropped_at, word):
    unit = {"bits": "bit/s", "flows": "connections", "requests": "requests/s"}.get(dimension, "packets/s")
    told = hints([bracket(dimension=dimension, survived=survived, dropped_at=dropped_at, unit=unit)])
    assert bool(told) == bool(word)
    assert not word or word in told[0]


def test_in_words():
    one = bracket(survived=18_000.0, dropped_at=22_000.0, estimated=True)
    words = "packets, mean over 5 s: survived 18,000 packets/s, dropped at 22,000 packets/s (reckoned, not counted)"
    assert said(one) == words


def bracket(**changes):
    base = BracketSummary(dimension="packets", unit="packets/s", window_s=5, survived=1.0, dropped_at=2.0)
    return base.model_copy(update=changes)
