"""A client that is bound to the address that was checked, whatever the name means by now."""

import socket  # noqa: TID251 (servers on loopback)
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import trustme
from loopback import S3Server, pem, s3

from maul.core.errors import TargetError
from maul.s3.client import list_keys, make_client
from maul.s3.credentials import Credentials
from maul.s3.endpoint import Endpoint

KEYS = Credentials("AK", "SK")
EMPTY = b"<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>"


def serving(fake: S3Server) -> str:
    """What it says to everybody, and its port."""
    fake.answer = lambda method, path: (200, {}, EMPTY)
    return str(urlsplit(fake.url).port)


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every host that is looked up; names mean another machine of loopback by now."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: str, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        return real(host if host.startswith("127.") else "127.0.0.2", *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def test_it_connects_where_it_was_told_and_names_the_host(resolved: list[str]) -> None:
    with s3() as fake:
        port = serving(fake)
        endpoint = Endpoint("vip", f"http://s3.test:{port}")
        assert list_keys(make_client(endpoint, KEYS, address="127.0.0.1"), "bench", "").complete
        assert set(resolved) == {"127.0.0.1"}
        assert fake.headers[0]["Host"] == f"s3.test:{port}"
        with pytest.raises(TargetError, match="no connection"):
            list_keys(make_client(endpoint, KEYS), "bench", "")
        assert "s3.test" in resolved
        assert len(fake.requests) == 1


def test_the_certificate_is_still_checked_against_the_name(resolved: list[str], tmp_path: Path) -> None:
    ca = trustme.CA()
    file = pem(ca, tmp_path / "ca.pem")
    with s3(ca.issue_cert("s3.test")) as fake:
        url = f"https://s3.test:{serving(fake)}"
        assert list_keys(make_client(Endpoint("vip", url, file), KEYS, address="127.0.0.1"), "bench", "").complete
        named = url.replace("s3.test", "other.test")
        pinned = make_client(Endpoint("vip", named, file, "s3.test"), KEYS, address="127.0.0.1")
        assert list_keys(pinned, "bench", "").complete
    with s3(ca.issue_cert("127.0.0.1")) as fake:
        url = f"https://s3.test:{serving(fake)}"
        with pytest.raises(TargetError, match="certificate"):
            list_keys(make_client(Endpoint("vip", url, file), KEYS, address="127.0.0.1"), "bench", "")
        assert fake.requests == []
    assert set(resolved) == {"127.0.0.1"}


def test_a_pin_binds_one_client_only(resolved: list[str]) -> None:
    with s3() as here, s3() as there:
        ports = serving(here), serving(there)
        pinned = make_client(Endpoint("a", f"http://a.test:{ports[0]}"), KEYS, address="127.0.0.1")
        free = make_client(Endpoint("b", f"http://127.0.0.1:{ports[1]}"), KEYS)
        list_keys(free, "bench", "")
        list_keys(pinned, "bench", "")
        assert (len(here.requests), len(there.requests)) == (1, 1)
        with pytest.raises(TargetError):
            list_keys(make_client(Endpoint("a", f"http://a.test:{ports[0]}"), KEYS), "bench", "")
