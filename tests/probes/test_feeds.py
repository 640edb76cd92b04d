"""Feeds as a lookout: over real sockets, at rates that nobody should send, and from a Prometheus."""

import contextlib
import http.client
import json
import socket  # noqa: TID251 — speaks to ears of our own
import threading

import pytest

from maul.core.clock import FakeClock, SystemClock
from maul.core.errors import MachineError, TargetError
from maul.core.vantage import Lookout, Notice, Question, Vantage
from maul.probes.feeds import KEPT_MAX, KEPT_PER_S, READ_PER_S, Feeds, _Asker
from maul.site.model_vantage import Feed
from waiting import wait_for

S = 1_000_000_000
WEB = Feed.model_validate({"name": "web", "kind": "webhook", "listen": "127.0.0.1:0"})
LOG = Feed.model_validate({"name": "log", "kind": "syslog", "listen": "127.0.0.1:0"})
ASKED = Feed.model_validate({"name": "prom", "kind": "prometheus", "url": "http://prom:9090", "query": "rtbh == 1"})


def nothing(_url: str, _timeout_s: float) -> bytes:
    raise AssertionError("nobody is to be asked")


def post(feeds: Feeds, body: bytes) -> int:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", feeds.ports["web"], timeout=10)) as line:
        line.request("POST", "/", body)
        return line.getresponse().status


def test_notices_come_from_both_ears_with_the_time_they_came_at():
    clock = FakeClock()
    with Feeds([WEB, LOG], nothing, clock) as feeds:
        lookout: Lookout = feeds
        assert lookout.ask(Question(Vantage.FEED, "web", "vip")) is False
        assert post(feeds, b'{"ip": "198.51.100.10", "action": "ban"}') == 204
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.sendto(b"<133>Jan  1 00:00:00 r1 bgp: RTBH 203.0.113.0/24", ("127.0.0.1", feeds.ports["log"]))
        taken: list[object] = []
        assert wait_for(lambda: len(taken) == 2 or taken.extend(lookout.take()))
        assert list(lookout.take()) == []
    found = [one for one in taken if isinstance(one, Notice)]
    assert [(one.source, one.action, one.prefix, one.at_ns) for one in found] == [
        ("web", "drop", "198.51.100.10/32", clock.now_ns()),
        ("log", "drop", "203.0.113.0/24", clock.now_ns()),
    ]
    assert found[0].says == "ip=198.51.100.10 action=ban"


def hear(feeds: Feeds, message: bytes, kind: str = "webhook") -> bool:
    return feeds._ear("web", "127.0.0.1:0", kind).hear(message)


def test_a_flood_is_cut_and_counted():
    clock = FakeClock(1_700_000_000 * S)
    feeds = Feeds([], nothing, clock)
    kept = sum(hear(feeds, b"RTBH 192.0.2.1") for _ in range(5000))
    assert kept == KEPT_PER_S
    taken = feeds.take()
    assert len(taken) == KEPT_PER_S + 1
    assert (taken[-1].action, taken[-1].says) == ("other", "4900 more notices came than are kept")
    assert list(feeds.take()) == []
    clock.wait(1)
    assert hear(feeds, b"RTBH 192.0.2.1"), "the next second is another one"


def test_one_message_of_many_is_cut_too_and_memory_is_bounded_when_nobody_takes():
    clock = FakeClock(1_700_000_000 * S)
    feeds = Feeds([], nothing, clock)
    many = json.dumps([{"ip": f"10.0.0.{n}", "action": "ban"} for n in range(60)]).encode()
    assert [hear(feeds, many), hear(feeds, many)] == [True, False]
    for _ in range(100):
        clock.wait(1)
        hear(feeds, many)
    taken = feeds.take()
    assert len(taken) == KEPT_MAX + 1
    assert taken[-1].says == f"{102 * 60 - KEPT_MAX} more notices came than are kept"


