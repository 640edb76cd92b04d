"""What a campaign author reads: exact lines, columns, words and cures. These texts are part of the contract."""

# ruff: noqa: E501 (messages stand here whole, as a person reads them)

import io

import pytest
from campaign_texts import SOUND, with_line
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from maul import campaign
from maul.campaign.problems import PROBLEMS_SHOWN_MAX, CampaignProblemsError
from maul.core.errors import CampaignError, ExitCode


def message_of(text: str) -> str:
    with pytest.raises(CampaignError) as caught:
        campaign.parse(text, "c.yaml")
    assert caught.value.exit_code is ExitCode.USAGE
    return caught.value.message


def test_the_sound_campaign_is_sound():
    assert campaign.parse(SOUND).name == "small"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # a key that nobody knows, at any depth
        ("  objects: 100", "  objcts: 100", 'c.yaml:4:1: workload: the key "objects" is missing; add it\n'
         'c.yaml:5:3: workload.objcts: unknown key (did you mean "objects"?)'),
        ("limits: {requests: 10000}", "limits: {request: 10000}",
         'c.yaml:18:10: limits.request: unknown key (did you mean "requests"?)'),
        ("{get: 3, put: 2, delete: 1}", "{get: 3, xyzzy: 2}",
         "c.yaml:7:17: workload.mix.xyzzy: unknown key (known: aborted_put, copy, delete, delete_version, get, get_deleted"),
        ("for: 20s", "four: 20s", 'c.yaml:11:42: phases[1].four: unknown key (did you mean "for"?)'),
        ("hold: 5s}", "hold: 5s, signal: 9}",
         "c.yaml:15:87: faults[0].signal: unknown key (known: after, beyond_redundancy, fault, hold, name, phase, pick, "
         "role, service)"),
        # a key that is missing
        ("version: 1\n", "", 'c.yaml:1:1: the key "version" is missing; add it'),
        ("name: kill, ", "", 'c.yaml:15:5: faults[0]: the key "name" is missing; add it'),
        ("{name: fill, kind: prepare}", "{name: fill}", 'c.yaml:10:5: phases[0]: the key "kind" is missing; add it'),
        # a value that is no such thing
        ("version: 1", "version: 2", "c.yaml:1:10: version: expected one of: 1"),
        ("  size: 4KiB", "  size: 4 KB of data", "c.yaml:6:9: workload.size: '4 KB of data' is not a size; write bytes or "
         "a unit, such as 512, 4KiB, 1.5MB"),
        ("  size: 4KiB", "  size: [4KiB]", "c.yaml:6:9: workload.size: expected a single value such as 4KiB"),
        ("  size: 4KiB", "  size: 6GiB",
         "c.yaml:6:9: workload.size: the size of one object must be from 0 B to 5 GiB, and is 6 GiB"),
        ("  size: 4KiB", "  size: {median: 4KiB}", "c.yaml:6:9: workload.size: a size is a number such as 4KiB, or exactly "
         "one of: uniform, lognormal, weighted"),
        ("  size: 4KiB", "  size: {uniform: [1KiB]}", "c.yaml:6:10: workload.size.uniform: needs another entry"),
        ("rate: 50/s", "rate: 50 per second", "c.yaml:11:36: phases[1].rate: '50 per second' is not a rate; write events "
         "per second, such as 100, 100/s, 30/m"),
        ("rate: 50/s", "rate: 0", "c.yaml:11:36: phases[1].rate: a rate must be from 0.001/s to 1e+07/s, and is 0/s"),
        ("rate: 50/s", "rate: .nan", "c.yaml:11:36: phases[1].rate: nan is not a rate; it must be finite and not negative"),
        ("for: 20s", "for: 0s", "c.yaml:11:47: phases[1].for: a duration must be from 1 ms to 10080 min, and is 0 ms"),
        ("objects: 100", "objects: '100'", "c.yaml:5:12: workload.objects: expected a whole number"),
        ("objects: 100", "objects: true", "c.yaml:5:12: workload.objects: expected a whole number"),
        ("objects: 100", "objects: 0", "c.yaml:5:12: workload.objects: must be at least 1"),
        ("get: 3", "get: -3", "c.yaml:7:14: workload.mix.get: must be at least 0"),
        ("get: 3", "get: .inf", "c.yaml:7:14: workload.mix.get: expected a finite number"),
        ("errors_below: 0.1%", "errors_below: 110%", "c.yaml:17:53: objectives[0].errors_below: '110%' is not a ratio from "
         "0 to 1; write one such as 0.5, 50%, 0.1%"),
        ("errors_below: 0.1%", "percentile: 99", 'c.yaml:17:5: objectives[0]: the key "latency_below" is missing; add it'),
        ("errors_below: 0.1%", "errors_below: 1%, percentile: 99", "c.yaml:17:5: objectives[0]: an objective has either "
         "errors_below, or percentile and latency_below"),
        ("name: small", "name: Small Campaign", "c.yaml:2:7: name: a name has 1 to 63 of a-z 0-9 . _ - and begins with a "
         "letter or digit"),
        ("bucket: maul-test", "bucket: Maul", "c.yaml:3:36: target.bucket: a bucket name has 3 to 63 of a-z 0-9 . - and "
         "begins and ends with a letter or digit (S3's own rule)"),
        ("bucket: maul-test", "bucket: 10.0.0.1", "c.yaml:3:36: target.bucket: a bucket name has"),
        ("kind: load", "kind: laod", 'c.yaml:11:5: phases[1]: kind: "laod" is not understood (did you mean "load"?)'),
        ("kind: load", "kind: [load]", "c.yaml:11:5: phases[1]: kind: "),
        ("role: volume", "role: volumes", 'c.yaml:15:45: faults[0].role: "volumes" is not understood '
         '(did you mean "volume"?)'),
        ("fault: process.kill", "fault: kill", "c.yaml:15:25: faults[0].fault: expected family.fault, such as "
         "process.kill; `maul fault list` shows all"),
        ("endpoints: [vip]", "endpoints: []", "c.yaml:3:21: target.endpoints: needs at least 1 (has 0)"),
        ("endpoints: [vip]", "endpoints: vip", "c.yaml:3:21: target.endpoints: expected a list"),
        ("load: {in_flight: 64}", "load:", "c.yaml:8:1: load: expected keys and values"),
        ("load: {in_flight: 64}", "checks: [durabilty]",
         'c.yaml:8:10: checks[0]: "durabilty" is not understood (did you mean "durability"?)'),
        ("load: {in_flight: 64}", "checks: []", "c.yaml:8:9: checks: needs at least 1 (has 0)"),
        ("load: {in_flight: 64}", "seed: -1", "c.yaml:8:7: seed: must be at least 0"),
        ("load: {in_flight: 64}", "site:", "c.yaml:8:1: site: expected text"),
    ],
)  # fmt: skip
def test_one_wrong_key_or_value(old, new, message):
    assert message_of(with_line(old, new)).startswith(message)


