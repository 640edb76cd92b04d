"""What the generator of a run has: where its plan meets the folds that ask whether it was the limit."""

from maul.insight import GeneratorLimits
from maul.plan import Plan


def generator_limits(plan: Plan) -> GeneratorLimits:
    """Cores for its shards, and the ceiling by the calibration that the plan was made with."""
    return GeneratorLimits(plan.shards, plan.ceiling.per_s if plan.ceiling is not None else None)
