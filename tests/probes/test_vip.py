"""The balancers' own counters: against this machine, against real sockets, and against whatever does not answer."""

import http.server
import socket  # noqa: TID251 — a listener of our own
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import pytest
from machine import T0, S, of

from maul.core.clock import FakeClock, SystemClock
from maul.core.errors import MachineError, TargetError
from maul.guard.mitigation.signals import BalancerSecond
from maul.hosts.balancer_counters import _AWK_PROC, _AWK_SS, CounterQuestion, read_counters
from maul.hosts.fake import FakeHost
from maul.hosts.host import Completed
from maul.hosts.local import LocalHost
from maul.hosts.ssh import SshHost
from maul.probes.balancer_kernel import KernelCounts
from maul.probes.contract import MetricsTarget
from maul.probes.errand import Errand
from maul.probes.vip import VipProbe, VipTarget, _Watched
from ssh_servers import asyncssh_server
from waiting import wait_for

PAGE = """\
haproxy_process_idle_time_percent {idle}
haproxy_frontend_sessions_total{{proxy="customers"}} {sessions}
haproxy_frontend_http_requests_total{{proxy="customers"}} {sessions}
haproxy_frontend_intercepted_requests_total{{proxy="customers"}} 0
haproxy_frontend_http_responses_total{{proxy="customers",code="5xx"}} {errors}
haproxy_frontend_http_responses_total{{proxy="customers",code="2xx"}} 9
haproxy_frontend_sessions_total{{proxy="observers"}} {own}
haproxy_frontend_http_requests_total{{proxy="observers"}} {own}
haproxy_frontend_intercepted_requests_total{{proxy="observers"}} {own}
haproxy_frontend_http_responses_total{{proxy="observers",code="5xx"}} {own}
haproxy_backend_status{{proxy="gateways",state="UP"}} 1
haproxy_server_status{{proxy="gateways",server="gateway-1",state="UP"}} 1
haproxy_server_status{{proxy="gateways",server="gateway-2",state="UP"}} {second}
"""


def page(idle: float = 90, sessions: int = 0, errors: int = 0, own: int = 1, second: int = 1) -> bytes:
    return PAGE.format(idle=idle, sessions=sessions, errors=errors, own=own, second=second).encode()


class Scripted(FakeHost):
    """A machine whose command gives what a test says."""

    says: bytes = b""
    code: int = 0
    timed_out: bool = False

    def run(self, argv: tuple[str, ...], timeout_s: float) -> Completed:
        assert argv[0] == "/bin/sh"
        assert timeout_s <= 1.0
        return Completed(argv, self.code, self.says, b"some trouble", self.timed_out)


BY_PAGE = VipTarget("lb", "198.51.100.10", 443, MetricsTarget("lb", "balancer", "http://lb/metrics"), host_name="lb1")


