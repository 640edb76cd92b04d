"""Targets that may not be hit, cannot be reached, or cannot be trusted."""

import contextlib
import json
import socket  # noqa: TID251 — listens on loopback, and sees that nobody connects elsewhere
import ssl
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

OUTSIDE = [
    "http://192.0.2.1/",
    "https://192.0.2.1:8443/bucket",
    "http://[2001:db8::1]:80/",
    "http://0.0.0.0:8333/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::ffff:192.0.2.1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://10.0.0.1/",
    "http://128.0.0.1/",
    "http://126.255.255.255/",
    "http://3221225985/",
]


@pytest.fixture
def no_packet(monkeypatch):
    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, lambda *given: pytest.fail(f"a packet was tried: {given[1:]}"))


@pytest.mark.parametrize("url", OUTSIDE)
def test_outside_of_loopback_nothing_is_hit(maul, no_packet, url):
    answer = maul("hit", url, "--duration", "1s")
    assert (answer.code, answer.out) == (4, "")
    assert "not permitted, nothing was sent" in answer.err


@pytest.mark.parametrize("more", [("--key", "theirs"), ("--json",), ("--rate", "10"), ("--op", "put")])
def test_no_option_gets_around_it(maul, no_packet, more):
    assert maul("hit", OUTSIDE[0], *more).code == 4


@pytest.mark.parametrize(
    ("addresses", "code"), [(["192.0.2.7"], 4), (["127.0.0.1", "192.0.2.7"], 4), (["127.0.0.1", "::2"], 4)]
)
def test_a_name_is_what_it_leads_to(maul, no_packet, monkeypatch, addresses, code):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **more: found)
    answer = maul("hit", "http://store.example/")
    assert answer.code == code and addresses[-1] in answer.err


def test_a_name_that_nobody_knows(maul, monkeypatch):
    def unknown(*given, **more):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    answer = maul("hit", "http://store.example/")
    assert answer.code == 7 and "store.example has no address" in answer.err


@pytest.fixture
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        yield taken.getsockname()[1]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_where_nothing_listens(maul, closed_port, scheme):
    answer = maul("hit", f"{scheme}://127.0.0.1:{closed_port}/")
    assert (answer.code, answer.out) == (7, "")
    assert f"nothing listens on port {closed_port}" in answer.err


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@contextlib.contextmanager
def shaking_hands(certificate):
    """A port that shakes hands with this certificate and says no more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.fixture
def tls_port(authority):
    with shaking_hands(authority.issue_cert("127.0.0.1")) as port:
        yield port


@pytest.mark.parametrize(
    ("certificate", "says"),
    [
        (("127.0.0.1", -30, -1), "its certificate expired on"),
        (("127.0.0.1", 1, 30), "its certificate is not valid before"),
        (("store.example", -1, 30), "its certificate is not for 127.0.0.1: it is for store.example"),
    ],
)
def test_a_certificate_that_does_not_hold(maul, authority, tmp_path, certificate, says):
    name, *days = certificate
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    first, last = (datetime.now(UTC) + timedelta(days=one) for one in days)
    with shaking_hands(authority.issue_cert(name, not_before=first, not_after=last)) as port:
        answer = maul("hit", f"https://127.0.0.1:{port}/", "--ca", tmp_path / "ca.pem")
    assert (answer.code, answer.out) == (7, "") and says in answer.err


@pytest.mark.parametrize(
    ("ca", "expected"),
    [
        ("another", (7, "is of a CA that is not trusted here")),
        (None, (7, "is of a CA that is not trusted here")),
        ("missing", (3, "the CA file cannot be used")),
        ("garbage", (3, "holds no PEM certificate")),
    ],
)
def test_who_cannot_be_trusted_is_not_hit(maul, tls_port, tmp_path, ca, expected):
    path = tmp_path / "ca.pem"
    if ca == "another":
        trustme.CA().cert_pem.write_to_path(str(path))
    elif ca == "garbage":
        path.write_text("not a certificate")
    answer = maul("hit", f"https://127.0.0.1:{tls_port}/", *(["--ca", path] if ca else []))
    code, says = expected
    assert (answer.code, answer.out) == (code, "") and says in answer.err, answer.err


def test_tls_where_there_is_none(maul, server):
    answer = maul("hit", f"https://127.0.0.1:{server.server_port}/")
    assert answer.code == 7 and "does not speak TLS" in answer.err


@pytest.mark.parametrize("mode", [0o600, 0o644, None])
def test_credentials_that_cannot_be_used(maul, closed_port, tmp_path, mode):
    path = tmp_path / "keys.json"
    if mode is not None:
        path.write_text('{"access_key": "AKIA", "secret": "hush-hush"}')
        path.chmod(mode)
    answer = maul("hit", f"http://127.0.0.1:{closed_port}", "--credentials", path)
    assert answer.code == 3 and str(path) in answer.err and "hush-hush" not in answer.err


# ---------------------------------------------------------------- somebody else's object on a plain server


class Web(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str]] = []  # noqa: RUF012 — one server, one list

    def do_GET(self):
        self.seen.append((self.command, self.path))
        known = self.path == "/shop/picture.png"
        body = b"x" * 3000 if known else b"<Error><Code>NoSuchKey</Code></Error>"
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_PUT = do_DELETE = do_POST = do_GET  # noqa: N815 — the names are http.server's

    def log_message(self, *given):
        pass


@pytest.fixture
def server():
    Web.seen.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Web) as served:
        served.daemon_threads = True
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield served
        served.shutdown()
        thread.join(10)


@pytest.mark.parametrize("op", ["get", "head"])
def test_an_existing_object_is_hit_as_it_is(maul, server, op):
    url = f"http://127.0.0.1:{server.server_port}/shop"
    answer = maul(
        "hit", url, "--op", op, "--key", "picture.png", "--duration", "0.5s", "--rate", "100", "--connections", "4",
        "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    numbers = json.loads(answer.out)
    assert set(Web.seen) == {(op.upper(), "/shop/picture.png")}, "nothing else was asked for, nothing was written"
    assert (numbers["requests"], numbers["ok"], numbers["errors"]) == (50, 50, {})
    assert len(Web.seen) == 50
    assert numbers["bytes_received"] >= (150_000 if op == "get" else 1)
    assert numbers["latency_ms"]["count"] == 50
    assert 0 < numbers["latency_ms"]["p50"] <= numbers["latency_ms"]["p99"] <= numbers["latency_ms"]["max"]
    assert numbers["cpu_seconds"] > 0 and numbers["left_behind"] == 0 and numbers["stopped"] == ""


def test_words_for_people_say_the_same(maul, server):
    url = f"http://127.0.0.1:{server.server_port}/shop"
    answer = maul("hit", url, "--key", "picture.png", "--duration", "0.3s", "--concurrency", "1")
    assert answer.code == 0, answer.err
    assert "closed loop, 1 in flight: it slows down with the target and hides outages" in answer.out
    assert " 0 fail" in answer.out and "latency (from due)" in answer.out


def test_an_object_that_is_not_there_is_a_fail(maul, server):
    url = f"http://127.0.0.1:{server.server_port}/shop"
    answer = maul("hit", url, "--key", "lost.png", "--duration", "0.3s", "--rate", "50")
    assert answer.code == 1
    assert "no such key" in answer.out


def test_what_is_no_store_is_told_before_any_load(maul, server):
    answer = maul("hit", f"http://127.0.0.1:{server.server_port}/shop", "--duration", "0.3s")
    assert answer.code in (3, 7) and answer.out == ""
