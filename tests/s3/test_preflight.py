"""Preflight of bucket, object and credentials, against an S3 on loopback that says what it is told to say."""

import re
import socket  # noqa: TID251 (servers on loopback)
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme
from loopback import S3Server, listening, pem, s3

from maul.core.clock import FakeClock
from maul.core.errors import CampaignError, ExitCode, MachineError, MaulError, TargetError
from maul.s3.client import list_keys, make_client
from maul.s3.credentials import Credentials
from maul.s3.endpoint import Endpoint
from maul.s3.preflight import preflight_bucket, preflight_object

KEYS = Credentials("AK", "wJalrXUtnFEMI", "a test")
LISTED = (
    "<ListBucketResult><Name>bench</Name><KeyCount>{count}</KeyCount><IsTruncated>{more}</IsTruncated>"
    "{token}{contents}</ListBucketResult>"
)


def listing(*keys: str, token: str = "", more: bool | None = None) -> bytes:
    return LISTED.format(
        count=len(keys),
        more=str(bool(token) if more is None else more).lower(),
        token=f"<NextContinuationToken>{token}</NextContinuationToken>" if token else "",
        contents="".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys),
    ).encode()


def error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()


@pytest.fixture
def server() -> Iterator[S3Server]:
    with s3() as fake:
        yield fake


def client_of(fake: S3Server, region: str = "us-east-1", timeout_s: float = 5.0) -> Any:
    return make_client(Endpoint("vip", fake.url), KEYS, region, timeout_s)


def trouble(fake: S3Server, **options: Any) -> MaulError:
    with pytest.raises(MaulError) as caught:
        preflight_bucket(client_of(fake, **options), "bench", create=False)
    assert caught.value.where == f"{fake.url}/bench"
    assert caught.value.cure
    assert KEYS.secret_key not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("status", "code", "kind", "says"),
    [
        (403, "InvalidAccessKeyId", CampaignError, "does not know the access key"),
        (403, "SignatureDoesNotMatch", CampaignError, "the signature does not match"),
        (403, "AccessDenied", CampaignError, "these credentials may not LIST (403 AccessDenied)"),
        (403, "SomethingNew", CampaignError, "these credentials may not LIST (403 SomethingNew)"),
        (404, "NoSuchBucket", CampaignError, "the bucket does not exist"),
        (400, "InvalidBucketName", CampaignError, "does not accept this bucket name"),
        (500, "InternalError", TargetError, "500 InternalError"),
        (503, "SlowDown", TargetError, "503 SlowDown"),
        (418, "Teapot", TargetError, "418 Teapot"),
    ],
)
def test_who_must_act(server: S3Server, status: int, code: str, kind: type[MaulError], says: str) -> None:
    server.fail(status, code)
    problem = trouble(server)
    assert type(problem) is kind
    assert says in problem.what
    assert len(server.requests) == 1, "tried once"


@pytest.mark.parametrize(
    ("code", "extra", "headers"),
    [
        ("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>", {}),
        ("IllegalLocationConstraintException", "", {"x-amz-bucket-region": "eu-west-1"}),
        ("IncorrectEndpoint", "<Region>eu-west-1</Region>", {}),
    ],
)
def test_wrong_region_names_the_right_one(server: S3Server, code: str, extra: str, headers: dict[str, str]) -> None:
    server.fail(400, code, extra=extra, headers=headers)
    problem = trouble(server, region="us-east-1")
    assert isinstance(problem, CampaignError)
    assert f"wrong region ({code}: it expects 'eu-west-1')" in problem.what


@pytest.mark.parametrize(("ahead_s", "says"), [(1200, "ahead of"), (-1200, "behind")])
def test_clock_skew_is_named(server: S3Server, ahead_s: int, says: str) -> None:
    server.fail(403, "RequestTimeTooSkewed", headers={"Date": formatdate(time.time() - ahead_s, usegmt=True)})
    problem = trouble(server)
    assert isinstance(problem, MachineError)
    assert re.search(f"this machine's is (19 min 5. s|20 min|20 min . s) {says} the target's", problem.what)


def test_clock_skew_without_a_date(server: S3Server) -> None:
    server.fail(403, "RequestTimeTooSkewed")
    assert "does not say what time it has" in trouble(server).what


def test_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        fake = S3Server()
        fake.url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    problem = trouble(fake)
    assert isinstance(problem, TargetError)
    assert problem.exit_code == ExitCode.ENVIRONMENT
    assert "no connection" in problem.what


def test_hangs() -> None:
    def hang(connection: socket.socket) -> None:
        connection.recv(100_000)
        connection.recv(1)  # until the client gives up

    with listening(hang) as port:
        fake = S3Server()
        fake.url = f"http://127.0.0.1:{port}"
        problem = trouble(fake, timeout_s=0.1)
    assert isinstance(problem, TargetError)
    assert "did not answer in time" in problem.what


def test_hangs_up() -> None:
    with listening(lambda connection: None) as port:
        fake = S3Server()
        fake.url = f"http://127.0.0.1:{port}"
        assert isinstance(trouble(fake), TargetError)


