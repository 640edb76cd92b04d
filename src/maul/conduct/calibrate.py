"""`maul calibrate`: this machine's generator against a server that does nothing, in short rounds.

Every figure is the median of rounds that are spread over the whole time, so that a disturbance of a second spoils one
round of some figures and not one figure.
"""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from maul import __version__
from maul.conduct.progress import Progress
from maul.core.calibration import Calibration, Figure, Machine, OpenLoop, Scaling, Scheme
from maul.core.clock import Clock
from maul.core.errors import InternalError
from maul.core.histogram import Histogram, LatencyKind
from maul.lab.certs import make_certificates
from maul.load import NullServer, RustGenerator
from maul.plan import with_secrets
from maul.plan.calibrating import RUN, SIZES_BYTES, Cell, Trial, cells, trial_plan
from maul.s3.credentials import Credentials

ROUNDS = 3
SECONDS_DEFAULT, SECONDS_QUICK, SECONDS_MIN, SECONDS_MAX = 45.0, 12.0, 4.0, 600.0
LAG_P99_MS_MAX = 1.0
"""Open loop: sent later than this, and the rate is above what the generator can pace."""
ACHIEVED_RATIO_MIN = 0.999
BUSY_RATIO_FULL = 0.9
SPREAD_RATIO_QUIET = 0.25
"""Rounds that differ by more than this of their median were disturbed."""
_OPEN_LOOP_TRIALS = 7
_OPEN_LOOP_TRIES = 2  # a rate is not kept when it failed as often: one may have been disturbed
_FIGURES_SHARE, _SCALING_SHARE, _OPEN_LOOP_SHARE = 0.7, 0.12, 0.18  # of the time
_TRIAL_OVERHEAD_S, _TRIAL_S_MIN = 0.06, 0.05  # to begin and end a trial
_SCALING_CELL = Cell("get-verified", 4096, "http")
_KEYS = Credentials("calibrate", "calibrate")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one trial showed."""

    requests: int
    asked: int
    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    lag_p99_ms: float

    @property
    def per_s(self) -> float:
        """Answers per second."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def cpu_us(self) -> float:
        """CPU of the shards for each answer."""
        return self.cpu_seconds / self.requests * 1e6 if self.requests else 0.0


Measure = Callable[[Trial], Measured]


@dataclass(frozen=True, slots=True)
class CalibrateOrder:
    """What was asked for. `cores`: the processors that may be used; `seconds` in all, about."""

    machine: Machine
    cores: tuple[int, ...]
    seconds: float = SECONDS_DEFAULT


def calibrate(order: CalibrateOrder, measure: Measure, progress: Progress, clock: Clock) -> Calibration:
    """Measure everything. InternalError when a trial shows errors: against our own server there are none."""
    at_ns = clock.now_ns()
    figures = _figures(order, measure, progress)
    scaling = _scaling(order, measure, progress) if len(order.cores) > 1 else None
    open_loop = _open_loop(order, measure, progress, figures)
    return Calibration(
        maul_version=__version__,
        at_ns=at_ns,
        machine=order.machine,
        seconds=order.seconds,
        figures=figures,
        scaling=scaling,
        open_loop=open_loop,
        notes=tuple(_notes(order, figures, open_loop)),
    )


def _seats(order: CalibrateOrder) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(the shard's core, the server's core): two if there are two."""
    return order.cores[-1:], order.cores[:1]


def _figures(order: CalibrateOrder, measure: Measure, progress: Progress) -> tuple[Figure, ...]:
    wanted = cells(SIZES_BYTES)
    seconds = _each(order.seconds * _FIGURES_SHARE, len(wanted) * ROUNDS)
    shard, server = _seats(order)
    seen: defaultdict[Cell, list[Measured]] = defaultdict(list)
    for turn in range(ROUNDS):
        progress.step(f"round {turn + 1} of {ROUNDS}: {len(wanted)} figures, {seconds:.2f} s each")
        for cell in wanted:
            seen[cell].append(measure(Trial(cell, seconds, shard, server)))
    answered = {cell: [one for one in rounds if one.requests] for cell, rounds in seen.items()}
    return tuple(_figure(cell, rounds) for cell, rounds in answered.items() if rounds)


def _figure(cell: Cell, rounds: list[Measured]) -> Figure:
    cpu_us = sorted(one.cpu_us for one in rounds)
    middle = statistics.median(cpu_us)
    return Figure(
        op=cell.op,
        size_bytes=cell.size_bytes,
        scheme=cell.scheme,
        per_s=statistics.median(one.per_s for one in rounds),
        cpu_us=middle,
        busy_ratio=statistics.median(one.cpu_seconds / one.seconds for one in rounds),
        server_cpu_us=statistics.median(one.server_cpu_seconds / one.requests * 1e6 for one in rounds),
        spread_ratio=(cpu_us[-1] - cpu_us[0]) / middle if middle else 0.0,
        rounds=len(rounds),
    )


def _scaling(order: CalibrateOrder, measure: Measure, progress: Progress) -> Scaling:
    progress.step("one core with a shard and a server, against two with two of each")
    seconds = _each(order.seconds * _SCALING_SHARE, 2 * ROUNDS)
    one_core, two_cores = order.cores[:1], order.cores[:2]
    ones, twos = [], []
    for _ in range(ROUNDS):
        ones.append(measure(Trial(_SCALING_CELL, seconds, one_core, one_core)).per_s)
        twos.append(measure(Trial(_SCALING_CELL, seconds, two_cores, two_cores)).per_s)
    ratios = [two / one for one, two in zip(ones, twos, strict=True) if one]
    return Scaling(
        one_per_s=statistics.median(ones),
        two_per_s=statistics.median(twos),
        ratio=statistics.median(ratios) if ratios else 0.0,
        rounds=ROUNDS,
    )


def _open_loop(
    order: CalibrateOrder, measure: Measure, progress: Progress, figures: tuple[Figure, ...]
) -> OpenLoop | None:
    """Bisection between nothing and the closed loop's rate; None when no rate was kept."""
    progress.step("open loop: the highest rate that is sent in time")
    seconds = _each(order.seconds * _OPEN_LOOP_SHARE, _OPEN_LOOP_TRIALS * _OPEN_LOOP_TRIES)
    shard, server = _seats(order)
    kept, low, high = None, 0.0, max((figure.per_s for figure in figures), default=0.0)
    for _ in range(_OPEN_LOOP_TRIALS):
        rate = round((low + high) / 2, -2) or 100.0
        trial = Trial(_SCALING_CELL, seconds, shard, server, rate_per_s=rate)
        seen = next(filter(None, (_in_time(trial, measure(trial)) for _ in range(_OPEN_LOOP_TRIES))), None)
        if seen is None:
            high = rate
        else:
            kept, low = seen, rate
    return kept


