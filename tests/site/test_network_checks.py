"""A network that does not fit together is refused: each breach with its place, all at once."""

# ruff: noqa: E501 (messages stand here whole, as a person reads them)

from pathlib import Path

import pytest

from maul import site
from maul.campaign.yaml_source import parse_text
from maul.core.errors import CampaignError
from maul.site.checks import cross_problems
from maul.site.checks_network import NETWORK_CHECKS

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples/sites/three-racks.yaml"
SOUND = """\
version: 1
name: place
kind: real
racks: [r1, r2]
hosts:
  - {name: load-1, address: 10.0.1.1, rack: r1, nics: [{name: eth0, speed: 10Gbit/s}, {name: eth1, speed: 1Gbit/s}], borrow: {}}
  - {name: shop-1, address: 10.0.1.2, rack: r1}
  - {name: shop-2, address: 10.0.2.2, rack: r2}
  - {name: lb, address: 10.0.2.1, rack: r2, nics: [{name: bond0, speed: 20Gbit/s}]}
services:
  - {name: s3, role: gateway, host: lb}
endpoints:
  - {name: s3, kind: gateway, url: "https://10.0.0.9", serves: [s3]}
network:
  switches:
    - {name: tor-1, rack: r1}
    - {name: tor-2, rack: r2}
    - {name: spine, tier: spine}
  links:
    - {between: ["load-1:eth0", "tor-1:p1"], capacity: 10Gbit/s, background: {out: 1Gbit/s, back: 2Gbit/s}}
    - {between: ["shop-1", "tor-1:p2"], capacity: 10Gbit/s}
    - {between: ["shop-2", "tor-2:p2"], capacity: 10Gbit/s}
    - {between: ["lb:bond0", "tor-2:p1"], capacity: 20Gbit/s, members: 2}
    - {between: ["tor-1:up0", "spine:d1"], capacity: 40Gbit/s, shared_by: [shop]}
    - {between: ["tor-1:up1", "spine:d2"], capacity: 40Gbit/s, shared_by: [shop]}
    - {between: ["tor-2:up0", "spine:d3"], capacity: 40Gbit/s}
  vips:
    - {name: s3, address: 10.0.0.9, endpoint: s3, hosts: [lb]}
  groups:
    - {name: duct, switches: [tor-1], links: [["spine:d2", "tor-1:up1"]]}
  canaries:
    - {name: shop, from: shop-1, to: shop-2}
  counters: {kind: node-exporter, url: "http://{node}:9100/metrics"}
"""


def with_line(old: str, new: str) -> str:
    assert SOUND.count(old) == 1, f"{old!r} stands {SOUND.count(old)} times in the site"
    return SOUND.replace(old, new)


def lines_of(text: str) -> list[str]:
    with pytest.raises(CampaignError) as caught:
        site.parse(text, "s.yaml")
    return caught.value.message.splitlines()


def test_sound_sites_have_no_problem():
    assert len(site.parse(SOUND).network.links) == 7
    assert len(site.load(EXAMPLE).network.links) == 19


def test_a_network_writes_back_to_an_equal_value():
    for place in (site.parse(SOUND), site.load(EXAMPLE)):
        assert dict(site.parse(site.to_yaml(place))) == dict(place)


