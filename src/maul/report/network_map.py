"""Network map: a site's network as SVG. Capacity is width, load is colour, shape says who lends, serves or buys.

Up to ten racks with eighty hosts each host has a row; beyond, racks count theirs. Everything answers with its numbers
when pointed at. No script, no font, nothing from elsewhere.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from maul.core.units import show_bitrate
from maul.report import colours
from maul.report.network_heat import OVERFULL, STEPS, Heat, generators_of, heat_of, utilisation_of
from maul.report.network_layout import GRID_ROW, MARGIN, NAMES_WIDTH, ROW, Box, Layout, lay_out
from maul.report.network_svg import Lane, Spot, box, clean_title, fitting, label, lane_width, mark, page, words
from maul.site import Site
from maul.site.model import Host
from maul.site.topology import Arc, arcs, customer_hosts, target_hosts

__all__ = ["Heat", "draw", "generators_of", "utilisation_of"]

HOTTEST_SHOWN = 10
_LABELLED_MAX = 14
_KINDS = {
    "sending": "sends load",
    "lendable": "may be borrowed",
    "target": "of the target",
    "customer": "of a customer",
    "other": "other",
}


@dataclass(frozen=True)
class _Map:
    """What the pieces of the drawing share."""

    site: Site
    layout: Layout
    arcs: dict[str, Arc]
    heat: dict[str, Heat]
    kinds: dict[str, str]
    planned: bool


def draw(site: Site, heat: Mapping[str, Heat] | None = None, sending: Collection[str] = ()) -> str:
    """The SVG of a site that has a network. `heat` by direction (None: what others send); `sending`: hosts that a plan
    makes send. Raises ValueError for a site without a network."""
    if site.network is None:
        raise ValueError("a site without a network has no map")
    found = arcs(site.network)
    made = _Map(
        site,
        lay_out(site, site.network),
        found,
        {name: heat_of(arc, heat) for name, arc in found.items()},
        _kinds(site, sending),
        heat is not None,
    )
    hottest = sorted((name for name in found if made.heat[name].part > 0), key=lambda name: -made.heat[name].part)
    parts = [*_head(made), *_lanes(made, hottest), *_grid(made), *_switches(made), *_racks(made)]
    table = list(_table(made, hottest[:HOTTEST_SHOWN]))
    height = made.layout.height + 40 + (len(hottest[:HOTTEST_SHOWN]) + 2) * 20
    return page(made.layout.width, height, f"The network of {site.name}", [*parts, *table])


def _kinds(site: Site, sending: Collection[str]) -> dict[str, str]:
    ours, buyers = target_hosts(site), customer_hosts(site)
    kinds: dict[str, str] = {}
    for host in site.hosts:
        lent = "sending" if host.name in sending else "lendable" if host.borrow is not None else None
        role = "target" if host.name in ours else "customer" if host.name in buyers else "other"
        kinds[host.name] = lent or role
    return kinds


def _head(made: _Map) -> Iterator[str]:
    site = made.site
    yield words(Spot(MARGIN, 36), f"The network of {site.name}", 20, bold=True)
    told = f"{len(site.racks)} racks, {len(site.hosts)} hosts, {len(made.arcs) // 2} links. Colour: "
    told += f"{'what the plan sends and ' if made.planned else ''}what others send at their busiest"
    yield words(
        Spot(MARGIN, 57), f"{told}, as part of the capacity. Who sends keeps right.", 12.5, colour=colours.MUTED
    )
    yield from _legend(Spot(MARGIN, 76), made)


def _legend(at: Spot, made: _Map) -> Iterator[str]:
    x, least = at.x, 0.0
    for most, colour in (*STEPS, (None, OVERFULL)):
        says = f"{least * 100:.0f}–{most * 100:.0f} %" if most is not None else "> 100 %"
        yield f'<rect x="{x:.1f}" y="{at.y:.1f}" width="62" height="10" fill="{colour}"/>'
        yield words(Spot(x + 31, at.y + 23), says, 11, anchor="middle", colour=colours.MUTED)
        x, least = x + 64, most if most is not None else least
    x += 26
    for bits in (1e9, 10e9, 100e9):
        lane = Lane(Spot(x, at.y + 5), Spot(x + 30, at.y + 5), 0)
        says = show_bitrate(bits).removesuffix("bit/s")
        yield lane.draw(lane_width(bits), colours.MUTED, "", arrow=False)
        yield words(Spot(x + 15, at.y + 23), says, 11, anchor="middle", colour=colours.MUTED)
        x += 46
    present = Counter(made.kinds.values())
    x += 20
    for kind, says in _KINDS.items():
        if present[kind]:
            text = f"{says} ({present[kind]})"
            yield mark(kind, Spot(x, at.y + 5))
            yield words(Spot(x + 11, at.y + 9.5), text, 12)
            x += 32 + len(text) * 6.6


def _lanes(made: _Map, hottest: Sequence[str]) -> Iterator[str]:
    """Links between switches, the fullest on top. Links of hosts are drawn in their racks."""
    boxes = made.layout.switches
    together: dict[frozenset[str], list[Arc]] = {}
    for arc in made.arcs.values():
        if arc.source in boxes and arc.target in boxes:
            together.setdefault(frozenset((arc.source, arc.target)), []).append(arc)
    if not made.layout.detailed:  # the grid shows what leads to leaves
        together = {pair: found for pair, found in together.items() if not pair & set(made.layout.rack_of_leaf)}
    shown = [arc for pair in together.values() for arc in pair]
    named = set(sorted((arc.name for arc in shown if made.heat[arc.name].part > 0), key=hottest.index)[:_LABELLED_MAX])
    drawn: list[tuple[float, str]] = []
    labels: list[str] = []
    for pair in together.values():
        for arc, lane in _side_by_side(made, pair):
            heat, width = made.heat[arc.name], _width(made, arc)
            drawn.append((heat.part, lane.draw(width, heat.colour, _says(arc, heat), made.layout.detailed)))
            if arc.name in named:
                labels.append(label(lane.at(0.2), heat.percent, 11, _ink(heat)))
    yield from (line for _, line in sorted(drawn, key=lambda entry: entry[0]))
    yield from _strays(made)
    yield from labels


def _width(made: _Map, arc: Arc) -> float:
    return lane_width(arc.capacity_bps, 1.0 if made.layout.detailed else 0.55)


def _side_by_side(made: _Map, pair: Sequence[Arc]) -> Iterator[tuple[Arc, Lane]]:
    """Lanes of all links between two switches: each link's two beside each other, parallel links apart."""
    boxes, first = made.layout.switches, pair[0].source
    links = list(dict.fromkeys(arc.link for arc in pair))
    widest = max(_width(made, arc) for arc in pair)
    for arc in pair:
        shift = (links.index(arc.link) - (len(links) - 1) / 2) * (2 * widest + 5)
        aside = widest / 2 + 0.6 + (shift if arc.source == first else -shift)
        yield arc, _lane(boxes[arc.source], boxes[arc.target], aside, made.layout.width)


