"""The probes that fetch: on pages of real services, on no pages, and on pages of something else."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine import T0, S, of

from maul.core.clock import FakeClock
from maul.core.errors import TargetError
from maul.probes.balancer import BalancerProbe
from maul.probes.contract import MetricsTarget, ProbeError
from maul.probes.exposition import parse
from maul.probes.haproxy import rows
from maul.probes.store import ROLES, StoreProbe
from maul.probes.targets import BUDGET_S, FETCH_TIMEOUT_S
from maul.probes.wiring import Watch, remote_probes

DATA = Path(__file__).parent / "data"


class Web:
    """Pages by URL; an exception is raised; `slow` URLs take as long as they are allowed to, and give nothing."""

    def __init__(self) -> None:
        self.clock = FakeClock(T0)
        self.pages: dict[str, bytes | Exception] = {}
        self.slow: set[str] = set()
        self.asked: list[tuple[str, float]] = []

    def fetch(self, url: str, timeout_s: float) -> bytes:
        self.asked.append((url, timeout_s))
        if url in self.slow:
            self.clock.wait(timeout_s)
            raise TargetError("no whole answer", url)
        page = self.pages.get(url, ConnectionRefusedError(111, "Connection refused"))
        if isinstance(page, Exception):
            raise page
        return page


@pytest.fixture
def web() -> Web:
    return Web()


# exposition


def test_the_text_format() -> None:
    text = (
        "# HELP a what\n# TYPE a counter\n\n"
        'a{x="1",y="q\\"uo\\\\te\\n}"} 1.5e3\n'
        "a 7 1700000000000\n"
        "a{} 3\n"
        "ab 9\n"
        'a{z="NaN"} NaN\n'
        'a{z="Inf"} +Inf\n'
    )
    series = list(parse(text, {"a"}))
    assert [(s.labels, s.value) for s in series] == [
        ({"x": "1", "y": 'q"uo\\te\n}'}, 1500.0),
        ({}, 7.0),
        ({}, 3.0),
    ]


@pytest.mark.parametrize("line", ['a{x="1" 5', "a", "a five", "a{x=1} 2 3 4"])
def test_a_wanted_line_that_is_broken_is_an_error(line: str) -> None:
    with pytest.raises(ValueError):
        if not list(parse(line, {"a"})):
            raise ValueError("left out")


@given(st.text(max_size=200))
def test_nothing_but_a_value_error_whatever_comes(text: str) -> None:
    with contextlib.suppress(ValueError):
        list(parse("a" + text, {"a"}))


# store


def store(web: Web, role: str, count: int = 1) -> StoreProbe:
    targets = [MetricsTarget(f"{role}-{n}", role, f"http://{role}-{n}/metrics") for n in range(count)]
    return StoreProbe(targets, web.fetch, web.clock)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_real_pages_of_each_role(web: Web, role: str) -> None:
    web.pages[f"http://{role}-0/metrics"] = (DATA / f"{role}.txt").read_bytes()
    probe = store(web, role)
    first = of(probe.read(T0), f"{role}-0")
    second = of(probe.read(T0 + S), f"{role}-0")
    assert first["rss_bytes"] > 50e6
    assert first["goroutines"] > 10
    assert "cpu_ratio" not in first
    assert second["cpu_ratio"] == 0
    assert set(first) < set(second)


def page(**families: float) -> bytes:
    return "".join(f"{line} {value}\n" for line, value in families.items()).encode()


def test_rates_sums_and_means(web: Web) -> None:
    v, request = "SeaweedFS_volumeServer_", 'SeaweedFS_volumeServer_request_total{code="%s",type="%s"}'
    seconds = v + 'request_seconds_%s{type="GET"}'
    probe = store(web, "volume")
    url = "http://volume-0/metrics"
    web.pages[url] = page(**{
        "process_open_fds": 50,
        request % (200, "GET"): 100,
        request % (200, "writeToLocalDisk"): 100,
        v + 'volumes{collection="a"}': 3,
        v + 'volumes{collection="b"}': 4,
        v + 'resource{name="v",type="avail"}': 1e9,
        v + 'resource{name="v",type="used"}': 2e9,
        seconds % "sum": 1.0,
        seconds % "count": 100,
    })  # fmt: skip
    probe.read(T0)
    web.pages[url] = page(**{
        "process_open_fds": 50,
        request % (200, "GET"): 110,
        request % (500, "GET"): 4,
        request % (200, "writeToLocalDisk"): 999,
        v + 'volumes{collection="a"}': 3,
        v + 'handler_total{type="errorCRC"}': 6,
        v + 'handler_total{type="errorGetInternal"}': 60,
        seconds % "sum": 1.2,
        seconds % "count": 110,
    })  # fmt: skip
    seen = of(probe.read(T0 + 2 * S), "volume-0")
    assert seen["requests_per_s"] == 7
    assert seen["http_5xx_per_s"] == 2
    assert seen["checksum_errors_per_s"] == 3, "a counter that appears stood at 0 before"
    assert seen["read_ms"] == pytest.approx(20)
    assert "write_ms" not in seen, "no request, no mean"
    assert seen["volumes"] == 3
    assert "disk_available_bytes" not in seen


def test_a_restarted_service_has_no_rate_once(web: Web) -> None:
    probe = store(web, "gateway")
    rates = []
    for second, count in enumerate([100, 200, 10, 30]):
        web.pages["http://gateway-0/metrics"] = page(
            process_open_fds=1, **{'SeaweedFS_s3_request_total{code="200"}': count}
        )
        rates.append(of(probe.read(T0 + second * S), "gateway-0").get("requests_per_s"))
    assert rates == [None, 100, None, 20]


def test_one_silent_service_is_a_gap_of_its_own(web: Web) -> None:
    probe = store(web, "master", 3)
    web.pages |= {f"http://master-{n}/metrics": (DATA / "master.txt").read_bytes() for n in (0, 2)}
    assert {s.subject for s in probe.read(T0)} == {"master-0", "master-2"}
    assert probe.missing == {"master-1": "Connection refused"}
    web.pages["http://master-1/metrics"] = web.pages["http://master-0/metrics"]
    probe.read(T0 + S)
    assert probe.missing == {}


def test_no_service_at_all(web: Web) -> None:
    with pytest.raises(ProbeError, match="master-1: Connection refused"):
        store(web, "master", 2).read(T0)


@pytest.mark.parametrize("body", [b"", b"<html>", b"other_metric 5\n", b"go_goroutines many\n", b"\xff\xfe"])
def test_pages_of_something_else_do_not_read_as_a_store_at_rest(web: Web, body: bytes) -> None:
    web.pages["http://master-0/metrics"] = body
    with pytest.raises(ProbeError):
        store(web, "master").read(T0)


def test_services_that_hang_cost_no_more_than_the_budget(web: Web) -> None:
    probe = store(web, "volume", 13)
    web.pages |= {f"http://volume-{n}/metrics": (DATA / "volume.txt").read_bytes() for n in range(13)}
    web.slow = {f"http://volume-{n}/metrics" for n in range(5)}
    with pytest.raises(ProbeError):
        probe.read(T0)  # all that hang come first, once
    assert (web.clock.now_ns() - T0) / S == pytest.approx(BUDGET_S)
    for turn in range(1, 6):
        web.asked.clear()
        began_ns = web.clock.now_ns()
        assert {s.subject for s in probe.read(T0 + turn * 5 * S)} == {f"volume-{n}" for n in range(5, 13)}
        assert set(probe.missing) == {f"volume-{n}" for n in range(5)}
        assert (web.clock.now_ns() - began_ns) / S == pytest.approx(BUDGET_S)
        assert all(timeout_s <= FETCH_TIMEOUT_S for _, timeout_s in web.asked)
    web.slow = set()
    heard = [s.subject for turn in range(2) for s in probe.read(T0 + (40 + turn) * S)]
    assert set(heard) == {f"volume-{n}" for n in range(13)}


def test_samples_carry_the_moment_of_their_own_fetch(web: Web) -> None:
    probe = store(web, "volume", 2)
    web.pages["http://volume-1/metrics"] = (DATA / "volume.txt").read_bytes()
    web.slow = {"http://volume-0/metrics"}
    assert {s.at_ns for s in probe.read(T0 + S)} == {T0 + S + round(FETCH_TIMEOUT_S * S)}


# balancer


def balancer(web: Web) -> BalancerProbe:
    return BalancerProbe([MetricsTarget("haproxy", "balancer", "http://lb/;csv", "lb1")], web.fetch, web.clock)


@pytest.mark.parametrize("page", ["haproxy.csv", "haproxy.prom"])
def test_a_real_page_of_haproxy(web: Web, page: str) -> None:
    web.pages["http://lb/;csv"] = (DATA / page).read_bytes()
    probe = balancer(web)
    assert of(probe.read(T0), "gws/gateway-1") == {"up": 1, "sessions": 0, "queue": 0}
    samples = probe.read(T0 + S)
    assert {s.host for s in samples} == {"lb1"}
    assert {s.subject for s in samples} == {
        "gws/gateway-1", "gws/gateway-2", "gws/BACKEND", "s3/FRONTEND", "stats/FRONTEND",
    }  # fmt: skip
    assert of(samples, "gws/gateway-1") == {
        "up": 1, "sessions": 0, "queue": 0, "requests_per_s": 0, "http_5xx_per_s": 0,
    }  # fmt: skip
    assert of(samples, "gws/gateway-2")["up"] == 0
    assert "queue" not in of(samples, "s3/FRONTEND")
    assert of(samples, "s3/FRONTEND")["up"] == 1


def test_both_pages_of_haproxy_count_alike() -> None:
    totals = []
    for page in ("haproxy.csv", "haproxy.prom"):
        row = rows((DATA / page).read_text(encoding="utf-8"))["gws/gateway-1"]
        totals.append((row.requests_total, row.http_5xx_total))
    assert totals == [(3, 0), (3, 0)]


def haproxy(status: str, total: int = 0, errors: int = 0) -> bytes:
    head = "# pxname,svname,qcur,scur,stot,status,hrsp_5xx,req_tot,\n"
    return f"{head}gws,gw1,2,3,{total},{status},{errors},,\n".encode()


UP = ("UP", "UP 1/3", "no check", "OPEN")
DOWN = ("DOWN", "DOWN 1/2", "MAINT", "DRAIN", "NOLB", "")


@pytest.mark.parametrize(("status", "up"), [*((s, 1) for s in UP), *((s, 0) for s in DOWN)])
def test_up_and_down(web: Web, status: str, up: int) -> None:
    web.pages["http://lb/;csv"] = haproxy(status)
    assert of(balancer(web).read(T0), "gws/gw1") == {"up": up, "queue": 2, "sessions": 3}


def test_rates_of_a_server(web: Web) -> None:
    probe = balancer(web)
    web.pages["http://lb/;csv"] = haproxy("UP", 100, 1)
    probe.read(T0)
    web.pages["http://lb/;csv"] = haproxy("UP", 140, 3)
    seen = of(probe.read(T0 + 2 * S), "gws/gw1")
    assert (seen["requests_per_s"], seen["http_5xx_per_s"]) == (20, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"# pxname,svname\na,b\n",
        b"# pxname,svname,qcur,scur,stot,status,hrsp_5xx,req_tot,\na,b,x,x,x,UP,x,x,\n",
    ],
)
def test_what_is_not_haproxys_csv(web: Web, body: bytes) -> None:
    web.pages["http://lb/;csv"] = body
    with pytest.raises(ProbeError, match="haproxy: "):
        balancer(web).read(T0)


def test_roles_go_to_their_probes(web: Web) -> None:
    watch = Watch(metrics=[MetricsTarget("lb", "balancer", "http://lb/;csv"), MetricsTarget("m", "master", "http://m")])
    assert [probe.name for probe in remote_probes(watch, web.fetch, web.clock)] == ["balancer", "store"]
    assert remote_probes(Watch(), web.fetch, web.clock) == []
    store_only = Watch(metrics=watch.metrics[1:])
    assert [probe.name for probe in remote_probes(store_only, web.fetch, web.clock)] == ["store"]
