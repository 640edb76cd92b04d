"""`maul lab play` and `maul lab protect`: what can stop traffic at the border of a lab with a network."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from maul.cli import screen
from maul.conduct.stop import StopSwitch
from maul.core.clock import SystemClock
from maul.core.errors import CampaignError
from maul.core.units import parse_duration
from maul.lab.causes import PLAYS, Orders, Play, end_all, playing
from maul.lab.protecting import standing, switch_off, switch_on, terms_from
from maul.lab.protection import ACTIONS
from maul.lab.state import lab_directory

protect_app = typer.Typer(no_args_is_help=True, help="The lab's own protection against floods, at its border.")

Name = Annotated[str, typer.Option("--name", help="Which lab; several stand side by side.")]
Directory = Annotated[
    Path | None,
    typer.Option("--dir", help="Where its data and logs are. Default: a folder of that name in maul's state."),
]


def play(
    cause: Annotated[str | None, typer.Argument(help="What to play; see --list.", metavar="CAUSE")] = None,
    name: Name = "lab",
    directory: Directory = None,
    for_: Annotated[
        str | None,
        typer.Option("--for", metavar="DURATION", help="Then take it back. Default: it stays until --end."),
    ] = None,
    strength: Annotated[float, typer.Option(help="In the unit of the play; 0: its default.")] = 0.0,
    where: Annotated[list[str] | None, typer.Option(metavar="HOST|RACK", help="Whom it hits. May be repeated.")] = None,
    variant: Annotated[str, typer.Option(help="Which way to play it; default: the first.")] = "",
    end: Annotated[bool, typer.Option("--end", help="Take back CAUSE, or everything that is on.")] = False,
    show: Annotated[bool, typer.Option("--list", help="What can be played, and what is on.")] = False,
) -> None:
    """Stop traffic as somebody upstream would, or as something breaks; and take it back."""
    place = lab_directory(name, directory)
    if show:
        _list(set(playing(place)))
        return
    if end:
        ended = end_all(place) if cause is None else ((cause,) if _known(cause).end(place) else ())
        screen.say(f"taken back: {', '.join(ended)}" if ended else "nothing was on")
        return
    if cause is None:
        raise CampaignError("which cause?", cure="see: maul lab play --list")
    one, orders = _known(cause), Orders(strength, tuple(where or ()), variant)
    if for_ is None:
        one.begin(place, orders)
        screen.say(f"{cause} is on; take it back with: maul lab play {cause} --end")
        return
    seconds = _duration(for_)
    with StopSwitch(), one.held(place, orders):
        screen.step(f"{cause}: {one.says}; for {for_}")
        SystemClock().wait(seconds)
    screen.say(f"{cause} is taken back")


@protect_app.command()
def on(
    name: Name = "lab",
    directory: Directory = None,
    packets: Annotated[
        float | None, typer.Option(help="Per second towards the VIP; 0: no limit. Default 3000.")
    ] = None,
    bits: Annotated[str | None, typer.Option(help="Per second towards the VIP, such as 100Mbit/s.")] = None,
    new_connections: Annotated[float | None, typer.Option(help="Per second to the VIP.")] = None,
    mean: Annotated[str, typer.Option(help="Over how long it takes the mean; it looks each second.")] = "5s",
    hold: Annotated[str, typer.Option(help="For how long it drops.")] = "45s",
    action: Annotated[str, typer.Option(help=f"What it does: {', '.join(ACTIONS)}.")] = ACTIONS[0],
    never_lift_while_hammered: Annotated[
        bool, typer.Option("--never-lift-while-hammered", help="After that it lifts only when the rate fell, too.")
    ] = False,
) -> None:
    """Switch it on, with these terms."""
    words = {"mean": mean, "hold": hold, "action": action}
    given = {"packets": packets, "bits": bits, "new-connections": new_connections}
    words |= {key: str(value) for key, value in given.items() if value is not None}
    if never_lift_while_hammered:
        words["never-lift-while-hammered"] = "true"
    place = lab_directory(name, directory)
    switch_on(place, terms_from(words))
    screen.say(standing(place).says)


@protect_app.command()
def off(name: Name = "lab", directory: Directory = None) -> None:
    """Switch it off; what it drops is free at once."""
    screen.say("the protection is off" if switch_off(lab_directory(name, directory)) else "it was off already")


@protect_app.command()
def status(name: Name = "lab", directory: Directory = None) -> None:
    """What it counts, and whom it drops."""
    screen.say(standing(lab_directory(name, directory)).says)


def _list(on_now: set[str]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in ("cause", "on", "strength", "variants", "what happens"):
        table.add_column(column, no_wrap=column == "cause")
    for cause, one in PLAYS.items():
        strength = f"{one.strength:.10g} {one.unit}" if one.unit else ""
        variants = ", ".join(filter(None, one.variants))
        table.add_row(cause, "yes" if cause in on_now else "", strength, variants, escape(one.says))
    screen.OUT.print(table)


def _known(cause: str) -> Play:
    if cause not in PLAYS:
        raise CampaignError(f"{cause!r} cannot be played", cure=f"there are {', '.join(PLAYS)}")
    return PLAYS[cause]


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise CampaignError(str(error)) from None
