"""`maul serve RUN`: look at a run in a browser, while it goes on or afterwards."""

from pathlib import Path
from typing import Annotated

import typer

from maul.cli import screen
from maul.core.clock import SystemClock
from maul.web import RecordedRun, make_app, serving

PORT = 8384
"""Of the live page, unless told otherwise."""
_PAUSE_S = 3600.0


def serve(
    run: Annotated[str, typer.Argument(help="A run id, a path, or latest.")] = "latest",
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="On 127.0.0.1; 0: any free one.")] = PORT,
    runs: Annotated[Path, typer.Option("--runs", help="Where runs are kept.")] = Path("runs"),
) -> int:
    """Show a run's directory as a page on 127.0.0.1 until Ctrl-C: read-only, whether it is finished or goes on."""
    recorded = RecordedRun(run, runs)
    with serving(make_app(recorded.told, file=recorded.file), port) as url:
        screen.say(f"{recorded.path.name} is shown at {url} (Ctrl-C ends it)")
        clock = SystemClock()
        try:
            while True:
                clock.wait(_PAUSE_S)
        except KeyboardInterrupt:
            return 0
