"""Health, asked of servers that answer well, badly, slowly, endlessly or not at all."""

import json
import socket  # noqa: TID251 — the other end of the loopback
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from maul.hosts.fake import FakeHost
from maul.hosts.host import SpawnSpec
from maul.lab import health
from maul.lab.health import NoAnswerError, RoleStatus, answers, check, leader, parse_stats, registered_volumes
from maul.lab.layout import LabLayout, Programs, Service
from maul.lab.placement import Loopback

SHOW_STAT = (
    "# pxname,svname,qcur,status,weight\n"
    "customers,FRONTEND,0,OPEN,1\n"
    "gateways,gateway-r1-1,0,UP,1\n"
    "gateways,gateway-r2-1,0,{other},1\n"
    "gateways,BACKEND,0,UP,2\n\n"
)


@dataclass
class Talker:
    """A server on loopback that sends the same bytes to everybody."""

    port: int
    says: bytes = b""

    def http(self, body: object, status: str = "200 OK") -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.says = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(text), text)


def serve(listener: socket.socket, talker: Talker) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            try:
                connection.settimeout(5)
                connection.recv(65536)
                connection.sendall(talker.says)
            except OSError:
                pass


@pytest.fixture
def talker() -> Iterator[Talker]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        talker = Talker(listener.getsockname()[1])
        thread = threading.Thread(target=serve, args=(listener, talker), daemon=True)
        thread.start()
        yield talker
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.fixture
def service(talker: Talker) -> Callable[[str], Service]:
    return lambda role: Service(f"{role}-r1-1", role, "r1", "127.0.0.1", talker.port, talker.port)


@pytest.fixture
def layout(tmp_path: Path) -> LabLayout:
    (tmp_path / "run").mkdir()
    return LabLayout("x", Loopback(64), tmp_path, tmp_path / "run", Programs("weed", "haproxy"))


def living(layout: LabLayout, service: Service) -> FakeHost:
    host = FakeHost()
    host.spawn(SpawnSpec(("weed",), Path("/"), Path("/l"), {}, layout.pidfile(service)))
    return host


def test_a_master_tells_its_leader_with_or_without_the_grpc_port(talker, service, layout):
    for text in ("127.64.2.1:20001.30001", "127.64.2.1:20001"):
        talker.http({"Leader": text})
        assert leader(layout, service("master")) == "master-r2-1"


@pytest.mark.parametrize("body", [{}, {"Leader": ""}, {"Leader": None}, {"Leader": "127.64.2.1:2000"}, {"Leader": "x"}])
def test_a_master_without_a_leader_is_not_well(talker, service, layout, body):
    talker.http(body)
    master = service("master")
    status = check(layout, living(layout, master), master)
    assert (status.healthy, status.says) == (False, "knows no leader")


def test_a_follower_is_well(talker, service, layout):
    talker.http({"Leader": "127.64.2.1:20001.30001"})
    master = service("master")
    status = check(layout, living(layout, master), master)
    assert (status.healthy, status.says, status.pid) == (True, "follows master-r2-1", 100)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"Volumes": None}, "0 volumes"),
        ({"Volumes": [{"ReadOnly": False}, {"ReadOnly": True}]}, "2 volumes, 1 read-only"),
    ],
)
def test_a_volume_server_counts_its_volumes(talker, service, layout, body, says):
    talker.http(body)
    volume = service("volume")
    assert check(layout, living(layout, volume), volume).says == says


@pytest.mark.parametrize(
    ("says", "why"),
    [
        (b"", "does not answer"),
        (b"garbage\r\n\r\n", "does not answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "breaks off"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "answers 503"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{", "not JSON"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "unexpected shape"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe", "not JSON"),
    ],
)
def test_bad_answers_are_told_never_raised(talker, service, layout, says, why):
    talker.says = says
    volume = service("volume")
    status = check(layout, living(layout, volume), volume)
    assert not status.healthy and why in status.says
    if "JSON" not in why and "shape" not in why:
        assert not answers(volume)


def test_a_server_that_is_silent_is_given_up(service, layout, monkeypatch):
    """As a stopped process: the kernel takes the connection, nobody answers."""
    monkeypatch.setattr(health, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert not answers(Service("v", "volume", "r1", "127.0.0.1", port, port), timeout_s=0.05)


def test_nobody_listens(layout):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NoAnswerError, match="refused"):
        leader(layout, Service("m", "master", "r1", "127.0.0.1", port, port))


def test_a_process_that_is_gone_is_not_asked(layout):
    for content in (None, b"{"):
        host = FakeHost()
        volume = layout.service("volume-r1-1")
        if content:
            host.files[layout.pidfile(volume)] = content
        assert check(layout, host, volume) == RoleStatus(
            "volume-r1-1", "volume", "127.64.1.1", False, "its process is gone", None
        )


def test_volume_servers_known_to_the_cluster(talker, service):
    nodes = [{"Url": "127.64.1.1:20003"}, {"Url": "127.64.1.2:20004"}]
    talker.http(
        {"Topology": {"DataCenters": [{"Racks": [{"DataNodes": nodes}, {"DataNodes": None}]}, {"Racks": None}]}}
    )
    assert registered_volumes(service("master")) == {"127.64.1.1:20003", "127.64.1.2:20004"}
    talker.http({"Topology": {"DataCenters": None}})
    assert registered_volumes(service("master")) == set()


@pytest.mark.parametrize(
    ("other", "healthy", "says"),
    [("UP", True, "2 of 2"), ("DOWN", True, "1 of 2"), ("UP 1/2", True, "2 of 2")],
)
def test_the_balancer_tells_over_its_socket(layout, other, healthy, says):
    talker = Talker(0, SHOW_STAT.format(other=other).encode())
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(layout.admin_socket(layout.balancer)))
        listener.listen()
        threading.Thread(target=serve, args=(listener, talker), daemon=True).start()
        status = check(layout, living(layout, layout.balancer), layout.balancer)
        listener.shutdown(socket.SHUT_RDWR)
    assert status.healthy is healthy and status.says.startswith(says)


def test_a_balancer_without_a_socket_is_not_well(layout):
    status = check(layout, living(layout, layout.balancer), layout.balancer)
    assert not status.healthy and "admin socket" in status.says


@pytest.mark.parametrize(
    "text", ["", "\n", "# \n", "# pxname,svname,status\n", "# pxname,svname,status\na\n", "Unknown command\n"]
)
def test_odd_statistics_are_no_servers(text):
    assert parse_stats(text) == {}
