"""Whether an agent may take part: a function of what it says about itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from maul import __version__
from maul.fleet import clocks
from maul.fleet.words import AgentFacts

_SPARE_DESCRIPTORS = 64  # log, spool, the fleet's own connections
SPOOL_FREE_MIN = 64 << 20


@dataclass(frozen=True, slots=True)
class Question:
    """What a run asks of its agents. Nothing but `addresses` is connected to.

    `addresses`: (address, port) of the endpoints, as permitted. `connections`: how many an agent opens in all,
    `connections_each`: how many of them to one address; `requests_per_s`: to be made by each agent. `permit`: its
    hash, empty where none is needed.
    """

    addresses: tuple[tuple[str, int], ...] = ()
    connections: int = 0
    connections_each: int = 0
    requests_per_s: Mapping[str, float] = field(default_factory=dict)
    permit: str = ""
    engine_version: str = ""
    clock_error_max_ns: int = clocks.ERROR_MAX_NS


def fault_of(facts: AgentFacts, question: Question) -> str | None:
    """Why this agent is left out; None when it is in. The first reason only."""
    return _stranger(facts, question) or _unreached(facts, question) or _shortage(facts, question)


def _stranger(facts: AgentFacts, question: Question) -> str | None:
    """Another maul, an unknown clock, another permit."""
    if facts.version != __version__:
        return f"it is maul {facts.version}, and we are {__version__}"
    if question.engine_version and facts.engine_version != question.engine_version:
        return f"its engine is {facts.engine_version}, and ours is {question.engine_version}"
    if facts.clock is None:
        return "its clock was not read"
    if facts.clock.error_ns > question.clock_error_max_ns:
        return f"its clock is known to {facts.clock.error_ns / 1e6:.0f} ms only: the way to it is slow or it lags"
    return None if facts.permit == question.permit else "it did not see the permit"


def _unreached(facts: AgentFacts, question: Question) -> str | None:
    unreached = [f"{address} ({says})" for address, says in facts.reach.items() if says]
    if unreached:
        return f"it does not reach {', '.join(unreached)}"
    missing = [f"{host}:{port}" for host, port in question.addresses if f"{host}:{port}" not in facts.reach]
    if missing:
        return f"it did not try to reach {', '.join(missing)}"
    return None


def _shortage(facts: AgentFacts, question: Question) -> str | None:
    if question.connections + _SPARE_DESCRIPTORS > facts.descriptors:
        return f"it may open {facts.descriptors} descriptors; {question.connections} connections need more (ulimit -n)"
    if question.connections_each > facts.ports:
        return (
            f"it has {facts.ports} local ports; {question.connections_each} connections to one address need more"
            " (net.ipv4.ip_local_port_range)"
        )
    asked = question.requests_per_s.get(facts.name)
    if asked is not None and facts.ceiling_per_s is not None and asked > facts.ceiling_per_s:
        return (
            f"it is asked for {asked:,.0f} requests per second, and makes {facts.ceiling_per_s:,.0f} (maul calibrate)"
        )
    if facts.spool_free_bytes < SPOOL_FREE_MIN:
        return f"its disk has {facts.spool_free_bytes >> 20} MiB free for results; {SPOOL_FREE_MIN >> 20} are needed"
    return None
