"""What is hurt: one fault, on one service, at one moment of one phase."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from maul.campaign.part import Part
from maul.campaign.quantities import Flag, Name, Seconds, SecondsOrZero, Whole

Role = Literal["master", "volume", "filer", "gateway", "balancer"]

_FAULT_PATTERN = r"^[a-z][a-z0-9]*(\.[a-z][a-z0-9-]*)+$"


def _dotted(value: str) -> str:
    parts = value.split(".")
    if len(parts) < 2 or not all(part.replace("-", "").isalnum() and part == part.lower() for part in parts):
        raise ValueError("expected family.fault, such as process.kill; `maul fault list` shows all")
    return value


FaultKind = Annotated[str, AfterValidator(_dotted), WithJsonSchema({"type": "string", "pattern": _FAULT_PATTERN})]


class Fault(Part):
    """One harm and when it is healed."""

    name: Name
    """What events and reports call it."""
    fault: FaultKind
    """Which harm, such as `process.kill`; `maul fault list` shows all."""
    role: Role | None = None
    """Hurt a service of this role …"""
    pick: Whole = Field(default=1, ge=1, le=10_000)
    """… and this one of them, counting from 1 in the order of the site."""
    service: Name | None = None
    """Or hurt the service of this name."""
    phase: Name
    """The timed phase in which it happens."""
    after_s: SecondsOrZero = Field(default=0.0, alias="after")
    """When it begins, from the beginning of the phase."""
    hold_s: Seconds = Field(alias="hold")
    """How long it lasts before it is healed."""
    beyond_redundancy: Flag = False
    """Allow to hurt more failure domains at once than the site says it survives."""

    @property
    def until_s(self) -> float:
        """When it is healed, from the beginning of the phase."""
        return self.after_s + self.hold_s
