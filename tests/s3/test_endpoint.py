"""Preflight of an endpoint, against real TLS servers of every sad kind."""

import contextlib
import datetime
import socket  # noqa: TID251 (servers on loopback)
import threading
from pathlib import Path

import pytest
import trustme
from loopback import LONG_AGO, listening, pem, s3, tls

from maul.core.errors import CampaignError, ExitCode, TargetError
from maul.s3.endpoint import Endpoint, Url, check_endpoint, resolve

CA = trustme.CA(organization_name="the lab's CA")
GOOD = CA.issue_cert("127.0.0.1", "s3.lab")


@pytest.fixture
def ca_file(tmp_path: Path) -> Path:
    return pem(CA, tmp_path / "ca.pem")


def trouble(endpoint: Endpoint, timeout_s: float = 5.0) -> str:
    with pytest.raises(TargetError) as caught:
        check_endpoint(endpoint, timeout_s=timeout_s)
    assert caught.value.exit_code == ExitCode.ENVIRONMENT
    assert caught.value.where.startswith(f"{endpoint.name} ({endpoint.url})")
    assert caught.value.cure
    return caught.value.what


def test_good(ca_file: Path) -> None:
    with tls(GOOD) as port:
        facts = check_endpoint(Endpoint("vip", f"https://127.0.0.1:{port}", ca_file))
    assert facts.addresses == ("127.0.0.1",)
    assert facts.tls_version in ("TLSv1.2", "TLSv1.3")
    assert facts.cipher
    assert "the lab's CA" in facts.issuer
    assert facts.expires_ns > 1_700_000_000_000_000_000
    assert facts.connect_ms > 0
    assert facts.tls_ms > 0


def test_a_server_name_other_than_the_urls(ca_file: Path) -> None:
    with tls(CA.issue_cert("s3.lab")) as port:
        url = f"https://127.0.0.1:{port}"
        assert check_endpoint(Endpoint("vip", url, ca_file, "s3.lab")).tls_version
        assert trouble(Endpoint("vip", url, ca_file)) == "its certificate is not for 127.0.0.1: it is for s3.lab"


def test_wrong_name(ca_file: Path) -> None:
    with tls(CA.issue_cert("10.77.0.100", *(f"s{n}.lab" for n in range(6)))) as port:
        what = trouble(Endpoint("vip", f"https://localhost:{port}".replace("localhost", "127.0.0.1"), ca_file))
    assert what.startswith("its certificate is not for 127.0.0.1: it is for s0.lab, s1.lab")
    assert what.endswith("and 2 more")


def test_expired(ca_file: Path) -> None:
    with tls(CA.issue_cert("127.0.0.1", not_before=LONG_AGO, not_after=LONG_AGO)) as port:
        what = trouble(Endpoint("vip", f"https://127.0.0.1:{port}", ca_file))
    assert what == "its certificate expired on 2020-01-02 03:04 UTC"


def test_not_yet_valid(ca_file: Path) -> None:
    later = datetime.datetime(2035, 1, 1, tzinfo=datetime.UTC)
    with tls(CA.issue_cert("127.0.0.1", not_before=later, not_after=later)) as port:
        what = trouble(Endpoint("vip", f"https://127.0.0.1:{port}", ca_file))
    assert what == "its certificate is not valid before 2035-01-01 00:00 UTC"


def test_unknown_ca(tmp_path: Path) -> None:
    other = pem(trustme.CA(), tmp_path / "other.pem")
    with tls(GOOD) as port:
        for ca in (other, None):
            what = trouble(Endpoint("vip", f"https://127.0.0.1:{port}", ca))
            assert what.startswith("its certificate is of a CA that is not trusted here (issuer ")
            assert "the lab's CA" in what


def test_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    what = trouble(Endpoint("gw1", f"http://127.0.0.1:{port}"))
    assert what == f"nothing listens on port {port}: the connection was refused"


def test_no_answer_to_the_connection_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(address: tuple[str, int], timeout: float) -> socket.socket:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", never)
    assert trouble(Endpoint("gw1", "http://127.0.0.1:1"), 0.5) == "no answer to a connection attempt within 0.5 s"


def test_a_hanging_handshake(ca_file: Path) -> None:
    over = threading.Event()

    def hang(connection: socket.socket) -> None:
        over.wait(10)

    with listening(hang) as port:
        what = trouble(Endpoint("vip", f"https://127.0.0.1:{port}", ca_file), 0.05)
        over.set()
    assert what == "it accepts connections, but the TLS handshake got no answer within 0.05 s"


def test_plain_http_where_tls_was_expected(ca_file: Path) -> None:
    with s3() as server:
        what = trouble(Endpoint("vip", server.url.replace("http:", "https:"), ca_file))
    assert what == "it does not speak TLS"


def test_closed_in_the_handshake(ca_file: Path) -> None:
    def hang_up(connection: socket.socket) -> None:
        connection.recv(64 * 1024)

    with listening(hang_up) as port:
        what = trouble(Endpoint("vip", f"https://127.0.0.1:{port}", ca_file))
    assert what == "it closed the connection during the TLS handshake"


def test_plain_http_needs_only_a_connection() -> None:
    with s3() as server:
        facts = check_endpoint(Endpoint("gw1", server.url))
        assert (facts.tls_version, facts.tls_ms) == ("", 0.0)
        assert server.requests == []


def test_every_address_is_tried(monkeypatch: pytest.MonkeyPatch, ca_file: Path) -> None:
    with tls(GOOD) as port:
        monkeypatch.setattr("maul.s3.endpoint.resolve", lambda url: ("127.0.0.1", "127.0.0.9"))
        with pytest.raises(TargetError, match=r"vip \(https://127.0.0.1:\d+\) at 127.0.0.9: nothing listens"):
            check_endpoint(Endpoint("vip", f"https://127.0.0.1:{port}", ca_file))


@pytest.mark.parametrize("content", [None, "", "this is no certificate"])
def test_a_bad_ca_file_is_the_authors(tmp_path: Path, content: str | None) -> None:
    ca = tmp_path / "ca.pem"
    if content is not None:
        ca.write_text(content, encoding="utf-8")
    with pytest.raises(CampaignError, match=r"ca\.pem: the CA file cannot be used: ") as caught:
        check_endpoint(Endpoint("vip", "https://127.0.0.1:1", ca))
    assert caught.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:80",
        "ftp://h",
        "https://",
        "https://h:99999",
        "https://h:x",
        "http://h/path",
        "http://h?q=1",
    ],
)
def test_what_is_no_endpoint_url(url: str) -> None:
    with pytest.raises(CampaignError) as caught:
        Url.parse(url)
    assert "https://host" in caught.value.cure


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(CampaignError) as caught:
        Url.parse("https://AK:hunter2@h")
    assert "hunter2" not in caught.value.message
    assert "AK" not in caught.value.message


def test_ports_that_go_without_saying() -> None:
    assert Url.parse("https://h/").port == 443
    assert Url.parse("http://[::1]") == Url("http", "::1", 80)


def test_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve("https://127.0.0.1:1") == ("127.0.0.1",)
    with contextlib.suppress(TargetError):
        assert set(resolve("http://localhost")) <= {"127.0.0.1", "::1"}

    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(TargetError, match=r"the name nowhere has no address \(Name or service not known\)"):
        resolve("http://nowhere")