def _lane(source: Box, target: Box, aside: float, width: float) -> Lane:
    """From box to box: between rows straight, within a row over the heads of those between."""
    if abs(source.at.y - target.at.y) < source.height:
        bend = 26 + 26 * abs(source.middle.x - target.middle.x) / width
        return Lane(source.top, target.top, aside, bend)
    upper, lower = (source, target) if source.at.y < target.at.y else (target, source)
    above, below = _fanned(upper.bottom, upper, lower, width), _fanned(lower.top, lower, upper, width)
    return Lane(above, below, aside) if upper is source else Lane(below, above, aside)


def _fanned(at: Spot, mine: Box, other: Box, width: float) -> Spot:
    """Links leave a box spread over its edge, in the order of where they lead."""
    part = max(-1.0, min(1.0, 2 * (other.middle.x - mine.middle.x) / width))
    return Spot(at.x + part * max(0.0, mine.width / 2 - 12), at.y)


def _strays(made: _Map) -> Iterator[str]:
    """Hosts wired to a switch that does not stand over their rack: one line for all of them."""
    racks = {host.name: host.rack for host in made.site.hosts}
    found: dict[tuple[str, str], list[Arc]] = defaultdict(list)
    for arc in made.arcs.values():
        for host, switch in ((arc.source, arc.target), (arc.target, arc.source)):
            if host in racks and switch in made.layout.switches and made.layout.rack_of_leaf.get(switch) != racks[host]:
                found[racks[host], switch].append(arc)
    for (rack, switch), some in found.items():
        worst = max(some, key=lambda arc: made.heat[arc.name].part)
        way = Lane(made.layout.racks[rack].top, made.layout.switches[switch].bottom, 0)
        title = f"{len(some) // 2} links of {rack} to {switch}\nthe fullest: {_says(worst, made.heat[worst.name])}"
        yield way.draw(2.0, made.heat[worst.name].colour, title, arrow=False)


