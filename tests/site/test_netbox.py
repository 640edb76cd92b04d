"""NetBox's lists become a fragment: a hall of 42 devices, older versions, and everything that exports get wrong."""

# ruff: noqa: E501 (messages and tables stand here whole)

import json
import time
from pathlib import Path

import pytest

from maul.core.errors import CampaignError
from maul.site.importing import netbox

DATA = Path(__file__).parent / "data" / "netbox"
KINDS = ("devices", "interfaces", "cables", "racks")


def read(**lists):
    return netbox.read({f"{kind}.json": json.dumps(entries) for kind, entries in lists.items()})


def device(number, name, **more):
    return {"id": number, "name": name, "device_type": {"id": 1}, **more}


def interface(number, of, name, **more):
    return {"id": number, "device": {"id": of}, "name": name, "type": {"value": "25gbase-x-sfp28"}, **more}


def cable(number, a, b, **more):
    def ends(side):
        return [{"object_type": "dcim.interface", "object_id": one} for one in side]

    return {"id": number, "a_terminations": ends(a), "b_terminations": ends(b), **more}


def notes_of(fragment):
    return [note.says for note in fragment.notes]


@pytest.fixture(scope="module")
def hall():
    return netbox.read({f"{kind}.json": (DATA / f"{kind}.json").read_text(encoding="utf-8") for kind in KINDS})


def test_a_hall_is_understood(hall):
    nodes = {node.name: node for node in hall.nodes}
    assert len(nodes) == 42
    assert hall.racks == ("a01", "a02", "a03", "a04")
    batch = nodes["batch-11"]
    assert (batch.address, batch.rack, batch.owner) == ("10.0.11.11", "a01", "Batch Team")
    assert {"compute", "lendable", "batch-team"} <= batch.marks
    assert [(nic.name, nic.speed_bps) for nic in batch.nics] == [
        ("ens1f0", 25e9)
    ]  # no BMC, nothing disabled or virtual
    links = {frozenset(link.ends): link for link in hall.links}
    assert len(links) == 8 + 2 + 16 + 2 + 8  # uplinks, edge, one each for 24 servers, two bonds
    assert links[frozenset(("batch-11:ens1f0", "tor-a01:Ethernet1"))].capacity_bps == 25e9
    assert links[frozenset(("tor-a01:Ethernet49", "spine-1:Ethernet1/1"))].capacity_bps == 100e9  # by its type


def test_interfaces_see_through_patch_panels(hall):
    assert {link.ends for link in hall.links if "br-01" in link.ends[0] or "br-01" in link.ends[1]} == {
        ("br-01:et-0/0/0", "spine-1:Ethernet1/31"),
        ("br-01:et-0/0/1", "spine-2:Ethernet1/31"),
    }


def test_bonds_become_links_of_several_members(hall):
    bonds = [link for link in hall.links if "lb-1:bond0" in link.ends]
    assert [(set(link.ends), link.capacity_bps, link.members) for link in bonds] == [
        ({"lb-1:bond0", "tor-a03:Port-Channel1"}, 50e9, 2)
    ]


def test_what_was_left_out_is_said(hall):
    said = " | ".join(notes_of(hall))
    assert "26 cables of a management or virtual interface" in said
    assert "5 cables ending at something else than two interfaces" in said
    assert '"spare-1" is inventory in NetBox' in said


def test_older_versions_are_understood():
    found = read(
        devices={"count": 2, "results": [device(1, "srv", device_role={"slug": "server"}), device(2, "tor")]},
        interfaces=[interface(10, 1, "eth0", speed=10_000_000), interface(20, 2, "xe-0", type={"value": "lag"})],
        cables=[
            {"id": 5, "termination_a_type": "dcim.interface", "termination_a_id": 10,
             "termination_b_type": "dcim.interface", "termination_b": {"id": 20}}
        ],
    )  # fmt: skip
    assert found.nodes[0].marks == {"server"}
    assert [(link.ends, link.capacity_bps) for link in found.links] == [(("srv:eth0", "tor:xe-0"), 10e9)]


def test_speeds_are_kbit_per_s():
    found = read(devices=[device(1, "a")], interfaces=[interface(9, 1, "e", speed=1_000_000)])
    assert found.nodes[0].nics[0].speed_bps == 1e9


def test_a_page_says_that_it_is_one():
    found = read(devices={"count": 120, "next": "…", "results": [device(1, "a")]})
    assert any("only 1 of 120 entries" in says for says in notes_of(found))


