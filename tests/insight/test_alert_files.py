"""Alerts written for a site: right by promtool where it is installed, and every condition of the alert needed."""

import json
import re
import shutil
import subprocess  # noqa: TID251 — asks the tool that the files are for
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from maul import site as sites
from maul.core.errors import CampaignError
from maul.insight.alerts import files_of, watches
from maul.insight.alerts.promql import example
from maul.insight.alerts.rule_tests import DAYS
from maul.insight.alerts.rules import ALERT, BLIND, SERIES, clauses
from maul.site import Site
from maul.site.model_vantage import Lookout

EXAMPLE = Path(__file__).parents[2] / "examples" / "sites" / "three-racks.yaml"
RULES, TESTS, BOOK = "vip-black-holed.rules.yaml", "vip-black-holed.test.yaml", "RUNBOOK-vip-black-holed.md"
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Prometheus) is not installed")


def changed(**changes: Any) -> Site:
    """The example with other parts."""
    site = sites.load(EXAMPLE)
    return Site.model_validate(site.model_dump(by_alias=True, exclude_none=True) | changes)


def door(name: str, kind: str, url: str) -> dict[str, Any]:
    return {"name": name, "kind": kind, "url": url, "serves": ["s3-1"]}


def told() -> Site:
    """A site that says all that the alert asks for."""
    site = sites.load(EXAMPLE).model_dump(by_alias=True, exclude_none=True)
    site["endpoints"] = [*site["endpoints"], door("control", "control", "https://10.21.0.10")]
    site["vantage"] = {
        "lookouts": [
            {"name": "far", "role": "external", "endpoint": "s3", "prometheus": "http://10.0.0.5:9090",
             "selector": 'job="canary", target=~"s3|s3-old"'},
            {"name": "near", "role": "control", "endpoint": "control", "prometheus": "http://10.0.0.5:9090",
             "selector": 'job="canary", target="control", probe!="icmp"'},
        ],
        "balancers": [{"service": "haproxy-1", "table": "inet watch"}],
    }  # fmt: skip
    return Site.model_validate(site)


def parsed(text: str) -> Any:
    return YAML(typ="safe").load(text)


