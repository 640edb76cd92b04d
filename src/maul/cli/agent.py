"""`maul agent`: this machine as a load server of a fleet."""

from pathlib import Path
from typing import Annotated

import typer

from maul.cli import screen


def agent(
    join: Annotated[str, typer.Option("--join", help="Where the fleet's scheduler listens: `tls://ADDRESS:PORT`.")],
    name: Annotated[str, typer.Option("--name", help="Who we are: the name in our certificate.")],
    certificates: Annotated[
        Path, typer.Option("--certificates", help="Folder with `ca.pem`, `agents/NAME.pem` and `agents/NAME.key`.")
    ],
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where results are kept until the conductor has them.")
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option("--listen", help="Address to be reached at. Default: the one that leads to the scheduler."),
    ] = None,
) -> None:
    """Join a fleet and send what its conductor plans, under its lease. Ends on SIGTERM within a second."""
    from maul.conduct.agent import agent_directory, serve  # noqa: PLC0415 — dask takes a second to import
    from maul.fleet.agent import Join  # noqa: PLC0415 — dask takes a second to import

    serve(Join(join, name, certificates, directory or agent_directory(name), listen), screen.step)
