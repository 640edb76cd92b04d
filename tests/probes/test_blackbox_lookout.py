"""What a blackbox exporter's probes say, as a Prometheus tells it."""

import json
import time
from collections.abc import Callable

from maul.core.clock import FakeClock
from maul.core.errors import TargetError
from maul.core.vantage import Attempt, Question, Reach, Vantage
from maul.probes.blackbox_lookout import BlackboxLookout
from maul.site.model_vantage import Lookout

EXTERNAL = Question(Vantage.EXTERNAL, "outside", "vip")
NOW_S = 1_700_000_000
WANTED = Lookout.model_validate(
    {"name": "outside", "role": "external", "endpoint": "vip", "prometheus": "http://127.0.0.1:9090",
     "selector": 'job="blackbox"'}
)  # fmt: skip


def answer(**series: list[tuple[float, float]]) -> bytes:
    result = [
        {"metric": {"__name__": name, "job": "blackbox"}, "values": [[at_s, str(value)] for at_s, value in points]}
        for name, points in series.items()
    ]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def lookout(fetch: Callable[[str, float], bytes]) -> BlackboxLookout:
    return BlackboxLookout(EXTERNAL, WANTED.model_copy(update={"every_s": 0.0}), fetch, FakeClock(NOW_S * 10**9))


def taken(one: BlackboxLookout, rounds: int = 2) -> list[Attempt]:
    """What `rounds` readings brought."""
    found: list[Attempt] = []
    for _ in range(rounds):
        one.take()
        until = time.monotonic() + 5
        while one._reading and time.monotonic() < until:  # the end of a reading begins the next one at once
            found += [item for item in one.take() if isinstance(item, Attempt)]
            if found or one.missing:
                break
    return found


def test_each_scrape_since_it_began_is_one_attempt() -> None:
    body = answer(
        probe_success=[(NOW_S - 5, 1), (NOW_S + 1, 1), (NOW_S + 2, 0), (NOW_S + 3, 0)],
        probe_http_status_code=[(NOW_S + 1, 403), (NOW_S + 2, 503), (NOW_S + 3, 0)],
        probe_duration_seconds=[(NOW_S + 1, 0.02), (NOW_S + 2, 0.01), (NOW_S + 3, 9.5)],
    )
    one = lookout(lambda url, timeout_s: body)
    seen = taken(one)
    assert [(item.reach, item.status, item.answer_ms) for item in seen] == [
        (Reach.ANSWERED, 403, 20.0),
        (Reach.REJECTED, 503, 10.0),
        (Reach.TIMEOUT, 0, None),
    ]
    assert [item.at_ns // 10**9 - NOW_S for item in seen] == [1, 2, 3]
    assert not one.missing
    assert not one.ask(EXTERNAL)
    one.close()


def test_nothing_is_told_twice() -> None:
    one = lookout(lambda url, timeout_s: answer(probe_success=[(NOW_S + 1, 1)]))
    first = taken(one)
    again = [item for _ in range(200) for item in one.take()]
    one.close()
    assert len(first) == 1
    assert again == []


def test_a_prometheus_that_does_not_answer_is_told() -> None:
    def fetch(url: str, timeout_s: float) -> bytes:
        raise TargetError("no answer", url)

    one = lookout(fetch)
    assert taken(one) == []
    assert one.missing == "no answer"
    one.close()


def test_a_selector_that_finds_nothing_is_told() -> None:
    one = lookout(lambda url, timeout_s: answer())
    assert taken(one) == []
    assert "probe_success" in one.missing
    one.close()


def test_it_asks_for_its_labels_only() -> None:
    asked: list[str] = []

    def fetch(url: str, timeout_s: float) -> bytes:
        asked.append(url)
        return answer(probe_success=[(NOW_S + 1, 1)])

    one = lookout(fetch)
    taken(one)
    one.close()
    assert "job%3D%22blackbox%22" in asked[0]
    assert asked[0].startswith("http://127.0.0.1:9090/api/v1/query?")
