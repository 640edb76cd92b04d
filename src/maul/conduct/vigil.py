"""The vigil: one `Second` per second out of everything that is seen, and what is decided from it, obeyed.

It lives as long as a run. `tick` at every turn of a drive, `second` in a hold. What the seconds mean is `guard`'s
business (`Think`); here they are gathered, recorded, and what is to be done is done or handed to who can.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from maul.conduct.mitigation_words import (
    FROZEN,
    NOTICE,
    RECOVERED,
    SILENT,
    SUSPECTED,
    VANTAGE,
    VERDICT,
    FrozenWords,
    NoticeWords,
    RecoveredWords,
    SilentWords,
    VantageWords,
    VerdictWords,
    as_details,
)
from maul.conduct.recorded import Text
from maul.conduct.seconds import GeneratorMeter, Times, balancers_of, bytes_before, links_now, rate_before, samples_of
from maul.conduct.stage import Stage
from maul.core.event import Edge, Event, EventKind
from maul.core.generator import Drained, GeneratorStatus
from maul.core.sample import Sample
from maul.core.vantage import Attempt, Lookout, Notice, Question
from maul.guard.mitigation.actions import (
    Ask,
    Freeze,
    GiveUp,
    MitigationAction,
    Recovered,
    Resume,
    Stance,
    Suspected,
    Verdict,
)
from maul.guard.mitigation.classify import WINDOW
from maul.guard.mitigation.diagnosis import Diagnosis
from maul.guard.mitigation.signals import Second
from maul.guard.mitigation.signals_text import to_line
from maul.guard.network_words import LinkReading, links_of
from maul.hosts.machine_counters import MachineCounters
from maul.probes.sampler import Reading

SECOND_NS = 1_000_000_000
PAUSE_NS = 2 * SECOND_NS
"""A longer gap between two looks lies between two engines: what was felt meanwhile are seconds of silence."""
READINGS_MAX = 10_000


class Think(Protocol):
    """The classifier and what answers it, with what they remember."""

    def __call__(self, window: Sequence[Second], phase: str, hurting: Sequence[str]) -> Sequence[MitigationAction]:
        """What the newest second asks for. `phase` is loaded now; `hurting`: our own faults that are in force."""
        ...

    @property
    def stance(self) -> Stance:
        """Where the answer to a suspicion stands."""
        ...

    def anew(self) -> None:
        """Forget what was suspected: what comes next is little, and stopped for good when it is stopped, too."""
        ...


@dataclass(frozen=True, slots=True)
class Frozen:
    """What was stopped: when and in which phase, and what was answered just before, all generators together."""

    phase: str
    onset_ns: int
    decided_ns: int
    per_s: float
    bytes_per_s: float
    says: str


class Vigil:
    """One for a whole run. `lookouts` are closed by who opened them."""

    def __init__(
        self,
        stage: Stage,
        lookouts: Sequence[Lookout],
        think: Think,
        words: VantageWords,
        *,
        machines: Callable[[], Mapping[str, MachineCounters]] = dict,
    ) -> None:
        """`words`: who looks on, for the record; `machines`: what generators' machines count by now."""
        self._stage, self._lookouts, self._think, self._machines = stage, tuple(lookouts), think, machines
        fleet = stage.plan.fleet
        racks = {one.name: one.rack or "" for one in fleet.generators} if fleet is not None else {}
        cores = {} if fleet is not None else {"local": float(stage.plan.shards)}
        self._meter, self._times = GeneratorMeter(racks, cores), Times()
        self._lock = threading.Lock()
        self._samples: deque[Sample] = deque(maxlen=READINGS_MAX)
        self._links: dict[str, LinkReading] = {}
        self._window: deque[Second] = deque(maxlen=WINDOW)
        self._pending: Sequence[Attempt | Notice] = ()
        self._looked_ns = stage.clock.now_ns()
        self._full = False
        self.phase = ""
        """The one that is loaded now."""
        self.frozen: Frozen | None = None
        """Set from the moment at which everything is to fall silent, until somebody says `thaw`."""
        self.verdict: Diagnosis | None = None
        """The newest since traffic was stopped."""
        self.stance = Stance.NORMAL
        """As it was told last."""
        told = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in words.points.items() if names)
        self.note(VANTAGE, f"vantage points: {told or 'none'}", as_details(words))

    # -- what is heard ---------------------------------------------------------------------------------------------

    def heard(self, reading: Reading) -> None:
        """What the senses of balancers and links said; called on their threads."""
        links = links_of(reading.samples)
        with self._lock:
            self._samples.extend(one for one in reading.samples if one.probe == "vip")
            self._links.update(links)

    def drained(self, drained: Drained) -> None:
        """What an engine counted."""
        self._times.add(drained.latency)

    # -- once a second ---------------------------------------------------------------------------------------------

    def tick(self, statuses: Callable[[], Mapping[str, GeneratorStatus]], phase: str) -> bool:
        """When a second has gone by: look, think, obey. True: everything must fall silent now."""
        if self._stage.clock.now_ns() - self._looked_ns >= SECOND_NS:
            self.phase = phase
            self.second(statuses())
        return self.frozen is not None

    def second(
        self, statuses: Mapping[str, GeneratorStatus] | None = None, *, silent: bool = False
    ) -> Sequence[MitigationAction]:
        """One second now, whatever the time; what it asks for, told and as far as possible done already."""
        now_ns = self._stage.clock.now_ns()
        self._catch_up(now_ns)
        self._keep(self._look(now_ns, statuses or {}, silent=silent))
        self._looked_ns = now_ns
        actions = self._think(tuple(self._window), self.phase, self._stage.hurting())
        for action in actions:
            self._obey(action, now_ns)
        self._tell_stance(actions)
        return actions

    def _tell_stance(self, actions: Sequence[MitigationAction]) -> None:
        """To whoever looks on; what the last action said is what is to be said of it."""
        if self._think.stance is self.stance:
            return
        self.stance = self._think.stance
        words = [
            one.diagnosis.says if isinstance(one, Verdict) else one.says for one in actions if not isinstance(one, Ask)
        ]
        well = self.stance is Stance.NORMAL
        self._stage.progress.alarm("" if well else self.stance.value, "" if well else " ".join(words[-1:]))

    def _catch_up(self, now_ns: int) -> None:
        """Between two engines nobody looked: what was felt then belongs to its own seconds, in which we were silent."""
        if not self._window or now_ns - self._looked_ns <= PAUSE_NS:
            return
        felt = self._felt()
        until_ns = now_ns - SECOND_NS
        first_ns = max(self._looked_ns + SECOND_NS, until_ns - WINDOW * SECOND_NS)
        for at_ns in range(first_ns, until_ns + 1, SECOND_NS):
            own = [one for one in felt if at_ns - SECOND_NS < one.at_ns <= at_ns]
            self._keep(self._seen(at_ns, own, silent=True))
        self._pending = [one for one in felt if one.at_ns > until_ns]

    def _felt(self) -> list[Attempt | Notice]:
        felt = [*self._pending, *(one for lookout in self._lookouts for one in lookout.take())]
        self._pending = ()
        return felt

    def _look(self, now_ns: int, statuses: Mapping[str, GeneratorStatus], *, silent: bool) -> Second:
        with self._lock:
            samples, links = list(self._samples), dict(self._links)
            self._samples.clear()
            self._links.clear()
        times, self._times = self._times, Times()
        return replace(
            self._seen(now_ns, self._felt(), silent=silent),
            generators=self._meter.read(statuses, times, self._machines() if statuses else {}),
            balancers=balancers_of(samples),
            links=links_now(links, self._stage.plan.fleet),
        )

    def _seen(self, at_ns: int, felt: Sequence[Attempt | Notice], *, silent: bool) -> Second:
        attempts = tuple(one for one in felt if isinstance(one, Attempt))
        notices = tuple(one for one in felt if isinstance(one, Notice))
        self._stage.writer.samples(samples_of(attempts))
        for one in notices:
            words = NoticeWords(source=one.source, prefix=one.prefix, action=one.action)
            says = one.says or f"{one.source}: {one.action} {one.prefix}".strip()
            event = Event(one.at_ns, EventKind.MITIGATION, Edge.INSTANT, NOTICE, says, as_details(words))
            self._stage.writer.events([event])
            self._stage.progress.step(f"the network says: {says}")
        return Second(at_ns=at_ns, attempts=attempts, notices=notices, silent=silent)

    def _keep(self, second: Second) -> None:
        self._window.append(second)
        if not self._stage.writer.add_line(Text.SIGNALS, to_line(second)) and not self._full:
            self._full = True
            says = f"{Text.SIGNALS} is full: from here on a verdict cannot be judged again"
            self._stage.writer.events(
                [Event(self._stage.clock.now_ns(), EventKind.GAP, Edge.BEGAN, str(Text.SIGNALS), says)]
            )

    # -- what is done ----------------------------------------------------------------------------------------------

    def _obey(self, action: MitigationAction, now_ns: int) -> None:
        if isinstance(action, Suspected):
            self.note(SUSPECTED, action.says, {})
        elif isinstance(action, Freeze):
            self._freeze(action, now_ns)
        elif isinstance(action, Verdict):
            self.verdict = action.diagnosis
            self.note(VERDICT, action.diagnosis.says, as_details(VerdictWords.of(action.diagnosis)))
        elif isinstance(action, Recovered):
            words = RecoveredWords(hold_s=action.hold_s, quantum_s=action.quantum_s)
            self.note(RECOVERED, action.says, as_details(words))
        elif not isinstance(action, Ask | Resume | GiveUp):  # what comes of these only a hold knows
            raise AssertionError(action)

    def _freeze(self, action: Freeze, now_ns: int) -> None:
        per_s = rate_before(self._window, action.onset_ns)
        bytes_per_s = bytes_before(self._window, action.onset_ns)
        self.verdict = None
        self.frozen = Frozen(self.phase, action.onset_ns, now_ns, per_s, bytes_per_s, action.says)
        for lookout in self._lookouts:
            lookout.quiet(True)
        words = FrozenWords(phase=self.phase, onset_ns=action.onset_ns, answered_per_s=per_s, bytes_per_s=bytes_per_s)
        self.note(FROZEN, action.says, as_details(words))

    def fell_silent(self, at_ns: int, in_flight: int, *, in_time: bool) -> None:
        """The engines are done since that moment; told once per freeze."""
        frozen = self.frozen
        if frozen is None:
            return
        seconds = max(0.0, (at_ns - frozen.decided_ns) / 1e9)
        words = SilentWords(
            phase=frozen.phase,
            decided_ns=frozen.decided_ns,
            seconds=round(seconds, 3),
            in_flight=in_flight,
            in_time=in_time,
        )
        how = "every engine was silent" if in_time else "not every engine said that it was silent"
        self.note(
            SILENT, f"{how} {seconds:.2f} s after the decision; {in_flight:,} requests were cut off", as_details(words)
        )

    def ask(self, question: Question) -> bool:
        """Have this attempt made by who can; False: there is nobody."""
        return any(lookout.ask(question) for lookout in self._lookouts)

    def thaw(self) -> None:
        """Something is sent again; what is usual is learnt anew."""
        self.frozen = None
        self._window.clear()
        for lookout in self._lookouts:
            lookout.quiet(False)

    def anew(self) -> None:
        """As `thaw`, after nobody may go on: what is left is to tidy up, gently."""
        self.thaw()
        self._think.anew()

    def note(self, name: str, says: str, details: Mapping[str, object]) -> None:
        """An event for the record, told to people, too."""
        self._stage.note(EventKind.MITIGATION, Edge.INSTANT, name, says, dict(details))
        if name != VANTAGE:
            self._stage.progress.step(f"mitigation, {name}: {says}")

    @property
    def newest(self) -> Second | None:
        """The last second that was seen."""
        return self._window[-1] if self._window else None
