"""A lab with a border on paper: everything public is routed by the border, and its site tells it truly."""

import ipaddress
from pathlib import Path

import networkx as nx
import pytest

from maul import site
from maul.cli.lab import up
from maul.core.errors import CampaignError
from maul.guard.own_lab import BORDER_NETWORKS, BORDER_ROUTERS, LAB_NETWORKS, is_own_lab
from maul.hosts.fake import FakeHost
from maul.hosts.own_place import OwnPlace, Route
from maul.lab import border, files
from maul.lab.layout import LabLayout, Programs
from maul.lab.placement import Wired
from maul.lab.state import load, save
from maul.lab.wiring import Wiring
from maul.site.topology import graph, hosts_of_endpoint

WIRING = Wiring(border=True)
PLACE = Path("/var/lib/maul/labs/x")
LAYOUT = LabLayout("x", Wired(WIRING), PLACE, PLACE / "run", Programs("/bin/weed", "/bin/haproxy"))
PLAIN = LabLayout("x", Wired(Wiring()), PLACE, PLACE / "run", LAYOUT.programs)
ADDED = {"lb2", "ext"}


def test_it_adds_to_the_network_and_changes_nothing_else():
    assert set(WIRING.nodes) == set(Wiring().nodes) | ADDED | {"border"}
    moved = {cable.near[0] for cable in set(WIRING.cables) ^ set(Wiring().cables)}
    assert moved == ADDED | {"border", "lb"}
    assert all(WIRING.host(host.name) == host for host in Wiring().hosts if host.name != "lb")
    assert WIRING.pairs == Wiring().pairs


def test_the_guard_knows_its_networks_and_its_routers():
    networks = (border.BALANCERS, border.OUTSIDE_NETWORK, border.PUBLIC, border.CONTROL_NETWORK)
    assert set(BORDER_NETWORKS) == {ipaddress.ip_network(one) for one in networks}
    assert ipaddress.ip_network(border.FABRIC) in LAB_NETWORKS
    assert {border.FABRIC_ROUTER, border.BALANCERS_ROUTER, border.OUTSIDE_ROUTER} == BORDER_ROUTERS


@pytest.mark.parametrize("name", ["ops", "g41", "c61", "s11", "lb", "lb2", "ext"])
def test_every_host_of_it_is_shut_up_in_the_lab_by_the_routes_that_it_is_given(name):
    routes = []
    for line in border.ip_lines(name):
        words = line.split()
        if words[:2] == ["route", "add"] and "table" not in words:
            routes.append(Route(words[2], words[words.index("via") + 1]))
        if words[:2] == ["addr", "add"] and words[-1] != "lo":
            routes.append(Route(str(ipaddress.ip_interface(words[2]).network)))
    host = WIRING.host(name)
    routes.append(Route(str(ipaddress.ip_interface(f"{host.address}/{host.prefix}").network)))
    assert is_own_lab(OwnPlace(PLACE, name, tuple(routes)))
    assert not any(route.to == "0.0.0.0/0" for route in routes)


def test_its_addresses_collide_with_nobodys():
    ours = [border.FABRIC_ROUTER, border.BALANCERS_ROUTER, border.OUTSIDE_ROUTER, *border.FRONT.values()]
    ours += [border.VIP, border.NEIGHBOUR, border.CONTROL, *(host.address for host in WIRING.hosts)]
    assert len(set(ours)) == len(ours)


def test_every_way_from_a_generator_to_the_vip_crosses_the_border():
    place = site.parse(files.site_yaml(LAYOUT))
    assert place.network is not None
    ways = graph(place.network)
    for endpoint in ("vip", "control", "neighbour", "private"):
        assert hosts_of_endpoint(place, place.endpoint(endpoint)) == ("lb",)
    for host in place.hosts:
        if host.borrow is not None:
            for way in nx.all_shortest_paths(ways, host.name, "lb"):
                assert way[-2:] == ["border", "lb"] and way[1] == f"tor-{host.rack}"


def test_the_site_tells_vantage_points_and_doors():
    place = site.parse(files.site_yaml(LAYOUT))
    assert {one.name: (one.kind, one.url) for one in place.endpoints if one.kind != "gateway"} == {
        "vip": ("balancer", "https://198.51.100.10:8443"),
        "control": ("control", "https://203.0.113.10:8443"),
        "neighbour": ("control", "https://198.51.100.20:8443"),
        "private": ("private", "https://10.77.0.1:8443"),
    }
    asked = {one.name: (one.role, one.endpoint, one.source) for one in place.vantage.lookouts}
    assert asked == {
        "ext": ("external", "vip", "ext"),
        "control": ("control", "control", None),
        "neighbour": ("control", "neighbour", None),
        "inside": ("inside", "private", "s11"),
    }
    assert {(one.service, one.host, one.table) for one in place.vantage.balancers} == {
        ("balancer", True, "inet maul_watch"),
        ("standby", True, "inet maul_watch"),
    }
    (feed,) = place.vantage.feeds
    assert (feed.kind, feed.listen) == ("webhook", "10.77.0.2:9880")
    known = {service.name: service for service in place.services}
    assert known["balancer"].admin != known["standby"].admin
    assert {known["balancer"].host, known["standby"].host} == {"lb", "lb2"}
    assert site.parse(files.site_yaml(PLAIN)).vantage.lookouts == ()


@pytest.mark.parametrize("balancer", LAYOUT.balancers, ids=lambda one: one.name)
def test_each_balancer_answers_on_every_public_address_and_its_own(balancer):
    text = files.haproxy_config(LAYOUT, balancer, 100)
    bound = [line.split()[1] for line in text.splitlines() if line.strip().startswith("bind ")]
    addresses = (border.VIP, border.NEIGHBOUR, border.CONTROL, border.PRIVATE[balancer.host])
    assert bound == [
        *(f"{one}:8443" for one in addresses),
        *(f"{one}:80" for one in addresses),
        f"{addresses[-1]}:8404",
    ]
    assert set(addresses) <= set(files.balancer_addresses(LAYOUT)), "the certificate must name it"


def test_only_balancers_and_the_border_count():
    counting = {name for name in WIRING.nodes if border.nft_text(name)}
    assert counting == {"lb", "lb2", "border"}
    for name in counting:
        text = border.nft_text(name)
        assert all(f"counter {one} " in text for one in ("vip_in", "vip_syn", "vip_out"))


def test_the_state_remembers_the_border():
    host = FakeHost()
    save(host, LAYOUT, is_up=True)
    assert load(host, PLACE) == LAYOUT


def test_a_border_needs_a_network():
    with pytest.raises(CampaignError, match="--net"):
        up(border=True)
