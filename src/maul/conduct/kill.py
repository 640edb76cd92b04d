"""The kill switch: a file, a signal or the live page ends a run at once. And the drill that shows it works.

Whoever pulls it, the conductor closes every socket without waiting for what is in flight, heals, records who it was,
and ends with exit code 5. The file is looked for ten times a second by a thread of its own, so that whatever the
conductor is waiting for does not matter.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from maul.conduct.stage import Stage
from maul.conduct.stop import StopSwitch
from maul.core.clock import Clock
from maul.core.errors import CampaignError, GuardError
from maul.core.event import Edge, EventKind

STOP_FILE = "STOP"
"""Its name in the directory of a run; what it holds says who pulled the switch and why."""
LOOK_EVERY_S = 0.1
DRILL_S_MAX = 3.0
"""A switch that takes longer is none: nobody may ramp with it."""
_DRILL_STEP_S = 0.02
_SAID_CHARS_MAX = 200
EVENT = "kill-switch"
"""The name of the GUARD event of a pull, and of a drill with `drill` in its details."""


def found(paths: Sequence[Path]) -> str | None:
    """Who pulled the switch by one of these files: what its first line says, else whose it is. None: nobody did."""
    for path in paths:
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                said = file.readline(_SAID_CHARS_MAX)
        except FileNotFoundError:
            continue
        except OSError:  # something is there; who made it a directory or took our rights meant something by it
            said = ""
        said = " ".join("".join(letter if letter.isprintable() else " " for letter in said).split())
        return f"the file {path} ({said})" if said else f"the file {path}, made by {_owner(path)}"
    return None


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (OSError, KeyError):
        return "somebody"


@contextlib.contextmanager
def watching(paths: Sequence[Path], stop: StopSwitch) -> Iterator[None]:
    """Pull the switch as soon as one of these files is there, for as long as the block lasts."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(LOOK_EVERY_S):
            who = found(paths)
            if who is not None:
                stop.pull("file", who)
                return

    thread = threading.Thread(target=watch, name="maul-kill-switch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def refuse_pulled(path: Path) -> None:
    """CampaignError when the file of somebody's choice is there before the run: it would end as it begins."""
    who = found([path])
    if who is not None:
        raise CampaignError(
            f"the kill switch is pulled already: {who}", str(path), "Find out why; remove the file to let a run begin."
        )


def tell_pull(stage: Stage) -> None:
    """Record who pulled the switch, and how long after that all sockets were closed: now. Once per run."""
    pull = stage.stop.pulled
    if pull is None or stage.pull_told:
        return
    stage.pull_told = True
    silent_s = max(0.0, (stage.clock.now_ns() - pull.at_ns) / 1e9)
    says = f"{pull.says}; all sockets were closed {silent_s:.2f} s later"
    details = {"how": pull.how, "who": pull.who, "pulled_ns": pull.at_ns, "silent_after_s": round(silent_s, 3)}
    stage.note(EventKind.GUARD, Edge.INSTANT, EVENT, says, details)
    stage.progress.step(f"guard: {says}")


def drill(pull: Callable[[], None], is_silent: Callable[[], bool], clock: Clock, limit_s: float = DRILL_S_MAX) -> float:
    """Pull the switch on something that sends, and measure how long it goes on, seconds.

    `is_silent` is asked until it says True; it must look at what is really sent (requests in flight, connections,
    counters that stand still), not at what was ordered. GuardError when it is not silent within `limit_s`: then
    nobody may ramp.

    >>> from maul.core.clock import FakeClock
    >>> clock = FakeClock()
    >>> round(drill(lambda: None, lambda: clock.now_ns() % 1_000_000_000 >= 50_000_000, clock), 2)
    0.06
    """
    began_ns = clock.now_ns()
    pull()
    while not is_silent():
        clock.wait(_DRILL_STEP_S)
        took_s = (clock.now_ns() - began_ns) / 1e9
        if took_s > limit_s:
            raise GuardError(
                f"the kill switch did not silence the load within {limit_s:g} s; the run does not ramp",
                "kill switch drill",
                "Look for generators that are overloaded, or cut off from the conductor.",
            )
    return (clock.now_ns() - began_ns) / 1e9
