"""The conductor's ears, on real sockets: what they hear, and what they turn away."""

import contextlib
import http.client
import socket  # noqa: TID251 — speaks to ears of our own
from collections.abc import Iterator
from pathlib import Path

import pytest

from maul.core.errors import ExitCode, MachineError
from maul.hosts import feed_listener
from maul.hosts.feed_listener import BODY_BYTES_MAX, CALLERS_MAX, Ear, FeedListener
from waiting import wait_for


@pytest.fixture
def heard() -> list[bytes]:
    return []


@pytest.fixture
def ears(heard: list[bytes]) -> Iterator[FeedListener]:
    def hear(message: bytes) -> bool:
        heard.append(message)
        return message != b"too many"

    listener = FeedListener([Ear("web", "127.0.0.1:0", hear), Ear("log", "127.0.0.1:0", hear, datagrams=True)])
    yield listener
    listener.close()
    listener.close()


def post(ears: FeedListener, body: bytes, method: str = "POST", **headers: str) -> int:
    line = http.client.HTTPConnection("127.0.0.1", ears.ports["web"], timeout=10)
    with contextlib.closing(line):
        line.request(method, "/any/path", body, {name.replace("_", "-"): value for name, value in headers.items()})
        return line.getresponse().status


def say(ears: FeedListener, words: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", ears.ports["web"]), 10) as line:
        line.sendall(words)
        line.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while part := line.recv(4096):
                answer += part
        return answer.split(b" ")[1] if answer else b""


def test_what_is_posted_is_heard(ears, heard):
    assert post(ears, b"one") == 204
    assert post(ears, b"two", "PUT") == 204
    assert post(ears, b"", Content_Length="0") == 204
    assert heard == [b"one", b"two", b""]


def test_bodies_in_chunks_are_heard_whole(ears, heard):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert say(ears, head + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n") == b"204"
    assert heard == [b"abcde"]


def test_datagrams_are_heard_one_by_one(ears, heard):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        for words in (b"one", b"", b"x" * 60_000):
            line.sendto(words, ("127.0.0.1", ears.ports["log"]))
    assert wait_for(lambda: len(heard) == 3)
    assert sorted(map(len, heard)) == [0, 3, 60_000]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"405"),
        (b"POST / HTTP/1.1\r\n\r\nbody", b"411"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1e9\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1), b"413"),
        (b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nshort", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n", b"413"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
        (b"POST / SPDY/3\r\n\r\n", b"400"),
        (b"X: " + b"y" * 40_000 + b"\r\n\r\n", b"400"),
        (b"POST / HT", b"400"),
        (b"", b"400"),
    ],
)
def test_what_is_no_request_is_turned_away(ears, heard, words, code):
    assert say(ears, words) in {code, b""}, "or the line was cut before all was said"
    assert heard == []
    assert post(ears, b"and then") == 204


def test_too_much_at_once_is_told_to_who_sends_it(ears):
    assert post(ears, b"too many") == 429


def test_callers_that_say_nothing_keep_nobody_out_for_long(ears, heard, monkeypatch):
    """More than there are places for: the others are told so at once, and the places are free again in time."""
    monkeypatch.setattr(feed_listener, "REQUEST_S", 1.0)
    with contextlib.ExitStack() as lines:
        for _ in range(CALLERS_MAX):
            lines.enter_context(socket.create_connection(("127.0.0.1", ears.ports["web"]), 10))
        codes: list[int] = []

        def one_more() -> bool:
            with contextlib.suppress(ConnectionError):
                codes.append(post(ears, b"late"))
            return codes[-1:] == [204]

        assert wait_for(one_more)
    assert set(codes) <= {503, 204}


@pytest.mark.parametrize("datagrams", [False, True])
def test_a_port_in_use_is_one_clear_message_and_nothing_is_held(datagrams):
    kind = socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if not datagrams:
            taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            first = f"127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(MachineError, match=r"the feed b cannot listen: .*in use") as told:
            FeedListener([Ear("a", first, lambda _: True), Ear("b", where, lambda _: True, datagrams=datagrams)])
    assert told.value.where == where
    assert "choose another port" in told.value.cure
    assert told.value.exit_code == ExitCode.ENVIRONMENT
    listener = FeedListener([Ear("a", first, lambda _: True)])
    listener.close()


@pytest.mark.parametrize("listen", ["192.0.2.1:0", "127.0.0.1:99999", "no.such.host.invalid:1", "[::1:x]:1"])
def test_an_address_that_is_not_ours_is_told(listen):
    with pytest.raises(MachineError, match="the feed a cannot listen"):
        FeedListener([Ear("a", listen, lambda _: True)])


def test_it_listens_where_it_was_told_to_and_nowhere_else(ears):
    for kind in ("web", "log"):
        name = "tcp" if kind == "web" else "udp"
        lines = [line.split() for line in Path("/proc/net", name).read_text().splitlines()[1:]]
        own = [line[1] for line in lines if line[1].endswith(f":{ears.ports[kind]:04X}") and line[3] in {"0A", "07"}]
        assert own == [f"0100007F:{ears.ports[kind]:04X}"]


def test_a_port_is_free_again_at_once(heard):
    first = FeedListener([Ear("web", "127.0.0.1:0", lambda _: True)])
    port = first.ports["web"]
    assert post(first, b"x") == 204
    first.close()
    second = FeedListener([Ear("web", f"127.0.0.1:{port}", lambda message: heard.append(message) is None)])
    assert post(second, b"y") == 204
    second.close()
    assert heard == [b"y"]
