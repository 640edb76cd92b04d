"""The link guard at work: what the senses of the network say goes to `guard.links`, what it decides goes to the agents.

Asked at every turn of a drive; it works once per second. The senses read on a thread of their own, so that a page that
hangs delays nobody's lease: what does not come is stale, and that the guard knows how to answer.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Protocol

from maul.conduct.link_meter import LinkMeter, Moved
from maul.conduct.link_words import LINKS, PART, PREDICTED_BPS, TELEMETRY, LinksWords, as_details
from maul.conduct.stage import Stage
from maul.core.errors import InternalError
from maul.core.event import Edge, Event, EventKind
from maul.core.generator import GeneratorStatus
from maul.core.sample import Sample
from maul.core.summary import Ending
from maul.core.units import show_bitrate
from maul.guard.canary import baseline_of
from maul.guard.inner import inner_directions, with_inner
from maul.guard.link_trouble import background_of
from maul.guard.links import (
    CanaryTerms,
    LinkAction,
    LinkGuardState,
    LinkTerms,
    NetworkLook,
    begin,
    decide_links,
    only_watched,
)
from maul.guard.network_words import (
    CanaryReading,
    Freeze,
    LinkReading,
    SetParts,
    Tell,
    Thaw,
    canaries_of,
    directions_of,
    links_of,
    path_of,
    together,
)
from maul.plan.fleet_model import FleetPlan
from maul.probes.contract import Probe
from maul.probes.sampler import Reading, Sampler, SamplerThread
from maul.site.model_network import Network
from maul.site.topology import target_hosts

DECIDE_NS = 1_000_000_000
BASELINE_POLLS = 8
BASELINE_MIN_S, BASELINE_MAX_S = 8.0, 300.0
READ_MAX_S = 5.0
CARRIED_MAX = 500_000
"""Readings that are remembered for the trickle."""


class Throttled(Protocol):
    """A generator that is many; `maul.fleet.generator.FleetGenerator` is one."""

    def by_agent(self) -> Mapping[str, GeneratorStatus]:
        """Where each agent stands."""
        ...

    def throttle_agents(self, parts: Mapping[str, float]) -> tuple[str, ...]:
        """Send only these parts of the arrivals; the agents that did not confirm at once are told again."""
        ...


class LinkGuard:
    """One for a whole run: who was cut stays cut between phases. Hear a while of the quiet network, then `begin`."""

    def __init__(self, stage: Stage, fleet: FleetPlan, network: Network) -> None:
        """Nothing is known of the network yet."""
        self._stage, self._fleet, self._network = stage, fleet, network
        self._lock = threading.Lock()
        self._links: dict[str, list[LinkReading]] = {}
        self._canaries: dict[str, list[CanaryReading]] = {}
        self._gaps: dict[str, str] = {}
        self._carried: deque[tuple[int, str, float]] = deque(maxlen=CARRIED_MAX)
        self._meter = LinkMeter.of(fleet)
        self._applied: dict[int, dict[str, float]] = {}
        self._only: Mapping[str, float] = {}
        self._decided_ns = 0
        self._partial = False
        self._watch_only = not fleet.guard_acts
        self._terms: LinkTerms | None = None
        self._state: LinkGuardState | None = None
        self.moved: Mapping[str, Moved] = {}
        """What each agent moved at the last look."""

    # -- what is heard ---------------------------------------------------------------------------------------------

    def heard(self, reading: Reading) -> None:
        """What the senses said; called on their thread."""
        with self._lock:
            for name, link in links_of(reading.samples).items():
                self._links.setdefault(name, []).append(link)
                if link.bits_per_s is not None:
                    self._carried.append((link.at_ns, name, link.bits_per_s))
            for name, felt in canaries_of(reading.samples).items():
                self._canaries.setdefault(name, []).extend(felt)
            self._gaps |= {event.name: event.says for event in reading.events if event.edge is Edge.BEGAN}

    def _take(self) -> tuple[dict[str, list[LinkReading]], dict[str, list[CanaryReading]]]:
        with self._lock:
            links, self._links = self._links, {}
            canaries, self._canaries = self._canaries, {}
        return links, canaries

    def carried(self, from_ns: int, to_ns: int) -> dict[str, list[float]]:
        """What every direction of the site carried, reading by reading, in (`from_ns`, `to_ns`]: bits per second."""
        found: dict[str, list[float]] = {}
        with self._lock:
            for at_ns, name, bits_per_s in self._carried:
                if from_ns < at_ns <= to_ns:
                    found.setdefault(name, []).append(bits_per_s)
        return found

    def begin(self) -> None:
        """What was heard so far was the network without us. From here on it is guarded."""
        links, canaries = self._take()
        directions = directions_of(self._fleet)
        quiet = {name: background_of(readings) for name, readings in links.items()}
        background = {name: found for name, found in quiet.items() if found is not None}
        terms = {
            canary.name: CanaryTerms(
                path_of(self._network, canary),
                baseline_of(canaries.get(canary.name, [])),
                canary.excess_s * 1e3,
                apart_ns(canaries.get(canary.name, [])),
            )
            for canary in self._network.canaries
        }
        every_ns = max(DECIDE_NS, round(self.every_s * 1e9))
        names = tuple(generator.name for generator in self._fleet.generators)
        self._terms = LinkTerms(directions, names, background, terms, every_ns)
        self._state = begin(self._terms, self._stage.clock.now_ns())
        self._tell_watched(self._terms)

    @property
    def every_s(self) -> float:
        """How often the counters are fresh."""
        return self._network.counters.every_s if self._network.counters is not None else 1.0

    @property
    def terms(self) -> LinkTerms:
        """What the guard holds the run against, once it began."""
        if self._terms is None:
            raise InternalError("the link guard was asked before it began")
        return self._terms

    @property
    def inner(self) -> frozenset[str]:
        """Directions that carry what the target sends to itself, too."""
        return inner_directions(self._network, target_hosts(self._stage.site))

    def learn(self, inner: Mapping[str, tuple[float, float]]) -> list[str]:
        """From here on what the target sends to itself is expected: parts of all that agents send and receive, and by
        how much they may be off. What would be too much for customers' links when all send their heaviest, in words."""
        terms, load = self.terms, self._fleet.load
        whole = load.sent_bps + load.received_bps
        sure = {name: max(0.0, part - noise) * whole for name, (part, noise) in inner.items()}
        seen = {name: part * whole for name, (part, noise) in inner.items() if part > noise}
        self._terms = replace(terms, directions=with_inner(terms.directions, seen, self._fleet, self._network))
        return [
            f"{name} with {show_bitrate(one.background_bps + sum(one.by_generator.values()))} of at most "
            f"{show_bitrate(one.limit_bps)}"
            for name, one in with_inner(terms.directions, sure, self._fleet, self._network).items()
            if one.shared and sure.get(name) and one.background_bps + sum(one.by_generator.values()) > one.limit_bps
        ]

    def _tell_watched(self, terms: LinkTerms) -> None:
        with self._lock:
            gaps = dict(self._gaps)
        blind = gaps.get("link", "its counters gave nothing before the load")
        unwatched = {name: gaps.get(f"link/{name}", blind) for name in terms.directions if name not in terms.background}
        felt = {name: one.baseline for name, one in terms.canaries.items() if one.baseline is not None}
        words = LinksWords(
            watched={name: found.mean_bps for name, found in terms.background.items() if name in terms.directions},
            unwatched=unwatched,
            canaries={name: (base.rtt_p99_ms, base.loss_ratio) for name, base in felt.items()},
            silent_canaries=tuple(name for name in terms.canaries if name not in felt),
            every_s=self.every_s,
        )
        says = f"{len(words.watched)} directions of links and {len(felt)} canaries are watched"
        if unwatched:
            says += f"; of {len(unwatched)} nothing is told: {', '.join(list(unwatched)[:5])}"
        if words.silent_canaries:
            says += f"; silent: {', '.join(words.silent_canaries)}"
        self._stage.note(EventKind.LINK, Edge.INSTANT, LINKS, says, as_details(words))
        self._stage.progress.step(says)

    # -- what is done ----------------------------------------------------------------------------------------------

    def only(self, parts: Mapping[str, float]) -> None:
        """Beside what the guard says, these agents send this part of the arrivals at most; {}: no such limit."""
        self._only = dict(parts)

    def tick(self, loads: Sequence[Throttled]) -> None:
        """Look, decide and act, when a second has gone by; a load that is new is told at once what it may send."""
        if self._state is None or self._terms is None:
            return
        now_ns = self._stage.clock.now_ns()
        if now_ns - self._decided_ns >= DECIDE_NS:
            self._decided_ns = now_ns
            self._decide(now_ns, loads, self._state, self._terms)
        self._apply(loads)

    def _decide(self, now_ns: int, loads: Sequence[Throttled], state: LinkGuardState, terms: LinkTerms) -> None:
        self.moved = self._meter.read(now_ns, [(id(load), load.by_agent()) for load in loads])
        links, canaries = self._take()
        look = NetworkLook(
            now_ns,
            {name: together(readings) for name, readings in links.items()},
            canaries,
            {name: one.made for name, one in self.moved.items()},
            {name: one.due_per_s for name, one in self.moved.items()},
        )
        self._state, actions = decide_links(state, look, terms)
        if self._watch_only:
            self._state, actions = only_watched(self._state, actions)
        for action in actions:
            self._obey(action)
        self._sample(now_ns, look, terms)

    def _obey(self, action: LinkAction) -> None:
        stage = self._stage
        if not action.says:
            return  # somebody comes back step by step
        if isinstance(action, Freeze | Thaw):
            edge = Edge.BEGAN if isinstance(action, Freeze) else Edge.ENDED
            stage.note(EventKind.LINK, edge, TELEMETRY, action.says)
        if isinstance(action, Tell):
            subject = action.details.get("link") or action.details.get("canary") or action.reason
            stage.note(EventKind.LINK, Edge.INSTANT, str(subject), action.says, action.details)
        elif isinstance(action, SetParts):
            details = {**action.details, "parts": dict(action.parts)}
            stage.note(EventKind.GUARD, Edge.INSTANT, f"links: {action.reason}", action.says, details)
        elif not isinstance(action, Thaw):
            stage.note(EventKind.GUARD, Edge.INSTANT, action.reason, action.says)
        stage.progress.step(f"guard: {action.says}")
        if not isinstance(action, Freeze | Thaw | Tell | SetParts):
            stage.stop.stop(action.says, Ending.GUARD)

    def _sample(self, now_ns: int, look: NetworkLook, terms: LinkTerms) -> None:
        """What each link should carry of ours; and, while anybody is held back, what each agent may send."""
        told = self._state.told if self._state is not None else {}
        partial = any(part < 1.0 for part in told.values())
        samples = [
            Sample(now_ns, "link", PREDICTED_BPS, name, direction.ours_bps(look.made))
            for name, direction in terms.directions.items()
            if direction.by_generator
        ]
        if partial and not self._partial:  # so that a chart falls from the whole
            samples += [Sample(now_ns - DECIDE_NS, "guard", PART, name, 1.0) for name in told]
        if partial or self._partial:  # and once more when all is well again
            samples += [Sample(now_ns, "guard", PART, name, part) for name, part in told.items()]
        self._partial = partial
        self._stage.writer.samples(samples)

    def _parts(self) -> dict[str, float]:
        told = self._state.told if self._state is not None else {}
        return {name: part * self._only.get(name, 1.0) for name, part in told.items()}

    def _apply(self, loads: Sequence[Throttled]) -> None:
        wanted = self._parts()
        self._applied = {id(load): self._applied.get(id(load), {}) for load in loads}
        for load in loads:
            applied = self._applied[id(load)]
            there = load.by_agent()
            changed = {name: part for name, part in wanted.items() if name in there and applied.get(name, 1.0) != part}
            if changed:
                load.throttle_agents(changed)
                applied |= changed


