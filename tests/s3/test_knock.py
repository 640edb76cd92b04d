"""One attempt against servers of every sad kind, on loopback."""

import contextlib
import errno
import os
import resource
import socket  # noqa: TID251 (servers on loopback)
import struct
import threading
import time
from collections.abc import Iterator

import pytest
import trustme
from loopback import listening, pem, s3, tls

from maul.core.clock import SystemClock
from maul.core.vantage import Attempt, Question, Reach, Vantage
from maul.s3.doorstep import Answer, Limits, due_s
from maul.s3.endpoint import Endpoint
from maul.s3.knock import Rounds, gate, knock
from maul.s3.tcp_line import Ended, tcp_info

ASKED = Question(Vantage.EXTERNAL, "ext", "vip")
LARGE = Question(Vantage.EXTERNAL, "ext", "vip", large=True)


def at(url: str, question: Question = ASKED, ca: object = None, answer_s: float = 2.0, source: str = "") -> Attempt:
    endpoint = Endpoint("vip", url, ca=ca)  # type: ignore[arg-type]
    return knock(gate(endpoint, "127.0.0.1", source=source), question, SystemClock(), Limits(1.0, answer_s))


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.fixture
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize(
    ("status", "reach"),
    [(200, "answered"), (403, "answered"), (429, "rejected"), (500, "failed"), (502, "failed"), (503, "rejected"),
     (504, "failed"), (501, "answered")],
)  # fmt: skip
def test_any_answer_is_an_answer(status: int, reach: str) -> None:
    with s3() as server:
        server.answer = lambda method, path: (status, {}, b"")
        seen = at(server.url)
    assert (seen.reach, seen.status, seen.reached) == (Reach(reach), status, True)
    assert seen.connect_ms is not None
    assert seen.answer_ms is not None
    assert seen.tls_ms is None
    assert [method for method, _ in server.requests] == ["HEAD"]


def test_tcp_facts_are_of_this_connection() -> None:
    with s3() as server:
        facts = at(server.url).tcp
    assert facts.rtt_ms is not None
    assert 0 < facts.rtt_ms < 1000
    assert facts.mss is not None
    assert facts.mss > 500
    assert facts.send_wscale is not None
    assert (facts.sack, facts.timestamps, facts.window_zero) == (True, True, False)
    assert (facts.syn_retransmits, facts.retransmits) == (0, 0)


def test_tls_is_verified_and_timed(ca: trustme.CA, tmp_path: object) -> None:
    with s3(ca.issue_cert("127.0.0.1")) as server:
        seen = at(server.url, ca=pem(ca, tmp_path / "ca.pem"))  # type: ignore[operator]
        stranger = at(server.url, ca=pem(trustme.CA(), tmp_path / "other.pem"))  # type: ignore[operator]
    assert seen.reach is Reach.ANSWERED
    assert seen.tls_ms is not None
    assert stranger.reach is Reach.TLS
    assert not stranger.reached
    assert "certificate" in stranger.says
    assert len(server.requests) == 1, "nothing is asked of who is not trusted, and nobody connects a second time"


def test_a_wrong_name_is_no_trust(ca: trustme.CA, tmp_path: object) -> None:
    with tls(ca.issue_cert("elsewhere.example")) as port:
        seen = at(f"https://127.0.0.1:{port}", ca=pem(ca, tmp_path / "ca.pem"))  # type: ignore[operator]
    assert seen.reach is Reach.TLS


def test_who_speaks_no_tls(tmp_path: object, ca: trustme.CA) -> None:
    with s3() as server:
        seen = at(server.url.replace("http:", "https:"), ca=pem(ca, tmp_path / "ca.pem"))  # type: ignore[operator]
    assert seen.reach is Reach.TLS


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        seen = at(f"http://127.0.0.1:{free.getsockname()[1]}")
    assert seen.reach is Reach.REFUSED
    assert "RST" in seen.says
    assert seen.reached
    assert seen.tcp.rtt_ms is None


