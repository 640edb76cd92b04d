"""The page of a run directory: one that is finished, or that another process is writing."""

import json
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from maul.conduct.mitigation_words import FROZEN, GIVEN_UP, RECOVERED, RESUMED, SUSPECTED, VERDICT
from maul.core.clock import Clock, SystemClock
from maul.core.errors import MaulError
from maul.core.event import Edge, EventKind
from maul.core.histogram import Histogram, LatencyKind
from maul.core.operation import Outcome
from maul.guard.mitigation.actions import Stance
from maul.record import RunReader
from maul.web.told import Moment, Told

FILES = ("report.html", "summary.json", "junit.xml", "campaign.yaml", "site.yaml", "plan.json")
"""What may be looked at of a run directory, where it is there; nothing else is."""
_MOMENTS_MAX = 600
_STEPS_MAX = 200
_KEPT_S = 1.0
_SUSPICION_NS = 20_000_000_000
_STANCES = {
    SUSPECTED: Stance.SUSPECT,
    FROZEN: Stance.PROBING,
    VERDICT: Stance.HELD,
    RECOVERED: Stance.RECOVERED,
    RESUMED: None,
    GIVEN_UP: Stance.OVER,
}
_BAD = (int(Outcome.FAIL), int(Outcome.UNKNOWN), int(Outcome.DROPPED))


class RecordedRun:
    """Reads a run directory when it is asked, at most once per second while the run goes on."""

    def __init__(self, run: str | Path, runs_root: Path, clock: Clock | None = None) -> None:
        """CampaignError when there is no such run."""
        self._clock = clock or SystemClock()
        self.path = RunReader.open(run, runs_root).path
        self._lock = threading.Lock()
        self._told: Told | None = None
        self._told_ns = 0

    def told(self) -> Told:
        """What the page shows now."""
        with self._lock:
            now_ns = self._clock.now_ns()
            fresh = now_ns - self._told_ns < _KEPT_S * 1e9
            if self._told is not None and (fresh or self._told.state == "over"):
                return self._told
            self._told, self._told_ns = told_of(RunReader.open(self.path)), now_ns
            return self._told

    def file(self, name: str) -> Path | None:
        """A file of the run that may be shown; None when there is none."""
        path = self.path / name
        return path if name in FILES and path.is_file() and not path.is_symlink() else None


def told_of(record: RunReader) -> Told:
    """What a record tells by now. MaulError when it cannot be read."""
    events = record.events().to_pylist()
    began_ns = min((int(event["at_ns"]) for event in events), default=0)
    last_ns = max((int(event["at_ns"]) for event in events), default=0)
    moments = _moments(record, began_ns)
    elapsed_s = max([(last_ns - began_ns) / 1e9, *(moment.at_s for moment in moments[-1:])])
    phases = [event for event in events if event["kind"] == EventKind.PHASE]
    stance, waits = _alarm(events, last_ns) if record.running else ("", "")
    errors: defaultdict[str, int] = defaultdict(int)
    for event in phases:
        status = json.loads(event["details"] or "{}").get("status") or {}
        for name, count in status.get("errors", {}).items():
            errors[name] += int(count)
    return Told(
        run=record.run_id,
        state="running" if record.running else "over",
        says=_says(record),
        phase=str(phases[-1]["name"]) if phases and phases[-1]["edge"] == Edge.BEGAN else "",
        stance=stance,
        waits=waits,
        elapsed_s=elapsed_s,
        errors=dict(errors),
        moments=moments,
        steps=_steps(events, began_ns),
        files=[name for name in FILES if (record.path / name).is_file()],
    )


def _alarm(events: list[dict[str, Any]], last_ns: int) -> tuple[str, str]:
    """Where the answer to a stop upstream stands, by its last event, and what that said.

    A suspicion that came to nothing has no event of its own: it is one for some seconds only.
    """
    told = [event for event in events if event["kind"] == EventKind.MITIGATION and event["name"] in _STANCES]
    if not told:
        return "", ""
    last = told[-1]
    stance = _STANCES[last["name"]]
    frozen = next((event["name"] in (FROZEN, RECOVERED) for event in reversed(told) if event["name"] != VERDICT), False)
    if stance is Stance.HELD and not frozen:
        stance = Stance.SUSPECT
    old = int(last["at_ns"]) < last_ns - _SUSPICION_NS
    if stance is None or (stance is Stance.SUSPECT and old):
        return "", ""
    return stance.value, last["says"]


def _says(record: RunReader) -> str:
    if record.running:
        return f"to stop it at once: maul stop {record.run_id}"
    try:
        summary = record.summary()
    except MaulError:
        return "it was killed, or is not judged yet: maul report" if record.killed else "not judged yet: maul report"
    return f"{summary.verdict.name}: {summary.headline}"


def _steps(events: list[dict[str, Any]], began_ns: int) -> list[tuple[float, str]]:
    steps = []
    for event in events:
        kind, edge, says = event["kind"], event["edge"], event["says"]
        if kind == EventKind.RUN and event["name"] == "plan":
            continue
        words = f"{kind} {event['name']} {edge}" if edge != Edge.INSTANT else f"{kind} {event['name']}"
        steps.append(((int(event["at_ns"]) - began_ns) / 1e9, f"{words}: {says}" if says else words))
    return steps[-_STEPS_MAX:]


def _moments(record: RunReader, began_ns: int) -> list[Moment]:
    """Of so many seconds each that at most a screenful comes out. An arrival counts when it was due."""
    rows = record.latency()
    rows = rows.filter(np.array([kind == str(LatencyKind.LATENCY) for kind in rows["kind"].to_pylist()], np.bool_))
    if not rows.num_rows:
        return []
    second = rows["second"].to_numpy().astype(np.int64)
    first, last = int(second.min()), int(second.max())
    width = 1 + (last - first) // _MOMENTS_MAX
    count, outcome = rows["count"].to_numpy(), rows["outcome"].to_numpy()
    place = (second - first) // width
    places = int(place.max()) + 1
    offered = np.bincount(place, weights=count, minlength=places)
    bad = np.bincount(place, weights=count * np.isin(outcome, _BAD), minlength=places)
    dropped = np.bincount(place, weights=count * (outcome == int(Outcome.DROPPED)), minlength=places)
    merged: defaultdict[int, Histogram] = defaultdict(Histogram)
    for at, hdr in zip(place.tolist(), rows["hdr"].to_pylist(), strict=True):
        merged[at].merge(Histogram.from_v2(hdr or b""))
    return [
        Moment(
            at_s=max(0.0, first + at * width - began_ns / 1e9),
            offered_per_s=float(offered[at]) / width,
            done_per_s=float(offered[at] - dropped[at]) / width,
            bad_per_s=float(bad[at]) / width,
            p99_ms=merged[at].percentile(99.0) / 1e6 if at in merged else None,
        )
        for at in range(places)
    ]