def _says(arc: Arc, heat: Heat) -> str:
    shared = f"\nshared by {', '.join(arc.shared_by)}" if arc.shared_by else ""
    bundle = f"\na bundle of {arc.members}" if arc.members > 1 else ""
    return f"{arc.source_port} → {arc.target_port}\n{heat.words()}{shared}{bundle}"


def _ink(heat: Heat) -> str:
    """Of a number: dark enough to be read."""
    return colours.BAD if heat.over_cap or heat.part > 1 else colours.INK


def _grid(made: _Map) -> Iterator[str]:
    """Of a large site, between spines and leaves: a cell per pair of switches, its halves the two directions."""
    boxes, rows = made.layout.switches, made.layout.grid
    cells: dict[tuple[str, str, bool], list[Arc]] = defaultdict(list)
    for arc in made.arcs.values():
        if arc.source in made.layout.rack_of_leaf and arc.target in rows:
            cells[arc.source, arc.target, True].append(arc)
        elif arc.target in made.layout.rack_of_leaf and arc.source in rows:
            cells[arc.target, arc.source, False].append(arc)
    for name, y in rows.items():
        shown = fitting(name, NAMES_WIDTH - 14, 11.5)
        yield words(Spot(MARGIN + NAMES_WIDTH - 10, y + 13), shown, 11.5, anchor="end", bold=True)
    for (leaf, name, up), ways in cells.items():
        place, half = boxes[leaf], boxes[leaf].width / 2 - 1
        worst = max(ways, key=lambda arc: made.heat[arc.name].part)
        heat = made.heat[worst.name]
        at = Spot(place.at.x + (0 if up else half + 2), rows[name])
        yield box(at, half, GRID_ROW - 2, fill=heat.colour, edge="none", title=_says(worst, heat), radius=1)
        number = fitting(f"{heat.part * 100:.0f}", half, 9.5) if half >= 12 else ""
        yield words(Spot(at.x + half / 2, at.y + 12), number, 9.5, anchor="middle", colour=heat.ink)
    if rows:
        y = min(rows.values()) - 7
        yield words(
            Spot(MARGIN + NAMES_WIDTH, y),
            "each cell: up from the rack, and down to it, % full",
            11,
            colour=colours.MUTED,
        )


def _switches(made: _Map) -> Iterator[str]:
    network = made.site.network
    for switch in network.switches if network is not None else ():
        place = made.layout.switches.get(switch.name)
        if place is None:
            continue
        title = f"{switch.name}: {switch.tier}{f' of {switch.rack}' if switch.rack else ''}"
        yield box(place.at, place.width, place.height, fill="#eef2f6", edge="#8796a5", title=title)
        size = 12.5 if made.layout.detailed else 11
        shown = fitting(switch.name, place.width - 4, size)
        yield words(Spot(place.middle.x, place.middle.y + 4.5), shown, size, anchor="middle", bold=True)


def _racks(made: _Map) -> Iterator[str]:
    of_host: dict[str, list[Arc]] = defaultdict(list)
    for arc in made.arcs.values():
        of_host[arc.source].append(arc)
        of_host[arc.target].append(arc)
    for rack, place in made.layout.racks.items():
        hosts = made.layout.hosts[rack]
        counts = Counter(made.kinds[host.name] for host in hosts)
        told = ", ".join(f"{counts[kind]} {says}" for kind, says in _KINDS.items() if counts[kind])
        title = f"{rack}: {len(hosts)} hosts{f' ({told})' if told else ''}"
        yield box(place.at, place.width, place.height, fill="#fafbfc", edge="#cdd5dd", title=title)
        name = fitting(rack, place.width - 8, 12)
        yield words(Spot(place.middle.x, place.at.y + 19), name, 12, anchor="middle", colour=colours.MUTED, bold=True)
        if made.layout.detailed:
            for number, host in enumerate(hosts):
                yield from _host(made, host, of_host[host.name], Spot(place.at.x, place.at.y + 30 + ROW * number))
        else:
            yield from _counted(made, hosts, counts, place, of_host)


