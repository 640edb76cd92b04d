from report_synthetic import bare_summary

from maul.core.summary import Exhibit, OperationLatency, Percentiles, PhaseSummary
from maul.report.exhibits import exhibits_section, parts_table
from maul.report.sections import build


def exhibit(**changes) -> Exhibit:
    fields = {
        "reason": "slowest", "phase": "load", "op": "get", "key": "maul/r/b0", "endpoint": "vip", "due_ns": 10**9,
        "latency_ms": 120.0, "service_ms": 100.0, "parts_ms": {"send": 1.0, "wait": 98.0, "body": 1.0}, "status": 200,
        "error_class": "NONE", "request_id": "4442587FB7D0A2F9", "says": "",
    }  # fmt: skip
    return Exhibit.model_validate(fields | changes)


def numbers(count: int, ms: float) -> Percentiles:
    return Percentiles(count=count, mean=ms, p50=ms, p90=ms, p99=ms * 2, p999=ms, p9999=ms, max=ms)


def phase(kind: str, **parts: Percentiles) -> PhaseSummary:
    latency = OperationLatency(op="get", latency=numbers(9, 4.0), service=numbers(9, 3.0), parts=parts)
    return PhaseSummary(
        name="load", kind=kind, began_ns=0, ended_ns=10**9, offered=9, ok=9, fail=0, unknown=0, late=0, dropped=0,
        bytes_sent=0, bytes_received=0, latency=[latency],
    )  # fmt: skip


def texts(table) -> list[list[str]]:
    return [[cell.text for cell in row] for body in table.bodies for row in body.rows]


def test_the_slowest_stand_with_their_request_id_and_where_the_time_went():
    section = exhibits_section(bare_summary(began_ns=0, exhibits=[exhibit()]))
    (row,) = texts(section.tables[0])
    assert "4442587FB7D0A2F9" in row
    assert "wait 98" in " ".join(row)


def test_evidence_says_key_offset_expected_and_found():
    torn = exhibit(reason="error", error_class="TORN", offset=8192, expected="version 0x7", found="version 0x8")
    refused = exhibit(reason="error", error_class="SLOW_DOWN", status=503, says="status 503 <Error>", key="")
    section = exhibits_section(bare_summary(exhibits=[torn, refused]))
    (first, second) = texts(section.tables[0])
    assert {"TORN", "maul/r/b0", "version 0x7", "version 0x8"} < set(first)
    assert "8" in first[8] and first[8].endswith("192")
    assert second[-1] == "status 503 <Error>"


def test_nothing_kept_is_said_and_has_its_place_on_the_page():
    summary = bare_summary()
    assert exhibits_section(summary).tables == ()
    assert any(section.key == "operations" for section in build(summary).sections)


def test_parts_are_shown_for_customers_only_and_a_part_that_never_came_is_blank():
    load = phase("load", wait=numbers(9, 2.0), body=numbers(9, 0.5))
    table = parts_table(bare_summary(phases=[load, phase("audit", wait=numbers(9, 7.0))]))
    assert table is not None
    ((op, *cells),) = texts(table)
    assert op == "GET"
    assert cells == ["", "", "", "", "", "", "2.00", "4.00", "0.500", "1.00", "", ""]
    assert parts_table(bare_summary(phases=[phase("load")])) is None
