"""The ceiling of this generator for a campaign's mix, by its calibration: the arithmetic, and what exceeds it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from maul.campaign import Campaign
from maul.campaign.model_phases import TimedPhase
from maul.campaign.model_workload import Workload, mean_size_bytes
from maul.campaign.problems import Problem
from maul.core.calibration import Calibration, Family, Scheme
from maul.core.operation import READS, WRITES, Op
from maul.plan.model import CeilingPlan, EndpointPlan

VOID_ABOVE_RATIO = 0.8
"""Of the ceiling: steps above it are void, because queues form in the generator."""
_READS = frozenset(op.name.lower() for op in (READS | {Op.GET_VERSION}) - {Op.GET_IF_NONE_MATCH, Op.GET_DELETED})
_WRITES = frozenset(op.name.lower() for op in (WRITES | {Op.ABORTED_PUT}) - {Op.MULTIPART})


@dataclass(frozen=True, slots=True)
class _Cost:
    """CPU microseconds of one operation of the mix."""

    op: str
    share: float
    us: float

    def __str__(self) -> str:
        return f"{self.op} {100 * self.share:.3g} % × {self.us:.1f} µs"


def ceiling_of(
    calibration: Calibration, workload: Workload, endpoints: Sequence[EndpointPlan], shards: int, cores: int
) -> CeilingPlan | None:
    """Operations per second of the mix that the shards' cores can carry; None when it was not calibrated.

    Sum over the operations of share × CPU seconds, against the cores. Half of the load of a campaign on an http and an
    https endpoint is taken to go to each. An operation that moves no body costs about what a HEAD does.
    """
    weights = workload.mix.by_op()
    total = math.fsum(weights.values())
    schemes: list[Scheme] = ["https" if endpoint.url.startswith("https:") else "http" for endpoint in endpoints]
    costs: list[_Cost] = []
    for op, weight in weights.items():
        each = [us for scheme in schemes if (us := _cpu_us(calibration, op, workload, scheme)) is not None]
        if not each or len(each) < len(schemes):
            return None
        costs.append(_Cost(op, weight / total, math.fsum(each) / len(each)))
    mean_us = math.fsum(cost.share * cost.us for cost in costs)
    running = min(shards, cores)
    return CeilingPlan(
        per_s=running * 1e6 / mean_us,
        cpu_us=mean_us,
        cores=running,
        terms=tuple(str(cost) for cost in sorted(costs, key=lambda cost: -cost.share * cost.us)),
        calibrated_ns=calibration.at_ns,
    )


def _cpu_us(calibration: Calibration, op: str, workload: Workload, scheme: Scheme) -> float | None:
    if op in ("multipart", "multipart_abort"):
        shape = workload.multipart
        part = calibration.cpu_us("put", shape.part_size_bytes, scheme)
        other = calibration.cpu_us("head", 0, scheme)
        return None if part is None or other is None else shape.parts * part + 2 * other
    family: Family = "get-verified" if op in _READS else "put" if op in _WRITES else "head"
    return calibration.cpu_us(family, mean_size_bytes(workload.size), scheme)


def above_ceiling(campaign: Campaign, ceiling: CeilingPlan | None) -> Iterator[Problem]:
    """Every phase whose rate this generator cannot make, with the sum and what to do."""
    if ceiling is None:
        return
    for index, phase in enumerate(campaign.phases):
        if isinstance(phase, TimedPhase) and phase.peak_per_s > ceiling.per_s:
            needed = phase.peak_per_s * ceiling.cpu_us / 1e6
            yield Problem(
                ("phases", index),
                f'"{phase.name}" peaks at {phase.peak_per_s:,.6g}/s × {ceiling.cpu_us:.1f} µs CPU = '
                f"{needed:,.3g} cores, "
                f"and the generator has {_cores(ceiling.cores)}, so it can make {ceiling.per_s:,.0f}/s at most "
                f"({' + '.join(ceiling.terms)} = {ceiling.cpu_us:.1f} µs, by maul calibrate); lower the rate or the "
                "sizes, raise load.shards up to the machine's cores, or take a machine with more of them",
            )


def show_ceiling(ceiling: CeilingPlan | None) -> str:
    """One line for people, before anything is sent."""
    if ceiling is None:
        return "not known: this machine is not calibrated, so no rate is refused; maul calibrate would tell"
    return (
        f"{ceiling.per_s:,.0f}/s by calibration: {_cores(ceiling.cores)} at {ceiling.cpu_us:.1f} µs CPU an operation; "
        f"steps above {VOID_ABOVE_RATIO * ceiling.per_s:,.0f}/s are void"
    )


def _cores(count: int) -> str:
    return "1 core" if count == 1 else f"{count} cores"
