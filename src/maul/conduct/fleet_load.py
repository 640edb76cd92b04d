"""One engine plan of a drive on a fleet: split over the agents, with everything that comes of it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from maul.conduct.crew import Crew, Many
from maul.conduct.fleet_events import LossWords
from maul.core.generator import GeneratorStatus
from maul.core.operation import REGION_SHIFT, Region
from maul.fleet.words import LostAgent
from maul.plan import EnginePlan, PassPlan
from maul.plan.due import due_between, length_s
from maul.plan.engine_plan import ClosedArrivals
from maul.plan.lanes import GENERATION_KEYS
from maul.plan.muster import Cut, Muster, Post
from maul.plan.runtime import Stretch
from maul.plan.splitting import Gone, Part, is_sweep, split

UNHEARD_S = 8.0
"""What a lost agent may still have sent after its last word: until its loss was noticed, and its lease over."""

Secrets = Callable[[EnginePlan], dict[str, Any]]
"""The engine's own JSON, secrets included."""


@dataclass(slots=True)
class Loss:
    """An agent that was lost from a load, and what becomes of its interval. `due_ns`: when others may take over."""

    lost: LostAgent
    words: LossWords
    gone: tuple[Part, ...]
    due_ns: int
    cuts: tuple[tuple[Part, Cut], ...] = ()
    """What is to be taken over, part by part."""
    asked: bool = False
    taken_ns: int | None = None
    failed: str = ""
    told: bool = False


@dataclass(slots=True)
class FleetLoad:
    """`there`: the agents with all that each of them sends by now."""

    pass_: PassPlan
    whole: EnginePlan
    parts: list[Part]
    many: Many
    secrets: Secrets
    there: Muster
    rows: bytes | None = None
    losses: list[Loss] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    """By generation of new keys: the first index behind those that operations were seen on."""

    @property
    def sweep(self) -> bool:
        """Whether it acts upon each key of a range once."""
        return is_sweep(self.whole)

    @property
    def length_s(self) -> float:
        """How long it should go on."""
        return length_s(self.whole.arrivals)

    def heard(self, operations: np.ndarray) -> None:
        """Remember which new keys are used."""
        keys = operations["key"][operations["tenant"] == self.pass_.tenant]
        index = keys[keys >> np.uint64(REGION_SHIFT) == Region.EPHEMERAL] & np.uint64((1 << REGION_SHIFT) - 1)
        generations = index // np.uint64(GENERATION_KEYS)
        for generation in np.unique(generations).tolist():
            last = int(index[generations == generation].max()) + 1
            self.ends[generation] = max(last, self.ends.get(generation, 0))

    def lose(self, name: str, taken: Sequence[Post]) -> None:
        """From here on that agent sends nothing, and others these besides their own."""
        more = {post.name: post.width for post in taken}
        posts = [
            replace(post, width=post.width + more.get(post.name, 0)) for post in self.there.posts if post.name != name
        ]
        self.there = replace(self.there, posts=tuple(posts))

    def due(self, from_s: float, to_s: float) -> float:
        """All arrivals between two moments of the load, whosever they are."""
        return due_between(self.whole.arrivals, from_s, to_s, self.rows)

    def gone(self, part: Part, status: GeneratorStatus) -> Gone:
        """A lost part with what it had used."""
        expected = self.pass_.expected
        per_operation = expected.requests / expected.operations if expected.operations else 1.0
        requests = math.ceil(status.started * per_operation)
        limits = part.engine.limits
        moved = min(limits.bytes, status.bytes_sent + status.bytes_received)
        return Gone(part, min(limits.requests, requests), moved, status.elapsed_s)

    def first_end(self, reported: int) -> int:
        """The first ephemeral index that none of its first engines used. `reported`: by all engines together."""
        known = reported if reported < GENERATION_KEYS else self.whole.keyspace.ephemeral_start
        return max(known, self.ends.get(0, 0)) + self._unheard_keys(0)

    def stretches(self, after: int) -> list[Stretch]:
        """Where engines that took over made new keys; generations up to `after` are those of earlier drives."""
        return [
            Stretch(
                generation * GENERATION_KEYS,
                end - generation * GENERATION_KEYS + self._unheard_keys(generation),
            )
            for generation, end in sorted(self.ends.items())
            if generation > after
        ]

    def _unheard_keys(self, generation: int) -> int:
        """Indexes that a lost agent may have used after its last word."""
        most = 0
        for loss in self.losses:
            for part in loss.gone:
                keyspace = part.engine.keyspace
                if keyspace.ephemeral_start // GENERATION_KEYS == generation:
                    around = keyspace.ephemeral_lane.count * part.engine.shards
                    made = math.ceil(self._may_have_sent(part, loss.lost.status) / part.engine.shards) + 1
                    most = max(most, made * around)
        return most

    def _may_have_sent(self, part: Part, status: GeneratorStatus) -> float:
        arrivals = part.engine.arrivals
        if isinstance(arrivals, ClosedArrivals):
            per_s = status.started / status.elapsed_s if status.elapsed_s else part.engine.limits.rate_per_s
            return 2 * per_s * UNHEARD_S + arrivals.concurrency
        due = self.due(status.elapsed_s, status.elapsed_s + UNHEARD_S)
        return due * arrivals.share.width / arrivals.share.wheel + part.engine.limits.in_flight


def make_loads(
    crew: Crew,
    run: str,
    planned: Sequence[tuple[PassPlan, EnginePlan]],
    secrets: Callable[[PassPlan], Secrets],
    rows: Callable[[PassPlan], bytes | None],
    *,
    phase: str = "",
) -> list[FleetLoad]:
    """Split each plan over the crew, and prepare its engines; nothing is sent. MaulError when that cannot be.

    `phase`: which one of the record; empty when it is recorded nowhere.
    """
    loads = []
    for pass_, whole in planned:
        parts, secret, trace = list(split(whole, crew.there)), secrets(pass_), rows(pass_)
        about: dict[str, str | int] = {"phase": phase, "endpoint_offset": pass_.endpoint_offset}
        many = crew.line.generator({part.agent: secret(part.engine) for part in parts}, trace, run=run, about=about)
        loads.append(FleetLoad(pass_, whole, parts, many, secret, crew.there, trace))
    return loads
