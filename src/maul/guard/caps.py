"""Caps: the single reasons to stop a run, each a pure predicate that returns a sentence, or None."""

import math
from dataclasses import dataclass

from maul.core.units import show_duration, show_size

JUDGED_MIN = 20
"""Fewer operations than this in a window say nothing about its error ratio."""
MARKS_MAX = 64
"""Looks that are remembered of one window: its length is kept to within a few percent."""


def requests_over(used: int, limit: int) -> str | None:
    """More requests than allowed?"""
    if used <= limit:
        return None
    return f"{used:,} requests were sent, and limits.requests is {limit:,}"


def bytes_over(used: int, limit: int) -> str | None:
    """More bytes than allowed?"""
    if used <= limit:
        return None
    return f"{show_size(used)} were moved, and limits.bytes is {show_size(limit)}"


def time_over(now_ns: int, began_ns: int, seconds: float) -> str | None:
    """Longer than allowed?"""
    if now_ns - began_ns <= seconds * 1e9:
        return None
    return f"the run took longer than limits.duration ({show_duration(seconds)})"


def disk_low(free_bytes: int | None, least_bytes: int) -> str | None:
    """Too little room for the record? Not knowing is no reason to stop: the writer itself notices a full disk."""
    if free_bytes is None or free_bytes >= least_bytes:
        return None
    least = show_size(least_bytes)
    return f"the disk of the record has {show_size(free_bytes)} left, less than limits.disk_free ({least})"


@dataclass(frozen=True, slots=True)
class Mark:
    """One remembered look: how many operations had ended, and how many of them not well."""

    at_ns: int
    ended: int
    bad: int


Window = tuple[Mark, ...]


def remember(window: Window, now: Mark, length_ns: int) -> Window:
    """The window with `now` in it: the newest mark that is at least `length_ns` old, and all later ones.

    Looks that come faster than the window needs them are left out, so it stays short.
    """
    old = [index for index, mark in enumerate(window) if now.at_ns - mark.at_ns >= length_ns]
    kept = window[old[-1] :] if old else window
    if kept and now.at_ns - kept[-1].at_ns < length_ns / MARKS_MAX:
        return kept
    return (*kept, now)


def errors_over(window: Window, now: Mark, length_ns: int, ratio: float) -> str | None:
    """Too many errors in the window? Only a window that is full is judged, and only with enough operations in it."""
    if not window or now.at_ns - window[0].at_ns < length_ns:
        return None
    ended, bad = now.ended - window[0].ended, now.bad - window[0].bad
    if ended < JUDGED_MIN or bad / ended <= ratio:
        return None
    seconds = math.ceil((now.at_ns - window[0].at_ns) / 1e9)
    return (
        f"{bad:,} of {ended:,} operations of the last {seconds} s were not answered well ({bad / ended:.0%}; "
        f"limits.error_ratio is {ratio:.0%})"
    )
