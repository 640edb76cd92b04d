"""Where the network itself says that it drops, limits or diverts somebody: webhooks, syslog, Prometheus."""

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from maul.core.clock import Clock
from maul.core.closing import Closes
from maul.core.errors import MaulError, TargetError
from maul.core.vantage import Notice, Question
from maul.hosts.feed_listener import Ear, FeedListener
from maul.probes.contract import Fetch, why_not
from maul.probes.notices import DROP, OTHER, RELEASE, action_of, of_syslog, of_webhook, prefix_of
from maul.site.model_vantage import Feed

KEPT_PER_S = 100
READ_PER_S = 1000
"""Messages; others log to the same place."""
KEPT_MAX = 1000
EVERY_S = 1.0
FETCH_TIMEOUT_S = 1.5
SERIES_MAX = 1000
_WHOM = ("prefix", "address")


class Feeds(Closes):
    """Satisfies `core.vantage.Lookout`: notices come by `take`; there is nothing to ask.

    At most `KEPT_PER_S` notices per second are kept, and `KEPT_MAX` between two calls of `take`; what is beyond that is
    counted and told by one notice more.

    >>> with Feeds(site.vantage.feeds, fetch, clock) as feeds:  # doctest: +SKIP
    ...     feeds.take()
    """

    def __init__(self, feeds: Sequence[Feed], fetch: Fetch, clock: Clock) -> None:
        """Listen, and begin to ask. MachineError (exit 7) for an address that cannot be had."""
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: deque[Notice] = deque()
        self._left_out = 0
        self._second, self._read_in_second, self._kept_in_second = 0, 0, 0
        ears = [self._ear(feed.name, feed.listen, feed.kind) for feed in feeds if feed.listen is not None]
        self._listener = FeedListener(ears) if ears else None
        self._stop = threading.Event()
        self._askers = [
            threading.Thread(target=self._ask_on, args=(_Asker(feed, fetch),), name=f"feed {feed.name}", daemon=True)
            for feed in feeds
            if feed.kind == "prometheus"
        ]
        for asker in self._askers:
            asker.start()

    @property
    def ports(self) -> Mapping[str, int]:
        """Of each feed that is listened for, the port."""
        return self._listener.ports if self._listener is not None else {}

    def take(self) -> Sequence[Notice]:
        """What was said since the last call; never waits, never raises."""
        with self._lock:
            taken, left_out = list(self._kept), self._left_out
            self._kept.clear()
            self._left_out = 0
        if left_out:
            says = f"{left_out} more notices came than are kept"
            taken.append(Notice(self._clock.now_ns(), "feeds", "", OTHER, says))
        return taken

    def ask(self, question: Question) -> bool:
        """A feed speaks by itself: False."""
        del question
        return False

    def quiet(self, wanted: bool) -> None:
        """Nothing of it ever goes to the target."""
        del wanted

    def close(self) -> None:
        """Listen and ask no more."""
        self._stop.set()
        if self._listener is not None:
            self._listener.close()
        for asker in self._askers:
            asker.join(FETCH_TIMEOUT_S)

    def _ear(self, name: str, listen: str, kind: str) -> Ear:
        read: Callable[[str, bytes, int], list[Notice]] = of_syslog if kind == "syslog" else of_webhook

        def hear(message: bytes) -> bool:
            now_ns = self._clock.now_ns()
            # Before it is read: a flood must cost next to nothing.
            return self._may_read(now_ns) and self._keep(read(name, message, now_ns))

        return Ear(name, listen, hear, datagrams=kind == "syslog")

    def _may_read(self, now_ns: int) -> bool:
        with self._lock:
            if now_ns // 10**9 != self._second:
                self._second, self._read_in_second, self._kept_in_second = now_ns // 10**9, 0, 0
            room = self._read_in_second < READ_PER_S and self._kept_in_second < KEPT_PER_S
            self._read_in_second += 1
            self._left_out += not room
            return room

    def _keep(self, notices: Sequence[Notice]) -> bool:
        with self._lock:
            room = max(0, min(KEPT_PER_S - self._kept_in_second, KEPT_MAX - len(self._kept)))
            self._kept += notices[:room]
            self._kept_in_second += min(room, len(notices))
            self._left_out += max(0, len(notices) - room)
        return len(notices) <= room

    def _ask_on(self, asker: "_Asker") -> None:
        while not self._stop.is_set():
            now_ns = self._clock.now_ns()
            notices = asker.ask(now_ns)
            if notices and self._may_read(now_ns):
                self._keep(notices)
            self._clock.wait(EVERY_S, self._stop)


class _Asker:
    """One query: a series that is there drops somebody, one that is gone lets him go."""

    def __init__(self, feed: Feed, fetch: Fetch) -> None:
        assert feed.url is not None
        assert feed.query is not None
        self._name, self._fetch = feed.name, fetch
        self._url = f"{feed.url.rstrip('/')}/api/v1/query?query={quote(feed.query, safe='')}"
        self._there: dict[str, Notice] = {}
        self._blind = False

    def ask(self, now_ns: int) -> list[Notice]:
        """What changed since the last time. Raises nothing: that it cannot be asked is told once."""
        try:
            found = _series(self._fetch(self._url, FETCH_TIMEOUT_S), self._url)
        except (MaulError, OSError) as error:
            was_blind, self._blind = self._blind, True
            says = f"it cannot be asked: {why_not(error)}"
            return [] if was_blind else [Notice(now_ns, self._name, "", OTHER, says)]
        self._blind = False
        told = {says: self._notice(now_ns, labels, says) for says, labels in found.items()}
        new = [notice for says, notice in told.items() if says not in self._there]
        gone = [
            Notice(now_ns, self._name, notice.prefix, RELEASE, says)
            for says, notice in self._there.items()
            if says not in told
        ]
        self._there = told
        return gone + new

    def _notice(self, now_ns: int, labels: Mapping[str, str], says: str) -> Notice:
        prefix = next((found for name in _WHOM if (found := prefix_of(labels.get(name, "")))), "")
        action = action_of(labels.get("action", "")) or DROP
        return Notice(now_ns, self._name, prefix, DROP if action == RELEASE else action, says)


def _series(body: bytes, url: str) -> dict[str, dict[str, str]]:
    """Labels of every series whose value is not 0, by themselves in one text. TargetError for another answer."""
    try:
        answer = json.loads(body)
        if answer["status"] != "success" or answer["data"]["resultType"] != "vector":
            raise ValueError(str(answer.get("error", "it gave no vector")))
        found = {}
        for result in answer["data"]["result"][:SERIES_MAX]:
            if float(result["value"][1]) != 0:
                labels = {str(name): str(value) for name, value in result["metric"].items()}
                found[" ".join(f"{name}={labels[name]}" for name in sorted(labels))[:300]] = labels
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        what = f"the answer is not one of Prometheus's API ({type(error).__name__}: {error})"
        raise TargetError(what, url, "look at url and query of this feed in the site") from None
    return found