BREACHES = [
    ('"tor-1:up0"', '"tro-1:up0"', 's.yaml:24:18: network.links[4].between[0]: no host or switch is named "tro-1" (did you mean "tor-1"?)'),
    ('"shop-1", "tor-1:p2"', '"lb:bond0", "lb:x"', 's.yaml:21:17: network.links[1].between: both ends are at "lb"; a link leads from one host or switch to another'),
    ('"tor-1:up1", "spine:d2"', '"spine:d1", "tor-1:up0"', "s.yaml:25:17: network.links[5].between: is the same as links[4]; drop one, or name the ports of both (tor-r1:eth49)"),
    ('"tor-1:up1", "spine:d2"', '"tor-1:up0", "spine:d2"', "s.yaml:25:18: network.links[5].between[0]: the port tor-1:up0 is already an end of links[4]; a bond over two switches is two links, each at a card of its own"),
    ('"load-1:eth0"', '"load-1:eth9"', 's.yaml:20:18: network.links[0].between[0]: the host load-1 has no card "eth9" (did you mean "eth1"?)'),
    ('"load-1:eth0"', '"load-1:eth1"', "s.yaml:20:56: network.links[0].capacity: 10 Gbit/s is more than the card load-1:eth1 can carry (1 Gbit/s); correct one"),
    ('"lb:bond0", "tor-2:p1"], capacity: 20', '"lb", "tor-2:p1"], capacity: 21', "s.yaml:23:47: network.links[3].capacity: 21 Gbit/s is more than all cards of lb together can carry (20 Gbit/s); correct one"),
    ("back: 2Gbit/s", "back: 12Gbit/s", "s.yaml:20:99: network.links[0].background.back: 12 Gbit/s is more than the link carries (10 Gbit/s); correct one"),
    ("{name: tor-2, rack: r2}", "{name: tor-2, rack: r3}", 's.yaml:17:27: network.switches[1].rack: no rack is named "r3" (known: r1, r2)'),
    ("{name: spine, tier", "{name: tor-2, tier", 's.yaml:18:14: network.switches[2].name: "tor-2" is already the name of network.switches[1]; rename one'),
    ("{name: spine, tier", "{name: shop-2, tier", 's.yaml:18:14: network.switches[2].name: "shop-2" is already the name of a host; links could not tell them apart; rename one'),
    ("{name: eth1, speed: 1Gbit/s}", "{name: eth0, speed: 1Gbit/s}", 's.yaml:6:94: hosts[0].nics[1].name: "eth0" is already the name of nics[0]; rename one'),
    ("hosts: [lb]", "hosts: [lb, bl]", 's.yaml:28:63: network.vips[0].hosts[1]: no host is named "bl" (known: lb, load-1, shop-1, shop-2)'),
    ("hosts: [lb]", "hosts: [lb, lb]", 's.yaml:28:63: network.vips[0].hosts[1]: "lb" already stands at hosts[0]; drop one'),
    ("endpoint: s3, hosts", "endpoint: s4, hosts", 's.yaml:28:47: network.vips[0].endpoint: no endpoint is named "s4" (known: s3)'),
    ("switches: [tor-1]", "switches: [tor-9]", 's.yaml:30:31: network.groups[0].switches[0]: no switch is named "tor-9" (did you mean "tor-2"?)'),
    ('["spine:d2", "tor-1:up1"]]', '["spine:d9", "tor-1:up1"]]', "s.yaml:30:47: network.groups[0].links[0]: there is no link spine:d9 – tor-1:up1 (did you mean link tor-1:up0 – spine:d1, link tor-1:up1 – spine:d2?)"),
    (', switches: [tor-1], links: [["spine:d2", "tor-1:up1"]]', "", "s.yaml:30:7: network.groups[0]: names nothing that fails; add switches or links, or drop it"),
    ("from: shop-1", "from: shop-7", 's.yaml:32:26: network.canaries[0].from: no host is named "shop-7" (did you mean "shop-2"?)'),
    ("from: shop-1", "from: load-1", 's.yaml:32:26: network.canaries[0].from: "load-1" may be borrowed, so what it feels is what we do to it; name a host of a customer, or take its borrow away'),
    ("from: shop-1", "from: shop-2", 's.yaml:32:38: network.canaries[0].to: "shop-2" would only feel itself; name two hosts'),
    ('"load-1:eth0"', '"shop-1:eth0"', 's.yaml:6:118: hosts[0].borrow: "load-1" may be borrowed and is at no end of any link; add its link, or take its borrow away'),
    ('"lb:bond0", "tor-2:p1"], capacity: 20Gbit/s, members: 2', '"shop-1:x", "tor-2:p1"], capacity: 1Gbit/s', 's.yaml:28:59: network.vips[0].hosts[0]: "lb" is at no end of any link, so no load reaches it; add its link'),
    ('"tor-2:up0", "spine:d3"', '"tor-1:up2", "spine:d3"', 's.yaml:28:59: network.vips[0].hosts[0]: no way leads to "lb" from "load-1", which may be borrowed; add the link'),
    ("host: lb}", "host: load-1}", 's.yaml:6:118: hosts[0].borrow: "load-1" runs 1 service(s) of the target; load from it would measure itself; take its borrow away'),
    ("http://{node}:9100", "http://10.0.0.1:9100", "s.yaml:33:40: network.counters.url: each host and switch answers for itself; write {node} in the host's place: http://{node}:9100/metrics"),
    ("kind: node-exporter", "kind: prometheus", "s.yaml:33:37: network.counters.url: one server knows all; write its own address instead of {node}"),
    ("kind: node-exporter", "kind: lab", "s.yaml:33:20: network.counters.kind: only maul's own lab has counters of its own; use node-exporter or prometheus"),
    (', url: "http://{node}:9100/metrics"', "", 's.yaml:33:3: network.counters: the key "url" is missing; add it'),
    ("http://{node}", "http://me:s3cr3t@{node}", "s.yaml:33:40: network.counters.url: a URL must not carry a user or password"),
    ("http://{node}", "{node}", "s.yaml:33:40: network.counters.url: expected a URL such as http://10.0.0.5:9090 or http://{node}:9100/metrics"),
    ("capacity: 20Gbit/s", "capacity: 0", "s.yaml:23:53: network.links[3].capacity: must be more than nothing"),
    ('"tor-2:up0"', '"tor-2:up>0"', "s.yaml:26:18: network.links[6].between[0]: expected a host or switch, or one of its ports, such as tor-r1 or tor-r1:eth49"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), BREACHES, ids=[str(index) for index in range(len(BREACHES))])
