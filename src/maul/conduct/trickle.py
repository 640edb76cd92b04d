"""The trickle: each rack in turn sends a little, and the counters must show it where the map says.

One engine per agent runs through the whole phase; the guard's own throttle says which rack is let through. A map that
is wrong ends the run before anything ramps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from maul.conduct.link_guard import LinkGuard
from maul.conduct.link_meter import Moved
from maul.conduct.link_words import TRICKLE, TrickleWords, as_details
from maul.conduct.phases import run_together
from maul.conduct.stage import Stage
from maul.core.errors import InternalError
from maul.core.event import Edge, EventKind
from maul.core.generator import Drained
from maul.core.network_summary import TrickleRowSummary
from maul.core.summary import Ending
from maul.core.verdict import Verdict
from maul.guard.trickle import TrickleFound, TrickleRow, Window, judge_trickle
from maul.plan import PhasePlan
from maul.plan.fleet_model import FleetPlan
from maul.plan.placement.demand import ACKS, OVERHEAD
from maul.plan.trickling import TrickleTimes, times_of

DONE = "every rack has sent its trickle"


def run_trickle(stage: Stage, phase: PhasePlan) -> dict[str, Any]:
    """Send, measure, judge; a wrong map stops the run (exit 5). The engines' last status."""
    fleet, guard = stage.plan.fleet, stage.link_guard
    if fleet is None:
        raise InternalError("a trickle was planned without a fleet")
    if guard is None:
        tell(stage, TrickleFound(Verdict.UNKNOWN, "nothing watches the links, so no trickle was sent", ()))
        return {}
    turns = Turns(guard, fleet, times_of(fleet, guard.every_s), stage.clock.now_ns)
    try:
        driven = run_together(stage, phase, phase.passes, ear=turns)
    finally:
        guard.only({})
    if stage.halted:
        return dict(driven.status) if driven is not None else {}
    shared = frozenset(link.name for link in fleet.links if link.shared)
    found = judge_trickle(turns.windows, shared, fleet.trickle_error, guard.inner)
    too_much = guard.learn(found.inner)
    if too_much and found.verdict is not Verdict.FAIL:
        says = f"the target's own traffic would fill customers' links at full load: {'; '.join(too_much)}"
        found = replace(found, verdict=Verdict.FAIL, says=says)
    tell(stage, found)
    if found.verdict is Verdict.FAIL:
        stage.note(EventKind.GUARD, Edge.INSTANT, "map-wrong", found.says)
        stage.stop.stop(found.says, Ending.GUARD)
    return dict(driven.status) if driven is not None else {}


def tell(stage: Stage, found: TrickleFound) -> None:
    """Record what became of it, and say it."""
    rows = tuple(_row(row) for row in found.rows)
    words = TrickleWords(verdict=found.verdict, says=found.says, rows=rows)
    stage.note(EventKind.LINK, Edge.INSTANT, TRICKLE, found.says, as_details(words))
    stage.progress.step(f"trickle: {found.says}")


def _row(row: TrickleRow) -> TrickleRowSummary:
    return TrickleRowSummary(
        rack=row.rack,
        link=row.link,
        predicted_bps=row.predicted_bps,
        seen_bps=row.seen_bps,
        noise_bps=row.noise_bps,
        verdict=row.verdict,
        says=row.says,
    )


@dataclass(slots=True)
class Turns:
    """Whose turn it is. An ear of the drive: asked at every tick, it moves on when a window is over."""

    guard: LinkGuard
    fleet: FleetPlan
    times: TrickleTimes
    now_ns: Callable[[], int]
    windows: list[Window] = field(default_factory=list)
    _turn: int = -1
    _began_ns: int = 0
    _before: Mapping[str, Moved] = field(default_factory=dict)
    _settled: bool = False

    def heard(self, drained: Drained) -> None:
        """Operations are the record's business."""

    def enough(self) -> str | None:
        """Move on; a reason to end when everybody had a turn."""
        now_ns = self.now_ns()
        if self._turn < 0:
            self._next(now_ns)
            return None
        elapsed_s = (now_ns - self._began_ns) / 1e9
        if not self._settled and elapsed_s >= self.times.settle_s:
            self._settled, self._before = True, dict(self.guard.moved)
        if elapsed_s < self.times.window_s:
            return None
        self._close(now_ns)
        if self._turn == 2 * len(self.times.racks):
            return DONE
        self._next(now_ns)
        return None

    @property
    def rack(self) -> str | None:
        """Whose turn it is; None: nobody's."""
        return self.times.racks[self._turn // 2] if self._turn % 2 else None

    def _next(self, now_ns: int) -> None:
        self._turn += 1
        self._began_ns, self._settled, self._before = now_ns, False, {}
        rack = self.rack
        self.guard.only({one.name: float((one.rack or one.name) == rack) for one in self.fleet.generators})

    def _close(self, now_ns: int) -> None:
        from_ns = self._began_ns + int(self.times.settle_s * 1e9)
        readings = self.guard.carried(from_ns, now_ns)
        rack = self.rack
        if rack is None:
            self.windows.append(Window(None, readings))
            return
        self.windows.append(self._sent(rack, readings, (now_ns - from_ns) / 1e9))

    def _sent(self, rack: str, readings: Mapping[str, list[float]], seconds: float) -> Window:
        """What the rack really sent and received, over the ways of the map."""
        predicted: dict[str, float] = {}
        unsure: dict[str, float] = {}
        alone: dict[str, float] = {}
        moved = 0.0
        for one in self.fleet.generators:
            after, before = self.guard.moved.get(one.name), self._before.get(one.name)
            if (one.rack or one.name) != rack or after is None or before is None:
                continue
            sent = max(0.0, after.sent_bits - before.sent_bits) / seconds
            received = max(0.0, after.received_bits - before.received_bits) / seconds
            moved += OVERHEAD * (sent + received)
            for link in self.fleet.links:
                up, down = link.up.get(one.name, 0.0), link.down.get(one.name, 0.0)
                if up or down:
                    acks = OVERHEAD * ACKS * (up * received + down * sent)
                    ours = OVERHEAD * (up * sent + down * received) + acks
                    predicted[link.name] = predicted.get(link.name, 0.0) + ours
                    unsure[link.name] = unsure.get(link.name, 0.0) + acks
                    alone[link.name] = min(alone.get(link.name, 1.0), max(up, down))
        return Window(rack, readings, predicted, alone, self._flows(rack), unsure, moved)

    def _flows(self, rack: str) -> int:
        """Connections of the rack: each takes one of the equal ways."""
        own = [self.guard.moved.get(one.name) for one in self.fleet.generators if (one.rack or one.name) == rack]
        return sum(one.connections for one in own if one is not None)