def _in_time(trial: Trial, seen: Measured) -> OpenLoop | None:
    """None when the rate was not kept."""
    achieved = seen.requests / seen.asked if seen.asked else 0.0
    if seen.lag_p99_ms >= LAG_P99_MS_MAX or achieved < ACHIEVED_RATIO_MIN:
        return None
    return OpenLoop(
        per_s=trial.rate_per_s or 0.0,
        lag_p99_ms=seen.lag_p99_ms,
        achieved_ratio=achieved,
        busy_ratio=seen.cpu_seconds / seen.seconds,
    )


def _each(seconds: float, trials: int) -> float:
    """Length of a trial when so many share some time."""
    return max(_TRIAL_S_MIN, seconds / trials - _TRIAL_OVERHEAD_S)


def _notes(order: CalibrateOrder, figures: tuple[Figure, ...], open_loop: OpenLoop | None) -> Iterator[str]:
    if len(order.cores) < 2:
        yield (
            "there is one core: shard and server shared it, so requests per second are of both together "
            "(CPU per request is still the shard's own), and whether two shards do twice as much is not known"
        )
    if len(figures) < len(cells(SIZES_BYTES)):
        yield f"{len(cells(SIZES_BYTES)) - len(figures)} figures are missing: nothing was answered in so short a time"
    slow = [f for f in figures if f.busy_ratio < BUSY_RATIO_FULL]
    if slow and len(order.cores) > 1:
        yield (
            f"in {len(slow)} of {len(figures)} figures the shard's core was not full: the server, the kernel or other "
            "programs were the limit of requests per second; the ceiling of a core is worked out from CPU per request"
        )
    unquiet = [f for f in figures if f.spread_ratio > SPREAD_RATIO_QUIET]
    if unquiet:
        yield (
            f"in {len(unquiet)} of {len(figures)} figures the rounds differ by more than {SPREAD_RATIO_QUIET:.0%}: "
            "the machine was not quiet; calibrate again when it is"
        )
    if open_loop is None:
        yield f"no rate that was tried was sent with a lag p99 below {LAG_P99_MS_MAX:g} ms: the machine was not free"


@contextmanager
def null_servers() -> Iterator[Measure]:
    """A `Measure` on the real engine and real null servers, which live as long as the block."""
    certificates = make_certificates("127.0.0.1")
    pems: dict[Scheme, str | None] = {"http": None, "https": certificates.server.decode()}
    ca_pem = certificates.ca.decode()
    with ExitStack() as stack:
        servers: dict[tuple[Scheme, tuple[int, ...]], NullServer] = {}

        def measure(trial: Trial) -> Measured:
            scheme, cores = trial.cell.scheme, trial.server_cores
            if (scheme, cores) not in servers:
                made = NullServer(run=RUN, threads=len(cores), pin=cores, certificate_pem=pems[scheme])
                servers[scheme, cores] = stack.enter_context(made)
            return _measure(trial, servers[scheme, cores], ca_pem)

        yield measure


def _measure(trial: Trial, server: NullServer, ca_pem: str) -> Measured:
    plan = trial_plan(trial, server.url)
    generator = RustGenerator(with_secrets(plan, _KEYS, {"null": ca_pem}))
    before = server.totals()
    generator.start()
    if not generator.join(plan.limits.seconds + 5.0):
        generator.stop("calibrate: overdue", now=True)
        generator.join(2.0)
    status, after = generator.status(), server.totals()
    if status.errors and status.ok < status.completed:
        raise InternalError(
            f"the null server did not answer {trial.cell.op} well: {status.last_error or dict(status.errors)}"
        )
    lag = Histogram()
    for row in generator.drain().latency:
        if row.kind == LatencyKind.LAG:
            lag.merge(Histogram.from_v2(row.hdr))
    return Measured(
        requests=status.ok,
        asked=status.offered,
        seconds=min(status.elapsed_s, trial.seconds) if trial.rate_per_s is None else status.elapsed_s,
        cpu_seconds=status.cpu_seconds,
        server_cpu_seconds=after.cpu_seconds - before.cpu_seconds,
        lag_p99_ms=lag.percentile(99.0) / 1e6 if lag.count else 0.0,
    )


def as_json(calibration: Calibration) -> Mapping[str, Any]:
    """For machines: the file's own form, with the figures that follow from others worked out."""
    data = calibration.model_dump(mode="json")
    for figure, row in zip(calibration.figures, data["figures"], strict=True):
        row |= {"ceiling_per_s": figure.ceiling_per_s, "bytes_per_s": figure.bytes_per_s}
    return data
