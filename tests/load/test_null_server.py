"""The null server from Python: what calibrations and benches stand on."""

import pytest
import trustme

from engine_plans import engine_plan
from maul.core.errors import InternalError
from maul.core.operation import ErrorClass
from maul.load import NullServer, RustGenerator


def verified_gets(url: str, ca_pem: str | None, run: int, size: int) -> RustGenerator:
    plan = engine_plan(url, run=run, verify=True)
    plan["endpoints"][0]["ca_pem"] = ca_pem
    plan["s3"]["bucket"] = f"null-{size}"
    plan["keyspace"] |= {"fixed_key": None, "objects": 20}
    return RustGenerator(plan)


@pytest.mark.parametrize("encrypted", [False, True])
def test_its_bodies_verify(encrypted: bool) -> None:
    authority = trustme.CA()
    pem = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes().decode()
    with NullServer(run=9, threads=2, certificate_pem=pem if encrypted else None) as server:
        assert server.url.startswith("https://" if encrypted else "http://")
        ca_pem = authority.cert_pem.bytes().decode() if encrypted else None
        generator = verified_gets(server.url, ca_pem, run=9, size=100_000)
        generator.start()
        assert generator.join(15.0)
        assert (generator.status().ok, generator.status().errors) == (50, {})
        server.stop()  # what it tells is a moment old while it runs
        assert server.totals().requests == 50


def test_bodies_of_another_run_are_told_apart() -> None:
    with NullServer(run=9) as server:
        generator = verified_gets(server.url, None, run=10, size=4096)
        generator.start()
        assert generator.join(15.0)
        assert generator.status().errors == {ErrorClass.FOREIGN: 50}


def test_what_it_cannot_be_is_said() -> None:
    with pytest.raises(InternalError, match="1 to 256 threads"):
        NullServer(run=1, threads=0)
    with pytest.raises(InternalError, match="certificate"):
        NullServer(run=1, certificate_pem="none")
    with NullServer(run=1) as server, pytest.raises(ValueError, match="a stall"):
        server.stall(-1.0, 1.0)


def test_stopping_twice_is_once() -> None:
    server = NullServer(run=1)
    server.stop()
    server.stop()
    assert server.totals().connections == 0
