"""The fingerprint of each time that traffic was stopped: what, how sure, when, at which load, and what to ask for."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from maul.core.mitigation_summary import OF_ONE, BracketSummary, MitigationSummary, SuspectSummary, show_load
from maul.core.summary import Summary
from maul.guard.mitigation.fingerprint import DEFAULTS, hints, may_be_it, said
from maul.report import mitigation_words as words
from maul.report import numerals
from maul.report.bracket_chart import KnownValue, bracket_chart
from maul.report.view import Body, Cell, Chip, Column, Part, Section, Table, Tile

SCOPE_SHOWN_MAX = 12
SIGNS_MAX = 40
LINES_MAX = 6
BRACKETS_MAX = 60
ODDS_MAX = 1000.0
KEY = "mitigation"

MOMENT_COLUMNS = (
    Column("Moment"),
    Column("in the run", True),
    Column("after the onset", True),
    Column("What happened"),
)
SIGN_COLUMNS = (Column(""), Column("Sign"))
BRACKET_COLUMNS = (
    Column("Mean over", True),
    Column("highest survived", True, "", "The most that was answered"),
    Column("lowest dropped at", True, "", "The least that was answered by silence"),
    Column("dropped at / survived", True, "", "How narrow the bracket is: 1 would be exact"),
    Column("runs", True, "", "How many runs narrowed it"),
    Column("How known", False, "", "Counted on the way, or reckoned from requests and bytes"),
    Column("The threshold"),
)
MISSING_COLUMNS = (Column("Vantage point"), Column("What it would have told"))


def mitigation_sections(summary: Summary) -> tuple[Section, ...]:
    """One for each; none where traffic was never stopped."""
    return tuple(_section(place, found, summary.began_ns) for place, found in enumerate(summary.mitigations))


def story_key(place: int) -> str:
    """The key of the drawing of what was felt, of the mitigation at this place of the summary."""
    return f"story-{place}"


def mitigation_tiles(summary: Summary) -> tuple[Tile, ...]:
    """One tile for all of them."""
    found = summary.mitigations
    if not found:
        return ()
    first = found[0]
    more = f", and {numerals.plural(len(found) - 1, 'more stop')}" if len(found) > 1 else ""
    return (Tile("Traffic stopped", words.cause_name(first.cause), f"for {words.hold_words(first)}{more}", "unknown"),)


def still_stopped(summary: Summary) -> tuple[str, ...]:
    """What the reader has to know at once: what was not seen to end."""
    return tuple(
        f"{words.title(one)}, {', '.join(one.scope[:SCOPE_SHOWN_MAX]) or 'scope not known'}: "
        "it was not seen to end, and may go on. Send nothing there; see the ticket below"
        for one in summary.mitigations
        if one.frozen_ns is not None and one.recovered_ns is None and one.resumed_ns is None
    )


def mitigation_lines(found: MitigationSummary, zero_ns: int) -> list[tuple[str, str]]:
    """For the terminal and the build server: lines below its title, and the style of each."""
    lines = [(found.says, "bold"), (_surely(found.suspects), "")]
    lines.append((" · ".join(f"{name} {at}" for name, at, _, _ in _moments(found, zero_ns) if at), "dim"))
    lines.append((f"scope: {_scope(found.scope)}; direction: {found.direction or 'not known'}", ""))
    lines.append((f"took to act: {words.detect_words(found)}; lasted {words.hold_words(found)}", ""))
    brackets = found.narrowed or found.brackets
    narrow = [one for one in brackets if may_be_it(one) and one.window_s == _shown_window(brackets)]
    lines += [(f"{said(one)} ({numerals.plural(one.runs, 'run')})", "") for one in narrow[:LINES_MAX]]
    lines += [(says, "yellow") for says in found.customers]
    if found.missing:
        lines.append((f"nobody looked from: {', '.join(found.missing)}", "yellow"))
    return lines


def _section(place: int, found: MitigationSummary, zero_ns: int) -> Section:
    parts = (
        _story(place, found, zero_ns),
        _certainty(found),
        _threshold(found),
        Part("What it means for customers", points=tuple(found.customers)) if found.customers else None,
        _missing(found),
        Part(
            "For the network team",
            lead="To be sent as it is, or as a beginning. One click selects all of it.",
            copy=numerals.visible(found.ticket),
        )
        if found.ticket
        else None,
    )
    return Section(
        f"{KEY}-{place + 1}",
        words.title(found),
        lead=found.says,
        tone="unknown" if found.cause == "unknown" else "",
        facts=(
            ("Cause", words.cause_name(found.cause)),
            ("Whose doing", words.FAMILIES.get(found.family, found.family)),
            ("Scope", _scope(found.scope)),
            ("Direction of the loss", found.direction or "not known"),
            ("It took to act", words.detect_words(found)),
            ("We were silent", words.silence_words(found)),
            ("It lasted", words.hold_words(found)),
            ("Afterwards", words.afterwards_words(found)),
        ),
        parts=tuple(part for part in parts if part is not None),
        note="An alert that rings when it happens to customers, its tests, and what to do then: maul alerts SITE",
    )


def _scope(scope: Sequence[str]) -> str:
    shown = ", ".join(scope[:SCOPE_SHOWN_MAX])
    more = f" and {numerals.count(len(scope) - SCOPE_SHOWN_MAX)} more" if len(scope) > SCOPE_SHOWN_MAX else ""
    return f"{shown}{more}" or "not known"


# -- when ---------------------------------------------------------------------------------------------------------


def _moments(found: MitigationSummary, zero_ns: int) -> Iterator[tuple[str, str, str, str]]:
    """Name, moment in the run, after the onset, what happened. Empty moments: it did not come to that."""
    part = "an unknown part" if found.resumed_part is None else numerals.ratio(found.resumed_part)
    told = (
        ("onset", found.onset_ns, "answers ceased to come"),
        ("suspected", found.suspected_ns, "told; nothing was done yet"),
        ("frozen", found.frozen_ns, "all load was stopped: no retries, connections aborted"),
        ("verdict", found.verdict_ns, f"{words.cause_name(found.cause)}; from here on only sparse canaries asked"),
        ("recovered", found.recovered_ns, "everybody had been answered for long enough"),
        ("resumed", found.resumed_ns, f"with {part} of the load at which it began"),
    )
    for name, at_ns, says in told:
        if at_ns is None:
            yield name, "", "", "it did not come to that in this run"
        else:
            yield name, numerals.offset(at_ns, zero_ns), f"{(at_ns - found.onset_ns) / 1e9:+.1f} s", says


def _story(place: int, found: MitigationSummary, zero_ns: int) -> Part:
    rows = tuple(
        (Cell(name), Cell(at or numerals.NOTHING), Cell(after or numerals.NOTHING), Cell(says))
        for name, at, after, says in _moments(found, zero_ns)
    )
    return Part(
        "What happened",
        tables=(Table(MOMENT_COLUMNS, (Body(rows),)),),
        chart=story_key(place),
        note=f"Onset: {numerals.moment(found.onset_ns)}.",
    )


# -- why ----------------------------------------------------------------------------------------------------------


def _surely(suspects: Sequence[SuspectSummary]) -> str:
    """How sure it is: the first against the second, by their signs."""
    if not suspects:
        return "no known cause fits the signs"
    first = suspects[0]
    if len(suspects) == 1:
        return f"no other known cause fits the signs ({first.score:.1f} nats against nothing being wrong)"
    second = suspects[1]
    ahead = first.score - second.score
    if not math.isfinite(ahead):
        return f"how far it lies before {words.cause_name(second.cause)} is not known"
    odds = math.exp(min(abs(ahead), 50.0))
    times = f"more than {numerals.count(ODDS_MAX)}" if odds > ODDS_MAX else f"about {numerals.digits(odds, 2)}"
    return (
        f"by its signs {times} times as likely as the runner-up, {words.cause_name(second.cause)} "
        f"({first.score:.1f} against {second.score:.1f} nats)"
    )


def _certainty(found: MitigationSummary) -> Part:
    lead = f"{_surely(found.suspects).capitalize()}."
    if found.separated_by:
        word = "What would tell them apart" if found.cause == "unknown" else "What told them apart"
        lead += f" {word}: {found.separated_by.rstrip('.')}."
    bodies = tuple(
        Body(
            (*_signs(one.evidence, "for", "pass", "✓"), *_signs(one.against, "against", "fail", "✕")),
            head=words.cause_name(one.cause),
            note=f"{one.score:.1f} nats",
        )
        for one in found.suspects
    )
    return Part("How sure it is", lead=lead, tables=(Table(SIGN_COLUMNS, bodies),))


def _signs(signs: Sequence[str], text: str, tone: str, mark: str) -> Iterator[tuple[Cell, ...]]:
    for says in signs[:SIGNS_MAX]:
        yield Cell("", chip=Chip(text, tone, mark)), Cell(says)


def _missing(found: MitigationSummary) -> Part | None:
    if not found.missing:
        return None
    rows = tuple((Cell(one), Cell(words.would_tell(one) or "not known")) for one in found.missing[:SIGNS_MAX])
    return Part(
        "Nobody looked from",
        lead="With these the next verdict is surer. How to add them: docs/concepts/mitigation.md.",
        tables=(Table(MISSING_COLUMNS, (Body(rows),)),),
    )


# -- at which load ------------------------------------------------------------------------------------------------


def _threshold(found: MitigationSummary) -> Part:
    """Of all runs together, where there were earlier ones; then of this run alone, too."""
    together = found.narrowed or found.brackets
    grouped = _grouped(together)
    if not grouped:
        return Part("Where the threshold lies", lead="Not known: nobody counted what was sent before the silence.")
    alone = _bracket_table(_grouped(found.brackets), ", this run alone") if found.narrowed else None
    return Part(
        "Where the threshold lies",
        lead="Between the most that was survived and the least that it was dropped at, if it is one of that dimension. "
        "A dimension in which more was survived than it was dropped at is not the one.",
        drawings=tuple(bracket_chart(words.dimension_name(name), of, _known(name)) for name, of in grouped),
        tables=tuple(filter(None, (_bracket_table(grouped), alone))),
        points=hints(together),
        note="Green: survived. Red: dropped at. Amber: where the threshold may lie. Black lines: defaults of products.",
    )


def _grouped(brackets: Sequence[BracketSummary]) -> list[tuple[str, tuple[BracketSummary, ...]]]:
    """By dimension, in the order in which they are told."""
    shown = sorted(brackets, key=lambda one: (words.dimension_place(one.dimension), one.dimension, one.window_s))
    return [(name, tuple(of)) for name, of in groupby(shown[:BRACKETS_MAX], key=lambda one: one.dimension)]


def _bracket_table(grouped: Sequence[tuple[str, Sequence[BracketSummary]]], more: str = "") -> Table:
    bodies = (Body(tuple(map(_bracket_row, of)), head=f"{words.dimension_name(name)}{more}") for name, of in grouped)
    return Table(BRACKET_COLUMNS, tuple(bodies))


def _known(dimension: str) -> tuple[KnownValue, ...]:
    """What products ship with; they count what one address receives or sends."""
    whole = dimension.removesuffix(OF_ONE)
    return tuple(KnownValue(one.value, one.says) for one in DEFAULTS if one.dimension == whole)


def _amount(value: float | None, unit: str) -> str:
    return "never seen" if value is None or not math.isfinite(value) else show_load(value, unit)


def _bracket_row(one: BracketSummary) -> tuple[Cell, ...]:
    ratio = ""
    if one.dropped_at is not None and one.survived:
        ratio = numerals.digits(one.dropped_at / one.survived)
    return (
        Cell(f"{one.window_s:g} s"),
        Cell(_amount(one.survived, one.unit)),
        Cell(_amount(one.dropped_at, one.unit)),
        Cell(ratio or numerals.NOTHING),
        Cell(numerals.count(one.runs)),
        Cell("reckoned" if one.estimated else "counted"),
        Cell(_where(one)),
    )


def _where(one: BracketSummary) -> str:
    if one.dropped_at is None:
        return f"above {_amount(one.survived, one.unit)}, if there is one" if one.survived is not None else "not known"
    if one.survived is None:
        return f"at or below {_amount(one.dropped_at, one.unit)}"
    if not may_be_it(one):
        return "not of this dimension: more than that was survived"
    return "lies between them, if it is of this dimension"


def _shown_window(brackets: Sequence[BracketSummary]) -> float:
    """Of one window a line each is enough: 5 s, which detectors like, or whatever there is."""
    windows = sorted({one.window_s for one in brackets})
    return 5.0 if 5.0 in windows or not windows else windows[0]
