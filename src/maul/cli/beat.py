"""`maul beat [CAMPAIGN]`: run a campaign; without one, the built-in first campaign on the embedded lab."""

from pathlib import Path
from typing import Annotated

import typer

from maul.cli import screen
from maul.cli.live import Screen
from maul.cli.report import drawn_or_told
from maul.cli.serve import PORT
from maul.cli.trust import TRUST_HELP
from maul.conduct.conductor import Order
from maul.conduct.conductor import beat as conduct
from maul.conduct.progress import Progress, Several
from maul.report import terminal
from maul.web import LivePage


def beat(
    campaign: Annotated[Path | None, typer.Argument(help="A campaign file; without one, the built-in first.")] = None,
    site: Annotated[Path | None, typer.Option("--site", help="The site instead of the campaign's own.")] = None,
    runs: Annotated[Path, typer.Option("--runs", help="Where runs are kept.")] = Path("runs"),
    trust: Annotated[Path | None, typer.Option("--trust", help=TRUST_HELP)] = None,
    live: Annotated[bool, typer.Option("--live", help="Show the run as a page, with a red button.")] = False,
    live_port: Annotated[
        int, typer.Option("--live-port", min=0, max=65_535, help="Of the page, on 127.0.0.1; 0: any free one.")
    ] = PORT,
    kill_file: Annotated[
        Path | None, typer.Option("--kill-file", help="End the run at once when this file is there.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the verdict.")] = False,
) -> int:
    """Beat the target: fill, load, hurt, audit, clean up, judge. Ctrl-C stops within a second, heals, and reports."""
    progress: Progress = Screen(screen.ERR, quiet=quiet)
    page = LivePage(live_port, lambda url: progress.step(f"live page: {url}")) if live else None
    if page is not None:
        progress = Several(progress, page)
    order = Order(campaign=campaign, site=site, runs_root=runs, trust=trust, kill_file=kill_file)
    outcome = conduct(order, progress, beside=page.beside if page is not None else None)
    report = drawn_or_told(outcome.record, outcome.summary)
    terminal.show(outcome.summary, screen.OUT, report)
    return outcome.summary.exit_code
