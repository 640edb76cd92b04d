"""The words of a stop: what each cause is called, whose doing it is, and what each vantage point would have told."""

from maul.core.mitigation_summary import OF_ONE, MitigationSummary
from maul.core.units import show_duration
from maul.core.vantage import Vantage
from maul.report import numerals

CAUSES = {
    "vip-black-hole": "address black-holed",
    "subnet-black-hole": "prefix black-holed",
    "generators-banned": "load servers banned",
    "port-discard": "port dropped upstream",
    "policer": "policed to a fixed rate",
    "scrubbing": "diverted to a scrubber",
    "syn-proxy": "SYN proxy on the way",
    "balancer-down": "balancer down",
    "balancer-hung": "balancer hung",
    "balancer-saturated": "balancer saturated",
    "conntrack-full": "connection tracking full",
    "nat-full": "NAT on the way full",
    "link-down": "link down",
    "link-congested": "link congested",
    "generator-exhausted": "generator exhausted",
    "application-throttle": "throttled by the store",
    "backends-down": "backends down",
    "vip-failover": "address failed over",
    "mtu-hole": "MTU hole",
    "unknown": "cause unknown",
}
FAMILIES = {
    "protection": "somebody upstream, on purpose: a protection acted",
    "network": "the network: something on the way broke or is full",
    "target": "the target: its balancers, or what stands behind them",
    "generator": "ourselves: the load generator",
    "unknown": "not known",
}
WOULD_TELL = {
    Vantage.SENTINEL: "whether connections that stood before the load die as well, or new ones only",
    Vantage.IDLE: "whether our load servers are refused even while they send nothing",
    Vantage.EXTERNAL: "whether everybody is cut off, or only where our load comes from",
    Vantage.CONTROL: "whether only this address is dropped, while the same balancers answer on another one",
    Vantage.INSIDE: "whether the balancers themselves answer, without the network before them",
    Vantage.BALANCER: "whether packets still reach the balancers, and whether these are idle or full",
    Vantage.FEED: "what the network itself announces: which address, which action, since when",
}
DIMENSIONS = {
    "packets": "Packets towards the target",
    "bits": "Bits towards the target",
    "new_connections": "New connections",
    "flows": "Connections open at once",
    "requests": "Requests",
    "answer_packets": "Packets back from the target",
    "answer_bits": "Bits back from the target",
}
PROTECTION = "protection"


def cause_name(cause: str) -> str:
    """What a cause is called.

    >>> cause_name("vip-black-hole"), cause_name("from-the-future")
    ('address black-holed', 'from-the-future')
    """
    return CAUSES.get(cause, cause)


def title(found: MitigationSummary) -> str:
    """The head of its section: a mitigation is what a protection does; everything else only stopped the traffic."""
    kind = "Mitigation" if found.family == PROTECTION else "Traffic stopped"
    return f"{kind}: {cause_name(found.cause)}"


def dimension_name(dimension: str) -> str:
    """What a dimension is called.

    >>> dimension_name("bits of one generator"), dimension_name("hops")
    ('Bits towards the target, of one generator', 'hops')
    """
    whole = dimension.removesuffix(OF_ONE)
    of_one = "," + OF_ONE if whole != dimension else ""
    return DIMENSIONS.get(whole, whole.replace("_", " ")) + of_one


def dimension_place(dimension: str) -> tuple[bool, int]:
    """For sorting: in the order of the words above, those of one source last."""
    whole = dimension.removesuffix(OF_ONE)
    names = list(DIMENSIONS)
    return whole != dimension, names.index(whole) if whole in names else len(names)


def would_tell(vantage: str) -> str:
    """What a vantage point that was not there would have told; empty for one that this version does not know."""
    return {str(name): says for name, says in WOULD_TELL.items()}.get(vantage, "")


def hold_words(found: MitigationSummary) -> str:
    """How long it lasted, as far as that was seen."""
    if found.hold_s is not None:
        quantum = found.hold_quantum_s
        give = f", give or take {show_duration(quantum)}" if quantum is not None else ", to nobody knows how much"
        return f"{show_duration(found.hold_s)}{give}"
    if found.hold_at_least_s is not None:
        return f"at least {show_duration(found.hold_at_least_s)}: it was not seen to end"
    return "not known: it was not seen to end"


def detect_words(found: MitigationSummary) -> str:
    """How long the protection took to act."""
    if found.detect_s is None:
        return "not known"
    return f"at most {show_duration(found.detect_s)} from crossing the threshold to the silence"


def silence_words(found: MitigationSummary) -> str:
    """How long it took us to fall silent."""
    if found.frozen_ns is None:
        return "load was not stopped"
    return f"{max(0, found.frozen_ns - found.onset_ns) / 1e9:.1f} s after answers ceased to come"


def afterwards_words(found: MitigationSummary) -> str:
    """What was sent then."""
    if found.resumed_ns is not None:
        part = "an unknown part" if found.resumed_part is None else numerals.ratio(found.resumed_part)
        return f"went on with {part} of the load at which it began"
    return "nothing more was sent" if found.frozen_ns is not None else "the load went on"
