"""`maul`: the verbs, and the one place where an error becomes a message and an exit code."""

import importlib
import io
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from maul import __version__
from maul.cli import screen
from maul.cli.bugs import bug_message
from maul.core.errors import ExitCode, MaulError

VERBS = (
    *(
        "beat",
        "plan",
        "limit",
        "hit",
        "knock",
        "calibrate",
        "report",
        "compare",
        "stop",
        "serve",
        "heal",
        "wipe",
        "audit",
    ),
    *("alerts", "agent", "lab", "fleet", "campaign", "permit", "site"),
)
"""In the order of the help. Each is a module of `maul.cli`: with a function of that name, or an `app` of its own."""

_TYPER_INTERRUPTED = 130
"""What Typer makes of a KeyboardInterrupt; no exit code of ours."""


def _show_version(wanted: bool) -> None:
    if wanted:
        screen.say(f"maul {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    del version


def build(verbs: Iterable[str] = VERBS) -> typer.Typer:
    """The command line with these verbs. Only their modules are imported: an agent needs no charts."""
    app = typer.Typer(
        name="maul",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        help="Beats an S3 object store to a pulp before its customers do, safely, and says what it learnt.",
    )
    app.callback()(_root)
    for verb in verbs:
        module = importlib.import_module(f"maul.cli.{verb}")
        if isinstance(group := getattr(module, "app", None), typer.Typer):
            app.add_typer(group, name=verb)
        else:
            app.command(verb)(getattr(module, verb))
    return app


def run(words: Sequence[str]) -> int:
    """Run one command line and return its exit code. Never raises."""
    try:
        asked = [word for word in words[:1] if word in VERBS]
        result = build(asked or VERBS)(list(words), prog_name="maul", standalone_mode=False)
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