def test_what_others_log_is_not_counted_against_us_until_it_is_a_flood():
    feeds = Feeds([], nothing, FakeClock(1_700_000_000 * S))
    assert all(hear(feeds, b"<38>Jan  1 00:00:00 h sshd: session opened", "syslog") for _ in range(500))
    assert hear(feeds, b"RTBH 192.0.2.1", "syslog")
    assert [one.prefix for one in feeds.take()] == ["192.0.2.1/32"]
    assert not all(hear(feeds, b"anything", "syslog") for _ in range(READ_PER_S))


def test_a_port_in_use_is_told_before_anything_runs():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        feed = WEB.model_copy(update={"listen": f"127.0.0.1:{taken.getsockname()[1]}"})
        with pytest.raises(MachineError, match="the feed web cannot listen"):
            Feeds([feed], nothing, SystemClock())


# -- Prometheus --------------------------------------------------------------------------------------------------------


def vector(*series: tuple[dict[str, str], float]) -> bytes:
    result = [{"metric": labels, "value": [1.0, str(value)]} for labels, value in series]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


def asking(*pages: bytes | Exception) -> list[list[tuple[str, str]]]:
    left = list(pages)
    asked = []

    def fetch(url: str, _timeout_s: float) -> bytes:
        asked.append(url)
        page = left.pop(0)
        if isinstance(page, Exception):
            raise page
        return page

    asker = _Asker(ASKED, fetch)
    found = [[(one.action, one.prefix) for one in asker.ask(n)] for n in range(len(pages))]
    assert set(asked) == {"http://prom:9090/api/v1/query?query=rtbh%20%3D%3D%201"}
    return found


def test_a_series_that_is_there_drops_and_one_that_is_gone_releases():
    vip = ({"__name__": "rtbh", "prefix": "198.51.100.10/32"}, 1.0)
    other = ({"address": "203.0.113.10", "action": "rate_limit"}, 1.0)
    assert asking(vector(), vector(vip), vector(vip, other), vector(other), vector(), vector(vip)) == [
        [], [("drop", "198.51.100.10/32")], [("limit", "203.0.113.10/32")], [("release", "198.51.100.10/32")],
        [("release", "203.0.113.10/32")], [("drop", "198.51.100.10/32")],
    ]  # fmt: skip


def test_a_series_of_nought_is_nobody_and_one_without_labels_is_somebody():
    assert asking(vector(({"prefix": "192.0.2.1"}, 0.0)), vector(({}, 7.0))) == [[], [("drop", "")]]


def test_a_prometheus_that_is_away_is_told_once_and_releases_nobody():
    vip = ({"prefix": "198.51.100.10/32"}, 1.0)
    away = TargetError("no whole answer", "http://prom")
    assert asking(vector(vip), away, ConnectionRefusedError(111, "x"), vector(vip), vector()) == [
        [("drop", "198.51.100.10/32")], [("other", "")], [], [], [("release", "198.51.100.10/32")],
    ]  # fmt: skip


@pytest.mark.parametrize(
    "page",
    [b"", b"[]", b"<html>", b'{"status": "error", "error": "bad"}', b"[" * 100_000, b"null",
     b'{"status": "success", "data": {"resultType": "matrix", "result": []}}',
     b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": []}]}}',
     b'{"status": "success", "data": {"resultType": "vector", "result": [{"metric": 5, "value": [1, "1"]}]}}'],
)  # fmt: skip
def test_another_answer_is_no_answer(page):
    assert asking(page) == [[("other", "")]]


def test_it_is_asked_on_a_thread_of_its_own_until_closed():
    asked = threading.Event()

    def fetch(_url: str, _timeout_s: float) -> bytes:
        asked.set()
        return vector(({"prefix": "192.0.2.1"}, 1.0))

    feeds = Feeds([ASKED], fetch, SystemClock())
    assert asked.wait(10)
    taken: list[Notice] = []
    assert wait_for(lambda: taken or taken.extend(feeds.take()))
    assert (taken[0].source, taken[0].prefix) == ("prom", "192.0.2.1/32")
    feeds.close()
    assert not [one for one in threading.enumerate() if one.name == "feed prom"]
