"""`maul lab up|status|down`: the embedded cluster."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from maul.cli import screen
from maul.core.errors import ExitCode
from maul.lab import cluster
from maul.lab.state import lab_directory

app = typer.Typer(no_args_is_help=True, help="A real S3 cluster on loopback: SeaweedFS behind HAProxy with TLS.")

Name = Annotated[str, typer.Option("--name", help="Which lab; several stand side by side.")]
Directory = Annotated[
    Path | None,
    typer.Option("--dir", help="Where its data and logs are. Default: a folder of that name in maul's state."),
]


@app.command()
def up(name: Name = "lab", directory: Directory = None) -> None:
    """Start the lab and wait until it takes writes."""
    lab = cluster.up(name, directory, on_step=screen.step)
    end = f"maul lab down{_suffix(name, directory)}"
    screen.say(f"lab {name} is up: {lab.url}\n  site: {lab.site_path}\n  end it with: {end}")


@app.command()
def status(name: Name = "lab", directory: Directory = None) -> int:
    """Each role's health, asked of the role itself. Exit 0 when all are healthy, 1 otherwise."""
    roles = cluster.status(lab_directory(name, directory))
    table = Table(box=None, pad_edge=False)
    for column in ("role", "name", "host", "pid", "health", "says"):
        table.add_column(column)
    for role in roles:
        health = "[green]healthy[/]" if role.healthy else "[red]not healthy[/]"
        table.add_row(role.role, role.name, role.host, str(role.pid or "–"), health, escape(role.says))
    screen.OUT.print(table)
    return ExitCode.PASS if all(role.healthy for role in roles) else ExitCode.FAIL


@app.command()
def down(name: Name = "lab", directory: Directory = None) -> None:
    """End every process of the lab and remove its files; its logs stay."""
    screen.say(cluster.down(lab_directory(name, directory)).says)


def _suffix(name: str, directory: Path | None) -> str:
    """What names the same lab again."""
    named = "" if name == "lab" else f" --name {shlex.quote(name)}"
    return named if directory is None else f"{named} --dir {shlex.quote(str(directory))}"
