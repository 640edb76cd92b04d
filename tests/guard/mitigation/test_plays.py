"""A recorded play comes back as it was; what is none is refused in one message."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from maul.core.errors import CampaignError
from maul.core.operation import ErrorClass
from maul.core.vantage import Attempt, Notice, Question, Reach, TcpFacts, Vantage
from maul.guard.mitigation import plays
from maul.guard.mitigation.causes import Cause
from maul.guard.mitigation.plays import Play
from maul.guard.mitigation.signals import BalancerSecond, GeneratorSecond, LinkSecond, Second
from maul.guard.mitigation.terms import ClassifyTerms, same_prefix

SECOND = Second(
    at_ns=2_000_000_000,
    generators={"gen1": GeneratorSecond(rack="r1", due=10, ok=6, failed={ErrorClass.CONNECT_TIMEOUT: 4.0})},
    attempts=[
        Attempt(1_500_000_000, Question(Vantage.CONTROL, "ops", "control"), Reach.STALLED, tcp=TcpFacts(mss=1460))
    ],
    notices=[Notice(1, "router", "198.51.100.10/32", "drop", "says so")],
    balancers={"lb": BalancerSecond(vip_packets=0.0, listening=True)},
    links={"up": LinkSecond(up=False, racks=["r1"])},
    silent=True,
)
PLAY = Play(
    Cause.POLICER,
    "10/s",
    ClassifyTerms(generators={"gen1": "r1"}, loaded=["vip"], lookouts={"ops": Vantage.CONTROL}),
    1_000_000_000,
    [SECOND],
    says="nft limit rate",
)


def test_comes_back_as_it_was() -> None:
    assert plays.load(plays.dump(PLAY)) == PLAY
    assert plays.load(plays.dump(replace(PLAY, cause=None, ended_ns=7))).cause is None


def test_same_play_same_bytes() -> None:
    assert plays.dump(PLAY) == plays.dump(plays.load(plays.dump(PLAY)))


def _text(change: Callable[[dict[str, object]], object]) -> bytes:
    document = json.loads(gzip.decompress(plays.dump(PLAY)))
    change(document)
    return gzip.compress(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("packed", "says"),
    [
        (b"not gzip at all", "no recorded play"),
        (plays.dump(PLAY)[:-20], "no recorded play"),
        (gzip.compress(b"{"), "no recorded play"),
        (gzip.compress(b"[]"), "no recorded play"),
        (_text(lambda d: d.update(cause="sunspots")), "cause"),
        (_text(lambda d: d.pop("seconds")), "seconds"),
    ],
)
def test_what_is_none_is_refused(packed: bytes, says: str) -> None:
    with pytest.raises(CampaignError, match=says) as told:
        plays.load(packed, "some.json.gz")
    assert "some.json.gz" in told.value.message


def test_longer_than_sane_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plays, "BYTES_MAX", 50)
    with pytest.raises(CampaignError, match="longer than 50 bytes"):
        plays.load(plays.dump(PLAY))


def test_same_prefix() -> None:
    assert same_prefix("2001:db8:1:2::1", "2001:db8:1:ffff::2")
    assert not same_prefix("2001:db8:1::1", "198.51.100.1")
