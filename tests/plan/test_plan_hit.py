"""Hit: a URL and a few options become up to three engines."""

# ruff: noqa: E501 (messages stand here whole, as a person reads them)

import json

import pytest

from maul import plan
from maul.core.errors import CampaignError
from maul.plan import Hit, hit

URL = "https://127.0.0.1:8443/b-1"


def message_of(**wishes):
    with pytest.raises(CampaignError) as caught:
        hit(Hit(**{"url": URL, "rate_per_s": 10.0, **wishes}), "r1", 4)
    return caught.value.message


def engines(made):
    return [engine for engine in (made.fill, made.main, made.clean_up) if engine is not None]


@pytest.mark.parametrize(
    ("op", "filled", "region", "choice"),
    [
        ("get", True, "base", "uniform"),
        ("head", True, "base", "uniform"),
        ("list", True, "base", "uniform"),
        ("delete", True, "base", "sequential"),
        ("put", False, "base", "sequential"),
        ("multipart", False, "multipart", "sequential"),
    ],
)
def test_what_must_exist_is_filled_and_what_was_written_is_deleted(op, filled, region, choice):
    made = hit(Hit(url=URL, op=op, rate_per_s=10.0, objects=50), "r1", 4)
    assert (made.bucket, made.prefix, made.endpoint.url) == ("b-1", "maul/r1/", "https://127.0.0.1:8443")
    assert (made.fill is not None) == filled
    assert [entry.op for entry in made.main.mix] == [op]
    assert (made.main.keyspace.region, made.main.keyspace.choice.kind) == (region, choice)
    assert [entry.op for entry in made.clean_up.mix] == ["delete"]
    assert (made.clean_up.keyspace.region, made.clean_up.keyspace.objects) == (region, made.main.keyspace.objects)
    assert [engine.epoch for engine in engines(made)] == ([1, 2, 3] if filled else [2, 3])
    if filled:
        assert made.fill.keyspace.objects == made.main.keyspace.objects == made.fill.arrivals.requests


def test_an_existing_object_is_only_read():
    made = hit(Hit(url=URL, op="head", concurrency=3, key="some/thing"), "r1", 4)
    assert engines(made) == [made.main]
    assert made.main.keyspace.fixed_key == "some/thing"
    assert made.main.verify is False


def test_a_paced_delete_has_an_object_for_every_request():
    made = hit(Hit(url=URL, op="delete", rate_per_s=33.3, seconds=10.0, objects=1), "r1", 4)
    assert made.fill.keyspace.objects == 333
    closed = hit(Hit(url=URL, op="delete", concurrency=4, objects=70), "r1", 4)
    assert closed.main.arrivals.requests == closed.fill.keyspace.objects == 70


def test_open_and_closed():
    paced = hit(Hit(url=URL, rate_per_s=10.0, seconds=3.0), "r1", 8).main
    assert paced.arrivals.mode == "open"
    assert (paced.arrivals.profile[0].rate, paced.arrivals.profile[0].seconds, paced.shards) == (10.0, 3.0, 1)
    flat_out = hit(Hit(url=URL, concurrency=6, seconds=3.0), "r1", 8).main
    assert (flat_out.arrivals.mode, flat_out.arrivals.concurrency, flat_out.shards) == ("closed", 6, 6)
    assert flat_out.limits.connections == 6
    assert hit(Hit(url=URL, concurrency=6, shards=2), "r1", 8).main.shards == 2


@pytest.mark.parametrize(
    ("size", "parts", "part_bytes"),
    [(1, 1, 1), (5 * 2**20, 1, 5 * 2**20), (10 * 2**20 + 1, 2, 5 * 2**20 + 1), (5 * 2**30, 1024, 5 * 2**20)],
)
def test_uploads_have_parts_that_s3_takes(size, parts, part_bytes):
    shape = hit(Hit(url=URL, op="multipart", rate_per_s=1.0, size_bytes=size), "r1", 4).main.multipart
    assert (shape.parts, shape.part_bytes) == (parts, part_bytes)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"url": "127.0.0.1:80"}, "URL: expected a URL such as https://10.0.0.1:8443"),
        ({"url": "http://me:s3cr3t@127.0.0.1"}, "URL: a URL must not carry a user or password; use the credentials file"),
        ({"url": URL + "/object"}, "URL: expected nothing behind the bucket; name an object with --key"),
        ({"url": URL + "?x=1"}, "URL: expected nothing behind the bucket; name an object with --key"),
        ({"bucket": "b-2"}, '--bucket: the URL names bucket "b-1" and --bucket "b-2"; name one'),
        ({"url": "http://h/B"}, "--bucket: a bucket name has 3 to 63 of a-z 0-9 . - and begins and ends with a letter or "
         "digit (S3's own rule)"),
        ({"concurrency": 1}, "--rate: give exactly one of --rate (open loop) and --concurrency (closed loop)"),
        ({"rate_per_s": None}, "--rate: give exactly one of --rate (open loop) and --concurrency (closed loop)"),
        ({"rate_per_s": 0.0}, "--rate: must be from 0.001 to 1e+06, and is 0"),
        ({"rate_per_s": float("nan")}, "--rate: must be from 0.001 to 1e+06, and is nan"),
        ({"rate_per_s": 1e6, "seconds": 3600.0}, "--duration: 1e+06/s × 3600 s = 3,600,000,000 requests, and the limit is "
         "100,000,000; lower one"),
        ({"rate_per_s": 0.01, "seconds": 1e9}, "--duration: must be from 0.001 to 3600, and is 1e+09"),
        ({"shards": 500}, "--shards: must be from 1 to 128, and is 500"),
        ({"op": "put", "key": "x"}, "--key: an object that is not ours is only read; use --op get or head, not put"),
        ({"key": "x" * 1025}, "--key: an object key has 1 to 1024 bytes"),
        ({"op": "multipart", "size_bytes": 0}, "--size: an upload needs at least one byte"),
        ({"size_bytes": 6 * 2**30}, "--size: must be from 0 to 5 GiB"),
        ({"objects": 10**10, "size_bytes": 10**6}, "--objects: 10,000,000,000 × 976.6 KiB = 9095 TiB to fill, and the limit is "
         "9.095 TiB; lower one"),
    ],
)  # fmt: skip
def test_bad_wishes(wishes, message):
    assert message_of(**wishes) == message


