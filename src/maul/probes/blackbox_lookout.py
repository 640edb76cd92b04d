"""A lookout that somebody else already has: a blackbox exporter's probes, as a Prometheus scraped them."""

import time
from collections.abc import Sequence

from maul.core.clock import Clock
from maul.core.errors import MaulError
from maul.core.vantage import Attempt, Notice, Question, Reach
from maul.probes.canary import DURATION, RANGE_S, SUCCESS
from maul.probes.contract import Fetch
from maul.probes.errand import Errand
from maul.probes.prometheus import Range, ask
from maul.s3.doorstep import reach_of
from maul.site.model_vantage import Lookout

STATUS = "probe_http_status_code"


class BlackboxLookout:
    """Satisfies `Lookout`: one attempt for each scrape since it began. It cannot be asked, and never asks the target.

    A probe that failed with an HTTP status was answered; one that failed without is told as TIMEOUT, as the exporter
    does not say more. `missing` says why nothing comes.
    """

    def __init__(self, routine: Question, wanted: Lookout, fetch: Fetch, clock: Clock) -> None:
        """`wanted`: as the site tells it, with `prometheus` and `selector`."""
        url, selector = wanted.prometheus or "", wanted.selector or ""
        query = f"{{__name__=~`{SUCCESS}|{STATUS}|{DURATION}`,{selector}}}"
        self._routine, self._every_s, self._began_ns = routine, wanted.every_s, clock.now_ns()
        self._errand: Errand[list[Range]] = Errand(lambda: ask(fetch, url, query, RANGE_S), f"lookout-{routine.who}")
        self._selector, self._told_ns = selector, dict[str, int]()
        self._begun_s = float("-inf")
        self._reading = False
        self.missing = ""

    def take(self) -> Sequence[Attempt | Notice]:
        """See `Lookout`."""
        found = self._read() if self._reading else []
        if not self._reading and time.monotonic() - self._begun_s >= self._every_s:
            self._begun_s, self._reading = time.monotonic(), self._errand.begin()
        return found

    def ask(self, question: Question) -> bool:
        """Never: the exporter asks when it wants to."""
        del question
        return False

    def quiet(self, wanted: bool) -> None:
        """Nothing here opens a connection to the target."""

    def close(self) -> None:
        """See `Lookout`."""
        self._errand.close()

    def _read(self) -> list[Attempt]:
        try:
            series = self._errand.end(0.0)
        except TimeoutError:
            return []
        except (MaulError, OSError, ValueError) as error:
            self.missing, self._reading = error.what if isinstance(error, MaulError) else str(error), False
            return []
        self._reading = False
        there = any(one.name == SUCCESS for one in series)
        self.missing = "" if there else f"Prometheus has no recent {SUCCESS} with {self._selector}"
        return sorted(self._fresh(series), key=lambda one: one.at_ns)

    def _fresh(self, series: Sequence[Range]) -> list[Attempt]:
        seen = {(one.name, one.key, at_ns): value for one in series for at_ns, value in one.points}
        found = []
        for one in series:
            if one.name != SUCCESS:
                continue
            told_ns = self._told_ns.get(one.key, self._began_ns)
            for at_ns, success in one.points:
                if at_ns > told_ns:
                    status = int(seen.get((STATUS, one.key, at_ns), 0))
                    found.append(self._attempt(at_ns, bool(success), status, seen.get((DURATION, one.key, at_ns))))
            self._told_ns[one.key] = max(told_ns, one.points[-1][0])
        return found

    def _attempt(self, at_ns: int, success: bool, status: int, seconds: float | None) -> Attempt:
        if success or status:
            reach, says = Reach(reach_of(status)), f"HTTP {status}" if status else "the exporter reached it"
        else:
            reach, says = Reach.TIMEOUT, "the exporter did not reach it"
        answer_ms = seconds * 1e3 if seconds is not None and reach is not Reach.TIMEOUT else None
        return Attempt(at_ns, self._routine, reach, status, answer_ms=answer_ms, says=says)
