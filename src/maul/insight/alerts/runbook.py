"""What to do when the alert rings, written for one address of one site. Markdown."""

import shlex
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from maul.insight.alerts.rules import ALERT, BLIND, BLIND_FOR_S, FOR_S
from maul.insight.alerts.watch import PLACEHOLDER, Watch, names
from maul.site.model import Endpoint

CONNECT_S, WHOLE_S = 3, 10
LISTEN_S = 10


def runbook(watch: Watch, site: str, contacts: Sequence[str], stem: str) -> str:
    """The text of the runbook. `contacts`: whom to call, a line each; `stem`: of the names of rules and tests."""
    parts = (_head(watch, site), _first(watch), _never(), _call(contacts), _ticket(watch), _over(watch), _about(stem))
    return "\n".join("\n".join(part) + "\n" for part in parts)


def _head(watch: Watch, site: str) -> Iterator[str]:
    controls = ", ".join(f"`{one.url}`" for one in watch.control_endpoints) or f"{PLACEHOLDER}: none is in the site"
    word = "private address" if watch.elsewhere == "inside" else "control address"
    yield f"# {watch.name} is black-holed upstream"
    yield ""
    yield (
        f"`{ALERT}` rings: nobody outside reaches the address, next to nothing comes in at the balancers, these are up "
        f"and idle, and the {word} answers. Somebody before the balancers drops what is meant for it, as a rule a DDoS "
        "protection that took a load test, a customer or an attack for one."
    )
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| site | {site} |"
    yield f"| address | `{watch.address}`, `{watch.endpoint.url}` |"
    yield f"| balancers | {', '.join(f'{one.name} (`{one.metrics_url}`)' for one in watch.balancers)} |"
    yield f"| {word} | {controls} |"
    if watch.guesses:
        yield ""
        yield f"{PLACEHOLDER}: to be checked before this is needed:"
        yield ""
        yield from (f"- {says}" for says in watch.guesses)


def _first(watch: Watch) -> Iterator[str]:
    """Five commands, the cheapest first; each may end the search."""
    balancer = watch.balancers[0]
    control = watch.control_endpoints[0] if watch.control_endpoints else None
    port = watch.endpoint.port
    where = "from a host within the cluster" if watch.elsewhere == "inside" else "from the same place"
    yield "## First, in this order"
    yield ""
    yield "1. From outside, twice:"
    yield from _shell(
        _curl(watch.endpoint),
        f"A black hole: `curl: (28)` after {CONNECT_S} s, code `000`. `(7) … refused`: nobody listens, it is the "
        "balancer. An HTTP code: it is over.",
    )
    yield f"2. The other address of the same balancers, {where}:"
    yield from _shell(
        _curl(control) if control is not None else f"curl … {PLACEHOLDER}",
        "A black hole: an HTTP code (200, 403) within a second. `(28)` here, too: the whole prefix, the link or the "
        "balancers; this is another case.",
    )
    others = ", ".join(one.name for one in watch.balancers[1:4])
    also = f" (then of {others})" if others else ""
    yield f"3. Whether anything arrives, on the machine of {balancer.name}{also}, while the first command runs again:"
    yield from _shell(
        shlex.join((*balancer.ssh, _listen(watch.address, port, balancer.table))),
        "A black hole: nothing arrives. SYNs that arrive and get no answer, or whose answers get none: not before the "
        "balancers, but at them or behind them.",
    )
    yield f"4. Whether {names(watch.balancers)} are well:"
    pages = "; ".join(f"curl -sS -m 5 {shlex.quote(one.metrics_url)}" for one in watch.balancers)
    yield from _shell(
        f"({pages}) | grep idle_time_percent",
        "A black hole: close to 100 for each. Below 20: saturated. No answer: down or hung; that is another case.",
    )
    yield "5. Where it ends, from outside; then the same towards the other address, and compare:"
    yield from _shell(
        f"sudo traceroute -n -T -p {port} -w 1 -q 1 -m 20 {shlex.quote(watch.endpoint.host)}",
        "A black hole: the last hop that answers is an edge router, and the other address goes on from there. Name "
        "that hop in the ticket.",
    )


