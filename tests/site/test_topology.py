"""What planning, guarding and drawing ask of a network, on the example of three racks."""

from pathlib import Path

import pytest

from maul import site
from maul.site import topology

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples/sites/three-racks.yaml"


@pytest.fixture(scope="module")
def place():
    return site.load(EXAMPLE)


def test_a_link_is_two_arcs(place):
    arcs = topology.arcs(place.network)
    assert len(arcs) == 2 * len(place.network.links)
    out = arcs["tor-r1:eth49>spine-1:eth1"]
    back = arcs[out.back]
    assert (out.source, out.target, out.capacity_bps, out.background_bps) == ("tor-r1", "spine-1", 100e9, 21e9)
    assert (back.source, back.target, back.capacity_bps, back.background_bps) == ("spine-1", "tor-r1", 100e9, 34e9)
    assert back.back == out.name
    assert out.shared
    assert not arcs["lb-1:bond0>tor-r3:po1"].shared
    assert arcs["lb-1:bond0>tor-r3:po1"].members == 2


def test_parallel_links_stay_apart():
    network = site.model_network.Network.model_validate(
        {
            "switches": [{"name": "a"}, {"name": "b"}, {"name": "alone"}],
            "links": [
                {"between": ["a:1", "b:1"], "capacity": "1Gbit/s"},
                {"between": ["b:2", "a:2"], "capacity": "2Gbit/s"},
            ],
        }
    )
    graph = topology.graph(network, nodes=["h"])
    assert set(graph.nodes) == {"a", "b", "alone", "h"}
    assert {key: data["arc"].capacity_bps for _, _, key, data in graph.out_edges("a", keys=True, data=True)} == {
        "a:1>b:1": 1e9,
        "a:2>b:2": 2e9,
    }
    assert graph.number_of_edges("b", "a") == 2


def test_who_is_who(place):
    assert topology.target_hosts(place) == {"lb-1", "lb-2", "store-1", "store-2", "store-3"}
    assert topology.target_racks(place) == {"r3"}
    assert topology.customer_hosts(place) == {"shop-r1-1", "shop-r2-1"}
    assert [len(hosts) for hosts in topology.by_rack(place).values()] == [3, 3, 5]


def test_an_endpoint_ends_at_hosts(place):
    assert topology.hosts_of_endpoint(place, place.endpoint("s3")) == ("lb-1", "lb-2")
    assert topology.hosts_of_endpoint(place, place.endpoint("s3-2")) == ("store-2",)
    text = EXAMPLE.read_text(encoding="utf-8")
    bare = site.parse(text[: text.index("\nnetwork:")])
    assert topology.hosts_of_endpoint(bare, bare.endpoint("s3")) == ("lb-1", "lb-2")  # the balancers' hosts
    moved = site.parse(text[: text.index("\nnetwork:")].replace('10.20.3.12:8333", serves', 's3.example", serves'))
    assert topology.hosts_of_endpoint(moved, moved.endpoint("s3-2")) == ("store-2",)  # the gateway's host
    assert topology.target_hosts(bare) == topology.target_hosts(place)


def test_islands_are_joined_by_switches_only():
    network = site.model_network.Network.model_validate(
        {
            "switches": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
            "links": [
                {"between": ["a", "b"], "capacity": 1},
                {"between": ["h1", "a"], "capacity": 1},
                {"between": ["h2:0", "b"], "capacity": 1},
                {"between": ["h2:1", "c"], "capacity": 1},
                {"between": ["h3", "h4"], "capacity": 1},
            ],
        }
    )
    assert set(topology.islands(network)) == {
        frozenset({"a", "b", "h1", "h2"}),
        frozenset({"c", "h2"}),
        frozenset({"h3", "h4"}),
    }
