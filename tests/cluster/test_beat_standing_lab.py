"""maul against a lab that stays: hits, wrong keys, wrong trust, half a cluster, no room, and tidying up afterwards."""

import json
import os
import resource
import signal
from pathlib import Path

import boto3
import pytest
from beat_runs import INTERRUPT, Beat, campaign, everything_in, keys_in, left_in_state, maul
from botocore.config import Config

from maul import site
from maul.core.clock import SystemClock
from maul.core.errors import ExitCode
from maul.core.summary import Ending
from maul.faults.catalogue import FAULTS
from maul.faults.fault import Target
from maul.faults.fault_run import FaultRun, State
from maul.hosts.journal import UndoJournal
from maul.hosts.local import LocalHost
from maul.lab.certs import make_certificates
from maul.lab.cluster import Lab
from maul.lab.health import answers
from maul.s3.preflight import preflight_bucket
from waiting import wait_for

pytestmark = pytest.mark.cluster
BUCKET = "maul-standing"
NO_FAULT = (
    "faults:\n  - {name: kill-volume, fault: process.kill, role: volume, pick: 1, phase: hurt, after: 1s, hold: 3s}\n",
    "",
)


@pytest.fixture(scope="module")
def s3(lab: Lab):
    """As somebody else, who has a bucket with an object in it."""
    keys = json.loads((lab.layout.conf / "credentials.json").read_text())
    client = boto3.client(
        "s3",
        endpoint_url=lab.url,
        aws_access_key_id=keys["access_key"],
        aws_secret_access_key=keys["secret_key"],
        region_name="us-east-1",
        verify=str(lab.layout.ca_path),
        config=Config(s3={"addressing_style": "path"}),
    )
    preflight_bucket(client, BUCKET, create=True)  # until every gateway knows it
    client.put_object(Bucket=BUCKET, Key="customers/data", Body=b"theirs")
    return client


@pytest.fixture
def copied(lab: Lab, tmp_path: Path):
    """The lab's site.yaml with pieces of it replaced."""

    def copy(*changes: tuple[str, str]) -> Path:
        text = lab.site_path.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path = tmp_path / "site.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return copy


def names(s3) -> list[str]:
    return sorted(one["Key"] for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []))


def holds(s3, *expected: str) -> bool:
    """Whether the bucket comes to hold exactly this: one gateway's listing may lag behind the other's."""
    return wait_for(lambda: [names(s3) for _ in range(2)] == [sorted(expected)] * 2, 8)


# ---------------------------------------------------------------- hit


@pytest.mark.parametrize("op", ["get", "put", "head", "delete", "list", "multipart"])
def test_every_operation_hits_and_has_its_numbers(lab, s3, capsys, op):
    size = "10MiB" if op == "multipart" else "4KiB"
    code, out, err = maul(
        capsys, "hit", f"{lab.url}/{BUCKET}", "--op", op, "--concurrency", 2, "--duration", "0.4s", "--objects", 8,
        "--size", size, "--ca", lab.layout.ca_path, "--credentials", lab.layout.conf / "credentials.json", "--json",
    )  # fmt: skip
    assert (code, err) == (ExitCode.PASS, "")
    numbers = json.loads(out)
    assert (numbers["op"], numbers["loop"], numbers["stopped"], numbers["left_behind"]) == (op, "closed", "", 0)
    assert numbers["requests"] == numbers["ok"] > 0 and numbers["errors"] == {}
    assert op != "delete" or numbers["requests"] == 8
    moved = 10 << 20 if op == "multipart" else 4096 if op in ("get", "put") else 1
    assert numbers["bytes"] >= moved * numbers["requests"]
    for kind in ("latency_ms", "service_ms"):
        seen = numbers[kind]
        assert seen["count"] == numbers["requests"]
        assert 0 < seen["p50"] <= seen["p90"] <= seen["p99"] <= seen["p999"] <= seen["max"] < 30_000
    assert numbers["latency_ms"]["mean"] >= numbers["service_ms"]["mean"] > 0
    assert numbers["cpu_seconds"] >= numbers["engine_cpu_seconds"] > 0
    assert holds(s3, "customers/data"), "what a hit wrote is gone, and nothing else"


def test_a_rate_is_kept(lab, s3, capsys):
    code, out, _ = maul(
        capsys, "hit", lab.url, "--bucket", BUCKET, "--op", "head", "--key", "customers/data", "--rate", "40/s",
        "--duration", "1s", "--ca", lab.layout.ca_path, "--credentials", lab.layout.conf / "credentials.json", "--json",
    )  # fmt: skip
    numbers = json.loads(out)
    assert code == ExitCode.PASS and (numbers["offered"], numbers["ok"]) == (40, 40)


