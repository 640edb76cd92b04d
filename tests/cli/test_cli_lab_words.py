from pathlib import Path

import pytest

from maul.cli.lab import _suffix


@pytest.mark.parametrize(
    ("name", "directory", "says"),
    [
        ("lab", None, ""),
        ("two", None, " --name two"),
        ("lab", Path("/tmp/a b"), " --dir '/tmp/a b'"),
        ("two", Path("/tmp/x"), " --name two --dir /tmp/x"),
    ],
)
def test_the_way_down_names_the_same_lab(name: str, directory: Path | None, says: str) -> None:
    assert _suffix(name, directory) == says
