"""`maul`: the verbs, and the one place where an error becomes a message and an exit code."""

import io
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from maul import __version__
from maul.cli import (
    agent,
    audit,
    beat,
    calibrate,
    campaign,
    compare,
    fleet,
    heal,
    hit,
    lab,
    limit,
    permit,
    plan,
    report,
    screen,
    serve,
    site,
    stop,
    wipe,
)
from maul.cli.bugs import bug_message
from maul.core.errors import ExitCode, MaulError

app = typer.Typer(
    name="maul",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Beats an S3 object store to a pulp before its customers do, safely, and says what it learnt.",
)
app.command("beat")(beat.beat)
app.command("plan")(plan.plan)
app.command("limit")(limit.limit)
app.command("hit")(hit.hit)
app.command("calibrate")(calibrate.calibrate)
app.command("report")(report.report)
app.command("compare")(compare.compare)
app.command("stop")(stop.stop)
app.command("serve")(serve.serve)
app.command("heal")(heal.heal)
app.command("wipe")(wipe.wipe)
app.command("audit")(audit.audit)
app.command("agent")(agent.agent)
app.add_typer(lab.app, name="lab")
app.add_typer(fleet.app, name="fleet")
app.add_typer(campaign.app, name="campaign")
app.add_typer(permit.app, name="permit")
app.add_typer(site.app, name="site")

_TYPER_INTERRUPTED = 130
"""What Typer makes of a KeyboardInterrupt; no exit code of ours."""


def _show_version(wanted: bool) -> None:
    if wanted:
        screen.say(f"maul {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    del version


def run(words: Sequence[str]) -> int:
    """Run one command line and return its exit code. Never raises."""
    try:
        result = app(list(words), prog_name="maul", standalone_mode=False)
        if result == _TYPER_INTERRUPTED:
            raise KeyboardInterrupt
        return int(result) if isinstance(result, int) else ExitCode.PASS
    except typer.TyperException as error:
        if says := error.format_message():  # without a verb, the help has been shown already
            screen.complain(f"{says}\n  see: maul --help")
        return ExitCode.USAGE
    except (typer.Abort, KeyboardInterrupt):
        screen.complain("interrupted")
        return ExitCode.UNKNOWN
    except MaulError as error:
        screen.complain(error.message)
        return error.exit_code
    except (BrokenPipeError, SystemExit):
        # Whoever read our help went away (Rich leaves by SystemExit then); there is nobody left to tell.
        screen.silence(sys.stdout)
        return ExitCode.UNKNOWN
    except Exception as error:  # noqa: BLE001 — the last door: a bug of ours becomes one message, its trace a file
        screen.complain(bug_message(error))
        return ExitCode.UNKNOWN


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a letter must not end a run
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:]))
