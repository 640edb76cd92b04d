"""Every cause, as a device does it to single exchanges; several ways where devices differ. Used by tests."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from play_world import LOST, OK, PUBLIC, USUAL, Exchange, Fate, Play, Setup

from maul.guard.mitigation.causes import Cause
from maul.guard.mitigation.signals import BalancerSecond, LinkSecond


def towards(doors: set[str], fate: Fate = LOST, until_s: float = 1e9) -> Play:
    """Whatever goes to these doors ends so."""
    return lambda one, rng: fate if one.door in doors and one.at_s < until_s else OK


def _other_port_lives(one: Exchange, rng: random.Random) -> Fate:
    return LOST if one.door == "vip" and not one.other_port else OK


def _banned(names: frozenset[str], fate: Fate, doors: set[str]) -> Play:
    return lambda one, rng: fate if one.who in names and one.door in doors else OK


def _some(share: float, bad: Fate, where: Callable[[Exchange], bool]) -> Play:
    return lambda one, rng: bad if where(one) and rng.random() < share else OK


def _scrubbed(one: Exchange, rng: random.Random) -> Fate:
    if one.door != "vip" or one.kind == "inside":
        return OK
    if one.at_s < 4:
        return LOST
    if not one.new and one.kind == "generator" and one.load == 0:
        return LOST
    return Fate(ms=15.0, connect_ms=12.0, tcp=replace(USUAL, rtt_ms=12.0))


def _proxied(tcp_zero: bool) -> Play:
    facts = replace(USUAL, window_zero=True) if tcp_zero else replace(USUAL, mss=1400, sack=False, timestamps=False)
    return lambda one, rng: Fate(tcp=facts, connect_ms=1.0) if one.door == "vip" and one.new else OK


def _hung(one: Exchange, rng: random.Random) -> Fate:
    if one.new and one.at_s < 6:
        return Fate("stall")
    return Fate("lost-late" if one.new else "unanswered")


def _stopped_balancer(name: str, one: BalancerSecond, at_s: float, load: float) -> BalancerSecond:
    if name != "lb":
        return one
    late = None if at_s < 1 else False  # an answer that is late once says nothing
    return replace(
        one, process_answers=late, idle_ratio=None, accept_overflows=20.0 if at_s > 5 and load else 0.0, sessions=None
    )


def _dead_machine(name: str, one: BalancerSecond, at_s: float, load: float) -> BalancerSecond:
    return BalancerSecond(answers=False) if name == "lb" else one


def _gone_listener(name: str, one: BalancerSecond, at_s: float, load: float) -> BalancerSecond:
    return (
        replace(one, listening=False, process_answers=False, idle_ratio=None, resets_sent=50.0) if name == "lb" else one
    )


def _full_table(name: str, one: BalancerSecond, at_s: float, load: float) -> BalancerSecond:
    return replace(one, tracked_ratio=1.0, tracked_drops=12.0 if load else 1.0) if name == "lb" else one


def _no_backends(name: str, one: BalancerSecond, at_s: float, load: float) -> BalancerSecond:
    return replace(one, backends_up=0, server_errors=300.0) if name == "lb" else one


def _answers_lost(name: str, one: BalancerSecond, at_s: float, load: float) -> BalancerSecond:
    return replace(one, syn_received=12.0, syn_ack_retransmits=20.0) if name == "lb" else one


def _failover(one: Exchange, rng: random.Random) -> Fate:
    if one.door not in PUBLIC:
        return OK
    if one.at_s < 3:
        return LOST
    return Fate("reset", at="lb2") if not one.new and one.at_s < 4 else Fate(at="lb2")


def _large_lost(one: Exchange, rng: random.Random) -> Fate:
    return Fate("unanswered") if one.large and one.door in PUBLIC else OK


def _new_lost(kinds: set[str], share: float, fate: Fate) -> Play:
    return _some(share, fate, lambda one: one.new and one.kind in kinds and one.door in PUBLIC)


def _squeezed(one: Exchange, rng: random.Random) -> Fate:
    """A full queue: late for everybody who crosses it, lost for some; soon well when nobody sends."""
    if one.load == 0 or one.kind not in {"generator", "ops"} or one.door not in PUBLIC:
        return OK
    return LOST if rng.random() < 0.3 else Fate(ms=80.0 + 40 * rng.random(), connect_ms=40.0)


def _policed(one: Exchange, rng: random.Random) -> Fate:
    if one.door != "vip" or one.load == 0:
        return OK
    return LOST if rng.random() < 1 - 0.35 / one.load else Fate(ms=6.0)


def link(
    up: bool = True, discards: float = 0.0, ratio: float = 0.2, racks: Sequence[str] = ("r1",)
) -> Callable[[float], dict[str, LinkSecond]]:
    return lambda at_s: {
        "up-r1": LinkSecond(up, discards, ratio, racks) if at_s >= 0 else LinkSecond(True, 0, 0.2, racks),
        "up-r2": LinkSecond(True, 0, 0.2, ("r2",)),
    }


def plays() -> Iterator[Setup]:
    """Each cause, each way that it is played."""
    one_of_each = frozenset({"gen1", "gen3"})
    everybody = frozenset({"gen1", "gen2", "gen3", "gen4"})
    drop = Setup(play=towards({"vip"}), kills="silent")

    def way(cause: Cause, name: str, base: Setup = Setup(), **changes: object) -> Setup:  # noqa: B008
        return replace(base, played=cause, name=f"{cause.value}: {name}", **changes)  # type: ignore[arg-type]

    yield way(Cause.VIP_BLACK_HOLE, "silent", drop)
    yield way(Cause.VIP_BLACK_HOLE, "told", drop, notices=[(2, "198.51.100.10/32", "drop")])
    yield way(Cause.VIP_BLACK_HOLE, "admin-prohibited", drop, play=towards({"vip"}, Fate("prohibited", at="")))
    yield way(Cause.SUBNET_BLACK_HOLE, "silent", drop, play=towards({"vip", "neighbour"}))
    banned = _banned(one_of_each, LOST, PUBLIC)
    yield way(Cause.GENERATORS_BANNED, "two, by source", play=banned, freeze_s=4)
    yield way(
        Cause.GENERATORS_BANNED,
        "two, by destination",
        play=_banned(one_of_each, Fate("lost-out"), PUBLIC),
        balancers=_answers_lost,
    )
    yield way(Cause.GENERATORS_BANNED, "all", play=_banned(everybody, LOST, PUBLIC), kills="silent")
    yield way(Cause.PORT_DISCARD, "flowspec", drop, play=_other_port_lives)
    yield way(Cause.POLICER, "a third passes", play=_policed, freeze_s=None)
    yield way(Cause.POLICER, "while it grows", play=_policed, freeze_s=None, growth=0.01)
    yield way(Cause.SCRUBBING, "four seconds", play=_scrubbed, kills="reset")
    yield way(Cause.SCRUBBING, "nobody freezes", play=_scrubbed, kills="reset", freeze_s=None)
    yield way(Cause.SYN_PROXY, "other options", play=_proxied(False), kills="reset", freeze_s=None, fresh=0.3)
    yield way(Cause.SYN_PROXY, "zero window", play=_proxied(True), kills="reset", freeze_s=None, fresh=0.3)
    refused = towards({*PUBLIC, "private"}, Fate("rst"))
    yield way(Cause.BALANCER_DOWN, "killed", play=refused, kills="reset", balancers=_gone_listener)
    yield way(Cause.BALANCER_HUNG, "stopped", play=_hung, kills="silent", balancers=_stopped_balancer)
    gone = towards({*PUBLIC, "private"})
    yield way(Cause.BALANCER_HUNG, "machine", play=gone, kills="silent", balancers=_dead_machine)
    table = _some(0.85, Fate("lost-late"), lambda one: one.new)
    yield way(Cause.CONNTRACK_FULL, "on the balancer", play=table, balancers=_full_table, freeze_s=None, fresh=0.4)
    nat = _new_lost({"generator", "ops"}, 0.9, LOST)
    yield way(Cause.NAT_FULL, "before us all", play=nat, freeze_s=None, fresh=0.4)
    cut = _some(1.0, LOST, lambda one: one.rack == "r1" and one.door in PUBLIC)
    yield way(Cause.LINK_DOWN, "of a rack", play=cut, links=link(up=False))
    yield way(
        Cause.LINK_CONGESTED, "of us all", play=_squeezed, freeze_s=None, links=link(True, 900, 0.99, ("r1", "r2"))
    )
    yield way(Cause.GENERATOR_EXHAUSTED, "ports of two", exhausts=frozenset({"gen1", "gen2"}), fresh=0.9, freeze_s=None)
    throttled = _some(0.5, Fate("503"), lambda one: one.kind == "generator" and one.load > 0)
    yield way(Cause.APPLICATION_THROTTLE, "half", play=throttled, freeze_s=None)
    nobody = towards({*PUBLIC, "private"}, Fate("502"))
    yield way(Cause.BACKENDS_DOWN, "all", play=nobody, balancers=_no_backends, freeze_s=None)
    yield way(Cause.VIP_FAILOVER, "frozen", play=_failover, kills="reset")
    yield way(Cause.VIP_FAILOVER, "nobody freezes", play=_failover, kills="reset", freeze_s=None)
    yield way(Cause.MTU_HOLE, "half is large", play=_large_lost, large=0.5, freeze_s=6)


def saturation(seed: int = 1, growth: float = 0.04, rate: float = 100.0, freeze_s: int | None = None) -> Setup:
    """A clean ramp into a balancer that can do 1.6 times the first rate: slower and slower, then too slow."""
    capacity = 1.6

    def slow(one: Exchange, rng: random.Random) -> Fate:
        if one.load == 0:
            return OK
        use = one.load / capacity
        ms = min(9000.0, 3.0 / max(0.002, 1 - use)) if use < 1 else 800 + 6000 * (use - 1) + 3000 * rng.random()
        if use > 1 and one.new and rng.random() < min(0.5, use - 1):
            return Fate("lost-late")
        return Fate(ms=ms, connect_ms=min(ms, 1500.0))

    def busy(name: str, one: BalancerSecond, at_s: float, load: float) -> BalancerSecond:
        use = load / capacity
        return replace(
            one,
            idle_ratio=max(0.01, 1 - use),
            cpu_ratio=min(1.0, use),
            accept_overflows=max(0.0, 200 * (use - 1)),
            syn_received=max(0.0, 40 * (use - 1)),
        )

    # The world asks a play only once it began: the trouble of a ramp is there from the first second.
    return Setup(
        play=slow,
        balancers=lambda name, one, at_s, load: busy(name, one, at_s, load) if name == "lb" else one,
        before_s=0,
        after_s=70,
        growth=growth,
        rate=rate,
        freeze_s=freeze_s,
        seed=seed,
        played=Cause.BALANCER_SATURATED,
        name="balancer-saturated: a clean ramp",
    )
