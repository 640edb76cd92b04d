"""The real cluster: up, healthy, writable, private, side by side, down, and gone when maul dies."""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable

import boto3
import botocore.exceptions
import psutil
import pytest
from botocore.config import Config

from maul import site
from maul.core.errors import MachineError
from maul.hosts.host import SpawnSpec
from maul.hosts.local import LocalHost
from maul.hosts.pidfile import read_pidfile
from maul.lab import cluster
from maul.lab.certs import make_certificates
from maul.lab.cluster import Lab
from maul.lab.health import balancer_servers
from maul.site import Site

pytestmark = pytest.mark.cluster
HOST = LocalHost()


def client(lab: Lab, url: str, credentials: str = "credentials.json", ca: str | None = None):
    keys = json.loads((lab.layout.conf / credentials).read_text())
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=keys["access_key"],
        aws_secret_access_key=keys["secret_key"],
        region_name="us-east-1",
        verify=ca or str(lab.layout.ca_path),
        config=Config(
            retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10, s3={"addressing_style": "path"}
        ),
    )


@pytest.fixture(scope="module")
def place(lab: Lab) -> Site:
    return site.load(lab.site_path)


@pytest.fixture(scope="module")
def bucket(lab: Lab) -> str:
    client(lab, lab.url).create_bucket(Bucket="lab-life")
    return "lab-life"


def test_every_role_is_healthy_and_says_so_itself(lab):
    statuses = lab.status()
    assert len(statuses) == 12
    assert [status for status in statuses if not status.healthy or status.pid is None] == []
    says = {status.name: status.says for status in statuses}
    assert sorted(says[f"master-r{rack}-1"] == "leads" for rack in (1, 2, 3)) == [False, False, True]
    assert says["balancer"] == "2 of 2 gateways up"
    assert [(s.name, s.pid) for s in cluster.status(lab.directory)] == [(s.name, s.pid) for s in statuses]


def test_what_is_written_through_the_balancer_is_read_through_every_gateway(lab, place, bucket):
    vip = client(lab, place.endpoint("vip").url, ca=place.endpoint("vip").ca)
    bodies = {f"key-{number}": os.urandom(4096 + number) for number in range(20)}
    for key, body in bodies.items():
        vip.put_object(Bucket=bucket, Key=key, Body=body)
    for gateway in place.gateways():
        direct = client(lab, gateway.url)
        for key, body in bodies.items():
            assert direct.get_object(Bucket=bucket, Key=key)["Body"].read() == body


def test_the_reader_reads_and_does_not_write(lab, bucket):
    reader = client(lab, lab.url, "credentials-reader.json")
    client(lab, lab.url).put_object(Bucket=bucket, Key="for-the-reader", Body=b"x")
    assert reader.get_object(Bucket=bucket, Key="for-the-reader")["Body"].read() == b"x"
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
        reader.put_object(Bucket=bucket, Key="no", Body=b"x")


def test_a_bucket_that_nobody_made_is_not_made_by_a_write(lab):
    with pytest.raises(botocore.exceptions.ClientError, match="NoSuchBucket"):
        client(lab, lab.url).put_object(Bucket="lab-typo", Key="k", Body=b"x")


def test_whoever_does_not_know_the_authority_does_not_trust_it(lab, tmp_path):
    (tmp_path / "other.pem").write_bytes(make_certificates("127.0.0.1").ca)
    with pytest.raises(botocore.exceptions.SSLError):
        client(lab, lab.url, ca=str(tmp_path / "other.pem")).list_buckets()


def test_it_listens_and_speaks_on_loopback_only(lab):
    seen = set()
    for status in lab.status():
        for connection in psutil.Process(status.pid).net_connections("inet"):
            seen.add(status.name)
            for end in (connection.laddr, connection.raddr):
                assert not end or end.ip.startswith("127."), f"{status.name} {connection}"
    assert len(seen) == 12


def test_secrets_are_private_and_on_no_command_line(lab):
    conf = lab.layout.conf
    secrets = [
        json.loads((conf / name).read_text())["secret_key"] for name in ("credentials.json", "credentials-reader.json")
    ]
    assert len(set(secrets)) == 2
    for path in conf.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    lines = " ".join(" ".join(psutil.Process(status.pid).cmdline()) for status in lab.status())
    logs = b"".join(path.read_bytes() for path in lab.layout.logs.iterdir())
    for secret in secrets:
        assert secret not in lines and secret.encode() not in logs
        assert secret not in lab.site_path.read_text()
    assert lab.directory.stat().st_mode & 0o077 == 0


