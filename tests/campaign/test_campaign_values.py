"""A campaign is a value: frozen, complete, the same after a round trip, and described by its schema."""

import json

import jsonschema
import pytest
from campaign_texts import SOUND, with_line
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from maul import campaign
from maul.campaign.model import Campaign
from maul.campaign.model_phases import Steps
from maul.campaign.model_workload import LognormalSize, Mix, UniformSize, WeightedSize, mean_size_bytes
from maul.core.errors import CampaignError

SCHEMA = campaign.schema()


def document(text):
    return YAML(typ="safe").load(text)


def test_the_first_campaign_is_sound_and_short():
    first = campaign.load()
    assert first.site == "lab"
    assert first.site_path is None
    assert [phase.kind for phase in first.phases] == ["prepare", "warm-up", "load", "load", "audit", "clean-up"]
    assert sum(getattr(phase, "seconds", 0.0) for phase in first.phases) < 100
    assert first.text == campaign.first_text()


@pytest.mark.parametrize("text", [campaign.first_text(), SOUND])
def test_sound_campaigns_fit_the_schema(text):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(document(text), SCHEMA)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: 1", "version: 2"),
        ("size: 4KiB", "size: 4 pounds"),
        ("size: 4KiB", "size: {uniform: [1, 2], weighted: []}"),
        ("objects: 100", "objcts: 100"),
        ("rate: 50/s", "rate: fast"),
        ("kind: load", "kind: laod"),
        ("errors_below: 0.1%", "errors_below: 0.1%, percentile: 99, latency_below: 1s"),
        ("role: volume", "role: volumes"),
        ("bucket: maul-test", "bucket: m"),
    ],
)
def test_the_schema_refuses_what_we_refuse(old, new):
    with pytest.raises(CampaignError):
        campaign.parse(with_line(old, new))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document(with_line(old, new)), SCHEMA)


def test_every_key_of_the_schema_is_described():
    def undescribed(node, path):
        for name, body in node.get("properties", {}).items():
            if "description" not in body and "$ref" not in body and "items" not in body:
                yield f"{path}.{name}"
        for name, body in node.get("$defs", {}).items():
            yield from undescribed(body, name)

    silent = [path for path in undescribed(SCHEMA, "") if not path.endswith((".name", ".kind", ".mix"))]
    assert silent == []


def test_nothing_can_be_changed_afterwards():
    small = campaign.parse(SOUND)
    with pytest.raises(ValidationError):
        small.seed = 2
    with pytest.raises(ValidationError):
        small.workload.mix.get = 9
    assert isinstance(small.phases, tuple)


@pytest.mark.parametrize("text", [campaign.first_text(), SOUND])
def test_a_dump_reads_back_to_the_same_value(text):
    read = campaign.parse(text)
    again = Campaign.model_validate(json.loads(read.model_dump_json(by_alias=True)))
    assert dict(again) == dict(read)


def test_units_become_base_units():
    text = with_line(
        "limits: {requests: 10000}", "limits: {bandwidth: 1.5MB/s, duration: 2m, error_ratio: 5%, bytes: 1GiB}"
    )
    limits = campaign.parse(text).limits
    assert (limits.bandwidth_bytes_per_s, limits.duration_s, limits.error_ratio, limits.total_bytes) == (
        1_500_000, 120.0, 0.05, 2**30,
    )  # fmt: skip


def test_a_site_stands_beside_its_campaign(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(SOUND + "site: ../place/site.yaml\n", encoding="utf-8")
    assert campaign.load(path).site_path == str(tmp_path / "../place/site.yaml")
    path.write_text(SOUND + "site: /abs/site.yaml\n", encoding="utf-8")
    assert campaign.load(str(path)).site_path == "/abs/site.yaml"


def test_places_survive_loading():
    small = campaign.parse(SOUND, "c.yaml")
    assert small.where("limits", "requests") == "c.yaml:18:10"
    assert small.where("limits", "duration") == "c.yaml:18:1"
    assert Campaign.model_validate(document(SOUND)).where("limits") == ""


def test_credentials_are_names_not_keys():
    text = with_line("bucket: maul-test}", "bucket: maul-test, credentials: {access_key_env: AK, secret_key_env: SK}}")
    credentials = campaign.parse(text).target.credentials
    assert (credentials.access_key_env, credentials.secret_key_env) == ("AK", "SK")


def test_the_mix_speaks_the_engines_names():
    assert Mix.model_validate({"list": 2, "get": 1, "put": 0}).by_op() == {"get": 1.0, "list": 2.0}


@settings(deadline=None)
@given(st.floats(0.01, 1e5), st.floats(1.0, 100.0), st.integers(2, 50), st.sampled_from(["geometric", "linear"]))
def test_steps_rise_evenly_from_first_to_last(low, factor, count, spacing):
    steps = Steps.model_validate({"from": low, "to": low * factor, "count": count, "each": 1, "spacing": spacing})
    rates = steps.rates_per_s()
    assert len(rates) == count
    assert rates == sorted(rates)
    middle = rates[1] - rates[0] if spacing == "linear" else low * (rates[-1] / low) ** (1 / (count - 1)) - low
    assert rates[1] - rates[0] == pytest.approx(middle, rel=0.01, abs=0.002)
    assert rates[0] == pytest.approx(low, abs=0.001)
    assert rates[-1] == pytest.approx(low * factor, rel=1e-6, abs=0.001)


def test_mean_sizes():
    assert mean_size_bytes(4096) == 4096.0
    assert mean_size_bytes(UniformSize.model_validate({"uniform": [0, 100]})) == 50.0
    weighted = [{"size": 100, "weight": 3}, {"size": 200, "weight": 1}]
    assert mean_size_bytes(WeightedSize.model_validate({"weighted": weighted})) == 125.0
    wild = {"lognormal": {"median": "1KiB", "sigma": 3, "max": "2KiB"}}
    assert mean_size_bytes(LognormalSize.model_validate(wild)) == 2048.0
