"""`maul campaign schema|check|show`: the campaign file itself."""

import json
from pathlib import Path
from typing import Annotated

import typer

from maul import campaign as campaigns
from maul.cli import screen

app = typer.Typer(no_args_is_help=True, help="Campaign files: their schema, a check, the built-in one.")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a campaign (for editors)."""
    screen.say(json.dumps(campaigns.schema(), indent=2))


@app.command()
def check(campaign: Annotated[Path, typer.Argument(help="A campaign file.")]) -> None:
    """Read a campaign and say what is wrong with it, all at once."""
    loaded = campaigns.load(campaign)
    screen.say(f"{campaign}: campaign {loaded.name!r} is well formed")


@app.command()
def show() -> None:
    """Print the built-in first campaign: a good beginning for your own."""
    screen.say(campaigns.first_text())
