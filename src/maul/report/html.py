"""The page: one HTML file that opens anywhere, with nothing loaded from the network."""

import base64
import contextlib
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from bokeh.document import Document
from bokeh.embed import components
from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from maul.core.errors import MachineError
from maul.core.summary import Summary
from maul.insight.latency import LatencyBook
from maul.report import numerals
from maul.report.axis import time_axis
from maul.report.capacity_chart import capacity_chart
from maul.report.charts import chart
from maul.report.junit import junit_xml
from maul.report.limit_chart import limit_chart, limit_key
from maul.report.load_panels import LoadSeries, load_panels
from maul.report.machine_panels import machine_panels
from maul.report.mitigation_section import story_key
from maul.report.mitigation_story import story
from maul.report.network_panels import network_panels
from maul.report.panels import Grid, Panel, bands, marks
from maul.report.readings import Readings
from maul.report.sections import build
from maul.report.timeline import timeline

PAGE_NAME = "report.html"
JUNIT_NAME = "junit.xml"
NOTHING_RUNS = "'none'"

_SCRIPT = re.compile(r"<script[^>]*>(.*)</script>", re.DOTALL)


class Record(Protocol):
    """What the report reads of a run directory; `maul.record.RunReader` is one."""

    path: Path

    def events(self) -> pa.Table:
        """Columns at_ns, kind, edge, name, says, details."""
        ...

    def samples(self) -> pa.Table:
        """Columns at_ns, host, probe, metric, subject, value."""
        ...

    def latency(self) -> pa.Table:
        """Columns second, phase, op, outcome, kind, count, hdr."""
        ...

    def operations(self) -> pa.Table:
        """Columns phase and the fields of OPERATION_DTYPE."""
        ...


@dataclass(frozen=True)
class Drawn:
    """Panels, the HTML that holds each figure (by key), and the script that fills them."""

    panels: tuple[Panel, ...]
    places: dict[str, Markup]
    script: str
    step_s: int  # that one point of a line covers


def write(run: Record, summary: Summary) -> Path:
    """Write `report.html` and `junit.xml` into the run directory; the path of the page.

    MachineError when the disk refuses: the record is not touched, and a report can be drawn again.
    """
    page = run.path / PAGE_NAME
    cure = f"Make room, then draw it again: maul report {summary.run_id}"
    put(page, render(run, summary), cure)
    put(run.path / JUNIT_NAME, junit_xml(summary), cure)
    return page


def put(path: Path, text: str, cure: str) -> None:
    """Write a file whole or not at all: an older one stays until the new one is written. MachineError."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)
        what = f"the report cannot be written: {error.strerror or error}"
        raise MachineError(what, str(path), cure) from error


def render(run: Record, summary: Summary) -> str:
    """The page as text."""
    drawn = draw(run, summary)
    scripts = [_bokeh(), drawn.script, asset("report.js")]
    environment = Environment(
        loader=PackageLoader("maul.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        page=build(summary),
        summary=summary,
        panels=drawn.panels,
        places=drawn.places,
        step_s=drawn.step_s,
        scripts=[Markup(script) for script in scripts],
        policy=policy(scripts),
        css=Markup(asset("report.css")),
    )


def policy(scripts: list[str]) -> str:
    """The content security policy: nothing is fetched, no script runs but these, whatever a record holds."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    hashes = " ".join(f"'sha256-{digest}'" for digest in digests)
    rules = (
        "default-src 'none'",
        f"script-src {hashes or NOTHING_RUNS}",
        "style-src 'unsafe-inline'",
        "img-src data:",
        "font-src data:",
    )
    return "; ".join((*rules, "base-uri 'none'", "form-action 'none'"))


def draw(run: Record, summary: Summary) -> Drawn:
    """Every chart of the page."""
    events = run.events()
    grid = Grid.over(summary.began_ns, max(summary.ended_ns, summary.began_ns))
    axis = time_axis(grid, bands(summary, events), marks(summary, events))
    audits = [phase.name for phase in summary.phases if phase.kind == "audit"]
    samples = run.samples()
    readings = Readings(samples, grid)
    panels = (
        *load_panels(LoadSeries.of(LatencyBook.of(run.latency()), grid), run.operations(), audits),
        *network_panels(readings, summary.network),
        *machine_panels(readings),
    )
    figures: dict[str, Any] = {panel.key: chart(panel, grid, axis) for panel in panels if not panel.instead}
    if figures:
        figures["timeline"] = timeline(axis)
    if summary.capacity and summary.capacity.levels:
        figures["capacity"] = capacity_chart(summary.capacity)
    figures |= {limit_key(limit): limit_chart(limit, summary.began_ns) for limit in summary.limits}
    stories = {
        story_key(place): story(found, samples, summary.ended_ns) for place, found in enumerate(summary.mitigations)
    }
    if not figures:
        return Drawn(panels, stories, "", grid.step_s)
    document = Document()
    with document.models.freeze():  # else every root makes Bokeh count all models again
        for figure in figures.values():
            document.add_root(figure)
    script, places = components(figures)
    found = _SCRIPT.search(script)
    return Drawn(
        panels,
        stories | {key: Markup(place) for key, place in places.items()},
        found.group(1) if found else "",
        grid.step_s,
    )


def visible(value: object) -> object:
    """Control and direction characters, which a hostile key may hold, as they are written in source code."""
    return numerals.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _bokeh() -> str:
    """BokehJS as shipped in its wheel; only the part that draws plots."""
    return "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)


@cache
def asset(name: str) -> str:
    """A file of the templates folder as text."""
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
