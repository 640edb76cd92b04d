"""A topology of containerlab becomes a fragment."""

import time
from pathlib import Path

import pytest

from maul.core.errors import CampaignError
from maul.site.importing import containerlab

DATA = Path(__file__).parent / "data" / "containerlab" / "nord.clab.yml"


def notes_of(fragment):
    return " | ".join(note.says for note in fragment.notes)


@pytest.fixture(scope="module")
def fabric():
    return containerlab.read(DATA.read_text(encoding="utf-8"), "nord.clab.yml")


def test_a_fabric_is_understood(fabric):
    nodes = {node.name: node for node in fabric.nodes}
    assert len(nodes) == 2 + 4 + 32 + 1
    assert (nodes["leaf3"].rack, nodes["leaf3"].is_switch, nodes["leaf3"].address) == ("r3", True, "172.20.20.23")
    assert nodes["srv11"].is_switch is False  # its kind is its group's
    assert {"servers", "linux", "batch", "owner=net-team"} <= nodes["srv11"].marks
    assert {"store", "storage"} <= nodes["srv48"].marks
    assert nodes["srv21"].rack is None
    assert len(fabric.links) == 8 + 32 + 1
    links = {link.ends: link for link in fabric.links}
    assert links["srv41:eth1", "leaf4:e1-1"].capacity_bps == 25e9  # extended, with a label
    assert links["srv11:eth1", "leaf1:e1-1"].capacity_bps is None


def test_what_leads_out_is_left_out_and_said(fabric):
    assert "left out: 2 links leading out of the topology" in notes_of(fabric)
    assert "the capacity of its links is not known" in notes_of(fabric)


def topology(links):
    return f"topology:\n  nodes: {{a: {{kind: linux}}, b: {{kind: bridge}}, C: }}\n  links:\n{links}"


@pytest.mark.parametrize(
    ("links", "says"),
    [
        ('    - endpoints: ["a:eth1", "nobody:eth1"]', "no node is named nobody"),
        ('    - endpoints: ["a:eth1", "b:eth1", "C:eth1"]', "it has 3 ends"),
        ('    - endpoints: ["a:eth1"]', "it has 1 end"),
        ('    - endpoints: ["a:eth1", "a:eth2"]', "clashes"),
        ('    - endpoints: ["a:e", "b:e"]\n    - endpoints: ["C:e", "b:e"]', "clashes"),
        (
            "    - endpoints: [{node: a, interface: eth1}, {node: b}]\n      labels: {speed: fast}",
            '"fast" is no bit rate',
        ),
        ("    - {endpoints: 7}", "it has 0 ends"),
        ("    - 3", "it has 0 ends"),
    ],
)
def test_strange_links_are_left_out_and_said(links, says):
    assert says in notes_of(containerlab.read(topology(links), "t"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no topology"),
        ("name: x\n", "is no topology"),
        ("topology: {nodes: []}\n", "is no topology"),
        ("topology: {nodes: {a: {\n", "is not YAML"),
        ("a: \x07", "is not YAML"),
    ],
)
def test_broken_files_are_refused(text, says):
    with pytest.raises(CampaignError, match=says):
        containerlab.read(text, "t")


def test_ten_thousand_nodes_take_seconds():
    nodes = "".join(f"    srv{number}: {{kind: linux}}\n" for number in range(10_000))
    links = "".join(f'    - endpoints: ["srv{number}:eth1", "br:p{number}"]\n' for number in range(10_000))
    text = f"topology:\n  nodes:\n    br: {{kind: bridge}}\n{nodes}  links:\n{links}"
    began = time.process_time()
    found = containerlab.read(text, "t")
    assert time.process_time() - began < 20
    assert (len(found.nodes), len(found.links)) == (10_001, 10_000)
