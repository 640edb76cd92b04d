"""A fleet's placement in words: who sends what, what links will carry, what stands in the way of more."""

from collections.abc import Iterator, Sequence

from maul.core.units import show_bitrate
from maul.plan.fleet_model import FleetPlan, GeneratorPlan, LinkLoad, Load

RACKS_SHOWN = 12
NAMES_SHOWN = 6
LINKS_SHOWN = 16
BLOCKERS_SHOWN = 5

Row = tuple[str, str]


def fleet_rows(fleet: FleetPlan) -> Iterator[Row]:
    """Who sends which part."""
    racks = _by_rack(fleet)
    where = f" in {_count(len(racks), 'rack')}" if any(racks) else " on this machine"
    yield "servers", f"{_count(len(fleet.generators), 'load server')}{where}"
    yield "heaviest", _load(fleet.load)
    for rack, servers in _shown_racks(racks):
        yield rack or "processes", _servers(servers, fleet.wheel)
    hidden = list(racks.values())[RACKS_SHOWN:] if len(racks) > RACKS_SHOWN else []
    if hidden:
        most = max(_part(servers, fleet.wheel) for servers in hidden)
        yield "", f"and {_count(len(hidden), 'more rack')}, {100 * most:.3g} % of the load or less each"
    hold = fleet.on_loss == "hold"
    yield "if lost", "its share stays unsent" if hold else "its share goes to the others, within their ceilings"
    if fleet.unpaced is not None:
        sent, received = show_bitrate(fleet.unpaced.sent_bps), show_bitrate(fleet.unpaced.received_bps)
        yield "unpaced", f"filling, audit, clean-up and closed loops are held to {sent} sent or {received} received"
    if fleet.most is not None:
        yield "most", _most(fleet, fleet.most)
        for blocker in fleet.blockers[:BLOCKERS_SHOWN]:
            yield "", f"  {blocker.what}{_price(blocker.price, blocker.unit)}"
        if len(fleet.blockers) > BLOCKERS_SHOWN:
            yield "", f"  and {len(fleet.blockers) - BLOCKERS_SHOWN} more"


def link_rows(links: Sequence[LinkLoad]) -> Iterator[Row]:
    """A table of the fullest directions."""
    fullest = sorted(links, key=lambda one: -_worst(one))
    shown = fullest[:LINKS_SHOWN] if len(links) > LINKS_SHOWN + 1 else fullest
    if not shown:
        return
    width = max(len("direction"), *(len(one.name) for one in shown))
    yield "", _line(width, "direction", "ours", "others", "capacity", "cap", "normal", "worst", "while")
    for one in shown:
        normal = (one.ours_bps + one.background_bps) / one.capacity_bps
        yield (
            "",
            _line(
                width,
                one.name,
                show_bitrate(one.ours_bps),
                show_bitrate(one.background_bps) if one.background_bps else "–",
                show_bitrate(one.capacity_bps),
                f"{one.cap:.0%}",
                f"{normal:.1%}",
                f"{_worst(one):.1%}",
                one.worst_when or "",
            ),
        )
    if len(shown) < len(links):
        below = _worst(fullest[len(shown)])
        yield "", f"and {len(links) - len(shown):,} more, none above {below:.1%} at its worst"


def _line(width: int, name: str, *cells: str) -> str:
    """The name at the left, numbers at the right of their columns, words last."""
    *numbers, words = cells
    columns = [f"{cell:>{size}}" for cell, size in zip(numbers, (11, 11, 11, 4, 6, 6), strict=True)]
    return "  ".join([f"{name:<{width}}", *columns, words]).rstrip()


def _worst(one: LinkLoad) -> float:
    return one.worst_bps / one.capacity_bps


def _most(fleet: FleetPlan, most: Load) -> str:
    times = most.requests_per_s / fleet.load.requests_per_s if fleet.load.requests_per_s else 1.0
    room = "more than the next 10 %" if times >= 1.1 else "less than the next 10 %"
    return f"{most.requests_per_s:,.0f} requests/s, {times:.3g} times what is asked ({room}); what stops it there:"


def _price(price: float, unit: str) -> str:
    if not price:
        return ""
    return f": {price:.3g} requests/s for one more {unit}"


def _load(load: Load) -> str:
    new = f"{load.connections_per_s:,.0f} new connections/s, " if load.connections_per_s else ""
    return (
        f"{load.requests_per_s:,.0f} requests/s, {new}{show_bitrate(load.sent_bps)} sent and "
        f"{show_bitrate(load.received_bps)} received on the wire"
    )


def _by_rack(fleet: FleetPlan) -> dict[str, list[GeneratorPlan]]:
    """Racks, those that send most first."""
    racks: dict[str, list[GeneratorPlan]] = {}
    for one in fleet.generators:
        racks.setdefault(one.rack or "", []).append(one)
    return dict(sorted(racks.items(), key=lambda item: -_part(item[1], fleet.wheel)))


def _shown_racks(racks: dict[str, list[GeneratorPlan]]) -> list[tuple[str, list[GeneratorPlan]]]:
    return list(racks.items())[:RACKS_SHOWN]


def _servers(servers: Sequence[GeneratorPlan], wheel: int) -> str:
    each = [f"{one.name} {100 * one.width / wheel:.3g} %" for one in servers[:NAMES_SHOWN]]
    more = f" and {len(servers) - NAMES_SHOWN} more" if len(servers) > NAMES_SHOWN else ""
    rate = sum(one.load.requests_per_s for one in servers)
    return f"{100 * _part(servers, wheel):.3g} %, {rate:,.4g} requests/s: {', '.join(each)}{more}"


def _part(servers: Sequence[GeneratorPlan], wheel: int) -> float:
    return sum(one.width for one in servers) / wheel


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
