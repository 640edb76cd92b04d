"""What a real cluster makes of every way to send a body: `docs/concepts/requests.md` tells it as a table.

Right requests come from the engine; wrong ones are signed by the few lines below, because the engine sends none.
"""

import base64
import hashlib
import hmac
import http.client
import json
import ssl
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from maul import site
from maul.core.operation import ErrorClass, Outcome
from maul.lab.cluster import Lab
from maul.load import RustGenerator
from maul.s3.client import list_keys, make_client
from maul.s3.credentials import Credentials, load_credentials
from maul.s3.endpoint import Endpoint
from maul.s3.preflight import preflight_bucket, preflight_object, remove_bucket
from maul.s3.removal import delete_keys

pytestmark = pytest.mark.cluster
PLAN = Path(__file__).parents[2] / "crates/engine/tests/vectors/plan.json"
ALGORITHMS = ("crc32", "crc32c", "crc64nvme", "sha1", "sha256")
SIZES = (0, 1, 4_096, 65_536, 65_537, 200_000)
PREFIX = "maul/requests/"
UNKNOWN_UPLOAD = "NoSuchUpload"
"""404: on a busy machine a filer has at times not yet heard of the upload that another one began."""
UPLOADS_MAX = 4


@dataclass(frozen=True)
class Place:
    """Where the lab is, and as whom it is asked."""

    door: Endpoint
    keys: Credentials
    bucket: str


@pytest.fixture(scope="module")
def place(lab: Lab) -> Iterator[Place]:
    found = site.load(lab.site_path)
    assert found.credentials is not None
    doors = [Endpoint(one.name, one.url, Path(one.ca) if one.ca else None, one.server_name) for one in found.endpoints]
    door = doors[0]
    keys = load_credentials(Path(found.credentials.file), {})
    client = make_client(door, keys)
    bucket = "requests"
    preflight_bucket(client, bucket, create=True)
    for other in doors:  # a gateway hears of a new bucket a moment later
        preflight_object(make_client(other, keys), bucket, PREFIX)
    yield Place(door, keys, bucket)
    delete_keys(client, bucket, list_keys(client, bucket, PREFIX).keys)
    assert remove_bucket(client, bucket)


def run(place: Place, op: str, size: int, s3: dict[str, Any]) -> tuple[list[Outcome], list[ErrorClass], str]:
    """Ten operations by the engine: outcomes, classes, and an example of what went wrong."""
    plan = json.loads(PLAN.read_text())
    door = place.door
    assert door.ca is not None
    plan["endpoints"] = [
        {
            "name": door.name,
            "url": door.url,
            "ca_pem": door.ca.read_text(),
            "server_name": door.server_name,
            "address": None,
        }
    ]
    plan["s3"] |= {"bucket": place.bucket, "prefix": PREFIX, "region": "us-east-1"}
    plan["s3"] |= {"access_key": place.keys.access_key, "secret_key": place.keys.secret_key} | s3
    plan["keyspace"] |= {"objects": 5, "choice": {"kind": "sequential"}}
    plan["sizes"] = {"kind": "fixed", "bytes": size}
    plan["mix"] = [{"op": op, "weight": 1}]
    plan["arrivals"] = {"mode": "closed", "concurrency": 1, "seconds": 20.0, "requests": 10, "think": None}
    plan["shards"], plan["verify"], plan["record_operations"], plan["lease_ms"] = 1, True, True, None
    if op == "multipart":
        plan["multipart"] |= {"parts": 2, "part_bytes": 5 << 20}
        plan["arrivals"]["requests"] = 2
    engine = RustGenerator(plan)
    engine.start()
    assert engine.join(40)
    rows = engine.drain().operations
    text = " | ".join(engine.status().error_examples.values())
    return [Outcome(int(one)) for one in rows["outcome"]], [ErrorClass(int(one)) for one in rows["error_class"]], text


def header(algorithm: str, payload: str) -> dict[str, Any]:
    return {"payload": payload, "checksum": {"algorithm": algorithm, "in": "header"}}


def trailer(algorithm: str, payload: str) -> dict[str, Any]:
    return {"payload": payload, "checksum": {"algorithm": algorithm, "in": "trailer"}}


WAYS: dict[str, dict[str, Any]] = (
    {"unsigned": {"payload": "unsigned"}, "signed": {"payload": "signed"}, "chunked": {"payload": "chunked"}}
    | {f"unsigned, {one} in header": header(one, "unsigned") for one in ALGORITHMS}
    | {f"chunked, {one} in header": header(one, "chunked") for one in ALGORITHMS}
    | {f"chunked, {one} in trailer": trailer(one, "chunked") for one in ALGORITHMS}
    | {f"unsigned, {one} in trailer": trailer(one, "unsigned-trailer") for one in ALGORITHMS}
    | {"sse-c": {"payload": "unsigned", "encryption": "sse-c"}}
)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_written_in_this_way_is_read_back_whole(place: Place, way: str) -> None:
    for size in SIZES:
        for op in ("put", "get"):
            outcomes, classes, example = run(place, op, size, WAYS[way])
            assert set(outcomes) == {Outcome.OK}, (way, op, size, classes, example)
    for _ in range(UPLOADS_MAX):
        outcomes, classes, example = run(place, "multipart", 0, WAYS[way])
        if set(outcomes) == {Outcome.OK} or UNKNOWN_UPLOAD not in example:
            break
    assert set(outcomes) == {Outcome.OK}, (way, "multipart", classes, example)


