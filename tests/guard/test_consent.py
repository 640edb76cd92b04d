"""Consent, judged: every target must agree, silence is borne for a while, a no is asked twice."""

import pytest

from maul.core.consent import ConsentAnswer, Way
from maul.guard.consent import Consented, ConsentState, Standing, consented, next_consent, proven_by

HASH, OTHER = "a" * 64, "b" * 64
S = 10**9


def said(way=Way.OBJECT, *found, sure=True, endpoint="vip"):
    return ConsentAnswer(endpoint, way, found, sure, "what it said")


YES, NO, BUSY = said(Way.OBJECT, HASH), said(Way.OBJECT), said(Way.OBJECT, sure=False)


@pytest.mark.parametrize(
    ("answers", "standing"),
    [
        ({"vip": [YES]}, Standing.GIVEN),
        ({"vip": [NO, said(Way.HEADER, HASH)]}, Standing.GIVEN),
        ({"vip": [BUSY, said(Way.DNS, OTHER, HASH)]}, Standing.GIVEN),
        ({"vip": [NO, said(Way.HEADER), said(Way.DNS)]}, Standing.REFUSED),
        ({"vip": [said(Way.OBJECT, OTHER)]}, Standing.REFUSED),
        ({"vip": [NO, said(Way.DNS, sure=False)]}, Standing.UNTOLD),
        ({"vip": []}, Standing.UNTOLD),
        ({}, Standing.REFUSED),
        ({"vip": [YES], "s3-1": [NO]}, Standing.REFUSED),
        ({"vip": [YES], "s3-1": [BUSY]}, Standing.UNTOLD),
        ({"vip": [BUSY], "s3-1": [NO]}, Standing.REFUSED),
        ({"vip": [NO], "s3-1": [BUSY]}, Standing.REFUSED),
    ],
)
def test_every_endpoint_must_agree(answers, standing):
    seen = consented(HASH, answers)
    assert seen.standing is standing and bool(seen.says) == (standing is not Standing.GIVEN)


def test_who_agreed_in_one_way_and_now_says_no_there_has_withdrawn():
    silent_dns = [NO, said(Way.HEADER), said(Way.DNS, sure=False)]
    assert consented(HASH, {"vip": silent_dns}, {"vip": Way.OBJECT}).standing is Standing.REFUSED
    assert consented(HASH, {"vip": silent_dns}, {"vip": Way.DNS}).standing is Standing.UNTOLD
    assert proven_by(HASH, {"vip": [NO, said(Way.HEADER, HASH)], "s3-1": [NO]}) == {"vip": Way.HEADER}


def test_the_hash_of_another_permit_is_named():
    assert "of another permit (bbbbbbbbbbbb…)" in consented(HASH, {"vip": [said(Way.OBJECT, OTHER)]}).says


def run(*seen, grace_s=60.0, every_s=10):
    state, reasons = ConsentState(0), []
    for number, standing in enumerate(seen, 1):
        state, reason = next_consent(state, Consented(standing, "why"), number * every_s * S, grace_s)
        reasons.append(reason)
    return reasons


def test_one_no_is_asked_again_and_two_stop():
    assert run(Standing.GIVEN, Standing.REFUSED) == [None, None]
    assert run(Standing.REFUSED, Standing.GIVEN, Standing.REFUSED)[-1] is None
    assert "withdrew its consent (why)" in run(Standing.REFUSED, Standing.REFUSED)[-1]
    assert "withdrew" in run(Standing.REFUSED, Standing.UNTOLD, Standing.REFUSED)[-1], "silence is no yes"


def test_silence_is_borne_for_its_grace_and_no_longer():
    assert run(*[Standing.UNTOLD] * 6) == [None] * 6
    assert "for 1 min 10 s nobody could confirm" in run(*[Standing.UNTOLD] * 7)[-1]
    assert run(*[Standing.UNTOLD] * 6, Standing.GIVEN, *[Standing.UNTOLD] * 6)[-1] is None
