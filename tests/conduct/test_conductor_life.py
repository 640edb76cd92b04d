"""A run from its beginning to its end, with everything that acts replaced: what is left behind when it goes wrong."""

import contextlib
import json

import pytest
from conduct_stage import SECRET, SITE, T0_NS, FakeS3, Told, everywhere, script

from maul.conduct import conductor, permission
from maul.conduct.conductor import Order, beat
from maul.conduct.recorded import Text
from maul.conduct.target import Admitted
from maul.core.clock import FakeClock
from maul.core.errors import CampaignError, ExitCode, MachineError, PermitError, TargetError, UnhealedError
from maul.core.operation import Op
from maul.core.summary import Ending
from maul.hosts.journal import UndoJournal
from maul.lab.files import site_yaml
from maul.lab.layout import LabLayout, Programs
from maul.lab.placement import Loopback
from maul.load import FakeGenerator
from maul.record import RunReader

CAMPAIGN = """\
version: 1
name: tiny
site: {site}
target: {{endpoints: [vip], bucket: maul-test, credentials: anonymous}}
workload: {{objects: 10, size: 4KiB, keys: uniform, mix: {{put: 1}}}}
phases:
  - {{name: fill, kind: prepare}}
  - {{name: tidy, kind: clean-up}}
"""


class Place:
    """A world in which a run goes well, and switches for what may go wrong in it."""

    def __init__(self, tmp_path, monkeypatch):
        self.root, self.s3, self.told, self.clock = tmp_path, FakeS3(set()), Told(), FakeClock(T0_NS)
        self.undone, self.leaving = [], None
        layout = LabLayout("lab", Loopback(64), tmp_path / "lab", tmp_path / "lab" / "run", Programs("weed", "haproxy"))
        (tmp_path / "site.yaml").write_text(site_yaml(layout))
        self.write_campaign(tmp_path / "site.yaml")
        monkeypatch.setattr(conductor, "_deadman", self.deadman)
        monkeypatch.setattr(conductor, "admit", self.admit)
        monkeypatch.setattr(conductor, "open_target", self.open_target)
        monkeypatch.setattr(conductor, "sensing", self.sensing)
        self.monkeypatch, self.fails = monkeypatch, {}

    def write_campaign(self, site):
        (self.root / "c.yaml").write_text(CAMPAIGN.format(site=site))

    def check(self, name):
        if name in self.fails:
            raise self.fails[name]

    @contextlib.contextmanager
    def deadman(self, run_id):
        class DeadMan:
            journal = UndoJournal(self.root / "undo.jsonl", self.clock)

        try:
            yield DeadMan()
        finally:
            self.undone.append(run_id)
        self.check("leaving")

    def admit(self, plan, site, door, clock, on_step):
        self.check("permit")
        return Admitted({}, {})

    def open_target(self, door, on_step):
        self.check("open")
        return everywhere(self.s3, created=True)

    @contextlib.contextmanager
    def sensing(self, site, writer, clock, fetch):
        yield
        self.check("sensing")

    def generator(self, engine):
        self.check("generator")
        return FakeGenerator(script(10, op=Op.PUT), self.clock)

    def beat(self, **given):
        order = Order(**{"campaign": self.root / "c.yaml", "runs_root": self.root / "runs", **given})
        return beat(order, self.told, self.clock, self.generator)

    @property
    def runs(self):
        found = self.root / "runs"
        return [one for one in found.iterdir() if not one.is_symlink()] if found.is_dir() else []


@pytest.fixture
def place(tmp_path, monkeypatch):
    return Place(tmp_path, monkeypatch)


def test_a_run_that_goes_well(place):
    beaten = place.beat()
    assert (beaten.summary.ending, beaten.summary.campaign) == (Ending.COMPLETED, "tiny")
    (run,) = place.runs
    assert RunReader.open(run).summary() == beaten.summary
    assert (run / "campaign.yaml").read_text() == (place.root / "c.yaml").read_text()
    assert {"plan.json", "site.yaml", "summary.json", "events.parquet"} <= {one.name for one in run.iterdir()}
    assert not (run / "lab-logs").exists() and not (run / Text.LAST_WORDS).exists()
    assert (len(place.undone), place.told.closed, place.s3.bucket_deleted) == (1, 1, 1)
    for path in run.iterdir():
        assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("permit", PermitError("not permitted")),
        ("open", TargetError("nothing listens")),
        ("open", KeyboardInterrupt("SIGINT")),
    ],
)
def test_what_could_not_begin_leaves_nothing_behind(place, where, error):
    place.fails[where] = error
    with pytest.raises(type(error)):
        place.beat()
    assert (place.runs, len(place.undone), place.told.closed) == ([], 1, 1)


