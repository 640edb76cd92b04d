"""The permit as a file: what it may say, what is signed of it, and everything that looks like a permit and is none."""

import hashlib
import json

import pytest
from permits import BODY, KEYS, PUBLIC, permit, signed

from maul.core.errors import CampaignError
from maul.guard.permit_document import as_data, canonical_body, hash_of, moment_ns, moment_of
from maul.guard.permit_text import load_permit, load_trust, parse_permit, to_text

TARGET = BODY["targets"][0]


def test_the_hash_is_that_of_the_canonical_body():
    body = canonical_body(permit())
    data = json.loads(body)
    assert json.dumps(data, sort_keys=True, separators=(",", ":")).encode() == body
    assert "signatures" not in data and data["targets"][0]["caps"]["requests"] == 500.0
    assert hash_of(permit()) == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("as_json", [True, False])
def test_a_file_says_the_same_again_whatever_its_notation(tmp_path, as_json):
    made = signed()
    path = tmp_path / "permit"
    path.write_text(to_text(made, as_json=as_json))
    assert load_permit(path) == made and hash_of(load_permit(path)) == hash_of(permit())


def test_defaults_and_units_do_not_change_the_hash():
    explicit = permit(retrigger=False, resume=False, faults=False, consent={"every": "10s", "grace": "1m"})
    assert hash_of(explicit) == hash_of(permit())
    window = {"not_before": "2026-11-23T13:00:00+01:00", "not_after": "2026-11-23T16:00:00+00:00"}
    assert hash_of(permit(window=window)) == hash_of(permit())


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"retrigger": True},
        {"resume": True},
        {"faults": True},
        {"targets": [{**TARGET, "addresses": ["192.0.2.10"]}]},
        {"targets": [{**TARGET, "caps": {**TARGET["caps"], "in_flight": 257}}]},
        {"window": {**BODY["window"], "not_after": "2026-11-23T16:00:01Z"}},
        {"buckets": [{"bucket": "maul-test", "prefix": ""}]},
        {"approvers": BODY["approvers"][:1]},
        {"consent": {"grace": "61s"}},
    ],
)
def test_everything_else_changes_the_hash(change):
    assert hash_of(permit(**change)) != hash_of(permit())


def target(**changes):
    return {"targets": [{**TARGET, **changes}]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (target(addresses=["0.0.0.0/0"]), "expected an IP address"),
        (target(addresses=["192.0.2.0/24"]), "expected an IP address"),
        (target(addresses=["s3.example"]), "expected an IP address"),
        (target(addresses=["127.1"]), "expected an IP address"),
        (target(addresses=["0.0.0.0"]), "no address of one machine"),
        (target(addresses=["::"]), "no address of one machine"),
        (target(addresses=["255.255.255.255"]), "no address of one machine"),
        (target(addresses=["224.0.0.1"]), "no address of one machine"),
        (target(addresses=["::ffff:192.0.2.1"]), "mapped"),
        (target(addresses=["fe80::1%eth0"]), "scope"),
        (target(addresses=["2001:DB8::1"]), "write the address as 2001:db8::1"),
        (target(addresses=[]), "needs at least 1"),
        (target(port=0), "at least 1"),
        (target(host="s3.example/x"), "expected a host name"),
        (target(caps={"requests": 1}), "missing"),
        (target(caps={**TARGET["caps"], "requests": "inf"}), "not a rate"),
        ({"generators": [{"addresses": ["0.0.0.0/0"], "owner": "all"}]}, "too broad"),
        ({"generators": [{"addresses": ["10.0.0.0/8"], "owner": "all"}]}, "too broad"),
        ({"generators": [{"addresses": ["2001:db8::/32"], "owner": "all"}]}, "too broad"),
        ({"generators": [{"addresses": ["10.0.0.1/24"], "owner": "all"}]}, "has host bits set"),
        ({"generators": [{"owner": "all"}]}, "needs a name or addresses"),
        ({"generators": []}, "needs at least 1"),
        ({"window": {"not_before": "2026-11-23T12:00:00", "not_after": "2026-11-23T16:00:00Z"}}, "time zone"),
        ({"window": {"not_before": "2026-11-23T16:00:00Z", "not_after": "2026-11-23T12:00:00Z"}}, "must come after"),
        ({"window": {"not_before": "2026-11-23T12:00:00Z", "not_after": "2027-11-23T12:00:00Z"}}, "31 days at most"),
        ({"approvers": BODY["approvers"] * 2}, "stands there twice"),
        ({"approvers": [{"name": "a", "key": PUBLIC["storage"]}, {"name": "b", "key": PUBLIC["storage"]}]}, "twice"),
        ({"approvers": [{"name": "a", "key": "ed25519:abc"}]}, "expected a public key"),
        ({"targets": [TARGET, TARGET]}, "stands there twice"),
        ({"signatures": [{"by": "storage", "signature": "AAAA"}]}, "expected a signature"),
        ({"approvers": []}, "needs at least 1"),
        ({"version": 2}, "version"),
        ({"fautls": True}, 'did you mean "faults"'),
        ({"contacts": [{"name": "x\x1b[2J", "reach": "y"}]}, "contacts"),
        ({"consent": {"every": "1h"}}, "at most 60"),
    ],
)
def test_what_is_no_permit_is_told_with_its_place(change, says):
    with pytest.raises(CampaignError) as caught:
        permit(**change)
    assert says in caught.value.message and "permit.yaml" in caught.value.message


