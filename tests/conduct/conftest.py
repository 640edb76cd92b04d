"""What maul remembers on this machine stays out of these tests, and they out of it."""

import pytest


@pytest.fixture(autouse=True)
def state(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("MAUL_STATE", str(tmp_path_factory.mktemp("state")))
