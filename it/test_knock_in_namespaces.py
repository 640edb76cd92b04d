"""What one attempt, and a sentinel, tell of networks that drop, refuse, delay, shrink or speak for the server."""

import json
import subprocess  # noqa: TID251 — a namespace of its own
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("knock_through_networks.py")
INSIDE = ("unshare", "--user", "--map-root-user", "--net")
pytestmark = pytest.mark.timeout(150)


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    tried = subprocess.run([*INSIDE, "nft", "list", "tables"], capture_output=True, timeout=20, check=False)
    if tried.returncode:
        pytest.skip(f"no network of our own here: {tried.stderr.decode().strip()}")
    done = subprocess.run([*INSIDE, sys.executable, str(SCRIPT)], capture_output=True, timeout=140, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("network", "reach", "says"),
    [
        ("open", "answered", "HTTP 403"),
        ("open large", "answered", "HTTP 403"),
        ("other port", "refused", "nobody listens"),
        ("blackhole", "timeout", "the SYN was not answered within 3.2 s"),
        ("prohibit", "prohibited", "ICMP from 10.77.0.254: communication administratively prohibited"),
        ("unreachable", "unreachable", "ICMP from 10.77.0.254: host unreachable"),
        ("nobody there", "unreachable", "ICMP from 10.77.0.254: host unreachable"),
        ("blackhole here", "local", "a blackhole route of this machine"),
        ("prohibit here", "prohibited", "a route of this machine"),
        ("unreachable here", "unreachable", "a route of this machine"),
        ("no route", "local", "this machine has no route there"),
        ("reject", "prohibited", "communication administratively prohibited"),
        ("reject port", "prohibited", "port unreachable"),
        ("reject reset", "refused", "RST"),
        ("flowspec", "timeout", "SYN"),
        ("flowspec, other port", "refused", "RST"),
        ("first SYN dropped", "answered", "HTTP 403"),
        ("hole", "answered", "HTTP 403"),
        ("hole large", "stalled", "the request got no whole answer"),
    ],
)
def test_a_knock_tells_who_refused_and_how(told, network, reach, says):
    seen = told["knocks"][network]
    assert seen["reach"] == reach, seen
    assert says in seen["says"]


def test_a_syn_that_went_out_again_is_counted(told):
    seen = told["knocks"]["first SYN dropped"]
    assert seen["tcp"]["syn_retransmits"] == 1
    assert 900 < seen["connect_ms"] < 2000
    assert told["knocks"]["open"]["tcp"]["syn_retransmits"] == 0


def test_what_a_hole_swallows_is_sent_again_while_it_lasts(told):
    assert told["knocks"]["hole large"]["tcp"]["retransmits"] > 0
    assert told["knocks"]["hole"]["tcp"]["retransmits"] == 0


def test_a_syn_proxy_offers_what_the_server_did_not(told):
    if told["proxy"] is None:
        pytest.skip("this kernel has no SYN proxy")
    before, after = told["knocks"]["open"]["tcp"], told["proxy"]["tcp"]
    assert told["proxy"]["reach"] == "answered"
    assert before["send_wscale"] > 0
    assert after["send_wscale"] == 0
    assert after["mss"] < before["mss"]


def test_a_sentinel_feels_the_dark_each_second_and_lives_on_its_connection(told):
    reaches: dict[str, list[str]] = {}
    for one in told["pulses"]:
        if "reach" in one:
            reaches.setdefault(one["when"], []).append(one["reach"])
    assert set(reaches["well"]) == {"answered"}
    assert reaches["dark"].count("stalled") >= 2
    assert "answered" in reaches["again"]
    assert "prohibited" in reaches["prohibited"] or "unreachable" in reaches["prohibited"]
    assert reaches["last"][-1] == "answered"
    opened = [one for one in told["pulses"] if one.get("connect_ms") is not None]
    assert len(opened) == 1, "it lived through all of it on the connection that stood before"


def test_a_late_answer_tells_how_late_it_was(told):
    first = next(one for one in told["pulses"] if one["when"] == "again" and one["reach"] == "answered")
    assert first["answer_ms"] > 2000


def test_the_sentinel_is_punctual(told):
    itself = told["pulses"][-1]
    assert itself["dropped"] == 0
    assert itself["late_max_s"] < 0.25
