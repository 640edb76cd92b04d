"""Fragments are merged, judged by rules and written as the draft of a site that `load` reads."""

# ruff: noqa: E501 (tables stand here whole)

from pathlib import Path

import pytest

from maul import site
from maul.core.errors import CampaignError
from maul.site.importing import FoundLink, FoundNode, Fragment, Rules, ansible, containerlab, draft, lldp, merge, netbox
from maul.site.importing.fragment import FoundNic

DATA = Path(__file__).parent / "data"
RULES = Rules(
    roles=(("volume", "storage"), ("gateway", "storage"), ("balancer", "load-balancer")),
    borrow=("lendable",),
    leave_out=("oob*",),
    endpoint="https://10.0.0.100",
)


def netbox_hall():
    kinds = ("devices", "interfaces", "cables", "racks")
    return netbox.read({kind: (DATA / "netbox" / f"{kind}.json").read_text(encoding="utf-8") for kind in kinds})


def notes_of(made):
    return " | ".join(note.says for note in made.notes)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_hall_of_netbox_becomes_a_site_that_loads(as_json):
    place = site.parse(draft(netbox_hall(), RULES, "hall", as_json=as_json).text)
    assert len(place.hosts) == 27
    assert len(place.network.links) == 36
    assert {switch.name: (switch.tier, switch.rack) for switch in place.network.switches} == {
        **{f"tor-a0{number}": ("leaf", f"a0{number}") for number in (1, 2, 3, 4)},
        "spine-1": ("spine", None),
        "spine-2": ("spine", None),
        "br-01": ("edge", None),
    }
    assert [host.name for host in place.hosts if host.borrow] == [
        f"batch-{rack}{n}" for rack in (1, 2) for n in range(1, 6)
    ]
    assert place.network.vips[0].hosts == ("lb-1", "lb-2")
    assert place.endpoint("s3").kind == "balancer"
    assert [(nic.name, nic.speed) for nic in place.host("lb-1").nics] == [("bond0", 50e9)]


def test_a_topology_of_containerlab_becomes_a_site_that_loads():
    text = (DATA / "containerlab/nord.clab.yml").read_text(encoding="utf-8")
    rules = Rules(
        roles=(("gateway", "store"),), borrow=("servers",), capacity_bps=10e9, endpoint="http://172.20.20.141:8333"
    )
    made = draft(containerlab.read(text, "c"), rules, "nord")
    place = site.parse(made.text)
    assert place.host("srv21").rack == "r2"  # from the leaf that it hangs on
    assert "the rack of srv21" in notes_of(made)
    assert {link.capacity for link in place.network.links} == {10e9, 25e9}


def test_an_inventory_becomes_a_site_without_a_network():
    text = (DATA / "ansible/hosts.yml").read_text(encoding="utf-8")
    rules = Rules(
        roles=(("volume", "volumes"), ("balancer", "balancers")), tiers=(("leaf", "tor-*"), ("spine", "spine-*"))
    )
    made = draft(
        ansible.read(text, "a"), Rules(roles=rules.roles, tiers=rules.tiers, endpoint="https://s3.example"), "hall"
    )
    place = site.parse(made.text)
    assert place.network is None
    assert any("5 switches and no link" in line for line in made.todo)
    assert place.host("store-01").ssh.user == "storage"
    assert set(place.racks) == {"rack_a01", "rack_a02", "rack_a03", "unknown"}
    assert any("the rack of 1 host is not known (bastion)" in line for line in made.todo)


def test_what_nobody_knows_is_a_problem_with_its_place():
    text = (DATA / "lldp/tor-a01.json").read_text(encoding="utf-8")
    made = draft(lldp.read(text, "tor-a01.json"), Rules(), "x")
    with pytest.raises(CampaignError) as caught:
        site.parse(made.text, "x.yaml")
    assert "'?' is not a bit rate" in caught.value.message
    assert "services: needs at least 1" in caught.value.message
    assert any("capacity: that of 9 links is not known" in line for line in made.todo)
    assert all(f"# - {line}" in made.text for line in made.todo)


def test_sources_are_merged_by_name_with_or_without_domain():
    one = Fragment(
        nodes=(FoundNode("srv", "a", rack="r1", nics=(FoundNic("eth0"),)), FoundNode("tor", "a", is_switch=True)),
        links=(FoundLink(("srv:eth0", "tor:Ethernet1"), "a"),),
    )
    two = Fragment(
        nodes=(FoundNode("srv.example.net", "b", rack="r2", address="10.0.0.1", nics=(FoundNic("eth0", 25e9),)),),
        links=(
            FoundLink(("tor:Eth1", "srv.example.net:eth0"), "b", 25e9),
            FoundLink(("tor:Eth9", "srv.example.net:eth0"), "b"),
            FoundLink(("srv.example.net:eth1", "srv.example.net:eth2"), "b"),
        ),
    )
    found = merge([one, two])
    assert [node.name for node in found.nodes] == ["srv", "tor"]
    assert (found.nodes[0].rack, found.nodes[0].address, found.nodes[0].nics) == (
        "r1",
        "10.0.0.1",
        (FoundNic("eth0", 25e9),),
    )
    assert found.links == (FoundLink(("srv:eth0", "tor:Ethernet1"), "a", 25e9),)
    said = notes_of(found)
    assert '"srv" stands in rack r2 here, and in r1 by a' in said
    assert "clashes with srv:eth0 – tor:Ethernet1 of a" in said
    assert "wired to itself" in said


def test_two_machines_with_one_first_name_stay_two():
    nodes = tuple(FoundNode(name, "a") for name in ("db", "db.north", "db.south"))
    assert [node.name for node in merge([Fragment(nodes)]).nodes] == ["db", "db.north", "db.south"]


@pytest.mark.parametrize(
    ("marks", "name", "tier"),
    [
        ({"leaf-switch"}, "x", "leaf"), ({"Top-of-Rack"}, "x", "leaf"), ({"storage"}, "x", None), ({"spine"}, "x", "spine"),
        ({"core-switch"}, "x", "core"), ({"Border Router"}, "x", "edge"), ({"server"}, "tor-1", None), (set(), "spine9", None),
    ],
)  # fmt: skip
def test_only_whole_words_make_a_switch(marks, name, tier):
    assert Rules().tier_of(FoundNode(name, "a", marks=frozenset(marks))) == tier


def test_a_person_has_the_last_word_on_what_is_a_switch():
    node = FoundNode("hv-1", "a", is_switch=True, marks=frozenset({"kvm-router"}))
    assert Rules().tier_of(node) == "edge"
    assert Rules(hosts=("hv-*",)).tier_of(node) is None
    assert Rules(tiers=(("leaf", "hv-*"),)).tier_of(node) == "leaf"


@pytest.mark.parametrize(
    "word", ["yes", "1e3", "a: b", "{x}", "null", "#1", "über\u2028", "\x00", '"', "0x1F", "12:30", "- a", "&x", "~"]
)
def test_words_of_others_stay_text(word):
    node = FoundNode("h", "where", rack="r", owner=word)
    rules = Rules(roles=(("gateway", "h"),), endpoint="https://h")
    text = draft(Fragment((node,)), rules, "x").text
    assert site.parse(text).host("h").owner == word


def test_notes_cannot_leave_their_comment():
    fragment = Fragment((FoundNode("h", "w", rack="r", address="a"),), notes=netbox.read({"a\nkind: lab": "[7]"}).notes)
    rules = Rules(roles=(("gateway", "h"),), endpoint="https://h")
    assert site.parse(draft(fragment, rules, "x").text).kind == "real"
