"""Numbers as sentences write them."""

from collections.abc import Iterable


def show_count(count: float) -> str:
    """A count with thousands apart.

    >>> show_count(12345)
    '12,345'
    """
    return f"{count:,.0f}"


def show_rate(per_s: float) -> str:
    """A rate per second.

    >>> show_rate(1234.4), show_rate(12.34), show_rate(3)
    ('1,234/s', '12.3/s', '3/s')
    """
    return f"{per_s:,.0f}/s" if per_s >= 100 or per_s == round(per_s) else f"{per_s:.3g}/s"


def show_ms(value: float) -> str:
    """Milliseconds, three figures.

    >>> show_ms(0.1234), show_ms(12.345), show_ms(5000.4)
    ('0.123 ms', '12.3 ms', '5,000 ms')
    """
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def show_ratio(ratio: float) -> str:
    """A ratio in per cent, two figures; more than nothing is never shown as nothing.

    >>> show_ratio(0.97), show_ratio(0.0035), show_ratio(0.0000001), show_ratio(0)
    ('97 %', '0.35 %', 'under 0.001 %', '0 %')
    """
    percent = ratio * 100
    if 0 < percent < 0.001:
        return "under 0.001 %"
    if percent >= 1 or percent == 0:
        return f"{percent:.0f} %" if percent >= 10 else f"{percent:.2g} %"
    return f"{percent:.2g} %"


def show_percentile(percentile: float) -> str:
    """The name of a percentile.

    >>> show_percentile(99.0), show_percentile(99.9), show_percentile(99.99), show_percentile(100)
    ('p99', 'p99.9', 'p99.99', 'the maximum')
    """
    return "the maximum" if percentile >= 100 else f"p{percentile:g}"


def listed(parts: Iterable[str]) -> str:
    """Words with commas and an `and`.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    *head, last = list(parts) or [""]
    return f"{', '.join(head)} and {last}" if head else last
