import math
from collections.abc import Mapping, Sequence

import pytest
from made_records import samples_of, samples_table

from maul.core.sample import Sample
from maul.core.summary import Level, Wall
from maul.insight import Gauges, attribute_wall, forecasts, resources

LEVEL_S = 5.0
Readings = Mapping[tuple[str, str, str], float]

CORE0, CORE1, MAUL = (
    ("cpu", "busy_ratio", "core0"),
    ("cpu", "busy_ratio", "core1"),
    ("process", "cpu_ratio", "maul"),
)
DISK, WAIT, MEMORY = ("disk", "busy_ratio", "vda"), ("disk", "await_ms", "vda"), ("memory", "used_ratio", "")
IDLE: Readings = {CORE0: 0.1, CORE1: 0.1, DISK: 0.05, MEMORY: 0.3}


def service(name: str) -> tuple[str, str, str]:
    return "process", "cpu_ratio", name


def threads(name: str) -> tuple[str, str, str]:
    return "process", "threads", name


def levels_at(rates: Sequence[float], bound: bool = False) -> list[Level]:
    return [
        Level(
            began_ns=began, ended_ns=began + round(LEVEL_S * 1e9), offered_per_s=rate, achieved_per_s=rate,
            p50_ms=1,
            p99_ms=1, p999_ms=1, service_p99_ms=1, error_ratio=0, dropped_ratio=0, lag_p99_ms=40,
            void=["it gave"] if bound and number == len(rates) - 1 else [], meets=number < len(rates) - 1,
        )
        for number, rate in enumerate(rates)
        for began in (1_700_000_000 * 10**9 + number * round(LEVEL_S * 1e9),)
    ]  # fmt: skip


def samples_at(by_level: Sequence[Readings], host: str = "lab") -> list[Sample]:
    return [s for n, readings in enumerate(by_level) for s in samples_of(n * LEVEL_S, LEVEL_S, readings, host)]


def wall(*by_level: Readings, bound: bool = False, cores: int = 1, rates: Sequence[float] = ()) -> Wall:
    """The wall when all levels but the last were good."""
    levels = levels_at(rates or [100.0 * (n + 1) for n in range(len(by_level))], bound)
    good = levels[-2] if len(levels) > 1 else None
    gauges = Gauges(samples_table(samples_at(by_level)))
    return attribute_wall(gauges, levels, good, levels[-1], generator_cores=cores)


def grow(*pairs: tuple[tuple[str, str, str], float], count: int = 4) -> list[Readings]:
    """Levels in which each gauge grows in proportion to the rate, up to the given value at the last one."""
    return [IDLE | {gauge: top * (n + 1) / count for gauge, top in pairs} for n in range(count)]


# ---------------------------------------------------------------- what gave


def test_both_cores_with_those_who_used_them() -> None:
    users = [(service("volume-r1-1"), 0.62), (service("s3-1"), 0.5), (service("haproxy"), 0.24),
             (service("filer"), 0.2), (service("master"), 0.02), (MAUL, 0.28)]  # fmt: skip
    found = wall(*grow((CORE0, 0.98), (CORE1, 0.96), *users))
    assert (found.kind, found.subject) == ("cpu", "host lab")
    assert found.utilisation == pytest.approx(0.98)
    assert found.says == (
        "both cores of host lab were 97 % busy; "
        "the largest consumers were volume-r1-1 31 %, s3-1 25 %, haproxy 12 %, the load generator itself 14 %"
    )
    assert "core0 of host lab: 74 % at 300/s, 98 % at 400/s" in found.evidence


def test_a_machine_that_was_not_free_is_named() -> None:
    # Of two full cores the cluster used 0.5 and the generator 0.1: 1.4, seven tenths, went elsewhere.
    found = wall(*grow((CORE0, 1.0), (CORE1, 1.0), (service("volume"), 0.5), (MAUL, 0.1)))
    assert found.kind == "cpu"
    assert found.says.endswith(
        "volume 25 %, the load generator itself 5 %, processes that are not part of this test 70 %: "
        "the machine was not free for it"
    )


def test_cores_that_were_full_all_along_are_told_as_such() -> None:
    found = wall(*[IDLE | {CORE0: 0.99, CORE1: 0.99, service("volume"): 1.9}] * 3)
    assert "both cores of host lab were 99 % busy; it was so at the good level already; the largest" in found.says


