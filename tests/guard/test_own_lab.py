"""Shut up in the lab, or not: every doubt is a no."""

from pathlib import Path

import pytest

from maul.guard.own_lab import is_lab_address, is_own_lab
from maul.hosts.own_place import OwnPlace, Route, own_place, routes_v4, routes_v6

LAN = Route("10.77.0.0/16")
INSIDE = OwnPlace(Path("/labs/lab"), "ops", (LAN,))
ROUTED = tuple(Route(to, "10.77.0.254") for to in ("10.78.0.0/24", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"))
BEFORE_BORDER = OwnPlace(Path("/labs/lab"), "ops", (LAN, *ROUTED))


def test_in_a_host_of_a_lab_with_no_way_out():
    assert is_own_lab(INSIDE)
    assert is_lab_address(INSIDE, "10.77.0.100")


@pytest.mark.parametrize(
    "place",
    [
        OwnPlace(),
        OwnPlace(None, None, (LAN,)),
        OwnPlace(Path("/l"), "ops", ()),
        OwnPlace(Path("/l"), "ops", (LAN, Route("0.0.0.0/0"))),
        OwnPlace(Path("/l"), "ops", (LAN, Route("0.0.0.0/0", "10.77.0.254"))),
        OwnPlace(Path("/l"), "ops", (LAN, Route("198.51.100.0/24", "10.77.0.253"))),
        OwnPlace(Path("/l"), "ops", (LAN, *ROUTED, Route("198.51.0.0/16", "10.77.0.254"))),
        OwnPlace(Path("/l"), "ops", (LAN, *ROUTED, Route("192.168.1.0/24", "10.77.0.254"))),
        OwnPlace(Path("/l"), "ops", (LAN, Route("::/0"))),
        OwnPlace(Path("/l"), "ops", (LAN, Route("192.168.1.0/24"))),
        OwnPlace(Path("/l"), "ops", (Route("10.0.0.0/8"),)),
        OwnPlace(Path("/l"), "ops", (Route("10.77.3.0/24", "10.77.0.254"),)),
    ],
)
def test_any_way_out_or_no_living_lab_is_a_no(place):
    assert not is_own_lab(place)
    assert not is_lab_address(place, "10.77.0.100")


def test_behind_the_border_of_a_lab_and_where_no_route_leads():
    assert is_own_lab(BEFORE_BORDER)
    assert is_lab_address(BEFORE_BORDER, "198.51.100.10") and is_lab_address(BEFORE_BORDER, "203.0.113.10")
    assert not is_lab_address(INSIDE, "198.51.100.10"), "this lab has no border"
    outside = OwnPlace(Path("/l"), "ext", (Route("192.0.2.0/24"), Route("198.51.100.0/24", "192.0.2.1")))
    assert is_own_lab(outside)
    assert is_lab_address(outside, "198.51.100.10") and not is_lab_address(outside, "10.77.0.1")


@pytest.mark.parametrize("address", ["10.78.0.1", "::ffff:10.77.0.100", "10.77.0.100%eth0", "s3.lab", "", "10.77.1"])
def test_an_address_outside_or_in_disguise_is_a_no(address):
    assert not is_lab_address(INSIDE, address)


def test_this_process_is_in_no_lab_of_a_directory_without_holders(tmp_path):
    assert own_place([tmp_path, tmp_path / "absent"]) == OwnPlace()


def test_a_default_route_is_seen_in_both_families():
    head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    line = "eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    assert routes_v4(head + line) == (Route("0.0.0.0/0", "10.0.0.1"),)
    zero = "0" * 32
    assert routes_v6(f"{zero} 00 {zero} 00 {zero} 00000400 00000001 00000000 00000001     eth0\n") == (Route("::/0"),)
    assert routes_v6(f"{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n") == ()
    link_local = "fe80" + "0" * 28
    assert routes_v6(f"{link_local} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth0\n") == ()
