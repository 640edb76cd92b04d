"""Waiting for something to be seen, bounded in time."""

from collections.abc import Callable

from maul.core.clock import Clock
from maul.faults.fault import Proof

POLL_S = 0.1


def wait_until(clock: Clock, limit_s: float, looks: Callable[[], Proof]) -> Proof:
    """Look until it is proven, or `limit_s` have passed: then the last look, with how long was waited.

    Looks at least once, and at least once after the limit, so that a slow look cannot make it miss the end.
    """
    began_ns = clock.now_ns()
    while True:
        late = clock.now_ns() - began_ns >= limit_s * 1e9
        proof = looks()
        waited_s = (clock.now_ns() - began_ns) / 1e9
        if proof.proven:
            return Proof(True, f"{proof.says} (after {waited_s:.1f} s)")
        if late:
            return Proof(False, f"{proof.says} (waited {waited_s:.1f} s)")
        clock.wait(POLL_S)
