"""Fetching from many services within one budget: one that hangs costs its own reading, not everybody's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from maul.core.clock import Clock
from maul.core.errors import MaulError
from maul.probes.contract import Fetch, MetricsTarget

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
            except MaulError as error:
                failed.append(target)
                yield Page(target, now_ns, b"", error.what)
            except OSError as error:
                failed.append(target)
                yield Page(target, now_ns, b"", error.strerror or str(error))
            else:
                good.append(target)
                yield Page(target, now_ns + spent_ns, body)
        self._order = good + not_asked + failed
