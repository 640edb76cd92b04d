"""Words: what stands in the way, as a network engineer says it."""

from collections.abc import Iterator, Sequence

from maul.core.units import show_bitrate
from maul.plan.fleet_model import Blocker, Load
from maul.plan.placement.failures import Failure
from maul.plan.placement.program import Most, Price, Program
from maul.plan.placement.rows import NORMAL, Rows
from maul.plan.placement.wiring import Wiring

BLOCKERS_MAX = 20


def blockers(most: Most, program: Program, wiring: Wiring, failures: Sequence[Failure], asked: Load) -> list[Blocker]:
    """The shadow prices at the most that is possible, the strongest first."""
    found = []
    for price in most.prices[:BLOCKERS_MAX]:
        what, unit, size = _bound(price, program, wiring, failures)
        found.append(Blocker(what=what, price=price.gain * size * asked.requests_per_s, unit=unit))
    return found


def _bound(price: Price, program: Program, wiring: Wiring, failures: Sequence[Failure]) -> tuple[str, str, float]:
    """What it is, its unit, and how many of the price's own units one of those is."""
    if price.kind == "row":
        failure = int(program.rows.failure[price.index])
        name = wiring.edge_name(int(program.rows.edge[price.index]))
        return name if failure == NORMAL else f"{name} while {failures[failure].name}", "Mbit/s", 1e6
    if price.kind == "class":
        one = program.classes[price.index]
        several = f"each of {len(one.hosts)} servers in {one.rack} such as " if len(one.hosts) > 1 else ""
        return f"{several}{one.hosts[0]}: {one.ceiling.what}", one.ceiling.unit, 1.0
    if price.kind == "overall":
        ceiling = program.overall[price.index]
        return ceiling.what, ceiling.unit, 1.0
    share = program.wishes.rack_share
    return f"rack {program.racks[price.index]}: fleet.rack_share ({share:.3g} of the load)", "percent", 0.01


def arithmetic(most: Most, program: Program, wiring: Wiring, failures: Sequence[Failure]) -> Iterator[str]:
    """What stops the load, the strongest first; of links also where their room comes from."""
    rows = program.rows
    for price in most.prices[:BLOCKERS_MAX]:
        what, _, _ = _bound(price, program, wiring, failures)
        yield f"{what} ({room_words(rows, price.index)})" if price.kind == "row" else what


def room_words(rows: Rows, row: int) -> str:
    """The arithmetic of a row's room."""
    capacity = float(rows.capacity_bps[row] / rows.scale[row])
    others, room, usable = float(rows.others_bps[row]), float(rows.room_bps[row]), float(rows.usable_bps[row])
    words = f"{rows.cap[row]:.0%} of {show_bitrate(capacity)}"
    if others:
        words += f" − {show_bitrate(others)} of others"
    if others or usable < 0.99 * room:
        words += f" = {show_bitrate(room)}"
    if usable < 0.99 * room:
        words += f", {show_bitrate(usable)} of it usable because connections spread unevenly"
    return words
