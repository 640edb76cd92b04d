"""What customers feel: harm is called once, one lost packet is none, and whose traffic is beside them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maul.core.sample import Sample
from maul.guard.canary import CanaryBaseline, CanaryMemory, baseline_of, feel
from maul.guard.network_words import CanaryReading, canaries_of, directions_of, links_of, path_of
from maul.plan.fleet_model import FleetPlan, GeneratorPlan, LinkLoad, Load
from maul.site.model_network import Canary, Network

S = 1_000_000_000
CALM = CanaryBaseline(0.4, 0.0, 1000)


def feels(readings: list[tuple[float, float, float | None]], baseline: CanaryBaseline | None = CALM) -> list[int]:
    """The seconds in which harm was called; readings are (sent, lost, p99)."""
    memory, harmed = CanaryMemory(), []
    for second, (sent, lost, p99) in enumerate(readings):
        reading = CanaryReading((second + 1) * S, sent, lost / sent if sent else 0.0, p99)
        memory, harm = feel(memory, reading, baseline, 0.5)
        if harm:
            harmed.append(second)
    return harmed


def test_calm_is_no_harm() -> None:
    assert feels([(50, 0, 0.5)] * 100) == []


@pytest.mark.parametrize("lost", [1, 2])
def test_a_lost_packet_or_two_is_none(lost: int) -> None:
    assert feels([(50, 0, 0.4)] * 10 + [(50, lost, 0.4)] + [(50, 0, 0.4)] * 30) == []


def test_many_lost_packets_are_called_at_once_and_once() -> None:
    assert feels([(50, 0, 0.4)] * 10 + [(50, 10, 0.4)] + [(50, 0, 0.4)] * 30) == [10]


def test_a_few_lost_each_second_add_up() -> None:
    assert feels([(50, 1, 0.4)] * 4)[0] <= 2


def test_everything_lost_has_no_round_trip() -> None:
    assert feels([(50, 50, None)]) == [0]


def test_what_was_lost_before_us_is_not_ours() -> None:
    assert feels([(500, 5, 0.4)] * 30, CanaryBaseline(0.4, 0.01, 1000)) == []


def test_two_slow_seconds_of_three() -> None:
    assert feels([(50, 0, 5.0)]) == []
    assert feels([(50, 0, 5.0), (50, 0, 0.4), (50, 0, 5.0)]) == [2]
    assert feels([(50, 0, 5.0), (50, 0, 0.4), (50, 0, 0.4), (50, 0, 5.0)]) == []
    assert feels([(50, 0, 5.0)] * 4) == [1, 3]


def test_half_as_much_again_but_hardly_longer_is_no_harm() -> None:
    assert feels([(50, 0, 0.85)] * 10) == []
    assert feels([(50, 0, 0.95)] * 10) != []
    assert feels([(50, 0, 29.0)] * 10, CanaryBaseline(20.0, 0, 10)) == []
    assert feels([(50, 0, 31.0)] * 10, CanaryBaseline(20.0, 0, 10)) != []


def test_without_a_baseline_only_loss_counts() -> None:
    assert feels([(50, 0, 500.0)] * 10, None) == []
    assert feels([(50, 20, 500.0)], None) == [0]


def test_hurt_until_three_calm_readings() -> None:
    memory = CanaryMemory()
    hurt = []
    for second, p99 in enumerate([0.4, 9.0, 0.4, 0.4, 0.4]):
        memory, _ = feel(memory, CanaryReading((second + 1) * S, 50, 0.0, p99), CALM, 0.5)
        hurt.append(memory.hurt)
    assert hurt == [False, True, True, True, False]


def test_an_old_reading_is_not_felt_twice() -> None:
    memory, harm = feel(CanaryMemory(), CanaryReading(S, 50, 0.5), CALM, 0.5)
    assert harm
    assert feel(memory, CanaryReading(S, 50, 0.5), CALM, 0.5) == (memory, None)


@given(st.lists(st.tuples(st.integers(1, 1000), st.floats(0, 0.0005)), min_size=1, max_size=50))
def test_losses_below_the_promise_are_never_harm(readings: list[tuple[int, float]]) -> None:
    assert feels([(sent, sent * ratio, 0.4) for sent, ratio in readings]) == []


def test_the_baseline() -> None:
    assert baseline_of([]) is None
    found = baseline_of(
        [CanaryReading(1, 50, 0.02, 0.3), CanaryReading(2, 50, 0.0, 0.5), CanaryReading(3, 50, 0, None)]
    )
    assert found == CanaryBaseline(0.4, pytest.approx(1 / 150), 150)  # type: ignore[arg-type]


# words


def test_samples_into_readings() -> None:
    def link(metric: str, value: float, at_ns: int = S) -> Sample:
        return Sample(at_ns, "link", metric, "a>b", value)

    found = links_of([link("bits_per_s", 5, 0), link("bits_per_s", 8), link("up", 0), Sample(S, "cpu", "x", "a>b", 1)])
    assert (found["a>b"].bits_per_s, found["a>b"].up, found["a>b"].discards_per_s) == (8, False, None)
    samples = [Sample(at, "canary", m, "c", v) for at in (2, 1) for m, v in (("loss_ratio", 0.1), ("sent", 5.0))]
    assert [reading.at_ns for reading in canaries_of(samples)["c"]] == [1, 2]
    assert canaries_of(samples[:1]) == {}


NETWORK = Network.model_validate(
    {
        "switches": [{"name": name} for name in ("tor-1", "tor-2", "sp-1", "sp-2", "tor-3")],
        "links": [
            {"between": ends, "capacity": "10Gbit/s"}
            for ends in (
                ["c1:0", "tor-1:1"], ["c2:0", "tor-2:1"], ["c1:1", "c9:0"], ["c9:1", "c2:1"],
                ["tor-1:u1", "sp-1:1"], ["tor-1:u2", "sp-2:1"], ["tor-2:u1", "sp-1:2"], ["tor-2:u2", "sp-2:2"],
                ["tor-3:u1", "sp-1:3"],
            )
        ],
    }
)  # fmt: skip


def test_the_path_of_a_canary_is_every_equal_way_there_and_back() -> None:
    found = path_of(NETWORK, Canary.model_validate({"name": "c", "from": "c1", "to": "c2"}))
    ways = {"c1:0>tor-1:1", "tor-1:u1>sp-1:1", "tor-1:u2>sp-2:1", "sp-1:2>tor-2:u1", "sp-2:2>tor-2:u2", "tor-2:1>c2:0"}
    assert found == ways | {">".join(reversed(way.split(">"))) for way in ways}
    assert path_of(NETWORK, Canary.model_validate({"name": "c", "from": "c1", "to": "nobody"})) == frozenset()


def test_directions_of_a_plan() -> None:
    generators = [
        GeneratorPlan(name=n, host=n, rack="r", first=0, width=1, load=load, requests_ceiling_per_s=None)
        for n, load in (
            ("g1", Load(sent_bps=1e8, received_bps=4e8)),
            ("g2", Load(sent_bps=3e8, received_bps=1e8)),
            ("g3", Load(sent_bps=3e8, received_bps=1e8)),
        )
    ]
    link = LinkLoad(
        name="a>b",
        capacity_bps=1e9,
        background_bps=0,
        shared=True,
        cap=0.6,
        ours_bps=3.5e8,
        worst_bps=0,
        worst_when=None,
        up={"g1": 1.0, "g2": 0.5, "g3": 0.0},
        down={"g1": 0.25},
    )
    found = directions_of(FleetPlan(wheel=2, generators=tuple(generators), links=(link,), load=Load()))["a>b"]
    assert found.by_generator == {"g1": 2e8, "g2": 1.5e8}
    assert (found.crossing, found.through) == (frozenset({"g1", "g2"}), frozenset({"g1"}))
    assert found.ours_bps({"g1": 0.5}) == 1e8
    assert found.worst_bps == 3.5e8
