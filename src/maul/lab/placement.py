"""Where the roles of a lab stand: on addresses of this machine's loopback, or on hosts of a network of its own. Pure.

The numbers are the rack's and the host's: rack 1, number 2 is host `s12`. Rack 0 is the edge.
"""

from dataclasses import dataclass
from typing import assert_never

from maul.lab.border import ACTIVE, PRIVATE
from maul.lab.wiring import Wiring

SLOT_MIN, SLOT_MAX = 64, 127
# Each lab on loopback has its own ports as well as its own addresses: SeaweedFS also takes 127.0.0.1:PORT, where two
# labs (or the machine owner's own servers) would meet.
_PORTS_PER_SLOT = 16
_STORAGE_RACKS = ("edge", "r1", "r2", "r3")


@dataclass(frozen=True, slots=True)
class Loopback:
    """127.SLOT.RACK.NUMBER."""

    slot: int


@dataclass(frozen=True, slots=True)
class Wired:
    """10.77.RACK.NUMBER, each host in a network namespace."""

    wiring: Wiring


Placement = Loopback | Wired


def address(placement: Placement, rack: int, number: int) -> str:
    """The address of a host.

    >>> address(Loopback(64), 1, 2)
    '127.64.1.2'
    """
    match placement:
        case Loopback(slot):
            return f"127.{slot}.{rack}.{number}"
        case Wired(wiring):
            return wiring.address(rack, number)
        case _:
            assert_never(placement)


def customers_address(placement: Placement) -> str:
    """The address that customers talk to: the balancer's own, or the VIP."""
    return placement.wiring.vip if isinstance(placement, Wired) else address(placement, 0, 1)


def balancer_address(placement: Placement) -> str:
    """The address at which the balancer is asked for its health: its private one where there is one."""
    if isinstance(placement, Wired) and placement.wiring.border:
        return PRIVATE[ACTIVE]
    return customers_address(placement)


def port_offset(placement: Placement) -> int:
    """What is added to every port of a lab."""
    return (placement.slot - SLOT_MIN) * _PORTS_PER_SLOT if isinstance(placement, Loopback) else 0


def racks(placement: Placement) -> tuple[str, ...]:
    """Racks by name; the edge first."""
    return placement.wiring.racks if isinstance(placement, Wired) else _STORAGE_RACKS
