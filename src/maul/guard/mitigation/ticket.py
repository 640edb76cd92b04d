"""Ticket: what the network team is told and asked, plain text that can be pasted anywhere; at most forty lines."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from maul.core.mitigation_summary import OF_ONE, UNITS, BracketSummary, MitigationSummary, show_load
from maul.core.units import show_duration
from maul.guard.mitigation.fingerprint import may_be_it, said

LINES_MAX, WIDTH_MAX = 40, 160
EVIDENCE_MAX, LOADS_MAX, SOURCES_MAX = 6, 5, 8
HEADROOM = 1 / 0.7
"""What is asked for is so much above what the test means to send: it keeps below 70 % of a known threshold."""


@dataclass(frozen=True, slots=True)
class TicketFacts:
    """What a summary does not tell. `planned`: the most that the campaign means to send, by dimension."""

    run_id: str
    campaign: str
    targets: Sequence[str]
    """`vip 198.51.100.10:443`, one each."""
    sources: Sequence[str]
    """Addresses or prefixes of the load servers."""
    window: str = ""
    """When the test goes on, such as `2026-11-23T08:00:00Z until 2026-11-23T12:00:00Z`."""
    contacts: Sequence[str] = ()
    planned: Mapping[str, float] = field(default_factory=dict)
    feeds: Sequence[str] = ()
    """Where the network tells maul that it acts; empty: nowhere."""


def ticket(found: MitigationSummary, facts: TicketFacts) -> str:
    """The text. Says what is not known as not known."""
    asked = tuple(_asked(found, facts))
    foot = ("", *_verify(facts), *_contacts(facts))
    head = (*_head(found, facts), *_when(found), *_where(facts), *_loads(found.brackets))
    room = LINES_MAX - len(head) - len(asked) - len(foot)
    evidence = tuple(_evidence(found))[: max(0, room)]
    return "\n".join(_short(line) for line in (*head, *evidence, *asked, *foot)[:LINES_MAX]) + "\n"


def utc(unix_ns: int | None) -> str:
    """A moment to the tenth of a second.

    >>> utc(1_700_000_000_250_000_000)
    '2023-11-14T22:13:20.2Z'
    """
    if unix_ns is None:
        return "not seen"
    moment = datetime.fromtimestamp(unix_ns // 10**9, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{unix_ns // 10**8 % 10}Z"


def _head(found: MitigationSummary, facts: TicketFacts) -> Iterator[str]:
    scope = ", ".join(found.scope) or ", ".join(facts.targets)
    what = (
        "traffic was stopped, cause unknown" if found.cause == "unknown" else f"{found.cause} (as far as we can tell)"
    )
    yield f"Load test dropped: {what}; {scope}"
    yield ""
    yield from textwrap.wrap(found.says, 110)[:3]


def _when(found: MitigationSummary) -> Iterator[str]:
    yield ""
    yield "When (UTC)"
    yield f"  answers ceased   {utc(found.onset_ns)}"
    if found.frozen_ns is not None:
        yield f"  we fell silent   {utc(found.frozen_ns)}"
    if found.recovered_ns is not None and found.hold_s is not None:
        give = f", give or take {show_duration(found.hold_quantum_s)}" if found.hold_quantum_s else ""
        yield f"  it was over      after {show_duration(found.hold_s)}{give}"
    elif found.hold_at_least_s is not None:
        yield f"  it was over      not yet after {show_duration(found.hold_at_least_s)}"
    if found.detect_s is not None:
        yield f"  it took          {show_duration(found.detect_s)} at most from that load to the silence"


def _where(facts: TicketFacts) -> Iterator[str]:
    yield ""
    yield f"To    {', '.join(facts.targets)}"
    more = f" and {len(facts.sources) - SOURCES_MAX} more" if len(facts.sources) > SOURCES_MAX else ""
    yield f"From  {', '.join(facts.sources[:SOURCES_MAX]) or 'not known'}{more}"


def _loads(brackets: Sequence[BracketSummary]) -> Iterator[str]:
    five = [one for one in brackets if one.window_s == 5 and not one.dimension.endswith(OF_ONE)]
    order = list(UNITS)
    shown = sorted((one for one in five if one.dropped_at is not None), key=lambda one: order.index(one.dimension))
    if shown:
        yield ""
        yield "At this load"
        for one in shown[:LOADS_MAX]:
            yield f"  {said(one)}{'' if may_be_it(one) else '; more was borne before, so it is not this'}"


def _evidence(found: MitigationSummary) -> Iterator[str]:
    lines = [line for suspect in found.suspects[:1] for line in suspect.evidence]
    if lines:
        yield ""
        yield "What was seen"
        yield from (f"  {line}" for line in lines[:EVIDENCE_MAX])


def _asked(found: MitigationSummary, facts: TicketFacts) -> Iterator[str]:
    yield ""
    yield "What we ask"
    window = f", {facts.window}" if facts.window else " for the time of the test"
    whom = f" the sources above towards {', '.join(facts.targets)}"
    if found.family in {"protection", "unknown"}:
        yield "  1. Say whether a protection of yours acted then, on what, at which threshold, for how long."
        yield f"  2. Let pass{whom}{window};"
        yield f"     or raise the thresholds to: {_wanted(found.brackets, facts)}"
    else:
        yield "  1. Look at what stood between these sources and this address then; the signs speak of no protection."
        yield f"  2. Keep the way free for{whom}{window}."
    known = f" ({', '.join(facts.feeds)} hears you already)" if facts.feeds else " (webhook or syslog)"
    yield f"  3. Tell us by machine when you drop, limit or divert something of this{known}."


def _wanted(brackets: Sequence[BracketSummary], facts: TicketFacts) -> str:
    """What the test means to send with room above it; where no plan says so, twice what was dropped."""
    wanted = {name: value * HEADROOM for name, value in facts.planned.items() if name in UNITS and value > 0}
    if not wanted:
        wanted = {
            one.dimension: 2 * one.dropped_at
            for one in brackets
            if one.window_s == 5 and one.dropped_at is not None and may_be_it(one) and one.dimension in UNITS
        }
    return (
        ", ".join(f"{name.replace('_', ' ')} {show_load(value, UNITS[name])}" for name, value in wanted.items())
        or "(not known)"
    )


def _verify(facts: TicketFacts) -> Iterator[str]:
    first = facts.targets[0] if facts.targets else "the address"
    yield "How to verify"
    yield f"  from a source above: one HTTPS request to {first}; from elsewhere the same; then compare"
    yield "  at the edge: is there a route to discard, a filter or a limit for this address at that time?"


def _contacts(facts: TicketFacts) -> Iterator[str]:
    yield f"Run {facts.run_id} of campaign {facts.campaign}"
    if facts.contacts:
        yield f"Contact: {'; '.join(facts.contacts)}"


def _short(line: str) -> str:
    """One printable line: what others said of themselves may hold anything."""
    line = "".join(char if char.isprintable() else " " for char in line)
    return line if len(line) <= WIDTH_MAX else line[: WIDTH_MAX - 1] + "…"
