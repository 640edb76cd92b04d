"""Only loopback, whatever the name says: the first promise of safety."""

# ruff: noqa: E501 (messages stand here whole, as a person reads them)

import ipaddress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from permits import HOUR_NS, NOON_NS, verified

from maul.core.errors import ExitCode, PermitError
from maul.guard.permit import (
    Permission,
    ResolvedTarget,
    Sender,
    check_senders,
    check_targets,
    check_window,
    expired,
    strayed,
)
from maul.hosts.own_place import OwnPlace, Route


def target(*addresses, name="vip", host="s3.example", port=443):
    return ResolvedTarget(name, host, port, addresses)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.255.255.254", "127.64.0.1", "::1", "0:0:0:0:0:0:0:1"])
def test_loopback_passes(address):
    assert check_targets([target(address)]) is None


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1", "8.8.8.8", "0.0.0.0", "126.255.255.255", "128.0.0.0", "169.254.169.254", "255.255.255.255", "192.168.0.1",
        "::", "::2", "fe80::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::1%lo", "2001:db8::1",
        "127.1", "2130706433", "0x7f000001", "127.0.0.1:80", "localhost", "", " 127.0.0.1", "127.0.0.1/8",
    ],
)  # fmt: skip
def test_anything_else_is_refused(address):
    with pytest.raises(PermitError) as caught:
        check_targets([target(address)])
    assert caught.value.exit_code is ExitCode.NOT_PERMITTED
    assert "nothing was sent" in caught.value.message


def test_one_address_outside_spoils_the_name():
    with pytest.raises(PermitError):
        check_targets([target("127.0.0.1", "10.0.0.1")])


def test_one_target_outside_spoils_all():
    with pytest.raises(PermitError):
        check_targets([target("127.0.0.1"), target("10.0.0.1"), target("::1")])


def test_the_message_names_every_target_and_says_what_to_do():
    with pytest.raises(PermitError) as caught:
        check_targets(
            [target("127.0.0.1", "10.0.0.1", "10.0.0.2"), target("1.2.3.4", name="s3-1", port=80), target()], "prod"
        )
    assert caught.value.message == (
        "site prod: not permitted, nothing was sent: vip (s3.example:443) leads to 10.0.0.1, 10.0.0.2, which is not "
        "loopback; s3-1 (s3.example:80) leads to 1.2.3.4, which is not loopback; vip (s3.example:443) leads to no address\n"
        "  maul hits loopback and its own lab (`maul lab up`); anything else needs a signed permit in the campaign "
        "(`maul permit draft`, docs/concepts/permit.md)"
    )


def test_no_target_is_no_permit():
    with pytest.raises(PermitError, match="there is no target to permit"):
        check_targets([])


def test_a_name_without_address_is_no_permit():
    with pytest.raises(PermitError, match="leads to no address"):
        check_targets([target("127.0.0.1"), target()])


@given(st.ip_addresses())
def test_no_address_outside_loopback_ever_passes(address):
    inside = address in ipaddress.ip_network("127.0.0.0/8" if address.version == 4 else "::1/128")
    try:
        check_targets([target(str(address))])
    except PermitError:
        assert not inside
    else:
        assert inside


# ---------------------------------------------------------------- with a permit


def allowed(**changes):
    return Permission(permit=verified(**changes))


def vip(*addresses, name="vip", host="s3.example", port=443, page=False):
    return ResolvedTarget(name, host, port, addresses, page)


@pytest.mark.parametrize("addresses", [("192.0.2.10",), ("192.0.2.11",), ("192.0.2.10", "192.0.2.11")])
def test_the_addresses_of_a_permit_pass(addresses):
    check_targets([vip(*addresses), vip(*addresses, host="S3.Example")], permission=allowed())


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (vip("192.0.2.12"), "allows 192.0.2.10, 192.0.2.11"),
        (vip("192.0.2.10", "192.0.2.12"), "leads to 192.0.2.12"),
        (vip("::ffff:192.0.2.10"), "leads to ::ffff:192.0.2.10"),
        (vip("192.0.2.10%eth0"), "leads to"),
        (vip("2001:db8::10"), "leads to 2001:db8::10"),
        (vip("127.0.0.1"), "leads to 127.0.0.1"),
        (vip(), "leads to no address"),
        (vip("192.0.2.10", port=80), "is not in permit trial"),
        (vip("192.0.2.10", host="other.example"), "is not in permit trial"),
        (vip("192.0.2.10", name="s3-1"), "is not in permit trial"),
        (vip("192.0.2.20", name="x", host="192.0.2.20", port=9100), "is not in permit trial"),
        (vip("127.0.0.1", name="lab", host="127.0.0.1"), "is not in permit trial"),
    ],
)
def test_what_a_permit_does_not_name_is_refused_loopback_included(target, says):
    with pytest.raises(PermitError, match="nothing was sent") as caught:
        check_targets([vip("192.0.2.10"), target], permission=allowed())
    assert says in caught.value.message


