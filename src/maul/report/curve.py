"""What the shape of a curve of rising load says, in words: the knee, where answers fell short, the scaling law."""

from maul.core.summary import Knee, ScalingLaw
from maul.report import numerals


def curve_facts(knee: Knee | None, scaling: ScalingLaw | None) -> list[tuple[str, str]]:
    """(name, words) for the page."""
    facts: list[tuple[str, str]] = []
    if knee is not None:
        facts.append(("Knee", knee.says))
        if knee.short_per_s is not None:
            facts.append(("Less than 98 % achieved from", numerals.rate(knee.short_per_s)))
    if scaling is not None:
        facts.append(("Scaling law", scaling.says))
    return facts


def curve_lines(knee: Knee | None, scaling: ScalingLaw | None) -> list[str]:
    """Sentences for the terminal; a knee on which no two methods agree is left to the page."""
    lines = [knee.says] if knee is not None and knee.per_s is not None else []
    return lines if scaling is None else [*lines, scaling.says]
