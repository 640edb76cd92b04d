"""The lab with a network: up, S3 through the VIP from inside, and down without a trace. More of it is in it/."""

import json
import os
import subprocess  # noqa: TID251 — runs the command line, as a user does
import sys
from pathlib import Path

import pytest

from leftovers import left_since, traces
from maul.core.errors import MachineError
from maul.guard.own_lab import is_lab_address, is_own_lab
from maul.hosts.local import LocalHost
from maul.hosts.own_place import own_place
from maul.lab import cluster
from maul.lab.inside import environment_inside, lab_host
from maul.lab.net import LabNetwork
from maul.lab.net_preflight import namespace_door
from maul.lab.wiring import Wiring

pytestmark = pytest.mark.cluster

S3 = """
import json, sys, boto3
from botocore.config import Config
url, ca, keys = sys.argv[1], sys.argv[2], json.load(open(sys.argv[3]))
client = boto3.client("s3", endpoint_url=url, verify=ca, region_name="us-east-1",
    aws_access_key_id=keys["access_key"], aws_secret_access_key=keys["secret_key"],
    config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20,
        s3={"addressing_style": "path"}))
client.create_bucket(Bucket="smoke")
client.put_object(Bucket="smoke", Key="k", Body=b"x" * 100000)
print(len(client.get_object(Bucket="smoke", Key="k")["Body"].read()))
"""
PLACE = """
import json
from maul.guard.own_lab import is_lab_address, is_own_lab
from maul.hosts.own_place import own_place
place = own_place()
print(json.dumps([place.host, is_own_lab(place), is_lab_address(place, "10.77.0.100")]))
"""


def inside(lab: cluster.Lab, host: str, *argv: str) -> str:
    words = [sys.executable, "-m", "maul", "lab", "exec", "--dir", str(lab.directory), host, "--", *argv]
    done = subprocess.run(words, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(120)
def test_up_s3_through_the_vip_and_down_without_a_trace(lab_base: Path):
    try:
        namespace_door(LocalHost())
    except MachineError as error:
        pytest.skip(f"no namespaces here: {error.message}")
    before = traces(lab_base / "wired")
    lab = cluster.up("wired", lab_base / "wired", wiring=Wiring(uplink_bps=40e6))
    try:
        statuses = lab.status()
        assert len(statuses) == 15 and all(status.healthy for status in statuses), statuses
        with LabNetwork.of_site(lab.site_path) as wires:
            was = wires.ports()
            assert len(was) == 2 * len(lab.layout.wiring.cables) and all(port.up for port in was.values())
            conf = lab.layout.conf
            argv = (lab.url, str(lab.layout.ca_path), str(conf / "credentials.json"))
            assert inside(lab, "g41", sys.executable, "-c", S3, *argv).strip() == "100000"
            now = wires.ports()
            for port in ("tor-r4:up0", "spine:dn-r4", "g41:eth0"):
                moved = now[port].sent_bytes - was[port].sent_bytes
                assert moved > 100_000, f"{port} carried {moved} bytes"
            assert now["g51:eth0"].sent_bytes - was["g51:eth0"].sent_bytes < 10_000, "another host's card"
        assert json.loads(inside(lab, "ops", sys.executable, "-c", PLACE)) == ["ops", True, True]
        with pytest.raises(AssertionError, match="would end with it"):
            inside(lab, "ops", sys.executable, "-m", "maul", "lab", "down", "--dir", str(lab.directory))
        assert not is_own_lab(own_place([lab.directory])), "out here there are other ways"
        assert not is_lab_address(own_place([lab.directory]), "10.77.0.100")
        env = environment_inside(os.environ, lab.directory)
        assert env["MAUL_LAB"] == str(lab.directory)
        assert lab_host(lab.directory, "ops").run(("true",), 5.0).code == 0
    finally:
        lab.down()
    assert left_since(lab_base / "wired", before) == {}
    assert [path.name for path in lab.directory.iterdir()] == ["logs"]
