"""A balancer in a network namespace of its own: real sockets, real nftables, replies that are really lost."""

import re
import socket  # noqa: TID251 — made in a namespace of our own
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from namespaces import MACHINE, held_namespace

from maul.core.clock import SystemClock
from maul.hosts.inside_sockets import InsideSockets
from maul.hosts.namespace import NamespaceHost
from maul.probes.vip import VipProbe, VipTarget
from waiting import wait_for

VIP, PORT, TABLE = "198.51.100.10", 443, "inet maul_watch"
PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "mitigation.md"
LIMIT_S = 20.0


def command(host: NamespaceHost, *argv: str) -> None:
    done = host.run(("/usr/bin/env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *argv), LIMIT_S)
    assert done.code == 0, done.stderr.decode()


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[NamespaceHost]:
    with held_namespace(tmp_path) as holder:
        host = NamespaceHost("lb", holder)
        for argv in ("ip link set lo up", f"ip addr add {VIP}/32 dev lo"):
            command(host, *argv.split())
        yield host


def readings(host: NamespaceHost, probe: VipProbe) -> Callable[[], dict[str, float]]:
    clock = SystemClock()

    def read() -> dict[str, float]:
        return {sample.metric: sample.value for sample in probe.read(clock.now_ns())}

    return read


def caller(sockets: InsideSockets, host: NamespaceHost) -> socket.socket:
    made = sockets.tcp(host.holder)
    made.setblocking(False)
    made.connect_ex((VIP, PORT))
    return made


def test_what_the_page_says_to_add_counts_what_reaches_the_address_and_what_leaves_it(balancer: NamespaceHost) -> None:
    add, remove = re.findall(r"```sh\n(nft .*?)```", PAGE.read_text(), re.DOTALL)
    command(balancer, "/bin/sh", "-c", add)
    target = VipTarget("lb", VIP, PORT, host=balancer, table=TABLE)
    with VipProbe([target], lambda *_: b"", SystemClock(), LIMIT_S) as probe, ExitStack() as open_now:
        sockets = open_now.enter_context(InsideSockets(balancer.holder))
        read = readings(balancer, probe)
        door = open_now.enter_context(sockets.tcp(balancer.holder))
        assert read()["listening"] == 0
        door.bind((VIP, PORT))
        door.listen(16)
        before_ns = SystemClock().now_ns()
        for _ in range(5):
            open_now.enter_context(caller(sockets, balancer))
        seen = read()
        assert seen["listening"] == 1
        assert probe.missing == {}
        # Rates over an unknown part of a second: what counts is how they stand to each other.
        assert SystemClock().now_ns() - before_ns < 3e9, "too slow to tell"
        assert seen["vip_syns"] > 0
        assert seen["vip_packets"] == pytest.approx(2 * seen["vip_syns"]), "SYN and ACK of each"
        assert seen["answer_packets"] == pytest.approx(seen["vip_syns"]), "one SYN-ACK for each"
        assert seen["vip_bytes"] > 40 * seen["vip_packets"]
        assert {"accept_overflows", "resets_sent", "cpu_ratio"} <= set(seen)
        command(balancer, "/bin/sh", "-c", remove)
        seen = read()
        assert not {"vip_packets", "vip_syns", "answer_packets"} & set(seen), "a table that is gone is not a silent one"
        assert set(probe.missing) == {"lb/nft"}


def test_replies_that_are_lost_are_seen_at_the_balancer_and_in_its_namespace_alone(balancer: NamespaceHost) -> None:
    rules = "table inet lost { chain in { type filter hook input priority 0; tcp sport 443 drop; }; }"
    command(balancer, "nft", rules)
    here = VipTarget("here", VIP, PORT, host=MACHINE)
    with (
        VipProbe([VipTarget("lb", VIP, PORT, host=balancer)], lambda *_: b"", SystemClock(), LIMIT_S) as probe,
        VipProbe([here], lambda *_: b"", SystemClock(), LIMIT_S) as elsewhere,
        ExitStack() as open_now,
    ):
        sockets = open_now.enter_context(InsideSockets(balancer.holder))
        read = readings(balancer, probe)
        door = open_now.enter_context(sockets.tcp(balancer.holder))
        door.bind((VIP, PORT))
        door.listen(16)
        assert read()["syn_received"] == 0
        for _ in range(7):
            open_now.enter_context(caller(sockets, balancer))
        assert wait_for(lambda: read()["syn_received"] == 7)
        assert wait_for(lambda: read().get("syn_ack_retransmits", 0) > 0), "they go out again after a second"
        assert readings(balancer, elsewhere)()["syn_received"] == 0, "that is another network"


def test_a_namespace_that_is_gone_does_not_answer(tmp_path: Path) -> None:
    with held_namespace(tmp_path) as holder:
        host = NamespaceHost("lb", holder)
    assert wait_for(lambda: MACHINE.process(holder) is None)
    with VipProbe([VipTarget("lb", VIP, PORT, host=host)], lambda *_: b"", SystemClock(), LIMIT_S) as probe:
        assert readings(host, probe)() == {"answers": 0}
        assert "host lb is gone" in probe.missing["lb/counters"]
