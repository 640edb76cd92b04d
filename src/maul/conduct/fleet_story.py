"""What became of a fleet: a fold over the events of kind AGENT. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from maul.conduct.fleet_events import (
    DRILL,
    ENGINES,
    LOST_SUFFIX,
    MUSTER,
    START,
    AgentWords,
    DrillWords,
    EnginesWords,
    EngineWords,
    LossWords,
    MusterWords,
    StartWords,
    together,
)
from maul.core.event import Edge, EventKind
from maul.core.fleet_summary import AgentSummary, DrillSummary, FleetSummary, LossSummary
from maul.core.summary import PhaseSummary
from maul.verify.unheard import Unheard, UnheardEngine

SKEW_MAX_MS = 100.0
"""Between the first agent that begins and the last. More is no start of one load any more: at the edges of a phase, or
of a level, only some of them are heard."""
NOT_SENT_MAX = 0.1
"""Of the arrivals of a phase: a gap of more than that is another load than the one that was asked for."""
DRIFT_PPM = 100.0
"""How far the clocks of two machines run apart within a run; a quartz is good to that."""


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that the record tells of a fleet."""

    muster: MusterWords
    starts: Sequence[StartWords]
    losses: Sequence[tuple[LossWords, int, int | None]]
    """Each with the moments of its beginning and its end."""
    drill: tuple[DrillWords, int] | None
    """The slowest, and when."""
    seconds: float
    shards: int = 0
    """Of all agents together."""

    @property
    def clock_error_ns(self) -> int:
        """How wrong the times of any agent may be on the conductor's clock. One machine has but one clock to drift."""
        apart = any(agent.host is not None for agent in self.muster.agents)
        drift_ns = int(self.seconds * DRIFT_PPM * 1e3) if apart else 0
        return max((agent.error_ns for agent in self.muster.agents), default=0) + drift_ns

    def unheard(self, tenant: int) -> Unheard:
        """Engines of lost agents, of one tenant: what they did after their last word is not in the record."""
        engines = [one for words, _, _ in self.losses for one in words.engines if one.tenant == tenant]
        return Unheard(tuple(map(_unheard, engines)))

    def windows(self, phase: str, ended_ns: int) -> list[tuple[int, int, str]]:
        """When in a phase less was sent than planned: from, to, and why."""
        return [
            (began_ns, until_ns if until_ns is not None else ended_ns, f"agent {words.agent} was lost")
            for words, began_ns, until_ns in self.losses
            if words.phase == phase
        ]


def _unheard(words: EngineWords) -> UnheardEngine:
    return UnheardEngine(words.epoch, words.start, words.first, words.shards, words.around)


def story_of(events: pa.Table) -> Story | None:
    """None where one process made the load by itself."""
    rows = [row for row in events.to_pylist() if row["kind"] == EventKind.AGENT]
    musters = [row for row in rows if row["name"] == MUSTER]
    if not musters:
        return None
    ended = [row for row in rows if row["name"].endswith(LOST_SUFFIX) and row["edge"] == Edge.ENDED]
    losses = []
    for row in rows:
        if row["name"].endswith(LOST_SUFFIX) and row["edge"] == Edge.BEGAN:
            words = LossWords.model_validate_json(row["details"])
            end = next((one for one in ended if _of_same(one, words)), None)
            final = LossWords.model_validate_json(end["details"]) if end is not None else words
            losses.append((final, int(row["at_ns"]), int(end["at_ns"]) if end is not None else None))
    drills = [
        (DrillWords.model_validate_json(row["details"]), int(row["at_ns"])) for row in rows if row["name"] == DRILL
    ]
    times = [int(row["at_ns"]) for row in events.to_pylist()]
    return Story(
        muster=MusterWords.model_validate_json(musters[-1]["details"]),
        starts=[StartWords.model_validate_json(row["details"]) for row in rows if row["name"] == START],
        losses=losses,
        drill=max(drills, key=lambda drill: (not drill[0].passed, drill[0].seconds), default=None),
        seconds=(max(times) - min(times)) / 1e9,
        shards=_shards([EnginesWords.model_validate_json(row["details"]) for row in rows if row["name"] == ENGINES]),
    )


def _shards(drives: Sequence[EnginesWords]) -> int:
    """Threads of all agents in the drive that had most."""
    return max((sum(one.shards for one in drive.engines) for drive in drives), default=0)


def _of_same(row: Mapping[str, Any], words: LossWords) -> bool:
    """Whether an end belongs to this beginning: of the same engines."""
    found = LossWords.model_validate_json(row["details"])
    return (found.agent, found.phase, found.engines) == (words.agent, words.phase, words.engines)


