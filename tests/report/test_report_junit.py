from xml.etree import ElementTree

from report_synthetic import bare_summary

from maul.core.summary import Check
from maul.core.verdict import Verdict
from maul.report.junit import junit_xml


def suite_of(checks):
    return ElementTree.fromstring(junit_xml(bare_summary(checks=checks)))[0]


def check(verdict, says="because", name="a check", phase="steady"):
    return Check(name=name, verdict=verdict, says=says, phase=phase)


def test_a_fail_is_a_failure_doubt_is_an_error_and_a_pass_is_silent():
    suite = suite_of([check(Verdict.PASS), check(Verdict.UNKNOWN), check(Verdict.FAIL)])
    assert [[child.tag for child in case] for case in suite] == [[], ["error"], ["failure"]]
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3", "failures": "1", "errors": "1", "skipped": "0",
    }  # fmt: skip


def test_a_case_carries_its_phase_and_its_reason():
    (case,) = suite_of([check(Verdict.FAIL, says="2 objects lost")])
    assert case.get("name") == "a check [steady]"
    assert case[0].get("message") == "2 objects lost"
    assert "2 objects lost" in case[0].text


def test_a_run_without_checks_is_not_green():
    suite = suite_of([])
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")


def test_what_xml_cannot_hold_does_not_break_the_file():
    (case,) = suite_of([check(Verdict.FAIL, says="\x00\x1b<a>&\ud800\uffff]]>", name="\x08n")])
    assert case[0].get("message") == "\ufffd\ufffd<a>&\ufffd\ufffd]]>"
