"""Signatures: only those of trusted approvers, over exactly this permit, under their own names."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from permits import BODY, KEYS, PUBLIC, permit, refused, reparsed, signed, trust

from maul.core.errors import CampaignError, ExitCode, PermitError
from maul.guard.permit_document import Signature, hash_of
from maul.guard.signing import new_key, public_key, sign, signed_message, verify


def test_a_permit_that_all_have_signed_holds():
    found = verify(signed(), trust())
    assert (found.approved_by, found.hash) == (("storage", "network"), hash_of(permit()))


def test_a_signature_can_be_checked_without_maul():
    (one, _) = signed().signatures
    raw = Ed25519PublicKey.from_public_bytes(base64.b64decode(PUBLIC[one.by].removeprefix("ed25519:")))
    raw.verify(base64.b64decode(one.signature), f"maul permit 1\n{one.by}\n{hash_of(permit())}\n".encode())


@pytest.mark.parametrize(
    "change",
    [
        {"targets": [{**BODY["targets"][0], "addresses": ["203.0.113.9"]}]},
        {"window": {**BODY["window"], "not_after": "2026-11-24T16:00:00Z"}},
        {"faults": True},
        {"approvers": BODY["approvers"][:1]},
        {"name": "other"},
    ],
)
def test_what_was_changed_after_signing_does_not_hold(change):
    assert "is not of this permit" in refused(reparsed(signed(), **change))


def test_a_flipped_bit_of_a_signature_does_not_hold():
    made = signed()
    first = bytearray(base64.b64decode(made.signatures[0].signature))
    for place in (0, 31, 32, 63):
        flipped = bytes([*first[:place], first[place] ^ 1, *first[place + 1 :]])
        one = Signature(by=made.signatures[0].by, signature=base64.b64encode(flipped).decode())
        assert "is not of this permit" in refused(made.model_copy(update={"signatures": (one, *made.signatures[1:])}))


def test_the_signature_of_another_permit_does_not_hold():
    other = signed(permit(name="other"))
    assert "is not of this permit" in refused(permit().model_copy(update={"signatures": other.signatures}))


def test_swapped_names_do_not_hold():
    made = signed()
    one, two = made.signatures
    swapped = (Signature(by=two.by, signature=one.signature), Signature(by=one.by, signature=two.signature))
    assert "is not of this permit" in refused(made.model_copy(update={"signatures": swapped}))
    keys = [{"name": "storage", "key": PUBLIC["network"]}, {"name": "network", "key": PUBLIC["storage"]}]
    resigned = reparsed(made, approvers=keys, signatures=[])
    resigned = sign(sign(resigned, KEYS["network"], "storage", ""), KEYS["storage"], "network", "")
    assert "has another key here" in refused(resigned)


def test_a_key_that_nobody_knows_counts_for_nothing():
    stranger = new_key()
    mine = [{"name": "storage", "key": public_key(stranger, "")}]
    assert "has another key here" in refused(sign(permit(approvers=mine), stranger, "storage", ""))
    mine[0]["name"] = "ceo"
    assert "ceo is not trusted" in refused(sign(permit(approvers=mine), stranger, "ceo", ""))


def test_every_one_must_sign():
    assert "network has not signed" in refused(signed(permit(), "storage"))
    assert "storage has not signed; network has not signed" in refused(permit())


def test_who_is_no_approver_may_not_sign():
    extra = signed(permit(approvers=[{"name": "security", "key": PUBLIC["security"]}])).signatures
    made = signed()
    assert "who is no approver" in refused(made.model_copy(update={"signatures": (*made.signatures, *extra)}))


def test_the_machine_says_how_many_and_who():
    alone = signed(permit(approvers=BODY["approvers"][:1]))
    verify(alone, trust())
    assert "asks for 2" in refused(alone, trust(at_least=2))
    assert "network must approve" in refused(alone, trust(required=("network",)))


def test_a_refusal_is_exit_code_4():
    with pytest.raises(PermitError) as caught:
        verify(permit(), trust())
    assert caught.value.exit_code is ExitCode.NOT_PERMITTED and "nothing was sent" in caught.value.message


def test_only_the_right_key_signs():
    with pytest.raises(CampaignError, match="not the key that the permit names"):
        sign(permit(), KEYS["network"], "storage", "k")
    with pytest.raises(CampaignError, match="does not ask 'ceo'"):
        sign(permit(), KEYS["network"], "ceo", "k")
    for no_key in (
        b"",
        b"secret words",
        KEYS["storage"][:60],
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ):
        with pytest.raises(CampaignError) as caught:
            sign(permit(), no_key, "storage", "k")
        assert "secret" not in caught.value.message


def test_signing_again_replaces():
    once = signed()
    assert signed(once) == once and len(signed(once).signatures) == 2


def test_the_message_names_who_and_what():
    assert signed_message("a", "b") != signed_message("a\nb", "") and b"\na\n" in signed_message("a", "b")
