"""Unit tests of the rules for `promtool test rules`: a made-up day of the address, told in samples every 15 s."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from maul.insight.alerts.promql import Selector, example, quoted
from maul.insight.alerts.rules import (
    ALERT,
    BLIND,
    CONTROL,
    INTERVAL_S,
    annotations,
    blind_annotations,
    blind_labels,
    labels,
    yaml_text,
)
from maul.insight.alerts.watch import Watch

BEFORE = 40
"""Samples of an ordinary day before anything happens: ten minutes."""
AFTER = 80
FLOW = 1_500_000
"""Bytes that come in within 15 s at each balancer."""
RINGS_AT, OVER_AT, WHOLE = "12m", "26m", BEFORE + AFTER


@dataclass(frozen=True)
class Day:
    """What is seen from the tenth minute on; before, all is well. None: nothing is seen any more."""

    name: str
    probe: str | None = f"1x{AFTER}"
    control: str | None = f"1x{AFTER}"
    up: str | None = f"1x{AFTER}"
    idle: str | None = f"40x{AFTER}"
    flows: bool = True
    flowed: bool = True
    rings: bool = False
    recovers: bool = False
    absent: Mapping[str, str] = field(default_factory=dict)
    """Recorded series that are missing, by when that is told."""


HOLE = Day("black-holed", probe=f"0x{AFTER}", idle=f"98x{AFTER}", flows=False, rings=True)
DAYS = (
    HOLE,
    replace(HOLE, name="black-holed, and free again", probe="0x40 1x39", recovers=True),
    replace(HOLE, name="black-holed at night, when nobody comes", flowed=False),
    Day("an ordinary day"),
    Day("night: nobody comes, and the address answers", idle=f"99x{AFTER}", flows=False, flowed=False),
    Day("customers leave all at once, and the address answers", idle=f"99x{AFTER}", flows=False),
    Day("saturation: everything is slow, and comes in", probe=f"0x{AFTER}", idle=f"2x{AFTER}"),
    Day("a balancer spins: no byte moves", probe=f"0x{AFTER}", idle=f"0x{AFTER}", flows=False),
    Day("a balancer is down", probe=f"0x{AFTER}", up=f"0x{AFTER}", idle=None, flows=False),
    Day("everything is dark", probe=f"0x{AFTER}", control=f"0x{AFTER}", idle=f"99x{AFTER}", flows=False),
    Day("the probe fails, and customers come in", probe=f"0x{AFTER}", idle=f"98x{AFTER}"),
    replace(HOLE, name="nobody probes the control address", control=None, rings=False, absent={CONTROL: "26m"}),
)


def rule_tests(watch: Watch, rules_name: str, book: str) -> str:
    """The text of a test file."""
    head = f"# Written by `maul alerts` for {watch.name}. Run: promtool test rules THIS FILE\n"
    series = _Series.of(watch)
    if series is None:
        return (
            f"{head}# The site's selectors are patterns of which no example could be made: no test was written.\n"
            + yaml_text({"rule_files": [rules_name], "tests": []})
        )
    document = {
        "rule_files": [rules_name],
        "evaluation_interval": f"{INTERVAL_S}s",
        "tests": [_test(day, watch, series, book) for day in DAYS],
    }
    return head + yaml_text(document)


@dataclass(frozen=True)
class _Series:
    """One series that the rules select, for each thing that they look at."""

    probes: tuple[str, ...]
    controls: tuple[str, ...]
    instances: tuple[str, ...]

    @classmethod
    def of(cls, watch: Watch) -> "_Series | None":
        probes = [_named("probe_success", one) for one in watch.probes]
        controls = [_named("probe_success", one) for one in watch.controls]
        if None in probes or None in controls:
            return None
        return cls(
            tuple(dict.fromkeys(filter(None, probes))),
            tuple(dict.fromkeys(filter(None, controls))),
            tuple(dict.fromkeys(one.instance for one in watch.balancers)),
        )


def _named(metric: str, selector: Selector) -> str | None:
    found = example(selector.labels)
    if found is None:
        return None
    return f"{metric}{{{','.join(f'{name}={quoted(value)}' for name, value in found.items())}}}"


def _test(day: Day, watch: Watch, series: _Series, book: str) -> dict[str, Any]:
    rung = [{"exp_labels": labels(watch), "exp_annotations": annotations(watch, book)}]
    asked = [
        _expect("9m", ALERT, []),
        _expect("10m15s", ALERT, []),
        _expect(RINGS_AT, ALERT, rung if day.rings else []),
        _expect(OVER_AT, ALERT, rung if day.rings and not day.recovers else []),
        _expect("9m", BLIND, []),
    ]
    for missing, at in day.absent.items():
        told = {
            "exp_labels": blind_labels(watch, missing),
            "exp_annotations": blind_annotations(watch, missing, book),
        }
        asked.append(_expect(at, BLIND, [told]))
    return {
        "name": day.name,
        "interval": f"{INTERVAL_S}s",
        "input_series": [{"series": name, "values": values} for name, values in _values(day, series)],
        "alert_rule_test": asked,
    }


def _expect(at: str, alert: str, rings: list[dict[str, Any]]) -> dict[str, Any]:
    return {"eval_time": at, "alertname": alert, "exp_alerts": rings}


def _values(day: Day, series: _Series) -> Iterator[tuple[str, str]]:
    before = BEFORE - 1
    for name in series.probes:
        yield name, _joined(f"1x{before}", day.probe)
    for name in series.controls:
        yield name, _joined(f"1x{before}", day.control)
    for place, instance in enumerate(series.instances):
        labelled = f"{{instance={quoted(instance)}}}"
        first = place == 0  # where one is down, the others are well
        yield f"up{labelled}", _joined(f"1x{before}", day.up if first else f"1x{AFTER}")
        yield (
            f"haproxy_process_idle_time_percent{labelled}",
            _joined(f"40x{before}", day.idle if first or day.idle is not None else f"98x{AFTER}"),
        )
        flow, flows = (FLOW if day.flowed else 0), (FLOW if day.flows else 0)
        counted = flow * before
        through = f'{{instance={quoted(instance)},proxy="customers"}}'
        values = f"0+{flow}x{before} {counted + flows}+{flows}x{AFTER}"
        yield f"haproxy_frontend_bytes_in_total{through}", values


def _joined(before: str, after: str | None) -> str:
    """`axn` is one more than n samples in promtool's notation; what is seen no more is stale at once."""
    return f"{before} {after}" if after is not None else f"{before} stale _x{AFTER}"
