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
from typing import Any

from maul import campaign as campaigns
from maul.conduct.audit import look_again_and_list
from maul.conduct.course import Course, tidying
from maul.conduct.drill import rehearse
from maul.conduct.earlier_runs import learnt_before
from maul.conduct.earlier_runs import to_text as earlier_text
from maul.conduct.fleet_events import MUSTER, as_details
from maul.conduct.fleet_up import crew_of
from maul.conduct.judge import judge
from maul.conduct.kill import STOP_FILE, refuse_pulled, tell_pull, watching
from maul.conduct.limit import search_limit
from maul.conduct.lookouts import Watched
from maul.conduct.network_senses import watched
from maul.conduct.permission import PermissionWatch, admit, check_plan, held, permission_of, senders_of
from maul.conduct.phases import run_passes, run_phase
from maul.conduct.prepare import door_of, place_on_paper, planned_on
from maul.conduct.progress import Progress
from maul.conduct.recorded import LastWords, Text
from maul.conduct.removal import prove_gone
from maul.conduct.replay import read_traces
from maul.conduct.senses import health_asker, sensing
from maul.conduct.stage import GeneratorMaker, Stage
from maul.conduct.stop import StopSwitch
from maul.conduct.target import OpenTarget, open_target, take_back_buckets
from maul.conduct.trickle import run_trickle
from maul.conduct.vantage_points import keeping_vigil
from maul.core.clock import Clock, SystemClock
from maul.core.errors import ExitCode, InternalError, MaulError
from maul.core.event import Edge, EventKind
from maul.core.ids import new_run_id
from maul.core.summary import Ending, Summary
from maul.guard.permit_text import to_text
from maul.hosts.deadman import DeadMan
from maul.hosts.journal import UndoJournal
from maul.hosts.local import LocalHost
from maul.hosts.places import journal_directory, state_directory
from maul.lab import cluster
from maul.load import RustGenerator
from maul.plan import LimitWish, PhasePlan, Plan, explain, to_json
from maul.record import RunReader, RunWriter, write_summary
from maul.record.audit_chain import INDEX
from maul.s3.fetch import fetcher
from maul.site import Site
from maul.site import load as load_site

BEFORE: dict[str, Callable[[Stage, PhasePlan], None]] = {
    "trickle": rehearse,
    "warm-up": rehearse,
    "load": rehearse,
    "limit": rehearse,
}
"""What comes before a phase of a kind."""

AFTER: dict[str, Callable[[Stage, PhasePlan], None]] = {
    "audit": look_again_and_list,
    "clean-up": prove_gone,
}
"""What a phase of a kind does beside its passes."""

WORK: dict[str, Callable[[Stage, PhasePlan], dict[str, Any]]] = {
    "limit": search_limit,
    "trickle": run_trickle,
}
"""What a phase of a kind does instead of its passes."""


