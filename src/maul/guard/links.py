"""Link guard: who must send less because of a link or a customer, and who may send more again. One pure decision.

Additive increase, multiplicative decrease, scoped: only generators whose traffic crosses the trouble are cut.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from maul.guard.canary import CanaryBaseline, CanaryMemory, feel
from maul.guard.link_trouble import Alarm, Background, Expected, LinkMemory, Trouble, look_at, room_bps
from maul.guard.network_words import CanaryReading, Direction, Freeze, LinkReading, SetParts, Tell, Thaw
from maul.guard.watch import StopRun

CUT = 0.5
RISE = 0.02
PART_MIN = 0.01
"""A smaller part is none."""
CLEAN_POLLS = 3
REACTION_NS = 1_500_000_000
"""From a decision until every generator heeds it: it is told once per second, and acts within a turn of its loop."""
STALE_FREEZE_POLLS, STALE_STOP_POLLS = 3.0, 5.0
HISTORY_NS = 3_000_000_000
FROZEN_SLACK = 1.01
"""Arrivals of one second and the next differ by a few without a rise."""

LinkAction = SetParts | Freeze | Thaw | Tell | StopRun


@dataclass(frozen=True, slots=True)
class CanaryTerms:
    """One canary: whose path, against what. `every_ns` is how often it measures."""

    path: frozenset[str]
    baseline: CanaryBaseline | None
    excess_ms: float = 0.5
    every_ns: int = 1_000_000_000


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """What the guard holds a run against; it does not change while the run lasts.

    `background`: of the directions that were seen before the load began; only what was seen may go stale. `every_ns`:
    how often their counters are fresh.
    """

    directions: Mapping[str, Direction]
    generators: tuple[str, ...]
    background: Mapping[str, Background]
    canaries: Mapping[str, CanaryTerms] = field(default_factory=dict)
    every_ns: int = 1_000_000_000


@dataclass(frozen=True, slots=True)
class LinkGuardState:
    """What the guard remembers. Begin with `begin`."""

    began_ns: int
    parts: Mapping[str, float]
    """Of each generator, by increase and decrease alone."""
    told: Mapping[str, float]
    """What was last said: less than `parts` while nothing may rise."""
    cut_ns: Mapping[str, int] = field(default_factory=dict)
    clean: Mapping[str, int] = field(default_factory=dict)
    links: Mapping[str, LinkMemory] = field(default_factory=dict)
    canaries: Mapping[str, CanaryMemory] = field(default_factory=dict)
    history: tuple[tuple[int, Mapping[str, float]], ...] = ()
    """What was really made, as parts of the heaviest load: a reading is of the past."""
    frozen: Mapping[str, float] | None = None
    """What was due per second of each generator when it froze; None: not frozen."""
    poll_ns: int = 0
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class NetworkLook:
    """What came since the last look.

    `made`: which part of its heaviest load each generator moves now; predictions are made of it. `due_per_s`: arrivals
    that the profile asks of each, whatever the guard lets through: what may not rise while it is blind.
    """

    now_ns: int
    links: Mapping[str, LinkReading] = field(default_factory=dict)
    canaries: Mapping[str, Sequence[CanaryReading]] = field(default_factory=dict)
    made: Mapping[str, float] = field(default_factory=dict)
    due_per_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Cause:
    """A reason to cut: `who` at most, `silent` of them to nothing."""

    reason: str
    says: str
    who: frozenset[str]
    silent: frozenset[str] = frozenset()
    details: Mapping[str, Any] = field(default_factory=dict)
    at_once: bool = False
    """Even those that were cut a moment ago."""
    seen_ns: int = 0


def begin(terms: LinkTerms, now_ns: int) -> LinkGuardState:
    """Nobody is cut."""
    whole = dict.fromkeys(terms.generators, 1.0)
    return LinkGuardState(began_ns=now_ns, parts=whole, told=whole, poll_ns=now_ns)


def decide_links(
    state: LinkGuardState, look: NetworkLook, terms: LinkTerms
) -> tuple[LinkGuardState, tuple[LinkAction, ...]]:
    """What to remember and what to do; every action is given once. After StopRun there is none."""
    if state.stopped:
        return state, ()
    state = _remember_made(state, look, terms)
    state, causes, notes = _causes(state, look, terms)
    state, cuts = _cut(state, causes, look.now_ns)
    cut_for = {cut.details.get("canary") for cut in cuts}
    notes += [
        Tell(cause.reason, cause.says, cause.details)  # those beside it were cut a moment ago, or are silent
        for cause in causes
        if cause.reason == "canary" and cause.details["canary"] not in cut_for
    ]
    state, stale = _staleness(state, look, terms)
    if state.stopped:
        return state, (*notes, *cuts, *stale)
    state = _rise(state, look.now_ns, terms)
    state, told = _tell_parts(state, look, cuts)
    return state, (*notes, *told, *stale)


def only_watched(state: LinkGuardState, actions: Sequence[LinkAction]) -> tuple[LinkGuardState, tuple[LinkAction, ...]]:
    """What `decide_links` gave, for a guard that must not act: nobody is cut, nothing stops; what would have been done
    is told."""
    whole = dict.fromkeys(state.parts, 1.0)
    told: list[LinkAction] = []
    for action in actions:
        if isinstance(action, SetParts):
            watched = {**action.details, "watched": True}
            told += [replace(action, parts={}, says=f"only watched: {action.says}", details=watched)] * bool(
                action.says
            )
        elif isinstance(action, StopRun):
            told.append(Tell(action.reason, f"only watched: {action.says}"))
        else:
            told.append(action)
    return replace(state, parts=whole, told=whole, stopped=False), tuple(told)


def _remember_made(state: LinkGuardState, look: NetworkLook, terms: LinkTerms) -> LinkGuardState:
    oldest_ns = look.now_ns - HISTORY_NS - 3 * terms.every_ns
    history = tuple(entry for entry in state.history if entry[0] >= oldest_ns)
    return replace(state, history=(*history, (look.now_ns, look.made)))


def _made(state: LinkGuardState, direction: Direction, at_ns: int, every_ns: int) -> float:
    """The most that we may have sent in the time that a reading speaks of."""
    first_ns = at_ns - every_ns - HISTORY_NS // 2
    known = [direction.ours_bps(levels) for then_ns, levels in state.history if then_ns >= first_ns]
    return max(known, default=0.0)


def _causes(
    state: LinkGuardState, look: NetworkLook, terms: LinkTerms
) -> tuple[LinkGuardState, list[_Cause], list[Tell]]:
    """Everything that is in trouble, as reasons to cut and as things to tell."""
    links, canaries = dict(state.links), dict(state.canaries)
    causes: list[_Cause] = []
    notes: list[Tell] = []
    down = {name for name, memory in links.items() if memory.down}
    down |= {name for name, reading in look.links.items() if reading.up is False and name in terms.directions}
    for name, reading in look.links.items():
        direction = terms.directions.get(name)
        if direction is None:
            continue
        who = _who(direction, down, terms)
        expected = Expected(
            _made(state, direction, reading.at_ns, terms.every_ns),
            terms.background.get(name, Background()),
            bool(down),
            terms.every_ns,
            settled=any(_settled(state, one, reading.at_ns, terms.every_ns) for one in who) or not who,
        )
        links[name], alarm = look_at(direction, links.get(name, LinkMemory()), reading, expected)
        if alarm is not None and alarm.act:
            causes.append(_cause_of(alarm, direction, who, reading.at_ns - terms.every_ns))
        elif alarm is not None:
            notes.append(Tell(alarm.trouble, alarm.says, {"link": name, **alarm.details}))
    for name, readings in look.canaries.items():
        canary = terms.canaries.get(name)
        for reading_of in readings if canary is not None else ():
            assert canary is not None
            canaries[name], harm = feel(
                canaries.get(name, CanaryMemory()), reading_of, canary.baseline, canary.excess_ms
            )
            if harm:
                cause = _harm(name, harm, reading_of, links, terms)
                waits = not any(_settled(state, one, reading_of.at_ns, canary.every_ns) for one in cause.who)
                if not (waits and canaries[name].waits):
                    causes.append(cause)  # what lasts until a cut shows is told once
                canaries[name] = canaries[name].called(waits=waits)
    order = [Trouble.DOWN, "canary", Trouble.DISCARDS, Trouble.HOT, Trouble.SURPRISE]
    causes.sort(key=lambda cause: order.index(cause.reason))
    return replace(state, links=links, canaries=canaries), causes, notes


def _who(direction: Direction, down: Iterable[str], terms: LinkTerms) -> frozenset[str]:
    """Whose traffic crosses; where the plan moves traffic while links are down, also theirs that crossed those."""
    if direction.name in down or not direction.takes_over:
        return direction.crossing
    return direction.crossing.union(*(terms.directions[name].crossing for name in down if name in terms.directions))


def _cause_of(alarm: Alarm, direction: Direction, who: frozenset[str], seen_ns: int) -> _Cause:
    down = alarm.trouble is Trouble.DOWN
    return _Cause(
        alarm.trouble,
        alarm.says,
        who,
        silent=direction.through if down else frozenset(),
        details={"link": direction.name, **alarm.details},
        at_once=down,
        seen_ns=seen_ns,
    )


def _harm(name: str, harm: str, reading: CanaryReading, links: Mapping[str, LinkMemory], terms: LinkTerms) -> _Cause:
    """Of generators that cross a link in trouble on the customer's path; where none is, of those on the path at all."""
    canary = terms.canaries[name]
    recent_ns = reading.at_ns - REACTION_NS - 3 * terms.every_ns
    acute = [link for link in canary.path if link in links and links[link].acute_ns >= recent_ns]
    says = f"customers feel it: of {name}, {harm}"
    details = {"canary": name, "links": sorted(acute)}
    return _Cause(
        "canary", says, _beside(acute or canary.path, terms), details=details, seen_ns=reading.at_ns - canary.every_ns
    )


