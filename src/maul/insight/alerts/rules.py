"""Prometheus rules: the address is black-holed upstream; and, that nobody could tell.

Recorded first: four figures of the address, each with the label `vip`. The alert is their conjunction, so that a
figure that is missing can never ring. What is missing has an alert of its own.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from maul.insight.alerts.promql import Selector, any_of, quoted
from maul.insight.alerts.watch import PLACEHOLDER, Watch, names

ALERT, BLIND = "VipBlackHoled", "VipBlackHoleUnseen"
INTERVAL_S = 15
FOR_S, BLIND_FOR_S = 30, 300
NEAR_ZERO = 0.05
"""Of the highest ingress within the last hour."""
FLOOR_BYTES_PER_S = 2000
"""Scrapes and probes are traffic, too."""
IDLE_MIN = 0.5
"""A balancer that is busier has work: then it is no hole, or not one before it."""
PROBE, CONTROL = "maul:vip_probe_success:max", "maul:vip_control_success:max"
INGRESS, IDLE, UP = "maul:vip_ingress_bytes:rate1m", "maul:vip_balancers_idle:min", "maul:vip_balancers_up:min"
SERIES = {
    PROBE: "the probe of the address from outside",
    CONTROL: "the probe of the control address",
    INGRESS: "what comes in at the balancers (haproxy_frontend_bytes_in_total)",
    IDLE: "how idle the balancers are (haproxy_process_idle_time_percent)",
    UP: "whether the balancers' pages are scraped (up)",
}


def rules(watch: Watch, book: str) -> str:
    """The text of a rules file. `book`: the name of its runbook."""
    group = {
        "name": f"maul-vip-black-holed-{watch.name}",
        "interval": f"{INTERVAL_S}s",
        "rules": [*_recorded(watch), _alert(watch, book), *_blind(watch, book)],
    }
    return "\n".join(_head(watch)) + "\n" + yaml_text({"groups": [group]})


def clauses(watch: Watch) -> tuple[str, ...]:
    """What must hold together for the alert to ring."""
    vip = any_of("vip", [watch.name])
    return (
        f"{PROBE}{{{vip}}} == 0",
        f"{CONTROL}{{{vip}}} == 1",
        f"{UP}{{{vip}}} == 1",
        f"{IDLE}{{{vip}}} > {IDLE_MIN:g}",
        f"({INGRESS}{{{vip}}} < {NEAR_ZERO:g} * max_over_time({INGRESS}{{{vip}}}[1h])\n"
        f"    or {INGRESS}{{{vip}}} < {FLOOR_BYTES_PER_S})",
    )


def annotations(watch: Watch, book: str) -> dict[str, str]:
    """Of the alert, as they are read."""
    host, who = watch.endpoint.host, names(watch.balancers)
    control = ", ".join(one.what for one in watch.controls)
    return {
        "summary": f"{watch.name} ({watch.address}) is black-holed upstream",
        "description": (
            f"{watch.endpoint.url} does not answer from outside and next to nothing comes in, while {who} are up and "
            f"idle and {control} answers. Somebody before the balancers drops what is meant for {host}: as a rule a "
            "DDoS protection. Do not restart the balancers, and do not let clients retry harder: many protections "
            "lift only when the traffic ends."
        ),
        "runbook": book,
    }


def labels(watch: Watch) -> dict[str, str]:
    """Of the alert."""
    return {"severity": "critical", "vip": watch.name, "address": watch.address, "cause": "vip-black-hole"}


def blind_annotations(watch: Watch, series: str, book: str) -> dict[str, str]:
    """Of the alert that something is missing."""
    return {
        "summary": f"a black hole of {watch.name} would go unseen: {SERIES[series]} is missing",
        "description": f"{ALERT} needs {series}, which has no value. What it is made of stands in the rules.",
        "runbook": book,
    }


def blind_labels(watch: Watch, series: str) -> dict[str, str]:
    """Of the alert that something is missing."""
    return {"severity": "warning", "vip": watch.name, "missing": series}


def yaml_text(document: Mapping[str, Any]) -> str:
    """Block YAML; texts of several lines as they are."""
    writer = YAML()
    writer.width = 4096
    writer.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    writer.dump(document, out)
    return out.getvalue()


def no_template(text: str) -> str:
    """An annotation in which Prometheus expands nothing.

    >>> no_template("a {{ b }}")
    'a {{"{{"}} b }}'
    """
    return text.replace("{{", '{{"{{"}}')


def _recorded(watch: Watch) -> Iterator[dict[str, Any]]:
    proxy = f', proxy=~".+"  # {PLACEHOLDER}: name the frontends of {watch.name}\n  ' if watch.shared else ""
    made = {
        PROBE: _any(watch.probes),
        CONTROL: _any(watch.controls),
        INGRESS: f"sum(rate(haproxy_frontend_bytes_in_total{{{watch.instances}{proxy}}}[1m]))",
        IDLE: f"min(avg_over_time(haproxy_process_idle_time_percent{{{watch.instances}}}[1m])) / 100",
        UP: f"min(up{{{watch.instances}}})",
    }
    for record, expr in made.items():
        yield {"record": record, "expr": LiteralScalarString(expr + "\n"), "labels": {"vip": watch.name}}


def _any(selectors: Sequence[Selector]) -> str:
    """Whoever of them gets through proves that the way is open."""
    lines = [f"# {PLACEHOLDER}: see above"] if any(not one.known for one in selectors) else []
    lines.append("\nor ".join(one.series("probe_success") for one in selectors))
    return "max(\n  " + "\n".join(lines).replace("\n", "\n  ") + "\n)"


def _alert(watch: Watch, book: str) -> dict[str, Any]:
    expr = "\n  and on (vip) ".join(clauses(watch))
    told = {name: no_template(text) for name, text in annotations(watch, book).items()}
    return {
        "alert": ALERT,
        "expr": LiteralScalarString(expr + "\n"),
        "for": f"{FOR_S}s",
        "labels": labels(watch),
        "annotations": told,
    }


def _blind(watch: Watch, book: str) -> Iterator[dict[str, Any]]:
    for series in SERIES:
        told = {name: no_template(text) for name, text in blind_annotations(watch, series, book).items()}
        yield {
            "alert": BLIND,
            "expr": f"absent({series}{{{any_of('vip', [watch.name])}}})",
            "for": f"{BLIND_FOR_S}s",
            "labels": blind_labels(watch, series),
            "annotations": told,
        }


def _head(watch: Watch) -> Iterator[str]:
    yield f"# Written by `maul alerts` for {watch.name}, {watch.endpoint.url}."
    yield "#"
    yield "# Rings when the address does not answer from outside and next to nothing comes in, while the balancers are"
    yield f"# up and idle and {_control_words(watch)} answers; about 90 s after it began. Not at night, when nobody"
    yield "# comes: then the probe of the address answers. Needed in Prometheus, scraped every 15 s or more often:"
    yield "#"
    for one in watch.probes:
        yield f"#   probe_success{{{one.labels}}}: {one.what}, from outside"
    for one in watch.controls:
        yield f"#   probe_success{{{one.labels}}}: {one.what}"
    for balancer in watch.balancers:
        yield f"#   up, haproxy_* of instance={quoted(balancer.instance)}: {balancer.metrics_url}"
    if watch.guesses:
        yield "#"
        yield f"# {PLACEHOLDER}: what the site does not say, and you have to check:"
        yield from (f"#   - {says}" for says in watch.guesses)
    yield "#"
    yield "# A probe must take any HTTP status for an answer (blackbox exporter: valid_status_codes: [200, 403, …])."
    yield ""


def _control_words(watch: Watch) -> str:
    return "their private address" if watch.elsewhere == "inside" else "the control address"