def test_pages_are_read_where_the_permit_says_so_and_never_loaded():
    page = vip("192.0.2.20", name="node, metrics", host="192.0.2.20", port=9100, page=True)
    check_targets([page, vip("192.0.2.10", name="vip, health", page=True)], permission=allowed())
    with pytest.raises(PermitError):
        check_targets([vip("192.0.2.21", host="192.0.2.21", port=9100, page=True)], permission=allowed())


LAB = OwnPlace(Path("/labs/lab"), "ops", (Route("10.77.0.0/16"),))
WITH_A_WAY_OUT = replace(LAB, routes=(*LAB.routes, Route("0.0.0.0/0", "10.77.0.254")))


def test_inside_the_lab_its_own_addresses_pass():
    check_targets([target("10.77.1.2"), target("127.0.0.1")], permission=Permission(LAB))
    for outside in ("10.78.0.1", "8.8.8.8", "fd77::1", "::ffff:10.77.1.2", "10.77.1"):
        with pytest.raises(PermitError, match="nor of the lab around it"):
            check_targets([target(outside)], permission=Permission(LAB))


@pytest.mark.parametrize("place", [OwnPlace(), WITH_A_WAY_OUT])
def test_the_labs_addresses_seen_from_elsewhere_are_somebodys_network(place):
    with pytest.raises(PermitError, match="which is not loopback"):
        check_targets([target("10.77.1.2")], permission=Permission(place))


def test_with_a_permit_the_lab_is_no_excuse():
    with pytest.raises(PermitError):
        check_targets([target("10.77.1.2")], permission=Permission(LAB, verified()))


@pytest.mark.parametrize(
    ("after_ns", "seconds", "says"),
    [
        (-1, 1.0, "does not hold before"),
        (4 * HOUR_NS, 1.0, "expired at"),
        (4 * HOUR_NS - 10**9, 2.0, "the run takes 2.0 s, and it expires in 1.0 s"),
        (0, 5 * 3600.0, "the run takes 300 min"),
    ],
)
def test_the_window_must_cover_the_whole_run(after_ns, seconds, says):
    with pytest.raises(PermitError, match=says):
        check_window(verified(), NOON_NS + after_ns, seconds)


def test_within_the_window_a_run_begins_and_ends():
    check_window(verified(), NOON_NS, 4 * 3600.0)
    assert expired(verified(), NOON_NS + 4 * HOUR_NS - 1) is None
    assert "expired at 2026-11-23T16:00:00Z" in expired(verified(), NOON_NS + 4 * HOUR_NS)


@pytest.mark.parametrize(
    ("sender", "fine"),
    [
        (Sender(("load-1",), ("198.51.100.7",)), True),
        (Sender(("agent", "load-1"), ("198.51.100.7",)), True),
        (Sender(("load-2",), ("198.51.100.7",)), False),
        (Sender(("load-1",), ("203.0.113.1",)), False),
        (Sender(("load-1",), ("198.51.100.7", "203.0.113.1")), False),
        (Sender(("load-1",), ()), False),
        (Sender(("load-1",), ("::ffff:198.51.100.7",)), False),
        (Sender((), ("198.51.100.7",)), False),
    ],
)
def test_only_listed_generators_send(sender, fine):
    known = Sender(("load-1",), ("198.51.100.1",))
    if fine:
        check_senders(verified(), [known, sender])
    else:
        with pytest.raises(PermitError, match="not in its list"):
            check_senders(verified(), [known, sender])


def test_a_name_or_a_range_alone_is_enough():
    by_name = verified(generators=[{"name": "load-1", "owner": "a"}])
    check_senders(by_name, [Sender(("load-1",), ())])
    by_range = verified(generators=[{"addresses": ["198.51.100.7", "2001:db8:0:1::/64"], "owner": "a"}])
    check_senders(by_range, [Sender(("any",), ("198.51.100.7",)), Sender((), ("2001:db8:0:1::5",))])
    with pytest.raises(PermitError):
        check_senders(by_range, [Sender(("any",), ("198.51.100.8",))])


def test_a_name_that_strays_is_told():
    assert strayed(verified(), [vip("192.0.2.10")]) is None
    assert "203.0.113.1" in strayed(verified(), [vip("192.0.2.10", "203.0.113.1")])