def test_one_full_core_among_idle_ones() -> None:
    found = wall(*grow((CORE0, 0.97)))
    assert (found.kind, found.subject) == ("cpu", "core0 of host lab")
    assert "core0 of host lab was 97 % busy, the other only 10 %: something cannot use more than that" in found.says
    assert "which processes used them was not read" in found.says


def test_a_process_with_one_thread_is_the_wall_not_the_core_it_runs_on() -> None:
    found = wall(*grow((CORE0, 0.97), (service("haproxy"), 0.96), (threads("haproxy"), 4)))
    assert found.kind == "cpu"  # its threads grew with the load: never full
    alone = [r | {threads("haproxy"): 1.0} for r in grow((CORE0, 0.97), (service("haproxy"), 0.96))]
    found = wall(*alone)
    assert (found.kind, found.subject) == ("process", "haproxy")
    assert found.says == "haproxy on host lab used 96 % of what its one thread can"


def test_a_full_process_on_a_full_host_is_a_cpu_wall() -> None:
    readings = grow((CORE0, 0.97), (CORE1, 0.97), (service("volume"), 1.9))
    found = wall(*(r | {threads("volume"): 20.0} for r in readings))
    assert found.kind == "cpu"
    assert "volume 95 %" in found.says


def test_a_full_disk_whose_waits_grow() -> None:
    found = wall(*grow((DISK, 0.96), (WAIT, 24.0)))
    assert (found.kind, found.subject) == ("disk", "vda")
    assert found.says == "disk vda of host lab was 96 % busy, a request to it took 24 ms (6 ms at 100/s)"
    assert "disk vda of host lab: a request took 6 ms at the lowest rate, 24 ms at this one" in found.evidence


def test_a_busy_disk_whose_waits_do_not_grow_serves_in_parallel() -> None:
    readings = [IDLE | {DISK: busy, WAIT: 0.2} for busy in (0.6, 0.8, 0.99)]
    found = wall(*readings)
    assert found.kind == "none"
    assert "disk vda of host lab 99 %" in found.says


def test_memory() -> None:
    found = wall(*grow((MEMORY, 0.97)))
    assert (found.kind, found.subject, found.says) == (
        "memory",
        "host lab",
        "memory of host lab was 97 % full",
    )


def test_a_link_counts_only_when_its_capacity_is_known() -> None:
    gauge = ("network", "sent_bytes_per_s", "eth0")
    readings = samples_table(samples_at(grow((gauge, 120e6))))
    levels = levels_at([100, 200, 300, 400])
    known = attribute_wall(Gauges(readings), levels, levels[2], levels[3], link_bytes_per_s={"eth0": 125e6})
    assert (known.kind, known.subject, known.utilisation) == ("network", "eth0", pytest.approx(0.96))
    assert attribute_wall(Gauges(readings), levels, levels[2], levels[3]).kind == "none"


def test_signs_of_waiting_count_only_when_nothing_is_full() -> None:
    pressure = ("pressure", "memory_some_ratio", "")
    found = wall(*grow((pressure, 0.4)))
    assert found.kind == "memory"
    assert found.says.startswith("waiting for memory on host lab took 40 % of the time")
    assert wall(*grow((pressure, 0.4), (CORE0, 0.97), (CORE1, 0.97))).kind == "cpu"


def test_the_wall_is_what_became_full_not_what_always_was() -> None:
    readings = [r | {DISK: 0.97} for r in grow((CORE0, 0.95), (CORE1, 0.95))]
    assert wall(*readings).kind == "cpu"
    always = [IDLE | {DISK: 0.97}] * 3
    assert wall(*always).says.endswith("it was so at the good level already")


def test_what_became_full_is_suspected_before_what_is_fuller() -> None:
    two = [IDLE | {DISK: 0.99, CORE0: busy, CORE1: busy} for busy in (0.5, 0.86)]  # too few levels for a trend
    assert wall(*two).kind == "cpu"


def test_of_two_that_became_full_the_one_that_meets_its_cap_first() -> None:
    # The disk grows by 0.3 per 100/s and meets 0.9 at 300/s; the cores by 0.24, and meet 0.85 at 354/s.
    readings = [
        IDLE | {DISK: 0.3 * n, CORE0: 0.24 * n, CORE1: 0.24 * n}
        if n < 4
        else IDLE | {DISK: 0.99, CORE0: 0.96, CORE1: 0.96}
        for n in (1, 2, 2.5, 4)
    ]
    assert wall(*readings, rates=[100, 200, 250, 400]).kind == "disk"


