"""What the balancers' counters, the links and the network's own announcements say of an episode. Pure."""

from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address, ip_network

from maul.guard.mitigation.digest import NS, Digest
from maul.guard.mitigation.doors import Felt, Reading, is_answer
from maul.guard.mitigation.episode import Episode
from maul.guard.mitigation.signals import BalancerSecond
from maul.guard.mitigation.terms import ClassifyTerms

GONE, SAME = 0.05, 0.7  # of the packets before
IDLE, BUSY = 0.5, 0.1  # of the balancer's process
SYNS_MIN = 3  # per second: fewer tell nothing
PEER_MIN = 0.2  # of all packets before, that another balancer gets now
NOTICED_BEFORE_NS = 60 * NS

Get = Callable[[BalancerSecond], float | None]


def balancers(episode: Episode, doors: dict[str, Felt]) -> dict[str, Reading | None]:
    """Every feature of the balancers."""
    name = _main(episode.before)
    after = [each.second for each in episode.settled]
    later = after or [each.second for each in episode.silent]
    own = [each.balancers[name] for each in later if name in each.balancers]
    was = [each.second.balancers[name] for each in episode.before if name in each.second.balancers]
    everything = [one for each in later for one in each.balancers.values()]
    before = [one for each in episode.before for one in each.second.balancers.values()]
    return {
        "ingress": _ingress(episode),
        "knocks": _knocks(episode, doors),
        "peer": _peer(episode, name),
        "balancer": _busy([each.second.balancers[name] for each in episode.settled if name in each.second.balancers]),
        "listener": _listener(own),
        "pulse": _pulse(was, own),
        "process": _process(was, own),
        "overflow": _overflow(before, everything),
        "accepts": _accepts(own),
        "half_open": _half_open(before, everything),
        "tracking": _tracking(everything),
        "backends": _backends(own),
    }


def _main(before: Sequence[Digest]) -> str:
    """The balancer that carried the load; where none can be told, the first."""
    packets: dict[str, float] = {}
    for each in before:
        for name, one in each.second.balancers.items():
            packets[name] = packets.get(name, 0.0) + (one.vip_packets or one.sessions or 0.0)
    return max(packets, key=lambda name: packets[name]) if packets else ""


def _known(of: Iterable[BalancerSecond], get: Get) -> list[float]:
    return [value for one in of if (value := get(one)) is not None]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _packets(seconds: Iterable[Digest]) -> dict[str, float]:
    """Packets per second for the address, by balancer, as far as they were counted."""
    known: dict[str, list[float]] = {}
    for each in seconds:
        for name, one in each.second.balancers.items():
            if one.vip_packets is not None:
                known.setdefault(name, []).append(one.vip_packets)
    return {name: sum(values) / len(values) for name, values in known.items()}


def _ingress(episode: Episode) -> Reading | None:
    """Packets for the address at the balancers: how much of what came before still comes."""
    before, after = _packets(episode.before), _packets(episode.settled)
    was, now = sum(before.values()), sum(after.values())
    if not was or not before.keys() <= after.keys():
        return None  # whom nobody could read is not idle
    if episode.during and episode.settled[0] is episode.during[0]:
        return None  # that second is half from before
    says = f"the balancers get {now:.0f} packets/s for the address, {was:.0f} before ({100 * now / was:.0f} %)"
    if now / was < GONE:
        return Reading("gone", says)
    return Reading("same" if now / was >= SAME else "part", says)


def _knocks(episode: Episode, doors: dict[str, Felt]) -> Reading | None:
    """Whether single SYNs that time out are seen by the balancers, while the load is silent."""
    quiet = [each for each in episode.silent if each.second.silent]
    kinds = [doors[kind] for kind in ("fresh", "external") if kind in doors]
    first = quiet[0].at_ns if quiet else 0
    knocked = sum(not is_answer(each) and each.at_ns >= first for one in kinds for each in one.bad)
    syns = [
        sum(known)
        for each in quiet
        if (known := _known(each.second.balancers.values(), lambda one: one.vip_syns)) or each.second.balancers
    ]
    if (
        knocked < 2
        or len(syns) < len(quiet) * 0.5
        or not any(one.vip_syns is not None for each in quiet for one in each.second.balancers.values())
    ):
        return None
    arrived = sum(syns)
    says = f"of {knocked} new connections that failed while the load is silent, the balancers saw {arrived:.0f} SYNs"
    if arrived >= 0.5 * knocked:
        return Reading("arrive", says)
    return Reading("none", says) if arrived <= 0.1 * knocked else None