def _host(made: _Map, host: Host, around: Sequence[Arc], at: Spot) -> Iterator[str]:
    """A row: what it is, its name, and how full its links are on the way out and in."""
    middle = at.y + ROW / 2
    told = [f"{host.name} ({host.address}): {_KINDS[made.kinds[host.name]]}"]
    told += [f"owner: {host.owner}"] if host.owner else []
    told += [f"runs {', '.join(host.runs)}"] if host.runs else []
    title = clean_title("\n".join(told))
    yield f"<g>{title}{mark(made.kinds[host.name], Spot(at.x + 16, middle))}"
    yield words(Spot(at.x + 28, middle + 4.3), fitting(host.name, 106, 12), 12) + "</g>"
    out = [arc for arc in around if arc.source == host.name]
    into = [arc for arc in around if arc.target == host.name]
    for sign, ways, x in (("↑", out, 138.0), ("↓", into, 192.0)):
        if ways:
            worst = max(ways, key=lambda arc: made.heat[arc.name].part)
            heat = made.heat[worst.name]
            yield _gauge(sign, heat, _says(worst, heat), Spot(at.x + x, middle))


def _gauge(sign: str, heat: Heat, title: str, at: Spot) -> str:
    """A direction of a host's link: an arrow, and its number on its colour."""
    return (
        f"<g>{clean_title(title)}{words(Spot(at.x, at.y + 4), sign, 11, colour=colours.MUTED)}"
        f'<rect x="{at.x + 10:.1f}" y="{at.y - 7:.1f}" width="38" height="14" rx="2" fill="{heat.colour}"/>'
        f"{words(Spot(at.x + 29, at.y + 4), heat.percent, 10.5, anchor='middle', colour=heat.ink)}</g>"
    )


def _counted(
    made: _Map, hosts: Sequence[Host], counts: Counter[str], place: Box, of_host: Mapping[str, Sequence[Arc]]
) -> Iterator[str]:
    """How many of each kind, and how full the fullest card is."""
    if place.width >= 34:
        row = place.at.y + 38
        for kind in _KINDS:
            if counts[kind]:
                yield mark(kind, Spot(place.at.x + 12, row - 4), 4.5)
                yield words(Spot(place.at.x + 22, row), str(counts[kind]), 12)
                row += 17
    around = [arc for host in hosts for arc in of_host[host.name]]
    if around:
        worst = max(around, key=lambda arc: made.heat[arc.name].part)
        heat = made.heat[worst.name]
        at, width = Spot(place.at.x + 4, place.at.y + place.height - 20), place.width - 8
        title = f"the fullest card: {_says(worst, heat)}"
        yield box(at, width, 15, fill=heat.colour, edge="none", title=title, radius=2)
        shown = fitting(heat.percent, width, 10)
        yield words(Spot(at.x + width / 2, at.y + 11.3), shown, 10, anchor="middle", colour=heat.ink)


def _table(made: _Map, hottest: Sequence[str]) -> Iterator[str]:
    """The fullest directions with their numbers."""
    if not hottest:
        return
    y = made.layout.height + 38
    columns: tuple[tuple[str, float], ...] = (
        ("the fullest directions", 0.0),
        ("full", 360.0),
        ("capacity", 425.0),
        ("others", 515.0),
    )
    columns += (("ours", 605.0), ("worst single failure", 695.0)) if made.planned else ()
    for title, x in columns:
        yield words(Spot(MARGIN + x, y), title, 11.5, colour=colours.MUTED, bold=True)
    for number, name in enumerate(hottest, start=1):
        heat, arc = made.heat[name], made.arcs[name]
        at = y + number * 20
        yield box(Spot(MARGIN + 358, at - 12), 44, 15, fill=heat.colour, edge="none", title=_says(arc, heat), radius=2)
        yield words(Spot(MARGIN, at), fitting(f"{arc.source_port} → {arc.target_port}", 345, 12), 12)
        yield words(Spot(MARGIN + 380, at), heat.percent, 11, anchor="middle", colour=heat.ink)
        yield words(Spot(MARGIN + 425, at), show_bitrate(heat.capacity_bps), 12)
        yield words(Spot(MARGIN + 515, at), show_bitrate(heat.background_bps), 12)
        if made.planned:
            yield words(Spot(MARGIN + 605, at), show_bitrate(heat.ours_bps), 12)
            if heat.worst_bps is not None and heat.worst_when is not None:
                worst = f"{heat.worst_bps / heat.capacity_bps * 100:.0f} %: {heat.worst_when}"
                yield words(Spot(MARGIN + 695, at), worst, 12)
