"""The sentinel against servers that answer, hang, hang up and come back. Seconds are real: they are what it counts."""

import contextlib
import itertools
import socket  # noqa: TID251 (servers on loopback)
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from loopback import listening

from maul.core.vantage import Attempt, Question, Reach, Vantage
from maul.s3 import pulse
from maul.s3.endpoint import Endpoint
from maul.s3.knock import gate
from maul.s3.pulse import Sentinel

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n"
PULSE = Question(Vantage.SENTINEL, "g1", "vip")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of its times."""
    for name in ("EVERY_S", "ANSWER_S", "LATE_S", "REOPEN_S"):
        monkeypatch.setattr(pulse, name, getattr(pulse, name) / 10)


@contextlib.contextmanager
def sentinel(serve: Callable[[socket.socket], None], ports: frozenset[int] | None = frozenset()) -> Iterator[Sentinel]:
    with listening(serve) as port:
        one = Sentinel(
            "g1", "vip", {"vip": gate(Endpoint("vip", f"http://127.0.0.1:{port}"), "127.0.0.1", ports=ports)}
        )
        try:
            yield one
        finally:
            one.close()


def until(lookout: Sentinel, enough: Callable[[list[Attempt]], bool]) -> list[Attempt]:
    found: list[Attempt] = []
    end = time.monotonic() + 10
    while not enough(found) and time.monotonic() < end:
        found += [one for one in lookout.take() if isinstance(one, Attempt)]
        threading.Event().wait(0.005)
    assert enough(found), found
    return found


def answering(connection: socket.socket) -> None:
    while connection.recv(100_000):
        connection.sendall(OK)


def test_it_beats_on_one_connection() -> None:
    connections: list[int] = []

    def serve(connection: socket.socket) -> None:
        connections.append(1)
        answering(connection)

    with sentinel(serve) as lookout:
        assert lookout.stands(5)
        seen = until(lookout, lambda found: len(found) >= 4)
        assert lookout.ask(PULSE)
        assert not lookout.ask(Question(Vantage.IDLE, "g2", "vip"))
    assert {one.reach for one in seen} == {Reach.ANSWERED}
    assert {one.question for one in seen} == {PULSE}
    assert len(connections) == 1
    assert seen[0].connect_ms is not None
    assert seen[1].connect_ms is None
    assert seen[1].answer_ms is not None
    assert seen[1].tcp.rtt_ms is not None
    gaps = [later.at_ns - earlier.at_ns for earlier, later in itertools.pairwise(seen)]
    assert all(gap > 0.05e9 for gap in gaps), gaps


def test_a_stall_is_told_each_second_and_nothing_more_is_sent() -> None:
    requests, go_on = [], threading.Event()

    def serve(connection: socket.socket) -> None:
        while data := connection.recv(100_000):
            requests.append(data.count(b"HEAD"))
            if len(requests) == 2:
                go_on.wait(10)
            connection.sendall(OK)

    with sentinel(serve) as lookout:
        seen = until(lookout, lambda found: sum(one.reach is Reach.STALLED for one in found) >= 3)
        assert requests == [1, 1]
        go_on.set()
        seen += until(lookout, lambda found: any(one.reach is Reach.ANSWERED for one in found))
    reaches = [one.reach for one in seen]
    assert reaches[0] is Reach.ANSWERED
    assert reaches[1:4] == [Reach.STALLED] * 3
    late = next(one for one in seen[1:] if one.reach is Reach.ANSWERED)
    assert late.answer_ms is not None
    assert late.answer_ms > 250


def test_its_death_is_told_and_it_comes_back() -> None:
    lives: list[int] = []

    def serve(connection: socket.socket) -> None:
        lives.append(1)
        if len(lives) > 1:
            answering(connection)
        connection.recv(100_000)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with sentinel(serve) as lookout:
        seen = until(lookout, lambda found: len(found) >= 3)
    assert [one.reach for one in seen[:3]] == [Reach.RESET, Reach.ANSWERED, Reach.ANSWERED]
    assert "dead" in seen[0].says
    assert seen[1].connect_ms is not None
    assert seen[1].at_ns - seen[0].at_ns > 0.3e9, "a new connection waits for its turn"


def test_quiet_it_opens_nothing_unless_asked() -> None:
    lives: list[int] = []

    def serve(connection: socket.socket) -> None:
        lives.append(1)
        if len(lives) > 1:
            answering(connection)

    with sentinel(serve) as lookout:
        lookout.quiet(True)
        assert [one.reach for one in until(lookout, bool)] == [Reach.RESET]
        threading.Event().wait(0.7)  # more than it waits before it opens a new one
        assert (len(lives), lookout.stands()) == (1, False)
        assert lookout.ask(PULSE)
        assert until(lookout, bool)[0].reach is Reach.ANSWERED
    assert len(lives) == 2


def test_who_closes_after_each_answer_is_not_dead() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(100_000)
        connection.sendall(b"HTTP/1.1 503 No\r\nConnection: close\r\n\r\n")

    with sentinel(serve) as lookout:
        seen = until(lookout, lambda found: len(found) >= 2)
    assert {one.reach for one in seen} == {Reach.REJECTED}
    assert seen[1].at_ns - seen[0].at_ns > 0.3e9


def test_who_is_not_there_is_tried_now_and_then() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        where = gate(Endpoint("vip", f"http://127.0.0.1:{free.getsockname()[1]}"), "127.0.0.1")
        lookout = Sentinel("g1", "vip", {"vip": where})
        try:
            seen = until(lookout, lambda found: len(found) >= 2)
        finally:
            lookout.close()
    assert {one.reach for one in seen} == {Reach.REFUSED}
    assert seen[1].at_ns - seen[0].at_ns > 0.4e9


def test_a_port_that_nobody_checked_is_not_tried() -> None:
    with sentinel(answering) as lookout:
        assert not lookout.ask(Question(Vantage.IDLE, "g1", "vip", port=22))


def test_an_idle_question_is_a_knock_of_its_own_beside_the_pulse() -> None:
    """On its own thread: a knock that hangs must not stop the heart."""
    with sentinel(answering, None) as lookout, listening(lambda other: other.recv(10) and None) as other:
        asked = Question(Vantage.IDLE, "g1", "vip", port=other)
        assert lookout.stands(5)
        assert lookout.ask(asked)
        seen = until(lookout, lambda found: any(one.question == asked for one in found) and len(found) > 3)
    assert [one.reach for one in seen if one.question == asked] == [Reach.ANSWERED]


def test_its_own_lateness_is_no_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread is held up as by a busy interpreter: the answer lay there, and is told with its own time."""
    real = pulse.Line.receive
    held = []

    def late(line: pulse.Line, moment: float) -> bytes:
        if len(held) < 40:  # three seconds, at its tenth
            held.append(1)
            time.sleep(0.28)
        return real(line, moment)

    with sentinel(answering) as lookout:
        assert lookout.stands(5)
        until(lookout, lambda found: len(found) >= 2)
        monkeypatch.setattr(pulse.Line, "receive", late)
        seen = until(lookout, lambda found: len(found) >= 3)
        punctuality = lookout.punctuality
    assert {one.reach for one in seen} == {Reach.ANSWERED}
    assert max(one.answer_ms or 0.0 for one in seen) < 100
    assert punctuality.dropped > 0
    assert punctuality.late_max_s > 0.1


def test_closing_is_quick_and_twice_harmless() -> None:
    with sentinel(lambda connection: connection.recv(10) and connection.recv(10) and None) as lookout:
        assert lookout.stands(5)
        began = time.monotonic()
        lookout.close()
        lookout.close()
        assert time.monotonic() - began < 1
        assert not lookout.ask(Question(Vantage.IDLE, "g1", "vip"))
