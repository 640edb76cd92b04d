"""Charts of the network: what each link was to carry and what it carried, under its cap; what customers felt; who was
cut. What the guard did stands as marks on the time axis of all charts."""

from dataclasses import replace

import numpy as np

from maul.core.network_summary import LinkSummary, NetworkSummary
from maul.report import colours
from maul.report.panels import Line, Panel
from maul.report.readings import Curve, Readings

GROUP = "Network"
LINKS_SHOWN_MAX = 6
SUBJECTS_MAX = 8
MBIT = 1e6


def network_panels(readings: Readings, network: NetworkSummary | None) -> list[Panel]:
    """Links in trouble, then the fullest, one chart each; canaries; the guard. Nothing where no network was watched."""
    if network is None:
        return []
    seen = {curve.subject: curve for curve in readings.curves("link", "bits_per_s")}
    ours = {curve.subject: curve for curve in readings.curves("link", "predicted_bps")}
    watched = [link for link in network.links if link.name in seen]
    shown = sorted(watched, key=lambda link: not (link.shared and (link.cuts or link.discards)))[:LINKS_SHOWN_MAX]
    panels = [_link(index, link, seen[link.name], ours.get(link.name), readings) for index, link in enumerate(shown)]
    panels.append(_canaries(readings))
    panels.append(_parts(readings))
    return panels


def _link(index: int, link: LinkSummary, seen: Curve, ours: Curve | None, readings: Readings) -> Panel:
    flat = np.ones(readings.grid.points)
    lines = [Line("seen, everybody's", colours.SERIES[0], seen.values / MBIT, width=2.0)]
    if ours is not None:
        others = link.before_bps if link.before_bps is not None else link.background_bps
        lines.append(
            Line("predicted: ours, and others as before", colours.SERIES[1], (ours.values + others) / MBIT, "dashed")
        )
        lines.append(Line("of it ours", colours.SERIES[2], ours.values / MBIT, "dotted"))
    lines.append(Line("cap", colours.BAD, flat * link.cap_bps / MBIT, "dashed"))
    whose = "customers use it, too" if link.shared else "only ours"
    return Panel(
        f"link{index}", f"Link {link.name}", "Mbit/s", tuple(lines), full_scale=link.cap_bps / MBIT, group=GROUP,
        note=f"{whose}; {link.capacity_bps / MBIT:,.0f} Mbit/s of capacity",
    )  # fmt: skip


def _canaries(readings: Readings) -> Panel:
    panel = Panel("canaries", "Customers' canaries: round trip, p99", "ms", group=GROUP, full_scale=1.0)
    curves = sorted(readings.curves("canary", "rtt_p99_ms"), key=lambda curve: -curve.peak)[:SUBJECTS_MAX]
    lost = {curve.subject: curve for curve in readings.curves("canary", "loss_ratio")}
    if not curves and not lost:
        return replace(panel, instead="no canary was heard")
    lines = [Line(c.subject, colours.SERIES[i % len(colours.SERIES)], c.values) for i, c in enumerate(curves)]
    lines += [
        Line(f"{name}, % lost", colours.SERIES[i % len(colours.SERIES)], curve.values * 100, "dashed")
        for i, (name, curve) in enumerate(lost.items())
        if curve.peak > 0
    ]
    return replace(panel, lines=tuple(lines[: 2 * SUBJECTS_MAX]))


def _parts(readings: Readings) -> Panel:
    panel = Panel("link-guard", "Link guard: what each agent may send", "% of its part", group=GROUP, full_scale=100.0)
    curves = sorted(readings.curves("guard", "part"), key=lambda curve: curve.mean)
    cut = [curve for curve in curves if np.nanmin(curve.values, initial=1.0) < 1.0]
    if not cut:
        return replace(panel, instead="nobody was cut")
    hidden = len(cut) - SUBJECTS_MAX
    lines = [
        Line(one.subject, colours.SERIES[i % len(colours.SERIES)], one.values * 100)
        for i, one in enumerate(cut[:SUBJECTS_MAX])
    ]
    return replace(panel, lines=tuple(lines), note=f"the most cut; {hidden} more not shown" if hidden > 0 else "")
