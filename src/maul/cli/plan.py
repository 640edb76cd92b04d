"""`maul plan CAMPAIGN`: who sends what, when, under which ceilings. No traffic."""

from pathlib import Path
from typing import Annotated

import typer

from maul.cli import screen
from maul.cli.trust import TRUST_HELP
from maul.conduct.prepare import planned
from maul.plan import explain


def plan(
    campaign: Annotated[Path | None, typer.Argument(help="A campaign file; without one, the built-in first.")] = None,
    site: Annotated[Path | None, typer.Option("--site", help="The site instead of the campaign's own.")] = None,
    trust: Annotated[Path | None, typer.Option("--trust", help=TRUST_HELP)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The plan for machines.")] = False,
) -> None:
    """Show what a campaign would do. Nothing is sent, nothing is started."""
    made = planned(campaign, site, trust=trust)
    screen.say(made.model_dump_json(indent=2) if as_json else "\n".join(explain(made)))