def _peer(episode: Episode, main: str) -> Reading | None:
    """Whether another balancer gets what this one got."""
    was: dict[str, list[float]] = {}
    now: dict[str, list[float]] = {}
    syns: dict[str, float] = {}
    for book, seconds in ((was, episode.before), (now, [*episode.during[1:], *episode.silent])):
        for each in seconds:
            for name, one in each.second.balancers.items():
                if one.vip_packets is not None:
                    book.setdefault(name, []).append(one.vip_packets)
    for each in episode.silent:
        for name, one in each.second.balancers.items():
            syns[name] = syns.get(name, 0.0) + (one.vip_syns or 0.0)
    total = sum(sum(values) / len(values) for values in was.values())
    others = [name for name in now if name != main]
    if not total or not others:
        return None
    for name in others:
        before = _mean(was.get(name, [])) or 0.0
        most = max(now[name])
        if before < 0.05 * total and (
            most >= max(PEER_MIN * total, 10 * before, 1.0) or (syns.get(name, 0) >= 1 and not syns.get(main))
        ):
            return Reading("moved", f"{name} gets up to {most:.0f} packets/s for the address, {before:.0f} before")
    return Reading("unmoved", f"no other balancer gets packets for the address ({', '.join(sorted(others))})")


def _busy(own: Sequence[BalancerSecond]) -> Reading | None:
    """Whether the balancer has anything to do."""
    idle = _mean(_known(own, lambda one: one.idle_ratio))
    if idle is not None:
        says = f"the balancer's process is idle for {100 * idle:.0f} % of the time"
        return Reading("idle", says) if idle >= IDLE else Reading("busy", says) if idle <= BUSY else None
    cpu = _mean(_known(own, lambda one: one.cpu_ratio))
    if cpu is not None and cpu >= 0.95:
        return Reading("busy", f"the busiest core of the balancer's machine is at {100 * cpu:.0f} %")
    return None


def _listener(own: Sequence[BalancerSecond]) -> Reading | None:
    told = [one.listening for one in own if one.listening is not None]
    if not told:
        return None
    gone = sum(not each for each in told)
    if gone:
        return Reading("gone", f"no process listened on the address in {gone} of {len(told)} seconds")
    return Reading("there", "a process listens on the address")


def _pulse(was: Sequence[BalancerSecond], own: Sequence[BalancerSecond]) -> Reading | None:
    """Whether the balancer's own page or counters can still be read."""
    told = [one.answers for one in own if one.answers is not None]
    if not told or any(one.answers is False for one in was):
        return None
    mute = sum(not each for each in told)
    if mute > 0.5 * len(told):
        return Reading("mute", f"the balancer's own counters could not be read in {mute} of {len(told)} seconds")
    return Reading("answers", "the balancer's own counters can be read") if not mute else None


def _process(was: Sequence[BalancerSecond], own: Sequence[BalancerSecond]) -> Reading | None:
    """Whether the balancer's process itself still speaks, where its machine does."""
    told = [one.process_answers for one in own if one.process_answers is not None and one.answers is not False]
    if not told or any(one.process_answers is False for one in was[-3:]):
        return None
    if not told[-1]:
        return Reading("stuck", "the balancer's process does not answer on its own page, its machine does")
    return Reading("speaks", "the balancer's process answers on its own page") if all(told) else None


def _rate(was: Sequence[BalancerSecond], now: Sequence[BalancerSecond], get: Get) -> tuple[float, float] | None:
    after = _mean(_known(now, get))
    return None if after is None else (_mean(_known(was, get)) or 0.0, after)


def _overflow(was: Sequence[BalancerSecond], now: Sequence[BalancerSecond]) -> Reading | None:
    rate = _rate(was, now, lambda one: one.accept_overflows)
    if rate is None:
        return None
    if rate[1] >= 1 and rate[1] > 2 * rate[0]:
        return Reading("yes", f"the balancer's accept queue overflows {rate[1]:.0f} times per second")
    return Reading("no", "the balancer's accept queue does not overflow") if rate[1] < 1 else None


def _accepts(own: Sequence[BalancerSecond]) -> Reading | None:
    """Whether the SYNs that reach the balancer's machine become connections of its process."""
    told = [(one.sessions, one.vip_syns) for one in own if one.sessions is not None and one.vip_syns is not None]
    stood, syns = sum(each[0] for each in told), sum(each[1] for each in told)
    if not told or syns < SYNS_MIN * len(told):
        return None
    says = f"of {syns:.0f} SYNs that reached the balancer's machine, {stood:.0f} became connections of its process"
    if stood < 0.35 * syns:
        return Reading("few", says)
    return Reading("most", says) if stood > 0.7 * syns else None


