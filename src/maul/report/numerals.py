"""Numbers as a person reads them: few digits, a unit, thousands parted by a thin space."""

import math
import unicodedata
from datetime import UTC, datetime

THIN = "\u202f"
NOTHING = "–"


def count(value: float) -> str:
    """A whole number with its thousands parted.

    >>> count(1234567).replace(THIN, " "), count(12)
    ('1 234 567', '12')
    """
    return f"{value:,.0f}".replace(",", THIN)


def digits(value: float, significant: int = 3, trim: bool = True) -> str:
    """A number to some significant digits, never in scientific notation; a whole part is never cut.

    `trim` takes zeros off the end; without it the digits of a column stand below each other.

    >>> digits(0.01234), digits(12.34), digits(1234.5).replace(THIN, " "), digits(0.0), digits(2.0)
    ('0.0123', '12.3', '1 234', '0', '2')
    """
    if not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    decimals = max(0, significant - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{min(decimals, 6)}f}"
    if trim and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace(",", THIN)


def rate(value: float | None) -> str:
    """Events per second.

    >>> rate(120.04), rate(None)
    ('120/s', '–')
    """
    return NOTHING if value is None else f"{digits(value)}/s"


def millis(value: float) -> str:
    """Milliseconds without the unit, for a column whose head names it.

    >>> millis(0.4212), millis(84.0), millis(5003.0).replace(THIN, " ")
    ('0.421', '84.0', '5 003')
    """
    return digits(value, trim=False)


def latency(value_ms: float) -> str:
    """A latency with its unit: ms below a second, then s.

    >>> latency(0.4212), latency(84.26), latency(5003.0)
    ('0.421 ms', '84.3 ms', '5 s')
    """
    if not math.isfinite(value_ms):
        return NOTHING
    return f"{digits(value_ms)} ms" if value_ms < 1000 else f"{digits(value_ms / 1000)} s"


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent. Rounds towards doubt: never "100 %" unless all, never "0 %" unless none.

    >>> share(1, 3), share(999_999, 1_000_000), share(1, 1_000_000), share(5, 5), share(0, 7), share(0, 0)
    ('33.3 %', '99.99 %', '0.01 %', '100 %', '0 %', '–')
    """
    if whole <= 0:
        return NOTHING
    percent = 100 * part / whole
    if part not in (0, whole):
        percent = min(max(percent, 0.01), 99.99)
    return f"{digits(percent, 4 if percent >= 99.9 else 3)} %"


def ratio(value: float) -> str:
    """A ratio between 0 and 1 in per cent.

    >>> ratio(0.987), ratio(0.0)
    ('98.7 %', '0 %')
    """
    return share(value, 1.0) if math.isfinite(value) else NOTHING


def moment(at_ns: int) -> str:
    """A wall-clock moment, UTC, to the second; a moment that never came is a dash.

    >>> moment(1_700_000_000_000_000_000), moment(0)
    ('2023-11-14 22:13:20 UTC', '–')
    """
    if at_ns <= 0:
        return NOTHING
    return datetime.fromtimestamp(at_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def offset(at_ns: int, zero_ns: int) -> str:
    """Seconds since the run began, as on the charts.

    >>> offset(61_500_000_000, 0), offset(-500_000_000, 0)
    ('61.5 s', '-0.5 s')
    """
    return f"{(at_ns - zero_ns) / 1e9:,.1f} s".replace(",", THIN)


def visible(text: str) -> str:
    """A text without a character that hides, moves or redraws others: those are written out.

    >>> visible("a\\u202eb\\x1b[31m")
    'a\\\\u202eb\\\\x1b[31m'
    """
    if text.isprintable():
        return text
    return "".join(_spelt(letter) if unicodedata.category(letter) in _UNSEEN else letter for letter in text)


_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})


def _spelt(letter: str) -> str:
    return letter if letter in "\n\t" else letter.encode("unicode_escape").decode()


def plural(number: int, noun: str, nouns: str = "") -> str:
    """A counted noun.

    >>> plural(1, "object"), plural(2, "object"), plural(0, "entry", "entries")
    ('1 object', '2 objects', '0 entries')
    """
    return f"{count(number)} {noun if number == 1 else nouns or noun + 's'}"
