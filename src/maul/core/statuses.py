"""Statuses of several generators added up: of tenants side by side, of agents on many machines."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields

from maul.core.generator import GeneratorState, GeneratorStatus
from maul.core.operation import ErrorClass

COMPLETED = "completed"
"""The stop reason of a generator that came to the end of its plan."""
_NOT_SUMMED = {"elapsed_s", "ephemeral_next", "began_ns"}
_SUMMED = tuple(one.name for one in fields(GeneratorStatus) if one.type in (int, float) and one.name not in _NOT_SUMMED)


def summed(each: Sequence[GeneratorStatus]) -> GeneratorStatus:
    """Where they stand together: counts added up, the first untimely end's reason, the longest time; at least one.

    They have begun when the first of them has.
    """
    sums = {name: sum(getattr(status, name) for status in each) for name in _SUMMED}
    errors: Counter[ErrorClass] = Counter()
    examples: dict[ErrorClass, str] = {}
    for status in each:
        errors.update(status.errors)
        examples = {**status.error_examples, **examples}
    return GeneratorStatus(
        state=_state(each),
        stop_reason=stop_reason(each),
        elapsed_s=max(status.elapsed_s for status in each),
        began_ns=min((status.began_ns for status in each if status.began_ns), default=0),
        ephemeral_next=max(status.ephemeral_next for status in each),
        last_error=next((status.last_error for status in each if status.last_error), ""),
        errors=dict(errors),
        error_examples=examples,
        **sums,
    )


def stop_reason(each: Sequence[GeneratorStatus]) -> str:
    """Of the first that ended untimely; else "completed" when all are done; else nothing."""
    for status in each:
        if status.stop_reason not in ("", COMPLETED):
            return status.stop_reason
    return COMPLETED if all(status.state is GeneratorState.DONE for status in each) else ""


def _state(each: Sequence[GeneratorStatus]) -> GeneratorState:
    states = {status.state for status in each}
    for state in (GeneratorState.RUNNING, GeneratorState.DRAINING):
        if state in states:
            return state
    if len(states) == 1:
        return states.pop()
    return GeneratorState.RUNNING  # some have not begun yet, some are done already
