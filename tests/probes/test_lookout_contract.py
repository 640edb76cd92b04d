"""What every lookout promises, whoever asks: it never raises, never answers for others, and ends when it is closed."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from knocked_door import Door, door
from maul.core.clock import SystemClock
from maul.core.errors import TargetError
from maul.core.vantage import Lookout, Question, Vantage
from maul.hosts.local import LocalHost
from maul.probes.blackbox_lookout import BlackboxLookout
from maul.probes.host_lookout import HostLookout, Job
from maul.s3.endpoint import Endpoint
from maul.s3.knock import Rounds, gate
from maul.s3.pulse import Sentinel
from maul.s3.tcp_line import Gate
from maul.site.model_vantage import Lookout as SiteLookout

OURS = Question(Vantage.EXTERNAL, "out", "vip")
Gates = dict[str, Gate]


def _no_prometheus(url: str, timeout_s: float) -> bytes:
    raise TargetError("no answer", url)


def _blackbox(gates: Gates) -> Lookout:
    wanted = SiteLookout.model_validate(
        {"name": "out", "role": "external", "endpoint": "vip", "prometheus": "http://127.0.0.1:9", "selector": 'a="b"'}
    )
    return BlackboxLookout(OURS, wanted, _no_prometheus, SystemClock())


MAKERS: dict[str, Callable[[Gates], Lookout]] = {
    "rounds": lambda gates: Rounds(OURS, gates),
    "sentinel": lambda gates: Sentinel("out", "vip", gates),
    "host": lambda gates: HostLookout(Job(OURS, gates, 1.0, 30.0, sys.executable), LocalHost(), SystemClock()),
    "blackbox": _blackbox,
}


@pytest.fixture
def server() -> Iterator[Door]:
    with door() as found:
        yield found


@pytest.fixture(params=sorted(MAKERS))
def lookout(
    request: pytest.FixtureRequest, server: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lookout]:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    where = gate(Endpoint("vip", f"http://127.0.0.1:{server.port}"), "127.0.0.1")
    made = MAKERS[request.param]({"vip": where})
    yield made
    made.close()


def test_it_answers_for_nobody_else(lookout: Lookout) -> None:
    assert not lookout.ask(Question(Vantage.EXTERNAL, "somebody", "vip"))
    assert not lookout.ask(Question(Vantage.BALANCER, "out", "vip"))
    assert not lookout.ask(Question(Vantage.EXTERNAL, "out", "unchecked"))
    assert not lookout.ask(Question(Vantage.IDLE, "out", "unchecked"))
    assert not lookout.ask(Question(Vantage.EXTERNAL, "out", "vip", port=22))


def test_closed_it_is_silent_and_asks_no_more(lookout: Lookout, server: Door) -> None:
    lookout.take()
    began = time.monotonic()
    lookout.close()
    lookout.close()
    assert time.monotonic() - began < 5
    lookout.take()
    came = server.came
    assert not lookout.ask(OURS)
    lookout.quiet(False)
    assert lookout.take() == []
    assert server.came == came


def test_to_take_is_never_to_wait(lookout: Lookout) -> None:
    began = time.monotonic()
    for _ in range(100):
        lookout.take()
    lookout.quiet(True)
    lookout.quiet(False)
    assert time.monotonic() - began < 1.0
