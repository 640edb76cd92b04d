"""A run's permission: its permit verified, its senders and targets checked, its consent asked, and asked again.

Every decision is made in `guard`; here is what it needs to know. Nothing connects before the guard has seen all names
and all addresses; the question for consent is the first connection, and goes to a checked address.
"""

import ipaddress
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from maul.campaign import Campaign
from maul.conduct.target import Admitted, Door, asked_of, permit, resolved
from maul.core.clock import Clock
from maul.core.consent import ConsentAnswer, Way
from maul.core.errors import MaulError, PermitError
from maul.core.event import Edge, EventKind
from maul.core.summary import Ending
from maul.guard.consent import ConsentState, Standing, agrees, consented, next_consent, proven_by
from maul.guard.permit import (
    Permission,
    ResolvedTarget,
    Sender,
    check_senders,
    check_window,
    expired,
    strayed,
)
from maul.guard.permit_caps import check_keys, hold
from maul.guard.permit_text import load_permit, load_trust
from maul.guard.signing import verify
from maul.guard.verified import VerifiedPermit
from maul.hosts.own_place import own_place
from maul.hosts.places import state_directory
from maul.plan import Plan
from maul.s3.consent import Asker
from maul.s3.endpoint import machine_name, source_address
from maul.site import Site

if TYPE_CHECKING:
    from maul.conduct.stage import Stage

_JOIN_S = 30.0
"""Longer than one round of questions takes."""


def trust_path(trust: Path | None = None) -> Path:
    """The file of trusted approvers."""
    return trust if trust is not None else state_directory() / "trust.yaml"


def read_permit(path: Path, trust: Path | None = None) -> VerifiedPermit:
    """A permit whose signatures hold on this machine. CampaignError for a bad file, PermitError for bad signatures."""
    return verify(load_permit(path), load_trust(trust_path(trust)), str(path))


def permit_of(campaign: Campaign, trust: Path | None) -> VerifiedPermit | None:
    """The permit that a campaign names; None when it names none."""
    return read_permit(Path(campaign.permit_path), trust) if campaign.permit_path is not None else None


def permission_of(campaign: Campaign, trust: Path | None) -> Permission:
    """What allows a campaign to send from here."""
    return Permission(own_place(), permit_of(campaign, trust))


def held(plan: Plan, permit: VerifiedPermit | None) -> Plan:
    """The plan under the caps of its permit, if it has one. PermitError when it goes beyond."""
    return plan if permit is None else hold(plan, permit)


def this_sender(targets: Sequence[ResolvedTarget]) -> Sender:
    """This machine, with the addresses that it would send from to these targets."""
    found = [source_address(address, target.port) for target in targets for address in target.addresses]
    return Sender((machine_name(),), tuple(dict.fromkeys(one for one in found if one is not None)))


def senders_of(plan: Plan, site: Site, targets: Sequence[ResolvedTarget]) -> list[Sender]:
    """Every generator of a plan; of this machine with the addresses that it would send from."""
    here = this_sender(targets)
    if plan.fleet is None:
        return [here]
    senders = []
    for one in plan.fleet.generators:
        if one.host is None:
            senders.append(here)
        else:
            senders.append(Sender(tuple(dict.fromkeys((one.name, one.host))), _literal(site.host(one.host).address)))
    return list(dict.fromkeys(senders))


def _literal(address: str) -> tuple[str, ...]:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return ()  # a name: who it leads to is checked where the agent runs
    return (address,)


def check_plan(plan: Plan, permission: Permission, now_ns: int) -> None:
    """What can be said before anything is started: the window. PermitError."""
    if permission.permit is not None:
        check_window(permission.permit, now_ns, plan.seconds)


def admit(plan: Plan, site: Site, door: Door, clock: Clock, on_step: Callable[[str], None]) -> Admitted:
    """Check every address, sender and the window, then ask every endpoint for its consent. PermitError (exit 4)."""
    permission = door.permission
    admitted = permit(door.endpoints, asked_of(site), permission)
    if permission.permit is None:
        return admitted
    targets = [resolved(one.name, one.url) for one in door.endpoints]
    check_senders(permission.permit, senders_of(plan, site, targets))
    check_window(permission.permit, clock.now_ns(), plan.seconds)
    require_consent(door, admitted.endpoints, on_step)
    return admitted


def admit_wipe(plan: Plan, door: Door, clock: Clock, on_step: Callable[[str], None]) -> None:
    """As `admit`, for removing what a run left: its keys must be the permit's. PermitError (exit 4)."""
    verified = door.permission.permit
    if verified is None:
        return  # opening the endpoints asks the guard
    admitted = permit(door.endpoints, permission=door.permission)
    check_keys(verified, plan)
    targets = [resolved(one.name, one.url) for one in door.endpoints]
    check_senders(verified, [this_sender(targets)])
    check_window(verified, clock.now_ns(), 0.0)
    require_consent(door, admitted.endpoints, on_step)


