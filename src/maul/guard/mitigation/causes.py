"""What can stop traffic: the causes that the classifier knows, and whose doing each is."""

from enum import StrEnum


class Family(StrEnum):
    """Whose doing it is."""

    PROTECTION = "protection"  # somebody upstream acted, on purpose
    NETWORK = "network"  # something on the way broke or is full
    TARGET = "target"  # the balancers or what stands behind them
    GENERATOR = "generator"  # ourselves


class Cause(StrEnum):
    """Why answers do not come. The order is that of the decision table."""

    VIP_BLACK_HOLE = "vip-black-hole"  # RFC 5635, RFC 7999: everything towards the address is dropped at the edge
    SUBNET_BLACK_HOLE = "subnet-black-hole"  # … towards its whole prefix
    GENERATORS_BANNED = "generators-banned"  # some of our sources are dropped
    PORT_DISCARD = "port-discard"  # RFC 8955 (flowspec): the address and the port
    POLICER = "policer"  # a rate limit that drops what is above
    SCRUBBING = "scrubbing"  # diverted through a scrubbing centre: what stood dies, what is new works
    SYN_PROXY = "syn-proxy"  # somebody answers the SYN for the server, or makes us try twice
    BALANCER_DOWN = "balancer-down"  # nobody listens
    BALANCER_HUNG = "balancer-hung"  # the process or its machine does not move
    BALANCER_SATURATED = "balancer-saturated"
    CONNTRACK_FULL = "conntrack-full"  # on the balancer
    NAT_FULL = "nat-full"  # of something on the way that tracks connections
    LINK_DOWN = "link-down"
    LINK_CONGESTED = "link-congested"
    GENERATOR_EXHAUSTED = "generator-exhausted"
    APPLICATION_THROTTLE = "application-throttle"  # 503 SlowDown, 429
    BACKENDS_DOWN = "backends-down"  # the balancer has nobody to ask
    VIP_FAILOVER = "vip-failover"  # the address moves to another balancer
    MTU_HOLE = "mtu-hole"  # what is small passes, what fills a frame does not (RFC 2923)

    @property
    def family(self) -> Family:
        """Whose doing it is."""
        return _FAMILIES.get(self, Family.NETWORK)


_FAMILIES = {
    **dict.fromkeys(
        (
            Cause.VIP_BLACK_HOLE,
            Cause.SUBNET_BLACK_HOLE,
            Cause.GENERATORS_BANNED,
            Cause.PORT_DISCARD,
            Cause.POLICER,
            Cause.SCRUBBING,
            Cause.SYN_PROXY,
        ),
        Family.PROTECTION,
    ),
    **dict.fromkeys(
        (
            Cause.BALANCER_DOWN,
            Cause.BALANCER_HUNG,
            Cause.BALANCER_SATURATED,
            Cause.CONNTRACK_FULL,
            Cause.APPLICATION_THROTTLE,
            Cause.BACKENDS_DOWN,
            Cause.VIP_FAILOVER,
        ),
        Family.TARGET,
    ),
    Cause.GENERATOR_EXHAUSTED: Family.GENERATOR,
}
