"""Everything that can be told of an episode, each feature only where somebody was there to see it. Pure."""

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import fmean, median, stdev

from maul.core.operation import ErrorClass
from maul.guard.mitigation import doors, machines
from maul.guard.mitigation.digest import NS, Digest
from maul.guard.mitigation.doors import Reading
from maul.guard.mitigation.episode import Episode, expected
from maul.guard.mitigation.terms import ClassifyTerms

TOGETHER_NS = 3 * NS
DIP_NS = 9 * NS  # a connection that hears nothing for longer dies by itself
ALL, PART, FEW = 0.9, 0.15, 0.03  # shares of what was due that got no answer at all
SICK, WELL = 0.6, 0.9  # parts of what is due
RESENT_MIN, RESENT_TIMES = 5.0, 4.0  # segments per second
OPENED_MIN = 8  # new connections of the load that tell as much as one that is tried

Features = Mapping[str, Reading]
"""By name; what is not in it could not be seen. The names and levels are those of `table`."""


def features(episode: Episode, terms: ClassifyTerms) -> Features:
    """Everything that can be told."""
    felt = doors.felt(episode, terms)
    sick = episode.dead if episode.alive else frozenset[str]()
    fresh = _fresh(episode, felt)
    external = doors.door("the target, asked from outside,", felt.get("external"))
    sentinel = doors.sentinels(felt.get("sentinel"), sick)
    near = [felt[kind] for kind in ("fresh", "external") if kind in felt]
    found: dict[str, Reading | None] = {
        "loss": _loss(episode),
        "errors": _errors(episode),
        "pace": _pace(episode),
        "who": _who(episode, terms),
        "sentinel": sentinel,
        "fresh": fresh,
        "external": external,
        "control": doors.door("the control address", felt.get("control")),
        "control_ours": doors.door("the control address, asked from a generator's host,", felt.get("control_ours")),
        "inside": doors.door("the private address", felt.get("inside")),
        "neighbour": doors.door("another address of the same prefix", felt.get("neighbour")),
        "port": doors.port(felt.get("port")),
        "large": doors.large(felt.get("large"), fresh or external or sentinel),
        "handshake": doors.handshake(near, felt.get("sentinel")) or _late_connects(episode),
        "way": doors.way(near),
        "relief": _relief(episode, felt),
        "revival": _revival(episode, felt, sentinel),
        "links": machines.links(episode, terms),
        "notice": machines.notices(episode, terms),
        "exhausted": _exhausted(episode),
        "sizes": _sizes(episode),
        "established": _established(episode),
        "goodput": _goodput(episode),
        "resent": _resent(episode),
        **machines.balancers(episode, felt),
    }
    return {name: reading for name, reading in found.items() if reading is not None}


def _sums(seconds: Sequence[Digest]) -> tuple[float, float, float]:
    """Answers, error replies, and what got none."""
    return sum(one.ok for one in seconds), sum(one.replies for one in seconds), sum(one.lost for one in seconds)


def _due(episode: Episode, seconds: Sequence[Digest]) -> float:
    everything = [*episode.before, *episode.during]
    places = {each.at_ns: index for index, each in enumerate(everything)}
    usual = fmean(each.ok for each in episode.before) if episode.before else 0.0
    total = 0.0
    for each in seconds:
        due = expected(everything, places[each.at_ns], min(episode.ratio, 1.0))
        total += due if due > 0 or each.in_flight <= 0 else usual  # a closed loop waits for its answers
    return total


def _loss(episode: Episode) -> Reading | None:
    """How much of what was due got no answer at all, be it an error."""
    seconds = episode.settled
    if not seconds or episode.paused:
        return None
    ok, replies, _ = _sums(seconds)
    due = _due(episode, seconds)
    if due < 3:
        return None
    missing = max(0.0, 1 - (ok + replies) / due)
    says = f"{100 * missing:.0f} % of what was due got no answer, within {len(seconds)} s"
    if missing >= ALL:
        return Reading("all", says)
    return Reading("part" if missing >= PART else "few" if missing >= FEW else "none", says)