def test_a_cable_with_three_terminations_is_a_breakout():
    ports = [interface(10, 1, "et-0", speed=100_000_000)] + [interface(20 + n, 2 + n, "eth0") for n in range(3)]
    machines = [device(1, "tor"), *(device(2 + n, f"s{n}") for n in range(3))]
    found = read(devices=machines, interfaces=ports, cables=[cable(7, [10], [20, 21])])
    assert [(link.ends, link.capacity_bps) for link in found.links] == [
        (("tor", "s0:eth0"), 25e9),
        (("tor", "s1:eth0"), 25e9),
    ]
    assert any("tor:et-0 is broken out to 2 ports" in says for says in notes_of(found))
    found = read(devices=machines, interfaces=ports, cables=[cable(7, [10, 20], [21, 22])])
    assert found.links == ()
    assert any("which is wired to which is not known" in says for says in notes_of(found))


def test_a_bond_over_two_switches_stays_two_links():
    lag = {"lag": {"id": 90, "name": "bond0"}}
    found = read(
        devices=[device(1, "srv"), device(2, "tor-a"), device(3, "tor-b")],
        interfaces=[
            interface(10, 1, "e0", **lag),
            interface(11, 1, "e1", **lag),
            interface(20, 2, "p1"),
            interface(30, 3, "p1"),
        ],
        cables=[cable(1, [10], [20]), cable(2, [11], [30])],
    )
    assert [link.ends for link in found.links] == [("srv:e0", "tor-a:p1"), ("srv:e1", "tor-b:p1")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"results": [', "is not JSON"),
        ("", "is not JSON"),
        ('{"detail": "Invalid token"}', "is no list of NetBox"),
        ('"devices"', "is no list of NetBox"),
        ("[" * 100_000, "is not JSON that can be read"),
        ('[{"id": ' + "9" * 5000 + "}]", "is not JSON that can be read"),
    ],
)
def test_broken_files_are_refused(text, says):
    with pytest.raises(CampaignError, match=says) as caught:
        netbox.read({"x.json": text})
    assert caught.value.message.startswith("x.json")


def test_missing_keys_and_strange_entries_are_left_out():
    found = read(
        devices=[device(1, "a"), {"device_type": None}, {"id": 3, "name": None, "device_type": {}, "rack": "r1", "tags": 5}, 7, None],
        interfaces=[{"device": None, "type": 3}, interface(10, 99, "eth0"), interface(11, 1, None), interface(12, 1, "eth0")],
        cables=[
            cable(1, [12], []), cable(2, [12], [77]), {"id": 3, "a_terminations": "x", "b_terminations": {}},
            cable(4, [12], [12]), {"a_terminations": [None], "b_terminations": [3]},
        ],
    )  # fmt: skip
    assert [node.name for node in found.nodes] == ["a", "device", "device-3"]
    assert found.links == ()


def test_names_of_all_kinds_become_names_of_a_site():
    found = read(
        devices=[
            device(1, "Büro Switch #1"),
            device(2, "SRV"),
            device(3, "srv"),
            device(4, "服务器"),
            device(5, "x" * 200),
        ]
    )
    names = [node.name for node in found.nodes]
    assert names[:3] == ["buro-switch-1", "srv", "srv-2"]
    assert len(set(names)) == 5
    assert max(map(len, names)) <= 63
    assert any('"srv" is called srv-2 here' in says for says in notes_of(found))


def test_ten_thousand_devices_take_seconds():
    machines = [device(n, f"srv-{n}", rack={"name": f"r{n // 40}"}, role={"slug": "server"}) for n in range(1, 10_001)]
    switches = [device(20_000 + n, f"tor-{n}", role={"slug": "leaf"}) for n in range(251)]
    ports = [interface(100_000 + n, n, "eth0") for n in range(1, 10_001)]
    ports += [interface(200_000 + n, 20_000 + n // 40, f"p{n % 40}") for n in range(1, 10_001)]
    cables = [cable(n, [100_000 + n], [200_000 + n]) for n in range(1, 10_001)]
    texts = {"d": json.dumps(machines + switches), "i": json.dumps(ports), "c": json.dumps(cables)}
    began = time.process_time()
    found = netbox.read(texts)
    assert time.process_time() - began < 8
    assert (len(found.nodes), len(found.links)) == (10_251, 10_000)