def test_a_lab_without_a_key_of_its_own_cannot_encrypt_and_says_so(place: Place) -> None:
    outcomes, classes, _ = run(place, "put", 4_096, {"payload": "unsigned", "encryption": "sse-s3"})
    assert (set(outcomes), set(classes)) == ({Outcome.UNKNOWN}, {ErrorClass.INTERNAL_ERROR})


def test_without_its_key_an_encrypted_object_is_not_read(place: Place) -> None:
    assert set(run(place, "put", 4_096, WAYS["sse-c"])[0]) == {Outcome.OK}
    assert set(run(place, "get", 4_096, WAYS["unsigned"])[0]) == {Outcome.FAIL}
    assert set(run(place, "put", 4_096, WAYS["unsigned"])[0]) == {Outcome.OK}


def put(place: Place, word: str, headers: dict[str, str], body: bytes | None, frames: Any = None) -> int:
    """A PUT signed by hand; `frames` makes the body of the seed signature and the way to sign. Gives the status."""
    url = urlsplit(place.door.url)
    now = datetime.now(UTC)
    stamp, scope = now.strftime("%Y%m%dT%H%M%SZ"), f"{now:%Y%m%d}/us-east-1/s3/aws4_request"
    path = f"/{place.bucket}/{PREFIX}wrong"
    signed = headers | {"host": url.netloc, "x-amz-content-sha256": word, "x-amz-date": stamp}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    canonical = f"PUT\n{path}\n\n{lines}\n{names}\n{word}"
    key = b"AWS4" + place.keys.secret_key.encode()
    for text in scope.split("/"):
        key = hmac.new(key, text.encode(), hashlib.sha256).digest()

    def sign(algorithm: str, *last: str) -> str:
        return hmac.new(key, "\n".join((algorithm, stamp, scope, *last)).encode(), hashlib.sha256).hexdigest()

    seed = sign("AWS4-HMAC-SHA256", hashlib.sha256(canonical.encode()).hexdigest())
    if body is None:
        body = frames(sign, seed)
    credential = f"Credential={place.keys.access_key}/{scope}, SignedHeaders={names}, Signature={seed}"
    assert url.hostname is not None
    context = ssl.create_default_context(cafile=str(place.door.ca))
    connection = http.client.HTTPSConnection(url.hostname, url.port, timeout=10, context=context)
    try:
        connection.request("PUT", path, body, signed | {"authorization": f"AWS4-HMAC-SHA256 {credential}"})
        return connection.getresponse().status
    finally:
        connection.close()


DATA = b"hello, real store " * 300
SUM = base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode()
WRONG = base64.b64encode((zlib.crc32(DATA) ^ 1).to_bytes(4, "big")).decode()
CHUNKED = {"content-encoding": "aws-chunked", "x-amz-decoded-content-length": str(len(DATA))}
TRAILING = CHUNKED | {"x-amz-trailer": "x-amz-checksum-crc32"}


def chunks(data: bytes, spoil: str) -> Any:
    """Signed chunks; `spoil` says which signature is wrong."""

    def make(sign: Any, seed: str) -> bytes:
        body, previous = b"", seed
        for part in (data, b""):
            digests = hashlib.sha256(b"").hexdigest(), hashlib.sha256(part).hexdigest()
            previous = sign("AWS4-HMAC-SHA256-PAYLOAD", previous, *digests)
            if spoil == ("data" if part else "end"):
                previous = "0" * 64
            body += f"{len(part):x};chunk-signature={previous}\r\n".encode() + (part + b"\r\n" if part else b"")
        return body + b"\r\n"

    return make


def accepted(place: Place) -> dict[str, bool]:
    """Which bodies the store takes, right and wrong."""
    plain, streamed = "UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

    def trailed(sum_: str) -> bytes:
        return f"{len(DATA):x}\r\n".encode() + DATA + f"\r\n0\r\nx-amz-checksum-crc32:{sum_}\r\n\r\n".encode()

    signed = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    statuses = {
        "checksum in a header": put(place, plain, {"x-amz-checksum-crc32": SUM}, DATA),
        "wrong checksum in a header": put(place, plain, {"x-amz-checksum-crc32": WRONG}, DATA),
        "checksum in a trailer": put(place, streamed, TRAILING, trailed(SUM)),
        "wrong checksum in a trailer": put(place, streamed, TRAILING, trailed(WRONG)),
        "SHA-256": put(place, hashlib.sha256(DATA).hexdigest(), {}, DATA),
        "wrong SHA-256": put(place, hashlib.sha256(b"x").hexdigest(), {}, DATA),
        "signed chunks": put(place, signed, CHUNKED, None, chunks(DATA, "")),
        "wrong chunk signature": put(place, signed, CHUNKED, None, chunks(DATA, "data")),
        "wrong last signature": put(place, signed, CHUNKED, None, chunks(DATA, "end")),
    }
    return {name: status == 200 for name, status in statuses.items()}


def test_what_is_right_is_taken_and_what_is_wrong_refused(place: Place) -> None:
    assert accepted(place) == {
        "checksum in a header": True,
        "wrong checksum in a header": False,
        "checksum in a trailer": True,
        "wrong checksum in a trailer": False,
        "SHA-256": True,
        "wrong SHA-256": True,  # the body is not compared with the SHA-256 that its request signed
        "signed chunks": True,
        "wrong chunk signature": False,
        "wrong last signature": False,
    }
