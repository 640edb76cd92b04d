"""`maul fleet collect`: the record of a run whose conductor was killed, completed by what its agents kept."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from maul.core.errors import CampaignError
from maul.fleet import place
from maul.fleet.bringup import sweep
from maul.fleet.collect import FolderKeeper, Keeper, Kept, collect
from maul.fleet.preflight import Question
from maul.hosts.local import LocalHost
from maul.hosts.places import state_directory
from maul.record import completing
from maul.record.completing import KilledRun, identities


@dataclass(frozen=True, slots=True)
class Collected:
    """What was added: rows, from these agents. `again`: batches that the record had already; `damaged`: unreadable."""

    run: Path
    agents: tuple[str, ...]
    rows: int
    again: int
    damaged: int
    unheard: tuple[str, ...]


def collect_run(run: str, runs_root: Path, fleet: Path) -> Collected:
    """Complete the record of a killed run from the fleet that stands in `fleet`, and from this machine's own agents.

    CampaignError when the run was not killed, or when nobody keeps anything of it. MachineError when an agent does not
    hand over what it keeps; then nothing was added, and nothing is forgotten.
    """
    with completing.opened(run, runs_root) as killed, ExitStack() as stack:
        keepers: dict[str, Keeper] = dict(_local(killed.run_id))
        unheard = _remote(stack, fleet, keepers)
        found = list(collect(keepers, killed.run_id))
        if not found:
            raise CampaignError(
                f"no agent keeps anything of {killed.run_id}",
                str(killed.path),
                f"these did not answer: {', '.join(unheard)}" if unheard else "its record is all that there is",
            )
        again = sum(_add(killed, kept) for kept in found)
        rows = killed.write()
        for kept in found:
            kept.forget()
        sweep(run_folder(killed.run_id))
        agents = tuple(sorted({kept.agent for kept in found}))
        return Collected(killed.path, agents, rows, again, sum(kept.damaged for kept in found), unheard)


def _add(killed: KilledRun, kept: Kept) -> int:
    """Add what the record lacks; how many batches it had.

    The conductor had received some that it could not acknowledge any more. Histograms cannot tell, but they were
    recorded together with the operations of their batch, which can.
    """
    phase = str(kept.about.get("phase", ""))
    if not phase:
        return 0  # a rehearsal: it is in no record
    known, again = killed.known(phase), 0
    offset = kept.about.get("endpoint_offset", 0)
    for batch in kept.batches:
        if known.intersection(identities(batch.operations)):
            again += 1
            continue
        operations = batch.operations.copy()
        operations["endpoint"] += offset
        killed.add(phase, batch.latency, operations)
    return again


def run_folder(run_id: str) -> Path:
    """Where a run's own agents lived."""
    return state_directory() / "fleet" / f"run-{run_id}"


def _local(run_id: str) -> dict[str, Keeper]:
    folder = run_folder(run_id) / place.AGENTS
    return {path.name: FolderKeeper(path) for path in sorted(folder.glob("*")) if path.is_dir()}


def _remote(stack: ExitStack, directory: Path, keepers: dict[str, Keeper]) -> tuple[str, ...]:
    """Add the agents of the fleet that stands, if one does; the names of those that cannot be asked."""
    standing = place.load(LocalHost(), directory)
    if standing is None:
        return ()
    from maul.fleet.connection import AgentKeeper, Fleet  # noqa: PLC0415 — dask takes a second to import

    connected = stack.enter_context(Fleet.connect(standing.address, standing.certificates))
    found = connected.preflight(Question(), sorted({*connected.agents(), *standing.agents}))
    keepers.update({name: AgentKeeper(connected, name) for name in found.ready})
    return tuple(sorted(found.left_out))
