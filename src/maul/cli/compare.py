"""`maul compare A B`: is B worse than A?"""

from pathlib import Path
from typing import Annotated

import typer

from maul.cli import screen
from maul.conduct.compare import compare_runs
from maul.core.errors import CampaignError
from maul.record import RunReader
from maul.report import compare as compared


def compare(
    a: Annotated[str, typer.Argument(help="A run (id, path or latest), or several repeats: A1,A2,A3.")],
    b: Annotated[str, typer.Argument(help="What is held against it, likewise.")],
    runs: Annotated[Path, typer.Option("--runs", help="Where runs are kept.")] = Path("runs"),
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also runs that did not send the same, or ended early.")
    ] = False,
    json_only: Annotated[bool, typer.Option("--json", help="Print JSON instead of words.")] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Also write a page to this file.")] = None,
) -> int:
    """Is B worse than A? Effects with intervals and a noise floor. Exit code 0: nowhere, 1: it is, 2: cannot tell."""
    comparison = compare_runs(_side(a, runs), _side(b, runs), anyway=anyway)
    if html is not None:
        compared.write_page(comparison, html)
    if json_only:
        screen.say(comparison.model_dump_json(indent=2))
    else:
        compared.show(comparison, screen.OUT)
    return comparison.exit_code


def _side(words: str, runs: Path) -> list[RunReader]:
    names = [name.strip() for name in words.split(",")]
    if not all(names):
        raise CampaignError(f"an empty name among “{words}”", "compare", "Name runs with commas between: A1,A2.")
    found = [RunReader.open(name, runs) for name in names]
    if len({run.path.resolve() for run in found}) < len(found):
        raise CampaignError(f"the same run twice among “{words}”", "compare", "A repeat is a run of its own.")
    return found
