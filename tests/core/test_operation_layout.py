"""The words of core and those of the compiled engine are the same words."""

from enum import IntEnum

import pytest

from maul import _engine  # noqa: TID251 - the two are compared here
from maul.core.operation import OPERATION_DTYPE, ErrorClass, Op, Outcome


@pytest.mark.parametrize(
    ("enum", "names"),
    [(Op, _engine.OP_NAMES), (Outcome, _engine.OUTCOME_NAMES), (ErrorClass, _engine.ERROR_CLASS_NAMES)],
)
def test_numbers_and_names_agree(enum: type[IntEnum], names: dict[int, str]) -> None:
    assert {member.value: member.name for member in enum} == names


def test_records_have_one_size() -> None:
    assert OPERATION_DTYPE.itemsize == _engine.OPERATION_RECORD_BYTES
    assert not OPERATION_DTYPE.hasobject
    fields = OPERATION_DTYPE.fields
    assert fields is not None
    offsets = [fields[name][1] for name in ("due_ns", "first_byte_ns", "version", "status", "op", "flags", "item")]
    assert offsets == [0, 40, 64, 80, 82, 87, 90]