def _errors(episode: Episode) -> Reading | None:
    """What kind the failures are. What hangs unanswered is silence, long before a timeout tells so."""
    seconds = episode.during[-10:]
    if not seconds or episode.paused:
        return None
    mix: dict[str, float] = {}
    for each in seconds:
        for kind, count in each.kinds.items():
            mix[kind] = mix.get(kind, 0.0) + count
    usual = episode.before[-1].in_flight if episode.before else 0.0
    mix["hanging"] = max(0.0, seconds[-1].in_flight - usual)
    silent = mix.pop("hanging") + mix.pop("unconnected", 0.0) + mix.pop("unanswered", 0.0)
    mix["silence"] = silent
    total = sum(mix.values())
    if total < 1:
        return Reading("silence", "nothing failed and nothing came back") if _stuck(episode) else None
    most = max(mix, key=lambda kind: mix[kind])
    share = mix[most] / total
    if share < 0.6:
        shown = ", ".join(f"{100 * count / total:.0f} % {kind}" for kind, count in sorted(mix.items()) if count)
        return Reading("mixed", f"failures: {shown}")
    words = {"local": "for want of a port or descriptor here"}
    return Reading(most, f"{100 * share:.0f} % of the failures: {words.get(most, most)}")


def _stuck(episode: Episode) -> bool:
    return bool(episode.settled) and all(each.ok == 0 and each.in_flight > 0 for each in episode.settled)


