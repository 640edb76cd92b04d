"""The network on the page: tables, terminal lines, charts with their cap line; nothing where none was watched."""

import numpy as np
import pyarrow as pa

from maul.core.network_summary import CanarySummary, LinkSummary, NetworkSummary, PartSpan, TrickleRowSummary
from maul.core.verdict import Verdict
from maul.report.network_panels import network_panels
from maul.report.network_section import network_lines, network_section
from maul.report.panels import Grid
from maul.report.readings import Readings

S = 10**9
NETWORK = NetworkSummary(
    links=[
        LinkSummary(
            name="a>b", shared=True, capacity_bps=1e9, cap_bps=6e8, background_bps=1e8, planned_bps=2e8, before_bps=1e8,
            seen_mean_bps=3e8, seen_max_bps=7e8, predicted_max_bps=2e8, discards=12, down_s=0, over_cap_s=3, cuts=1,
        ),
        LinkSummary(
            name="b>a", shared=False, capacity_bps=1e9, cap_bps=8e8, background_bps=0, planned_bps=1e7, before_bps=None,
            seen_mean_bps=None, seen_max_bps=None, predicted_max_bps=None, discards=None, down_s=0, over_cap_s=0,
            cuts=0, unwatched="no counter of a or b",
        ),
    ],
    canaries=[
        CanarySummary(name="shop", before_p99_ms=0.4, p99_ms=0.5, worst_p99_ms=3, sent=100, lost=2, harmed=["ouch"])
    ],
    trickle=[
        TrickleRowSummary(
            rack="r1", link="a>b", predicted_bps=1e6, seen_bps=2e6, noise_bps=1e4, verdict=Verdict.FAIL, says="too much"
        )
    ],
    trickle_verdict=Verdict.FAIL,
    trickle_says="the map is wrong",
    cut=[PartSpan(agent="g1", least=0.5, seconds=20)],
    says="one link",
)  # fmt: skip


def test_tables() -> None:
    section = network_section(NETWORK)
    links, canaries, trickle = section.tables
    assert [cell.text for cell in links.bodies[0].rows[0]] == [
        "a>b", "600 Mbit/s", "200 Mbit/s", "200 Mbit/s", "100 Mbit/s", "300 Mbit/s", "700 Mbit/s", "117%",
        "above its cap for 3.0 s, 12 frames thrown away",
    ]  # fmt: skip
    assert links.bodies[0].rows[1][-1].text == "no counter of a or b"
    assert [cell.text for cell in canaries.bodies[0].rows[0]] == ["shop", "0.4", "0.5", "3", "100", "2", "1"]
    assert trickle.bodies[0].rows[0][-1].text == "too much"
    assert section.points == ("g1 was cut to 50%, for 20.0 s in all", "ouch")


def test_terminal_lines() -> None:
    assert network_lines(NETWORK) == [
        ("one link", False),
        ("trickle: the map is wrong", True),
        ("a>b: above its cap for 3.0 s, 12 frames thrown away", True),
        ("ouch", True),
    ]


def readings(*rows: tuple[str, str, str, float]) -> Readings:
    table = [
        {
            "at_ns": second * S + S // 2,
            "host": "local",
            "probe": probe,
            "metric": metric,
            "subject": subject,
            "value": v,
        }
        for probe, subject, metric, v in rows
        for second in range(10)
    ]
    return Readings(pa.Table.from_pylist(table), Grid.over(0, 10 * S - 1))


def test_charts() -> None:
    found = readings(
        ("link", "a>b", "bits_per_s", 3e8),
        ("link", "a>b", "predicted_bps", 2e8),
        ("canary", "shop", "rtt_p99_ms", 0.4),
        ("canary", "shop", "loss_ratio", 0.02),
        ("guard", "g1", "part", 0.5),
        ("guard", "g2", "part", 1.0),
    )
    link, canaries, guard = network_panels(found, NETWORK)
    values = {line.label: float(np.nanmean(line.values)) for line in link.lines}
    assert values == {
        "seen, everybody's": 300,
        "predicted: ours, and others as before": 300,
        "of it ours": 200,
        "cap": 600,
    }
    assert [line.label for line in canaries.lines] == ["shop", "shop, % lost"]
    assert [(line.label, float(line.values[0])) for line in guard.lines] == [("g1", 50.0)]


def test_nothing_to_draw() -> None:
    assert network_panels(readings(), None) == []
    panels = network_panels(readings(("cpu", "all", "busy_ratio", 0.1)), NETWORK)
    assert [panel.instead for panel in panels] == ["no canary was heard", "nobody was cut"]


def test_the_link_in_trouble_comes_before_fuller_ones() -> None:
    hurt = NETWORK.links[0].model_copy(update={"name": "slow>spine", "seen_max_bps": 2e8})
    well = NETWORK.links[0].model_copy(update={"name": "full>spine", "discards": 0, "cuts": 0})
    network = NETWORK.model_copy(update={"links": [well, hurt]})
    found = readings(("link", "slow>spine", "bits_per_s", 2e8), ("link", "full>spine", "bits_per_s", 5e8))
    assert [panel.title for panel in network_panels(found, network)][:2] == ["Link slow>spine", "Link full>spine"]
