"""What each balancer makes of the loaded address: its process, by its page, and its machine, by its counters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from maul.core.clock import Clock
from maul.core.closing import Closes
from maul.core.errors import MaulError
from maul.core.sample import Sample
from maul.hosts.balancer_counters import CounterQuestion, read_counters
from maul.hosts.host import Host
from maul.probes.balancer_kernel import VIP_IN, VIP_OUT, VIP_SYN, KernelCounts
from maul.probes.contract import Fetch, MetricsTarget, why_not
from maul.probes.cpu import shares_of
from maul.probes.errand import Errand
from maul.probes.haproxy import Row, idle_ratio, rows
from maul.probes.rates import Rates

PROBE = "vip"
PAGE, COUNTERS = "page", "counters"
LIMIT_S = 0.9
"""A reading is over by then, whoever answers: the next one is due after a second."""
LATE_S, LATE_MAX = 0.1, 2
"""Who has not answered with so much of the limit left is late; so often in a row, and he does not answer."""
GAP_MAX_NS = 3_000_000_000
"""A rate is of one second, or of a reading that was missed; not of an outage."""


@dataclass(frozen=True, slots=True)
class VipTarget:
    """One balancer: `page` where its process tells of itself, `host` where its machine's counters are read.

    `address` and `port` are the loaded ones. `table`: family and name of the nftables table of named counters.
    """

    subject: str
    address: str
    port: int
    page: MetricsTarget | None = None
    host: Host | None = None
    table: str | None = None
    host_name: str = "local"


class VipProbe(Closes):
    """Metrics are the fields of `guard.mitigation.signals.BalancerSecond`; booleans are 1 or 0, rates per second.

    What cannot be read is left out. `answers` is 0, and nothing else comes, when neither page nor machine answers
    within `LIMIT_S`; `process_answers` is 0 when only the page does not. Late once says nothing: it may be this machine
    that had no time; late twice in a row is no answer. Every sample carries the time of the reading. One that hangs
    delays nobody: its errand goes on by itself, and it is asked again when that is over.
    """

    name = PROBE

    def __init__(self, targets: Sequence[VipTarget], fetch: Fetch, clock: Clock, limit_s: float = LIMIT_S) -> None:
        """Nothing is read yet. Close it: each balancer has threads of its own."""
        self._clock, self._limit_s = clock, limit_s
        self._watched = [_Watched(target, fetch, clock, limit_s) for target in targets]
        self._missing: dict[str, str] = {}

    @property
    def missing(self) -> Mapping[str, str]:
        """By `balancer/source` (page, counters, or a single source of these), why nothing was read."""
        return self._missing

    def read(self, now_ns: int) -> list[Sample]:
        """One reading of every balancer, side by side. Never raises."""
        until_ns = self._clock.now_ns() + round(self._limit_s * 1e9)
        for watched in self._watched:
            watched.begin()
        self._missing = {}
        samples: list[Sample] = []
        for watched in self._watched:
            values, missing = watched.end(lambda: (until_ns - self._clock.now_ns()) / 1e9)
            subject, host = watched.target.subject, watched.target.host_name
            samples += [Sample(now_ns, PROBE, metric, subject, value, host) for metric, value in values.items()]
            self._missing |= {f"{subject}/{source}": why for source, why in missing.items()}
        return samples

    def close(self) -> None:
        """Ask nobody any more."""
        for watched in self._watched:
            watched.close()


class _Watched:
    """One balancer, its two errands, and the counters of last time."""

    def __init__(self, target: VipTarget, fetch: Fetch, clock: Clock, limit_s: float) -> None:
        self.target = target
        self._rates = Rates(GAP_MAX_NS)
        self._ticks: Mapping[str, Sequence[int]] = {}
        self._late: dict[str, int] = {}
        page, host, name = target.page, target.host, target.subject
        self._page: Errand[tuple[int, str]] | None = None
        self._counters: Errand[tuple[int, KernelCounts]] | None = None
        if page is not None:

            def ask() -> tuple[int, str]:
                body = fetch(page.url, limit_s)
                return clock.now_ns(), body.decode("utf-8", "replace")

            self._page = Errand(ask, f"vip {name} page")
        if host is not None:
            question = CounterQuestion(target.port, target.table)

            def look() -> tuple[int, KernelCounts]:
                lines = read_counters(host, question, limit_s)
                return clock.now_ns(), KernelCounts.of(lines)

            self._counters = Errand(look, f"vip {name} counters")

    def begin(self) -> None:
        for errand in (self._page, self._counters):
            if errand is not None:
                errand.begin()

    def end(self, left_s: Callable[[], float]) -> tuple[dict[str, float], dict[str, str]]:
        """Values by metric, and what is missing."""
        values: dict[str, float] = {}
        missing: dict[str, str] = {}
        answered: dict[str, bool | None] = {}
        if self._page is not None:
            answered[PAGE] = self._attempt(PAGE, missing, left_s, lambda: values.update(self._of_page(left_s())))
        if self._counters is not None:
            answered[COUNTERS] = self._attempt(
                COUNTERS, missing, left_s, lambda: self._of_counters(left_s(), values, missing)
            )
        if True not in answered.values():
            return ({"answers": 0.0} if answered and None not in answered.values() else {}), missing
        values["answers"] = 1.0
        process = answered.get(PAGE)
        if process is not None:
            values["process_answers"] = float(process)
        return values, missing

    def _attempt(
        self, source: str, missing: dict[str, str], left_s: Callable[[], float], read: Callable[[], None]
    ) -> bool | None:
        """Whether it could be read; if not, why goes to `missing`. None: it is late, and that says nothing yet."""
        try:
            read()
        except (MaulError, OSError, ValueError) as error:  # TimeoutError is an OSError
            missing[source] = why_not(error)
            self._late[source] = self._late.get(source, 0) + 1 if left_s() < LATE_S else LATE_MAX
            return False if self._late[source] >= LATE_MAX else None
        self._late[source] = 0
        return True

    def close(self) -> None:
        for errand in (self._page, self._counters):
            if errand is not None:
                errand.close()

    def _of_page(self, left_s: float) -> dict[str, float]:
        assert self._page is not None
        at_ns, text = self._page.end(left_s)
        found = rows(text)
        servers = [row for name, row in found.items() if not name.endswith(("/FRONTEND", "/BACKEND"))]
        fronts = {name: row for name, row in found.items() if name.endswith("/FRONTEND") and not row.is_management}
        values = {
            "idle_ratio": idle_ratio(text),
            "sessions": self._sum(at_ns, fronts, lambda row: row.sessions_total),
            "server_errors": self._sum(at_ns, fronts, lambda row: row.http_5xx_total, "5xx"),
        }
        if servers:
            values |= {"backends_up": float(sum(row.up is True for row in servers)), "backends": float(len(servers))}
        return _known(values)

    def _sum(
        self, at_ns: int, fronts: Mapping[str, Row], total: Callable[[Row], float | None], key: str = "sessions"
    ) -> float | None:
        """Each frontend by itself: one that only now is seen to be for customers had no counts to speak of."""
        rates = [
            self._rates.per_second((key, name), at_ns, count)
            for name, row in fronts.items()
            if (count := total(row)) is not None
        ]
        known = [rate for rate in rates if rate is not None]
        return sum(known) if known else None

    def _of_counters(self, left_s: float, values: dict[str, float], missing: dict[str, str]) -> None:
        assert self._counters is not None
        at_ns, counts = self._counters.end(left_s)
        missing |= counts.trouble
        values |= _known(dict(self._kernel(at_ns, counts)))
        if self.target.table is not None and not counts.packets:
            missing.setdefault("nft", f"no counters in table {self.target.table}")

    def _kernel(self, at_ns: int, counts: KernelCounts) -> Iterator[tuple[str, float | None]]:
        def rate(key: str, total: float | None) -> float | None:
            return None if total is None else self._rates.per_second(key, at_ns, total)

        incoming, syns, outgoing = (counts.packets.get(name) for name in (VIP_IN, VIP_SYN, VIP_OUT))
        yield "vip_packets", rate("vip_packets", incoming[0] if incoming else None)
        yield "vip_bytes", rate("vip_bytes", incoming[1] if incoming else None)
        yield "vip_syns", rate("vip_syns", syns[0] if syns else None)
        yield "answer_packets", rate("answer_packets", outgoing[0] if outgoing else None)
        yield "resets_sent", rate("resets_sent", counts.resets_sent)
        yield "accept_overflows", rate("accept_overflows", counts.accept_overflows)
        yield "tracked_drops", rate("tracked_drops", counts.tracked_drops)
        if counts.tracked is not None and counts.tracked_max:
            yield "tracked_ratio", counts.tracked / counts.tracked_max
        again = rate("syn_retransmits", counts.syn_retransmits)
        if counts.sockets is not None:
            yield "listening", float(counts.sockets.listens(self.target.address))
            yield "syn_received", float(counts.sockets.received)
            yield "syn_ack_retransmits", None if again is None else again * counts.sockets.theirs_part
        yield "cpu_ratio", self._busiest(counts.ticks)

    def _busiest(self, ticks: Mapping[str, Sequence[int]]) -> float | None:
        last, self._ticks = self._ticks, ticks
        shares = [shares_of(last[core], now) for core, now in ticks.items() if core != "all" and core in last]
        return max((share["busy_ratio"] for share in shares if share), default=None)


def _known(values: Mapping[str, float | None]) -> dict[str, float]:
    return {metric: value for metric, value in values.items() if value is not None}
