"""Every example runs on a real lab and comes to the verdict that its first lines promise."""

from pathlib import Path

import pytest
from beat_runs import maul

from maul.record import RunReader

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples"


@pytest.mark.cluster
@pytest.mark.parametrize(
    "name", ["quick", "pause-a-gateway", "two-tenants", "connection-churn", "every-operation", "fleet"]
)
def test_example_runs_and_passes(lab, tmp_path, capsys, name):
    code, said, told = maul(
        capsys, "beat", EXAMPLES / f"{name}.yaml", "--site", lab.site_path, "--runs", tmp_path / "runs"
    )
    assert code == 0, said + told
    summary = RunReader.open("latest", tmp_path / "runs").summary()
    assert {check.verdict.name for check in summary.checks} == {"PASS"}
    assert all(fault.proven and fault.healed for fault in summary.faults)
    assert summary.audit is not None and summary.audit.reads >= 100
    load = next(phase for phase in summary.phases if phase.kind == "load")
    if name == "two-tenants":
        assert [(tenant.name, tenant.offered > 100) for tenant in load.tenants] == [("steady", True), ("rising", True)]
    if name == "fleet":
        assert [agent.sent > 400 for agent in summary.fleet.agents] == [True] * 3 and summary.fleet.drill.passed
    if name == "every-operation":
        seen = {row.op for row in load.latency} | ({"aborted_put"} if load.given_up else set())
        assert len(seen) >= 24, "a rare one may not come by chance"


def test_no_example_is_forgotten():
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == {
        "quick",
        "pause-a-gateway",
        "limit",
        "mitigation",
        "two-tenants",
        "connection-churn",
        "every-operation",
        "fleet",
    }
