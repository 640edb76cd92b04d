import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from report_record import RUN_ID, T0_NS, FakeRun, make_operations, ns
from report_synthetic import bare_summary, full_run

from maul import report
from maul.core.errors import MachineError
from maul.core.event import Edge, Event, EventKind
from maul.core.histogram import LatencyRow
from maul.core.sample import Sample
from maul.core.summary import Ending, Finding
from maul.record import RunReader, RunWriter
from maul.record.tables import SCHEMAS
from maul.report.html import render

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>'\"&{{7*7}}"


class Page(HTMLParser):
    """What a browser would load and run."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.styles, self.loads, self.tags, self.words, self.handlers = [], [], [], [], [], []
        self.policy = ""
        self._in = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.tags.append(tag)
        self._in = tag
        self.loads += [
            value for name, value in attrs if name in ("src", "href", "data", "action") and not value.startswith("#")
        ]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag == "script":
            self.scripts.append("")
        if known.get("http-equiv") == "Content-Security-Policy":
            self.policy = known["content"]

    def handle_endtag(self, tag):
        self._in = ""

    def handle_data(self, data):
        if self._in == "script":
            self.scripts[-1] += data
        elif self._in == "style":
            self.styles.append(data)
        else:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def full():
    run, summary = full_run(scale=0.1)
    return Page(render(run, summary)), render(run, summary), summary


def test_nothing_is_loaded_from_anywhere(full):
    page, text, _ = full
    assert page.loads == []
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    assert "url(" not in " ".join(page.styles)
    assert "@import" not in " ".join(page.styles)
    assert re.findall(r"<script[^>]+src", text) == []


def test_the_policy_lets_exactly_the_pages_own_scripts_run(full):
    page, _, _ = full
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts]
    assert sorted(re.findall(r"'sha256-([^']+)'", page.policy)) == sorted(digests)
    assert page.policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in page.policy


def test_the_page_is_small_enough_to_mail(full):
    assert len(full[1].encode()) < 2_500_000


def test_every_section_and_every_chart_is_there(full):
    page, text, summary = full
    for title in (
        "Checks",
        "Capacity",
        "Over time",
        "Phases and latency",
        "Errors",
        "Faults",
        "Data",
        "Generator",
        "Gaps and notes",
    ):
        assert f"<h2>{title}</h2>" in text
    for key in (
        "rate",
        "latency",
        "service",
        "errors",
        "lag",
        "cpu",
        "process-cpu",
        "disk-latency",
        "pressure",
        "balancer-up",
        "capacity",
    ):
        assert f'id="chart-{key}"' in text
    assert summary.headline in page.text
    assert "maul report " + summary.run_id in page.text


def test_every_legend_button_has_its_line(full):
    _, text, _ = full
    buttons = re.findall(r'data-chart="([\w-]+)" data-line="(c\d+)"', text)
    assert len(buttons) == len(set(buttons)) > 30


def test_hostile_words_stay_words_wherever_they_come_from():
    run, summary = full_run(scale=0.05)
    samples = run.samples()
    subject = pc.if_else(pc.equal(samples["subject"], "vda"), HOSTILE, samples["subject"])
    run.tables["samples"] = samples.set_column(4, SCHEMAS["samples"].field("subject"), subject)
    events = run.events()
    run.tables["events"] = events.set_column(3, SCHEMAS["events"].field("name"), pa.array([HOSTILE] * len(events)))
    finding = Finding(kind=HOSTILE, key=HOSTILE, through=HOSTILE, expected=HOSTILE, found=HOSTILE)
    summary = summary.model_copy(
        update={
            "headline": HOSTILE,
            "campaign": HOSTILE,
            "audit": summary.audit.model_copy(update={"findings": [finding], "says": HOSTILE}),
            "checks": [check.model_copy(update={"says": HOSTILE, "name": HOSTILE}) for check in summary.checks],
            "phases": [phase.model_copy(update={"name": HOSTILE}) for phase in summary.phases],
            "faults": [summary.faults[0].model_copy(update={"name": HOSTILE, "target": HOSTILE, "healed": False})],
            "errors": [error.model_copy(update={"error_class": HOSTILE}) for error in summary.errors],
            "gaps": [HOSTILE],
        }
    )
    page = Page(render(run, summary))
    assert len(page.scripts) == 3
    assert page.handlers == []
    assert "img" not in page.tags
    assert "{{7*7}}" in page.text  # not 49: a record is no template
    assert not any("onerror=alert(1)>" in script for script in page.scripts)


def test_invisible_characters_of_a_key_are_written_out():
    finding = Finding(kind="lost", key="a\u202eb\x1b[31m\ud800", through="g", expected="e", found="f")
    audit = full_run(scale=0.05)[1].audit.model_copy(update={"findings": [finding]})
    text = render(FakeRun(), bare_summary(audit=audit))
    assert "a\\u202eb\\x1b[31m\\ud800" in text
    text.encode("utf-8")


def cut(run, began, ended):
    """The record of that stretch of time."""
    seconds = (pc.field("second") >= began // 10**9) & (pc.field("second") < ended // 10**9)
    return FakeRun(
        tables={
            "events": run.events().filter(pc.field("at_ns") < ended),
            "samples": run.samples().filter((pc.field("at_ns") >= began) & (pc.field("at_ns") < ended)),
            "latency": run.latency().filter(seconds),
            "operations": run.operations().filter((pc.field("due_ns") >= began) & (pc.field("due_ns") < ended)),
        }
    )


def test_a_run_that_recorded_nothing_has_a_whole_page():
    page = Page(render(FakeRun(), bare_summary(began_ns=0, ended_ns=0)))
    assert "Nothing was recorded over time" in page.text
    assert "No check was made" in page.text
    assert "no samples: the probe “cpu”" in page.text


def test_a_run_interrupted_in_prepare_has_a_page_with_its_charts():
    run, _ = full_run(scale=0.1)
    text = render(cut(run, T0_NS, ns(10)), bare_summary(ended_ns=ns(10), ending=Ending.INTERRUPTED))
    assert 'id="chart-rate"' in text
    assert "Interrupted by the operator" in text


def test_a_run_of_one_second_has_a_page_with_its_charts():
    run, _ = full_run(scale=0.1)
    text = render(cut(run, ns(7), ns(8)), bare_summary(began_ns=ns(7), ended_ns=ns(8)))
    assert 'id="chart-rate"' in text


def test_samples_without_operations_and_operations_without_samples():
    run, summary = full_run(scale=0.05)
    only_samples = render(FakeRun(tables={"samples": run.samples()}), bare_summary(ended_ns=ns(100)))
    assert 'id="chart-cpu"' in only_samples
    assert 'id="chart-rate"' not in only_samples
    no_samples = render(
        FakeRun(tables={name: table for name, table in run.tables.items() if name != "samples"}), summary
    )
    assert 'id="chart-rate"' in no_samples
    assert 'id="chart-cpu"' not in no_samples


def test_an_end_before_the_beginning_does_not_stop_the_report():
    assert "FAIL" not in Page(render(FakeRun(), bare_summary(began_ns=ns(5), ended_ns=ns(1)))).text


def test_a_real_record_becomes_two_files_beside_it(tmp_path):
    operations, _ = make_operations(scale=0.01)
    source, _ = full_run(scale=0.01)
    with RunWriter.create(tmp_path, RUN_ID) as writer:
        writer.events([Event(T0_NS, EventKind.PHASE, Edge.BEGAN, "ramp")])
        writer.samples([Sample(ns(t), "cpu", "busy_ratio", "core0", 0.5) for t in range(60)])
        rows = source.latency().drop_columns(["phase"]).to_pylist()
        writer.latency("ramp", [LatencyRow(**row) for row in rows])
        writer.operations("ramp", np.ascontiguousarray(operations))
    run = RunReader.open(tmp_path / RUN_ID)
    path = report.write(run, bare_summary(ended_ns=ns(171)))
    assert path == run.path / "report.html"
    text = path.read_text(encoding="utf-8")
    assert 'id="chart-latency"' in text
    assert 'id="chart-cpu"' in text
    assert (run.path / "junit.xml").read_text(encoding="utf-8").startswith("<testsuites>")


def test_a_disk_that_refuses_is_told_in_one_message_and_the_old_report_stays(tmp_path):
    (tmp_path / "report.html").write_text("old", encoding="utf-8")
    (tmp_path / ".report.html.new").mkdir()  # stands in the way, as a full disk would
    with pytest.raises(MachineError, match="cannot be written") as caught:
        report.write(FakeRun(path=tmp_path), bare_summary())
    assert "maul report" in caught.value.cure
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "old"