def test_all_bad_wishes_come_at_once():
    assert (
        len(message_of(seconds=0.0, size_bytes=-1, objects=0, connections=0, seed=-1, bucket="b-2").splitlines()) == 6
    )


def test_the_bucket_has_a_name_of_ours_when_none_is_given():
    assert hit(Hit(url="http://127.0.0.1:1", rate_per_s=1.0), "r1", 1).bucket == "maul-hit"


def test_an_existing_key_without_a_bucket_is_the_whole_path():
    plan = hit(Hit(url="http://127.0.0.1:1", key="index.html", rate_per_s=1.0), "r1", 1)
    assert (plan.bucket, plan.main.s3.bucket, plan.main.keyspace.fixed_key) == ("", None, "index.html")
    assert (plan.fill, plan.clean_up) == (None, None)
    named = hit(Hit(url="http://127.0.0.1:1/bucket", key="index.html", rate_per_s=1.0), "r1", 1)
    assert named.main.s3.bucket == "bucket"
    assert hit(Hit(url="http://127.0.0.1:1/", rate_per_s=1.0, bucket="mine"), "r1", 1).bucket == "mine"


@pytest.mark.parametrize("op", ["get", "head", "list", "delete", "put", "multipart"])
@pytest.mark.parametrize("load", [{"rate_per_s": 7.5}, {"concurrency": 5}])
def test_the_engine_itself_accepts_every_hit(op, load):
    engine = pytest.importorskip("maul._engine", reason="the engine is not built")
    made = [hit(Hit(url=URL, op=op, size_bytes=size, **load), "r1", 4) for size in (1, 4096, 2**27)]
    if op in {"get", "head"}:
        made.append(hit(Hit(url=URL, op=op, key="x", **load), "r1", 4))
    for one in made:
        for each in engines(one):
            engine.Engine(json.dumps(plan.with_secrets(each, None, {})))


def test_how_requests_are_made_reaches_every_engine():
    made = hit(
        Hit(url="https://127.0.0.1:1", op="presigned_get", concurrency=4, think_s=0.05, payload="chunked",
            checksum="crc32c", encryption="sse-c", requests_each=3, resumption=False),
        "r1", 2,
    )  # fmt: skip
    for engine in (made.fill, made.main, made.clean_up):
        assert (engine.s3.payload, engine.s3.encryption) == ("chunked", "sse-c")
        assert (engine.s3.checksum.algorithm, engine.s3.checksum.place) == ("crc32c", "trailer")
        assert (engine.connections.requests_each, engine.connections.resumption) == (3, 0.0)
    assert made.main.arrivals.think.mean_ms == 50.0
    paced = hit(Hit(url=URL, rate_per_s=5.0, poisson=True, checksum="sha256"), "r1", 2).main
    assert (paced.arrivals.process, paced.s3.checksum.place) == ("poisson", "header")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"op": "copy"}, "--op: copy says little alone"),
        ({"payload": "unsigned-trailer"}, "--payload: unsigned-trailer carries a checksum"),
        ({"anonymous": True, "payload": "signed"}, "--anonymous: needs no signature"),
        ({"encryption": "sse-c"}, "--sse: sse-c sends its key"),
        ({"poisson": True}, "--poisson: shapes an open loop; give --rate"),
        ({"requests_each": 0}, "--requests-each: must be from 1"),
        ({"think_s": 9999.0}, "--think: must be from 0 to 3,600"),
    ],
)
def test_requests_that_cannot_be_are_refused(given, says):
    with pytest.raises(CampaignError, match=says):
        hit(Hit(url="http://127.0.0.1:1", **{"concurrency": 1, **given}), "r1", 2)
