"""`maul knock`: where it may go, how often, and which address it takes."""

import itertools

import pytest

from maul.conduct import knocking
from maul.conduct.knocking import Knocking, admitted, knock_at
from maul.core.clock import FakeClock
from maul.core.errors import PermitError
from maul.core.vantage import Attempt, Question, Reach, Vantage
from maul.guard.permit import LOOPBACK_ONLY, Permission
from maul.guard.permit_document import Page, Permit
from maul.guard.verified import VerifiedPermit
from maul.s3.endpoint import Endpoint

HERE = Endpoint("endpoint", "http://127.0.0.1:8480")


def test_nothing_leaves_loopback_without_permission() -> None:
    for asked in (
        Knocking(Endpoint("endpoint", "http://192.0.2.1:80")),
        Knocking(HERE, address="192.0.2.1"),
        Knocking(HERE, address="::ffff:192.0.2.1"),
    ):
        with pytest.raises(PermitError, match="not permitted, nothing was sent"):
            knock_at(asked, LOOPBACK_ONLY, FakeClock(), lambda attempt: None)


def test_another_address_keeps_port_and_name() -> None:
    gate = admitted(Knocking(HERE, address="127.0.0.7"), LOOPBACK_ONLY, FakeClock())
    assert (gate.address, gate.port, gate.host) == ("127.0.0.7", 8480, "127.0.0.1:8480")
    six = admitted(Knocking(HERE, address="::1"), LOOPBACK_ONLY, FakeClock())
    assert (six.address, six.port) == ("::1", 8480)


def test_a_port_that_the_permit_does_not_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page.model_validate({"host": "127.0.0.1", "port": 8480, "addresses": ["127.0.0.1"]})
    document = Permit.model_construct(name="p", targets=[], pages=[page])
    permission = Permission(permit=VerifiedPermit(document, "", ()))
    checked: list[str] = []
    monkeypatch.setattr(knocking, "check_senders", lambda *_: checked.append("sender"))
    monkeypatch.setattr(knocking, "check_window", lambda *_: checked.append("window"))
    assert admitted(Knocking(HERE), permission, FakeClock()).address == "127.0.0.1"
    assert checked == ["sender", "window"]
    with pytest.raises(PermitError, match="port 22"):
        admitted(Knocking(HERE, port=22), permission, FakeClock())
    with pytest.raises(PermitError, match="not permitted"):
        admitted(Knocking(HERE, address="127.0.0.7"), permission, FakeClock())


def test_never_more_than_one_per_second_whatever_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    begun: list[int] = []

    def attempt(where: object, question: Question, clock: FakeClock) -> Attempt:
        begun.append(clock.now_ns())
        clock.wait(0.1 if len(begun) != 2 else 3.2)
        return Attempt(begun[-1], question, Reach.TIMEOUT)

    monkeypatch.setattr(knocking, "knock", attempt)
    found = knock_at(Knocking(HERE, every_s=0.01, for_s=10.0), LOOPBACK_ONLY, clock, lambda one: None)
    gaps = [(later - earlier) / 1e9 for earlier, later in itertools.pairwise(begun)]
    assert gaps[0] == pytest.approx(1.0)
    assert gaps[1] == pytest.approx(4.2), "its last SYN may just have gone out"
    assert all(gap == pytest.approx(1.0) for gap in gaps[2:])
    assert (begun[-1] - begun[0]) / 1e9 < 10
    assert len(found) == len(begun) == 7
    assert {one.question.vantage for one in found} == {Vantage.IDLE}
