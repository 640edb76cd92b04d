"""Plays on paper: every cause has one, orders that cannot be are told, no change before its undo is on disk."""

import signal
from pathlib import Path

import pytest

from maul.core.errors import CampaignError, MachineError
from maul.guard.mitigation.causes import Cause
from maul.hosts.fake import FakeHost
from maul.hosts.host import Completed, ProcessId
from maul.hosts.journal import UndoJournal
from maul.hosts.namespace import NamespaceHost
from maul.hosts.undo import Enter, Facts, Nothing, decide
from maul.hosts.undo_kinds import UndoRun, undo_from_json, undo_to_json
from maul.lab.causes import PLAYS, Orders, Play, balancers, end_all, playing, quota
from maul.lab.causes.border_rules import addresses
from maul.lab.causes.play import PLAYED
from maul.lab.causes.stage import Act, Stage
from maul.lab.layout import LabLayout, Programs
from maul.lab.placement import Wired
from maul.lab.wiring import Wiring

PLACE = Path("/var/lib/maul/labs/x")
LAYOUT = LabLayout("x", Wired(Wiring(border=True)), PLACE, PLACE / "run", Programs("/bin/weed", "/bin/haproxy"))
STAGE = Stage(LAYOUT, FakeHost(), {})
NOBODY = ProcessId(2**22 + 1, 1)


def test_every_cause_that_the_classifier_knows_can_be_played_and_no_other():
    assert set(PLAYS) == {cause.value for cause in Cause}
    assert all(play.cause == cause and play.says for cause, play in PLAYS.items())
    assert all(bool(play.strength) == bool(play.unit) for play in PLAYS.values())


@pytest.mark.parametrize(
    ("cause", "orders", "why"),
    [
        ("link-down", Orders(strength=2), "no strength"),
        ("policer", Orders(strength=-1), "cannot be"),
        ("vip-black-hole", Orders(where=("g41",)), "same place"),
        ("vip-black-hole", Orders(variant="bush"), "blackhole, prohibit, unreachable"),
        ("link-down", Orders(variant="bush"), "no variant"),
    ],
)
def test_orders_that_cannot_be_are_refused_before_anything_is_looked_for(cause, orders, why, tmp_path):
    with pytest.raises(CampaignError) as refused:
        PLAYS[cause].begin(tmp_path, orders)
    assert why in f"{refused.value.message} {refused.value.cure}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("cause", sorted(PLAYS))
def test_without_a_lab_nothing_is_played_and_ending_is_harmless(cause, tmp_path):
    assert PLAYS[cause].end(tmp_path) is False
    with pytest.raises(MachineError):
        PLAYS[cause].begin(tmp_path)
    assert playing(tmp_path) == () and end_all(tmp_path) == ()


def test_a_place_is_a_host_or_a_rack_of_generators():
    assert addresses(STAGE, ("r4", "g51")) == ["10.77.4.1", "10.77.4.2", "10.77.5.1"]
    with pytest.raises(CampaignError, match="r9"):
        addresses(STAGE, ("r9",))


@pytest.mark.parametrize(("cause", "strength"), [("balancer-saturated", 1.5), ("link-congested", 1.0)])
def test_a_strength_that_cannot_be_is_told(cause, strength):
    with pytest.raises(CampaignError):
        list(PLAYS[cause].acts(STAGE, Orders(strength, ("r4",))))


class TestOnDiskFirst:
    """What is pending in the journal when an act is done, and after one has failed."""

    @pytest.fixture
    def lab(self, tmp_path, monkeypatch):
        monkeypatch.setattr(Stage, "of", classmethod(lambda cls, directory: STAGE))
        return tmp_path

    def test_the_undo_is_on_disk_before_the_act(self, lab):
        seen = []

        def acts(stage, orders):
            for number in range(3):
                undo = UndoRun(NOBODY, (str(number),))
                yield Act(undo, lambda: seen.append(len(UndoJournal(lab / PLAYED / "trial.jsonl").pending())))

        play = Play("trial", "", acts)
        play.begin(lab)
        assert seen == [1, 2, 3]
        assert playing(lab) == ("trial",)
        assert play.end(lab) is True and playing(lab) == ()
        assert play.end(lab) is False, "a second end finds nothing"

    def test_beginning_again_takes_back_what_was_on(self, lab):
        play = Play("trial", "", lambda stage, orders: [Act(UndoRun(NOBODY, ("x",)), lambda: None)])
        play.begin(lab)
        play.begin(lab)
        assert len(UndoJournal(lab / PLAYED / "trial.jsonl").pending()) == 1

    def test_an_act_that_fails_takes_the_others_back(self, lab):
        def fails():
            raise MachineError("refused")

        undo = UndoRun(NOBODY, ("x",))
        play = Play("trial", "", lambda stage, orders: [Act(undo, lambda: None), Act(undo, fails)])
        with pytest.raises(MachineError, match="refused"):
            play.begin(lab)
        assert playing(lab) == ()


class TestRunningToUndo:
    def test_json_there_and_back(self):
        undo = UndoRun(ProcessId(12, 34), ("ip", "route", "del", "x"))
        assert undo_from_json(undo_to_json(undo)) == undo

    def test_a_holder_that_is_gone_took_everything_with_it(self):
        undo = UndoRun(NOBODY, ("rm", "-rf"))
        assert isinstance(decide(undo, Facts()), Nothing)
        assert decide(undo, Facts(signal_target_lives=True)) == Enter(NOBODY, ("rm", "-rf"))


class TestFindingWhatWas:
    """The undo is made of what is found, not of what was built."""

    def stage(self, monkeypatch, says):
        host = NamespaceHost("border", NOBODY)
        monkeypatch.setattr(
            NamespaceHost, "run", lambda self, argv, timeout_s: Completed(argv, 0, says, b"", timed_out=False)
        )
        return Stage(LAYOUT, FakeHost(), dict.fromkeys(LAYOUT.wiring.nodes, host))

    def test_a_setting(self, monkeypatch):
        act = self.stage(monkeypatch, b"40000\t50000\n").setting("g41", "net/ipv4/ip_local_port_range", "1 2")
        assert act.undo.argv[-1] == "40000 50000"

    def test_a_rate(self, monkeypatch):
        shown = b'[{"kind":"tbf","root":true,"options":{"rate":1250000,"burst":32762,"lat":50000}}]'
        near, far = self.stage(monkeypatch, shown).rate("r4", 2e6)
        assert "10000000bit" in near.undo.argv and "10000000bit" in far.undo.argv
        assert {near.undo.argv[6], far.undo.argv[6]} == {"up0", "dn-r4"}

    def test_an_mtu(self, monkeypatch):
        stage = self.stage(monkeypatch, b'[{"ifname":"br0","mtu":1400}]')
        *_, act = PLAYS["mtu-hole"].acts(stage, Orders(strength=1000))
        assert act.undo.argv[-2:] == ("mtu", "1400")

    def test_a_limit_at_the_balancer(self, monkeypatch):
        monkeypatch.setattr(balancers.Stage, "ask", lambda self, balancer, command: "0x55 most 77\n")
        (act,) = PLAYS["application-throttle"].acts(self.stage(monkeypatch, b""), Orders(strength=5))
        assert act.undo.argv[-1].endswith("most 77")


def test_a_quota_leaves_alone_whoever_took_the_pid(monkeypatch):
    sent = []
    monkeypatch.setattr(quota.os, "kill", lambda pid, number: sent.append((pid, signal.Signals(number))))
    quota.hold_back(1, start_ticks=-1, part=0.5, over=quota.threading.Event())
    assert sent == []
