"""The checks of a run as JUnit XML, for the build server."""

import re
from xml.etree import ElementTree

from maul.core.summary import Check, Summary
from maul.core.verdict import Verdict
from maul.report.mitigation_section import mitigation_lines
from maul.report.mitigation_words import title

# what XML 1.0 cannot hold, escaped or not
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(summary: Summary) -> str:
    """One test case per check. FAIL is a failure; UNKNOWN is an error, because doubt is never a pass.
    What stopped the traffic is told beside them.

    A run without checks is one error: an empty suite would be green.
    """
    suite = ElementTree.Element("testsuite")
    checks = summary.checks or [Check(name="a check was made", verdict=Verdict.UNKNOWN, says="no check, no pass")]
    for check in checks:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=_xml(f"maul.{summary.campaign or 'run'}"),
            name=_xml(_name(check)),
            time="0",
        )
        if check.verdict is not Verdict.PASS:
            tag = "failure" if check.verdict is Verdict.FAIL else "error"
            text = ElementTree.SubElement(case, tag, message=_xml(check.says), type=check.verdict.name)
            text.text = _xml(f"{check.says}\n{summary.headline}")
    for found in summary.mitigations:
        told = [title(found), *(says for says, _ in mitigation_lines(found, summary.began_ns))]
        ElementTree.SubElement(suite, "system-out").text = _xml("\n".join(filter(None, (*told, found.ticket))))
    seconds = max(0, summary.ended_ns - summary.began_ns) / 1e9
    suite.attrib |= {
        "name": _xml(f"maul {summary.campaign} {summary.run_id}"),
        "tests": str(len(checks)),
        "failures": str(sum(check.verdict is Verdict.FAIL for check in checks)),
        "errors": str(sum(check.verdict is Verdict.UNKNOWN for check in checks)),
        "skipped": "0",
        "time": f"{seconds:.3f}",
    }
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _name(check: Check) -> str:
    return f"{check.name} [{check.phase}]" if check.phase else check.name


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