def _half_open(was: Sequence[BalancerSecond], now: Sequence[BalancerSecond]) -> Reading | None:
    """SYNs come, and nobody hears the answer: it is lost on the way back."""
    waiting = _rate(was, now, lambda one: one.syn_received)
    again = _rate(was, now, lambda one: one.syn_ack_retransmits)
    if waiting is None and again is None:
        return None
    if waiting is not None and waiting[1] >= 3 + 3 * waiting[0]:
        return Reading("pile", f"{waiting[1]:.0f} connections hang in SYN-RECV at the balancers, not {waiting[0]:.0f}")
    if again is not None and again[1] >= 1 + 3 * again[0]:
        return Reading("pile", f"the balancers send {again[1]:.0f} SYN-ACKs per second again, {again[0]:.0f} before")
    return Reading("none", "no connection hangs half open at the balancers")


def _tracking(now: Sequence[BalancerSecond]) -> Reading | None:
    full, drops = _known(now, lambda one: one.tracked_ratio), _known(now, lambda one: one.tracked_drops)
    if not full and not drops:
        return None
    most, lost = max(full, default=0.0), sum(drops)
    if lost > 0 or most >= 0.98:
        return Reading("full", f"connection tracking of the balancer is {100 * most:.0f} % full, {lost:.0f} dropped")
    return Reading("free", f"connection tracking of the balancer is {100 * most:.0f} % full")


def _backends(own: Sequence[BalancerSecond]) -> Reading | None:
    told = [(one.backends_up, one.backends) for one in own if one.backends_up is not None and one.backends]
    if not told:
        return None
    up, every = told[-1]
    if up == 0:
        return Reading("none", f"none of the balancer's {every} backends is up")
    return Reading("up" if up == every else "some", f"{up} of the balancer's {every} backends are up")


def links(episode: Episode, terms: ClassifyTerms) -> Reading | None:
    """Whether a link that the sick generators cross is down or drops."""
    racks = {terms.generators.get(name) or rack_of(episode, name) for name in episode.dead} - {""}
    usual: dict[str, list[float]] = {}
    for each in episode.before:
        for name, link in each.second.links.items():
            usual.setdefault(name, []).append(link.discards or 0.0)
    now = [each.second for each in (*episode.settled, *episode.silent) if each.second.links]
    if not now:
        return None
    worst = Reading("clear", f"none of {len(now[-1].links)} links is down or drops")
    for second in now:
        for name, link in second.links.items():
            ours = not link.racks or not racks or racks <= set(link.racks)
            if link.up is False and ours:
                return Reading("down", f"the link {name} is down")
            was = _mean(usual.get(name, [])) or 0.0
            if ours and (link.discards or 0.0) > 3 * was + 1:
                worst = Reading("congested", f"the link {name} discards {link.discards:.0f} packets/s, not {was:.0f}")
            elif ours and (link.ratio or 0.0) >= 0.97 and worst.level == "clear":
                worst = Reading("congested", f"the link {name} is {100 * (link.ratio or 0):.0f} % full")
    return worst


def rack_of(episode: Episode, name: str) -> str:
    """As the generator's own seconds tell it; empty where they do not."""
    for each in reversed([*episode.before, *episode.during]):
        if name in each.second.generators:
            return each.second.generators[name].rack
    return ""


def notices(episode: Episode, terms: ClassifyTerms) -> Reading | None:
    """What the network itself says of us: the address, its prefix, our sources; dropped, limited, diverted."""
    ours = {terms.addresses[name] for name in terms.loaded if name in terms.addresses}
    sources = {terms.sources[name] for name in terms.generators if name in terms.sources}
    said: Reading | None = None
    for each in episode.everything:
        for notice in each.second.notices:
            if notice.at_ns < episode.began_ns - NOTICED_BEFORE_NS or notice.action == "release":
                continue
            whom = _whom(notice.prefix, ours, sources)
            if whom is None:
                continue
            level = {"limit": "limit", "divert": "divert"}.get(notice.action, whom)
            if notice.action in {"drop", "limit", "divert"}:
                said = Reading(level, f"{notice.source} said: {notice.action} {notice.prefix}")
    if said is None and terms.feeds:
        return Reading("none", f"no feed told of us ({', '.join(terms.feeds)})")
    return said


def _whom(prefix: str, ours: set[str], sources: set[str]) -> str | None:
    try:
        network = ip_network(prefix, strict=False)
    except ValueError:
        return None
    if any(ip_address(each) in network for each in ours):
        return "vip" if network.num_addresses == 1 else "prefix"
    return "source" if any(ip_address(each) in network for each in sources) else None
