"""Fetching from many services within one budget: one that hangs costs its own reading, not everybody's."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from maul.core.clock import Clock
from maul.core.errors import MaulError
from maul.core.sample import Sample
from maul.probes.contract import Fetch, MetricsTarget, refuse_all_missing, why_not
from maul.probes.rates import Rates

FETCH_TIMEOUT_S = 0.5
BUDGET_S = 1.5


@dataclass(frozen=True, slots=True)
class Page:
    """What one target answered at `at_ns`; `trouble` says why not."""

    target: MetricsTarget
    at_ns: int
    body: bytes
    trouble: str = ""


class Scraper:
    """Fetches from each target in turn; those that gave nothing last time come last, in changing order.

    So a handful of services that hang blind the others for one reading at most, and one that is back is noticed.
    """

    def __init__(self, targets: Sequence[MetricsTarget], fetch: Fetch, clock: Clock) -> None:
        """Nothing is fetched yet."""
        self._order = list(targets)
        self._fetch = fetch
        self._clock = clock

    def pages(self, now_ns: int) -> Iterator[Page]:
        """A page for every target. `at_ns` is `now_ns` plus the time spent until the target's turn."""
        began_ns = self._clock.now_ns()
        good: list[MetricsTarget] = []
        not_asked: list[MetricsTarget] = []
        failed: list[MetricsTarget] = []
        for target in tuple(self._order):
            spent_ns = self._clock.now_ns() - began_ns
            left_s = BUDGET_S - spent_ns / 1e9
            if left_s <= 0:
                not_asked.append(target)
                yield Page(target, now_ns, b"", "others took all the time there is")
                continue
            try:
                body = self._fetch(target.url, min(FETCH_TIMEOUT_S, left_s))
            except (MaulError, OSError) as error:
                failed.append(target)
                yield Page(target, now_ns, b"", why_not(error))
            else:
                good.append(target)
                yield Page(target, now_ns + spent_ns, body)
        self._order = good + not_asked + failed


class PagesProbe(ABC):
    """Samples from a page of each target. One that does not answer, or that nobody understands, is a gap."""

    def __init__(self, targets: Sequence[MetricsTarget], fetch: Fetch, clock: Clock) -> None:
        """Watch these; a target's URL is that of its metrics page (Prometheus; HAProxy's may be its CSV, `…;csv`)."""
        self._scraper = Scraper(targets, fetch, clock)
        self._count = len(targets)
        self._rates = Rates()
        self._missing: dict[str, str] = {}

    @property
    def missing(self) -> Mapping[str, str]:
        """Targets without a page that could be understood."""
        return self._missing

    def read(self, now_ns: int) -> list[Sample]:
        """One reading of every target. Raises ProbeError when none answers."""
        self._missing = {}
        samples: list[Sample] = []
        for page in self._scraper.pages(now_ns):
            trouble = page.trouble
            if not trouble:
                try:
                    samples += self._page(page.target, page.at_ns, page.body.decode("utf-8", "replace"))
                except ValueError as error:
                    trouble = str(error)
            if trouble:
                self._missing[page.target.subject] = trouble
        refuse_all_missing(self._missing, self._count)
        return samples

    @abstractmethod
    def _page(self, target: MetricsTarget, at_ns: int, text: str) -> list[Sample]:
        """What the page tells, as it was at `at_ns`. ValueError when it is not understood."""