def test_accepted_and_silent() -> None:
    with listening(lambda connection: connection.recv(100_000) and connection.recv(1) and None) as port:
        seen = at(f"http://127.0.0.1:{port}", answer_s=0.2)
    assert seen.reach is Reach.STALLED
    assert seen.answer_ms is None
    assert seen.connect_ms is not None
    assert seen.tcp.mss is not None


def test_a_beginning_is_not_a_whole_answer() -> None:
    def half(connection: socket.socket) -> None:
        connection.recv(100_000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-")
        connection.recv(1)

    with listening(half) as port:
        seen = at(f"http://127.0.0.1:{port}", answer_s=0.2)
    assert seen.reach is Reach.STALLED
    assert seen.answer_ms is not None
    assert "beginning" in seen.says


def test_reset_after_the_request() -> None:
    def rude(connection: socket.socket) -> None:
        connection.recv(100_000)
        reset(connection)

    with listening(rude) as port:
        seen = at(f"http://127.0.0.1:{port}")
    assert seen.reach is Reach.RESET
    assert seen.says == "the connection was reset"


def test_closed_before_the_answer() -> None:
    with listening(lambda connection: connection.recv(100_000) and None) as port:
        seen = at(f"http://127.0.0.1:{port}")
    assert seen.reach is Reach.RESET
    assert "closed" in seen.says


def test_closed_during_the_handshake(ca: trustme.CA, tmp_path: object) -> None:
    with listening(lambda connection: connection.recv(100_000) and None) as port:
        seen = at(f"https://127.0.0.1:{port}", ca=pem(ca, tmp_path / "ca.pem"))  # type: ignore[operator]
    assert seen.reach is Reach.RESET
    assert "TLS handshake" in seen.says


def test_garbage_is_no_answer() -> None:
    with listening(lambda connection: connection.recv(100_000) and connection.sendall(b"\x15\x03garbage")) as port:
        seen = at(f"http://127.0.0.1:{port}")
    assert seen.reach is Reach.FAILED
    assert "not HTTP" in seen.says


def test_another_port_is_tcp_only() -> None:
    heard: list[bytes] = []
    with listening(lambda connection: heard.append(connection.recv(10))) as port, s3() as server:
        seen = at(server.url, Question(Vantage.EXTERNAL, "ext", "vip", port=port))
    assert (seen.reach, seen.status, seen.answer_ms) == (Reach.ANSWERED, 0, None)
    assert server.requests == []
    assert heard in ([], [b""])


def test_large_fills_frames_both_ways() -> None:
    with s3() as server:
        server.answer = lambda method, path: (404, {}, path.encode() * 3)
        seen = at(server.url, LARGE)
        request = server.headers[0]
    assert seen.reach is Reach.ANSWERED
    padding = sum(len(value) for name, value in request.items() if name.startswith("X-Maul"))
    assert padding > 8948, "more than a jumbo frame carries"
    assert padding < 15_000, "less than HAProxy's buffer holds"
    assert len(server.requests[0][1]) > 1000


def test_no_port_left_is_ours() -> None:
    with s3() as server:
        seen = at(server.url, source="192.0.2.77")  # not an address of this machine
    assert seen.reach is Reach.LOCAL
    assert server.requests == []


def test_no_descriptor_left_is_ours() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    where = gate(Endpoint("vip", "http://127.0.0.1:9"), "127.0.0.1")
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        seen = knock(where, ASKED, SystemClock())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert seen.reach is Reach.LOCAL
    assert "descriptor" in seen.says


def test_it_leaves_by_a_reset() -> None:
    ended: list[int] = []

    def slow(connection: socket.socket) -> None:
        connection.recv(100_000)
        try:
            connection.recv(1)
        except OSError as error:
            ended.append(error.errno or 0)

    with listening(slow) as port:
        at(f"http://127.0.0.1:{port}", answer_s=0.1)
        until = time.monotonic() + 5
        while not ended and time.monotonic() < until:
            threading.Event().wait(0.01)
    assert ended == [errno.ECONNRESET]


@pytest.mark.parametrize(
    ("came", "whole"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", b"ab", b"c"], [False, False, True]),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 No\r\n\r\n"], [False, True]),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", b"0\r\n\r\n"], [False, True]),
        ([b"HT", b"TP/1.1 503 Slow\r\nContent-Length: 0\r\n\r\n"], [False, True]),
        ([b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 300_000], [False, True]),
    ],
)
def test_an_answer_comes_in_pieces(came: list[bytes], whole: list[bool]) -> None:
    answer = Answer(bodiless=False)
    assert [answer.feed(one) for one in came] == whole