def fleet_summary(
    story: Story, statuses: Mapping[str, Mapping[str, Any]], phases: Sequence[PhaseSummary], timed: Sequence[str]
) -> FleetSummary:
    """`statuses`: of each phase, the last one; `timed`: names of the phases that are paced."""
    did = together([status["agents"] for status in statuses.values() if "agents" in status])
    served = {phase.name for phase in phases if phase.kind not in ("audit", "clean-up")}  # those ask for what is gone
    bad = together([status["agents"] for name, status in statuses.items() if "agents" in status and name in served])
    starts = [start for start in story.starts if start.phase in timed]
    widest = max(starts, key=lambda start: start.spread_ns, default=None)
    losses = [_loss(*loss) for loss in story.losses]
    wrong, doubts = _judged(starts, losses, phases)
    return FleetSummary(
        agents=[
            _agent(agent, did.get(agent.name, {}), bad.get(agent.name, {}), story) for agent in story.muster.agents
        ],
        left_out=story.muster.left_out,
        losses=losses,
        on_loss=story.muster.on_loss,
        skew_ms=widest.spread_ns / 1e6 if widest is not None else None,
        skew_error_ms=widest.error_ns / 1e6 if widest is not None else 0.0,
        clock_error_ms=story.clock_error_ns / 1e6,
        drill=_drill(story),
        doubts=doubts,
        wrong=wrong,
        says=_says(story, widest, losses),
    )


def _agent(agent: AgentWords, did: Mapping[str, float], served: Mapping[str, float], story: Story) -> AgentSummary:
    after = [start.began[agent.name][0] for start in story.starts if agent.name in start.began]
    lost = next(((words, at_ns) for words, at_ns, _ in story.losses if words.agent == agent.name), None)
    return AgentSummary(
        name=agent.name,
        host=agent.host,
        share=agent.share,
        ceiling_per_s=agent.ceiling_per_s,
        sent=int(did.get("started", 0)),
        late=int(did.get("late", 0)),
        dropped=int(did.get("dropped", 0)),
        withheld=int(did.get("withheld", 0)),
        bad=int(served.get("fail", 0) + served.get("unknown", 0)),
        cpu_seconds=did.get("cpu_seconds", 0.0),
        clock_offset_ms=agent.offset_ns / 1e6,
        clock_error_ms=agent.error_ns / 1e6,
        start_skew_ms=max(after, key=abs) / 1e6 if after else None,
        lost_ns=lost[1] if lost is not None else None,
        lost_why=lost[0].why if lost is not None else "",
    )


def _loss(words: LossWords, began_ns: int, ended_ns: int | None) -> LossSummary:
    if not words.over:
        became = "the record ends before it was known what became of its part"
    elif words.taken:
        names = ", ".join(f"{name} {share:.1%}" for name, share in words.taken.items())
        became = f"taken over by {names} of the load" + (f"; {words.held:.1%} held" if words.held else "")
    elif words.held:
        became = f"its {words.share:.0%} of the load was not sent from there on: {words.why_held}"
    else:
        became = "the others did again what it had to do"
    return LossSummary(
        agent=words.agent,
        phase=words.phase,
        why=words.why,
        policy=words.policy,
        began_ns=began_ns,
        ended_ns=ended_ns,
        share=words.share,
        taken=words.taken,
        held=words.held,
        not_sent=round(words.not_sent),
        says=became,
    )


def _drill(story: Story) -> DrillSummary | None:
    if story.drill is None:
        return None
    words, at_ns = story.drill
    return DrillSummary(at_ns=at_ns, agents=words.agents, seconds=words.seconds, passed=words.passed, says=words.says)


def _judged(
    starts: Sequence[StartWords], losses: Sequence[LossSummary], phases: Sequence[PhaseSummary]
) -> tuple[list[str], list[str]]:
    """What is wrong for certain, and what is in doubt."""
    wrong, doubts = [], []
    for start in starts:
        spread_ms, error_ms = start.spread_ns / 1e6, start.error_ns / 1e6
        says = (
            f"in {start.phase} the agents began within {spread_ms:,.1f} ms (± {error_ms:,.1f} ms) of each other; "
            f"at most {SKEW_MAX_MS:g} ms is one start"
        )
        if spread_ms - error_ms > SKEW_MAX_MS:
            wrong.append(says)
        elif spread_ms + error_ms > SKEW_MAX_MS:
            doubts.append(says)
    offered = {phase.name: phase.offered for phase in phases}
    for loss in losses:
        due = offered.get(loss.phase, 0) + loss.not_sent
        part = loss.not_sent / due if due else 0.0
        if loss.not_sent and (not loss.made_up or part > NOT_SENT_MAX):
            doubts.append(
                f"agent {loss.agent} was lost in {loss.phase}, and about {loss.not_sent:,} arrivals ({part:.0%}) were "
                f"not sent: {loss.says}"
            )
    return wrong, doubts


def _says(story: Story, widest: StartWords | None, losses: Sequence[LossSummary]) -> str:
    count = len(story.muster.agents)
    words = [f"{count} agent{'s' * (count != 1)}"]
    if story.muster.left_out:
        words.append(f"{len(story.muster.left_out)} left out before the start")
    if widest is not None:
        words.append(f"began within {widest.spread_ns / 1e6:.2f} ms (± {widest.error_ns / 1e6:.2f} ms) of each other")
    words += [f"{loss.agent} was lost in {loss.phase}, {loss.says}" for loss in losses]
    return "; ".join(words)