def test_all_problems_come_at_once_in_the_order_of_the_file():
    text = (
        SOUND.replace("  size: 4KiB", "  size: 4 pounds")
        .replace("delete: 1", "delete: 9")
        .replace("phase: calm", "phase: clam")
        .replace("limits: {requests: 10000}", "limits: {rate: 10/s, rquests: 5}")
    )
    assert message_of(text) == (
        "c.yaml:6:9: workload.size: '4 pounds' is not a size; write bytes or a unit, such as 512, 4KiB, 1.5MB\n"
        'c.yaml:15:60: faults[0].phase: no phase is named "clam" (did you mean "calm"?)\n'
        'c.yaml:18:22: limits.rquests: unknown key (did you mean "requests"?)'
    )


def test_a_wrong_section_does_not_hide_what_is_wrong_between_the_others():
    text = with_line("  size: 4KiB", "  size: 4 pounds").replace("hold: 5s", "hold: 50s")
    lines = message_of(text).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["workload.size", "faults[0].hold"]


def test_very_many_problems_are_cut_short():
    keys = "".join(f"  k{number}: 1\n" for number in range(200))
    lines = message_of(with_line("  objects: 100\n", "  objects: 100\n" + keys)).splitlines()
    assert len(lines) == PROBLEMS_SHOWN_MAX + 1
    assert lines[-1] == "and 150 more"


def test_problems_are_there_for_machines_too():
    with pytest.raises(CampaignProblemsError) as caught:
        campaign.parse(with_line("objects: 100", "objects: 0"))
    assert [(problem.path, problem.says) for problem in caught.value.problems] == [
        (("workload", "objects"), "must be at least 1")
    ]


@pytest.mark.parametrize(
    "line",
    [
        "target: {endpoints: [vip], bucket: maul-test, credentials: {access_key_env: A, secret_key_env: 'p4ss/w0rd+'}}",
        "target: {endpoints: [vip], bucket: maul-test, credentials: {access_key: A, secret_key: 'p4ss/w0rd+'}}",
        "target: {endpoints: [vip], bucket: maul-test, credentials: 'p4ss/w0rd+'}",
        "target: {endpoints: [vip], bucket: maul-test, secret_key: 'p4ss/w0rd+'}",
    ],
)
def test_a_secret_that_was_pasted_here_is_not_repeated(line):
    text = with_line("target: {endpoints: [vip], bucket: maul-test}", line)
    assert "p4ss/w0rd" not in message_of(text)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["4KiB", "5s", "9/s"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
DOCUMENT = YAML(typ="safe").load(SOUND)
PATHS = [
    ("version",), ("name",), ("site",), ("target",), ("target", "endpoints"), ("target", "credentials"), ("workload",),
    ("workload", "size"), ("workload", "size", "weighted"), ("workload", "keys"), ("workload", "mix"),
    ("workload", "multipart"), ("load",), ("load", "shards"), ("phases",), ("phases", 0), ("phases", 0, "kind"),
    ("phases", 1), ("phases", 1, "rate"), ("phases", 1, "steps"), ("phases", 1, "ramp"), ("phases", 2, "through"),
    ("faults",), ("faults", 0), ("faults", 0, "phase"), ("objectives",), ("objectives", 0), ("objectives", 0, "phases"),
    ("checks",), ("limits",), ("limits", "rate"), ("seed",),
]  # fmt: skip


def planted(document, path, value):
    """A copy of the document with one value replaced; what is in the way of the path gives way."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(document, list) and isinstance(head, int):
        return [planted(item, rest, value) if index == head else item for index, item in enumerate(document)]
    copied = dict(document) if isinstance(document, dict) else {}
    return {**copied, str(head): planted(copied.get(str(head)), rest, value)}


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(PATHS), VALUES)
def test_no_value_anywhere_makes_anything_but_a_campaign_or_a_clear_error(path, value):
    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(planted(DOCUMENT, path, value), stream)
    try:
        campaign.parse(stream.getvalue(), "c.yaml")
    except CampaignError as error:
        assert all(line.startswith(("c.yaml:", "and ", "  ")) for line in error.message.splitlines())


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=60))
def test_no_text_makes_anything_but_a_clear_error(text):
    with pytest.raises(CampaignError, match=r"^c\.yaml"):
        campaign.parse(text, "c.yaml")
