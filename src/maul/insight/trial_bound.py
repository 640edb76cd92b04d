"""Was the generator the limit of a trial that did not hold? Then the trial is void: it says nothing of the target."""

from collections.abc import Mapping
from typing import Any

from maul.insight.levels import GeneratorLimits
from maul.insight.trials import TrialFacts
from maul.insight.words import show_ms, show_ratio


def bound_reasons(
    status: Mapping[str, Any], facts: TrialFacts, shards: int, limits: GeneratorLimits | None = None
) -> tuple[str, ...]:
    """From the engine's last status. Its cores full *and* its sends late: alone, neither says that it was us."""
    limits = limits or GeneratorLimits(cores=shards)
    reasons: list[str] = []
    elapsed_s = float(status["elapsed_s"])
    busy = float(status["cpu_seconds"]) / (elapsed_s * shards) if elapsed_s > 0 and shards else 0.0
    if busy >= limits.busy_above and facts.lag_p99_ms > limits.lag_p99_above_ms:
        late = show_ms(facts.lag_p99_ms)
        reasons.append(f"the generator used {show_ratio(busy)} of its cores and sent 1 % later than {late}")
    if status["records_lost"]:
        reasons.append(f"{status['records_lost']:,} records were lost, so the trial cannot be judged")
    return tuple(reasons)