def test_nothing_is_opened_before_it_is_permitted(place):
    place.fails |= {"permit": PermitError("not permitted"), "open": AssertionError("opened all the same")}
    with pytest.raises(PermitError):
        place.beat()


def test_the_permit_is_asked_for_health_pages_and_metrics_too(place):
    asked = []
    real = permission.permit

    def permit(endpoints, pages, allowed):
        asked.append((endpoints, pages))
        return real(endpoints, pages, allowed)

    place.monkeypatch.setattr(permission, "permit", permit)
    place.monkeypatch.setattr(conductor, "admit", permission.admit)
    place.beat()
    ((endpoints, pages),) = asked
    assert [one.name for one in endpoints] == ["vip"]
    assert len(pages) == 2 * len(SITE.services)


def test_a_bad_campaign_is_told_before_anything_is_started(place):
    (place.root / "c.yaml").write_text("version: 1\nname: tiny\n")
    with pytest.raises(CampaignError):
        place.beat()
    assert place.undone == []


def test_a_bucket_that_was_made_for_a_run_without_a_record_goes_again(place):
    (place.root / "runs").write_text("in the way")
    with pytest.raises((MachineError, CampaignError)):
        place.beat()
    assert place.s3.bucket_deleted == 1


@pytest.mark.parametrize(
    ("where", "error", "exit_code"),
    [
        ("generator", TargetError("endpoint vip has no address"), ExitCode.ENVIRONMENT),
        ("sensing", MachineError("no room"), ExitCode.ENVIRONMENT),
    ],
)
def test_an_error_on_the_way_ends_the_run_and_not_its_record(place, where, error, exit_code):
    place.fails[where] = error
    beaten = place.beat()
    assert (beaten.summary.ending, beaten.summary.exit_code) == (Ending.FAILED, exit_code)
    assert error.what in beaten.summary.headline
    assert len(place.undone) == 1
    left = [says for says in place.told.steps if "maul wipe" in says]
    assert len(left) == 1, "the site stays, and so does what was written"


def test_a_bug_is_raised_when_the_run_has_its_summary(place):
    place.fails["generator"] = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        place.beat()
    (run,) = place.runs
    summary = RunReader.open(run).summary()
    assert (summary.ending, summary.exit_code) == (Ending.FAILED, ExitCode.UNKNOWN)
    assert "a bug in maul" in summary.headline and not RunReader.open(run).killed


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (UnhealedError("the lab is not down", "lab", "run: maul heal"), ExitCode.UNHEALED),
        (MachineError("the journal cannot be written"), ExitCode.ENVIRONMENT),
    ],
)
def test_what_goes_wrong_after_the_record_is_in_the_summary_and_stays_there(place, error, exit_code):
    place.fails["leaving"] = error
    beaten = place.beat()
    assert beaten.summary.exit_code == exit_code and error.what in beaten.summary.headline
    (run,) = place.runs
    assert json.loads((run / Text.LAST_WORDS).read_text())["exit_code"] == exit_code
    assert conductor.judge(RunReader.open(run)) == beaten.summary, "judged again it is the same"


def test_a_full_disk_ends_the_run_with_a_summary_that_says_so(place):
    def full(self, batches):
        raise OSError(28, "No space left on device")

    place.monkeypatch.setattr("maul.record.stream.StreamFile.write", full)
    beaten = place.beat()
    assert (beaten.summary.ending, beaten.summary.exit_code) == (Ending.FAILED, ExitCode.ENVIRONMENT)
    assert "no room is left" in beaten.summary.headline and "killed" not in beaten.summary.headline


def test_the_logs_of_an_embedded_lab_go_with_the_run(place):
    place.write_campaign("lab")

    @contextlib.contextmanager
    def embedded(name, on_step, deadman):
        logs = place.root / "its-logs"
        logs.mkdir()
        (logs / "volume.log").write_text("I was here")
        layout = type("Layout", (), {"logs": logs})()
        yield type("Lab", (), {"site_path": place.root / "site.yaml", "layout": layout})()

    place.monkeypatch.setattr(conductor.cluster, "embedded", embedded)
    place.fails["generator"] = TargetError("it died")
    beaten = place.beat()
    assert (beaten.record.path / "lab-logs" / "volume.log").read_text() == "I was here"
    assert not any("maul wipe" in says for says in place.told.steps), "the lab is gone, with all that was in it"
