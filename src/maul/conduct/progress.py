"""What a run tells while it runs. The conductor speaks; who listens (terminal, page, nobody) is not its business."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class PhaseProgress:
    """One look at a running phase. Rates per second over the last look's interval; `left_s` of this phase."""

    phase: str
    elapsed_s: float
    left_s: float
    run_left_s: float
    offered_per_s: float
    done_per_s: float
    p99_ms: float | None
    errors: int
    dropped: int
    in_flight: int
    says: str = ""
    agents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By agent of a fleet: its status, and what else is to be shown of it."""
    links: Mapping[str, float] = field(default_factory=dict)
    """By direction of a link: the part of its capacity that is in use."""
    status: Mapping[str, Any] = field(default_factory=dict)


class Progress(Protocol):
    """A listener. It must not block and must not raise."""

    def step(self, says: str) -> None:
        """Something was done or begins: one line, kept on the screen."""
        ...

    def phase(self, look: PhaseProgress) -> None:
        """A phase goes on; replaces the last look."""
        ...

    def alarm(self, stance: str, says: str) -> None:
        """Traffic is about to be stopped, or was: how it stands (a `guard.mitigation` Stance) and what is waited for.

        Both empty: all is well again.
        """
        ...

    def close(self) -> None:
        """The run is over; leave the screen tidy."""
        ...


class Several:
    """Tells all of them the same."""

    def __init__(self, *listeners: Progress) -> None:
        """Told in this order."""
        self._listeners = listeners

    def step(self, says: str) -> None:
        """To all."""
        for one in self._listeners:
            one.step(says)

    def phase(self, look: PhaseProgress) -> None:
        """To all."""
        for one in self._listeners:
            one.phase(look)

    def alarm(self, stance: str, says: str) -> None:
        """To all."""
        for one in self._listeners:
            one.alarm(stance, says)

    def close(self) -> None:
        """To all."""
        for one in self._listeners:
            one.close()


class Silent:
    """Nobody listens."""

    def step(self, says: str) -> None:
        """Nothing."""

    def phase(self, look: PhaseProgress) -> None:
        """Nothing."""

    def alarm(self, stance: str, says: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""
