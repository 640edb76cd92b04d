"""The kill switch by file, signal and page: within a second, whatever hangs in flight; and its drill."""

import http.client
import json
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conduct_stage import T0_NS, Told, events_of, make_plan, make_stage, script

from maul.conduct.drive import Drive, Driver
from maul.conduct.kill import EVENT, STOP_FILE, drill, found, refuse_pulled, tell_pull, watching
from maul.conduct.phases import run_phase
from maul.conduct.stop import StopSwitch
from maul.core.clock import FakeClock, SystemClock
from maul.core.errors import CampaignError, ExitCode, GuardError
from maul.core.event import EventKind
from maul.core.operation import ErrorClass
from maul.core.summary import Ending
from maul.load import FakeGenerator, NullServer, RustGenerator
from maul.plan.calibrating import Cell, Trial, trial_plan
from maul.plan.engine_plan import with_secrets
from maul.web import LivePage


def press(url: str) -> None:
    """As the page's own script does."""
    with closing(http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=5)) as connection:
        connection.request("GET", "/")
        token = re.findall(r'maul-token" content="([^"]+)"', connection.getresponse().read().decode())[0]
        connection.request("POST", "/stop", headers={"x-maul-token": token})
        assert connection.getresponse().status == 200


@pytest.fixture
def hanging() -> Iterator[RustGenerator]:
    """A real load on a server that soon answers nothing any more."""
    with NullServer(run=1) as server:
        server.stall(0.2, 20.0)
        plan = trial_plan(Trial(Cell("get", 4096, "http"), 20.0, (0,), (0,), 200.0), server.url)
        plan = plan.model_copy(update={"lease_ms": 3000})
        generator = RustGenerator(with_secrets(plan, None, {}))
        yield generator
        generator.stop("the test is over", now=True)
        assert generator.join(5.0)


@pytest.mark.parametrize("way", ["file", "signal", "page"])
def test_every_way_closes_all_sockets_within_a_second(way: str, hanging: RustGenerator, tmp_path: Path) -> None:
    clock, urls, pulled_s = SystemClock(), [], []
    with ExitStack() as stack:
        stop = stack.enter_context(StopSwitch(clock))
        stop.run_began()
        stack.enter_context(watching([tmp_path / STOP_FILE], stop))
        stack.enter_context(LivePage(0, urls.append).beside(stop))
        pull: dict[str, Callable[[], object]] = {
            "file": lambda: (tmp_path / STOP_FILE).write_text("ops, the pager rang\n"),
            "signal": lambda: signal.raise_signal(signal.SIGUSR1),
            "page": lambda: press(urls[0]),
        }

        def later() -> None:
            while hanging.status().in_flight < 5 and len(pulled_s) < 500:
                pulled_s.append(0.0)
                hanging.join(0.02)
            pulled_s.append(time.monotonic())
            pull[way]()

        thread = threading.Thread(target=later)
        thread.start()
        driven = Driver(None, clock, stop, Told()).run(hanging, Drive("load", 20.0, 20.0))
        silent_s = time.monotonic() - pulled_s[-1]
        thread.join(5)
    assert silent_s < 1.0
    assert (driven.status["in_flight"], driven.status["connections"]) == (0, 0)
    assert driven.status["errors"][ErrorClass.STOPPED.name] >= 5
    assert (stop.ending, stop.pulled.how) == (Ending.GUARD, way)  # type: ignore[union-attr]
    who = {"file": "ops, the pager rang", "signal": "SIGUSR1", "page": "pressed from 127.0.0.1:"}[way]
    assert who in stop.reason


def test_the_signal_before_the_run_began_raises() -> None:
    with pytest.raises(KeyboardInterrupt, match="SIGUSR1"), StopSwitch():
        signal.raise_signal(signal.SIGUSR1)


def test_the_first_pull_is_kept_and_hurries() -> None:
    stop = StopSwitch(FakeClock(T0_NS))
    stop.pull("file", "one")
    stop.pull("page", "two")
    assert stop.pulled is not None
    assert (stop.pulled.who, stop.pulled.at_ns, stop.hurried.is_set()) == ("one", T0_NS, True)
    assert stop.until_hurried().stopped.is_set(), "nothing is tidied up by traffic"


def test_a_pull_after_ctrl_c_still_closes_at_once() -> None:
    stop = StopSwitch()
    stop.stop("interrupted by SIGINT", Ending.INTERRUPTED)
    stop.pull("signal", "SIGUSR1")
    assert (stop.ending, stop.pulled is not None) == (Ending.INTERRUPTED, True)


def test_who_pulled_by_a_file(tmp_path: Path) -> None:
    plain, told, folder = tmp_path / "plain", tmp_path / "told", tmp_path / "folder"
    assert found([plain, told]) is None
    plain.touch()
    assert found([told, plain]) == f"the file {plain}, made by {plain.owner()}"
    told.write_bytes(b"alice:\x1b[31m fire\xff" + b"x" * 9000 + b"\nmore")
    who = found([told])
    assert who is not None and who.startswith(f"the file {told} (alice: [31m fire") and len(who) < 400
    assert "\x1b" not in who and "more" not in who
    folder.mkdir()
    assert found([folder]) is not None, "whatever is there, it was put there"
    with pytest.raises(CampaignError, match="pulled already"):
        refuse_pulled(told)
    refuse_pulled(tmp_path / "none")


def test_it_is_recorded_once_with_who_and_how_soon(tmp_path: Path) -> None:
    clock, plan = FakeClock(T0_NS), make_plan()
    closed: list[bool] = []

    class Pulled(FakeGenerator):
        def renew(self, for_s: float | None = None) -> None:
            super().renew(for_s)
            if clock.now_ns() > T0_NS + 2_000_000_000:
                stage.stop.pull("file", "a file")

        def stop(self, reason: str, *, now: bool = False) -> None:
            closed.append(now)
            super().stop(reason, now=now)

    stage = make_stage(tmp_path, plan, clock=clock, make_generator=lambda _: Pulled(script(500, 20.0), clock))
    stage.stop = StopSwitch(clock)
    run_phase(stage, plan.phase("rising"))
    tell_pull(stage)
    stage.writer.close()
    events = [one for one in events_of(stage.writer.path, EventKind.GUARD) if one["name"] == EVENT]
    assert len(events) == 1
    details = json.loads(events[0]["details"])
    assert (details["who"], details["how"]) == ("a file", "file")
    assert details["silent_after_s"] < 0.2
    assert closed == [True], "not drained: closed at once"


def test_a_drill_measures_and_refuses_what_is_slow() -> None:
    clock = FakeClock(T0_NS)
    pulls: list[int] = []

    def silent_after(seconds: float) -> Callable[[], bool]:
        return lambda: bool(pulls) and clock.now_ns() - pulls[-1] >= seconds * 1e9

    took_s = drill(lambda: pulls.append(clock.now_ns()), silent_after(0.5), clock)
    assert took_s == pytest.approx(0.5, abs=0.03)
    with pytest.raises(GuardError, match="does not ramp") as refused:
        drill(lambda: pulls.append(clock.now_ns()), silent_after(3.5), clock)
    assert refused.value.exit_code == ExitCode.GUARD
    assert clock.now_ns() - pulls[-1] < 3_100_000_000, "and waits no longer than that"