# ---------------------------------------------------------------- what may be wrong in a site


SOMEBODY = "NOBODY00NOBODY00"
WRONG = {
    "secret key": (ExitCode.USAGE, "the signature does not match"),
    "access key": (ExitCode.USAGE, "does not know the access key"),
    "reader's keys": (ExitCode.USAGE, "may not CREATE bucket"),
    "another authority": (ExitCode.ENVIRONMENT, "is of a CA that is not trusted here"),
    "no authority": (ExitCode.USAGE, "the CA file cannot be used"),
    "nobody there": (ExitCode.ENVIRONMENT, "nothing listens on port 1"),
    "metrics elsewhere": (ExitCode.NOT_PERMITTED, "192.0.2.1, which is not loopback"),
}


def change(lab: Lab, tmp_path: Path, what: str) -> tuple[str, str]:
    """What is replaced in the site, and by what."""
    conf = lab.layout.conf
    other = tmp_path / "other.pem"
    other.write_bytes(make_certificates("127.0.0.1").ca)
    return {
        "secret key": wrong_keys(lab, tmp_path, secret_key="0" * 40),
        "access key": wrong_keys(lab, tmp_path, access_key=SOMEBODY),
        "reader's keys": (str(conf / "credentials.json"), str(conf / "credentials-reader.json")),
        "another authority": (str(lab.layout.ca_path), str(other)),
        "no authority": (str(lab.layout.ca_path), str(tmp_path / "missing.pem")),
        "nobody there": (lab.url, lab.url.rpartition(":")[0] + ":1"),
        "metrics elsewhere": ('metrics: "http://127.', 'metrics: "http://192.0.2.1/?127.'),
    }[what]


def wrong_keys(lab: Lab, tmp_path: Path, **keys: str) -> tuple[str, str]:
    found = lab.layout.conf / "credentials.json"
    path = tmp_path / f"{'-'.join(keys)}.json"
    path.write_text(json.dumps(json.loads(found.read_text()) | keys))
    path.chmod(0o600)
    return str(found), str(path)


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_site_is_told_before_any_load(lab, s3, copied, capsys, what):
    code, says = WRONG[what]
    folder = copied().parent
    runs, plan = folder / "runs", campaign(folder / "c.yaml", NO_FAULT, bucket="maul-wrong")
    found = maul(capsys, "beat", plan, "--site", copied(change(lab, folder, what)), "--runs", runs)
    assert found[0] == code and says in found[2], found
    assert not runs.exists() and left_in_state() == []
    assert all(key not in found[1] + found[2] for key in [SOMEBODY, *keys_in(lab.layout.conf)])
    assert "maul-wrong" not in [one["Name"] for one in s3.list_buckets()["Buckets"]]


def test_seaweedfs_takes_any_region(lab, s3, capsys):
    """True of this store: it checks the signature against the region that the request itself names."""
    code, out, err = maul(
        capsys, "hit", lab.url, "--bucket", BUCKET, "--op", "put", "--objects", 4, "--concurrency", 1, "--duration",
        "0.2s", "--region", "mars-north-1", "--ca", lab.layout.ca_path, "--credentials",
        lab.layout.conf / "credentials.json", "--json",
    )  # fmt: skip
    assert code == ExitCode.PASS and json.loads(out)["errors"] == {}, err


def test_half_a_cluster_is_told_by_name_and_what_works_can_still_be_hit(lab, s3, copied, tmp_path, capsys):
    name = "gateway-r1-1"
    told = site.load(lab.site_path).service(name)
    service, clock = lab.layout.service(name), SystemClock()
    target = Target(name, Path(told.process.pidfile), lambda: answers(service, timeout_s=1.0))
    hurt = FaultRun(FAULTS["process.kill"](target, LocalHost(), clock), target, UndoJournal(tmp_path / "undo"), clock)
    hurt.prepare()
    try:
        hurt.inject(60.0)
        assert hurt.prove_effect().proven
        found = maul(
            capsys, "beat", campaign(tmp_path / "c.yaml", NO_FAULT, bucket=BUCKET), "--site", copied(), "--runs",
            tmp_path / "runs",
        )  # fmt: skip
        assert found[0] == ExitCode.ENVIRONMENT and name in found[2] and "nothing listens" in found[2]
        hit = maul(
            capsys, "hit", f"{lab.url}/{BUCKET}", "--op", "head", "--key", "customers/data", "--duration", "0.3s",
            "--rate", "20", "--ca", lab.layout.ca_path, "--credentials", lab.layout.conf / "credentials.json", "--json",
        )  # fmt: skip
        assert hit[0] == ExitCode.PASS, hit
    finally:
        assert hurt.finish() is State.CLEAN
    assert holds(s3, "customers/data")


