"""`maul lab up|status|down|exec|net|play|protect`: the embedded cluster."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from maul.cli import screen
from maul.cli.lab_border import play, protect_app
from maul.core.clock import SystemClock
from maul.core.errors import CampaignError, ExitCode
from maul.core.ports import PortCounters
from maul.core.units import show_bitrate
from maul.lab import cluster
from maul.lab.inside import become_in_host
from maul.lab.net import LabNetwork
from maul.lab.protecting import switch_on, terms_from
from maul.lab.state import lab_directory
from maul.lab.wiring import CUSTOMERS_BPS, UPLINK_BPS, rate_from, wiring_of

app = typer.Typer(no_args_is_help=True, help="A real S3 cluster on loopback: SeaweedFS behind HAProxy with TLS.")

app.command()(play)
app.add_typer(protect_app, name="protect")

_DEFAULT = "with --net; default"
Name = Annotated[str, typer.Option("--name", help="Which lab; several stand side by side.")]
Directory = Annotated[
    Path | None,
    typer.Option("--dir", help="Where its data and logs are. Default: a folder of that name in maul's state."),
]


@app.command()
def up(
    name: Name = "lab",
    directory: Directory = None,
    net: Annotated[
        bool, typer.Option("--net", help="On a network of its own: racks, switches, customers, in namespaces.")
    ] = False,
    uplink: Annotated[
        str | None,
        typer.Option(help=f"Each uplink that customers share, {_DEFAULT} {show_bitrate(UPLINK_BPS)}."),
    ] = None,
    customers: Annotated[
        str | None,
        typer.Option(help=f"What each customer host sends, {_DEFAULT} {show_bitrate(CUSTOMERS_BPS)}."),
    ] = None,
    border: Annotated[
        bool,
        typer.Option("--border", help="With --net: balancers behind a router, public addresses, and a host outside."),
    ] = False,
    protect: Annotated[
        str | None,
        typer.Option(metavar="TERMS", help="With --border: switch its protection on, such as packets=3000,hold=45s."),
    ] = None,
) -> None:
    """Start the lab and wait until it takes writes."""
    if not net and (uplink is not None or customers is not None or border):
        raise CampaignError("--uplink, --customers and --border belong to a lab with a network", cure="add --net")
    if protect is not None and not border:
        raise CampaignError("--protect needs a border to stand at", cure="add --border")
    terms = terms_from(dict(part.partition("=")[::2] for part in protect.split(","))) if protect is not None else None
    wiring = wiring_of(uplink, customers, border) if net else None
    lab = cluster.up(name, directory, on_step=screen.step, wiring=wiring)
    if terms is not None:
        switch_on(lab.directory, terms)
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


@app.command(name="exec", context_settings={"allow_interspersed_args": False})
def execute(
    host: Annotated[str, typer.Argument(help="A host of the lab with a network, such as ops or g41.")],
    command: Annotated[list[str], typer.Argument(help="The command, after --.", metavar="-- COMMAND...")],
    name: Name = "lab",
    directory: Directory = None,
) -> None:
    """Run a command in a host of the lab. Streams, signals and exit code are the command's own."""
    words = tuple(command[1:] if command[0] == "--" else command)
    if not words:
        raise CampaignError("there is no command to run", cure="maul lab exec ops -- maul beat")
    become_in_host(lab_directory(name, directory), host, words)


@app.command(name="net")
def network(
    name: Name = "lab",
    directory: Directory = None,
    rate: Annotated[
        list[str] | None, typer.Option(metavar="WHERE=RATE", help="Limit an uplink or a host's cable: r4=20Mbit/s.")
    ] = None,
    cut: Annotated[list[str] | None, typer.Option(metavar="WHERE", help="Pull out a cable: r4, g41.")] = None,
    restore: Annotated[
        list[str] | None, typer.Option(metavar="WHERE", help="Put it in again, as it was built.")
    ] = None,
) -> None:
    """Change cables of a lab with a network; then what each carries, measured for a second."""
    with LabNetwork(lab_directory(name, directory)) as wires:
        for words in rate or ():
            where, _, says = words.partition("=")
            screen.step(f"{where}: {show_bitrate(wires.set_rate(where, rate_from(says)))}")
        for where in cut or ():
            wires.cut(where)
        for where in restore or ():
            wires.restore(where)
            wires.set_rate(where)
        before = wires.ports()
        SystemClock().wait(1.0)
        after = wires.ports()
        table = Table(box=None, pad_edge=False)
        for column in ("from", "to", "carries", "of", "discards", "up"):
            table.add_column(column, justify="right" if column in ("carries", "of", "discards") else "left")
        for cable in wires.wiring.cables:
            for source, target in (cable.ends, cable.ends[::-1]):
                if source in before and source in after:
                    table.add_row(source, target, *_carried(before[source], after[source], cable.bits_per_s))
        screen.OUT.print(table)


def _carried(before: PortCounters, after: PortCounters, built_for_bps: float) -> tuple[str, str, str, str]:
    """What a port sent between two readings."""
    seconds = (after.at_ns - before.at_ns) / 1e9
    sent = ((after.sent_bytes or 0) - (before.sent_bytes or 0)) * 8 / seconds
    discards = (after.discards or 0) - (before.discards or 0)
    return show_bitrate(sent), show_bitrate(built_for_bps), f"{discards:g}", "yes" if after.up else "[red]no[/]"


def _suffix(name: str, directory: Path | None) -> str:
    """What names the same lab again."""
    named = "" if name == "lab" else f" --name {shlex.quote(name)}"
    return named if directory is None else f"{named} --dir {shlex.quote(str(directory))}"