def _beside(path: Iterable[str], terms: LinkTerms) -> frozenset[str]:
    """Generators whose traffic shares a link with a path; all of them where the map knows of none."""
    crossing = [terms.directions[link].crossing for link in path if link in terms.directions]
    return frozenset().union(*crossing) or frozenset(terms.generators)


def _settled(state: LinkGuardState, generator: str, at_ns: int, every_ns: int) -> bool:
    """Whether what was last cut of a generator can show in a reading of `at_ns`."""
    return at_ns - every_ns >= state.cut_ns.get(generator, -REACTION_NS) + REACTION_NS


def _cut(state: LinkGuardState, causes: Sequence[_Cause], now_ns: int) -> tuple[LinkGuardState, tuple[SetParts, ...]]:
    """Each generator at most once, for the first cause that names it, and not again before that could show."""
    parts, cut_ns, clean = dict(state.parts), dict(state.cut_ns), dict(state.clean)
    actions: list[SetParts] = []
    for cause in causes:
        new: dict[str, float] = {}
        for name in sorted(cause.who & parts.keys()):
            waits = cause.seen_ns < cut_ns.get(name, -REACTION_NS) + REACTION_NS
            clean[name] = 0
            if name in cause.silent and parts[name] > 0:
                new[name] = 0.0
            elif parts[name] > 0 and (not waits or (cause.at_once and cut_ns.get(name) != now_ns)):
                half = parts[name] * CUT
                new[name] = half if half >= PART_MIN else 0.0
        if not new:
            continue
        parts |= new
        cut_ns |= dict.fromkeys(new, now_ns)
        actions.append(SetParts(new, cause.reason, f"{cause.says}: {_names(new)}", cause.details))
    return replace(state, parts=parts, cut_ns=cut_ns, clean=clean), tuple(actions)


