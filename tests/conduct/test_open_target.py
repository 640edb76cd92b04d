"""What is asked before any load: permits first, then the door, and nothing of ours stays when it is refused."""

import socket  # noqa: TID251 — to see that nobody connects

import pytest
from conduct_stage import SITE, FakeS3

from maul.conduct import target
from maul.conduct.senses import health_asker
from maul.conduct.target import Account, Door, asked_of, open_target, permit
from maul.core.errors import PermitError, TargetError
from maul.s3.endpoint import Endpoint, EndpointFacts
from maul.site.model_network import CounterSource, Link, Network

OUTSIDE = "192.0.2.1"


@pytest.fixture(autouse=True)
def no_packet(monkeypatch):
    """Nobody connects in these tests."""

    def refuse(*given, **more):
        pytest.fail(f"a connection was tried: {given}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


def door(url):
    return Door([Endpoint("vip", url)], "us-east-1", [Account("maul-test", "maul/r/", None)])


@pytest.mark.parametrize("url", [f"http://{OUTSIDE}", f"https://{OUTSIDE}:8443", "http://[2001:db8::1]:80"])
def test_what_is_not_loopback_is_refused_before_a_packet(url):
    with pytest.raises(PermitError, match="vip"):
        open_target(door(url), lambda says: None)


def test_a_name_counts_by_every_address_that_it_has(monkeypatch):
    found = [(2, 1, 6, "", ("127.0.0.1", 80)), (2, 1, 6, "", (OUTSIDE, 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **more: found)
    with pytest.raises(PermitError, match=OUTSIDE):
        permit([Endpoint("vip", "http://store.example")])
    found.pop()
    permit([Endpoint("vip", "http://store.example")])


def test_pages_that_are_only_asked_need_a_permit_too():
    with pytest.raises(PermitError, match="volume-r1-1, metrics"):
        permit([Endpoint("vip", "http://127.0.0.1")], {"volume-r1-1, metrics": f"http://{OUTSIDE}:9090/metrics?x=1"})
    pages = asked_of(SITE)
    assert len(pages) == 2 * len(SITE.services)
    permit([], pages)


def test_what_counts_for_the_network_is_asked_at_checked_addresses_too():
    links = (Link.model_validate({"between": ["s11:eth0", "tor:p1"], "capacity": "1Gbit/s"}),)

    def counted(url):
        network = Network(links=links, counters=CounterSource.model_validate({"kind": "node-exporter", "url": url}))
        return asked_of(SITE.model_copy(update={"services": (), "network": network}))

    assert counted("http://{node}:9100/metrics") == {
        "counters of s11": "http://s11:9100/metrics",
        "counters of tor": "http://tor:9100/metrics",
    }
    with pytest.raises(PermitError, match="counters of the network"):
        permit([], counted(f"http://{OUTSIDE}:9090"))


def test_a_site_may_leave_pages_out():
    bare = tuple(one.model_copy(update={"health": None, "metrics": None}) for one in SITE.services)
    assert asked_of(SITE.model_copy(update={"services": bare})) == {}


@pytest.fixture
def reached(monkeypatch):
    """The endpoint answers; the bucket is in memory, and made by us."""
    s3 = FakeS3(set())
    monkeypatch.setattr(target, "check_endpoint", lambda *given: EndpointFacts("vip", ("127.0.0.1",), 1.0, 0.0))
    monkeypatch.setattr(target, "make_client", lambda *given: s3)
    monkeypatch.setattr(
        target, "preflight_bucket", lambda client, bucket, create, wishes: target.BucketFacts(bucket, created=True)
    )
    return s3


@pytest.mark.parametrize("error", [TargetError("PUT was refused"), KeyboardInterrupt("SIGINT")])
def test_a_bucket_that_we_made_goes_again_when_it_cannot_be_used(reached, monkeypatch, error):
    def refused(*given):
        raise error

    monkeypatch.setattr(target, "preflight_object", refused)
    with pytest.raises(type(error)):
        open_target(door("http://127.0.0.1"), lambda says: None)
    assert reached.bucket_deleted == 1


def test_an_opened_target_knows_its_bucket_and_its_authorities(reached, monkeypatch, tmp_path):
    monkeypatch.setattr(target, "preflight_object", lambda *given: None)
    (tmp_path / "ca.pem").write_bytes(b"# Autorit\xc3\xa9 and \xff\n-----BEGIN CERTIFICATE-----\n")
    said = []
    one = Endpoint("vip", "https://127.0.0.1", tmp_path / "ca.pem")
    opened = open_target(Door([one], "us-east-1", [Account("maul-test", "maul/r/", None)]), said.append)
    assert opened.made("maul-test") and opened.addresses == {"vip": "127.0.0.1"} and reached.bucket_deleted == 0
    assert "BEGIN CERTIFICATE" in opened.ca_pems["vip"] and "BEGIN" not in repr(opened)
    assert said[-1] == "bucket maul-test made: an object was written, read and deleted"


def test_health_is_no_where_there_is_no_page_or_no_answer():
    def refused(url, timeout_s):
        raise TargetError("no answer", url)

    assert health_asker(SITE, refused)("volume-r1-1") is False
    assert health_asker(SITE, lambda url, timeout_s: b"")("volume-r1-1") is True
    bare = tuple(one.model_copy(update={"health": None}) for one in SITE.services)
    place = SITE.model_copy(update={"services": bare})
    assert health_asker(place, lambda url, timeout_s: b"")("volume-r1-1") is False
