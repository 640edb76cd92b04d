"""No test of the command line touches this machine's own state, or its credentials."""

import pytest
from command_line import Maul, speaking


@pytest.fixture
def maul(capsys: pytest.CaptureFixture[str]) -> Maul:
    return speaking(capsys)


@pytest.fixture(autouse=True)
def nobodys_machine(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MAUL_STATE", str(tmp_path_factory.mktemp("state")))
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))