def _names(parts: Mapping[str, float], shown_max: int = 6) -> str:
    shown = [f"{name} to {part:.0%}" for name, part in list(parts.items())[:shown_max]]
    more = f" and {len(parts) - shown_max} more" if len(parts) > shown_max else ""
    return f"cut {', '.join(shown)}{more}"


def _staleness(
    state: LinkGuardState, look: NetworkLook, terms: LinkTerms
) -> tuple[LinkGuardState, tuple[LinkAction, ...]]:
    """Blind: nothing rises; blind for longer: stop."""
    oldest, polls = "", 0.0
    for name, age in _ages(state, look.now_ns, terms):
        if age > polls:
            oldest, polls = name, age
    says = f"nothing was heard of {oldest} for {polls:.1f} polls"
    if polls > STALE_STOP_POLLS:
        return replace(state, stopped=True), (
            StopRun("telemetry-lost", f"{says}: nobody watches the links, so nothing may be sent"),
        )
    if polls > STALE_FREEZE_POLLS and state.frozen is None:
        frozen = {name: look.due_per_s.get(name, 0.0) for name in terms.generators}
        return replace(state, frozen=frozen), (Freeze("telemetry-stale", f"{says}: no rate rises until it is back"),)
    if polls <= STALE_FREEZE_POLLS and state.frozen is not None:
        return replace(state, frozen=None), (Thaw("telemetry-stale", "everything is heard of again"),)
    return state, ()


