"""`maul calibrate`: what this machine's generator can do, so that it is never mistaken for the target's limit."""

import json
from typing import Annotated

import typer
from rich.table import Table

from maul.cli import screen
from maul.cli.live import Screen
from maul.conduct import calibrate as calibrating
from maul.core.calibration import Calibration
from maul.core.clock import SystemClock
from maul.core.errors import CampaignError
from maul.core.units import show_size
from maul.hosts.machine import this_machine, usable_cores
from maul.hosts.places import state_directory
from maul.record.calibrations import write_calibration

_DEFAULT, _QUICK = calibrating.SECONDS_DEFAULT, calibrating.SECONDS_QUICK


def calibrate(
    seconds: Annotated[
        float | None, typer.Option("--seconds", help=f"About how long, in all. Default: {_DEFAULT:g}.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help=f"About {_QUICK:g} s: shorter rounds, rougher figures.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Numbers for machines on stdout.")] = False,
) -> None:
    """Measure this machine's generator against a server that does nothing, on loopback, and keep the result."""
    chosen = seconds if seconds is not None else _QUICK if quick else _DEFAULT
    least, most = calibrating.SECONDS_MIN, calibrating.SECONDS_MAX
    if not least <= chosen <= most:
        raise CampaignError(f"--seconds must be from {least:g} to {most:g}, and is {chosen:g}", "maul calibrate")
    if seconds is not None and quick:
        raise CampaignError("give --seconds or --quick, not both", "maul calibrate")
    order = calibrating.CalibrateOrder(this_machine(), usable_cores(), chosen)
    progress = Screen(screen.ERR, quiet=as_json)
    try:
        with calibrating.null_servers() as measure:
            found = calibrating.calibrate(order, measure, progress, SystemClock())
    finally:
        progress.close()
    kept = write_calibration(state_directory(), found)
    if as_json:
        screen.say(json.dumps(calibrating.as_json(found), indent=2))
    else:
        _show(found)
        screen.say(f"  kept in {kept}")


def _show(found: Calibration) -> None:
    machine = found.machine
    screen.say(f"{machine.cpu_model}, {machine.cores} cores, Linux {machine.kernel}")
    screen.say("one shard against a server that does nothing; medians of short rounds")
    table = Table(box=None, pad_edge=False)
    for column in ("  operation", "size", "", "requests/s", "bytes/s", "CPU µs", "full core/s"):
        table.add_column(column, no_wrap=True, justify="left" if column.startswith("  ") else "right")
    for figure in found.figures:
        table.add_row(
            f"  {figure.op}",
            "" if figure.op == "head" else show_size(figure.size_bytes),
            figure.scheme,
            f"{figure.per_s:,.0f}",
            "" if figure.op == "head" else show_size(figure.bytes_per_s),
            f"{figure.cpu_us:,.1f}",
            f"{figure.ceiling_per_s:,.0f}",
        )
    screen.OUT.print(table)
    if found.scaling is not None:
        pair = found.scaling
        screen.say(
            f"  two cores do {pair.ratio:.2f}× what one does ({pair.one_per_s:,.0f}/s, {pair.two_per_s:,.0f}/s; "
            "each core holds a shard and a thread of the server)"
        )
    if found.open_loop is not None:
        loop = found.open_loop
        screen.say(
            f"  open loop: {loop.per_s:,.0f}/s sent in time by one shard (lag p99 {loop.lag_p99_ms:.2f} ms, "
            f"{loop.busy_ratio:.0%} of its core)"
        )
    for note in found.notes:
        screen.say(f"  note: {note}")
