"""The record of a run in memory, as it is judged."""

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

from maul.conduct.fleet_story import Story
from maul.conduct.operations import operations_of_kinds
from maul.insight import LatencyBook
from maul.plan import Plan
from maul.verify.clocks import widened
from maul.verify.ledger import Operations
from maul.verify.unheard import HEARD, Unheard


@dataclass(frozen=True, slots=True)
class Tables:
    """The record in memory, and the plan that it followed."""

    plan: Plan
    events: pa.Table
    samples: pa.Table
    book: LatencyBook
    operations: pa.Table
    """One row for each request."""
    changes: pa.Table
    """One row for each key of each request."""
    story: Story | None = None
    """Of a fleet."""

    @property
    def shards(self) -> int:
        """Of all that made load."""
        return (self.story.shards if self.story is not None else 0) or self.plan.shards

    def operations_of(self, kinds: Collection[str], tenant: int, *, whole: bool = False) -> Operations:
        """Of a tenant, timed as surely as the clocks of all agents allow; `whole`: a row for each key."""
        table = self.changes if whole else self.operations
        found = operations_of_kinds(self.plan, table, kinds, tenant)
        return widened(found, self.story.clock_error_ns if self.story is not None else 0)

    def unheard(self, tenant: int) -> Unheard:
        """Engines of a tenant whose last words are missing."""
        return self.story.unheard(tenant) if self.story is not None else HEARD
