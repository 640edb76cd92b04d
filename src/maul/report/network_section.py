"""The network on the page and in the terminal: links, canaries, the trickle, who was cut."""

from maul.core.network_summary import CanarySummary, LinkSummary, NetworkSummary, TrickleRowSummary
from maul.core.units import show_bitrate, show_duration
from maul.core.verdict import Verdict
from maul.report.view import Body, Cell, Chip, Column, Section, Table, verdict_chip

ROWS_MAX = 40
LINES_MAX = 6
NOTHING = "–"


def network_section(network: NetworkSummary) -> Section:
    """Tables of everything; the charts are under "Over time"."""
    points = [f"{one.agent} was cut to {one.least:.0%}, for {show_duration(one.seconds)} in all" for one in network.cut]
    points += [says for canary in network.canaries for says in canary.harmed]
    return Section(
        "network",
        "Network",
        lead=f"{network.says}.",
        tables=(_links(network.links), _canaries(network.canaries), _trickle(network.trickle)),
        points=tuple(points[:ROWS_MAX]),
        note=network.trickle_says,
    )


def network_lines(network: NetworkSummary) -> list[tuple[str, bool]]:
    """For the terminal: lines, and whether each is bad."""
    lines = [(network.says, False)]
    if network.trickle_verdict is not None:
        lines.append((f"trickle: {network.trickle_says}", network.trickle_verdict is Verdict.FAIL))
    bad = [link for link in network.links if link.shared and _troubles(link)]
    lines += [(f"{link.name}: {', '.join(_troubles(link))}", True) for link in bad[:LINES_MAX]]
    lines += [(says, True) for canary in network.canaries for says in canary.harmed[:LINES_MAX]]
    return lines


def _troubles(link: LinkSummary) -> list[str]:
    found = [f"above its cap for {show_duration(link.over_cap_s)}"] if link.over_cap_s else []
    found += [f"{link.discards:,.0f} frames thrown away"] if (link.discards or 0) >= 1 else []
    return found + ([f"down for {show_duration(link.down_s)}"] if link.down_s else [])


def _bits(value: float | None) -> Cell:
    return Cell(NOTHING if value is None else show_bitrate(value))


def _links(links: list[LinkSummary]) -> Table:
    columns = (
        Column("Link, the fullest first"),
        Column("Cap", number=True, hint="everybody's traffic together"),
        Column("planned", number=True, group="Ours"),
        Column("predicted, most", number=True, group="Ours", hint="by what was really sent"),
        Column("before us", number=True, group="Everybody's"),
        Column("mean", number=True, group="Everybody's"),
        Column("most", number=True, group="Everybody's"),
        Column("of the cap", number=True, group="Everybody's"),
        Column("Trouble"),
    )
    return Table(columns, (Body(tuple(_link_row(link) for link in links[:ROWS_MAX])),))


def _link_row(link: LinkSummary) -> tuple[Cell, ...]:
    troubles = _troubles(link)
    trouble = Cell(", ".join(troubles) or link.unwatched or "none", tone="bad" if troubles and link.shared else "")
    filled = NOTHING if link.seen_max_bps is None or not link.cap_bps else f"{link.seen_max_bps / link.cap_bps:.0%}"
    return (
        Cell(link.name, mono=True, chip=Chip("customers") if link.shared else None),
        _bits(link.cap_bps),
        _bits(link.planned_bps),
        _bits(link.predicted_max_bps),
        _bits(link.before_bps),
        _bits(link.seen_mean_bps),
        _bits(link.seen_max_bps),
        Cell(filled),
        trouble,
    )


def _canaries(canaries: list[CanarySummary]) -> Table:
    columns = (
        Column("Canary"),
        Column("before us", number=True, group="p99 of round trips, ms"),
        Column("while we sent", number=True, group="p99 of round trips, ms"),
        Column("worst", number=True, group="p99 of round trips, ms"),
        Column("Packets", number=True),
        Column("Lost", number=True),
        Column("Harmed", number=True),
    )
    rows = tuple(
        (
            Cell(one.name),
            *(Cell(NOTHING if ms is None else f"{ms:.3g}") for ms in (one.before_p99_ms, one.p99_ms, one.worst_p99_ms)),
            Cell(f"{one.sent:,.0f}"),
            Cell(f"{one.lost:,.0f}", tone="bad" if one.lost else ""),
            Cell(f"{len(one.harmed)}", tone="bad" if one.harmed else ""),
        )
        for one in canaries[:ROWS_MAX]
    )
    return Table(columns, (Body(rows),))


def _trickle(trickle: list[TrickleRowSummary]) -> Table:
    columns = (
        Column("Verdict"),
        Column("Trickle of"),
        Column("Link"),
        Column("Predicted", number=True),
        Column("Seen", number=True),
        Column("give or take", number=True),
        Column("What it means"),
    )
    rows = tuple(
        (
            Cell("", chip=verdict_chip(row.verdict)),
            Cell(row.rack),
            Cell(row.link, mono=True),
            _bits(row.predicted_bps),
            _bits(row.seen_bps),
            _bits(row.noise_bps),
            Cell(row.says or "as predicted"),
        )
        for row in sorted(trickle, key=lambda row: -row.verdict)[:ROWS_MAX]
    )
    return Table(columns, (Body(rows),))