Beside = Callable[[StopSwitch], contextlib.AbstractContextManager[None]]
"""What goes on beside a run and may stop it; it begins before anything is started, and ends when all is judged."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for. None: the built-in campaign, the campaign's own site."""

    campaign: Path | None = None
    site: Path | None = None
    runs_root: Path = Path("runs")
    limit: LimitWish | None = None
    """Search the limit instead of running the campaign's phases."""
    kill_file: Path | None = None
    """When this file is there, the run ends at once; beside STOP in the run's own directory."""
    trust: Path | None = None
    """Whose signatures under permits count; None: the file in maul's state."""


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
    beside: Beside | None = None,
) -> Beaten:
    """Run a campaign and judge it. `beside` is entered for as long as it takes: the live page.

    Raises MaulError when it could not begin: then nothing was recorded and nothing is left behind. Once it began it
    ends with a summary, whatever happened; a bug of ours is raised when that is written.
    """
    clock = clock or SystemClock()
    if order.kill_file is not None:
        refuse_pulled(order.kill_file)
    campaign = campaigns.load(order.campaign)
    run_id = new_run_id(clock.now_ns())
    # mistakes, before anything is started
    permission = permission_of(campaign, order.trust)
    traces = read_traces(campaign, order.runs_root)
    on_paper = planned_on(campaign, place_on_paper(campaign, order.site), run_id, order.limit, traces)
    check_plan(held(on_paper, permission.permit), permission, clock.now_ns())
    stage: Stage | None = None
    with contextlib.closing(progress), StopSwitch(clock) as stop, beside(stop) if beside else contextlib.nullcontext():
        try:
            with (
                _deadman(run_id) as deadman,
                _place(campaign, order.site, run_id, deadman, progress) as place,
                contextlib.ExitStack() as fleet,
            ):
                plan = planned_on(campaign, place.site, run_id, order.limit, traces)
                plan = held(plan, permission.permit)
                door = door_of(plan, permission)
                admitted = admit(plan, place.site, door, clock, progress.step)
                fetch = fetcher(admitted.pages)
                crew = fleet.enter_context(
                    crew_of(
                        plan, admitted.endpoints, permission.permit.hash if permission.permit else "", deadman, progress
                    )
                )
                target = open_target(door, progress.step)
                stop.run_began()
                with (
                    _record(order.runs_root, campaign, plan, place, target) as writer,
                    watching([writer.path / STOP_FILE, *([order.kill_file] if order.kill_file else [])], stop),
                ):
                    _tell_ways_to_stop(writer.path, progress)
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
                        answers=health_asker(place.site, fetch),
                        make_generator=make_generator,
                        began_ns=clock.now_ns(),
                        traces=traces,
                        crew=crew,
                    )
                    _perform(stage, place, Watched(admitted, permission, fetch, plan.limits.seconds))
        except MaulError as error:
            if stage is None:
                raise
            _say_last(stage, _End(Ending.FAILED, error.message, error.exit_code))
        except Exception:
            if stage is not None:
                _judged(stage.writer.path)
            raise
        if stage is None:  # cannot be: without a record an error left this function
            raise InternalError("the run ended before it began")
        return _judged(stage.writer.path)


def _tell_ways_to_stop(run: Path, progress: Progress) -> None:
    progress.step(f"to stop at once: maul stop {run}, or touch {run / STOP_FILE}, or kill -USR1 {os.getpid()}")


def _judged(path: Path) -> Beaten:
    record = RunReader.open(path)
    summary = judge(record)
    write_summary(path, summary)
    return Beaten(record, summary)


@dataclass(frozen=True, slots=True)
class _Place:
    """`logs`: of the embedded lab, which goes with the run. None: the site stays."""

    path: Path
    site: Site
    text: str
    logs: Path | None


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
        yield _Place(path, load_site(path), path.read_text(encoding="utf-8"), None)
        return
    with cluster.embedded(f"beat-{run_id}", on_step=progress.step, deadman=deadman) as lab:
        path = lab.site_path
        yield _Place(path, load_site(path), path.read_text(encoding="utf-8"), lab.layout.logs)


@contextlib.contextmanager
def _record(
    runs_root: Path, campaign: "campaigns.Campaign", plan: Plan, place: _Place, target: OpenTarget
) -> Iterator[RunWriter]:
    keys = [one.credentials for one in target.door.accounts if one.credentials is not None]
    secrets = [secret for one in keys for secret in (one.secret_key, one.session_token or "")]
    with contextlib.ExitStack() as stack:
        try:
            writer = stack.enter_context(
                RunWriter.create(runs_root, plan.run_id, secrets=secrets, audit_index=state_directory() / INDEX)
            )
            writer.write_text(Text.CAMPAIGN, campaign.text)
            writer.write_text(Text.SITE, place.text)
            writer.write_text(Text.PLAN, to_json(plan))
            known = learnt_before(plan.target, runs_root, plan.run_id).brackets
            if known:
                writer.write_text(Text.EARLIER, earlier_text(known))
            if target.door.permission.permit is not None:
                permit = target.door.permission.permit.permit
                writer.write_text(Text.PERMIT, to_text(permit, as_json=True))
        except MaulError:
            take_back_buckets(target)
            raise
        try:
            yield writer
        finally:
            if place.logs is not None:  # they belong to the run: the lab takes its own away
                with contextlib.suppress(OSError):
                    shutil.copytree(place.logs, writer.path / "lab-logs")


