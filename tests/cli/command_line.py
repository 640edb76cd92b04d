"""One command line, run in this process; no answer of any kind may hold a traceback."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from maul.cli.main import run


@dataclass(frozen=True)
class Answer:
    """What the shell sees."""

    code: int
    out: str
    err: str


Maul = Callable[..., Answer]


def speaking(capsys: pytest.CaptureFixture[str]) -> Maul:
    """`maul(word, …)`."""

    def maul(*words: object) -> Answer:
        capsys.readouterr()
        code = run([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err, err
        return Answer(code, out, err)

    return maul
