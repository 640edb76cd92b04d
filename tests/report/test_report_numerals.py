import doctest
import math

import pytest

from maul.core.operation import ErrorClass
from maul.report import axis, charts, numerals, view, words


@pytest.mark.parametrize("module", [axis, charts, numerals, view, words])
def test_examples_in_docstrings_run(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(("part", "whole"), [(1, 10**9), (10**9 - 1, 10**9), (0.4, 10_000), (9_999.6, 10_000)])
def test_a_share_is_only_all_or_nothing_when_it_is(part, whole):
    assert numerals.share(part, whole) not in ("0 %", "100 %")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_a_dash(value):
    assert numerals.digits(value) == numerals.latency(value) == numerals.ratio(value) == numerals.NOTHING


def test_large_numbers_keep_every_whole_digit():
    assert numerals.digits(1_234_567.8) == f"1{numerals.THIN}234{numerals.THIN}568"


def test_tiny_numbers_are_never_scientific():
    assert numerals.digits(0.0000001234) == "0"
    assert numerals.digits(0.00001234) == "0.000012"


def test_characters_that_move_or_hide_others_are_written_out():
    text = numerals.visible("a\u202eb\x1b[2J\u200b\ud800\x00")
    assert text == r"a\u202eb\x1b[2J\u200b\ud800\x00"


def test_ordinary_letters_of_any_script_stay():
    assert numerals.visible("Zürich 東京 ✓\n") == "Zürich 東京 ✓\n"


def test_every_error_class_has_plain_words():
    silent = [
        member.name for member in ErrorClass if member is not ErrorClass.NONE and not words.error_means(member.name)
    ]
    assert silent == []
    assert words.error_means("none") == ""


def test_errors_without_a_record_have_words_too():
    assert "not recorded" in words.error_means("not_recorded")