def lines(packets: int, syns: int, again: int, half: str = "HALF 5 4 0") -> bytes:
    counters = ", ".join(
        f'{{"counter": {{"name": "{name}", "packets": {count}, "bytes": {count * 60}}}}}'
        for name, count in (("vip_in", packets), ("vip_syn", syns), ("vip_out", packets // 2))
    )
    return (
        f"net/snmp:Tcp: A OutRsts\nnet/snmp:Tcp: 0 {packets}\n"
        f"net/netstat:TcpExt: ListenOverflows TCPSynRetrans\nnet/netstat:TcpExt: {syns} {again}\n"
        f"sys/net/netfilter/nf_conntrack_count:50\nsys/net/netfilter/nf_conntrack_max:200\n"
        f"net/stat/nf_conntrack:entries drop\nnet/stat/nf_conntrack:00000032 {syns:08x}\n"
        f"stat:cpu  {packets} 0 0 {packets} 0 0 0 0\nstat:cpu0 0 0 0 {packets} 0 0 0 0\n"
        f"stat:cpu1 {packets} 0 0 0 0 0 0 0\n"
        f'sockets:LISTEN 0.0.0.0:443\nsockets:{half}\nnft:{{"nftables": [{counters}]}}\n'
    ).encode()


def test_every_metric_is_a_field_of_a_balancers_second_and_every_field_has_one():
    host, clock = Scripted(), FakeClock(T0)
    target = replace(BY_PAGE, host=host, table="inet maul_watch")
    pages = iter(
        [page(idle=50, sessions=100, errors=3, own=7), page(idle=25, sessions=160, errors=13, own=9, second=0)]
    )
    probe = VipProbe([target], lambda *_: next(pages), clock)
    host.says = lines(1000, 100, 10)
    first = of(probe.read(clock.now_ns()), "lb")
    clock.wait(2)
    host.says = lines(3000, 120, 30)
    samples = probe.read(clock.now_ns())
    assert {(s.host, s.at_ns, s.probe) for s in samples} == {("lb1", T0 + 2 * S, "vip")}
    assert of(samples, "lb") == {
        "vip_packets": 1000, "vip_bytes": 60_000, "vip_syns": 10, "answer_packets": 500, "resets_sent": 1000,
        "idle_ratio": 0.25, "cpu_ratio": 1.0, "listening": 1, "sessions": 30, "server_errors": 5, "backends_up": 1,
        "backends": 2, "syn_received": 5, "syn_ack_retransmits": 10, "accept_overflows": 10, "tracked_ratio": 0.25,
        "tracked_drops": 10, "answers": 1, "process_answers": 1,
    }  # fmt: skip
    assert set(of(samples, "lb")) == {field.name for field in fields(BalancerSecond)}
    assert "vip_packets" not in first, "a rate needs two readings"
    assert first["syn_received"] == 5
    assert probe.missing == {}
    probe.close()


def test_syns_of_our_own_that_go_out_again_are_not_taken_for_lost_replies():
    host, clock = Scripted(), FakeClock(T0)
    probe = VipProbe([replace(BY_PAGE, page=None, host=host)], lambda *_: b"", clock)
    felt = []
    for again, half in [(0, "HALF 0 0 0"), (100, "HALF 0 0 8"), (200, "HALF 9 2 2"), (300, "HALF 9 9 0")]:
        host.says = lines(1, 1, again, half)
        felt.append(of(probe.read(clock.now_ns()), "lb").get("syn_ack_retransmits"))
        clock.wait(1)
    assert felt == [None, 0, 50, 100]
    probe.close()


def test_a_page_that_hangs_while_the_machine_answers_is_a_hung_process():
    host = Scripted()
    host.says = lines(1, 1, 1)

    def fetch(url: str, timeout_s: float) -> bytes:
        assert timeout_s < 1
        raise TargetError("no whole answer", url)

    probe = VipProbe([replace(BY_PAGE, host=host)], fetch, FakeClock(T0))
    seen = of(probe.read(T0), "lb")
    assert (seen["answers"], seen["process_answers"], seen["listening"]) == (1, 0, 1)
    assert "idle_ratio" not in seen
    assert probe.missing == {"lb/page": "no whole answer"}
    probe.close()


@pytest.mark.parametrize("how", ["late", "nothing", "gone", "another page"])
def test_who_does_not_answer_gives_that_alone(how):
    class Broken(Scripted):
        def run(self, argv: tuple[str, ...], timeout_s: float) -> Completed:
            if how == "gone":
                raise MachineError("cannot reach it")
            return replace(super().run(argv, timeout_s), timed_out=how == "late")

    def fetch(_url: str, _timeout_s: float) -> bytes:
        if how == "another page":
            return b"<html>"
        raise ConnectionRefusedError(111, "Connection refused")

    probe = VipProbe([replace(BY_PAGE, host=Broken())], fetch, FakeClock(T0))
    assert of(probe.read(T0), "lb") == {"answers": 0}
    assert set(probe.missing) == {"lb/page", "lb/counters"}
    probe.close()


def test_one_that_hangs_costs_its_own_reading_and_no_more():
    """The fetch of one ignores its timeout altogether; the other balancer is told of, and nobody is asked twice."""
    release, asked = threading.Event(), []

    def fetch(url: str, _timeout_s: float) -> bytes:
        asked.append(url)
        if "hung" in url:
            assert release.wait(30)
        return page()

    hung = replace(BY_PAGE, subject="hung", page=MetricsTarget("hung", "balancer", "http://hung/"))
    clock = SystemClock()
    probe = VipProbe([hung, BY_PAGE], fetch, clock, limit_s=0.2)
    try:
        for late in range(3):
            began_ns = clock.now_ns()
            samples = probe.read(began_ns)
            assert clock.now_ns() - began_ns < 1e9
            assert of(samples, "hung") == ({"answers": 0} if late else {}), "late once may be our own fault"
            assert of(samples, "lb")["answers"] == 1
            assert probe.missing == {"hung/page": "no answer in time"}
        assert asked.count("http://hung/") == 1, "what hangs is not asked again on top"
    finally:
        release.set()
    for _ in range(100):
        if of(probe.read(clock.now_ns()), "hung").get("answers") == 1:
            break
    else:
        pytest.fail("it is not asked again when it is back")
    probe.close()


def test_late_once_says_nothing_and_late_twice_in_a_row_that_it_hangs():
    answers = iter([True, False, True, True, True, False])

    def fetch(url: str, _timeout_s: float) -> bytes:
        if next(answers):
            raise TargetError("no whole answer", url)
        return page()

    watched = _Watched(BY_PAGE, fetch, FakeClock(T0), 0.9)
    felt = []
    for _ in range(6):
        left = iter([30.0, 0.05])  # to wait; and after it came
        watched.begin()
        felt.append(watched.end(lambda left=left: next(left))[0].get("process_answers", "nothing"))
    assert felt == ["nothing", 1, "nothing", "nothing", "nothing", 1], "there is nothing else to answer"
    watched.close()


@pytest.mark.parametrize(("left_s", "expected"), [(0.05, [{}, {"answers": 0}]), (0.8, [{"answers": 0}] * 2)])
def test_who_refuses_at_once_does_not_answer_and_who_is_late_has_another_second(left_s, expected):
    def fetch(_url: str, _timeout_s: float) -> bytes:
        raise ConnectionRefusedError(111, "Connection refused")

    watched = _Watched(BY_PAGE, fetch, FakeClock(T0), 0.9)
    felt = []
    for _ in range(2):
        left = iter([30.0, left_s])
        watched.begin()
        felt.append(watched.end(lambda left=left: next(left))[0])
    assert felt == expected
    watched.close()


def test_an_errand_is_done_once_at_a_time_and_tells_what_it_met():
    gate, done = threading.Event(), []

    def act() -> int:
        assert gate.wait(30)
        done.append(1)
        if len(done) == 2:
            raise MachineError("no")
        return len(done)

    errand = Errand(act, "errand")
    assert errand.begin()
    assert not errand.begin(), "it is not over yet"
    with pytest.raises(TimeoutError):
        errand.end(0.0)
    gate.set()
    assert errand.end(30) == 1
    assert errand.begin()
    with pytest.raises(MachineError, match="no"):
        errand.end(30)
    errand.close()
    assert wait_for(lambda: not any(one.name == "errand" for one in threading.enumerate()))


def test_a_counter_that_was_made_anew_and_an_outage_give_no_rate():
    host, clock = Scripted(), FakeClock(T0)
    probe = VipProbe([replace(BY_PAGE, page=None, host=host, table="inet x")], lambda *_: b"", clock)
    rates = []
    for packets, wait_s in [(1000, 1), (2000, 1), (10, 1), (20, 10), (1020, 1), (1030, 1)]:
        host.says = lines(packets, 0, 0)
        rates.append(of(probe.read(clock.now_ns()), "lb").get("vip_packets"))
        clock.wait(wait_s)
    assert rates == [None, 1000, None, 10, None, 10]
    probe.close()


def test_a_table_that_is_gone_is_told_and_reads_as_nothing():
    host = Scripted()
    host.says = b"sockets:HALF 0 0 0\nnft-trouble:Error: No such file or directory\n"
    probe = VipProbe([replace(BY_PAGE, page=None, host=host, table="inet x")], lambda *_: b"", FakeClock(T0))
    assert "vip_packets" not in of(probe.read(T0), "lb")
    assert probe.missing == {"lb/nft": "Error: No such file or directory"}
    host.says = b'sockets:HALF 0 0 0\nnft:{"nftables": []}\n'
    probe.read(T0)
    assert probe.missing == {"lb/nft": "no counters in table inet x"}
    probe.close()


# -- for real --------------------------------------------------------------------------------------------------------


@contextmanager
def listener(backlog: int = 16) -> Iterator[socket.socket]:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen(backlog)
        yield door


def local(port: int) -> dict[str, float]:
    with VipProbe([VipTarget("lb", "127.0.0.1", port, host=LocalHost())], lambda *_: b"", SystemClock(), 20.0) as probe:
        seen: dict[str, float] = {}
        # The kernel counts time in ticks: two readings in a row may lie within one.
        assert wait_for(lambda: seen.update(of(probe.read(T0), "lb")) or "cpu_ratio" in seen)
        assert probe.missing == {}
    return seen


def test_this_machine_tells_who_listens_and_what_it_counts():
    with listener() as door:
        port = door.getsockname()[1]
        seen = local(port)
    assert seen["listening"] == 1
    assert seen["answers"] == 1
    assert {"resets_sent", "accept_overflows", "syn_received", "syn_ack_retransmits", "cpu_ratio"} <= set(seen)
    assert 0 <= seen["cpu_ratio"] <= 1
    assert local(port)["listening"] == 0, "nobody listens there any more"


def test_over_ssh_one_command_brings_all_of_it_and_who_is_not_there_does_not_answer(tmp_path: Path):
    with asyncssh_server(tmp_path) as address, listener() as door:
        port = door.getsockname()[1]
        with (
            SshHost(address) as host,
            VipProbe([VipTarget("lb", "127.0.0.1", port, host=host)], lambda *_: b"", SystemClock(), 20.0) as probe,
        ):
            seen = of(probe.read(T0), "lb")
            assert probe.missing == {}
    assert (seen["answers"], seen["listening"]) == (1, 1)
    assert "syn_received" in seen
    with (
        SshHost(address) as host,
        VipProbe([VipTarget("lb", "127.0.0.1", port, host=host)], lambda *_: b"", SystemClock(), 20.0) as probe,
    ):
        assert of(probe.read(T0), "lb") == {"answers": 0}
        assert "cannot reach it" in probe.missing["lb/counters"]


def test_an_accept_queue_that_is_full_is_counted():
    with listener(backlog=0) as door:
        lines = [read_counters(LocalHost(), CounterQuestion(door.getsockname()[1]), 20.0)]
        callers = [socket.socket() for _ in range(8)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(door.getsockname())
        SystemClock().wait(0.3)
        lines.append(read_counters(LocalHost(), CounterQuestion(door.getsockname()[1]), 20.0))
        for caller in callers:
            caller.close()
    before, after = (KernelCounts.of(one).accept_overflows for one in lines)
    assert before is not None
    assert after is not None
    assert after > before


SS = """\
LISTEN   0      128          0.0.0.0:443        0.0.0.0:*
LISTEN   0      128          0.0.0.0:443        0.0.0.0:*
LISTEN   0      128             [::]:443           [::]:*
LISTEN   0      128          0.0.0.0:8404       0.0.0.0:*
SYN-RECV 0      0      198.51.100.10:443   192.0.2.7:51590 timer:(on,1.156ms,3)
SYN-RECV 0      0      198.51.100.10:443   192.0.2.7:51591 timer:(on,308ms,0)
SYN-RECV 0      0      198.51.100.10:8404  192.0.2.7:51592 timer:(on,308ms,1)
SYN-SENT 0      1      10.0.0.1:40000      10.0.0.9:8333   timer:(on,156ms,2)
SYN-SENT 0      1      10.0.0.1:40001      10.0.0.9:8333   timer:(on,156ms,0)
"""
PROC = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4260120 5 0 100 0 0 10 0
   1: 0A6433C6:01BB 070200C0:C986 03 00000000:00000000 01:00000073 00000001     0        0 0 0 0
   2: 0A6433C6:01BB 070200C0:C987 03 00000000:00000000 01:00000073 00000000     0        0 0 0 0
   3: 0A6433C6:20D4 070200C0:C988 03 00000000:00000000 01:00000073 00000002     0        0 0 0 0
   4: 0100000A:9C40 0900000A:208D 02 00000001:00000000 01:0000000E 00000002     0        0 4259230 2 0 100 0 0 1 -1
   5: 0A6433C6:01BB 070200C0:C989 01 00000000:00000000 00:00000000 00000000     0        0 4259231 2 0 100 0 0 1 -1
"""


@pytest.mark.parametrize(
    ("program", "text", "variable", "listeners"),
    [
        (_AWK_SS, SS, "port=443", ["sockets:LISTEN 0.0.0.0:443", "sockets:LISTEN [::]:443"]),
        (_AWK_PROC, PROC, "hex=01BB", ["sockets:LISTEN 00000000:01BB"]),
    ],
)
def test_half_open_connections_are_counted_where_they_are(tmp_path: Path, program, text, variable, listeners):
    (tmp_path / "in").write_text(text)
    done = LocalHost().run(("awk", "-v", variable, program, str(tmp_path / "in")), 20.0)
    assert done.stdout.decode().splitlines() == [*listeners, "sockets:HALF 2 2 1"]


def test_a_page_over_http_and_a_machine_together():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page(idle=75))

        def log_message(self, *_: object) -> None:
            pass

    from maul.s3.fetch import fetch  # noqa: PLC0415

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        port = server.server_address[1]
        target = VipTarget(
            "lb", "127.0.0.1", port, MetricsTarget("lb", "balancer", f"http://127.0.0.1:{port}/"), LocalHost()
        )
        probe = VipProbe([target], fetch, SystemClock(), 20.0)
        seen = of(probe.read(T0), "lb")
        server.shutdown()
        thread.join(5)
    assert (seen["idle_ratio"], seen["process_answers"], seen["listening"]) == (0.75, 1, 1)
    probe.close()