def apart_ns(readings: Sequence[CanaryReading]) -> int:
    """How often a canary measures, by what was heard of it; a second where that cannot be told."""
    times = [reading.at_ns for reading in readings]
    apart = [b - a for a, b in pairwise(times)]
    return max(DECIDE_NS, round(median(apart))) if apart else DECIDE_NS


@contextlib.contextmanager
def guarding(stage: Stage, probes: Sequence[Probe]) -> Iterator[LinkGuard | None]:
    """Listen to the network without us for a while, then guard it while the block runs.

    None where there is nothing to guard or nothing to listen to: no fleet, no network in the site, no counters.
    """
    fleet, network = stage.plan.fleet, stage.site.network
    if fleet is None or network is None or not fleet.links or not probes:
        yield None
        return
    guard = LinkGuard(stage, fleet, network)

    def sink(reading: Reading) -> None:
        guard.heard(reading)
        if stage.vigil is not None:
            stage.vigil.heard(reading)
        stage.writer.samples(reading.samples)
        stage.writer.events(reading.events)

    interval_s = min(READ_MAX_S, max(1.0, guard.every_s / 3))
    thread = SamplerThread(Sampler(probes, interval_s), stage.clock, sink, "network probes")
    thread.start()
    try:
        listen(stage, baseline_s(guard.every_s))
        guard.begin()
        yield guard
    finally:
        thread.stop()
        if thread.failure is not None:
            says = f"nothing is read of the network any more: {thread.failure}"
            stage.writer.events([Event(stage.clock.now_ns(), EventKind.GAP, Edge.BEGAN, "network", says)])


def baseline_s(every_s: float) -> float:
    """How long the network is listened to before anything is sent."""
    return min(BASELINE_MAX_S, max(BASELINE_MIN_S, BASELINE_POLLS * every_s))


def listen(stage: Stage, seconds: float) -> None:
    """Wait, unless the run is to end."""
    stage.progress.step(f"listen to the network without us for {seconds:.0f} s")
    stage.clock.wait(seconds, stage.stop.stopped)
