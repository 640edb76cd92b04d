"""What lldpctl prints becomes a fragment, and holds a site to what is really plugged in."""

# ruff: noqa: E501 (messages and tables stand here whole)

import json
from pathlib import Path

import pytest

from maul import site
from maul.core.errors import CampaignError
from maul.site.importing import lldp, verify
from maul.site.importing.fragment import same_port

ROOT = Path(__file__).resolve().parent
DATA = ROOT / "data" / "lldp"
EXAMPLE = ROOT.parent.parent / "examples/sites/three-racks.yaml"


def data(name):
    return lldp.read((DATA / name).read_text(encoding="utf-8"), name)


def test_one_neighbour_as_json():
    found = data("BATCH-11.json")
    assert [(link.ends, link.capacity_bps) for link in found.links] == [
        (("batch-11:ens1f0", "tor-a01.dc.example.net:Ethernet1"), 25e9)
    ]
    tor = found.nodes[1]
    assert (tor.address, tor.is_switch) == ("10.0.1.1", True)


def test_many_neighbours_as_json():
    found = data("tor-a01.json")
    assert len(found.links) == 2 + 5 + 3
    ends = {link.ends for link in found.links}
    assert ("tor-a01:Ethernet3", "batch-13:ens1f0") in ends  # its id is a MAC address, its description a name
    assert {node.name: node.is_switch for node in found.nodes}["batch-13"] is False
    assert any("1 neighbour without a name" in note.says for note in found.notes)


def test_json0():
    found = data("web-21.json0")
    assert [(link.ends, link.capacity_bps) for link in found.links] == [(("web-21:ens1f0", "tor-a02:Ethernet6"), 25e9)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not JSON"),
        ("[]", "is not what lldpctl prints"),
        ('{"lldp": {"interface"', "is not JSON"),
        ("{}", "is not what"),
    ],
)
def test_broken_files_are_refused(text, says):
    with pytest.raises(CampaignError, match=says):
        lldp.read(text, "h.json")


@pytest.mark.parametrize(
    "body",
    [None, [], {}, 7, {"interface": None}, {"interface": [None, 3, {"eth0": None}, {"eth1": {"chassis": 5, "port": []}}]},
     [{"interface": [{"name": "eth0", "chassis": [], "port": [{}]}]}], {"interface": {"eth0": {"chassis": {}, "port": None}}}],
)  # fmt: skip
def test_missing_keys_make_no_links(body):
    assert lldp.read(json.dumps({"lldp": body}), "h.json").links == ()


def heard(*entries):
    """lldpctl's words for cards that hear a port of a switch."""
    cards = [
        {
            card: {
                "via": "LLDP",
                "chassis": {far: {"id": {"type": "mac", "value": "x"}}},
                "port": {"id": {"type": "ifname", "value": port}},
            }
        }
        for card, far, port in entries
    ]
    return json.dumps({"lldp": {"interface": cards}})


def verified(**hosts):
    asked = [(lldp.host_of_file(f"{name}.json"), lldp.read(text, f"{name}.json")) for name, text in hosts.items()]
    return verify(site.load(EXAMPLE), asked)


def test_what_agrees_is_confirmed():
    found = verified(
        **{
            "load-r1-1": heard(("eth0", "tor-r1.example.net", "Ethernet1")),
            "shop-r1-1": heard(("eth0", "tor-r1", "Eth3")),
        }
    )
    assert (found.differences, found.confirmed, found.asked) == ((), 2, ("load-r1-1", "shop-r1-1"))


@pytest.mark.parametrize(
    ("text", "kinds", "says"),
    [
        (heard(("eth0", "tor-r2", "eth9")), ["contradicted", "unseen"], "load-r1-1:eth0 – tor-r2:eth9 is seen; the site has load-r1-1:eth0 – tor-r1:eth1"),
        (heard(("eth0", "tor-r1", "eth7")), ["contradicted", "unseen"], "the site has other ports: load-r1-1:eth0 – tor-r1:eth1"),
        (heard(("eth0", "tor-r1", "eth1"), ("eth1", "tor-r2", "eth5")), ["contradicted"], "the site has no such link"),
        (heard(("eth0", "tor-r1", "eth1"), ("mgmt", "oob-1", "ge-0")), ["outside"], "the site knows no oob-1"),
        (heard(), ["unseen"], "load-r1-1:eth0 – tor-r1:eth1 is not seen from load-r1-1"),
    ],
)  # fmt: skip
def test_what_differs_is_named(text, kinds, says):
    found = verified(**{"load-r1-1": text})
    assert [difference.kind for difference in found.differences] == kinds
    assert any(says in difference.says for difference in found.differences)


def test_only_who_was_asked_can_miss_a_link():
    found = verified(**{"lb-1": heard(("bond0", "tor-r3", "po1"))})
    assert (found.differences, found.confirmed) == ((), 1)


def test_spellings_of_ports():
    assert same_port("TenGigabitEthernet1/1/1", "Te1/1/1")
    assert same_port("et-0/0/48", "et0/0/48")
    assert not same_port("eth1", "eth11")
    assert not same_port("swp1", "eth1")
    assert not same_port("mgmt", "eth")
