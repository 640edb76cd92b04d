"""Sites: read with all problems at once, asked about, and written back."""

# ruff: noqa: E501 (messages stand here whole, as a person reads them)

import jsonschema
import pytest
from ruamel.yaml import YAML

from maul import site
from maul.core.errors import CampaignError
from maul.site.checks import CROSS_CHECKS
from maul.site.checks_network import NETWORK_CHECKS
from maul.site.checks_vantage import VANTAGE_CHECKS
from maul.site.model import Site

SOUND = """\
version: 1
name: place
kind: real
racks: [r1, r2]
hosts:
  - {name: h1, address: 10.0.0.1, rack: r1}
  - {name: h2, address: 10.0.0.2, rack: r2}
  - {name: h3, address: 10.0.0.3, rack: r2}
services:
  - {name: v1, role: volume, host: h1, data: [data/v1], process: {pidfile: run/v1.json}}
  - {name: v2, role: volume, host: h2}
  - {name: v3, role: volume, host: h3, health: "http://10.0.0.3:8080/healthz"}
  - {name: g1, role: gateway, host: h1}
  - {name: lb, role: balancer, host: h2, admin: /run/haproxy.sock}
endpoints:
  - {name: vip, kind: balancer, url: "https://10.0.0.9", ca: ca.pem, server_name: s3.example, serves: [g1]}
  - {name: s3-1, kind: gateway, url: "http://[::1]:8333/", serves: [g1]}
credentials: {file: keys.json}
redundancy: {copies: 2, survives: 1, across: rack}
"""
OF_THE_PLACE = [rule for rule in CROSS_CHECKS if rule not in (*NETWORK_CHECKS, *VANTAGE_CHECKS)]


def with_line(old, new):
    if SOUND.count(old) != 1:
        raise ValueError(f"{old!r} stands {SOUND.count(old)} times in the site")
    return SOUND.replace(old, new)


def message_of(text):
    with pytest.raises(CampaignError) as caught:
        site.parse(text, "s.yaml")
    return caught.value.message


def test_a_site_answers_questions():
    place = site.parse(SOUND)
    assert [service.name for service in place.services_of("volume")] == ["v1", "v2", "v3"]
    assert place.endpoint("vip").url == "https://10.0.0.9"
    assert (place.endpoint("vip").host, place.endpoint("vip").port) == ("10.0.0.9", 443)
    assert (place.endpoint("s3-1").host, place.endpoint("s3-1").port) == ("::1", 8333)
    assert [endpoint.name for endpoint in place.gateways()] == ["s3-1"]
    assert place.host(place.service("v3").host).rack == "r2"
    with pytest.raises(KeyError):
        place.service("nobody")


def test_failure_domains_are_what_the_redundancy_counts():
    names = {
        across: {
            domain: [service.name for service in services]
            for domain, services in site.parse(with_line("across: rack", f"across: {across}"))
            .failure_domains("volume")
            .items()
        }
        for across in ("rack", "host")
    }
    assert names == {
        "rack": {"r1": ["v1"], "r2": ["v2", "v3"]},
        "host": {"h1": ["v1"], "h2": ["v2"], "h3": ["v3"]},
    }


def test_paths_are_relative_to_the_file(tmp_path):
    path = tmp_path / "place" / "site.yaml"
    path.parent.mkdir()
    path.write_text(SOUND, encoding="utf-8")
    place = site.load(path)
    assert place.endpoint("vip").ca == str(tmp_path / "place/ca.pem")
    assert place.credentials.file == str(tmp_path / "place/keys.json")
    assert place.service("v1").data == (str(tmp_path / "place/data/v1"),)
    assert place.service("v1").process.pidfile == str(tmp_path / "place/run/v1.json")
    assert place.service("lb").admin == "/run/haproxy.sock"


def test_what_is_written_reads_back():
    place = site.parse(SOUND)
    assert dict(site.parse(site.to_yaml(place))) == dict(place)
    jsonschema.validate(YAML(typ="safe").load(SOUND), site.schema())


