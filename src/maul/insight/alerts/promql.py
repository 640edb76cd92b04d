"""Selectors of Prometheus series: written safely, and turned into a series that they select."""

import json
import re
from dataclasses import dataclass

_MATCHER = re.compile(r'\s*([a-zA-Z_]\w*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(,|$)')


@dataclass(frozen=True, slots=True)
class Selector:
    """Labels of a series, as they stand between braces. `known`: the site says so; else it is the usual, a guess."""

    labels: str
    known: bool
    what: str
    """What it is of: a URL, or a name."""

    def series(self, metric: str) -> str:
        """The selector with its metric.

        >>> Selector('job="blackbox"', True, "").series("up")
        'up{job="blackbox"}'
        """
        return f"{metric}{{{self.labels}}}"


def quoted(text: str) -> str:
    """A string of PromQL, which are Go's: those of JSON are among them.

    >>> quoted('a"b')
    '"a\\\\"b"'
    """
    return json.dumps(text, ensure_ascii=False)


def any_of(label: str, values: list[str]) -> str:
    """A matcher of one or several values.

    >>> any_of("instance", ["10.0.0.1:8404"]), any_of("instance", ["a.b", "c"])
    ('instance="10.0.0.1:8404"', 'instance=~"a[.]b|c"')
    """
    if len(values) == 1:
        return f"{label}={quoted(values[0])}"
    return f"{label}=~{quoted('|'.join(map(_literal, values)))}"


def _literal(text: str) -> str:
    """For RE2. A class of one letter needs no backslash, which the string would need another one for."""
    return "".join(
        f"[{letter}]" if letter in ".+*?()[{|$" else f"\\{letter}" if letter in "]}^\\" else letter for letter in text
    )


def example(labels: str) -> dict[str, str] | None:
    """Labels of a series that these matchers select; None where none was found.

    >>> example('job="canary", instance=~"a|b", dc!="x"'), example('instance=~".+"'), example("up")
    ({'job': 'canary', 'instance': 'a'}, {'instance': 'example'}, None)
    """
    found: dict[str, str] = {}
    place = 0
    while place < len(labels.rstrip()):
        match = _MATCHER.match(labels, place)
        if match is None:
            return None
        name, operator, value = match.group(1), match.group(2), json_text(match.group(3))
        if value is None:
            return None
        if operator == "=":
            found[name] = value
        elif operator == "=~":
            fitting = next((one for one in (*value.split("|"), "example", "1") if _fits(value, one)), None)
            if fitting is None:
                return None
            found[name] = fitting
        elif operator == "!=" and value == "":
            found[name] = "example"
        elif operator == "!~" and _fits(value, ""):
            return None
        place = match.end()
    return found


def json_text(escaped: str) -> str | None:
    """What stands between the quotes; None where it is no string that JSON knows."""
    try:
        return str(json.loads(f'"{escaped}"'))
    except ValueError:
        return None


def _fits(pattern: str, text: str) -> bool:
    try:
        return re.fullmatch(pattern, text) is not None
    except re.error:
        return False
