"""The whole eye at once: the engine writes to the real cluster, a saboteur changes objects behind its back, and the
audit finds each of them, and nothing else, under its right name."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine_plans import engine_plan
from maul import site
from maul.core.clock import SystemClock
from maul.core.operation import Op, Outcome, key_name
from maul.core.verdict import Verdict
from maul.lab.cluster import Lab
from maul.load.rust import RustGenerator
from maul.s3.client import list_keys, make_client
from maul.s3.credentials import Credentials, load_credentials
from maul.s3.endpoint import Endpoint
from maul.s3.preflight import preflight_bucket, preflight_object, remove_bucket
from maul.s3.removal import delete_keys
from maul.verify import audit, reads
from maul.verify.ledger import Ledger, Operations
from maul.verify.listing import Listing
from maul.verify.ranges import key_ranges

pytestmark = pytest.mark.cluster
PREFIX = "maul/sabotage/"
BUCKET = "sabotaged"
OBJECTS = 40
BYTES = 10_000
CLOCK = SystemClock()


@dataclass(frozen=True)
class Place:
    doors: Sequence[Endpoint]
    credentials: Credentials
    client: Any


@pytest.fixture
def place(lab: Lab) -> Iterator[Place]:
    told = site.load(lab.site_path)
    assert told.credentials is not None
    credentials = load_credentials(Path(told.credentials.file), {})
    doors = [Endpoint(one.name, one.url, Path(one.ca) if one.ca else None) for one in told.endpoints]
    client = make_client(doors[0], credentials)
    preflight_bucket(client, BUCKET, create=True)
    for door in doors:
        preflight_object(make_client(door, credentials), BUCKET, PREFIX)
    yield Place(doors, credentials, client)
    delete_keys(client, BUCKET, list_keys(client, BUCKET, PREFIX).keys)
    assert remove_bucket(client, BUCKET)


def run(place: Place, door: int, epoch: int, op: str, count: int, **keyspace: Any) -> Operations:
    """One engine, one closed loop, to its end. `endpoint` is set to the door's place in the site."""
    chosen = place.doors[door]
    plan = engine_plan(
        chosen.url,
        run=7,
        seed=7,
        epoch=epoch,
        s3={
            "bucket": BUCKET,
            "prefix": PREFIX,
            "access_key": place.credentials.access_key,
            "secret_key": place.credentials.secret_key,
        },
        keyspace={"objects": count, "choice": {"kind": "sequential"}, "delete_from": "base", "fixed_key": None}
        | keyspace,
        sizes={"kind": "fixed", "bytes": BYTES},
        mix=[{"op": op, "weight": 1.0}],
        arrivals={"mode": "closed", "concurrency": 4, "seconds": 20.0, "requests": count, "think": None},
        timeouts={"connect_ms": 2000, "request_ms": 5000},
        limits={"rate_per_s": 1000.0, "bytes_per_s": 1e8, "in_flight": 8, "requests": count + 1, "connections": 8},
        verify=True,
    )
    plan["endpoints"][0] |= {
        "name": chosen.name,
        "ca_pem": chosen.ca.read_text(encoding="ascii") if chosen.ca else None,
    }
    generator = RustGenerator(plan)
    generator.start()
    assert generator.join(30.0)
    operations = generator.drain().operations.copy()
    status = generator.status()
    assert len(operations) == count, status
    operations["endpoint"] = door
    return operations


def name(index: int) -> str:
    return key_name(PREFIX, index)


def sabotage(place: Place, first_bodies: dict[int, bytes]) -> dict[str, set[str]]:
    """Change objects as no store should; what each change is called."""
    client = place.client

    def put(index: int, body: bytes) -> str:
        client.put_object(Bucket=BUCKET, Key=name(index), Body=body)
        return name(index)

    def body(index: int) -> bytes:
        return bytes(client.get_object(Bucket=BUCKET, Key=name(index))["Body"].read())

    client.delete_object(Bucket=BUCKET, Key=name(3))
    flipped = bytearray(body(4))
    flipped[5000] ^= 1
    corrupt = {
        put(4, bytes(flipped)),
        put(5, body(6)),  # another key's bytes
        put(7, body(7)[:-100]),  # cut off
        put(8, b"not maul's at all" * 100),
        put(9, first_bodies[9][:4096] + body(9)[4096:]),  # two versions in one
    }
    stale = {put(10, first_bodies[10])}
    resurrected = {put(30, first_bodies[30])}
    return {"lost": {name(3)}, "corrupt": corrupt, "stale": stale, "resurrected": resurrected}


def test_every_sabotage_is_found_under_its_name_and_nothing_else(place: Place) -> None:
    written = [run(place, 0, 1, "put", OBJECTS)]
    first_bodies = {
        index: place.client.get_object(Bucket=BUCKET, Key=name(index))["Body"].read() for index in (9, 10, 30)
    }
    written.append(run(place, 0, 2, "put", 20))  # the first half again
    written.append(run(place, 0, 3, "delete", 10, start=30))  # and the last quarter no more
    assert all((ops["outcome"] == Outcome.OK).all() for ops in written)
    ledger = Ledger.from_operations(written)
    assert (len(ledger.keys), len(ledger.must_exist())) == (OBJECTS, 30)

    names = [door.name for door in place.doors]
    clean = judged(place, ledger, names, look(place, ledger, epoch=10))
    assert (clean.findings_total, clean.complete, clean.counts["right"]) == (0, True, OBJECTS * len(names)), clean
    assert audit.check(clean).verdict is Verdict.PASS

    expected = sabotage(place, first_bodies)
    CLOCK.wait(1.0)  # the listing may lag
    seen = look(place, ledger, epoch=20)
    doubtful = {key_name(PREFIX, int(key)) for key in audit.needs_reread(ledger, seen)}
    assert doubtful == expected["lost"] | expected["stale"] | expected["resurrected"]
    found = judged(place, ledger, names, np.concatenate([seen, look(place, ledger, epoch=30)]))
    by_kind: dict[str, set[str]] = {}
    for finding in found.findings:
        by_kind.setdefault(finding.kind, set()).add(finding.key)
        if finding.kind not in ("unlisted", "ghost"):
            assert set(finding.through.split(", ")) == set(names)
    expected |= {"unlisted": {name(3)}, "ghost": {name(30)}}
    assert by_kind == expected
    assert audit.check(found).verdict is Verdict.FAIL

    summary = reads.stale_reads([*written, seen], names, PREFIX)
    per_door = {"stale": 2, "missing": 1, "corrupt": 5, "phantom": 0}  # the resurrected one is a stale read
    assert {kind: getattr(summary, kind) for kind in per_door} == {k: n * len(names) for k, n in per_door.items()}


def look(place: Place, ledger: Ledger, epoch: int) -> Operations:
    """Every object through every door."""
    passes = []
    for door in range(len(place.doors)):
        for found in key_ranges(ledger.keys):
            epoch += 1
            region = found.region.name.lower()
            passes.append(run(place, door, epoch, "get", found.count, start=found.start, region=region))
    together = np.concatenate(passes)
    assert (together["op"] == Op.GET).all()
    return together


def judged(place: Place, ledger: Ledger, names: Sequence[str], seen: Operations) -> Any:
    listings = []
    for door in place.doors:
        listed = list_keys(make_client(door, place.credentials), BUCKET, PREFIX)
        listings.append(Listing(door.name, listed.keys, listed.complete))
    return audit.judge(ledger, seen, names, PREFIX, listings)
