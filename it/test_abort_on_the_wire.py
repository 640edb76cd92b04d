"""What leaves the machine after an abort when nothing comes back: one RST for each connection, and no more SYN."""

import json
import subprocess  # noqa: TID251 — a namespace of its own
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("abort_into_the_dark.py")
INSIDE = ("unshare", "--user", "--map-root-user", "--net")


@pytest.fixture(scope="module")
def counted() -> dict[str, dict[str, int]]:
    tried = subprocess.run([*INSIDE, "nft", "list", "tables"], capture_output=True, timeout=20, check=False)
    if tried.returncode:
        pytest.skip(f"no network of our own here: {tried.stderr.decode().strip()}")
    done = subprocess.run([*INSIDE, sys.executable, str(SCRIPT)], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    counted: dict[str, dict[str, int]] = json.loads(done.stdout)
    return counted


@pytest.mark.timeout(90)
def test_before_it_the_dark_is_knocked_at_again_and_again(counted):
    assert counted["dark"]["others"] > counted["load"]["connections"], "else the rest proves nothing"
    assert counted["load"]["connecting"] > 0


@pytest.mark.timeout(90)
def test_an_abort_is_one_reset_for_each_connection_and_then_silence(counted):
    aborted, later = counted["aborted"], counted["later"]
    assert 0 < later["resets"] <= counted["load"]["connections"] - counted["load"]["connecting"]
    assert later == aborted, "nothing is sent again"
    assert aborted["others"] - counted["dark"]["others"] <= counted["load"]["connections"], "what crossed the order"


@pytest.mark.timeout(90)
def test_without_us_the_kernel_stops_knocking_when_the_plan_would_have(counted):
    """The process stands still (SIGSTOP): its SYNs end with the connect timeout all the same."""
    assert counted["stopped"]["later"] == counted["stopped"]["after_timeout"]
    assert counted["stopped"]["begun"] > 0