def test_no_s3_at_all(server: S3Server) -> None:
    server.answer = lambda method, path: (200, {}, b"<html>welcome")
    assert "Is this an S3 endpoint?" in trouble(server).cure
    server.answer = lambda method, path: (503, {}, b"<html>no server is available")
    assert "an answer without an S3 error in it (status 503)" in trouble(server).what


def test_a_certificate_that_is_not_trusted(tmp_path: Path) -> None:
    ca = trustme.CA()
    with s3(ca.issue_cert("127.0.0.1")) as server:
        server.answer = lambda method, path: (200, {}, listing())
        problem = trouble(server)
        assert isinstance(problem, TargetError)
        assert "certificate is not trusted" in problem.what
        trusting = make_client(Endpoint("vip", server.url, pem(ca, tmp_path / "ca.pem")), KEYS)
        assert not preflight_bucket(trusting, "bench", create=False).created


def test_a_server_name_other_than_the_urls(tmp_path: Path) -> None:
    ca = trustme.CA()
    file = pem(ca, tmp_path / "ca.pem")
    with s3(ca.issue_cert("s3.lab")) as server:
        server.answer = lambda method, path: (200, {}, listing())
        with pytest.raises(TargetError):
            preflight_bucket(make_client(Endpoint("vip", server.url, file), KEYS), "bench", create=False)
        named = make_client(Endpoint("vip", server.url, file, "s3.lab"), KEYS)
        assert not preflight_bucket(named, "bench", create=False).created


