"""What the record says of the network: links that were to carry our load, canaries, the trickle, who was cut."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from maul.conduct.link_words import LINKS, PART, PREDICTED_BPS, TELEMETRY, TRICKLE, LinksWords, TrickleWords
from maul.core.event import Edge, EventKind
from maul.core.network_summary import CanarySummary, LinkSummary, NetworkSummary, PartSpan
from maul.core.units import show_bitrate
from maul.guard.link_trouble import OVER
from maul.plan import Plan
from maul.plan.fleet_model import FleetPlan, LinkLoad

LINKS_MAX = 500
"""Directions in a summary: those nearest to their caps."""
OURS = 0.01
"""Of a cap: a link that is above it while we carry less there is others' doing."""
CUT_PREFIX = "links: "
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class _Series:
    """One metric of one subject: seconds of Unix time, and values."""

    at_s: Floats
    values: Floats

    def after(self, from_s: float) -> "_Series":
        keep = self.at_s > from_s
        return _Series(self.at_s[keep], self.values[keep])

    def seconds_where(self, true: Any) -> float:
        """How long the values were so, each counted until the next."""
        if self.at_s.size < 2:
            return 0.0
        apart = np.diff(self.at_s, append=self.at_s[-1] + float(np.median(np.diff(self.at_s))))
        return float(apart[true].sum())


_NONE = _Series(np.zeros(0), np.zeros(0))


@dataclass(frozen=True, slots=True)
class _Told:
    """What the record tells. `from_s`: since when load may have been there."""

    words: LinksWords | None
    from_s: float
    cuts: Sequence[Mapping[str, Any]]
    harms: Sequence[Mapping[str, Any]]
    """What customers felt, whether anybody was cut for it or not."""
    series: Mapping[tuple[str, str, str], _Series]

    def of(self, probe: str, subject: str, metric: str) -> _Series:
        return self.series.get((probe, subject, metric), _NONE)


def network_summary(plan: Plan, events: pa.Table, samples: pa.Table) -> NetworkSummary | None:
    """None where no network was watched: no fleet, or no links in its plan."""
    if plan.fleet is None or not plan.fleet.links:
        return None
    rows = [row for row in events.to_pylist() if row["kind"] in (EventKind.LINK, EventKind.GUARD)]
    watched = _last(rows, EventKind.LINK, LINKS)
    words = LinksWords.model_validate(json.loads(watched["details"])) if watched is not None else None
    from_s = watched["at_ns"] / 1e9 if watched is not None else 0.0
    cuts = [json.loads(row["details"]) | {"says": row["says"]} for row in rows if row["name"].startswith(CUT_PREFIX)]
    harms = [json.loads(row["details"]) | {"says": row["says"]} for row in rows if '"canary"' in (row["details"] or "")]
    told_of = _Told(words, from_s, cuts, harms, _series(samples))
    trickle = _last(rows, EventKind.LINK, TRICKLE)
    told = TrickleWords.model_validate(json.loads(trickle["details"])) if trickle is not None else None
    links = [_link(link, plan.fleet, told_of) for link in plan.fleet.links]
    links.sort(key=lambda link: -_fill(link))
    summary = NetworkSummary(
        links=links[:LINKS_MAX],
        canaries=_canaries(told_of),
        trickle=list(told.rows) if told is not None else [],
        trickle_verdict=told.verdict if told is not None else None,
        trickle_says=told.says if told is not None else "",
        cut=_cut(told_of.series),
        frozen_s=_frozen_s(rows, events),
    )
    return summary.model_copy(update={"says": _says(summary, len(plan.fleet.links))})


def _last(rows: Sequence[dict[str, Any]], kind: EventKind, name: str) -> dict[str, Any] | None:
    return next((row for row in reversed(rows) if row["kind"] == kind and row["name"] == name), None)


def _series(samples: pa.Table) -> dict[tuple[str, str, str], _Series]:
    """By probe, subject and metric."""
    wanted = samples.filter(pc.is_in(samples["probe"], pa.array(["link", "canary", "guard"])))
    at_s, values = wanted["at_ns"].to_numpy() / 1e9, wanted["value"].to_numpy().astype(np.float64)
    places: dict[tuple[str, str, str], list[int]] = {}
    names = zip(*(wanted[name].to_pylist() for name in ("probe", "subject", "metric")), strict=True)
    for row, key in enumerate(names):
        places.setdefault(key, []).append(row)
    found: dict[tuple[str, str, str], _Series] = {}
    for key, of in places.items():
        order = np.array(of)[np.argsort(at_s[of], kind="stable")]
        found[key] = _Series(at_s[order], values[order])
    return found


