"""The balancer's own view of the gateways behind it."""

from collections.abc import Mapping, Sequence

from maul.core.clock import Clock
from maul.core.sample import Sample
from maul.probes.contract import Fetch, MetricsTarget, ProbeError
from maul.probes.haproxy import Row, rows
from maul.probes.rates import Rates
from maul.probes.targets import Scraper


class BalancerProbe:
    """`sessions`, `queue`, `requests_per_s`, `http_5xx_per_s` and `up` (1 or 0) of each `backend/server`.

    The sums that HAProxy makes itself are `backend/BACKEND` and `frontend/FRONTEND`. A number that HAProxy does not
    keep for a row (a frontend has no queue) has no sample.
    """

    name = "balancer"

    def __init__(self, targets: Sequence[MetricsTarget], fetch: Fetch, clock: Clock) -> None:
        """Watch these balancers; a target's URL is that of HAProxy's Prometheus page, or of its CSV (`…;csv`)."""
        self._scraper = Scraper(targets, fetch, clock)
        self._count = len(targets)
        self._rates = Rates()
        self._missing: dict[str, str] = {}

    @property
    def missing(self) -> Mapping[str, str]:
        """Balancers that did not answer."""
        return self._missing

    def read(self, now_ns: int) -> list[Sample]:
        """One reading of every balancer. Raises ProbeError when none answers."""
        self._missing = {}
        samples: list[Sample] = []
        for page in self._scraper.pages(now_ns):
            subject = page.target.subject
            trouble = page.trouble
            if not trouble:
                try:
                    samples += self._page(page.target, page.at_ns, page.body)
                except ValueError as error:
                    trouble = str(error)
            if trouble:
                self._missing[subject] = trouble
        if self._count and len(self._missing) == self._count:
            raise ProbeError("; ".join(f"{subject}: {why}" for subject, why in self._missing.items()))
        return samples

    def _page(self, target: MetricsTarget, at_ns: int, body: bytes) -> list[Sample]:
        samples: list[Sample] = []
        for subject, row in rows(body.decode("utf-8", "replace")).items():
            values = self._values((target.subject, subject), at_ns, row)
            samples += [Sample(at_ns, self.name, m, subject, v, target.host) for m, v in values.items()]
        return samples

    def _values(self, key: tuple[str, str], at_ns: int, row: Row) -> dict[str, float]:
        values = dict(row.gauges)
        if row.up is not None:
            values["up"] = float(row.up)
        counters = {"requests_per_s": row.requests_total, "http_5xx_per_s": row.http_5xx_total}
        for metric, total in counters.items():
            rate = None if total is None else self._rates.per_second((key, metric), at_ns, total)
            if rate is not None:
                values[metric] = rate
        return values