def test_the_first_level_may_be_the_bad_one() -> None:
    found = wall(IDLE | {CORE0: 0.97, CORE1: 0.99})
    assert found.kind == "cpu"
    assert "core1 of host lab: 99 % at 100/s" in found.evidence


# ---------------------------------------------------------------- the generator


def test_a_bound_generator_is_the_wall_whatever_else_is_full() -> None:
    found = wall(*grow((CORE0, 0.99), (CORE1, 0.99), (MAUL, 0.98)), bound=True)
    assert (found.kind, found.subject) == ("generator", "maul")
    assert found.says == "it gave: that was the generator's limit, not the target's"
    assert found.utilisation == pytest.approx(0.98)


def test_a_generator_that_hogs_the_machine_is_named() -> None:
    found = wall(*grow((CORE0, 0.98), (CORE1, 0.98), (MAUL, 1.2), (service("volume"), 0.5)), cores=2)
    assert found.kind == "generator"
    assert "both cores of host lab were 98 % busy, and 61 % of that was the load generator" in found.says


def test_a_generator_on_another_host_is_not_blamed_for_this_one() -> None:
    levels = levels_at([100, 200, 300, 400])
    both = samples_at(grow((CORE0, 0.98), (CORE1, 0.98)), "storage") + samples_at(
        [{MAUL: 1.9, CORE0: 0.6, CORE1: 0.6}] * 4, "loader"
    )
    found = attribute_wall(Gauges(samples_table(both)), levels, levels[2], levels[3], generator_cores=2)
    assert (found.kind, found.subject) == ("cpu", "host storage")
    assert "load generator" not in found.says


# ---------------------------------------------------------------- nothing, and not known


def test_nothing_full_is_said_honestly() -> None:
    found = wall(*grow((CORE0, 0.5), (CORE1, 0.4), (DISK, 0.3), (MEMORY, 0.3)))
    assert (found.kind, found.subject) == ("none", "")
    assert found.utilisation == pytest.approx(0.5)
    assert found.says.startswith(
        "nothing that was measured was full (the fullest: core0 of host lab 50 %, disk vda of host lab 30 % "
        "and memory of host lab 30 %)"
    )
    assert "a queue, a lock or a limit inside the target" in found.says


def test_a_queue_in_the_balancer_explains_idle_machines() -> None:
    found = wall(*grow((("balancer", "queue", "s3/s3-1"), 40.0)))
    assert found.kind == "none"
    assert found.says.endswith("what is left is 40 requests queued in the balancer at s3/s3-1")


def test_no_samples_at_all_is_not_known() -> None:
    levels = levels_at([100, 200])
    found = attribute_wall(Gauges(samples_table([])), levels, levels[0], levels[1])
    assert (found.kind, found.utilisation, found.evidence) == ("none", 0.0, [])
    assert found.says == "what gave is not known: no probe read anything in that level"


def test_missing_senses_are_named() -> None:
    found = wall(*({MEMORY: 0.3},) * 3)
    assert found.kind == "none"
    assert "what gave is not known: cpu and disk were not read in that level" in found.says


def test_a_gap_in_the_bad_level_is_not_filled_from_its_neighbours() -> None:
    levels = levels_at([100, 200, 300])
    gauges = Gauges(samples_table(samples_at(grow((CORE0, 0.99), (CORE1, 0.99), count=2))))  # none in the third level
    found = attribute_wall(gauges, levels, levels[1], levels[2])
    assert "no probe read anything" in found.says


@pytest.mark.parametrize("nothing", [math.nan, math.inf, -math.inf])
def test_readings_that_are_no_numbers_are_gaps(nothing: float) -> None:
    full = samples_at([IDLE, IDLE | {CORE0: 0.97, CORE1: 0.97}])
    broken = [Sample(s.at_ns + 1000, s.probe, s.metric, s.subject, nothing, s.host) for s in full]
    levels = levels_at([100, 200])
    found = attribute_wall(Gauges(samples_table(full + broken)), levels, levels[0], levels[1])
    assert found.kind == "cpu"
    assert found.utilisation == pytest.approx(0.97)
    only = attribute_wall(Gauges(samples_table(broken)), levels, levels[0], levels[1])
    assert "no probe read anything" in only.says