def _ages(state: LinkGuardState, now_ns: int, terms: LinkTerms) -> Iterable[tuple[str, float]]:
    """How many polls ago each sense was last heard."""
    for name in terms.background.keys() & terms.directions.keys():
        last_ns = max(state.links[name].last_ns if name in state.links else 0, state.began_ns)
        yield name, (now_ns - last_ns) / terms.every_ns
    for name, canary in terms.canaries.items():
        if canary.baseline is not None:
            last_ns = max(state.canaries[name].last_ns if name in state.canaries else 0, state.began_ns)
            yield f"canary {name}", (now_ns - last_ns) / canary.every_ns


def _rise(state: LinkGuardState, now_ns: int, terms: LinkTerms) -> LinkGuardState:
    """Once per poll: whoever met no trouble for a while and has room on every link may send a little more."""
    if now_ns - state.poll_ns < terms.every_ns:
        return state
    state = replace(state, poll_ns=now_ns)
    cut = {name for name, part in state.parts.items() if part < 1.0}
    if not cut:
        return state
    down = {name for name, memory in state.links.items() if memory.down}
    troubled = _troubled(state, terms, down)
    clean = {name: 0 if name in troubled else state.clean.get(name, 0) + 1 for name in terms.generators}
    state = replace(state, clean=clean)
    if state.frozen is not None:
        return state
    rising = {name for name in cut if clean[name] > CLEAN_POLLS}
    for name, memory in state.links.items():
        direction = terms.directions[name]
        more = sum(direction.by_generator.get(one, 0.0) for one in rising) * RISE
        if rising & _who(direction, down, terms) and more > room_bps(direction, memory, failing=bool(down)):
            rising -= _who(direction, down, terms)
    parts = {name: min(1.0, part + RISE) if name in rising else part for name, part in state.parts.items()}
    return replace(state, parts=parts)


def _troubled(state: LinkGuardState, terms: LinkTerms, down: set[str]) -> set[str]:
    found: set[str] = set()
    for name, memory in state.links.items():
        direction = terms.directions[name]
        if memory.trouble is Trouble.DOWN:
            found |= direction.through
        elif memory.trouble is not None:
            found |= _who(direction, down, terms)
    for name, felt in state.canaries.items():
        if felt.hurt:
            found |= _beside(terms.canaries[name].path, terms)
    return found


def _tell_parts(
    state: LinkGuardState, look: NetworkLook, cuts: Sequence[SetParts]
) -> tuple[LinkGuardState, tuple[SetParts, ...]]:
    """The parts to be set now: while frozen, a profile that rises is held where it was."""
    told = {name: part * _held(state, name, look) for name, part in state.parts.items()}
    cuts = [replace(cut, parts={name: told[name] for name in cut.parts}) for cut in cuts]
    named = {name for cut in cuts for name in cut.parts}
    other = {
        name: part for name, part in told.items() if name not in named and abs(part - state.told.get(name, 1.0)) > 1e-9
    }
    if other:
        cuts.append(SetParts(other, "held" if state.frozen is not None else "rise"))
    return replace(state, told=told), tuple(cuts)


def _held(state: LinkGuardState, name: str, look: NetworkLook) -> float:
    due = look.due_per_s.get(name, 0.0)
    if state.frozen is None or due <= state.frozen.get(name, 0.0) * FROZEN_SLACK:
        return 1.0
    return state.frozen.get(name, 0.0) / due
