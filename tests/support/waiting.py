"""Waiting for other processes, which act in their own time."""

from collections.abc import Callable

from maul.core.clock import SystemClock

_CLOCK = SystemClock()


def wait_for(condition: Callable[[], object], limit_s: float = 15.0) -> bool:
    """Look until it is so, fifty times a second; False when it is not in time."""
    until_ns = _CLOCK.now_ns() + limit_s * 1e9
    while not condition():
        if _CLOCK.now_ns() > until_ns:
            return False
        _CLOCK.wait(0.02)
    return True
