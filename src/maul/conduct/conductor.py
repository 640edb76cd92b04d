"""A run from its beginning to its end.

campaign → lab or site → plan → permit and preflight → record → phases (load, probes, faults and guard side by side)
→ heal → judge. Whatever happens on the way, what was hurt is healed and what was recorded is readable.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from maul import campaign as campaigns
from maul.conduct.audit import look_again_and_list
from maul.conduct.judge import judge
from maul.conduct.phases import run_phase
from maul.conduct.prepare import door_of, planned_on
from maul.conduct.progress import Progress
from maul.conduct.removal import prove_gone
from maul.conduct.senses import health_asker, sensing
from maul.conduct.stage import GeneratorMaker, Stage
from maul.conduct.stop import StopSwitch
from maul.conduct.target import OpenTarget, open_target
from maul.core.clock import Clock, SystemClock
from maul.core.errors import MaulError, UnhealedError
from maul.core.event import Edge, EventKind
from maul.core.ids import new_run_id
from maul.core.summary import Ending, Summary
from maul.hosts.deadman import DeadMan
from maul.hosts.journal import UndoJournal
from maul.hosts.local import LocalHost
from maul.hosts.places import journal_directory
from maul.lab import cluster
from maul.lab.state import lab_directory
from maul.load import RustGenerator
from maul.plan import PhasePlan, Plan, explain, to_json
from maul.record import RunReader, RunWriter, write_summary
from maul.site import Site
from maul.site import load as load_site

AFTER: dict[str, Callable[[Stage, PhasePlan], None]] = {
    "audit": look_again_and_list,
    "clean-up": prove_gone,
}
"""What a phase of a kind does beside its passes."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for. None: the built-in campaign, the campaign's own site."""

    campaign: Path | None = None
    site: Path | None = None
    runs_root: Path = Path("runs")


@dataclass(frozen=True, slots=True)
class Beaten:
    """A finished run."""

    record: RunReader
    summary: Summary


def beat(
    order: Order,
    progress: Progress,
    clock: Clock | None = None,
    make_generator: GeneratorMaker = RustGenerator,
) -> Beaten:
    """Run a campaign and judge it.

    Raises MaulError when it could not begin: then nothing was recorded and nothing is left behind. Once it began it
    ends with a summary, whatever happened.
    """
    clock = clock or SystemClock()
    campaign = campaigns.load(order.campaign)
    run_id = new_run_id(clock.now_ns())
    with contextlib.closing(progress), StopSwitch() as stop:
        unhealed: UnhealedError | None = None
        path: Path | None = None
        try:
            with (
                _deadman(run_id) as deadman,
                _place(campaign, order.site, run_id, deadman, progress) as place,
            ):
                plan = planned_on(campaign, place.site, run_id, clock)
                target = open_target(door_of(plan), plan.prefix, progress.step)
                with _record(order, plan, place, target) as writer:
                    path = writer.path
                    stop.run_began()
                    stage = Stage(
                        plan=plan,
                        site=place.site,
                        target=target,
                        writer=writer,
                        clock=clock,
                        stop=stop,
                        progress=progress,
                        host=LocalHost(),
                        journal=deadman.journal,
                        answers=health_asker(place.site),
                        make_generator=make_generator,
                        began_ns=clock.now_ns(),
                    )
                    _perform(stage)
        except UnhealedError as error:
            if path is None:
                raise
            unhealed = error
        if path is None:  # cannot be: without a record an error left this function
            raise MaulError("the run ended before it began")
        _keep_logs(run_id, path)
        record = RunReader.open(path)
        summary = judge(record)
        if unhealed is not None:
            summary = summary.model_copy(update={"exit_code": unhealed.exit_code, "headline": unhealed.message})
        write_summary(path, summary)
        return Beaten(record, summary)


@dataclass(frozen=True, slots=True)
class _Place:
    site: Site
    text: str


@contextlib.contextmanager
def _deadman(run_id: str) -> Iterator[DeadMan]:
    with DeadMan.arm(UndoJournal(journal_directory() / f"{run_id}.jsonl")) as deadman:
        yield deadman


@contextlib.contextmanager
def _place(
    campaign: "campaigns.Campaign", site: Path | None, run_id: str, deadman: DeadMan, progress: Progress
) -> Iterator[_Place]:
    path = site or (Path(campaign.site_path) if campaign.site_path else None)
    if path is not None:
        yield _Place(load_site(path), path.read_text(encoding="utf-8"))
        return
    with cluster.embedded(_lab_name(run_id), on_step=progress.step, deadman=deadman, keep_logs=True) as lab:
        yield _Place(load_site(lab.site_path), lab.site_path.read_text(encoding="utf-8"))


def _lab_name(run_id: str) -> str:
    return f"beat-{run_id}"


def _keep_logs(run_id: str, run_path: Path) -> None:
    """The embedded lab's logs belong to the run."""
    left = lab_directory(_lab_name(run_id))
    if left.is_dir():
        with contextlib.suppress(OSError):
            shutil.move(left / "logs", run_path / "lab-logs")
            left.rmdir()


@contextlib.contextmanager
def _record(order: Order, plan: Plan, place: _Place, target: OpenTarget) -> Iterator[RunWriter]:
    credentials = target.door.credentials
    secrets = [credentials.secret_key] if credentials is not None else []
    campaign = campaigns.load(order.campaign)
    with RunWriter.create(order.runs_root, plan.run_id, secrets=secrets) as writer:
        writer.write_text("campaign.yaml", campaign.text)
        writer.write_text("site.yaml", place.text)
        writer.write_text("plan.json", to_json(plan))
        yield writer


def _perform(stage: Stage) -> None:
    """The phases, with the senses on. Errors of ours, the machine or the target end the run, not the record."""
    ending, says = Ending.COMPLETED, ""
    stage.note(EventKind.RUN, Edge.BEGAN, stage.plan.run_id, details={"cores": stage.plan.cores, "pid": os.getpid()})
    for line in explain(stage.plan):
        stage.note(EventKind.RUN, Edge.INSTANT, "plan", line)
    try:
        with sensing(stage.site, stage.writer, stage.clock):
            for phase in stage.plan.phases:
                if stage.stopped:
                    break
                run_phase(stage, phase, AFTER.get(phase.kind))
        if stage.stopped:
            ending, says = stage.stop.ending, stage.stop.reason
    except MaulError as error:
        ending, says = Ending.FAILED, error.message
        stage.progress.step(error.message)
    _tell_leftovers(stage)
    stage.note(EventKind.RUN, Edge.ENDED, stage.plan.run_id, says, {"ending": ending})


def _tell_leftovers(stage: Stage) -> None:
    kinds = {phase.kind for phase in stage.plan.phases}
    if stage.stopped and "clean-up" in kinds and stage.site.kind != "lab":
        says = f"objects under {stage.plan.prefix} are left; remove them with: maul wipe {stage.plan.run_id}"
        stage.note(EventKind.NOTE, Edge.INSTANT, "left", says)
        stage.progress.step(says)
