"""Heat: how full each direction of a link is, by a plan or by what others send, and the colours that say so."""

from collections.abc import Mapping
from dataclasses import dataclass

from maul.core.units import show_bitrate
from maul.plan.fleet_model import FleetPlan
from maul.report import colours
from maul.site.topology import Arc

STEPS = ((0.2, "#c3ced8"), (0.4, "#8db4d9"), (0.6, "#3f7cb3"), (0.8, "#f0a030"), (1.0, "#d55e00"))
"""Up to which part of the capacity, in which colour. Blue against orange, lighter to darker in each: told apart by all
kinds of sight; orange begins where a link that customers share is usually full enough."""
OVERFULL = "#7a0019"
_DARK = {STEPS[2][1], STEPS[4][1], OVERFULL}


@dataclass(frozen=True, slots=True)
class Heat:
    """Load of one direction in bits per second."""

    capacity_bps: float
    background_bps: float
    ours_bps: float = 0.0
    cap: float | None = None
    """The part of the capacity that may be full, by the plan."""
    worst_bps: float | None = None
    """Ours and background while the worst single failure lasts."""
    worst_when: str | None = None

    @property
    def load_bps(self) -> float:
        """Ours and what others send."""
        return self.background_bps + self.ours_bps

    @property
    def part(self) -> float:
        """Of the capacity, from 0; above 1 where more is wanted than fits."""
        return self.load_bps / self.capacity_bps

    @property
    def over_cap(self) -> bool:
        """The plan's own limit is broken: it should never be."""
        return self.cap is not None and self.part > self.cap * (1 + 1e-9)

    @property
    def colour(self) -> str:
        """Of the step that it falls into."""
        return next((colour for most, colour in STEPS if self.part <= most), OVERFULL)

    @property
    def ink(self) -> str:
        """What can be read on that colour."""
        return "#ffffff" if self.colour in _DARK else colours.INK

    @property
    def percent(self) -> str:
        """For people: `37 %`."""
        return f"{self.part * 100:.0f} %"

    def words(self) -> str:
        """All of it, for whoever points at it."""
        lines = [f"{self.percent} full: {show_bitrate(self.load_bps)} of {show_bitrate(self.capacity_bps)}"]
        lines.append(f"others at the busiest {show_bitrate(self.background_bps)}, ours {show_bitrate(self.ours_bps)}")
        if self.cap is not None:
            lines.append(f"may be {self.cap * 100:.0f} % full")
        if self.worst_bps is not None and self.worst_when is not None:
            lines.append(f"{self.worst_bps / self.capacity_bps * 100:.0f} % while {self.worst_when} is down")
        return "\n".join(lines)


def utilisation_of(plan: FleetPlan) -> dict[str, Heat]:
    """Heat by direction, of every direction that carries our load."""
    return {
        link.name: Heat(
            link.capacity_bps, link.background_bps, link.ours_bps, link.cap, link.worst_bps, link.worst_when
        )
        for link in plan.links
    }


def generators_of(plan: FleetPlan) -> frozenset[str]:
    """Hosts of the site that send."""
    return frozenset(generator.host for generator in plan.generators if generator.host is not None)


def heat_of(arc: Arc, known: Mapping[str, Heat] | None) -> Heat:
    """Of one direction: by the plan, else what others send."""
    found = known.get(arc.name) if known is not None else None
    return found if found is not None else Heat(arc.capacity_bps, arc.background_bps)
