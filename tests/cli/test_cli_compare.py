"""`maul compare` at the door: what is named wrongly, and what the shell sees."""

from pathlib import Path

import pytest
from command_line import Maul

from maul.record import RunWriter


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("a", "b"), "no run"),
        (("a,,b", "c"), "an empty name"),
        (("", "c"), "an empty name"),
        (("latest", "latest"), "no run"),
    ],
)
def test_what_is_no_run_is_one_message(maul: Maul, tmp_path: Path, words: tuple[str, str], told: str) -> None:
    answer = maul("compare", *words, "--runs", tmp_path)
    assert answer.code == 3
    assert told in answer.err
    assert answer.out == ""


def test_a_run_without_a_plan_and_one_that_is_written(maul: Maul, tmp_path: Path) -> None:
    runs = ["20260101-000001-aaaaaa", "20260101-000002-bbbbbb"]
    for run in runs:
        RunWriter.create(tmp_path, run).close()
    answer = maul("compare", *runs, "--runs", tmp_path)
    assert (answer.code, answer.out) == (3, "")
    assert "plan.json" in answer.err
    answer = maul("compare", f"{runs[0]},{runs[0]}", runs[1], "--runs", tmp_path)
    assert "the same run twice" in answer.err
    with RunWriter.create(tmp_path, "20260101-000003-cccccc"):
        answer = maul("compare", runs[0], "20260101-000003-cccccc", "--runs", tmp_path)
        assert answer.code == 3
