"""How a target is asked: at the address that was checked, each way, and nothing that it does raises."""

import pytest
import trustme
from loopback import pem, s3
from test_dns_txt import answer, resolver, txt

from maul.core.consent import Way
from maul.s3.client import make_client
from maul.s3.consent import Asker, consent_key, dns_name, place, withdraw
from maul.s3.endpoint import Endpoint

HASH = "a" * 64


def asker(server, servers=(), host=None, **more):
    url = server.url if host is None else server.url.replace("127.0.0.1", host)
    return Asker(Endpoint("vip", url, **more), "127.0.0.1", "maul-test", None, "us-east-1", servers, 2.0)


def ways(found):
    return {one.way: (one.found, one.sure) for one in found}


def test_an_object_whose_body_is_the_hash():
    with s3() as server:
        server.answer = lambda method, path: (200, {}, HASH.encode() + b"\n")
        first = next(asker(server).ask(HASH))
        assert (first.way, first.found, first.sure) == (Way.OBJECT, (HASH,), True)
        assert server.requests == [("GET", f"/maul-test/.maul-consent/{HASH}")]


@pytest.mark.parametrize(
    "body", [b"", b"yes", HASH.upper()[:-1].encode(), b"a" * 65, b"x" * 5000 + HASH.encode(), b"\xff" * 100]
)
def test_an_object_that_says_something_else_is_no_proof(body):
    with s3() as server:
        server.answer = lambda method, path: (200, {}, body)
        assert next(asker(server).ask(HASH)).found == ()


@pytest.mark.parametrize(("status", "sure"), [(404, True), (403, True), (500, False), (503, False), (429, False)])
def test_a_no_is_told_apart_from_trouble(status, sure):
    with s3() as server:
        server.fail(status, "Some")
        assert next(asker(server).ask(HASH)).sure is sure


def test_a_header_whatever_the_status():
    with s3() as server:
        server.answer = lambda method, path: (403, {"X-Maul-Consent": HASH} if method == "HEAD" else {}, b"")
        found = ways(asker(server).ask(HASH))
        assert found[Way.OBJECT] == ((), True) and found[Way.HEADER] == ((HASH,), True)
        assert found[Way.DNS] == ((), True), "an address has no name"
        server.answer = lambda method, path: (502, {}, b"")
        assert ways(asker(server).ask(HASH))[Way.HEADER] == ((), False)


def test_a_record_of_the_name_is_asked_for_while_its_address_is_pinned():
    """The name does not exist: only the checked address is connected to."""
    with (
        s3() as server,
        resolver(lambda q: answer(q, txt(b"maul-consent=" + HASH.encode()), txt(b"b" * 64))) as (dns, asked),
    ):
        server.fail(404, "NoSuchKey")
        found = ways(asker(server, (dns,), "s3.invalid").ask(HASH))
        assert found == {Way.OBJECT: ((), True), Way.HEADER: ((), True), Way.DNS: ((HASH,), True)}
        assert b"_maul" in asked[0] and b"invalid" in asked[0]


def test_without_anybody_there_nothing_is_sure_and_nothing_raises():
    with s3() as server:
        gone = asker(server, (), "s3.invalid")
    assert [(one.found, one.sure) for one in gone.ask(HASH)] == [((), False)] * 3


def test_over_tls_the_certificate_is_checked(tmp_path):
    ca = trustme.CA()
    with s3(ca.issue_cert("s3.invalid")) as server:
        server.answer = lambda method, path: (200, {"x-maul-consent": HASH}, HASH.encode())
        trusted = asker(server, (), "s3.invalid", ca=pem(ca, tmp_path / "ca.pem"))
        assert [one.found for one in trusted.ask(HASH)][:2] == [(HASH,), (HASH,)]
        named = asker(server, (), None, ca=tmp_path / "ca.pem", server_name="s3.invalid")
        assert [one.found for one in named.ask(HASH)][:2] == [(HASH,), (HASH,)]
        strange = asker(server, (), "s3.invalid", ca=pem(trustme.CA(), tmp_path / "other.pem"))
        assert [(one.found, one.sure) for one in strange.ask(HASH)][:2] == [((), False)] * 2


def test_placing_and_withdrawing_touch_one_key():
    with s3() as server:
        client = make_client(Endpoint("vip", server.url), None)
        assert place(client, "maul-test", HASH) == withdraw(client, "maul-test", HASH) == consent_key(HASH)
        assert [method for method, _ in server.requests] == ["PUT", "DELETE"]
        assert {path for _, path in server.requests} == {f"/maul-test/.maul-consent/{HASH}"}
        assert server.bodies[0] == HASH.encode() + b"\n"


def test_names_in_the_dns():
    assert (dns_name("s3.example"), dns_name("10.0.0.1"), dns_name("::1")) == ("_maul.s3.example", None, None)
