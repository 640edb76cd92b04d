"""What every phase of a run stands on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from maul.conduct.crew import Crew
from maul.conduct.progress import Progress
from maul.conduct.stop import StopSwitch
from maul.conduct.target import OpenTarget
from maul.core.clock import Clock
from maul.core.event import Edge, Event, EventKind
from maul.core.generator import Generator
from maul.core.summary import FaultSummary
from maul.hosts.host import Host
from maul.hosts.journal import UndoJournal
from maul.plan import Plan, RuntimeState, Trace
from maul.plan.ground import TraceKey
from maul.record import RunWriter
from maul.site import Site

if TYPE_CHECKING:
    from maul.conduct.link_guard import LinkGuard  # which stands on a stage itself
    from maul.conduct.vigil import Vigil

NOTHING: Mapping[str, Any] = {}
GeneratorMaker = Callable[..., Generator]
"""Of an engine plan, and of a trace where the plan replays one."""


@dataclass(slots=True)
class Stage:
    """What every phase stands on. `state` is what the passes before have used up."""

    plan: Plan
    site: Site
    target: OpenTarget
    writer: RunWriter
    clock: Clock
    stop: StopSwitch
    progress: Progress
    host: Host
    journal: UndoJournal
    answers: Callable[[str], bool]
    make_generator: GeneratorMaker
    began_ns: int
    traces: Mapping[TraceKey, Trace] = field(default_factory=dict)
    """What phases replay, by phase and tenant."""
    state: RuntimeState = field(default_factory=RuntimeState)
    crew: Crew | None = None
    """The agents of a fleet; None: this process makes the load itself."""
    link_guard: "LinkGuard | None" = None
    """Watches the links while a fleet sends; None where there is no fleet, or nothing to watch them by."""
    vigil: "Vigil | None" = None
    """Looks out for somebody upstream who stops the traffic; None where nothing is to be sent that it could see."""
    hurt: dict[str, str] = field(default_factory=dict)
    """Our own faults that are in force, and whom they hurt."""
    pull_told: bool = False
    """The pull of the kill switch is in the record."""
    harmed: list[FaultSummary] = field(default_factory=list)
    """Every fault that is over: remembered in case that the disk of the record gives up."""

    @property
    def engines_each(self) -> int:
        """How many engines each engine plan takes at most."""
        return len(self.crew.there.posts) if self.crew is not None else 1

    def note(
        self, kind: EventKind, edge: Edge, name: str, says: str = "", details: Mapping[str, Any] = NOTHING
    ) -> None:
        """Record an event that happens now."""
        self.writer.events([Event(self.clock.now_ns(), kind, edge, name, says, dict(details))])

    def hurting(self) -> tuple[str, ...]:
        """Our own faults that are in force now."""
        return tuple(self.hurt.copy())

    @property
    def stopped(self) -> bool:
        """Whether the run is to end."""
        return self.stop.stopped.is_set()

    @property
    def frozen(self) -> bool:
        """Whether somebody upstream stopped the traffic, so that nothing may be sent."""
        return self.vigil is not None and self.vigil.frozen is not None

    @property
    def halted(self) -> bool:
        """Whether no further engine may start in this phase, for one reason or the other."""
        return self.stopped or self.frozen
