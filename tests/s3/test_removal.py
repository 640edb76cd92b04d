"""Removing only what is ours, against an S3 on loopback that says what it is told to say."""

from collections.abc import Iterator
from typing import Any

import pytest
from loopback import S3Server, s3

from maul.core.errors import CampaignError, InternalError, TargetError
from maul.s3.client import make_client
from maul.s3.credentials import Credentials
from maul.s3.endpoint import Endpoint
from maul.s3.preflight import remove_bucket
from maul.s3.removal import abort_uploads, delete_keys


@pytest.fixture
def server() -> Iterator[S3Server]:
    with s3() as fake:
        yield fake


def client_of(fake: S3Server) -> Any:
    return make_client(Endpoint("vip", fake.url), Credentials("AK", "SK"))


def listing(*keys: str) -> bytes:
    contents = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys)
    return f"<ListBucketResult><KeyCount>{len(keys)}</KeyCount>{contents}</ListBucketResult>".encode()


def error(code: str) -> bytes:
    return f"<Error><Code>{code}</Code></Error>".encode()


class Bucket:
    def __init__(self, server: S3Server) -> None:
        self.exists = True
        self.keys: list[str] = []
        server.answer = self._answer

    def _answer(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        if method == "DELETE":
            self.exists = False
            return 204, {}, b""
        return 200, {}, listing(*self.keys)


def test_an_empty_bucket_is_removed(server: S3Server) -> None:
    store = Bucket(server)
    assert remove_bucket(client_of(server), "bench")
    assert not store.exists


def test_a_bucket_with_anything_in_it_is_never_deleted(server: S3Server) -> None:
    store = Bucket(server)
    store.keys = ["somebody's"]
    assert not remove_bucket(client_of(server), "bench")
    assert store.exists
    assert [method for method, _ in server.requests] == ["GET"]


def test_a_bucket_that_fills_up_meanwhile(server: S3Server) -> None:
    def answer(method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        return (200, {}, listing()) if method == "GET" else (409, {}, error("BucketNotEmpty"))

    server.answer = answer
    assert not remove_bucket(client_of(server), "bench")
    server.fail(403, "AccessDenied")
    with pytest.raises(CampaignError):
        remove_bucket(client_of(server), "bench")


def test_keys_are_deleted_in_batches(server: S3Server) -> None:
    refused = b"<Error><Key>maul/r1/1</Key><Code>AccessDenied</Code></Error>"
    server.answer = lambda method, path: (200, {}, b"<DeleteResult>" + refused + b"</DeleteResult>")
    assert delete_keys(client_of(server), "bench", [f"maul/r1/{n}" for n in range(2500)]) == 2497
    assert server.requests == [("POST", "/bench?delete")] * 3
    assert delete_keys(client_of(server), "bench", []) == 0
    assert len(server.requests) == 3


@pytest.mark.parametrize("strange", ["", "a", "/maul/r1/a", "others/maul/r1/a"])
def test_a_key_that_is_not_ours_stops_everything(server: S3Server, strange: str) -> None:
    with pytest.raises(InternalError, match="nothing was deleted"):
        delete_keys(client_of(server), "bench", ["maul/r1/a", strange])
    assert server.requests == []


def test_deleting_that_fails(server: S3Server) -> None:
    server.fail(500, "InternalError")
    with pytest.raises(TargetError, match="DELETE objects"):
        delete_keys(client_of(server), "bench", ["maul/r1/a"])


def uploads(*keys: str) -> bytes:
    entries = "".join(f"<Upload><Key>{key}</Key><UploadId>u</UploadId></Upload>" for key in keys)
    return f"<ListMultipartUploadsResult>{entries}</ListMultipartUploadsResult>".encode()


def test_only_our_own_uploads_are_aborted(server: S3Server) -> None:
    pending = ["maul/r1/a", "maul/r1/b", "others/c"]

    def answer(method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        if method == "DELETE":
            pending.remove(path.removeprefix("/bench/").partition("?")[0])
            return 204, {}, b""
        return 200, {}, uploads(*pending)  # a store that ignores the prefix

    server.answer = answer
    assert abort_uploads(client_of(server), "bench", "maul/r1/") == 2
    assert pending == ["others/c"]


def test_uploads_that_never_go_away(server: S3Server) -> None:
    server.answer = lambda method, path: (
        (204, {}, b"") if method == "DELETE" else (200, {}, uploads("maul/r1/a", "maul/r1/b"))
    )
    assert abort_uploads(client_of(server), "bench", "maul/r1/", uploads_max=5) == 5


@pytest.mark.parametrize("prefix", ["", "maul", "others/"])
def test_uploads_of_others_are_out_of_reach(server: S3Server, prefix: str) -> None:
    with pytest.raises(InternalError):
        abort_uploads(client_of(server), "bench", prefix)
    assert server.requests == []
