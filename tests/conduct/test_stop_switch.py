"""Ctrl-C, twice, at every moment."""

import signal

import pytest

from maul.conduct.stop import StopSwitch
from maul.core.summary import Ending

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def handlers_as_found():
    found = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == found


@pytest.mark.parametrize("number", SIGNALS)
def test_before_the_run_began_a_signal_raises(number):
    with pytest.raises(KeyboardInterrupt, match=number.name), StopSwitch() as stop:
        signal.raise_signal(number)
    assert not stop.stopped.is_set()


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_stops_and_the_second_hurries(number):
    with StopSwitch() as stop:
        stop.run_began()
        signal.raise_signal(number)
        assert stop.stopped.is_set() and not stop.hurried.is_set()
        assert (stop.reason, stop.ending) == (f"interrupted by {number.name}", Ending.INTERRUPTED)
        signal.raise_signal(number)
        assert stop.hurried.is_set()
        signal.raise_signal(number)


def test_the_first_reason_is_kept_whoever_asks_later():
    with StopSwitch() as stop:
        stop.run_began()
        stop.stop("limits.requests is used up", Ending.GUARD)
        stop.stop("another", Ending.FAILED)
        signal.raise_signal(signal.SIGINT)
        assert (stop.reason, stop.ending) == ("limits.requests is used up", Ending.GUARD)
        assert stop.hurried.is_set(), "the guard stops already: who presses Ctrl-C now is in a hurry"


def test_a_switch_that_nobody_touched_is_a_run_that_completed():
    with StopSwitch() as stop:
        stop.run_began()
    assert (stop.stopped.is_set(), stop.ending, stop.reason) == (False, Ending.COMPLETED, "")


def test_handlers_are_given_back_when_the_block_raises():
    mine = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with pytest.raises(ValueError, match="boom"), StopSwitch():
            assert signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN
            raise ValueError("boom")
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, mine)
