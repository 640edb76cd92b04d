"""HAProxy's two ways of telling how its servers are: Prometheus text, and the statistics page as CSV."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field

from maul.probes.exposition import parse

_GAUGES = {"current_sessions": "sessions", "current_queue": "queue"}
_COUNTERS = ("http_requests_total", "sessions_total")
_ERRORS = "http_responses_total"
_INTERCEPTED = "intercepted_requests_total"
_STATUS = "status"
_IDLE = "haproxy_process_idle_time_percent"
_SUMS = {"frontend": "FRONTEND", "backend": "BACKEND"}
_FAMILIES = {
    f"haproxy_{level}_{family}": (level, family)
    for level in ("server", *_SUMS)
    for family in (*_GAUGES, *_COUNTERS, _ERRORS, _INTERCEPTED, _STATUS)
}
_CSV_HEAD = "# pxname,"


@dataclass(slots=True)
class Row:
    """One server (`backend/server`), or a sum that HAProxy makes itself. What it does not keep is None or missing."""

    up: bool | None = None
    gauges: dict[str, float] = field(default_factory=dict)
    requests_total: float | None = None
    http_5xx_total: float | None = None
    sessions_total: float | None = None
    intercepted_total: float | None = None  # requests that HAProxy answers by itself: its own pages

    @property
    def is_management(self) -> bool:
        """A frontend of nothing but HAProxy's own pages: who reads them is no customer."""
        return bool(self.requests_total) and self.intercepted_total == self.requests_total


def idle_ratio(text: str) -> float | None:
    """How much of the last second HAProxy's process had nothing to do, from 0 to 1; None: a page that does not tell."""
    return next((series.value / 100 for series in parse(text, (_IDLE,))), None)


def rows(text: str) -> dict[str, Row]:
    """By subject, from either format. Raises ValueError for a page of anything else."""
    found = _of_csv(text) if text.startswith(_CSV_HEAD) else _of_exposition(text)
    if not found:
        raise ValueError(f"neither HAProxy's metrics nor its CSV: it begins with {text[:40]!r}")
    return found


def _of_exposition(text: str) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for series in parse(text, _FAMILIES):
        level, family = _FAMILIES[series.name]
        labels = series.labels
        subject = f"{labels.get('proxy', '')}/{_SUMS.get(level) or labels.get('server', '')}"
        row = found.setdefault(subject, Row())
        if family in _GAUGES:
            row.gauges[_GAUGES[family]] = series.value
        elif family == _ERRORS and labels.get("code") == "5xx":
            row.http_5xx_total = series.value
        elif family == _INTERCEPTED:
            row.intercepted_total = series.value
        elif family == _STATUS and labels.get("state") == "UP":
            row.up = series.value == 1
        elif family == "http_requests_total":
            row.requests_total = series.value
        elif family == "sessions_total":
            row.sessions_total = series.value
    for row in found.values():
        if row.requests_total is None:  # a server in HTTP mode opens a session per request, and counts no requests
            row.requests_total = row.sessions_total
    return found


def _of_csv(text: str) -> dict[str, Row]:
    reader = csv.DictReader(io.StringIO(text[2:]))
    try:
        return dict(map(_of_line, reader))
    except (KeyError, TypeError) as error:
        raise ValueError(f"HAProxy's CSV without the column {error}") from None


def _of_line(line: dict[str, str]) -> tuple[str, Row]:
    def number(columns: Iterable[str]) -> float | None:
        return next((float(line[column]) for column in columns if line[column]), None)

    gauges = {"sessions": number(["scur"]), "queue": number(["qcur"])}
    row = Row(
        # `UP 1/3` is still up, `DOWN 1/2` not up yet; a drained or maintained server takes nobody new
        up=line["status"].startswith(("UP", "OPEN", "no check")),
        gauges={name: value for name, value in gauges.items() if value is not None},
        requests_total=number(["req_tot", "stot"]),
        http_5xx_total=number(["hrsp_5xx"]),
        sessions_total=number(["stot"]),
        intercepted_total=number(["intercepted"]) if "intercepted" in line else None,  # since HAProxy 1.8
    )
    return f"{line['pxname']}/{line['svname']}", row