def test_up_where_it_is_up_already_is_refused_and_hurts_nothing(lab):
    before = [status.pid for status in lab.status()]
    with pytest.raises(MachineError, match="up here already"):
        cluster.up("shared", lab.directory)
    assert [status.pid for status in lab.status()] == before


def hurt(lab: Lab, name: str, signal_number: int) -> None:
    named = read_pidfile(HOST, lab.layout.pidfile(lab.layout.service(name)))
    HOST.signal(named.process, signal_number)
    if signal_number == signal.SIGKILL:
        assert poll(lambda: HOST.process(named.process) is None, 5)


def test_two_labs_side_by_side_and_one_hurt_goes_without_a_trace(lab, lab_base, look_for_leaks):
    directory = lab_base / ("second " + "x" * 100)  # too long for unix sockets: a short private place is used
    steps: list[str] = []
    began = time.monotonic()
    second = cluster.up("second", directory, steps.append)
    try:
        assert time.monotonic() - began < 30, "ages, even for a busy machine"
        assert steps and steps[-1] == f"the lab is up: {second.url}"
        assert second.layout.placement != lab.layout.placement
        assert all(status.healthy for status in (*lab.status(), *second.status()))
        assert second.layout.sockets.parent.exists() and second.layout.sockets.parent.parent != directory
        assert balancer_servers(second.layout, second.layout.balancer) == {"gateway-r1-1": "UP", "gateway-r2-1": "UP"}
        client(second, second.url).create_bucket(Bucket="only-in-second")
        names = [found["Name"] for found in client(lab, lab.url).list_buckets()["Buckets"]]
        assert "only-in-second" not in names
        hurt(second, "volume-r1-1", signal.SIGKILL)
        hurt(second, "filer-r1-1", signal.SIGSTOP)
        says = {status.name: status.says for status in second.status() if not status.healthy}
        assert says["volume-r1-1"] == "its process is gone"
        assert "nothing within" in says["filer-r1-1"]
        (directory / "lab.json").write_text("{")
    finally:
        report = second.down()
    assert report.processes_ended == 11
    assert look_for_leaks() == {}
    assert [path.name for path in directory.iterdir()] == ["logs"]
    assert not second.layout.sockets.parent.exists()
    assert list((lab_base / "state" / "undo").iterdir()) == []
    assert all(status.healthy for status in lab.status()), "taking one lab down hurt the other"


EMBEDDED = """
import signal, sys, time
from pathlib import Path
from maul.hosts.deadman import DeadMan
from maul.hosts.journal import UndoJournal
from maul.hosts.local import LocalHost
from maul.hosts.pidfile import read_pidfile
from maul.hosts.places import journal_directory
from maul.hosts.undo_kinds import UndoSpawn
from maul.lab import cluster
with (
    DeadMan.arm(UndoJournal(journal_directory() / "run.jsonl")) as deadman,
    cluster.embedded("doomed", Path(sys.argv[1]), deadman=deadman) as lab,
):
    pidfile = lab.layout.pidfile(lab.layout.service("volume-r2-1"))
    deadman.journal.record("process.kill", "volume-r2-1", UndoSpawn(pidfile))
    LocalHost().signal(read_pidfile(LocalHost(), pidfile).process, signal.SIGKILL)
    print("hurt", flush=True)
    time.sleep(60)
"""


def test_kill_9_of_maul_in_the_middle_of_a_fault_leaves_nothing_within_10_seconds(lab_base, look_for_leaks, tmp_path):
    """The helper heals the fault first and then ends the lab: what it restarted must not outlive it."""
    directory = lab_base / "doomed"
    argv = (sys.executable, "-c", EMBEDDED, str(directory))
    env = {"PATH": os.environ["PATH"], "MAUL_STATE": str(lab_base / "state")}
    owner = HOST.spawn(SpawnSpec(argv, tmp_path, tmp_path / "log", env))
    try:
        assert poll(lambda: "hurt" in (tmp_path / "log").read_text(), 30), (tmp_path / "log").read_text()
        assert poll(lambda: len([role for role in cluster.status(directory) if role.healthy]) == 11, 5)
    finally:
        HOST.signal(owner, signal.SIGKILL)
    assert poll(lambda: not look_for_leaks() and not directory.exists(), 10), look_for_leaks()
    assert poll(lambda: not list((lab_base / "state" / "undo").iterdir()), 5)


def poll(condition: Callable[[], bool], limit_s: float) -> bool:
    """Other processes act in their own time: look until they did."""
    until = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > until:
            return False
        select.select([], [], [], 0.05)
    return True
