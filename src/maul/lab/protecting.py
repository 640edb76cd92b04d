"""The protection of a lab with a border, switched on and off, and asked how it is."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from maul.core.clock import SystemClock
from maul.core.errors import CampaignError, MachineError, UnhealedError
from maul.core.units import parse_bitrate, parse_duration
from maul.hosts.host import SpawnSpec
from maul.hosts.pidfile import read_pidfile
from maul.hosts.undo import perform
from maul.hosts.undo_kinds import UndoKill
from maul.lab import border
from maul.lab.causes.stage import Stage
from maul.lab.customers import module_spec
from maul.lab.protection import ACTIONS, TABLE, Terms

PLACE = Path("run", "protection")
START_LIMIT_S, POLL_S = 10.0, 0.05
_GRACE_S = 3.0


@dataclass(frozen=True, slots=True)
class Standing:
    """How it is: on or off, its terms, and what it noted last."""

    terms: Terms | None
    noted: Mapping[str, Any] | None

    @property
    def says(self) -> str:
        """One line for people."""
        if self.terms is None:
            return "off"
        if self.noted is None:
            return "on; has not counted yet"
        rates = self.noted["rates"].get(self.terms.vip)
        seen = f"{rates['packets']:.0f} packets/s, {rates['bytes'] * 8 / 1e6:.2f} Mbit/s" if rates else "counting"
        held = ", ".join(f"{who} for {left:.0f} s more" for who, left in self.noted["banned"].items())
        return f"on ({self.terms.action}); {seen}; acted {self.noted['acted']} times; " + (
            f"dropped: {held}" if held else "drops nobody"
        )


def terms_from(words: Mapping[str, str]) -> Terms:
    """From `packets=3000,hold=45s` and the like. CampaignError for what is not understood."""
    given: dict[str, Any] = {}
    for key, value in words.items():
        try:
            given |= _term(key, value)
        except ValueError as error:
            known = f"such as packets=3000,hold=45s; an action is {', '.join(ACTIONS)}"
            raise CampaignError(f"protection: {error}", cure=known) from None
    terms = Terms(**given)
    if not terms.packets and not terms.bits and not terms.new_connections:
        raise CampaignError("this protection would never act", cure="give it packets, bits or new-connections")
    if min(terms.packets, terms.bits, terms.new_connections) < 0 or terms.mean_s <= 0 or terms.hold_s <= 0:
        raise CampaignError("limits and times of a protection are more than nothing")
    return terms


def _term(key: str, value: str) -> dict[str, Any]:
    match key:
        case "packets" | "new-connections":
            return {key.replace("-", "_"): float(value)}
        case "bits":
            return {"bits": parse_bitrate(value)}
        case "mean" | "hold":
            return {f"{key}_s": parse_duration(value)}
        case "action" if value in ACTIONS:
            return {"action": value}
        case "never-lift-while-hammered" if value in ("", "true", "false"):
            return {"never_lift_while_hammered": value != "false"}
    raise ValueError(f"{key}={value} is not known")


def switch_on(directory: Path, terms: Terms) -> None:
    """With these terms from now on; what was on before is ended. MachineError when it does not start."""
    switch_off(directory)
    stage, place = Stage.of(directory), directory / PLACE
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    status, orders = place / "status", place / "orders"
    status.unlink(missing_ok=True)
    whole = replace(terms, vip=border.VIP, feed=f"http://{border.FEED}/", status=str(status))
    stage.machine.write_bytes(orders, json.dumps(asdict(whole)).encode())
    log = stage.layout.logs / "protection.log"
    spec: SpawnSpec = module_spec("maul.lab.protection", orders, place, log, place / "daemon.json")
    process = stage.host(border.BORDER).spawn(spec)
    clock = SystemClock()
    for _ in range(round(START_LIMIT_S / POLL_S)):
        if status.exists():
            return
        if stage.machine.process(process) is None:
            break
        clock.wait(POLL_S)
    switch_off(directory)
    raise MachineError("the protection does not start", str(log))


def switch_off(directory: Path) -> bool:
    """End it and take its rules away. Whether it was on. UnhealedError when it does not end."""
    stage = Stage.of(directory)
    was_on = standing(directory).terms is not None
    done, says = perform(stage.machine, SystemClock(), UndoKill(directory / PLACE, _GRACE_S))
    if not done:
        raise UnhealedError(says, str(directory), "take the lab down: maul lab down")
    stage.run(border.BORDER, "nft", f"add table inet {TABLE}; delete table inet {TABLE}")
    (directory / PLACE / "daemon.json").unlink(missing_ok=True)
    return was_on


def standing(directory: Path) -> Standing:
    """How it is now. MachineError when no lab with a border is up."""
    stage, place = Stage.of(directory), directory / PLACE
    named = read_pidfile(stage.machine, place / "daemon.json")
    orders = stage.machine.read_bytes(place / "orders")
    if named is None or orders is None or stage.machine.process(named.process) is None:
        return Standing(None, None)
    noted = stage.machine.read_bytes(place / "status")
    told = json.loads(noted) if noted else None
    if told is not None and time.time_ns() - told["at_ns"] > START_LIMIT_S * 1e9:
        told = None
    return Standing(Terms(**json.loads(orders)), told)