TRICKS = {
    "anchors": "version: &a 1\nname: *a\n",
    "a tag": "!!python/object/apply:os.system ['true']\n",
    "a merge": "base: &b {version: 1}\n<<: *b\n",
    "a key twice": "version: 1\nversion: 1\n",
    "two documents": "version: 1\n---\nversion: 1\n",
    "a bomb": "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
    + "".join(f"{x}: &{x} [{','.join([f'*{y}'] * 10)}]\n" for x, y in zip("cdefg", "bcdef", strict=True)),
    "depth": "a: " + "[" * 100 + "]" * 100,
    "a list": "- 1\n",
    "nothing": "",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_yaml_tricks_are_no_permits(trick):
    with pytest.raises(CampaignError):
        parse_permit(TRICKS[trick])


def test_a_huge_file_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "permit.yaml"
    with path.open("wb") as stream:
        stream.truncate(1 << 34)
    with pytest.raises(CampaignError, match="larger than 1 MiB"):
        load_permit(path)


def trust_file(tmp_path, text, mode=0o600):
    path = tmp_path / "trust.yaml"
    path.write_text(text)
    path.chmod(mode)
    return path


APPROVER = f"approvers: [{{name: storage, key: '{PUBLIC['storage']}'}}]\n"


def test_a_trust_file_that_others_may_write_is_not_trusted(tmp_path):
    assert load_trust(trust_file(tmp_path, APPROVER, 0o644)).approvers[0].name == "storage"
    for mode in (0o664, 0o646, 0o666):
        with pytest.raises(CampaignError, match="others may change"):
            load_trust(trust_file(tmp_path, APPROVER, mode))
    with pytest.raises(CampaignError, match="no file of trusted approvers"):
        load_trust(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("at_least: 2\n", "asks for 2 of 1"),
        ("at_least: 0\n", "at least 1"),
        ("required: [network]\n", "who is no approver"),
        (f"approvers: [{{name: a, key: '{PUBLIC['storage']}'}}, {{name: b, key: '{PUBLIC['storage']}'}}]\n", "one key"),
    ],
)
def test_a_trust_file_must_be_possible(tmp_path, more, says):
    text = more if more.startswith("approvers") else APPROVER + more
    with pytest.raises(CampaignError, match=says):
        load_trust(trust_file(tmp_path, text))


def test_moments():
    assert moment_of(moment_ns("2026-11-23T12:00:00Z") + 999) == "2026-11-23T12:00:00Z"


def test_no_private_key_is_in_what_is_printed():
    text = to_text(signed(), as_json=True) + repr(signed()) + str(as_data(signed()))
    assert all(key.decode().splitlines()[1] not in text for key in KEYS.values())
