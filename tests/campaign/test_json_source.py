"""A file that is JSON is read as the YAML that it is, only faster."""

import pytest

from maul.campaign.json_source import plain_json
from maul.campaign.yaml_source import Bounds, parse_text
from maul.core.errors import CampaignError

DOCUMENT = '{\n  "a": [1, -2.5, 1e3, true, null, "x\\u00e9\\n"],\n  "b": {"c": "12:30", "d": {}}\n}\n'


def test_both_readers_agree():
    fast = parse_text(DOCUMENT, "s")
    slow = parse_text("# a comment keeps it from being JSON\n" + DOCUMENT, "s")
    assert plain_json(DOCUMENT, 100) == fast.data == slow.data
    assert type(fast.keys) is not type(slow.keys)


def test_places_are_found_when_they_are_asked_for():
    source = parse_text(DOCUMENT, "s.json")
    assert source.where_value(("a", 1)) == "s.json:2:12"
    assert source.where(("b", "c")) == "s.json:3:9"
    assert len(source.keys) == 4


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 2}', '{"a": NaN}', '{"a": "\\ud800"}', "[1]", "a: 1", '{"a": ' * 5000, "{a: 1}"]
)
def test_what_might_be_read_otherwise_goes_the_long_way(text):
    assert plain_json(text, 100) is None


def test_a_doubled_key_is_refused_with_its_place():
    with pytest.raises(CampaignError, match='s:1:10: the key "a" stands here a second time'):
        parse_text('{"a": 1, "a": 2}', "s")


def test_bounds_hold():
    text = '{"a": [' + "1, " * 50 + "1]}"
    assert parse_text(text, "s", bounds=Bounds(nodes=200)).data["a"] == [1] * 51
    with pytest.raises(CampaignError, match="has more than 20 values"):
        parse_text(text, "s", bounds=Bounds(nodes=20))
