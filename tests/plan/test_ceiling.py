"""What this generator cannot make is refused before traffic, with the arithmetic."""

import pytest

from maul.core.calibration import Calibration, Figure, Machine
from maul.core.errors import CampaignError
from maul.plan import explain, to_json
from maul.plan.model import Plan


def calibration(get_us: float = 10.0, put_us: float = 20.0, head_us: float = 5.0) -> Calibration:
    figures = [
        Figure(op=op, size_bytes=size, scheme=scheme, per_s=1.0, cpu_us=us * (1 + size / 2**20), busy_ratio=1.0,
               server_cpu_us=1.0, spread_ratio=0.0, rounds=3)
        for op, us in (("get-verified", get_us), ("put", put_us), ("head", head_us))
        for size in (4096, 2**20)
        for scheme in ("http", "https")
    ]  # fmt: skip
    return Calibration(
        maul_version="0.1.0", at_ns=1, machine=Machine(cpu_model="m", cores=2, kernel="k"), seconds=1.0,
        figures=tuple(figures), scaling=None, open_loop=None,
    )  # fmt: skip


PLAIN = ("{get: 60, put: 30, delete: 9, multipart: 1}", "{get: 60, put: 30, delete: 10}")
FLAT = 1 + 4096 / 2**20  # what 4 KiB add to the cost of nothing
EACH_US = (0.6 * 10 + 0.3 * 20 + 0.1 * 5) * FLAT


def test_the_ceiling_is_the_cores_over_the_cpu_of_the_mean_operation(planned):
    ceiling = planned(PLAIN, calibration=calibration()).ceiling
    assert ceiling.cpu_us == pytest.approx(EACH_US)
    assert ceiling.per_s == pytest.approx(1e6 / EACH_US), "one shard carries this load"
    assert sorted(ceiling.terms) == ["delete 10 % × 5.0 µs", "get 60 % × 10.0 µs", "put 30 % × 20.1 µs"]
    more = planned(PLAIN, ("faults:", "load: {shards: 3}\nfaults:"), calibration=calibration()).ceiling
    assert more.per_s == pytest.approx(3e6 / EACH_US)
    few = planned(PLAIN, ("faults:", "load: {shards: 3}\nfaults:"), cores=2, calibration=calibration()).ceiling
    assert few.cores == 2, "three threads on two cores have two cores"


def test_an_upload_costs_its_parts_and_its_two_ends(planned):
    half = ("{get: 60, put: 30, delete: 9, multipart: 1}", "{get: 9, multipart: 1}")
    part = 20 * (1 + 5 * 2**20 / 2**20)
    cpu_us = planned(half, calibration=calibration()).ceiling.cpu_us
    assert cpu_us == pytest.approx(0.9 * 10 * FLAT + 0.1 * (2 * part + 2 * 5 * FLAT))


def test_a_rate_above_the_ceiling_is_refused_with_the_sum(planned):
    slow = calibration(get_us=50_000, put_us=50_000, head_us=50_000)
    with pytest.raises(CampaignError) as caught:
        planned(PLAIN, cores=1, calibration=slow)
    message = caught.value.message
    assert '"calm" peaks at 50/s × 50195.3 µs CPU = 2.51 cores, and the generator has 1 core' in message
    assert "so it can make 20/s at most" in message
    assert "get 60 % × 50195.3 µs + put 30 %" in message
    assert "take a machine with more" in message
    assert '"rise" peaks at 40/s' in message, "every phase at once"


def test_without_a_calibration_nothing_is_refused_and_the_plan_says_so(planned):
    plan = planned(PLAIN)
    assert plan.ceiling is None
    assert "maul calibrate would tell" in "\n".join(explain(plan))


def test_what_lacks_a_figure_is_not_calibrated(planned):
    found = calibration()
    plain = found.model_copy(update={"figures": tuple(f for f in found.figures if f.op != "put")})
    assert planned(PLAIN, calibration=plain).ceiling is None


def test_the_ceiling_is_in_the_plan_but_not_in_its_hash(planned):
    plain, known = planned(PLAIN), planned(PLAIN, calibration=calibration())
    assert plain.hash == known.hash, "the same traffic"
    assert Plan.model_validate_json(to_json(known)) == known
    assert "by calibration: 1 core at" in "\n".join(explain(known))
