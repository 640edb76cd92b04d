"""An Ansible inventory becomes a fragment, as INI, as YAML and as `ansible-inventory --list` prints it."""

import time
from pathlib import Path

import pytest

from maul.core.errors import CampaignError
from maul.site.importing import ansible

DATA = Path(__file__).parent / "data" / "ansible"


def data(name):
    return ansible.read((DATA / name).read_text(encoding="utf-8"), name)


@pytest.mark.parametrize("name", ["hosts.ini", "hosts.yml"])
def test_a_hall_is_understood(name):
    nodes = {node.name: node for node in data(name).nodes}
    assert len(nodes) == 1 + 16 + 8 + 12 + 2 + 5
    assert nodes["bastion"].address == "192.0.2.10"
    assert nodes["bastion"].ssh_user == "ops"
    assert {"rack_a01"} <= nodes["batch-a01-08.nord.example.net"].marks
    assert nodes["store-07"].ssh_user == "storage"
    assert {"volumes", "storage"} <= nodes["store-07"].marks
    assert "rack_a03" in nodes["lb-b"].marks
    assert (nodes["lb-a"].address, nodes["lb-a"].ssh_port) == ("10.3.0.1", 2222)
    assert (nodes["lb-b"].address, nodes["lb-b"].ssh_user) == ("10.3.0.2", "admin")
    assert "all" not in nodes["bastion"].marks


def test_the_nearest_group_has_the_last_word():
    nodes = {node.name: node for node in data("hosts.ini").nodes}
    assert nodes["batch-a01-01.nord.example.net"].ssh_user == "batch"
    assert nodes["web-a01-1"].ssh_user == "admin"


def test_secrets_are_not_read():
    found = repr([data(name) for name in ("hosts.ini", "hosts.yml")])
    assert "not to be read" not in found
    assert "ANSIBLE_VAULT" not in found


def test_a_templated_variable_is_said_not_taken():
    found = data("hosts.yml")
    assert any("4 hosts with a templated variable" in note.says for note in found.notes)
    assert {node.ssh_port for node in found.nodes if node.name.startswith("web-a02")} == {None}


def test_the_list_of_ansible_inventory_is_understood():
    found = ansible.read(
        '{"_meta": {"hostvars": {"a": {"ansible_host": "10.0.0.1", "rack": "R 7", "ansible_port": 99999}}},'
        ' "all": {"children": ["web"]}, "web": {"hosts": ["a", "b"]}}',
        "list.json",
    )
    assert [(node.name, node.address, node.rack, node.ssh_port) for node in found.nodes] == [
        ("a", "10.0.0.1", "r-7", None),
        ("b", "b", None, None),
    ]
    assert any('the port of "a" is no port' in note.says for note in found.notes)


def test_circles_of_groups_end():
    found = ansible.read("[a]\nh\n[a:children]\nb\n[b:children]\na\n", "i")
    assert found.nodes[0].marks == {"a", "b"}


def test_hosts_of_one_name_are_one_and_strange_names_are_spelt_otherwise():
    found = ansible.read("[x]\nSRV_1\nsrv_1\nSRV_1\nbüro-1\n", "i")
    assert [node.name for node in found.nodes] == ["srv_1", "srv_1-2", "buro-1"]
    assert found.nodes[2].address == "büro-1"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is an inventory without hosts"),
        ("[a]\nsrv[1:\n", r"i:2: 'srv\[1:' is no host and no range"),
        ("[a]\nsrv[10:1]\n", r"i:2: \[10:1\] is no range"),
        ("[a]\nsrv[0:999999]\n", "a range of more than 100000 hosts"),
        ("[a]\nsrv[0:99999][0:9]\n", "a range of more than|has more than 100000 hosts"),
        ("[a]\nsrv ansible_user='x\n", "i:2: a quotation mark is not closed"),
        ("[a:kids]\nb\n", r"i:1: \[a:kids\] is not understood"),
        ("---\n- a\n- b\n", "is no inventory"),
        ("---\nall: {hosts: [a\n", "is not YAML"),
        ("all:\n  hosts: &x {a: *x}\n", "is not YAML|is nested too deep"),
        ("all: " + "{children: {a: " * 200 + "{}" + "}}" * 200, "nested too deep"),
    ],
)
def test_broken_inventories_are_refused(text, says):
    with pytest.raises(CampaignError, match=says):
        ansible.read(text, "i")


def test_ten_thousand_hosts_take_seconds():
    began = time.process_time()
    assert len(ansible.read("[rack_a]\nsrv-[00001:10000] ansible_user=x\n", "i").nodes) == 10_000
    lines = "".join(f"    srv-{number}: {{ansible_host: 10.0.0.1}}\n" for number in range(10_000))
    assert len(ansible.read(f"all:\n  hosts:\n{lines}", "i").nodes) == 10_000
    assert time.process_time() - began < 15
