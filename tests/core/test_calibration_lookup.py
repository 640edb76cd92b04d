"""CPU per operation of any size, from the sizes that were measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maul.core.calibration import Calibration, Family, Figure, Machine


def calibration(**cpu_us: dict[int, float]) -> Calibration:
    figures = [
        Figure(
            op="get-verified" if op == "get_verified" else op,  # type: ignore[arg-type]
            size_bytes=size, scheme="http", per_s=1.0, cpu_us=us, busy_ratio=1.0, server_cpu_us=1.0,
            spread_ratio=0.0, rounds=3,
        )
        for op, sizes in cpu_us.items()
        for size, us in sizes.items()
    ]  # fmt: skip
    return Calibration(
        maul_version="0.1.0", at_ns=1, machine=Machine(cpu_model="m", cores=2, kernel="k"), seconds=1.0,
        figures=tuple(figures), scaling=None, open_loop=None,
    )  # fmt: skip


MEASURED = {4096: 10.0, 65_536: 40.0, 1_048_576: 400.0}


@pytest.mark.parametrize(
    ("size", "us"), [(0, 10.0), (4096, 10.0), (34_816, 25.0), (65_536, 40.0), (1_048_576, 400.0), (2_031_616, 760.0)]
)
def test_a_line_between_the_sizes_carried_on_beyond_the_last(size: int, us: float):
    assert calibration(put=MEASURED).cpu_us("put", size, "http") == pytest.approx(us)


def test_what_was_not_measured_is_not_known():
    found = calibration(put=MEASURED)
    assert found.cpu_us("put", 4096, "https") is None
    assert found.cpu_us("get", 4096, "http") is None
    assert calibration(head={4096: 7.0}).cpu_us("head", 10**9, "http") == 7.0


@given(st.lists(st.tuples(st.integers(1, 10**9), st.floats(0.1, 1e6)), min_size=1, max_size=6), st.integers(0, 10**12))
def test_no_size_costs_nothing(points: list[tuple[int, float]], size: int):
    op: Family = "put"
    us = calibration(put=dict(points)).cpu_us(op, size, "http")
    assert us is not None and us > 0
