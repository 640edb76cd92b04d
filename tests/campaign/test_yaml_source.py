"""Reading YAML: places, bounds, and every way in which a file can be no campaign at all."""

# ruff: noqa: E501 (messages stand here whole, as a person reads them)

import os

import pytest

from maul.campaign.yaml_source import DEPTH_MAX, FILE_BYTES_MAX, NODES_MAX, parse_text, read_file
from maul.core.errors import CampaignError


def message_of(text: str) -> str:
    with pytest.raises(CampaignError) as caught:
        parse_text(text, "c.yaml")
    return caught.value.message


def test_plain_values_and_their_places():
    source = parse_text(
        "a: 1\nb:\n  - x\n  - {c: 0x10, d: ~, e: yes, f: true, g: 1_000, h: 012, i: 2026-11-22}\n", "c.yaml"
    )
    inner = {"c": 16, "d": None, "e": "yes", "f": True, "g": 1000, "h": 12, "i": "2026-11-22"}
    assert source.data == {"a": 1, "b": ["x", inner]}
    assert source.where(("a",)) == "c.yaml:1:1"
    assert source.where_value(("a",)) == "c.yaml:1:4"
    assert source.where(("b", 1, "d")) == "c.yaml:4:15"
    assert source.where_value(("b", 1, "nothing", 7)) == "c.yaml:4:5"
    assert source.where(("nothing",)) == "c.yaml:1:1"


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_file(path).data == {"a": 1, "b": 2}


def test_aliases_unfold_and_point_at_their_origin():
    source = parse_text("a: &x {k: 1}\nb: *x\n", "c.yaml")
    assert source.data == {"a": {"k": 1}, "b": {"k": 1}}
    assert source.where(("b", "k")) == "c.yaml:1:8"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "c.yaml: is empty\n  a campaign needs at least its required keys"),
        ("# only a comment\n", "c.yaml: is empty\n  a campaign needs at least its required keys"),
        ("- a\n- b\n", "c.yaml:1:1: is no campaign: expected keys and values at the top"),
        ("just text", "c.yaml:1:1: is no campaign: expected keys and values at the top"),
        (
            "a: [1, 2\nb: 3\n",
            "c.yaml:2:2: is not YAML: expected ',' or ']', but got ':' (while parsing a flow sequence)",
        ),
        ("a: 1\n b: 2\n", "c.yaml:2:3: is not YAML: mapping values are not allowed here"),
        (
            "\ta: 1\n",
            "c.yaml:1:1: is not YAML: found character '\\t' that cannot start any token (while scanning for the next token)",
        ),
        ("a: *nobody\n", "c.yaml:1:4: is not YAML: found undefined alias 'nobody'"),
        ("a: 1\na: 2\n", 'c.yaml:2:1: the key "a" stands here a second time\n  it is already on line 1'),
        ("x:\n  k: 1\n  j: 2\n  k: 3\n", 'c.yaml:4:3: the key "k" stands here a second time\n  it is already on line 2'),
        ("a: &a [*a]\n", "c.yaml:1:4: an alias contains itself"),
        ("b: &b {k: 1}\na:\n  <<: *b\n", 'c.yaml:3:3: merge keys ("<<") are not understood\n  write the keys out'),
        ("a: !!python/object:os.system {}\n", "c.yaml:1:4: the tag tag:yaml.org,2002:python/object:os.system is not "
         "understood\n  write plain values without tags"),
        ("a: !secret x\n", "c.yaml:1:4: the tag !secret is not understood"),
        ("? [1, 2]\n: 3\n", "c.yaml:1:3: a key must be a single word"),
        ("a: 1\n---\nb: 2\n", "c.yaml:2:1: is not YAML: but found another document (expected a single document in the stream)"),
        ("a: " + "9" * 5000, "c.yaml:1:4: a number of 5000 characters is not understood"),
        ("a: b\x07c\n", "c.yaml:1: contains a character that YAML does not allow\n  remove control characters"),
    ],
)  # fmt: skip
def test_what_is_no_campaign_is_one_clear_error(text, message):
    assert message_of(text) == message


def test_an_anchor_may_be_used_again():
    assert parse_text("a: &x 1\nb: &x 2\nc: *x\n", "c.yaml").data == {"a": 1, "b": 2, "c": 2}


def test_an_alias_bomb_is_bounded():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert f"has more than {NODES_MAX} values, aliases unfolded" in message_of("\n".join(lines))


@pytest.mark.parametrize("opener", ["[", "{a: ", "- ", "? "])
def test_depth_is_bounded(opener):
    message = message_of(opener * 5000)
    assert message.startswith("c.yaml:1:")
    assert message.endswith(f": is nested deeper than {DEPTH_MAX}")


def test_depth_that_people_use_is_allowed():
    assert parse_text("a: " + "[" * (DEPTH_MAX - 1) + "]" * (DEPTH_MAX - 1), "c.yaml").data


def test_the_number_of_values_is_bounded():
    assert message_of("a: [" + "1," * NODES_MAX + "]").endswith(f": has more than {NODES_MAX} values")


def test_a_file_that_is_no_campaign_file(tmp_path):
    def message(path):
        with pytest.raises(CampaignError) as caught:
            read_file(path)
        return caught.value.message.replace(str(tmp_path), "DIR")

    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0\0")
    (tmp_path / "latin").write_bytes(b"a: 1\nname: caf\xe9\n")
    (tmp_path / "huge").write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    os.mkfifo(tmp_path / "pipe")
    assert message(tmp_path) == "DIR: is a directory\n  name a campaign file in it"
    assert message(tmp_path / "none") == "DIR/none: no such file\n  check the path; a campaign is a YAML file"
    assert message(tmp_path / "pipe") == "DIR/pipe: is no regular file\n  a campaign is a YAML file"
    assert message(tmp_path / "binary") == (
        "DIR/binary: is not text: it contains NUL bytes\n  a campaign is a YAML file in UTF-8"
    )
    assert message(tmp_path / "latin") == "DIR/latin:2: is not UTF-8\n  save the campaign as UTF-8"
    assert message(tmp_path / "huge") == "DIR/huge: is larger than 1 MiB\n  a campaign is a short YAML file"
    assert message(tmp_path / ("n" * 300)).endswith("a campaign is a YAML file")


def test_the_largest_allowed_file_is_read(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"a: 1\n#" + b"x" * (FILE_BYTES_MAX - 6))
    assert read_file(path).data == {"a": 1}
