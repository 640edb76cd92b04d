"""A small world in which every cause can be played: sources, an edge, a path, balancers. Seconds come out of it.

It is made of what the devices do to single exchanges (dropped on the way in, or out; refused; stalled …), not of what
the classifier looks for. A generator is open loop, caps what is in flight, and times out after three seconds.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from maul.core.operation import ErrorClass
from maul.core.vantage import Attempt, Notice, Question, Reach, TcpFacts, Vantage
from maul.guard.mitigation.causes import Cause
from maul.guard.mitigation.signals import BalancerSecond, GeneratorSecond, LinkSecond, Second
from maul.guard.mitigation.terms import ClassifyTerms

NS = 1_000_000_000
START_NS = 1_700_000_000 * NS
TIMEOUT_S = 3
ADDRESSES = {"vip": "198.51.100.10", "control": "203.0.113.10", "neighbour": "198.51.100.20", "private": "10.77.0.1"}
USUAL = TcpFacts(rtt_ms=0.4, mss=1460, send_wscale=7, sack=True, timestamps=True, window_zero=False, syn_retransmits=0)
PUBLIC = {"vip", "control", "neighbour"}


@dataclass(frozen=True)
class Exchange:
    """Somebody tries to get an answer. `new`: by a new connection. `at_s`: since the trouble began."""

    who: str
    kind: str  # generator, external, ops, inside
    rack: str
    door: str
    at_s: float
    new: bool
    large: bool = False
    other_port: bool = False
    load: float = 1.0  # offered now, against what was offered when it began; 0: silent


@dataclass(frozen=True)
class Fate:
    """How it ends. `arrived`: the balancer saw it (`at` which)."""

    word: str = "ok"  # ok lost-in lost-out rst reset icmp prohibited stall unanswered 503 502 local
    ms: float = 3.0
    tcp: TcpFacts = USUAL
    connect_ms: float = 0.5
    at: str = "lb"


OK = Fate()
LOST = Fate("lost-in", at="")
Play = Callable[[Exchange, random.Random], Fate]


@dataclass
class Setup:
    """What there is and how long it goes. `freeze_s`: after the onset the load is silent; None: never."""

    play: Play = lambda exchange, rng: OK
    generators: Sequence[tuple[str, str]] = (("gen1", "r1"), ("gen2", "r1"), ("gen3", "r2"), ("gen4", "r2"))
    rate: float = 30.0  # of each generator
    fresh: float = 0.05  # share of operations on a new connection
    large: float = 0.0  # share of operations that fill frames
    before_s: int = 15
    after_s: int = 26
    freeze_s: int | None = 3
    growth: float = 0.0  # of the offered rate, per second
    seed: int = 1
    kills: str = ""  # old connections at the onset: "", "reset", "silent"
    balancers: Callable[[str, BalancerSecond, float, float], BalancerSecond] = lambda name, one, at_s, load: one
    links: Callable[[float], dict[str, LinkSecond]] = lambda at_s: {"up-r1": LinkSecond(True, 0, 0.2, ("r1",))}
    notices: Sequence[tuple[float, str, str]] = ()
    exhausts: frozenset[str] = frozenset()
    feed: bool = True
    played: Cause | None = None
    name: str = ""


@dataclass
class _Generator:
    pending: list[tuple[int, ErrorClass]] = field(default_factory=list)  # when it times out, as what
    old_dead: bool = False


@dataclass
class _Now:
    """The second that is made."""

    setup: Setup
    second: int
    load: float
    rng: random.Random
    states: dict[str, _Generator]
    packets: dict[str, float] = field(default_factory=lambda: {"lb": 0.0, "lb2": 0.0})
    syns: dict[str, float] = field(default_factory=lambda: {"lb": 0.0, "lb2": 0.0})

    @property
    def at_s(self) -> float:
        """Since it began, which is within a second and not at its edge."""
        return self.second - self.setup.before_s + 0.4

    def fate(self, asked: Exchange, packets: int = 8) -> Fate:
        """How the exchange ends; a balancer that sees it counts it."""
        fate = self.setup.play(asked, self.rng) if asked.at_s >= 0 else OK
        if fate.at and asked.door == "vip":
            self.packets[fate.at] += packets if fate.word == "ok" else 3
            self.syns[fate.at] += asked.new
        return fate


def terms_of(setup: Setup) -> ClassifyTerms:
    """The place as the classifier is told of it."""
    return ClassifyTerms(
        generators=dict(setup.generators),
        loaded=["vip"],
        control=["neighbour", "control"],  # a neighbour is of that kind, too
        neighbours=["neighbour"],
        private=["private"],
        lookouts={"ext": Vantage.EXTERNAL, "ops": Vantage.CONTROL, "store": Vantage.INSIDE},
        balancers=["lb", "lb2"],
        feeds=["router"] if setup.feed else [],
        addresses=ADDRESSES,
        sources={
            "ext": "192.0.2.2",
            "ops": "10.77.0.2",
            **{name: f"10.77.{i}.5" for i, (name, _) in enumerate(setup.generators)},
        },
        port=8443,
        other_port=80,
    )


def play(setup: Setup) -> list[Second]:
    """Every second of it."""
    rng = random.Random(setup.seed)
    states = {name: _Generator() for name, _ in setup.generators}
    seconds = []
    for second in range(setup.before_s + setup.after_s):
        at_s = second - setup.before_s + 0.4
        silent = setup.freeze_s is not None and at_s >= setup.freeze_s
        now = _Now(setup, second, 0.0 if silent else 1 + setup.growth * second, rng, states)
        generators = {} if silent else {name: _generator(now, name, rack) for name, rack in setup.generators}
        asked = _attempts(now)
        balancers = {}
        for name in ("lb", "lb2"):
            usual = BalancerSecond(
                vip_packets=now.packets[name],
                vip_syns=now.syns[name],
                answer_packets=now.packets[name],
                idle_ratio=max(0.05, 0.95 - now.packets[name] / 10_000),
                cpu_ratio=0.2,
                listening=True,
                backends_up=4,
                backends=4,
                syn_received=0.0,
                syn_ack_retransmits=0.0,
                accept_overflows=0.0,
                tracked_ratio=0.1,
                tracked_drops=0.0,
                answers=True,
                process_answers=True,
            )
            balancers[name] = setup.balancers(name, usual, at_s, now.load) if at_s >= 0 else usual
        told = [
            Notice(START_NS + second * NS, "router", prefix, action)
            for when, prefix, action in setup.notices
            if when <= at_s < when + 1
        ]
        links = setup.links(at_s)
        seconds.append(Second(START_NS + (second + 1) * NS, generators, asked, told, balancers, links, silent))
    return seconds


_FAILS = {
    "reset": ErrorClass.RESET,
    "503": ErrorClass.SLOW_DOWN,
    "502": ErrorClass.GATEWAY_ERROR,
    "icmp": ErrorClass.CONNECT_FAILED,
    "prohibited": ErrorClass.CONNECT_FAILED,
}


class _Tally:
    """What one generator counts within a second."""

    def __init__(self, now: _Now, name: str) -> None:
        self.now, self.name, self.state = now, name, now.states[name]
        self.ok = self.opened = self.exhausted = self.moved = 0.0
        self.failed: dict[ErrorClass, float] = {}
        self.times: list[float] = []
        self.connects: list[float] = []

    def fail(self, kind: ErrorClass, count: int = 1) -> None:
        self.failed[kind] = self.failed.get(kind, 0.0) + count

    def old_die(self) -> None:
        """What stood is gone from now on; what was on it when it was reset is told so."""
        if not self.state.old_dead:
            self.state.old_dead = True
            if self.now.setup.kills == "reset":
                self.fail(ErrorClass.RESET, 8)

    def send(self, asked: Exchange) -> None:
        if asked.new and self.name in self.now.setup.exhausts and asked.at_s >= 0:
            self.exhausted += 1
            self.fail(ErrorClass.EXHAUSTED)
            return
        fate = self.now.fate(asked, 10)
        if fate.word == "ok" and fate.ms <= TIMEOUT_S * 1000:
            self.ok += 1
            self.opened += asked.new
            self.moved += 60_000 if asked.large else 4_000
            self.times.append(fate.ms)
            self.connects += [fate.connect_ms] if asked.new else []
        elif fate.word == "rst":
            self.fail(ErrorClass.CONNECT_REFUSED if asked.new or self.state.old_dead else ErrorClass.RESET)
            self.state.old_dead = True
        elif fate.word in _FAILS:
            self.fail(_FAILS[fate.word])
        else:
            kind = ErrorClass.CONNECT_TIMEOUT if asked.new and fate.word.startswith("lost") else ErrorClass.TIMEOUT
            self.state.pending.append((self.now.second + TIMEOUT_S, kind))


def _generator(now: _Now, name: str, rack: str) -> GeneratorSecond:
    setup, rng, state = now.setup, now.rng, now.states[name]
    rate = setup.rate * now.load
    due = max(0, round(rng.gauss(rate, rate**0.5 * 0.3)))
    tally, dropped = _Tally(now, name), 0
    for index in range(due):
        if len(state.pending) >= max(8.0, 4 * setup.rate):
            dropped += 1
            continue
        moment = now.at_s - 0.4 + index / due
        if moment >= 0 and setup.kills:
            tally.old_die()
        new = rng.random() < setup.fresh or (state.old_dead and setup.kills == "reset" and rng.random() < 0.5)
        tally.send(Exchange(name, "generator", rack, "vip", moment, new, rng.random() < setup.large, load=now.load))
    for when, kind in [each for each in state.pending if each[0] <= now.second]:
        tally.fail(kind)
        state.pending.remove((when, kind))
    times, connects = sorted(tally.times), sorted(tally.connects)
    return GeneratorSecond(
        rack=rack,
        due=due,
        ok=tally.ok,
        dropped=dropped,
        failed=tally.failed,
        in_flight=len(state.pending) + (2 if tally.ok else 0),
        opened=tally.opened,
        connections=20,
        exhausted=tally.exhausted,
        bytes_received=tally.moved,
        p50_ms=times[len(times) // 2] if times else None,
        p99_ms=times[-1] if times else None,
        connect_p50_ms=connects[len(connects) // 2] if connects else None,
        cpu_ratio=0.3,
    )


def _attempts(now: _Now) -> list[Attempt]:
    out = [one for name, rack in now.setup.generators for one in _sentinel(now, name, rack)]
    for vantage, who, kind, door in (
        (Vantage.EXTERNAL, "ext", "external", "vip"),
        (Vantage.CONTROL, "ops", "ops", "control"),
        (Vantage.INSIDE, "store", "inside", "private"),
    ):
        asked = Exchange(who, kind, "r9", door, now.at_s, True, load=now.load)
        out.append(_attempt(now, asked, Question(vantage, who, door)))
    if now.load == 0:
        turn = now.second % 6
        name, rack = now.setup.generators[(now.second // 6) % len(now.setup.generators)]
        door = {2: "control", 3: "neighbour"}.get(turn, "vip")
        asked = Exchange(name, "generator", rack, door, now.at_s, True, turn == 4, other_port=turn == 1, load=0)
        out.append(_attempt(now, asked, Question(Vantage.IDLE, name, door, 80 if turn == 1 else 0, turn == 4)))
    return out


def _sentinel(now: _Now, name: str, rack: str) -> list[Attempt]:
    question, kills = Question(Vantage.SENTINEL, name, "vip"), now.setup.kills
    if not kills or now.at_s < 0:
        asked = Exchange(name, "generator", rack, "vip", now.at_s, False, load=now.load)
        return [_attempt(now, asked, question)]
    if kills == "silent" and now.at_s < 10:
        return [Attempt(_began(now), question, Reach.STALLED)]
    return [Attempt(_began(now), question, Reach.RESET)] if kills == "reset" and now.at_s < 1 else []


def _began(now: _Now) -> int:
    return START_NS + round((now.second + 0.4) * NS)


_REACHES = {
    "stall": Reach.STALLED,
    "unanswered": Reach.STALLED,
    "reset": Reach.RESET,
    "local": Reach.LOCAL,
    "icmp": Reach.UNREACHABLE,
    "prohibited": Reach.PROHIBITED,
    "503": Reach.REJECTED,
    "502": Reach.FAILED,
}


def _attempt(now: _Now, asked: Exchange, question: Question) -> Attempt:
    fate = now.fate(asked)
    connect, tls = (fate.connect_ms, 1.0) if asked.new else (None, None)
    if fate.word == "ok":
        reach = Reach.STALLED if fate.ms > 2000 else Reach.ANSWERED
        return Attempt(_began(now), question, reach, 200, connect, tls, fate.ms, fate.tcp)
    if fate.word == "rst":
        return Attempt(_began(now), question, Reach.REFUSED if asked.new else Reach.RESET)
    if fate.word.startswith("lost"):
        return Attempt(_began(now), question, Reach.TIMEOUT if asked.new else Reach.STALLED)
    reach = _REACHES[fate.word]
    if asked.other_port and fate.word == "stall":
        reach = Reach.ANSWERED  # only TCP is tried there
    stood = fate.word in {"stall", "unanswered", "503", "502"}
    return Attempt(
        _began(now),
        question,
        reach,
        connect_ms=connect if stood else None,
        tls_ms=tls if fate.word in {"unanswered", "503", "502"} else None,
    )
