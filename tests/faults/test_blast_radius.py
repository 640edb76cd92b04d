"""What the cluster promises to survive, and not more."""

import pytest

from maul.faults.blast_radius import refusal
from maul.site import Site, parse


def site(
    survives: int = 1, copies: int = 2, across: str = "rack", volumes: str = "1 1 2 3", promise: bool = True
) -> Site:
    services = [("master", rack) for rack in (1, 2, 3)]
    services += [("volume", int(rack)) for rack in volumes.split()]
    services += [("filer", 1), ("filer", 2), ("gateway", 1), ("gateway", 2), ("balancer", 0)]
    lines = [
        "version: 1",
        "name: place",
        "kind: real",
        "racks: [r0, r1, r2, r3]",
        "endpoints: [{name: vip, kind: balancer, url: 'https://10.0.0.1', serves: [balancer-0]}]",
        *([f"redundancy: {{copies: {copies}, survives: {survives}, across: {across}}}"] if promise else []),
        "hosts:",
    ]
    names: dict[str, int] = {}
    listed = []
    for number, (role, rack) in enumerate(services):
        lines.append(f"  - {{name: h{number}, address: 10.0.1.{number}, rack: r{rack}}}")
        names[role] = names.get(role, -1) + 1
        listed.append(f"  - {{name: {role}-{names[role]}, role: {role}, host: h{number}}}")
    return parse("\n".join([*lines, "services:", *listed, ""]))


@pytest.mark.parametrize(
    ("target", "hurt", "why"),
    [
        ("volume-0", [], None),
        ("volume-2", [], None),
        ("master-0", [], None),
        ("gateway-0", [], None),
        ("filer-1", [], None),
        ("volume-1", ["volume-0"], None),  # the same rack
        ("master-0", ["volume-0", "gateway-0", "filer-0"], None),  # still the same rack
        ("volume-2", ["volume-0"], "2 racks"),
        ("gateway-1", ["volume-0"], "2 racks"),
        ("master-1", ["master-0"], "2 racks"),
        ("gateway-1", ["gateway-0"], "2 racks"),
        ("balancer-0", [], "0 balancers; the cluster needs 1"),
        ("balancer-0", ["balancer-0"], "0 balancers"),
        ("ghost", [], "no such service"),
        ("volume-0", ["ghost"], "no such service"),
    ],
)  # fmt: skip
def test_one_rack_may_be_hurt(target, hurt, why):
    said = refusal(site(), target, hurt)
    assert said is None if why is None else said and why in said


def test_hurting_the_same_again_is_no_more_harm():
    assert refusal(site(), "volume-0", ["volume-0"]) is None


def test_a_cluster_that_survives_nothing_is_not_hurt():
    assert "promises to survive 0" in refusal(site(survives=0), "volume-0", [])


def test_a_cluster_that_promises_nothing_is_not_hurt():
    assert "does not say" in refusal(site(promise=False), "volume-0", [])


def test_two_racks_of_two_copies_leave_no_place_for_a_new_object():
    assert "1 racks with a volume server; the cluster needs 2" in refusal(site(volumes="1 2"), "volume-0", [])


def test_hosts_as_domains_count_hosts():
    by_host = site(across="host")
    assert "2 hosts at once" in refusal(by_host, "volume-1", ["volume-0"])
    assert refusal(by_host, "volume-1", []) is None


def test_three_copies_survive_two_racks_but_masters_still_need_their_majority():
    sturdy = site(survives=2, copies=3, volumes="1 1 2 3 0")
    assert refusal(sturdy, "volume-0", ["gateway-1"]) is None
    assert "1 masters; the cluster needs 2" in refusal(sturdy, "master-1", ["master-0"])