@pytest.mark.parametrize("garbage", [b"X", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/2.0 200\r\n\r\n"])
def test_what_is_not_http_is_told(garbage: bytes) -> None:
    with pytest.raises(Ended):
        Answer(bodiless=True).feed(garbage)


def test_an_endless_head_is_given_up() -> None:
    answer = Answer(bodiless=True)
    with pytest.raises(Ended):
        for _ in range(10):
            answer.feed(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 3000)


def test_an_old_kernel_tells_less() -> None:
    raw = bytearray(104)
    raw[6] = 0x97
    assert tcp_info(bytes(raw))["window"] is None
    assert tcp_info(bytes(raw))["send_wscale"] == 7


def test_never_more_than_one_per_second() -> None:
    assert due_s(10.0, 9.9, 0.0, quiet=True, asked=True) == pytest.approx(0.9)
    assert due_s(10.0, 9.9, 0.1, quiet=False, asked=False) == pytest.approx(0.9)
    assert due_s(10.0, 1.0, 5.0, quiet=True, asked=False) == float("inf")


@contextlib.contextmanager
def rounds(url: str, every_s: float = 1.0) -> Iterator[Rounds]:
    one = Rounds(ASKED, {"vip": gate(Endpoint("vip", url), "127.0.0.1")}, every_s)
    try:
        yield one
    finally:
        one.close()


def taken(lookout: Rounds, count: int = 1) -> list[Attempt]:
    found: list[Attempt] = []
    until = time.monotonic() + 10
    while len(found) < count and time.monotonic() < until:
        found += [one for one in lookout.take() if isinstance(one, Attempt)]
        threading.Event().wait(0.005)
    return found


def test_rounds_knock_at_once_and_answer_questions() -> None:
    with s3() as server, rounds(server.url) as lookout:
        first = taken(lookout)
        assert lookout.ask(LARGE)
        assert not lookout.ask(LARGE), "one at a time"
        asked = taken(lookout)
        assert not lookout.ask(Question(Vantage.EXTERNAL, "else", "vip"))
        assert not lookout.ask(Question(Vantage.CONTROL, "ext", "vip"))
        assert not lookout.ask(Question(Vantage.EXTERNAL, "ext", "unchecked"))
    assert first[0].question == ASKED
    assert asked[0].question == LARGE
    assert asked[0].at_ns - first[0].at_ns > 0.95e9


def test_rounds_that_are_quiet_only_answer() -> None:
    with s3() as server, rounds(server.url, every_s=0.0) as lookout:
        lookout.quiet(True)
        assert lookout.ask(ASKED)
        assert [one.reach for one in taken(lookout)] == [Reach.ANSWERED]
    assert len(server.requests) == 1


def test_rounds_end_in_the_middle_of_an_attempt() -> None:
    silent = threading.Event()

    def hang(connection: socket.socket) -> None:
        silent.set()
        connection.recv(100_000)
        connection.recv(1)

    with listening(hang) as port, rounds(f"http://127.0.0.1:{port}") as lookout:
        assert silent.wait(5)
        began = time.monotonic()
        lookout.close()
        assert time.monotonic() - began < 1.0
    assert not lookout.ask(ASKED)
