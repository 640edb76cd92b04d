"""`maul beat [CAMPAIGN]`: run a campaign; without one, the built-in first campaign on the embedded lab."""

from pathlib import Path
from typing import Annotated

import typer

from maul.cli import screen
from maul.cli.live import Screen
from maul.cli.report import drawn_or_told
from maul.cli.trust import TRUST_HELP
from maul.conduct.conductor import Order
from maul.conduct.conductor import beat as conduct
from maul.report import terminal


def beat(
    campaign: Annotated[Path | None, typer.Argument(help="A campaign file; without one, the built-in first.")] = None,
    site: Annotated[Path | None, typer.Option("--site", help="The site instead of the campaign's own.")] = None,
    runs: Annotated[Path, typer.Option("--runs", help="Where runs are kept.")] = Path("runs"),
    trust: Annotated[Path | None, typer.Option("--trust", help=TRUST_HELP)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the verdict.")] = False,
) -> int:
    """Beat the target: fill, load, hurt, audit, clean up, judge. Ctrl-C stops within a second, heals, and reports."""
    progress = Screen(screen.ERR, quiet=quiet)
    outcome = conduct(Order(campaign=campaign, site=site, runs_root=runs, trust=trust), progress)
    page = drawn_or_told(outcome.record, outcome.summary)
    terminal.show(outcome.summary, screen.OUT, page)
    return outcome.summary.exit_code
