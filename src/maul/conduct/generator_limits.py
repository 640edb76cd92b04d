"""What the generator of a run has: where its plan meets the folds that ask whether it was the limit."""

from maul.insight import GeneratorLimits
from maul.plan import Plan


def generator_limits(plan: Plan, shards: int | None = None) -> GeneratorLimits:
    """Cores for its shards (`shards`: of all agents of a fleet), and the ceiling by the plan's calibration."""
    return GeneratorLimits(shards or plan.shards, plan.ceiling.per_s if plan.ceiling is not None else None)