def _shell(command: str, expect: str) -> Iterator[str]:
    yield ""
    yield "   ```sh"
    yield f"   {command}"
    yield "   ```"
    yield ""
    yield f"   {expect}"
    yield ""


def _curl(endpoint: Endpoint) -> str:
    """One gentle request; the certificate is checked against the name that the site says."""
    parts = urlsplit(endpoint.url)
    words = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code} after %{time_total} s\\n"]
    words += ["--connect-timeout", str(CONNECT_S), "-m", str(WHOLE_S)]
    words += ["--cacert", endpoint.ca] if endpoint.ca is not None else []
    url = endpoint.url
    if endpoint.server_name is not None and parts.scheme == "https":
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        words += ["--connect-to", f"{endpoint.server_name}:{endpoint.port}:{host}:{endpoint.port}"]
        url = f"https://{endpoint.server_name}:{endpoint.port}"
    return shlex.join([*words, f"{url}/"])


def _listen(address: str, port: int, table: str | None) -> str:
    if table is not None:
        return f"sudo nft list table {table}; sleep {LISTEN_S}; sudo nft list table {table}"
    return f"sudo timeout {LISTEN_S} tcpdump -ni any -c 20 dst host {address} and tcp dst port {port}"


def _never() -> Iterator[str]:
    yield "## What not to do"
    yield ""
    yield "- Do not restart or fail over the balancers: they are well, and it hides the trace."
    yield (
        "- Do not retry harder, and stop load tests at once: many protections lift only when what they take for an "
        "attack has ended, so that every retry prolongs it."
    )
    yield "- Do not move to other source addresses or to another address of the service to get round it."
    yield "- Do not lower TTLs and move the name in a hurry: the next address is dropped at the same load."


def _call(contacts: Sequence[str]) -> Iterator[str]:
    yield "## Whom to call"
    yield ""
    if contacts:
        yield from (f"- {one}" for one in contacts)
    else:
        yield f"- {PLACEHOLDER}: the network team on call, and whoever runs the DDoS protection (provider, scrubbing)"
    yield "- Whoever runs a load test now: it has to be stopped."


def _ticket(watch: Watch) -> Iterator[str]:
    control = ", ".join(one.url for one in watch.control_endpoints) or "…"
    yield "## The ticket"
    yield ""
    yield "```text"
    yield f"{watch.name} {watch.address} port {watch.endpoint.port}: dropped upstream since …Z (UTC)"
    yield ""
    yield f"From outside, connections to {watch.endpoint.url} time out: …Z, …Z."
    yield f"{control}, on the same balancers, answers: …Z."
    yield f"At {names(watch.balancers)} nothing arrives for {watch.address}; they are up and idle."
    yield "Last hop that answers a trace: …"
    yield "What was sent before it began, as far as we know: … packets/s, … bit/s, … connections/s, from …"
    yield ""
    yield "We ask you"
    yield "1. to say whether a protection acted: on what, at which threshold, since when, for how long;"
    yield f"2. to lift it for {watch.address}, or to say when it lifts by itself;"
    yield "3. to raise the threshold, or to let pass …, from …Z until …Z;"
    yield "4. to tell us by machine (webhook, syslog) when you drop, limit or divert this address."
    yield "```"


def _over(watch: Watch) -> Iterator[str]:
    yield "## When it is over"
    yield ""
    yield "One request every 15 s, no more, until five in a row are answered:"
    yield ""
    yield "```sh"
    yield f"for try in $(seq 40); do {_curl(watch.endpoint)}; sleep 15; done"
    yield "```"
    yield ""
    yield (
        f"Then `{ALERT}` ends by itself within a minute. Ask the network team which rule acted before any test goes "
        "on, and then with half of that load or less."
    )


def _about(stem: str) -> Iterator[str]:
    yield "## About the alert"
    yield ""
    yield (
        f"`{stem}.rules.yaml`, for Prometheus' `rule_files`; `promtool test rules {stem}.test.yaml` tests it. It rings "
        f"when all of it has held for {FOR_S} s, about 90 s after the hole began. `{BLIND}` rings when one of the "
        f"series that it needs has been missing for {BLIND_FOR_S // 60} min: then a hole would go unseen. "
        "Written by `maul alerts`."
    )