BREACHES = [
    ("host: h3,", "host: h4,", 's.yaml:12:36: services[2].host: no host is named "h4" (known: h1, h2, h3)'),
    ("rack: r1}", "rack: r9}", 's.yaml:6:41: hosts[0].rack: no rack is named "r9" (known: r1, r2)'),
    ("server_name: s3.example, serves: [g1]", "server_name: s3.example, serves: [g1, g2]",
     's.yaml:16:108: endpoints[0].serves[1]: no service is named "g2" (known: g1, lb, v1, v2, v3)'),
    ("name: v2,", "name: v1,", 's.yaml:11:12: services[1].name: "v1" is already the name of services[0]; rename one'),
    ("name: s3-1", "name: vip", 's.yaml:17:12: endpoints[1].name: "vip" is already the name of endpoints[0]; rename one'),
    ("name: h3", "name: h2", 's.yaml:8:12: hosts[2].name: "h2" is already the name of hosts[1]; rename one'),
    ("[r1, r2]", "[r1, r2, r1]", 's.yaml:4:17: racks[2]: "r1" is already the name of racks[0]; rename one'),
    ("https://10.0.0.9", "http://10.0.0.9", "s.yaml:16:61: endpoints[0].ca: is of no use with http; use https, or drop it"),
    ("survives: 1", "survives: 2", "s.yaml:19:35: redundancy.survives: 2 copies cannot survive the loss of 2 domains; "
     "lower it"),
    ("copies: 2, survives: 1", "copies: 3, survives: 2", "s.yaml:19:35: redundancy.survives: volume services stand in 2 "
     "racks, so the loss of 2 cannot be survived; lower it"),
    ("https://10.0.0.9", "https://me:s3cr3t@10.0.0.9",
     "s.yaml:16:38: endpoints[0].url: a URL must not carry a user or password; use the credentials file"),
    ("https://10.0.0.9", "https://10.0.0.9/bucket", "s.yaml:16:38: endpoints[0].url: an endpoint is scheme, host and port "
     "only; the bucket is named in the campaign"),
    ("https://10.0.0.9", "ftp://10.0.0.9", "s.yaml:16:38: endpoints[0].url: expected a URL such as https://10.0.0.1:8443"),
    ("https://10.0.0.9", "https://10.0.0.9:99999",
     "s.yaml:16:38: endpoints[0].url: expected a URL such as https://10.0.0.1:8443"),
    ("https://10.0.0.9", "https://[::1", "s.yaml:16:38: endpoints[0].url: expected a URL such as https://10.0.0.1:8443"),
    ("role: gateway", "role: gatway", 's.yaml:13:22: services[3].role: "gatway" is not understood '
     '(did you mean "gateway"?)'),
    ("{file: keys.json}", "{file: keys.json, secret_key: s3cr3t}",
     "s.yaml:18:32: credentials.secret_key: unknown key (known: file)"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), BREACHES)
def test_a_breach_is_told_with_its_place(old, new, message):
    said = message_of(with_line(old, new)).splitlines()
    assert message in said
    assert not any("s3cr3t" in line for line in said)


def test_every_rule_has_a_breach():
    sound, spoken = dict(site.parse(SOUND)), set()
    for old, new, _ in BREACHES[:10]:
        data = YAML(typ="safe").load(with_line(old, new))
        sections = sound | dict(Site.model_validate(data))
        spoken |= {check for check, needs in OF_THE_PLACE if list(check(*(sections[need] for need in needs)))}
    assert spoken == {check for check, _ in OF_THE_PLACE}


def test_several_problems_come_at_once():
    text = with_line("kind: real", "kind: unreal").replace("host: h3,", "host: h4,").replace("v2, role", "v1, role")
    assert len(message_of(text).splitlines()) == 3


def test_a_site_may_not_know_its_redundancy():
    place = site.parse(with_line("redundancy: {copies: 2, survives: 1, across: rack}\n", ""))
    assert place.redundancy is None
    assert place.failure_domain(place.service("v2")) == "r2"


def test_an_empty_site_says_that_it_is_a_site():
    assert message_of("") == "s.yaml: is empty\n  a site needs at least its required keys"
