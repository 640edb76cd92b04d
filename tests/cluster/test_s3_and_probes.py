"""The target's door and the senses, on the real cluster: through TLS, with the lab's own credentials and pid files."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme

from maul import site
from maul.core.clock import SystemClock
from maul.core.errors import CampaignError, TargetError
from maul.core.sample import Sample
from maul.faults.catalogue import FAULTS
from maul.faults.fault import Target
from maul.faults.fault_run import FaultRun, State
from maul.hosts.deadman import DeadMan
from maul.hosts.journal import UndoJournal
from maul.hosts.local import LocalHost
from maul.lab.cluster import Lab
from maul.lab.health import answers
from maul.probes.contract import MetricsTarget, ProcessTarget
from maul.probes.sampler import Sampler
from maul.probes.wiring import Watch, local_probes, remote_probes
from maul.s3.client import list_keys, make_client
from maul.s3.credentials import Credentials, load_credentials
from maul.s3.endpoint import Endpoint, check_endpoint
from maul.s3.fetch import fetch, fetcher, origin
from maul.s3.preflight import preflight_bucket, preflight_object, remove_bucket
from maul.s3.removal import abort_uploads, delete_keys
from maul.site import Site

pytestmark = pytest.mark.cluster
PREFIX = "maul/a-test/"


def checked(watched: Watch) -> dict[str, str]:
    """Every server of the lab, at its own address."""
    urls = [target.url for target in watched.metrics]
    return {origin(url): urlsplit(url).hostname or "" for url in urls}


@pytest.fixture(scope="module")
def place(lab: Lab) -> Site:
    return site.load(lab.site_path)


@pytest.fixture(scope="module")
def doors(place: Site) -> list[Endpoint]:
    return [Endpoint(one.name, one.url, Path(one.ca) if one.ca else None, one.server_name) for one in place.endpoints]


@pytest.fixture(scope="module")
def credentials(place: Site) -> Credentials:
    assert place.credentials is not None
    return load_credentials(Path(place.credentials.file), {})


@pytest.fixture
def bucket(doors: list[Endpoint], credentials: Credentials) -> Iterator[str]:
    client = make_client(doors[0], credentials)
    name = "s3-door"
    assert preflight_bucket(client, name, create=True).created
    for door in doors:
        preflight_object(make_client(door, credentials), name, PREFIX)
    yield name
    delete_keys(client, name, list_keys(client, name, PREFIX).keys)
    assert remove_bucket(client, name)


def test_every_door_is_reached_and_trusted(doors: list[Endpoint]) -> None:
    facts = [check_endpoint(door) for door in doors]
    assert [fact.endpoint for fact in facts] == [door.name for door in doors]
    vip = facts[0]
    assert vip.tls_version in ("TLSv1.2", "TLSv1.3")
    assert vip.connect_ms + vip.tls_ms < 1000


def test_a_door_whose_ca_is_not_known(doors: list[Endpoint], tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with pytest.raises(TargetError, match="a CA that is not trusted here"):
        check_endpoint(replace(doors[0], ca=other))


def test_a_new_bucket_is_known_through_every_door_at_once(
    doors: list[Endpoint], credentials: Credentials, bucket: str
) -> None:
    for door in doors:
        client = make_client(door, credentials)
        assert not preflight_bucket(client, bucket, create=False).created
        preflight_object(client, bucket, PREFIX)
        assert list_keys(client, bucket, PREFIX).keys == []


@pytest.mark.parametrize("wrong", ["access_key", "secret_key"])
def test_wrong_credentials(doors: list[Endpoint], credentials: Credentials, bucket: str, wrong: str) -> None:
    for door in doors:
        client = make_client(door, replace(credentials, **{wrong: "nonsense"}))
        with pytest.raises(CampaignError) as caught:
            preflight_bucket(client, bucket, create=False)
        assert "nonsense" not in caught.value.message


def test_a_reader_may_not_write(lab: Lab, doors: list[Endpoint], bucket: str) -> None:
    reader = load_credentials(lab.layout.conf / "credentials-reader.json", {})
    client = make_client(doors[0], reader)
    preflight_bucket(client, bucket, create=False)
    with pytest.raises(CampaignError, match="may not PUT"):
        preflight_object(client, bucket, PREFIX)


def test_a_bucket_that_is_not_there(doors: list[Endpoint], credentials: Credentials) -> None:
    with pytest.raises(CampaignError, match="does not exist"):
        preflight_bucket(make_client(doors[0], credentials), "nobody-made-me", create=False)


def test_a_bucket_with_something_in_it_stays(doors: list[Endpoint], credentials: Credentials, bucket: str) -> None:
    client = make_client(doors[0], credentials)
    keys = [f"{PREFIX}b{number:012x}" for number in range(12)]
    for key in keys:
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    client.create_multipart_upload(Bucket=bucket, Key=f"{PREFIX}m000000000000")
    assert not remove_bucket(client, bucket)
    listed = list_keys(client, bucket, PREFIX)
    assert (listed.keys, listed.complete) == (keys, True)
    assert list_keys(client, bucket, PREFIX, keys_max=5).keys == keys[:5]
    assert abort_uploads(client, bucket, PREFIX) == 1
    assert delete_keys(client, bucket, keys) == len(keys)


def test_health_and_metrics_of_every_service(place: Site) -> None:
    for service in place.services:
        assert service.health and service.metrics
        fetch(service.health, 2.0)
        assert b"# TYPE" in fetch(service.metrics, 2.0)


def watch(place: Site) -> Watch:
    return Watch(
        paths=[Path(path) for service in place.services for path in service.data],
        processes=[
            ProcessTarget(service.name, pidfile=Path(service.process.pidfile))
            for service in place.services
            if service.process
        ],
        metrics=[
            MetricsTarget(service.name, service.role, service.metrics, service.host)
            for service in place.services
            if service.metrics
        ],
    )


def test_all_senses_see_all_services_without_a_gap(
    place: Site, doors: list[Endpoint], credentials: Credentials, bucket: str
) -> None:
    clock = SystemClock()
    watched = watch(place)
    sampler = Sampler([*local_probes(watched), *remote_probes(watched, fetcher(checked(watched)), clock)], 0.2)
    assert sampler.step(clock.now_ns()).events == []
    client = make_client(doors[0], credentials)
    for number in range(20):
        client.put_object(Bucket=bucket, Key=f"{PREFIX}b{number:012x}", Body=b"x" * 5000)
    clock.wait(0.3)
    reading = sampler.step(clock.now_ns())
    assert sampler.gaps == {}
    seen = found(reading.samples)
    services = {service.name for service in place.services}
    assert services <= {subject for probe, subject, _ in seen if probe == "process"}
    assert services - {"balancer"} == {subject for probe, subject, _ in seen if probe == "store"}
    assert sum(seen["store", gateway.serves[0], "requests_per_s"] for gateway in place.gateways()) > 0
    assert sum(v for (p, _, m), v in seen.items() if (p, m) == ("store", "write_ms")) > 0
    up = {s: v for (p, s, m), v in seen.items() if (p, m) == ("balancer", "up")}
    assert [v for s, v in up.items() if "/gateway-" in s] == [1.0] * len(place.gateways())
    assert seen["balancer", "gateways/BACKEND", "requests_per_s"] > 0
    assert seen["process", "balancer", "cpu_ratio"] >= 0
    assert seen["network", "lo", "sent_bytes_per_s"] > 0


def found(samples: list[Sample]) -> dict[tuple[str, str, str], Any]:
    by_name: dict[tuple[str, str, str], Any] = {}
    for sample in samples:
        by_name[sample.probe, sample.subject, sample.metric] = sample.value
    return by_name


def test_a_service_that_dies_is_a_gap_and_one_that_is_back_ends_it(lab: Lab, place: Site, tmp_path: Path) -> None:
    name = "volume-r1-1"
    clock = SystemClock()
    watched = watch(place)
    sampler = Sampler([*local_probes(watched), *remote_probes(watched, fetcher(checked(watched)), clock)], 0.05)
    told: list[tuple[str, str]] = []

    def look_until(gaps: set[str]) -> None:
        for _ in range(200):
            told.extend((str(event.edge), event.name) for event in sampler.step(clock.now_ns()).events)
            if set(sampler.gaps) == gaps:
                return
            clock.wait(0.1)
        raise AssertionError(f"{sampler.gaps} instead of {gaps}")

    look_until(set())
    service = place.service(name)
    assert service.process is not None
    target = Target(name, Path(service.process.pidfile), lambda: answers(lab.layout.service(name), timeout_s=1.0))
    with DeadMan.arm(UndoJournal(tmp_path / "undo.jsonl")) as deadman:
        run = FaultRun(FAULTS["process.kill"](target, LocalHost(), clock), target, deadman.journal, clock)
        run.prepare()
        run.inject(hold_s_max=60.0)
        try:
            look_until({f"process/{name}", f"store/{name}"})
        finally:
            assert run.finish() is State.CLEAN
    look_until(set())
    assert sorted(told) == [
        ("began", f"process/{name}"),
        ("began", f"store/{name}"),
        ("ended", f"process/{name}"),
        ("ended", f"store/{name}"),
    ]
