"""How many generator threads (shards) a load needs.

One shard carries several thousand small requests per second, TLS included. On a machine that also carries the target
(the lab, a laptop) every further shard takes a core from it and measures itself. So a load up to `ONE_SHARD_RATE_PER_S`
and `ONE_SHARD_BYTES_PER_S` gets one; above either, one per core. Never more than there are connections or requests in
flight to share among them.
"""

from dataclasses import dataclass

from maul.campaign.model_limits import SHARDS_MAX

ONE_SHARD_RATE_PER_S = 2000.0
ONE_SHARD_BYTES_PER_S = 250e6


@dataclass(frozen=True, slots=True)
class Demand:
    """The heaviest moment of a load. A closed loop that should go as fast as it can has an infinite rate."""

    rate_per_s: float
    bytes_per_s: float
    in_flight: int


def choose_shards(demand: Demand, cores: int, asked: int | None = None) -> int:
    """Shards for a load; `asked` wins where it is possible.

    >>> choose_shards(Demand(1200.0, 5e6, 128), cores=8)
    1
    >>> choose_shards(Demand(50_000.0, 5e6, 128), cores=8)
    8
    >>> choose_shards(Demand(50_000.0, 5e6, 4), cores=8)
    4
    """
    most = min(SHARDS_MAX, demand.in_flight)
    if asked is not None:
        return max(1, min(asked, most))
    if demand.rate_per_s <= ONE_SHARD_RATE_PER_S and demand.bytes_per_s <= ONE_SHARD_BYTES_PER_S:
        return 1
    return max(1, min(cores, most))