# ---------------------------------------------------------------- no room


def small_files_only(limit: int):
    def before() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return before


def test_where_the_disk_fills_up_in_the_middle_the_run_ends_and_says_so(lab, s3, copied, tmp_path, capsys):
    busy = (
        ("rate: 50/s", "rate: 3000/s"),
        ("errors_below: 50%", "errors_below: 100%"),
        ("mix: {get: 60, put: 30, delete: 5, head: 5}", "mix: {head: 1}"),
        ("seed: 7", "limits: {rate: 4000/s, requests: 200000, error_ratio: 100%}\nseed: 7"),
    )
    plan = campaign(tmp_path / "c.yaml", NO_FAULT, *busy, bucket=BUCKET, seconds="30s")
    with Beat(tmp_path / "full", plan, "--site", copied(), before=small_files_only(1_150_000)) as beat:
        code = beat.end(45)
    assert code == ExitCode.ENVIRONMENT, beat.said
    assert "no room is left" in beat.said and "maul wipe" in beat.said
    run = beat.record
    summary = run.summary()
    assert (summary.ending, summary.exit_code) == (Ending.FAILED, ExitCode.ENVIRONMENT)
    assert "no room is left" in summary.headline
    assert run.operations().num_rows > 5000, "what was recorded can be read"
    assert left_in_state() == []
    assert maul(capsys, "wipe", run.path)[0] == ExitCode.PASS
    assert holds(s3, "customers/data")


def test_where_there_is_no_room_at_all_nothing_begins(lab, s3, copied, tmp_path):
    plan = campaign(tmp_path / "c.yaml", NO_FAULT, bucket="maul-no-room")
    with Beat(tmp_path / "full", plan, "--site", copied(), before=small_files_only(300_000)) as beat:
        code = beat.end(30)
    assert code == ExitCode.ENVIRONMENT and "no room is left" in beat.said, beat.said
    assert list((tmp_path / "full" / "runs").iterdir()) == []
    assert "maul-no-room" not in [one["Name"] for one in s3.list_buckets()["Buckets"]]


# ---------------------------------------------------------------- interrupted twice, then wiped


def test_two_ctrl_c_and_then_a_wipe_of_exactly_what_was_ours(lab, s3, copied, tmp_path, capsys):
    plan = campaign(tmp_path / "c.yaml", bucket=BUCKET, seconds="60s")
    with Beat(tmp_path / "twice", plan, "--site", copied()) as beat:
        beat.until("kill-volume: proven")
        beat.signal(INTERRUPT)
        beat.signal(signal.SIGTERM)
        beat.signal(INTERRUPT)
        code = beat.end(20)
    assert code == ExitCode.UNKNOWN, beat.said
    run = beat.record
    summary = run.summary()
    assert summary.ending is Ending.INTERRUPTED and [fault.healed for fault in summary.faults] == [True]
    assert f"maul wipe {run.run_id}" in beat.said
    assert all(status.healthy for status in lab.status()), "what it hurt is well again"

    prefix = f"maul/{run.run_id}/"
    ours = [name for name in names(s3) if name.startswith(prefix)]
    assert len(ours) >= 120
    strangers = f"{prefix}b0000000fffff", f"{prefix}notes.txt", "maul/another/b000000000001"
    for stranger in strangers:
        s3.put_object(Bucket=BUCKET, Key=stranger, Body=b"not ours")
    code, out, _ = maul(capsys, "wipe", run.path)
    assert code == ExitCode.PASS and "3 under" not in out and "2 under" in out
    assert holds(s3, "customers/data", *strangers)
    again = maul(capsys, "wipe", run.path)
    assert again[0] == ExitCode.PASS and "0 objects of run" in again[1]
    for stranger in strangers:
        s3.delete_object(Bucket=BUCKET, Key=stranger)
    everything = everything_in(run)
    assert all(key.encode() not in everything for key in keys_in(lab.layout.conf))


def test_the_standing_lab_is_as_it_was(lab, s3):
    assert holds(s3, "customers/data") and left_in_state() == []
    assert all(status.healthy for status in lab.status())
    assert os.environ["MAUL_STATE"]
