"""Buckets with versions and object lock, as they are asked for, found, made and emptied; on loopback."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from loopback import S3Server, s3

from maul.core.clock import FakeClock
from maul.core.errors import CampaignError, ExitCode, InternalError, TargetError
from maul.s3.client import Version, list_versions, make_client
from maul.s3.credentials import Credentials
from maul.s3.endpoint import Endpoint
from maul.s3.preflight import BucketFacts, BucketWishes, preflight_bucket, preflight_object, remove_bucket
from maul.s3.removal import delete_versions

VERSIONS, LOCKS = BucketWishes(versioning=True), BucketWishes(versioning=True, object_lock=True)


@pytest.fixture
def server() -> Iterator[S3Server]:
    with s3() as fake:
        yield fake


def client_of(fake: S3Server, region: str = "us-east-1") -> Any:
    return make_client(Endpoint("vip", fake.url), Credentials("AK", "SK"), region)


def error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code></Error>".encode()


class Store:
    """One bucket with what it can do. `lag`: so many questions of that are answered as if nothing was turned on."""

    def __init__(
        self,
        server: S3Server,
        *,
        exists: bool = False,
        versioning: str = "",
        locks: bool = False,
        lag: int = 0,
        on_create: str = "",
    ) -> None:
        self.exists, self.versioning, self.locks, self.lag = exists, versioning, locks, lag
        self.on_create, self.server = on_create, server
        self.changed: list[str] = []
        server.answer = self._answer

    def _answer(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        query = urlsplit(path).query
        if method == "PUT":
            return self._change(query)
        if not self.exists:
            return 404, {}, error("NoSuchBucket")
        if query in ("versioning", "object-lock"):
            self.lag -= 1
            return self._told(query, blind=self.lag >= 0)
        return 200, {}, b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>"

    def _change(self, query: str) -> tuple[int, dict[str, str], bytes]:
        self.changed.append(query)
        if query == "versioning":
            assert b"<Status>Enabled</Status>" in self.server.bodies[-1]
            self.versioning = "Enabled"
        else:
            self.exists = True
            if self.on_create:
                return 409, {}, error(self.on_create)
            sent = {name.lower(): value for name, value in self.server.headers[-1].items()}
            self.locks = sent.get("x-amz-bucket-object-lock-enabled", "").lower() == "true"
            self.versioning = "Enabled" if self.locks else ""
        return 200, {}, b""

    def _told(self, query: str, *, blind: bool) -> tuple[int, dict[str, str], bytes]:
        if query == "versioning":
            status = f"<Status>{self.versioning}</Status>" if self.versioning and not blind else ""
            return 200, {}, f"<VersioningConfiguration>{status}</VersioningConfiguration>".encode()
        if self.locks and not blind:
            state = b"<ObjectLockEnabled>Enabled</ObjectLockEnabled>"
            return 200, {}, b"<ObjectLockConfiguration>" + state + b"</ObjectLockConfiguration>"
        return 404, {}, error("ObjectLockConfigurationNotFoundError")


def wanted(server: S3Server, wishes: BucketWishes, *, create: bool = True) -> BucketFacts:
    return preflight_bucket(client_of(server), "bench", create=create, clock=FakeClock(), settle_s=1.0, wishes=wishes)


def test_a_bucket_is_made_with_versions(server: S3Server) -> None:
    store = Store(server)
    assert wanted(server, VERSIONS).created
    assert (store.changed, store.versioning, store.locks) == (["", "versioning"], "Enabled", False)


def test_a_bucket_is_made_with_a_lock_which_brings_versions(server: S3Server) -> None:
    store = Store(server)
    assert wanted(server, LOCKS).created
    assert (store.changed, store.versioning, store.locks) == ([""], "Enabled", True)


def test_a_bucket_without_wishes_is_made_plain(server: S3Server) -> None:
    store = Store(server)
    assert wanted(server, BucketWishes()).created
    assert (store.changed, store.versioning, store.locks) == ([""], "", False)
    assert not [path for _, path in server.requests if path.endswith(("?versioning", "?object-lock"))]


@pytest.mark.parametrize("wishes", [VERSIONS, LOCKS])
def test_a_new_bucket_may_tell_a_moment_later_what_it_can_do(server: S3Server, wishes: BucketWishes) -> None:
    Store(server, lag=3)
    assert wanted(server, wishes).created


@pytest.mark.parametrize("wishes", [VERSIONS, LOCKS])
def test_a_new_bucket_that_never_can_is_refused(server: S3Server, wishes: BucketWishes) -> None:
    Store(server, lag=10**9)
    with pytest.raises(CampaignError, match="keeps no versions"):
        wanted(server, wishes)
    assert len(server.requests) < 60


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize(
    ("wishes", "versioning", "says"),
    [
        (VERSIONS, "", "the bucket keeps no versions, which the campaign asks for (versioning)"),
        (VERSIONS, "Suspended", "the bucket keeps no versions, which the campaign asks for (versioning)"),
        (LOCKS, "Enabled", "the bucket has no object lock, which the campaign asks for (object_lock)"),
        (LOCKS, "", "the bucket keeps no versions, which the campaign asks for (versioning)"),
    ],
)
def test_a_bucket_of_others_is_refused_and_not_changed(
    server: S3Server, wishes: BucketWishes, versioning: str, says: str, create: bool
) -> None:
    store = Store(server, exists=True, versioning=versioning)
    with pytest.raises(CampaignError) as caught:
        wanted(server, wishes, create=create)
    problem = caught.value
    assert (problem.what, problem.where, problem.exit_code) == (says, f"{server.url}/bench", ExitCode.USAGE)
    assert "one that does not exist: maul makes it" in problem.cure
    assert store.changed == []
    assert len(server.requests) <= 3, "asked once"


def test_a_bucket_of_others_that_can_is_taken_as_it_is(server: S3Server) -> None:
    store = Store(server, exists=True, versioning="Enabled", locks=True)
    assert not wanted(server, LOCKS, create=False).created
    assert not wanted(server, VERSIONS).created
    assert store.changed == []


def test_a_bucket_that_somebody_else_made_meanwhile_is_not_changed(server: S3Server) -> None:
    store = Store(server, on_create="BucketAlreadyOwnedByYou")
    with pytest.raises(CampaignError, match="keeps no versions"):
        wanted(server, VERSIONS)
    assert store.changed == [""], "it is not ours"


@pytest.mark.parametrize(("query", "doing"), [("versioning", "GET versioning"), ("object-lock", "GET object lock")])
def test_what_may_not_be_asked_is_said_and_not_taken_for_a_no(server: S3Server, query: str, doing: str) -> None:
    store = Store(server, exists=True, versioning="Enabled", locks=True)
    server.answer = lambda method, path: (
        (403, {}, error("AccessDenied")) if path.endswith(f"?{query}") else store._answer(method, path)
    )
    with pytest.raises(CampaignError, match=f"may not {doing}"):
        wanted(server, LOCKS, create=False)


def test_the_probe_object_leaves_no_marker_where_there_are_versions(server: S3Server) -> None:
    def answer(method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        if method == "GET":
            return 200, {}, b"maul asks before it beats"
        return 200, {"x-amz-version-id": "v7"}, b""

    server.answer = answer
    preflight_object(client_of(server), "bench", "maul/r1/")
    deletes = {path for method, path in server.requests if method == "DELETE"}
    assert deletes == {"/bench/maul/r1/preflight?versionId=v7"}


@pytest.mark.parametrize("left", ["Version", "DeleteMarker"])
def test_a_bucket_with_old_versions_or_markers_is_not_empty(server: S3Server, left: str) -> None:
    entry = f"<{left}><Key>k</Key><VersionId>1</VersionId></{left}>"

    def answer(method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        listed = f"<ListVersionsResult>{entry}</ListVersionsResult>" if "versions" in path else "<ListBucketResult/>"
        return (200, {}, listed.encode()) if method == "GET" else (204, {}, b"")

    server.answer = answer
    assert not remove_bucket(client_of(server), "bench")
    entry = ""
    assert remove_bucket(client_of(server), "bench")
    assert [method for method, _ in server.requests].count("DELETE") == 1


# listing versions


def page(*entries: tuple[str, str, str], after: tuple[str, str] | None = None) -> bytes:
    told = "".join(f"<{kind}><Key>{key}</Key><VersionId>{id_}</VersionId></{kind}>" for kind, key, id_ in entries)
    more = f"<IsTruncated>{str(after is not None).lower()}</IsTruncated>"
    if after:
        more += f"<NextKeyMarker>{after[0]}</NextKeyMarker><NextVersionIdMarker>{after[1]}</NextVersionIdMarker>"
    return f"<ListVersionsResult>{more}{told}</ListVersionsResult>".encode()


PAGES = {
    ("", ""): page(("Version", "p/a", "3"), ("Version", "p/a", "2"), after=("p/a", "2")),
    ("p/a", "2"): page(("Version", "p/a", "1"), ("DeleteMarker", "p/b", "5"), after=("p/b", "5")),
    ("p/b", "5"): page(("Version", "p/b", "4")),
}


def test_versions_and_markers_are_listed_in_pages_within_a_key(server: S3Server) -> None:
    def answer(method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        asked = parse_qs(urlsplit(path).query, keep_blank_values=True)
        assert asked["prefix"] == ["p/"]
        marks = asked.get("key-marker", [""])[0], asked.get("version-id-marker", [""])[0]
        return 200, {}, PAGES[marks]

    server.answer = answer
    listed = list_versions(client_of(server), "bench", "p/")
    assert listed.complete
    assert [(one.key, one.version_id) for one in listed.versions] == [
        ("p/a", "3"),
        ("p/a", "2"),
        ("p/a", "1"),
        ("p/b", "5"),
        ("p/b", "4"),
    ]
    bounded = list_versions(client_of(server), "bench", "p/", versions_max=3)
    assert (len(bounded.versions), bounded.complete) == (3, False)


def test_versions_without_end(server: S3Server) -> None:
    server.answer = lambda method, path: (200, {}, page(after=("p/a", "1")))
    endless = list_versions(client_of(server), "bench", "p/", versions_max=5000)
    assert (endless.versions, endless.complete) == ([], False)
    assert len(server.requests) < 30
    server.fail(500, "InternalError")
    with pytest.raises(TargetError, match="LIST versions"):
        list_versions(client_of(server), "bench", "p/")


# deleting versions


def many(count: int) -> list[Version]:
    return [Version(f"maul/r1/{n // 2}", f"v{n}") for n in range(count)]


def test_versions_are_deleted_in_batches_each_by_its_id(server: S3Server) -> None:
    server.answer = lambda method, path: (200, {}, b"<DeleteResult/>")
    assert delete_versions(client_of(server), "bench", many(2500)) == 2500
    assert server.requests == [("POST", "/bench?delete")] * 3
    named = [
        Version(key.decode(), id_.decode())
        for body in server.bodies
        for key, id_ in re.findall(rb"<Object><Key>(.*?)</Key><VersionId>(.*?)</VersionId></Object>", body)
    ]
    assert named == many(2500)
    assert [body.count(b"<Object>") for body in server.bodies] == [1000, 1000, 500]
    assert delete_versions(client_of(server), "bench", []) == 0
    assert len(server.requests) == 3


@pytest.mark.parametrize("unlock", [False, True])
def test_only_a_lock_of_ours_is_lifted(server: S3Server, unlock: bool) -> None:
    server.answer = lambda method, path: (200, {}, b"<DeleteResult/>")
    delete_versions(client_of(server), "bench", many(1500), unlock=unlock)
    sent = [{name.lower(): value for name, value in headers.items()} for headers in server.headers]
    asked = [one.get("x-amz-bypass-governance-retention") for one in sent]
    assert asked == ["true" if unlock else None] * 2


def test_what_the_target_refuses_is_not_counted_as_gone(server: S3Server) -> None:
    refused = "".join(
        f"<Error><Key>maul/r1/{n}</Key><VersionId>v{n}</VersionId><Code>AccessDenied</Code></Error>" for n in range(3)
    )
    answers = [refused, "", refused]
    server.answer = lambda method, path: (
        200,
        {},
        f"<DeleteResult>{answers[len(server.requests) - 1]}</DeleteResult>".encode(),
    )
    assert delete_versions(client_of(server), "bench", many(2100)) == 2094
    server.fail(503, "SlowDown")
    with pytest.raises(TargetError, match="DELETE versions"):
        delete_versions(client_of(server), "bench", many(1))


@pytest.mark.parametrize("strange", ["", "a", "/maul/r1/a", "others/maul/r1/a"])
def test_a_version_that_is_not_ours_stops_everything(server: S3Server, strange: str) -> None:
    with pytest.raises(InternalError, match="nothing was deleted"):
        delete_versions(client_of(server), "bench", [*many(1200), Version(strange, "1")], unlock=True)
    assert server.requests == []
