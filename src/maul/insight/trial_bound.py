"""Was the generator the limit of a trial that did not hold? Then the trial is void: it says nothing of the target."""

from collections.abc import Mapping
from typing import Any

from maul.core.operation import ErrorClass
from maul.insight.generator_bound import GeneratorLimits, Signs, void_reasons
from maul.insight.trials import TrialFacts


def bound_reasons(status: Mapping[str, Any], facts: TrialFacts, limits: GeneratorLimits) -> tuple[str, ...]:
    """From the engine's last status, while the run goes on: no probe is asked.

    So it is not known who else was on this machine, and lateness, which a full machine causes as well, proves nothing.
    """
    elapsed_s = float(status["elapsed_s"])
    signs = Signs(
        offered_per_s=facts.offered_per_s,
        exhausted=int(status["errors"].get(ErrorClass.EXHAUSTED.name, 0)),
        busy_cores=float(status["cpu_seconds"]) / elapsed_s if elapsed_s > 0 else None,
        shared=True,
    )
    reasons = void_reasons(signs, limits)
    if status["records_lost"]:
        reasons.append(f"{status['records_lost']:,} records were lost, so the trial cannot be judged")
    return tuple(reasons)
