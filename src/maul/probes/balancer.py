"""The balancer's own view of the gateways behind it."""

from maul.core.sample import Sample
from maul.probes.contract import MetricsTarget
from maul.probes.haproxy import Row, rows
from maul.probes.targets import PagesProbe


class BalancerProbe(PagesProbe):
    """`sessions`, `queue`, `requests_per_s`, `http_5xx_per_s` and `up` (1 or 0) of each `backend/server`.

    The sums that HAProxy makes itself are `backend/BACKEND` and `frontend/FRONTEND`. A number that HAProxy does not
    keep for a row (a frontend has no queue) has no sample.
    """

    name = "balancer"

    def _page(self, target: MetricsTarget, at_ns: int, text: str) -> list[Sample]:
        samples: list[Sample] = []
        for subject, row in rows(text).items():
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
