"""`maul limit [CAMPAIGN]`: the highest rate that still meets the objectives, with the wall that stopped it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from maul.campaign.model_search import AxisName
from maul.cli import screen
from maul.cli.live import Screen
from maul.cli.report import drawn_or_told
from maul.cli.trust import TRUST_HELP
from maul.conduct.conductor import Order
from maul.conduct.conductor import beat as conduct
from maul.core.errors import CampaignError
from maul.plan import LimitWish
from maul.report import terminal


class Axis(StrEnum):
    """What is raised."""

    REQUESTS = "requests"
    BYTES = "bytes"
    CONNECTIONS = "connections"
    ALL = "all"


def limit(
    campaign: Annotated[Path | None, typer.Argument(help="A campaign file; without one, the built-in first.")] = None,
    axis: Annotated[
        Axis | None, typer.Option("--axis", help="What is raised; without it, the campaign's own axes.")
    ] = None,
    from_rate: Annotated[
        str | None, typer.Option("--from", help="The lowest rate, such as 100/s; on the axis bytes 20MB/s.")
    ] = None,
    to_rate: Annotated[str | None, typer.Option("--to", help="The highest rate that may be asked.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="About a minute for an axis: short trials, an interval of 15 %.")
    ] = False,
    site: Annotated[Path | None, typer.Option("--site", help="The site instead of the campaign's own.")] = None,
    runs: Annotated[Path, typer.Option("--runs", help="Where runs are kept.")] = Path("runs"),
    as_json: Annotated[bool, typer.Option("--json", help="Print summary.json instead of words.")] = False,
    trust: Annotated[Path | None, typer.Option("--trust", help=TRUST_HELP)] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the verdict.")] = False,
) -> int:
    """Search the highest rate that still meets the campaign's objectives: an interval, proven by a soak below it.

    Ctrl-C stops within a second, tells what was learnt, and removes what was written.
    """
    wish = _wish(axis, from_rate, to_rate, quick=quick)
    progress = Screen(screen.ERR, quiet=quiet)
    outcome = conduct(Order(campaign=campaign, site=site, runs_root=runs, limit=wish, trust=trust), progress)
    page = drawn_or_told(outcome.record, outcome.summary)
    if as_json:
        screen.say(outcome.summary.model_dump_json(indent=2))
    else:
        terminal.show(outcome.summary, screen.OUT, page)
    return outcome.summary.exit_code


def _wish(axis: Axis | None, from_rate: str | None, to_rate: str | None, *, quick: bool) -> LimitWish:
    if axis is Axis.ALL:
        if from_rate is not None or to_rate is not None:
            raise CampaignError(
                "--from and --to count on one axis",
                "--axis all",
                "give them with --axis requests, bytes or connections, or write them into the campaign's limit section",
            )
        return LimitWish(axes=("requests", "bytes", "connections"), quick=quick)
    axes: dict[Axis | None, tuple[AxisName, ...]] = {
        None: (),
        Axis.REQUESTS: ("requests",),
        Axis.BYTES: ("bytes",),
        Axis.CONNECTIONS: ("connections",),
    }
    return LimitWish(axes=axes[axis], from_rate=from_rate, to_rate=to_rate, quick=quick)