def _pace(episode: Episode) -> Reading | None:
    """Whether answers ceased at once, or became slower and slower before (the sign of saturation)."""
    long = [each for each in episode.everything if each.loaded and each.at_ns <= episode.began_ns + NS // 2][-60:]
    times = [each.p50_ms for each in long if each.p50_ms is not None]
    if len(times) < 6:
        return None
    early, late = median(times[: max(3, len(times) // 3)]), median(times[-3:])
    grew = late / early if early > 0 else 1.0
    waiting = sum(each.waiting for each in long[-3:]) > 0.02 * sum(each.due for each in long[-3:])
    says = f"the median answer took {late:.1f} ms just before, {early:.1f} ms earlier"
    if (grew >= 2.0 and late - early >= 2.0) or (waiting and grew >= 1.5):
        return Reading("gradual", says)
    return Reading("step", says) if grew < 1.5 and not waiting else None


def _who(episode: Episode, terms: ClassifyTerms) -> Reading | None:
    """Which generators got nothing: all within moments, those of whole racks, several, one; or none entirely."""
    dead, alive = episode.dead, episode.alive
    total = len(dead) + len(alive)
    if total <= 1:
        return Reading("alone", "there is one generator only") if dead else None
    if not dead:
        sick = _sick(episode)
        if sick:
            return Reading("uneven", f"{_some(sick)}, of {total} generators, get fewer answers than the others")
        return Reading("even", f"each of {total} generators still gets answers")
    first = min(episode.died_ns.values())
    together = sum(at - first <= TOGETHER_NS for at in episode.died_ns.values())
    says = f"{len(dead)} of {total} generators got no answer any more, {together} of them within 3 s"
    if not alive or len(dead) / total > 0.95:
        return Reading("all" if together >= 0.9 * len(dead) else "one-by-one", says)
    racks = {name: terms.generators.get(name) or machines.rack_of(episode, name) for name in dead | alive}
    of_dead, of_alive = {racks[name] for name in dead}, {racks[name] for name in alive}
    if "" not in of_dead | of_alive and not of_dead & of_alive:
        return Reading("racks", f"{says}: exactly those of {', '.join(sorted(of_dead))}")
    return Reading("one" if len(dead) == 1 else "several", f"{says}: {_some(dead)}")


def _some(names: frozenset[str]) -> str:
    shown = sorted(names)[:4]
    return ", ".join(shown) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _late_connects(episode: Episode) -> Reading | None:
    """New connections of the load take a second longer than they did: their first SYN is wasted."""
    was = [each.connect_p50_ms for each in episode.before if each.connect_p50_ms is not None]
    now = [each.connect_p50_ms for each in episode.settled if each.connect_p50_ms is not None]
    if len(was) < 3 or len(now) < 3:
        return None
    if median(now) - median(was) >= 800:
        return Reading("late", f"a new connection of the load takes {median(now):.0f} ms, {median(was):.0f} ms before")
    return None


def _sick(episode: Episode) -> frozenset[str]:
    """Generators that get far fewer answers than is due, while others get all."""
    if episode.dead:
        return episode.dead if episode.alive else frozenset()
    due: dict[str, float] = {}
    ok: dict[str, float] = {}
    for each in episode.settled[-5:]:
        for name, count in each.generators.items():
            due[name] = due.get(name, 0.0) + count.due
            ok[name] = ok.get(name, 0.0) + count.ok
    parts = {name: ok[name] / due[name] for name in due if due[name] >= 10}
    sick = frozenset(name for name, part in parts.items() if part < SICK)
    return sick if any(part > WELL for part in parts.values()) else frozenset()


def _fresh(episode: Episode, felt: Mapping[str, doors.Felt]) -> Reading | None:
    """New connections from a generator's host. That one is answered once the load is silent says nothing of before."""
    asked, loaded = doors.door("a new connection from a generator's host", felt.get("fresh")), _fresh_of_load(episode)
    if loaded is not None and loaded.level == "dead" and episode.dead:
        loaded = None  # that nothing at all gets through is told by the load itself already
    if loaded is None or asked is None:
        return loaded or asked
    return loaded if loaded.level == "half" and asked.level in {"ok", "slow"} else asked


def _fresh_of_load(episode: Episode) -> Reading | None:
    """How the load's own new connections do; of the generators that suffer, where some do."""
    if episode.ended_ns is not None:
        return None
    sick, seconds = _sick(episode), episode.settled
    of = [one for each in seconds for name, one in each.second.generators.items() if not sick or name in sick]
    stood = sum(one.opened for one in of)
    failed = sum(one.failed.get(ErrorClass.CONNECT_TIMEOUT, 0.0) for one in of)
    if failed < 1 and stood >= OPENED_MIN and len(seconds) >= 4:
        return Reading("ok", f"{stood:.0f} new connections of the load stood, and none timed out")
    if failed < 3:
        return None
    says = f"{failed:.0f} new connections of the load timed out, {stood:.0f} stood"
    share = stood / (stood + failed)
    return Reading("dead" if share <= doors.HALF[0] else "half" if share < doors.HALF[1] else "ok", says)


def _resent(episode: Episode) -> Reading | None:
    """Whether segments are lost on the way, so that they are sent again: a target that hangs still acknowledges."""
    was = [each.retransmits for each in episode.before if each.retransmits is not None]
    now = [each.retransmits for each in episode.settled if each.retransmits is not None]
    if len(was) < 3 or not now:
        return None
    usual, rate = fmean(was), fmean(now)
    says = f"the generators send {rate:.0f} segments per second again, {usual:.0f} before"
    if rate >= RESENT_MIN and rate >= RESENT_TIMES * usual:
        return Reading("many", says)
    return Reading("few", says) if rate < RESENT_MIN / 2 or rate < 2 * usual else None


def _relief(episode: Episode, felt: Mapping[str, doors.Felt]) -> Reading | None:
    """Whether the target is well again as soon as the load is silent (overload), or stays dead (a decision)."""
    quiet = [each for each in episode.silent if each.second.silent]
    if not quiet:
        return None
    since = quiet[0].at_ns - NS
    tries = [
        each
        for kind in ("fresh", "external")
        if kind in felt
        for each in (*felt[kind].bad, *felt[kind].since)
        if each.at_ns >= since
    ]
    tries.sort(key=lambda each: each.at_ns)
    failed = [each.at_ns for each in tries if not doors.is_answer(each)]
    if len(tries) < 2:
        return None
    if not failed:
        return Reading("at-once", "it answers as soon as the load is silent")
    lasted = (max(failed) - since) / NS
    return Reading("stays", f"it stays so with no load: for {lasted:.0f} s at least") if lasted >= 5 else None


def _revival(episode: Episode, felt: Mapping[str, doors.Felt], sentinel: Reading | None) -> Reading | None:
    """Whether it came back by itself while asked, and whether what stood before survived."""
    by_load = episode.ended_ns is not None
    by_knock = any(kind in felt and felt[kind].revived for kind in ("fresh", "external"))
    split = doors.parted(felt)
    if split is not None:
        return Reading("new-only", split)
    if not by_load and not by_knock:
        return None
    over_ns = doors.over(episode, felt)
    short = over_ns is not None and over_ns - episode.began_ns <= DIP_NS
    old = sentinel.level if sentinel is not None else ""
    if old in {"dead", "reset"} and short:
        return Reading("new-only", "it came back for new connections; what stood before did not")
    return Reading("all" if old in {"ok", "slow"} else "back", "it came back by itself")


def _exhausted(episode: Episode) -> Reading | None:
    seconds = episode.during
    if not seconds:
        return None
    count = sum(each.exhausted + each.kinds.get("local", 0.0) for each in seconds)
    if count >= max(1.0, 0.01 * sum(each.due for each in seconds)):
        return Reading("yes", f"{count:.0f} connections failed for want of a local port or descriptor")
    return Reading("no", "no generator lacked ports or descriptors")


def _sizes(episode: Episode) -> Reading | None:
    """Whether what still passes is smaller than what passed."""
    was, now = _bytes_each(episode.before), _bytes_each(episode.settled)
    if was is None or now is None or was < 3000:
        return None
    if now < 0.4 * was:
        return Reading("smaller", f"an answered operation moves {now:.0f} bytes, {was:.0f} before")
    return Reading("same", f"an answered operation moves {now:.0f} bytes as before") if now > 0.8 * was else None


def _established(episode: Episode) -> Reading | None:
    """What became of the load's own connections, where it keeps them: they died, or only new ones fail."""
    ok, opened = sum(each.ok for each in episode.before), sum(each.opened for each in episode.before)
    seconds = episode.settled
    if ok < 10 or not seconds or opened > 0.3 * ok:
        return None
    still = sum(each.ok for each in seconds)
    if episode.dead and (not episode.alive or episode.died_ns):
        return Reading("died", "the connections of the load that stood fell silent")
    unconnected = sum(each.kinds.get("unconnected", 0.0) for each in seconds)
    unanswered = sum(each.kinds.get("unanswered", 0.0) + each.kinds.get("reset", 0.0) for each in seconds)
    if unconnected >= 3 and unanswered < 0.2 * unconnected and still > unconnected:
        return Reading("live", f"only new connections failed ({unconnected:.0f}); those that stood went on")
    return None


def _bytes_each(seconds: Sequence[Digest]) -> float | None:
    ok = sum(each.ok for each in seconds)
    return sum(each.moved for each in seconds) / ok if ok >= 5 else None


def _goodput(episode: Episode) -> Reading | None:
    """Pinned: what gets through is flat while what is offered is more, or far less than got through before."""
    seconds = episode.settled
    flow = [each.moved or each.ok for each in seconds]
    middle = fmean(flow) if flow else 0.0
    if len(seconds) < 4 or episode.dead or middle <= 0 or not any(each.due for each in seconds):
        return None
    spread = stdev(flow) / middle
    chance = 1.5 / sqrt(fmean(each.ok for each in seconds) + 1)  # what answers vary by anyhow
    was = fmean(each.moved or each.ok for each in episode.before) if episode.before else 0.0
    offered = [each.due for each in seconds]
    if min(each.ok / each.due for each in seconds if each.due) < 0.05 and any(
        each.ok > WELL * each.due for each in seconds
    ):
        return Reading("gap", "nothing got through for a while, and then everything")
    if spread > 0.1 + chance:
        return Reading("varies", f"what gets through varies by {100 * spread:.0f} %")
    if was and middle < 0.8 * was:
        return Reading("capped", f"what gets through is flat at {100 * middle / was:.0f} % of what it was")
    if max(offered) > 1.1 * min(offered):
        return Reading("pinned", f"what gets through is flat while {min(offered):.0f}–{max(offered):.0f}/s are offered")
    return None
