"""`maul fleet init|up|status|down`: many load servers as one."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from maul import site
from maul.cli import screen
from maul.conduct.collect import collect_run
from maul.core.errors import CampaignError, ExitCode, MachineError
from maul.fleet import bringup, certificates, place, remote
from maul.fleet.preflight import Question
from maul.fleet.remote import SshOptions
from maul.fleet.words import AgentFacts
from maul.hosts.local import LocalHost
from maul.record.locate import RUNS_ROOT

app = typer.Typer(no_args_is_help=True, help="Many load servers as one: agents that dial in, over mutual TLS.")

Name = Annotated[str, typer.Option("--name", help="Which fleet; several stand side by side.")]
Directory = Annotated[
    Path | None, typer.Option("--dir", help="Where its files are. Default: a folder of that name in maul's state.")
]


@app.command()
def init(
    agents: Annotated[list[str] | None, typer.Argument(help="Names of agents.")] = None,
    name: Name = "fleet",
    directory: Directory = None,
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="How long they are good for.")] = 30,
    renew: Annotated[bool, typer.Option("--renew", help="Make all anew, the authority included.")] = False,
) -> None:
    """Make the fleet's own authority, and certificates for its scheduler, its conductor and each agent."""
    folder = place.fleet_directory(name, directory) / place.CERTIFICATES
    made = certificates.init(folder, agents or (), days=days, renew=renew)
    for who in made:
        screen.step(f"made {certificates.Folder(folder).certificate(who)}")
    screen.say(f"certificates in {folder}; an agent needs ca.pem and its own pair, nothing else")


KnownHosts = Annotated[
    Path | None, typer.Option("--known-hosts", help="Host keys that SSH believes. Default: those of the user.")
]
Keys = Annotated[list[Path] | None, typer.Option("--identity", help="SSH key to log in with. Default: the user's.")]
Program = Annotated[str, typer.Option("--program", help="How maul is called on the hosts.")]


@app.command()
def up(
    site_path: Annotated[
        Path | None,
        typer.Argument(metavar="[SITE]", help="Site file: start agents on the hosts that it lends, by SSH."),
    ] = None,
    hosts: Annotated[list[str] | None, typer.Option("--host", help="Only on this host; may be given again.")] = None,
    local: Annotated[int, typer.Option("--local", help="So many agents as processes of this machine.")] = 0,
    listen: Annotated[
        str, typer.Option("--listen", help="Address that the scheduler listens on; agents must reach it.")
    ] = bringup.LOOPBACK,
    known_hosts: KnownHosts = None,
    identity: Keys = None,
    program: Program = "maul",
    name: Name = "fleet",
    directory: Directory = None,
) -> None:
    """Start the fleet's scheduler, and agents: on the hosts that a site lends, or as processes of this machine."""
    lent = remote.lent(site.load(site_path).hosts, hosts or ()) if site_path is not None else []
    if site_path is not None and not lent:
        raise CampaignError("no host of this site is lent and reached by SSH", str(site_path), "see `borrow` and `ssh`")
    ssh = SshOptions(known_hosts, tuple(identity or ()), program)
    fleet = bringup.up(name, directory, local=local, hosts=lent, ssh=ssh, listen=listen, on_step=screen.step)
    screen.say(
        f"fleet {name} is up: {fleet.address}\n  certificates: {fleet.certificates}\n"
        f"  more agents: maul agent --join {fleet.address} --name NAME --certificates DIR"
    )


@app.command()
def status(name: Name = "fleet", directory: Directory = None) -> int:
    """Every agent: version, cores, clock, ceiling, and what it lacks. Exit 0 when all that were started are in."""
    from maul.fleet.connection import Fleet  # noqa: PLC0415 — dask takes a second to import

    fleet = place.load(LocalHost(), place.fleet_directory(name, directory))
    if fleet is None:
        raise MachineError("there is no fleet here", str(place.fleet_directory(name, directory)), "maul fleet up")
    with Fleet.connect(fleet.address, fleet.certificates) as connected:
        there = connected.agents()
        found = connected.preflight(Question(), sorted({*there, *fleet.agents}))
    table = Table(box=None, pad_edge=False)
    for column in ("agent", "version", "cores", "clock", "ceiling", "says"):
        table.add_column(column)
    for agent in found.ready.values():
        table.add_row(*_row(agent))
    for agent_name, why in found.left_out.items():
        table.add_row(agent_name, "–", "–", "–", "–", f"[red]{escape(why)}[/]")
    screen.OUT.print(table)
    return ExitCode.FAIL if found.left_out else ExitCode.PASS


@app.command()
def collect(
    run: Annotated[str, typer.Argument(help="`latest`, a run id, or a path.")],
    runs: Annotated[Path, typer.Option("--runs", help="Where runs are.")] = RUNS_ROOT,
    name: Name = "fleet",
    directory: Directory = None,
) -> None:
    """Complete the record of a run whose conductor was killed, by what its agents kept."""
    found = collect_run(run, runs, place.fleet_directory(name, directory))
    screen.say(f"{found.rows} rows added to {found.run}, kept by {', '.join(found.agents)}")
    if found.again:
        screen.step(f"{found.again} batches were in the record already")
    if found.damaged:
        screen.step(f"{found.damaged} batches were damaged, and are lost")
    if found.unheard:
        screen.step(f"agents that could not be asked: {', '.join(found.unheard)}")


@app.command()
def down(
    known_hosts: KnownHosts = None, identity: Keys = None, name: Name = "fleet", directory: Directory = None
) -> None:
    """End every process that `up` started, here and by SSH, and nothing else."""
    screen.say(bringup.down(name, directory, SshOptions(known_hosts, tuple(identity or ()))).says)


def _row(agent: AgentFacts) -> tuple[str, ...]:
    clock = agent.clock
    told = "–" if clock is None else f"{clock.offset_ns / 1e6:+.2f} ± {clock.error_ns / 1e6:.2f} ms"
    ceiling = "not calibrated" if agent.ceiling_per_s is None else f"{agent.ceiling_per_s:,.0f}/s"
    says = f"keeps results of {', '.join(agent.spooled_runs)}" if agent.spooled_runs else "ready"
    return agent.name, escape(agent.version), str(agent.cores), told, ceiling, escape(says)