@dataclass(frozen=True, slots=True)
class _End:
    ending: Ending
    says: str
    exit_code: int


def _perform(stage: Stage, place: _Place, watched_by: Watched) -> None:
    """The phases, with the senses on. Errors of ours, the machine or the target end the run, not the record."""
    stage.note(EventKind.RUN, Edge.BEGAN, stage.plan.run_id, details=_beginning(stage))
    if stage.crew is not None and stage.crew.words is not None:
        stage.note(EventKind.AGENT, Edge.INSTANT, MUSTER, details=as_details(stage.crew.words))
    for line in explain(stage.plan):
        stage.note(EventKind.RUN, Edge.INSTANT, "plan", line)
    end, tidied = _End(Ending.FAILED, "a bug in maul ended the run", ExitCode.UNKNOWN), False
    stays = place.logs is None
    try:
        with (
            PermissionWatch(stage),
            sensing(stage.site, stage.writer, stage.clock, watched_by.fetch),
            keeping_vigil(stage, place.path, watched_by),
            watched(stage, place.path, watched_by.fetch),
        ):
            course = Course(stage, lambda phase: _run(stage, phase))
            course.follow()
            tell_pull(stage)
            tidied = course.tidied or (stays and _tidied_after_search(stage))
        end = _End(stage.stop.ending, stage.stop.reason, ExitCode.PASS)
    except MaulError as error:
        end = _End(Ending.FAILED, error.message, error.exit_code)
        stage.progress.step(error.message)
    finally:
        if stays and not tidied and end.ending is not Ending.COMPLETED:
            _tell_leftovers(stage)
        details = {"ending": end.ending, "exit_code": int(end.exit_code)}
        stage.note(EventKind.RUN, Edge.ENDED, stage.plan.run_id, end.says, details)
        if stage.writer.failed is not None:
            _say_last(stage, end)


def _run(stage: Stage, phase: PhasePlan) -> None:
    if phase.kind in BEFORE:
        BEFORE[phase.kind](stage, phase)
    run_phase(stage, phase, AFTER.get(phase.kind), WORK.get(phase.kind, run_passes))


def _beginning(stage: Stage) -> dict[str, Any]:
    """What a run begins with: who sends what, and who allowed it."""
    plan, permit = stage.plan, stage.target.door.permission.permit
    return {
        "cores": plan.cores,
        "pid": os.getpid(),
        "plan": plan.hash,
        "target": plan.target,
        "permit": permit.hash if permit is not None else None,
        "generators": ["/".join(one.names) for one in senders_of(plan, stage.site, ())],
    }


def _tidied_after_search(stage: Stage) -> bool:
    """A search that a person ends is over, not broken: what it wrote goes. A second Ctrl-C leaves the rest."""
    searched = any(phase.search is not None for phase in stage.plan.phases)
    if not searched or stage.stop.ending is not Ending.INTERRUPTED:
        return False
    tidy = stage.plan.phases[-1]
    with tidying(stage):
        if not stage.stopped:
            run_phase(stage, tidy, AFTER.get(tidy.kind))
        return not stage.stopped


def _tell_leftovers(stage: Stage) -> None:
    if any(phase.kind == "clean-up" for phase in stage.plan.phases):
        says = f"objects under {stage.plan.prefix} are left; remove them with: maul wipe {stage.plan.run_id}"
        stage.note(EventKind.NOTE, Edge.INSTANT, "left", says)
        stage.progress.step(says)


def _say_last(stage: Stage, end: _End) -> None:
    """What the tables cannot take any more, as a text; the writer keeps room for it."""
    words = LastWords(ending=end.ending, says=end.says, exit_code=int(end.exit_code), faults=tuple(stage.harmed))
    with contextlib.suppress(MaulError):
        stage.writer.write_text(Text.LAST_WORDS, words.model_dump_json(indent=2) + "\n")
