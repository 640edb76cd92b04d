"""Reads probes in turn, and says when one of them went blind."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from maul.core.clock import Clock
from maul.core.event import Edge, Event, EventKind
from maul.core.sample import Sample
from maul.probes.contract import Probe, ProbeError


@dataclass(frozen=True, slots=True)
class Reading:
    """What one step gave. `events` are gaps that began or ended, once per outage."""

    samples: list[Sample]
    events: list[Event]


@dataclass(slots=True)
class _Turn:
    probe: Probe
    interval_ns: int
    due_ns: int | None = None  # at once


class Sampler:
    """Pure scheduling: which probes are due, what they said, which gaps began or ended."""

    def __init__(
        self, probes: Sequence[Probe], interval_s: float = 1.0, intervals_s: Mapping[str, float] | None = None
    ) -> None:
        """Read each probe every `interval_s`, or every `intervals_s[probe.name]`. Names must differ."""
        names = [probe.name for probe in probes]
        if len(set(names)) != len(names):
            raise ValueError(f"two probes of one name, their gaps could not be told apart: {', '.join(names)}")
        chosen = intervals_s or {}
        self._turns = [_Turn(probe, round(chosen.get(probe.name, interval_s) * 1e9)) for probe in probes]
        if any(turn.interval_ns <= 0 for turn in self._turns):
            raise ValueError("an interval must be longer than nothing")
        self._gaps: dict[str, dict[str, str]] = {name: {} for name in names}

    def step(self, now_ns: int) -> Reading:
        """Read every probe that is due. Never raises for a probe's sake."""
        reading = Reading([], [])
        for turn in self._turns:
            if turn.due_ns is not None and now_ns < turn.due_ns:
                continue
            turn.due_ns = _next_due(turn, now_ns)
            samples, gaps = _read(turn.probe, now_ns)
            reading.samples.extend(samples)
            reading.events.extend(self._edges(turn.probe.name, gaps, now_ns))
        return reading

    def next_due_ns(self) -> int:
        """When the next probe is due; 0 when one never was read."""
        return min((turn.due_ns or 0 for turn in self._turns), default=0)

    @property
    def gaps(self) -> dict[str, str]:
        """The gaps open now: probe, or probe/subject, and why."""
        return {gap: why for of_probe in self._gaps.values() for gap, why in of_probe.items()}

    def _edges(self, probe: str, gaps: dict[str, str], now_ns: int) -> list[Event]:
        known = self._gaps[probe]
        events: list[Event] = []
        if probe in gaps:
            # blind altogether: the subjects that were missing before stay so, and say no more
            gaps = known | gaps
        for gap, why in gaps.items():
            if gap not in known:
                events.append(Event(now_ns, EventKind.GAP, Edge.BEGAN, gap, why))
        events += [Event(now_ns, EventKind.GAP, Edge.ENDED, gap) for gap in known if gap not in gaps]
        self._gaps[probe] = gaps
        return events


def _next_due(turn: _Turn, now_ns: int) -> int:
    """On the turn's own grid; readings that came too late are left out, not made up for in a burst."""
    due_ns = now_ns if turn.due_ns is None else turn.due_ns
    return due_ns + ((now_ns - due_ns) // turn.interval_ns + 1) * turn.interval_ns


def _read(probe: Probe, now_ns: int) -> tuple[list[Sample], dict[str, str]]:
    """The samples, and the gaps by name."""
    try:
        samples = probe.read(now_ns)
        missing = {f"{probe.name}/{subject}": why for subject, why in probe.missing.items()}
    except ProbeError as error:
        return [], {probe.name: error.message}
    except OSError as error:
        return [], {probe.name: str(error)}
    except Exception as error:  # noqa: BLE001 (a bug in a sense must blind that sense only, and be seen: it is a gap)
        return [], {probe.name: f"a bug in the probe: {type(error).__name__}: {error}"}
    return samples, missing


class SamplerThread:
    """Steps a sampler on a clock until stopped. A daemon: it never keeps the process from ending."""

    def __init__(self, sampler: Sampler, clock: Clock, sink: Callable[[Reading], None], name: str = "sampler") -> None:
        """Every reading that holds something goes to `sink`, on this thread."""
        self._sampler = sampler
        self._clock = clock
        self._sink = sink
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Ask it to end and wait; True when it has ended. What the sink raised is in `failure`."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def failure(self) -> BaseException | None:
        """What ended the thread too early (the sink failed, say because the disk is full), or None."""
        return self._failure

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                reading = self._sampler.step(self._clock.now_ns())
                if reading.samples or reading.events:
                    self._sink(reading)
                wait_s = (self._sampler.next_due_ns() - self._clock.now_ns()) / 1e9
                if self._clock.wait(max(0.0, wait_s), self._stop):
                    return
        except Exception as error:  # noqa: BLE001 — nobody hears a thread: the conductor looks at `failure` and tells
            self._failure = error