def require_consent(
    door: Door, addresses: Mapping[str, tuple[str, ...]], on_step: Callable[[str], None]
) -> dict[str, Way]:
    """Ask every endpoint; in which way each agreed. PermitError when one does not, or cannot be asked."""
    verified = door.permission.permit
    if verified is None:
        return {}
    answers = ask(door, addresses, verified)
    seen = consented(verified.hash, answers)
    if seen.standing is not Standing.GIVEN:
        raise PermitError(
            f"the target does not consent to permit {verified.permit.name} ({verified.hash[:12]}…): {seen.says}",
            cure="its owner places one of the three proofs: maul permit consent FILE",
        )
    ways = proven_by(verified.hash, answers)
    for name, way in ways.items():
        on_step(f"{name} consents to permit {verified.permit.name} ({way})")
    return ways


def ask(
    door: Door, addresses: Mapping[str, tuple[str, ...]], verified: VerifiedPermit
) -> dict[str, list[ConsentAnswer]]:
    """What every endpoint says, each way in turn until one agrees."""
    return {
        one.name: list(_until_it_agrees(_asker(door, index, addresses, verified).ask(verified.hash), verified.hash))
        for index, one in enumerate(door.endpoints)
    }


def _asker(door: Door, index: int, addresses: Mapping[str, tuple[str, ...]], verified: VerifiedPermit) -> Asker:
    endpoint = door.endpoints[index]
    credentials = door.accounts[0].credentials
    return Asker(endpoint, addresses[endpoint.name][0], verified.permit.consent_bucket, credentials, door.region)


def _until_it_agrees(answers: Iterator[ConsentAnswer], permit_hash: str) -> Iterator[ConsentAnswer]:
    for answer in answers:
        yield answer
        if agrees(permit_hash, answer):
            return


class PermissionWatch:
    """Looks again while a run goes: is the permit still valid, do names still lead where they led, does the target
    still agree? If not, the run is stopped. Without a permit there is nothing to look at.
    """

    def __init__(self, stage: "Stage") -> None:
        """Not looking yet."""
        self._stage, self._over = stage, threading.Event()
        self._verified = stage.target.door.permission.permit
        self._thread = threading.Thread(target=self._look_on, name="permit", daemon=True)

    def __enter__(self) -> "PermissionWatch":
        """Begin."""
        if self._verified is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def _look_on(self) -> None:
        try:
            self._look_until_over()
        except Exception as error:  # noqa: BLE001 — a conscience that died must not be mistaken for a clear one
            self._stop(f"the permit could not be watched any more ({type(error).__name__}: {error})")

    def _look_until_over(self) -> None:
        verified, clock = self._verified, self._stage.clock
        if verified is None:
            return
        every_s, before = verified.permit.consent.every_s, self._first_ways(verified)
        state = ConsentState(clock.now_ns())
        while not clock.wait(self._pause_s(verified, every_s), self._over):
            reason = expired(verified, clock.now_ns()) or self._strayed(verified)
            if reason is None:
                answers = ask(self._stage.target.door, self._addresses(), verified)
                before = {**before, **proven_by(verified.hash, answers)}
                seen = consented(verified.hash, answers, before)
                grace_s = verified.permit.consent.grace_s
                state, reason = next_consent(state, seen, clock.now_ns(), grace_s)
                every_s = 0.5 if state.noes else verified.permit.consent.every_s
            if reason is not None:
                self._stop(reason)
                return

    def _first_ways(self, verified: VerifiedPermit) -> dict[str, Way]:
        return proven_by(verified.hash, ask(self._stage.target.door, self._addresses(), verified))

    def _pause_s(self, verified: VerifiedPermit, every_s: float) -> float:
        left_s = (verified.permit.window.not_after_ns - self._stage.clock.now_ns()) / 1e9
        return max(0.0, min(every_s, left_s))

    def _addresses(self) -> dict[str, tuple[str, ...]]:
        return {name: (address,) for name, address in self._stage.target.addresses.items()}

    def _strayed(self, verified: VerifiedPermit) -> str | None:
        """A name that nobody can resolve leads nowhere else: the engine keeps to the address that was checked."""
        targets = []
        for one in self._stage.target.door.endpoints:
            try:
                targets.append(resolved(one.name, one.url))
            except MaulError:
                continue
        led = strayed(verified, targets)
        return f"a name leads elsewhere now: {led}" if led else None

    def _stop(self, says: str) -> None:
        self._stage.note(EventKind.GUARD, Edge.INSTANT, "permit", says)
        self._stage.progress.step(f"guard: {says}")
        self._stage.stop.stop(says, Ending.GUARD)