def _link(link: LinkLoad, fleet: FleetPlan, told: _Told) -> LinkSummary:
    def of(metric: str) -> _Series:
        return told.of("link", link.name, metric)

    words, from_s = told.words, told.from_s
    seen, lost = of("bits_per_s").after(from_s), of("discards_per_s").after(from_s)
    before_lost = of("discards_per_s").values[of("discards_per_s").at_s <= from_s]
    usual = float(before_lost.max(initial=0.0))
    predicted, up = of(PREDICTED_BPS).values, of("up").after(from_s)
    cap_bps = link.cap * link.capacity_bps
    unwatched = words.unwatched.get(link.name, "") if words is not None else "the links were not watched"
    return LinkSummary(
        name=link.name,
        shared=link.shared,
        capacity_bps=link.capacity_bps,
        cap_bps=cap_bps,
        background_bps=link.background_bps,
        planned_bps=sum(link.bps_of(one) for one in fleet.generators),
        before_bps=words.watched.get(link.name) if words is not None else None,
        seen_mean_bps=float(seen.values.mean()) if seen.values.size else None,
        seen_max_bps=float(seen.values.max()) if seen.values.size else None,
        predicted_max_bps=float(predicted.max()) if predicted.size else None,
        discards=_lost(lost, usual),
        down_s=up.seconds_where(up.values == 0),
        over_cap_s=seen.seconds_where((seen.values > cap_bps * OVER) & (_at(of(PREDICTED_BPS), seen) > OURS * cap_bps)),
        cuts=sum(cut.get("link") == link.name and not cut.get("watched") for cut in told.cuts),
        unwatched=unwatched,
    )


def _at(known: _Series, when: _Series) -> Floats:
    """Its values at the times of another; all we know of, where it is not known."""
    if not known.values.size:
        return np.full(when.at_s.shape, np.inf)
    return np.interp(when.at_s, known.at_s, known.values)


def _lost(lost: _Series, usual: float) -> float | None:
    """Frames beyond what was usual; None when nothing told."""
    if not lost.values.size:
        return None
    apart = np.diff(lost.at_s, prepend=lost.at_s[0] - (np.median(np.diff(lost.at_s)) if lost.at_s.size > 1 else 1.0))
    return float((np.clip(lost.values - usual, 0.0, None) * apart).sum())


def _fill(link: LinkSummary) -> float:
    """How near to its cap it came; customers' links first among equals."""
    return ((link.seen_max_bps or 0.0) + link.shared * 1e-3) / link.cap_bps if link.cap_bps else 0.0


def _canaries(told: _Told) -> list[CanarySummary]:
    words = told.words
    if words is None:
        return []
    found = []
    for name in (*words.canaries, *words.silent_canaries):
        before, _ = words.canaries.get(name, (None, 0.0))
        trips = told.of("canary", name, "rtt_p99_ms").after(told.from_s).values
        sent = told.of("canary", name, "sent").after(told.from_s)
        ratio = told.of("canary", name, "loss_ratio").after(told.from_s)
        same = sent.values.size == ratio.values.size
        found.append(
            CanarySummary(
                name=name,
                before_p99_ms=before,
                p99_ms=float(np.median(trips)) if trips.size else None,
                worst_p99_ms=float(trips.max()) if trips.size else None,
                sent=float(sent.values.sum()),
                lost=round(float((sent.values * ratio.values).sum()), 3) if same else 0.0,
                harmed=[str(harm["says"]) for harm in told.harms if harm.get("canary") == name],
            )
        )
    return found


def _cut(series: Mapping[tuple[str, str, str], _Series]) -> list[PartSpan]:
    """Agents that sent less than their whole part, the most cut first."""
    found = [
        PartSpan(agent=agent, least=float(of.values.min()), seconds=of.seconds_where(of.values < 1.0))
        for (probe, agent, metric), of in series.items()
        if probe == "guard" and metric == PART and of.values.min(initial=1.0) < 1.0
    ]
    return sorted(found, key=lambda span: (span.least, span.agent))


def _frozen_s(rows: Sequence[dict[str, Any]], events: pa.Table) -> float:
    total_ns, began_ns = 0, None
    for row in rows:
        if row["name"] == TELEMETRY and row["edge"] == Edge.BEGAN:
            began_ns = row["at_ns"]
        elif row["name"] == TELEMETRY and row["edge"] == Edge.ENDED and began_ns is not None:
            total_ns, began_ns = total_ns + row["at_ns"] - began_ns, None
    if began_ns is not None:
        total_ns += int(events["at_ns"].to_numpy().max()) - began_ns
    return total_ns / 1e9


def _says(found: NetworkSummary, links: int) -> str:
    watched = [link for link in found.links if link.seen_max_bps is not None]
    if not watched:
        return f"none of the {links} directions that carry our load was watched"
    fullest = watched[0]
    words = [
        f"{sum(not link.unwatched for link in found.links)} of {links} directions that carry our load were watched",
        f"the fullest was {fullest.name} with {show_bitrate(fullest.seen_max_bps or 0.0)}, "
        f"{(fullest.seen_max_bps or 0.0) / fullest.cap_bps:.0%} of its cap",
    ]
    if found.cut:
        words.append(f"{len(found.cut)} agents were cut, {found.cut[0].agent} to {found.cut[0].least:.0%}")
    harmed = sum(len(canary.harmed) for canary in found.canaries)
    if found.canaries:
        words.append(f"customers' canaries were harmed {harmed} times" if harmed else "no canary was harmed")
    return "; ".join(words)
