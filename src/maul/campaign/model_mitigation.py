"""Mitigation: what to do when somebody upstream drops us."""

from typing import Literal

from pydantic import Field

from maul.campaign.part import Part
from maul.campaign.quantities import Flag, Ratio, Seconds


class Mitigation(Part):
    """When traffic suddenly stops. There is no setting that dodges a protection, and there will be none."""

    act: Literal["freeze", "watch"] | None = None
    """`freeze`: fall silent within two seconds, ask gently, tell what it was, wait. `watch`: only tell; refused unless
    everything that is hit is loopback or maul's own lab. None: freeze; but watch where all that is loaded is loopback,
    where nobody is upstream and silence is the target's own."""
    sentinels: Flag = True
    """Each generator keeps one connection of its own open and asks once per second."""
    probe_s: Seconds = Field(default=20.0, alias="probe", ge=5.0, le=300.0)
    """How long to ask gently before it is said what it was; at most one attempt per second in all."""
    hold_max_s: Seconds = Field(default=1800.0, alias="hold_max", le=172_800)
    """How long to wait for its end, with sparse canaries; then the run ends."""
    recovered_after_s: Seconds = Field(default=60.0, alias="recovered_after", ge=5.0, le=3600.0)
    """It is over when everybody has been answered for so long, and for twice the time that it took to act."""
    resume: Ratio = Field(default=0.0, le=0.5)
    """Once it is over: go on with this part of the load at which it began; 0: end the run. A permit that is in force
    must allow it, too."""
    resume_s: Seconds = Field(default=30.0, alias="resume_for", le=3600)
    """For how long."""
