"""The small GET: bounded whatever the peer does."""

import socket  # noqa: TID251 (servers on loopback)
import threading
import time
from pathlib import Path

import pytest
import trustme
from loopback import listening, pem, s3

from maul.core.errors import CampaignError, TargetError
from maul.s3.fetch import fetch, fetcher


def test_a_body() -> None:
    with s3() as server:
        server.answer = lambda method, path: (200, {}, f"{method} {path}".encode())
        assert fetch(f"{server.url}/metrics?a=1;csv", 5.0) == b"GET /metrics?a=1;csv"
        assert fetch(server.url, 5.0) == b"GET /"
        assert fetcher({server.url: "127.0.0.1"})(f"{server.url}/x", 5.0) == b"GET /x"


def test_over_tls(tmp_path: Path) -> None:
    ca = trustme.CA()
    with s3(ca.issue_cert("127.0.0.1")) as server:
        server.answer = lambda method, path: (200, {}, b"ok")
        assert fetcher({server.url: "127.0.0.1"}, pem(ca, tmp_path / "ca.pem"))(server.url, 5.0) == b"ok"
        with pytest.raises(TargetError, match="no answer"):
            fetch(server.url, 5.0)


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    with s3() as server:
        server.answer = lambda method, path: (200, {}, b"ok")
        assert fetch(server.url, 5.0) == b"ok"


@pytest.mark.parametrize("status", [204, 301, 404, 500, 503])
def test_only_200_is_an_answer(status: int) -> None:
    with s3() as server:
        server.answer = lambda method, path: (status, {"Location": server.url + "/elsewhere"}, b"")
        with pytest.raises(TargetError, match=f"status {status}"):
            fetch(server.url, 5.0)
        assert len(server.requests) == 1


def test_a_page_that_is_too_large() -> None:
    with s3() as server:
        server.answer = lambda method, path: (200, {}, b"x" * 1001)
        with pytest.raises(TargetError, match="larger than 1000 bytes"):
            fetch(server.url, 5.0, size_max=1000)
        assert len(fetch(server.url, 5.0, size_max=1001)) == 1001


def test_a_page_without_end() -> None:
    sent = []

    def flood(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        for _ in range(10_000):
            connection.sendall(b"x" * 10_000)
            sent.append(10_000)

    with listening(flood) as port, pytest.raises(TargetError, match="larger than"):
        fetch(f"http://127.0.0.1:{port}", 5.0, size_max=50_000)
    assert sum(sent) < 20_000_000


@pytest.mark.parametrize("before", [b"", b"HTTP/1.0 200 OK\r\nA: b\r\n", b"HTTP/1.0 200 OK\r\n\r\nhalf a page"])
def test_a_drip_does_not_outlast_the_timeout(before: bytes) -> None:
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(before)
        for _ in range(1000):
            if over.wait(0.02):
                return
            connection.sendall(b"x")

    with listening(drip) as port:
        began = time.monotonic()
        with pytest.raises(TargetError, match=r"no whole answer within 0\.2 s"):
            fetch(f"http://127.0.0.1:{port}", 0.2)
        assert time.monotonic() - began < 5
        over.set()


def test_an_answer_cut_off() -> None:
    def cut(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\nonly this")

    with listening(cut) as port, pytest.raises(TargetError, match=r"broke off|not HTTP"):
        fetch(f"http://127.0.0.1:{port}", 5.0)


@pytest.mark.parametrize("answer", [b"", b"hello\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n", b"\x16\x03\x01"])
def test_no_http(answer: bytes) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(answer)

    with listening(serve) as port, pytest.raises(TargetError, match="not HTTP"):
        fetch(f"http://127.0.0.1:{port}", 5.0)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(TargetError, match=r"Connection refused"):
        fetch(f"http://127.0.0.1:{port}", 5.0)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "http:///x", ""])
def test_only_http(url: str) -> None:
    with pytest.raises(CampaignError):
        fetch(url, 1.0)
