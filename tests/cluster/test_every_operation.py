"""Every operation of the engine on the real cluster: what it answers stands as a table in the concepts."""

import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from maul import site
from maul.campaign.model_mix import OpName
from maul.core.generator import GeneratorState
from maul.core.operation import REGION_SHIFT, ErrorClass, Flag, Op, Outcome, Region, key_name
from maul.lab.cluster import Lab
from maul.load.rust import RustGenerator
from maul.plan.engine_plan import (
    ClosedArrivals,
    EngineEndpoint,
    EngineLimits,
    EnginePlan,
    EngineS3,
    FixedSizes,
    KeyChoice,
    Keyspace,
    Listing,
    MixEntry,
    Multipart,
    RegionName,
    Timeouts,
    with_secrets,
)
from maul.s3.client import make_client
from maul.s3.credentials import Credentials, load_credentials
from maul.s3.endpoint import Endpoint
from maul.verify.ledger import Ledger
from maul.verify.reads import stale_reads

pytestmark = pytest.mark.cluster

TABLE = Path(__file__).parents[2] / "docs" / "concepts" / "operations-on-seaweedfs.md"
BUCKET = "every-operation"
PREFIX = "maul/every/"
OBJECTS = 40
WEIGHTS: dict[OpName, float] = {"put": 60.0, "multi_delete": 1.0, "delete": 4.0, "delete_version": 4.0}
INTRO = """# Every operation on SeaweedFS

What the lab's SeaweedFS answers to each operation, on a bucket with versions and object lock. Made by
`tests/cluster/test_every_operation.py`, which fails when the cluster answers otherwise (`MAUL_WRITE_DOCS=1` writes
this page anew). "as asked": OK, whatever was declined because it was asked to be. Everything else is named by its
error class; see the [glossary](../glossary.md) and the [operations](../reference/operations.md).

| operation | answered |
|---|---|
"""
OUTRO = """
GET_DELETED asks for what was deleted, and acknowledged as such. On a bucket with versions this cluster at times goes on
serving it: the delete marker is listed, but not as the latest version, and any other client sees the object as well.
That is RESURRECTED, and the test asks boto3 whether the engine is right.

Uploads in parts that overlap on one key are at times ended with 400 InvalidPart, and on a busy machine a filer that has
not yet heard of an upload says 404 NoSuchUpload; both are OTHER_CLIENT_ERROR.
"""
INVALID_PART = "as asked, at times OTHER_CLIENT_ERROR"
AT_TIMES = {
    Op.GET_DELETED: "as asked, at times RESURRECTED",
    Op.MULTIPART: INVALID_PART,
    Op.MULTIPART_COPY: INVALID_PART,
}
"""What depends on the moment."""


@pytest.fixture(scope="module")
def door(lab: Lab) -> Endpoint:
    one = site.load(lab.site_path).endpoints[0]
    return Endpoint(one.name, one.url, Path(one.ca) if one.ca else None, one.server_name)


@pytest.fixture(scope="module")
def credentials(lab: Lab) -> Credentials:
    place = site.load(lab.site_path)
    assert place.credentials is not None
    return load_credentials(Path(place.credentials.file), {})


@pytest.fixture(scope="module")
def client(door: Endpoint, credentials: Credentials) -> Iterator[Any]:
    """Of boto3; its bucket keeps every version, allows locks, and is gone afterwards."""
    client = make_client(door, credentials)
    client.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
    yield client
    for pages in range(100):
        listed = client.list_object_versions(Bucket=BUCKET)
        found = listed.get("Versions", []) + listed.get("DeleteMarkers", [])
        if not found:
            break
        for one in found:
            client.delete_object(
                Bucket=BUCKET, Key=one["Key"], VersionId=one["VersionId"], BypassGovernanceRetention=True
            )
        assert pages < 99, "the bucket never became empty"
    assert client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []) == []
    client.delete_bucket(Bucket=BUCKET)