def run_promtool(folder: Path, *words: str) -> tuple[int, str]:
    found = subprocess.run(["promtool", *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return found.returncode, found.stdout + found.stderr


def written(folder: Path, site: Site) -> dict[str, str]:
    files = files_of(site)
    for name, text in files.items():
        (folder / name).write_text(text)
    return files


def two_doors() -> Site:
    site = sites.load(EXAMPLE).model_dump(by_alias=True, exclude_none=True)
    site["endpoints"] = [*site["endpoints"], door("old", "balancer", "https://10.20.0.11")]
    site["network"]["vips"] = [
        *site["network"]["vips"],
        {"name": "old", "address": "10.20.0.11", "endpoint": "old", "hosts": ["lb-1"]},
    ]
    return Site.model_validate(site)


@promtool
@pytest.mark.parametrize("site", [told, changed, two_doors], ids=["all told", "little told", "shared balancers"])
def test_promtool_takes_the_rules_and_their_tests_pass(site, tmp_path):
    for name in written(tmp_path, site()):
        if name.endswith("yaml"):
            code, says = run_promtool(tmp_path, "check" if "rules.yaml" in name else "test", "rules", name)
            assert code == 0, says


@promtool
@pytest.mark.parametrize("place", range(5))
def test_without_any_one_condition_a_test_of_the_rules_fails(place, tmp_path):
    files = written(tmp_path, told())
    parts = clauses(watches(told())[0])
    kept = [part for at, part in enumerate(parts) if at != place]
    document = parsed(files[RULES])
    alert = next(rule for rule in document["groups"][0]["rules"] if rule.get("alert") == ALERT)
    alert["expr"] = " and on (vip) ".join(kept)
    (tmp_path / RULES).write_text(json.dumps(document))
    code, says = run_promtool(tmp_path, "test", "rules", TESTS)
    assert code == 1, f"nothing noticed that {parts[place]} was gone"
    assert "FAILED" in says


@promtool
def test_it_rings_within_a_hundred_seconds(tmp_path):
    files = written(tmp_path, told())
    document = parsed(files[TESTS])
    hole = next(test for test in document["tests"] if test["name"] == "black-holed")
    for asked in hole["alert_rule_test"]:
        if asked["eval_time"] == "12m":
            asked["eval_time"] = "11m40s"
    document["tests"] = [hole]
    (tmp_path / TESTS).write_text(json.dumps(document))
    assert run_promtool(tmp_path, "test", "rules", TESTS)[0] == 0


def test_the_rules_are_of_the_site():
    document = parsed(files_of(told())[RULES])
    rules = document["groups"][0]["rules"]
    recorded = {rule["record"]: rule for rule in rules if "record" in rule}
    assert set(recorded) == set(SERIES)
    assert all(rule["labels"] == {"vip": "s3"} for rule in recorded.values())
    text = "".join(rule["expr"] for rule in recorded.values())
    assert 'probe_success{job="canary", target=~"s3|s3-old"}' in text
    assert 'instance=~"10[.]20[.]3[.]1:8405|10[.]20[.]3[.]2:8405"' in text
    assert [rule["alert"] for rule in rules if "alert" in rule] == [ALERT, *[BLIND] * 5]
    assert "PLACEHOLDER" not in files_of(told())[RULES]


def test_what_the_site_does_not_say_is_a_placeholder_that_is_told():
    site = changed()
    watch = watches(site)[0]
    assert any("no control address" in says for says in watch.guesses)
    assert any("probes https://10.20.0.10" in says for says in watch.guesses)
    files = files_of(site)
    assert all("PLACEHOLDER" in files[name] for name in (RULES, BOOK))
    assert watches(told())[0].guesses == ()


def test_without_a_control_address_the_private_one_proves_that_the_balancers_are_well():
    site = sites.load(EXAMPLE).model_dump(by_alias=True, exclude_none=True)
    site["endpoints"] = [*site["endpoints"], door("private", "private", "https://10.20.3.1:8443")]
    watch = watches(Site.model_validate(site))[0]
    assert watch.elsewhere == "inside"
    assert [one.what for one in watch.controls] == ["https://10.20.3.1:8443"]
    assert "within the cluster" in files_of(Site.model_validate(site))[BOOK]


def test_several_addresses_have_files_of_their_own_and_shared_balancers_are_told():
    files = files_of(two_doors())
    assert sorted(files) == sorted(
        name
        for stem in ("vip-black-holed-s3", "vip-black-holed-old")
        for name in (f"{stem}.rules.yaml", f"{stem}.test.yaml", f"RUNBOOK-{stem}.md")
    )
    assert 'proxy=~".+"' in files["vip-black-holed-old.rules.yaml"]
    assert any("hides the hole" in says for watch in watches(two_doors()) for says in watch.guesses)
    assert [one.name for one in watches(two_doors())[1].balancers] == ["haproxy-1"]


def test_the_runbook_names_this_site():
    text = files_of(told(), ["NOC: 1234"])[BOOK]
    for words in (
        "`10.20.0.10`",
        "haproxy-2 (`http://10.20.3.2:8405/metrics`)",
        "https://10.21.0.10",
        "ssh 10.20.3.1 'sudo nft list table inet watch",
        "--connect-to s3.example.net:443:10.20.0.10:443",
        "- NOC: 1234",
        "Do not restart",
        "Do not retry harder",
        "until five in a row are answered",
    ):
        assert words in text
    assert len(re.findall(r"^\d\. .*\n\n   ```sh$", text, re.MULTILINE)) == 5


def test_what_is_said_in_the_tests_covers_the_ways_to_be_wrong():
    names = " ".join(day.name for day in DAYS)
    for words in ("night", "saturation", "balancer is down", "nobody probes", "free again"):
        assert words in names
    assert {day.name for day in DAYS if day.rings} == {
        "black-holed",
        "black-holed, and free again",
        "black-holed at night, when nobody comes",
    }


@promtool
def test_a_template_in_a_url_is_not_expanded(tmp_path):
    site = sites.load(EXAMPLE).model_dump(by_alias=True, exclude_none=True)
    site["endpoints"][0]["url"] = "https://{{$value}}"
    written(tmp_path, Site.model_validate(site))
    code, says = run_promtool(tmp_path, "test", "rules", TESTS)
    assert code == 0, says


@pytest.mark.parametrize("kind", ["gateway", "control"])
def test_a_site_without_a_public_address_is_refused(kind):
    with pytest.raises(CampaignError, match="no endpoint of kind balancer"):
        files_of(changed(endpoints=[door("a", kind, "https://10.0.0.1")]))


def test_a_site_without_balancers_is_refused():
    with pytest.raises(CampaignError, match="no service of role balancer"):
        files_of(changed(services=[{"name": "s3-1", "role": "gateway", "host": "store-1"}]))


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ('a="b"', {"a": "b"}),
        ('a="x,}\\"y", b=~"p.*"', {"a": 'x,}"y', "b": "p.*"}),
        ('a=~"("', None),
        ('a!~".*"', None),
        ('a="b" c="d"', None),
        ("a", None),
        ('a="\\x"', None),
    ],
)
def test_an_example_is_one_that_the_selector_takes(labels, found):
    assert example(labels) == found


def test_where_no_example_can_be_made_the_tests_say_so():
    lookout = Lookout.model_validate(
        {"name": "f", "role": "external", "endpoint": "s3", "prometheus": "http://a:1", "selector": 'a=~"[0-9]{9}"'}
    )
    site = told()
    blind = site.model_copy(update={"vantage": site.vantage.model_copy(update={"lookouts": (lookout,)})})
    text = files_of(blind)[TESTS]
    assert "no test was written" in text
    assert parsed(text)["tests"] == []
