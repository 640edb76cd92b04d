"""`maul report RUN`: judge a record anew and write its report."""

from pathlib import Path
from typing import Annotated

import typer

from maul.cli import screen
from maul.cli.bugs import bug_message
from maul.conduct.judge import judge
from maul.core.errors import MaulError
from maul.core.summary import Summary
from maul.record import RunReader, write_summary
from maul.record.files import disk_error
from maul.report import terminal, write


def report(
    run: Annotated[str, typer.Argument(help="A run id, a path, or latest.")] = "latest",
    runs: Annotated[Path, typer.Option("--runs", help="Where runs are kept.")] = Path("runs"),
    json_only: Annotated[bool, typer.Option("--json", help="Print summary.json instead of words.")] = False,
) -> int:
    """Rebuild summary.json, report.html and junit.xml of a run from its record alone. The exit code is the run's."""
    reader = RunReader.open(run, runs)
    summary = judge(reader)
    write_summary(reader.path, summary)
    page = drawn(reader, summary)
    if json_only:
        screen.say(summary.model_dump_json(indent=2))
    else:
        terminal.show(summary, screen.OUT, page)
    return summary.exit_code


def drawn_or_told(record: RunReader, summary: Summary) -> Path | None:
    """Write the report of a run that has its verdict already: what goes wrong here is told, and takes nothing away."""
    try:
        return drawn(record, summary)
    except MaulError as error:
        screen.complain(error.message)
    except Exception as error:  # noqa: BLE001 — nor does a bug in drawing take the verdict away
        screen.complain(bug_message(error))
    return None


def drawn(record: RunReader, summary: Summary) -> Path:
    """Write the report of a run; the path of its page. MachineError when the disk refuses."""
    try:
        return write(record, summary)
    except OSError as error:
        raise disk_error(error, record.path) from error