def test_nothing_is_taken_from_the_environment(
    server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nregion = mars\ns3 =\n  addressing_style = virtual\n", encoding="utf-8")
    for variable, value in {
        "http_proxy": "http://127.0.0.1:1",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "no_proxy": "",
        "AWS_PROFILE": "missing",
        "AWS_CONFIG_FILE": str(config),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_CA_BUNDLE": str(tmp_path / "none.pem"),
        "AWS_ACCESS_KEY_ID": "OTHER",
        "AWS_SECRET_ACCESS_KEY": "OTHER",
        "AWS_DEFAULT_REGION": "mars",
        "AWS_MAX_ATTEMPTS": "5",
    }.items():
        monkeypatch.setenv(variable, value)
    server.fail(503, "SlowDown")
    trouble(server)
    assert server.requests == [("GET", "/bench?list-type=2&max-keys=1&encoding-type=url")]
    assert "AK/" in server.headers[0]["Authorization"]
    assert "/us-east-1/s3/" in server.headers[0]["Authorization"]


def test_anonymous(server: S3Server) -> None:
    server.answer = lambda method, path: (200, {}, listing())
    preflight_bucket(make_client(Endpoint("vip", server.url), None), "bench", create=False)
    assert "Authorization" not in server.headers[0]


@pytest.mark.parametrize("name", ["", "Big Bucket", "a/b"])
def test_a_bucket_name_that_s3_does_not_have(server: S3Server, name: str) -> None:
    with pytest.raises(CampaignError):
        preflight_bucket(client_of(server), name, create=False)
    assert server.requests == []


# making and removing buckets


class Buckets:
    """A store with one bucket that is known only after so many LISTs."""

    def __init__(self, server: S3Server, *, exists: bool, blind: int = 0, on_create: str = "") -> None:
        self.exists, self.blind, self.on_create = exists, blind, on_create
        self.keys: list[str] = []
        server.answer = self._answer

    def _answer(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        if method == "PUT":
            self.exists = True
            return (409, {}, error(self.on_create)) if self.on_create else (200, {}, b"")
        if method == "DELETE":
            self.exists = False
            return 204, {}, b""
        if self.exists and self.blind:
            self.blind -= 1
            return 404, {}, error("NoSuchBucket")
        return (200, {}, listing(*self.keys)) if self.exists else (404, {}, error("NoSuchBucket"))


def test_a_bucket_that_is_there(server: S3Server) -> None:
    Buckets(server, exists=True)
    assert not preflight_bucket(client_of(server), "bench", create=True).created
    assert [method for method, _ in server.requests] == ["GET"]


def test_a_bucket_that_is_made(server: S3Server) -> None:
    Buckets(server, exists=False, blind=3)
    assert preflight_bucket(client_of(server), "bench", create=True, clock=FakeClock()).created
    methods = [method for method, _ in server.requests]
    assert methods == ["GET", "PUT"] + ["GET"] * 8, "known five times in a row"


def test_a_bucket_that_never_settles(server: S3Server) -> None:
    Buckets(server, exists=False, blind=10_000)
    with pytest.raises(TargetError, match="still unknown now and then"):
        preflight_bucket(client_of(server), "bench", create=True, clock=FakeClock(), settle_s=1.0)
    assert len(server.requests) < 30


def test_somebody_else_was_faster(server: S3Server) -> None:
    Buckets(server, exists=False, on_create="BucketAlreadyOwnedByYou")
    assert not preflight_bucket(client_of(server), "bench", create=True, clock=FakeClock()).created


def test_the_name_is_taken(server: S3Server) -> None:
    Buckets(server, exists=False, on_create="BucketAlreadyExists")
    with pytest.raises(CampaignError, match="belongs to somebody else"):
        preflight_bucket(client_of(server), "bench", create=True, clock=FakeClock())


def test_another_error_never_makes_a_bucket(server: S3Server) -> None:
    server.fail(403, "AccessDenied")
    with pytest.raises(CampaignError):
        preflight_bucket(client_of(server), "bench", create=True)
    assert [method for method, _ in server.requests] == ["GET"]


# one object


class Objects:
    """A store that refuses one method, or whose every so-many-th PUT has never heard of the bucket at first."""

    def __init__(self, server: S3Server, *, refuse: str = "", other_bytes: bool = False, blind: int = 0) -> None:
        self.refuse, self.other_bytes, self.blind = refuse, other_bytes, blind
        self.kept: set[str] = set()
        server.answer = self._answer

    def _answer(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        if method == self.refuse:
            return 403, {}, error("AccessDenied")
        if method == "PUT":
            self.blind -= 1
            if self.blind >= 0 and self.blind % 3 == 0:
                return 404, {}, error("NoSuchBucket")
            self.kept.add(path)
            return 200, {}, b""
        if method == "DELETE":
            self.kept.discard(path)
            return 204, {}, b""
        if path not in self.kept:
            return 404, {}, error("NoSuchKey")
        return 200, {}, b"something else" if self.other_bytes else b"maul asks before it beats"


def test_an_object_there_and_gone(server: S3Server) -> None:
    store = Objects(server)
    preflight_object(client_of(server), "bench", "maul/r1/")
    assert store.kept == set()
    assert [method for method, _ in server.requests] == ["PUT", "GET", "DELETE"] * 5
    assert {path for _, path in server.requests} == {"/bench/maul/r1/preflight"}


@pytest.mark.parametrize(("refuse", "left"), [("PUT", 0), ("GET", 0), ("DELETE", 1)])
def test_the_operation_that_is_not_allowed_is_named(server: S3Server, refuse: str, left: int) -> None:
    store = Objects(server, refuse=refuse)
    with pytest.raises(CampaignError, match=f"may not {refuse} "):
        preflight_object(client_of(server), "bench", "maul/r1/")
    assert len(store.kept) == left


def test_a_gateway_that_has_not_heard_of_the_bucket_yet(server: S3Server) -> None:
    Objects(server, blind=7)
    preflight_object(client_of(server), "bench", "maul/r1/", clock=FakeClock())
    puts = [method for method, _ in server.requests].count("PUT")
    assert puts == 7 + 5


def test_a_gateway_that_never_hears_of_the_bucket(server: S3Server) -> None:
    Objects(server, blind=10**9)
    with pytest.raises(TargetError, match="still unknown now and then after 1 s"):
        preflight_object(client_of(server), "bench", "maul/r1/", clock=FakeClock(), settle_s=1.0)
    server.requests.clear()
    server.fail(404, "NoSuchBucket")
    with pytest.raises(CampaignError, match="the bucket does not exist"):
        preflight_object(client_of(server), "gone", "maul/r1/", settle_s=0)
    assert len(server.requests) == 1


def test_other_bytes_than_were_written(server: S3Server) -> None:
    store = Objects(server, other_bytes=True)
    with pytest.raises(TargetError, match="other bytes"):
        preflight_object(client_of(server), "bench", "maul/r1/")
    assert store.kept == set()


# listings


def test_listing_in_pages(server: S3Server) -> None:
    pages = {None: listing("a", "b", token="t1"), "t1": listing("c", token="t2"), "t2": listing("d")}

    def answer(method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        token = path.partition("continuation-token=")[2].partition("&")[0] or None
        return 200, {}, pages[token]

    server.answer = answer
    whole = list_keys(client_of(server), "bench", "")
    assert (whole.keys, whole.complete) == (["a", "b", "c", "d"], True)
    assert list_keys(client_of(server), "bench", "", keys_max=4).complete
    bounded = list_keys(client_of(server), "bench", "", keys_max=3)
    assert (bounded.keys, bounded.complete) == (["a", "b", "c"], False)


def test_listing_without_end(server: S3Server) -> None:
    server.answer = lambda method, path: (200, {}, listing(token="again"))
    endless = list_keys(client_of(server), "bench", "", keys_max=5000)
    assert (endless.keys, endless.complete) == ([], False)
    assert len(server.requests) < 30


def test_a_truncated_listing_without_a_token_is_not_whole(server: S3Server) -> None:
    server.answer = lambda method, path: (200, {}, listing("a", more=True))
    assert not list_keys(client_of(server), "bench", "").complete


def test_a_listing_that_fails(server: S3Server) -> None:
    server.fail(500, "InternalError")
    with pytest.raises(TargetError, match="LIST"):
        list_keys(client_of(server), "bench", "p/")
