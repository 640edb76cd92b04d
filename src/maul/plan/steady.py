"""A steady stretch of a pass: one rate, for so long, whatever its own profile says. Pure."""

import math

from maul.plan.engine_plan import Constant, OpenArrivals
from maul.plan.ground import DRAIN_MARGIN_S, derived_seed
from maul.plan.model import Amount, PassPlan


def steady_pass(template: PassPlan, label: str, seed: str, rate_per_s: float, seconds: float) -> PassPlan:
    """The pass at this rate for this long, with random choices of its own (`seed` names them)."""
    engine = template.engine
    slowest_s = engine.timeouts.request_ms / 1000 + DRAIN_MARGIN_S
    operations = math.ceil(rate_per_s * seconds)
    return template.model_copy(
        update={
            "label": label,
            "seconds": seconds,
            "expected": scaled(template.expected, operations / template.expected.operations),
            "engine": engine.model_copy(
                update={
                    "seed": derived_seed(engine.seed, seed),
                    "arrivals": OpenArrivals(profile=(Constant(rate=rate_per_s, seconds=seconds),)),
                    "limits": engine.limits.model_copy(update={"seconds": seconds + slowest_s}),
                }
            ),
        }
    )


def scaled(whole: Amount, share: float) -> Amount:
    """So much of it, rounded up."""
    return Amount(**{name: math.ceil(value * share) for name, value in whole})
