"""`maul calibrate`: what is made of the trials, and one real run of it."""

import pytest

from maul.conduct.calibrate import CalibrateOrder, Measured, calibrate, null_servers
from maul.conduct.progress import Silent
from maul.core.calibration import Machine
from maul.core.clock import FakeClock
from maul.plan.calibrating import Cell, Trial, cells

MACHINE = Machine(cpu_model="test", cores=2, kernel="6.1")


class Bench:
    """A machine whose shard needs 10 us per request and 1 us per KiB, and paces up to 30,000/s."""

    def __init__(self, *, busy: float = 1.0, scaling: float = 1.9, disturbed: int = -1) -> None:
        self.busy, self.scaling, self.disturbed = busy, scaling, disturbed
        self.trials: list[Trial] = []

    def measure(self, trial: Trial) -> Measured:
        self.trials.append(trial)
        cpu_us = 10.0 + trial.cell.size_bytes / 1024 + (1000 if len(self.trials) == self.disturbed else 0)
        rate = trial.rate_per_s or self.busy * 1e6 / cpu_us * (self.scaling if len(trial.shard_cores) == 2 else 1.0)
        requests = round(rate * trial.seconds)
        late = trial.rate_per_s is not None and trial.rate_per_s > 30_000
        return Measured(
            requests=requests,
            asked=requests,
            seconds=trial.seconds,
            cpu_seconds=requests * cpu_us / 1e6,
            server_cpu_seconds=requests * 5e-6,
            lag_p99_ms=20.0 if late else 0.1,
        )


def made(bench: Bench, cores: tuple[int, ...] = (0, 1)):
    return calibrate(CalibrateOrder(MACHINE, cores, 30.0), bench.measure, Silent(), FakeClock())


def test_every_operation_size_and_scheme_is_measured_in_turns():
    bench = Bench()
    found = made(bench)
    assert {(f.op, f.size_bytes, f.scheme) for f in found.figures} == {(c.op, c.size_bytes, c.scheme) for c in cells()}
    assert [trial.cell for trial in bench.trials[:40]] == [*cells(), *cells()], "rounds, not one figure after the other"
    figure = next(f for f in found.figures if f.op == "put" and f.size_bytes == 65_536)
    assert figure.cpu_us == pytest.approx(74.0)
    assert figure.ceiling_per_s == pytest.approx(1e6 / 74)
    assert found.notes == ()


def test_shard_and_server_have_a_core_each_and_share_none():
    bench = Bench()
    made(bench)
    first = bench.trials[0]
    assert (first.shard_cores, first.server_cores) == ((1,), (0,))
    pairs = {(t.shard_cores, t.server_cores) for t in bench.trials if t.rate_per_s is None}
    assert pairs == {((1,), (0,)), ((0,), (0,)), ((0, 1), (0, 1))}


def test_one_disturbed_round_does_not_move_a_figure():
    quiet, noisy = made(Bench()), made(Bench(disturbed=1))
    assert quiet.figures[0].cpu_us == noisy.figures[0].cpu_us
    assert "not quiet" in noisy.notes[0]


def test_the_highest_rate_in_time_is_found_between_kept_and_late():
    found = made(Bench())
    assert found.open_loop is not None
    assert 28_000 < found.open_loop.per_s <= 30_000
    assert found.scaling is not None and found.scaling.ratio == pytest.approx(1.9, rel=0.01)


def test_one_core_says_what_it_cannot_tell():
    bench = Bench()
    found = made(bench, cores=(3,))
    assert found.scaling is None
    assert {(t.shard_cores, t.server_cores) for t in bench.trials} == {((3,), (3,))}
    assert "is not known" in found.notes[0]


def test_a_shard_that_was_not_busy_says_that_the_ceiling_is_worked_out():
    found = made(Bench(busy=0.3))
    assert "worked out" in found.notes[0]
    assert found.figures[0].ceiling_per_s == pytest.approx(3.33 * found.figures[0].per_s, rel=0.01)


@pytest.mark.parametrize(
    "cell", [Cell("get-verified", 65_536, "https"), Cell("put", 4096, "http"), Cell("head", 4096, "http")]
)
def test_a_real_trial_counts_what_it_sent(cell: Cell):
    with null_servers() as measure:
        closed = measure(Trial(cell, 0.1, (0,), (0,)))
        paced = measure(Trial(cell, 0.2, (0,), (0,), rate_per_s=500.0))
    assert closed.requests > 20
    assert 0 < closed.cpu_seconds <= 0.3
    assert (paced.requests, paced.asked) == (100, 100)