def test_one_reading_is_none() -> None:
    level = levels_at([100])
    one = samples_at([IDLE | {CORE0: 1.0, CORE1: 1.0}])[-4:]
    assert {s.subject for s in one} == {"core0", "core1", "vda", ""}
    assert "no probe read anything" in attribute_wall(Gauges(samples_table(one)), level, None, level[0]).says


# ---------------------------------------------------------------- evidence and forecasts


def test_evidence_tells_waits_thieves_and_the_next_walls() -> None:
    readings = grow((CORE0, 0.95), (CORE1, 0.95), (DISK, 0.6), (WAIT, 30.0), (("cpu", "steal_ratio", "all"), 0.08))
    retransmits = {("network", "retransmits_per_s", "eth0"): 12.0}
    evidence = wall(*(r | retransmits for r in readings)).evidence
    told = "\n".join(evidence)
    assert "8 % of its CPU time was taken by other guests of the hypervisor" in told
    assert "12 TCP segments per second sent again on host lab" in told
    assert "by its trend disk vda of host lab is full (90 %) at 600/s" in told
    assert "core0 of host lab is full" not in told  # it is full already: no next wall
    assert "memory" not in told  # next to empty: no evidence
    assert len(evidence) <= 10


def found_lines(by_level: Sequence[Readings], rates: Sequence[float]) -> dict[str, float]:
    gauges = Gauges(samples_table(samples_at(by_level)))
    lines = forecasts(gauges, resources(gauges), levels_at(rates))
    assert [line.at_per_s for line in lines] == sorted(line.at_per_s for line in lines)
    return {line.resource.label: line.at_per_s for line in lines}


def test_forecasts_follow_the_utilisation_law() -> None:
    # U = 0.05 + 0.001 X meets 0.85 at 800; U = 0.002 X meets 0.9 at 450.
    rates = [100.0, 200.0, 300.0, 400.0]
    readings = [{CORE0: 0.05 + 0.001 * x, DISK: 0.002 * x} for x in rates]
    found = found_lines(readings, rates)
    assert list(found) == ["disk vda of host lab", "core0 of host lab"]
    assert found["disk vda of host lab"] == pytest.approx(450)
    assert found["core0 of host lab"] == pytest.approx(800)


def test_one_odd_level_does_not_bend_the_line() -> None:
    rates = [100.0, 200.0, 300.0, 400.0, 500.0, 600.0]
    readings = [{CORE0: 0.001 * x if x != 300 else 0.9} for x in rates]
    assert found_lines(readings, rates)["core0 of host lab"] == pytest.approx(850, rel=0.03)


def test_levels_in_which_it_was_full_do_not_bend_the_line() -> None:
    rates = [100.0, 200.0, 300.0, 600.0, 700.0, 800.0]
    readings = [{CORE0: min(1.0, 0.002 * x)} for x in rates]
    assert found_lines(readings, rates)["core0 of host lab"] == pytest.approx(425)


def test_what_is_full_already_is_no_next_wall() -> None:
    # By the median of slopes core0 would be full at 460/s; it is full at 400/s.
    found = wall(*[IDLE | {CORE0: busy, CORE1: 0.1} for busy in (0.3, 0.4, 0.5, 0.97)])
    assert "by its trend" not in "\n".join(found.evidence)


def test_levels_of_a_bound_generator_make_no_trend() -> None:
    rates = [100.0, 200.0, 300.0]
    gauges = Gauges(samples_table(samples_at([IDLE | {CORE0: 0.002 * x} for x in rates])))
    levels = levels_at(rates)
    assert "by its trend" in "\n".join(attribute_wall(gauges, levels, levels[1], levels[2]).evidence)
    levels[0] = levels[0].model_copy(update={"void": ["it gave"]})
    assert "by its trend" not in "\n".join(attribute_wall(gauges, levels, levels[1], levels[2]).evidence)


def test_no_forecast_from_two_levels_from_flat_lines_or_from_one_rate() -> None:
    assert found_lines([{CORE0: 0.1}, {CORE0: 0.2}], [100, 200]) == {}
    assert found_lines([{CORE0: 0.1}] * 4, [100, 200, 300, 400]) == {}
    assert found_lines([{CORE0: 0.4}, {CORE0: 0.3}, {CORE0: 0.2}], [100, 200, 300]) == {}
    assert found_lines([{CORE0: 0.1}, {CORE0: 0.2}, {CORE0: 0.3}], [100, 100, 100]) == {}
    assert found_lines([], []) == {}
