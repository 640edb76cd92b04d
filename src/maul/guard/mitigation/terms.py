"""What the classifier must know of the place to read a `Second`: who asks which door, from where. Pure data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from maul.core.vantage import Vantage


@dataclass(frozen=True, slots=True)
class ClassifyTerms:
    """The place, as far as the classifier needs it. Whatever is empty was not there, and is never taken for a zero.

    `lookouts` are the roles of those who ask by themselves (`external`, `control`, `inside`); sentinels and hosts that
    are asked while the load is silent bear the names of their generators.
    """

    generators: Mapping[str, str] = field(default_factory=dict)  # name → rack, "" where the site does not know
    loaded: Sequence[str] = ()  # endpoints of the site under load
    control: Sequence[str] = ()  # endpoints of the same balancers in another prefix, without load
    neighbours: Sequence[str] = ()  # endpoints without load in the *same* prefix as a loaded one
    private: Sequence[str] = ()  # the balancers' private addresses
    lookouts: Mapping[str, Vantage] = field(default_factory=dict)
    balancers: Sequence[str] = ()  # services whose counters are read
    feeds: Sequence[str] = ()
    addresses: Mapping[str, str] = field(default_factory=dict)  # of endpoints: to read notices and to name the scope
    sources: Mapping[str, str] = field(default_factory=dict)  # of generators and lookouts, likewise; who shares a fate
    port: int = 443  # of the loaded endpoint
    other_port: int = 80  # of the same address: an answer there, be it a refusal, tells that only the port is dropped
    baseline_s: int = 20  # seconds before the onset that tell what is usual


def same_prefix(one: str, other: str) -> bool:
    """Whether two addresses would be dropped together when a whole prefix is: a /24, or a /48 of IPv6.

    >>> same_prefix("198.51.100.10", "198.51.100.77"), same_prefix("198.51.100.10", "203.0.113.10")
    (True, False)
    """
    first, second = ip_address(one), ip_address(other)
    if first.version != second.version:
        return False
    return second in ip_network(f"{first}/{24 if first.version == 4 else 48}", strict=False)
