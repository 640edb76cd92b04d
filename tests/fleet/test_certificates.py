"""Who is who: only the holder of a name's own key can prove it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from maul.core.errors import CampaignError, MachineError
from maul.fleet import certificates
from maul.fleet.certificates import CONDUCTOR, SCHEDULER, Folder, agent, proof_fault, prove

CHALLENGE = b"n" * 32, b"session"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    path = tmp_path_factory.mktemp("fleet")
    certificates.init(path, ["a", "b"])
    return Folder(path)


def test_keys_are_ours_alone_small_and_short_lived(folder):
    for who in (SCHEDULER, CONDUCTOR, agent("a"), agent("b")):
        assert folder.key(who).stat().st_mode & 0o777 == 0o600
        key = serialization.load_pem_private_key(folder.key(who).read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
        found = x509.load_pem_x509_certificate(folder.certificate(who).read_bytes())
        assert found.not_valid_after_utc < datetime.now(UTC) + timedelta(days=certificates.DAYS, hours=1)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [who.uri]
        folder.check(who)
    assert folder.ca_key.stat().st_mode & 0o777 == 0o600


def test_an_agent_proves_its_own_name_and_no_other(folder):
    ca = folder.ca.read_bytes()
    proof = prove(folder, agent("a"), *CHALLENGE)
    assert proof_fault(ca, agent("a"), CHALLENGE, proof) is None
    assert proof_fault(ca, agent("b"), CHALLENGE, proof) is not None
    # what b can make: a signature that says "a" with b's key, under b's or a's certificate (which is no secret)
    forged = certificates._load_key(folder.key(agent("b"))).sign(
        certificates._said(agent("a"), *CHALLENGE), ec.ECDSA(certificates.hashes.SHA256())
    )
    for certificate in (agent("a"), agent("b")):
        assert proof_fault(ca, agent("a"), CHALLENGE, (folder.certificate(certificate).read_bytes(), forged))


def test_an_old_answer_is_no_answer_to_a_new_question(folder):
    proof = prove(folder, agent("a"), *CHALLENGE)
    ca = folder.ca.read_bytes()
    assert proof_fault(ca, agent("a"), (b"m" * 32, b"session"), proof)
    assert proof_fault(ca, agent("a"), (b"n" * 32, b"another"), proof)


def test_another_authority_and_an_old_certificate_are_refused(folder, tmp_path):
    certificates.init(tmp_path, ["a"])
    proof = prove(Folder(tmp_path), agent("a"), *CHALLENGE)
    assert proof_fault(folder.ca.read_bytes(), agent("a"), CHALLENGE, proof)
    late = datetime.now(UTC) + timedelta(days=certificates.DAYS + 1)
    own = prove(folder, agent("a"), *CHALLENGE)
    assert "out of date" in str(proof_fault(folder.ca.read_bytes(), agent("a"), CHALLENGE, own, late))


@pytest.mark.parametrize("garbage", [(b"", b""), (b"-----BEGIN CERTIFICATE-----\nx", b"y"), (b"\xff" * 99, b"\x00")])
def test_garbage_is_no_proof(folder, garbage):
    assert proof_fault(folder.ca.read_bytes(), agent("a"), CHALLENGE, garbage)


def test_init_makes_what_is_missing_and_leaves_the_rest(folder):
    before = folder.certificate(agent("a")).read_bytes()
    assert certificates.init(folder.path, ["a", "c"]) == [agent("c")]
    assert folder.certificate(agent("a")).read_bytes() == before
    assert certificates.init(folder.path, ["a"]) == []


def test_renewing_makes_a_new_authority(tmp_path):
    certificates.init(tmp_path, ["a"])
    old = Folder(tmp_path).ca.read_bytes()
    assert agent("a") in certificates.init(tmp_path, ["a"], renew=True)
    assert proof_fault(old, agent("a"), CHALLENGE, prove(Folder(tmp_path), agent("a"), *CHALLENGE))


def test_what_is_missing_open_or_old_is_told(tmp_path):
    with pytest.raises(MachineError, match="maul fleet init"):
        Folder(tmp_path).check(CONDUCTOR)
    certificates.init(tmp_path, ())
    with pytest.raises(MachineError, match="good until"):
        Folder(tmp_path).check(CONDUCTOR, datetime.now(UTC) + timedelta(days=40))
    Folder(tmp_path).key(CONDUCTOR).chmod(0o644)
    with pytest.raises(MachineError, match="chmod 600"):
        Folder(tmp_path).check(CONDUCTOR)


@pytest.mark.parametrize("name", ["", "../x", "A", "a/b", "a b"])
def test_only_names_are_names(name, tmp_path: Path):
    with pytest.raises(CampaignError):
        certificates.init(tmp_path, [name])
