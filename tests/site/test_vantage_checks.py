"""Vantage points that do not fit the place are refused, and a place that cannot tell something apart is told."""

import pytest

from maul import site
from maul.core.errors import CampaignError
from maul.site.checks_vantage import blind_spots

SOUND = """\
version: 1
name: place
kind: real
racks: [r1]
hosts:
  - {name: lb, address: 10.0.2.1, rack: r1}
  - {name: load, address: 10.0.2.2, rack: r1, borrow: {}, ssh: {}}
  - {name: store, address: 10.0.2.3, rack: r1, ssh: {}}
  - {name: dark, address: 10.0.2.4, rack: r1}
services:
  - {name: haproxy, role: balancer, host: lb, metrics: "http://10.0.2.1:8405/metrics"}
  - {name: standby, role: balancer, host: lb}
  - {name: filer, role: filer, host: store}
endpoints:
  - {name: vip, kind: balancer, url: "https://198.51.100.10", serves: [haproxy]}
  - {name: control, kind: control, url: "https://203.0.113.10", serves: [haproxy]}
  - {name: private, kind: private, url: "https://10.0.2.1", serves: [haproxy]}
vantage:
  lookouts:
    - {name: out, role: external, endpoint: vip, from: store}
    - {name: ctl, role: control, endpoint: control}
    - {name: in, role: inside, endpoint: private, from: store}
  balancers:
    - {service: haproxy}
    - {service: standby, host: true, table: inet watch}
  feeds:
    - {name: hook, kind: webhook, listen: "127.0.0.1:9880"}
"""


def said(old: str, new: str) -> list[str]:
    assert SOUND.count(old) == 1, old
    with pytest.raises(CampaignError) as caught:
        site.parse(SOUND.replace(old, new), "s.yaml")
    return [line.split(": ", 1)[1] for line in caught.value.message.splitlines() if line.startswith("s.yaml")]


def test_the_sound_place_is_sound_and_sees_all() -> None:
    assert blind_spots(site.parse(SOUND)) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("endpoint: control}", "endpoint: contrl}", 'no endpoint is named "contrl"'),
        ("endpoint: control}", "endpoint: vip}", '"vip" is a balancer; a lookout of role control asks a control'),
        ("endpoint: private, from", "endpoint: control, from", "of role inside asks a private"),
        ("endpoint: vip, from", "endpoint: private, from", "of role external asks a balancer or gateway"),
        ("endpoint: vip, from: store", "endpoint: vip, from: stor", 'no host is named "stor"'),
        ("endpoint: vip, from: store", "endpoint: vip, from: load", "what it feels is what we do to it"),
        ("endpoint: vip, from: store", "endpoint: vip, from: dark", 'nobody said how "dark" is reached'),
        ('"https://203.0.113.10"', '"http://198.51.100.10:81"', 'is on the address of "vip", which is loaded'),
        ("{service: haproxy}", "{service: filer}", '"filer" is a filer, not a balancer'),
        ("{service: haproxy}", "{service: haprox}", 'no service is named "haprox"'),
        ("{service: haproxy}", "{service: standby}", '"standby" is read already, by vantage.balancers[0]'),
        ("standby, host: true, table: inet watch", "standby", 'nothing tells of "standby"'),
        ("{service: haproxy}", "{service: haproxy, table: inet watch}", "is of no use unless the machine is read"),
        ("name: ctl", "name: out", '"out" is already the name of vantage.lookouts[0]'),
        ("9880", "99880", "there is no such port"),
        (
            '"127.0.0.1:9880"}',
            '"127.0.0.1:9880"}\n    - {name: again, kind: webhook, listen: "127.0.0.1:9880"}',
            "vantage.feeds[0] listens there already",
        ),
    ],
)
def test_what_does_not_fit_is_told(old: str, new: str, says: str) -> None:
    found = said(old, new)
    assert any(says in line for line in found), found


def test_a_wrong_lookout_does_not_hide_a_wrong_balancer() -> None:
    found = said("name: ctl, role: control", "name: ctl, role: contrl")
    assert len(found) == 1
    both = SOUND.replace("role: control, endpoint", "role: contrl, endpoint").replace(
        "{service: haproxy}", "{service: x}"
    )
    with pytest.raises(CampaignError, match='no service is named "x"'):
        site.parse(both)


def test_a_lab_reaches_its_hosts_and_loopback_needs_no_ssh() -> None:
    dark = SOUND.replace("endpoint: vip, from: store", "endpoint: vip, from: dark")
    site.parse(dark.replace("kind: real", "kind: lab"))
    site.parse(dark.replace("address: 10.0.2.4", "address: 127.0.0.4"))


@pytest.mark.parametrize(
    ("old", "says"),
    [
        ("    - {name: ctl, role: control, endpoint: control}\n", "without a control VIP a black hole of the address"),
        ("    - {name: out, role: external, endpoint: vip, from: store}\n", "without an external lookout"),
        ("    - {name: in, role: inside, endpoint: private, from: store}\n", "without a lookout inside"),
        (', table: inet watch', "a policer cannot be seen"),
        ('  feeds:\n    - {name: hook, kind: webhook, listen: "127.0.0.1:9880"}\n', "without a feed"),
    ],
)  # fmt: skip
def test_each_one_that_is_missing_has_its_price(old: str, says: str) -> None:
    assert SOUND.count(old) == 1
    spots = blind_spots(site.parse(SOUND.replace(old, "")))
    assert len(spots) == 1
    assert says in spots[0]


def test_a_control_vip_in_the_same_prefix_is_no_control() -> None:
    (spot,) = blind_spots(site.parse(SOUND.replace("203.0.113.10", "198.51.100.11")))
    assert "shares 198.51.100.0/24" in spot


def test_a_place_that_says_nothing_is_told_everything() -> None:
    assert len(blind_spots(site.parse(SOUND[: SOUND.index("vantage:")]))) == 5