def plan(door: Endpoint, epoch: int, mix: dict[OpName, float], requests: int, **changes: Any) -> EnginePlan:
    region: RegionName = changes.pop("region", "base")
    kind = changes.pop("kind", "uniform")
    return EnginePlan(
        run=77,
        seed=epoch,
        epoch=epoch,
        shards=1,
        endpoints=(EngineEndpoint(name=door.name, url=door.url, server_name=door.server_name),),
        s3=EngineS3(bucket=BUCKET, prefix=PREFIX, region="us-east-1"),
        keyspace=Keyspace(objects=OBJECTS, choice=KeyChoice(kind=kind), region=region),
        sizes=FixedSizes(bytes=40_000),
        mix=tuple(MixEntry(op=op, weight=weight) for op, weight in mix.items()),
        multipart=Multipart(parts=2, part_bytes=5 << 20, objects=4, parallel=2),
        listing=Listing(max_keys=7, delimiter="/", pages=3),
        range_bytes=6000,
        multi_delete_keys=5,
        retention_s=1,
        arrivals=ClosedArrivals(concurrency=4, seconds=60, requests=requests),
        timeouts=Timeouts(connect_ms=5_000, request_ms=20_000),
        limits=EngineLimits(
            rate_per_s=1e5, bytes_per_s=1e10, in_flight=8, requests=20_000, bytes=1 << 33, seconds=90, connections=8
        ),
        lease_ms=None,
    )


def carried_out(
    engine_plan: EnginePlan, door: Endpoint, credentials: Credentials
) -> tuple[Any, Mapping[ErrorClass, str]]:
    """The rows of a run that ended by itself, and what was said of its errors."""
    ca = door.ca.read_text(encoding="ascii") if door.ca else None
    generator = RustGenerator(with_secrets(engine_plan, credentials, {door.name: ca}))
    generator.start()
    rows = []
    until_s = time.monotonic() + 90
    while True:
        status = generator.status()
        rows.append(generator.drain().operations)
        if status.state is GeneratorState.DONE:
            break
        assert time.monotonic() < until_s, status
        time.sleep(0.05)  # an engine at work tells nobody when it ends
    rows.append(generator.drain().operations)
    return np.concatenate(rows), generator.status().error_examples


def test_every_operation_is_carried_out_and_what_is_refused_is_known(
    client: Any, door: Endpoint, credentials: Credentials
) -> None:
    filled, _ = carried_out(plan(door, 1, {"put": 1.0}, OBJECTS, kind="sequential"), door, credentials)
    assert set(filled["outcome"]) == {Outcome.OK}
    everything = {op: WEIGHTS.get(op, 5.0) for op in get_args(OpName)}
    rows, examples = carried_out(plan(door, 2, everything, 1500), door, credentials)

    answers: dict[Op, Counter[str]] = defaultdict(Counter)
    for row in rows:
        error = ErrorClass(int(row["error_class"]))
        answers[Op(int(row["op"]))]["as asked" if error is ErrorClass.NONE else error.name] += 1
    assert set(answers) == set(Op)
    said = {op: ", ".join(sorted(answers[op])) for op in Op} | AT_TIMES
    table = INTRO + "".join(f"| {op.name} | {said[op]} |\n" for op in Op) + OUTRO
    assert set(answers[Op.GET_DELETED]) <= {"as asked", "RESURRECTED"}
    for op in (Op.MULTIPART, Op.MULTIPART_COPY):
        assert set(answers[op]) <= {"as asked", "OTHER_CLIENT_ERROR"} and answers[op]["as asked"], answers[op]
    if os.environ.get("MAUL_WRITE_DOCS"):
        TABLE.write_text(table, encoding="utf-8")
    assert table == TABLE.read_text(encoding="utf-8"), (dict(answers), examples)

    one_request = rows[rows["op"] == Op.MULTI_DELETE]
    assert (one_request["flags"] & Flag.SAME_REQUEST).any()
    assert set(answers[Op.ABORTED_PUT]) == {ErrorClass.GIVEN_UP.name}
    # what was written is what is read, copies included; what was deleted and is there, boto3 sees as well
    reads = stale_reads([filled, rows], (door.name,), PREFIX)
    back = {int(row["key"]) for row in rows if row["error_class"] == ErrorClass.RESURRECTED}
    assert all(_is_there(client, key_name(PREFIX, key)) for key in back)
    assert (reads.corrupt, reads.phantom, reads.missing) == (0, 0, 0), reads.findings
    assert {finding.key for finding in reads.findings} == {key_name(PREFIX, key) for key in back}
    copies, _ = carried_out(plan(door, 3, {"get": 1.0}, OBJECTS, region="copy", kind="sequential"), door, credentials)
    ledger = Ledger.from_operations([filled, rows])
    must = [key for key in ledger.must_exist() if key >> REGION_SHIFT == Region.COPY]
    read = {int(row["key"]) for row in copies if row["outcome"] == Outcome.OK}
    assert must
    assert set(must) <= read


def _is_there(client: Any, key: str) -> bool:
    return any(one["Key"] == key for one in client.list_objects_v2(Bucket=BUCKET, Prefix=key).get("Contents", []))
