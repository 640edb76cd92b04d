"""Draws the report of a run: a page for people, a file for the build server, lines for the terminal.

Takes: the run's record (a `RunReader`) and its `Summary`.
Gives: `report.html` (one file, offline), `junit.xml`, the terminal summary.
Never: judges. The verdict and its sentences come from the summary; a report shows, and says what is missing.
Start reading at: `html.py`, then `sections.py` (what the page says) and `panels.py` (what the charts show).
Add one by: a section in `sections.py`; a chart by a line in `SPECS` of `machine_panels.py`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maul.core.summary import Summary
    from maul.report.html import Record

__all__ = ["write"]


def write(run: "Record", summary: "Summary") -> Path:
    """Write `report.html` and `junit.xml` into the run directory; the path of the page."""
    from maul.report.html import write as write_page  # noqa: PLC0415 — the chart library takes a second to import

    return write_page(run, summary)
