"""The arithmetic of a plan against its limits: refused before traffic, with the sum shown; and the number of shards."""

# ruff: noqa: E501 (messages stand here whole, as a person reads them)

import pytest

from maul.campaign.model_workload import Workload
from maul.core.errors import CampaignError
from maul.plan.costs import Cost, amount, cost_of
from maul.plan.shards import ONE_SHARD_BYTES_PER_S, ONE_SHARD_RATE_PER_S, Demand, choose_shards

LIMITS = "faults:\n"


def message_of(planned, limits, *changes):
    with pytest.raises(CampaignError) as caught:
        planned((LIMITS, f"limits: {limits}\nfaults:\n"), *changes)
    return caught.value.message


PLAIN = ("{get: 60, put: 30, delete: 9, multipart: 1}", "{get: 1, put: 1}")


def test_too_many_requests(planned):
    assert message_of(planned, "{requests: 1539}", PLAIN) == (
        "c.yaml:15:20: limits.requests: the plan sends 1,540 requests, and the limit is 1,539: "
        "fill 100 + rise 140 + calm 1,000 + audit 200 + tidy 100; raise limits.requests or plan less"
    )
    assert planned((LIMITS, "limits: {requests: 1540}\nfaults:\n"), PLAIN).expected.requests == 1540


def test_too_many_bytes(planned):
    # 100 + 70 + 500 puts and 70 + 500 + 200 gets of 4 KiB, and 1 000 bytes of headers for each of 1 540 requests
    exact = (100 + 570 + 570 + 200) * 4096 + 1540 * 1000
    assert message_of(planned, f"{{bytes: {exact - 1}}}", PLAIN).startswith(
        "c.yaml:15:17: limits.bytes: the plan moves 7,438,240 B, headers included, and the limit is 7,438,239 B: "
        "fill 509,600 B + rise 713,440 B + "
    )
    assert "moves 7.094 MiB, headers included, and the limit is 1 MiB: fill 497.7 KiB +" in message_of(
        planned, "{bytes: 1MiB}", PLAIN
    )
    assert planned((LIMITS, f"limits: {{bytes: {exact}}}\nfaults:\n"), PLAIN).expected.bytes == exact


def test_too_long(planned):
    assert message_of(planned, "{duration: 25s}") == (
        "c.yaml:15:20: limits.duration: the phases with a fixed length take 26.0 s, and the limit is 25.0 s: rise 6.0 s + calm 20.0 s; "
        "raise limits.duration or plan less"
    )
    assert planned((LIMITS, "limits: {duration: 26s}\nfaults:\n")).limits.seconds == 26.0


def test_too_fast(planned):
    assert message_of(planned, "{bandwidth: 204kB/s}", PLAIN) == (
        'c.yaml:12:5: phases[2]: "calm" peaks at 50/s × 4.977 KiB an operation = 248.8 KiB/s, above limits.bandwidth '
        "(199.2 KiB/s); lower the rate or the sizes, or raise the limit"
    )


def test_all_sums_come_at_once(planned):
    lines = message_of(planned, "{requests: 10, bytes: 10, duration: 10s, bandwidth: 10}").splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "phases[1]", "phases[2]", "limits.requests", "limits.bytes", "limits.duration",
    ]  # fmt: skip


def test_a_long_sum_is_cut_short(planned):
    many = "".join(f"  - {{name: p{number}, kind: load, rate: 50/s, for: 20s}}\n" for number in range(20))
    assert " + 13 more; raise" in message_of(planned, "{requests: 1000}", ("  - {name: tidy", many + "  - {name: tidy"))


@pytest.mark.parametrize(
    ("op", "sent", "received"),
    [
        ("put", 4596, 500),
        ("get", 500, 4596),
        ("head", 500, 500),
        ("delete", 500, 500),
        ("list", 500, 100 * 400 + 500),
        ("multipart", 2 * 5 * 2**20 + 4 * 500, 4 * 500),
    ],
)
def test_what_one_operation_moves(op, sent, received):
    workload = Workload.model_validate({"objects": 1, "size": "4KiB", "mix": {"put": 1}})
    assert (cost_of(op, workload).sent, cost_of(op, workload).received) == (sent, received)


def test_amounts_round_up_and_add():
    half = amount(3, Cost(1.5, 0.1, 10.0))
    assert (half.operations, half.requests, half.bytes_sent, half.bytes_received) == (3, 5, 1, 30)
    assert (half + half).bytes == 62


@pytest.mark.parametrize(
    ("demand", "cores", "asked", "shards"),
    [
        (Demand(ONE_SHARD_RATE_PER_S, 0.0, 128), 16, None, 1),
        (Demand(ONE_SHARD_RATE_PER_S + 1, 0.0, 128), 16, None, 16),
        (Demand(10.0, ONE_SHARD_BYTES_PER_S + 1, 128), 16, None, 16),
        (Demand(1e6, 0.0, 5), 16, None, 5),
        (Demand(1e6, 0.0, 10_000), 1000, None, 255),
        (Demand(10.0, 0.0, 128), 2, 7, 7),
        (Demand(10.0, 0.0, 3), 2, 7, 3),
        (Demand(float("inf"), float("inf"), 1), 8, None, 1),
        (Demand(1e6, 0.0, 128), 0, None, 1),
    ],
)
def test_shards(demand, cores, asked, shards):
    assert choose_shards(demand, cores, asked) == shards


def test_a_plan_has_shards_by_its_fastest_phase_and_a_sweep_no_more_than_it_has_at_once(planned):
    fast = [("rate: 50/s, for: 20s", "rate: 4000/s, for: 20s"), (LIMITS, "limits: {rate: 5000/s}\nfaults:\n"), PLAIN]
    made = planned(*fast, ("concurrency: 8", "concurrency: 3"), cores=4)
    assert made.shards == 4
    assert made.phase("calm").passes[0].engine.shards == 4
    assert made.phase("fill").passes[0].engine.shards == 3
    assert planned(cores=64).shards == 1
