"""Was the generator the limit of a trial that did not hold? Then the trial is void: it says nothing of the target."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from maul.core.histogram import Histogram
from maul.core.operation import ErrorClass
from maul.insight.gauges import Gauges
from maul.insight.generator_bound import GeneratorLimits, signs_between, void_reasons
from maul.insight.trials import TrialFacts


def bound_reasons(
    status: Mapping[str, Any], facts: TrialFacts, late: Histogram, gauges: Gauges, limits: GeneratorLimits
) -> tuple[str, ...]:
    """From the engine's last status, how late it took up its arrivals (SCHEDULE), and what the probes read meanwhile.

    The engine's own account of its CPU is of the whole trial, so it is preferred to a reading every second.
    """
    elapsed_s = float(status["elapsed_s"])
    exhausted = int(status["errors"].get(ErrorClass.EXHAUSTED.name, 0))
    signs = signs_between(gauges, (facts.began_ns, facts.ended_ns), facts.offered_per_s, late, exhausted)
    if elapsed_s > 0:
        signs = replace(signs, busy_cores=float(status["cpu_seconds"]) / elapsed_s)
    if signs.used_cores is None:  # a short trial between two readings: lateness alone does not tell whose it was
        signs = replace(signs, shared=True)
    reasons = void_reasons(signs, limits)
    if status["records_lost"]:
        reasons.append(f"{status['records_lost']:,} records were lost, so the trial cannot be judged")
    return tuple(reasons)
