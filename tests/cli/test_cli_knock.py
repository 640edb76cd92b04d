"""`maul knock`: what its end means, in words and as JSON, and its exit code."""

import json
import socket  # noqa: TID251 (a port that nobody listens on)

import pytest
from command_line import speaking

from maul.cli.knock import MEANS
from maul.core.errors import ExitCode
from maul.core.vantage import Reach


@pytest.fixture
def maul(capsys):
    return speaking(capsys)


@pytest.fixture
def nobody():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{free.getsockname()[1]}"


def test_every_end_has_a_meaning():
    assert set(MEANS) == set(Reach)


def test_nobody_listens(maul, nobody):
    told = maul("knock", nobody)
    assert told.code == ExitCode.FAIL
    assert "refused: the SYN was answered by a RST: nobody listens there" in told.out
    assert "the machine is there" in told.out


def test_for_machines(maul, nobody):
    told = maul("knock", nobody, "--json", "--every", "1s", "--for", "1.5s")
    found = [json.loads(line) for line in told.out.splitlines()]
    assert told.code == ExitCode.FAIL
    assert [one["reach"] for one in found] == ["refused", "refused"]
    assert found[1]["at_ns"] - found[0]["at_ns"] >= 1e9
    assert set(found[0]) == {"at_ns", "reach", "status", "connect_ms", "tls_ms", "answer_ms", "tcp", "says"}


def test_an_open_port_answers(maul):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        told = maul("knock", "http://127.0.0.1:1", "--port", str(listener.getsockname()[1]))
    assert told.code == ExitCode.PASS
    assert "accepted the connection" in told.out
    assert "MSS" in told.out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["http://192.0.2.1"], ExitCode.NOT_PERMITTED),
        (["http://127.0.0.1:1", "--address", "192.0.2.1"], ExitCode.NOT_PERMITTED),
        (["ftp://127.0.0.1"], ExitCode.USAGE),
        (["http://127.0.0.1/bucket"], ExitCode.USAGE),
        (["http://127.0.0.1:1", "--every", "soon"], ExitCode.USAGE),
        (["http://127.0.0.1:1", "--every", "0s"], ExitCode.USAGE),
        (["http://127.0.0.1:1", "--port", "70000"], ExitCode.USAGE),
        (["https://127.0.0.1:1", "--ca", "/nowhere.pem"], ExitCode.USAGE),
        (["http://127.0.0.1:1", "--permit", "/nowhere.yaml"], ExitCode.USAGE),
    ],
)
def test_what_may_not_or_cannot_be_is_said(maul, words, code):
    told = maul("knock", *words)
    assert (told.code, told.out) == (code, "")
    assert told.err.startswith("maul: ") or "Invalid value" in told.err
