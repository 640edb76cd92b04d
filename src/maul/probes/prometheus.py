"""Prometheus's HTTP API: raw samples with the times at which they were scraped.

An instant query for a plain name answers with the time of the *query*, which hides how old the value is. Asked for a
range (`name{…}[60s]`), it answers with each sample's own time: so everything here asks for ranges.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from maul.core.errors import TargetError
from maul.probes.contract import Fetch

FETCH_TIMEOUT_S = 1.5


@dataclass(frozen=True, slots=True)
class Range:
    """One series: its name, its labels, and (Unix nanoseconds, value), the oldest first. Values are finite."""

    name: str
    labels: Mapping[str, str]
    points: tuple[tuple[int, float], ...]

    @property
    def key(self) -> str:
        """Its labels as one text: the same for what the same thing says under several names."""
        return ",".join(f"{name}={value}" for name, value in sorted(self.labels.items()))


def ask(fetch: Fetch, url: str, selector: str, seconds: float) -> list[Range]:
    """The samples of the last `seconds` of every series that `selector` (`name{label="x"}`) finds.

    `url` is Prometheus's own, a path prefix included. TargetError when it does not answer as Prometheus does.
    """
    query = f"{selector}[{max(1, math.ceil(seconds))}s]"
    body = fetch(f"{url.rstrip('/')}/api/v1/query?query={quote(query, safe='')}", FETCH_TIMEOUT_S)
    try:
        return list(_ranges(json.loads(body)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"the answer is not one of Prometheus's API ({type(error).__name__}: {error})"
        raise TargetError(what, url, "Look at network.counters.url in the site.") from None


def _ranges(answer: Mapping[str, object]) -> Iterator[Range]:
    if answer["status"] != "success":
        raise ValueError(f"{answer.get('errorType', 'error')}: {answer.get('error', '')}")
    data = answer["data"]
    if not isinstance(data, dict) or data["resultType"] != "matrix":
        raise ValueError("it gave no matrix")
    for result in data["result"]:
        labels = {str(name): str(value) for name, value in result["metric"].items()}
        points = [(round(float(at_s) * 1e3) * 10**6, float(value)) for at_s, value in result["values"]]
        points = [point for point in points if math.isfinite(point[1])]
        if points:
            yield Range(labels.pop("__name__", ""), labels, tuple(points))