def test_a_breach_is_told_with_its_place(old, new, message):
    said = lines_of(with_line(old, new))
    assert message in said
    assert not any("s3cr3t" in line for line in said)


def test_every_network_rule_has_a_breach():
    sound = site.parse(SOUND)
    for check, needs in NETWORK_CHECKS:
        sections = dict(sound) | {f"network.{name}": part for name, part in sound.network}
        assert not list(check(*(sections[need] for need in needs)))
    spoken = set()
    for old, new, _ in BREACHES:
        try:
            place = site.model.Site.model_validate(_data(with_line(old, new)))
        except ValueError:
            continue
        sections = dict(place) | {f"network.{name}": part for name, part in place.network}
        spoken |= {check for check, needs in NETWORK_CHECKS if list(check(*(sections[need] for need in needs)))}
    assert spoken == {check for check, _ in NETWORK_CHECKS}


def _data(text: str) -> object:
    return parse_text(text, "s.yaml").data


def test_parallel_links_with_ports_of_their_own_are_fine():
    assert not list(cross_problems({"network.links": site.parse(SOUND).network.links}))


def test_a_link_of_the_wrong_form_does_not_hide_what_else_is_wrong():
    text = with_line("capacity: 20Gbit/s", "capacity: much").replace("from: shop-1", "from: shop-9")
    text = text.replace("rack: r2}\n    - {name: spine", "rack: r5}\n    - {name: spine")
    said = lines_of(text)
    assert [line.split(": ")[1] for line in said] == [
        "network.switches[1].rack", "network.links[3].capacity", "network.canaries[0].from",
    ]  # fmt: skip


def test_hosts_do_not_forward():
    """A host with cards in two fabrics joins them for itself, not for others."""
    text = with_line('"tor-2:up0", "spine:d3"', '"shop-2:x", "tor-1:up2"')
    assert any('no way leads to "lb" from "load-1"' in line for line in lines_of(text))


def test_a_network_needs_no_vip():
    text = SOUND.replace("  vips:\n    - {name: s3, address: 10.0.0.9, endpoint: s3, hosts: [lb]}\n", "")
    assert site.parse(text).network.vips == ()
