"""Several generators as one: the tenants of a phase, side by side."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np

from maul.core.clock import Clock
from maul.core.generator import Drained, Generator, GeneratorState, GeneratorStatus
from maul.core.operation import OPERATION_DTYPE, ErrorClass

COMPLETED = "completed"
_NOT_SUMMED = {"elapsed_s", "ephemeral_next"}
_SUMMED = tuple(one.name for one in fields(GeneratorStatus) if one.type in (int, float) and one.name not in _NOT_SUMMED)


class GeneratorGroup:
    """A generator made of generators. They stand or fall together: when one ends untimely, all others stop, too."""

    def __init__(self, generators: Sequence[Generator], clock: Clock) -> None:
        """At least one; none of them started."""
        self._generators, self._clock = tuple(generators), clock

    def start(self) -> None:
        """Begin, one right after the other. InternalError when called twice."""
        for generator in self._generators:
            generator.start()

    def statuses(self) -> tuple[GeneratorStatus, ...]:
        """Where each of them stands, in their order."""
        return tuple(generator.status() for generator in self._generators)

    def status(self) -> GeneratorStatus:
        """Where they stand together: counts added up, the first untimely end's reason, the longest time."""
        each = self.statuses()
        sums = {name: sum(getattr(status, name) for status in each) for name in _SUMMED}
        errors: Counter[ErrorClass] = Counter()
        examples: dict[ErrorClass, str] = {}
        for status in each:
            errors.update(status.errors)
            examples = {**status.error_examples, **examples}
        return GeneratorStatus(
            state=_state(each),
            stop_reason=_reason(each),
            elapsed_s=max(status.elapsed_s for status in each),
            ephemeral_next=max(status.ephemeral_next for status in each),
            last_error=next((status.last_error for status in each if status.last_error), ""),
            errors=dict(errors),
            error_examples=examples,
            **sums,
        )

    def drain(self) -> Drained:
        """Take what came since the last call, of all of them."""
        drained = [generator.drain() for generator in self._generators]
        operations = [one.operations for one in drained if len(one.operations)]
        return Drained(
            [row for one in drained for row in one.latency],
            np.concatenate(operations) if operations else np.empty(0, OPERATION_DTYPE),
            [exhibit for one in drained for exhibit in one.exhibits],
        )

    def renew(self) -> None:
        """Extend the lease of those that run; stop them when one of them ended untimely."""
        untimely = _reason(self.statuses())
        if untimely not in ("", COMPLETED):
            self.stop(untimely)
            return
        for generator in self._generators:
            generator.renew()

    def stop(self, reason: str, *, now: bool = False) -> None:
        """No new arrivals from any of them; `now` also closes all connections."""
        for generator in self._generators:
            generator.stop(reason, now=now)

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of all; True when it came in time."""
        until_ns = self._clock.now_ns() + int(timeout_s * 1e9)
        ended = [generator.join(max(0.0, (until_ns - self._clock.now_ns()) / 1e9)) for generator in self._generators]
        return all(ended)


def _state(each: Sequence[GeneratorStatus]) -> GeneratorState:
    states = {status.state for status in each}
    for state in (GeneratorState.RUNNING, GeneratorState.DRAINING):
        if state in states:
            return state
    if len(states) == 1:
        return states.pop()
    return GeneratorState.RUNNING  # some have not begun yet, some are done already


def _reason(each: Sequence[GeneratorStatus]) -> str:
    """Of the first that ended untimely; else "completed" when all are done; else nothing."""
    untimely: Mapping[str, None] = {status.stop_reason: None for status in each if status.stop_reason}
    reasons = [reason for reason in untimely if reason != COMPLETED]
    if reasons:
        return reasons[0]
    return COMPLETED if all(status.state is GeneratorState.DONE for status in each) else ""
