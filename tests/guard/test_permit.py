"""Only loopback, whatever the name says: the first promise of safety."""

# ruff: noqa: E501 (messages stand here whole, as a person reads them)

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maul.core.errors import ExitCode, PermitError
from maul.guard.permit import ResolvedTarget, check_targets


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
        "  maul hits only loopback (127.0.0.0/8, ::1) for now; run it against the lab (`maul lab up`)"
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
