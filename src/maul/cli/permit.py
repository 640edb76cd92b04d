"""`maul permit keygen|draft|sign|show|check|consent`: who may hit what, how hard, until when; and who agreed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from maul.cli import screen
from maul.cli.trust import TRUST_HELP
from maul.conduct.permission import trust_path
from maul.conduct.permit_checks import Question, how_to_consent, place_consent
from maul.conduct.permit_checks import check as check_now
from maul.conduct.permit_draft import Wish
from maul.conduct.permit_draft import draft as make_draft
from maul.core.clock import SystemClock
from maul.core.errors import CampaignError
from maul.core.units import parse_duration, show_bitrate
from maul.guard.permit_document import Contact, Permit, canonical_body, hash_of, moment_ns
from maul.guard.permit_text import load_permit, load_trust, to_text
from maul.guard.signing import new_key, public_key
from maul.guard.signing import sign as sign_document
from maul.hosts.key_file import read_private, write_private
from maul.record.files import disk_error, write_whole

app = typer.Typer(no_args_is_help=True, help="Permits: what outside loopback and the lab may be hit, and who agreed.")

File = Annotated[Path, typer.Argument(help="A permit, YAML or JSON.")]
TrustFile = Annotated[Path | None, typer.Option("--trust", help=TRUST_HELP)]
Site = Annotated[Path | None, typer.Option("--site", help="The site instead of the campaign's own.")]


@app.command()
def keygen(
    key: Annotated[Path, typer.Argument(help="Where the private key is to be kept; never overwritten.")],
) -> None:
    """Make a key to sign with. The private half goes into the file, mode 0600; the public half is printed."""
    pem = new_key()
    write_private(key, pem)
    screen.say(public_key(pem, str(key)))
    screen.step(
        f"{key} is the private half: keep it to yourself. The line above goes into trust.yaml of the operators."
    )


@app.command()
def draft(
    campaign: Annotated[Path, typer.Argument(help="The campaign that wants it.")],
    contact: Annotated[list[str], typer.Option("--contact", help="Whom to call: 'NAME: HOW'. Once or more.")],
    site: Site = None,
    lasts: Annotated[str, typer.Option("--for", help="How long it is to hold.")] = "4h",
    begins: Annotated[str | None, typer.Option("--from", help="When it begins to hold; now, when absent.")] = None,
    approver: Annotated[
        list[str] | None, typer.Option("--approver", help="Who must sign. Default: everybody in trust.yaml.")
    ] = None,
    retrigger: Annotated[
        bool, typer.Option("--retrigger", help="A protection that has acted may be triggered again.")
    ] = False,
    trust: TrustFile = None,
    out: Annotated[Path | None, typer.Option("--out", help="A file instead of the terminal; .json or .yaml.")] = None,
) -> None:
    """Write down what a campaign means to do on a site: targets, addresses, peaks, generators, window. Unsigned."""
    now_ns = SystemClock().now_ns()
    wish = Wish(
        campaign=campaign,
        site=site,
        now_ns=now_ns,
        begins_ns=_moment_ns(begins) if begins is not None else now_ns,
        seconds=_seconds(lasts),
        contacts=tuple(_contact(one) for one in contact),
        approvers=tuple(approver or ()),
        retrigger=retrigger,
    )
    try:
        made = make_draft(wish, load_trust(trust_path(trust)))
    except ValidationError as error:
        raise CampaignError(f"this would be no permit: {error.errors()[0]['msg']}", str(campaign)) from None
    if out is None:
        screen.say(to_text(made, as_json=False))
        return
    if out.exists():
        raise CampaignError("there is a file of this name", str(out), "name another one")
    _write(out, made)
    screen.say(f"{out}: hash {hash_of(made)}")


@app.command()
def sign(
    file: File,
    key: Annotated[Path, typer.Option("--key", help="Your private key.")],
    name: Annotated[str, typer.Option("--as", help="Which of its approvers you are.")],
) -> None:
    """Read it first (`maul permit show`): this signs all that it says, and writes the signature into the file."""
    signed = sign_document(load_permit(file), read_private(key), name, str(key))
    _write(file, signed)
    missing = [one.name for one in signed.approvers if one.name not in {by.by for by in signed.signatures}]
    screen.say(f"{file}: signed by {name}; {'still to sign: ' + ', '.join(missing) if missing else 'all have signed'}")


@app.command()
def show(
    file: File,
    canonical: Annotated[
        bool, typer.Option("--canonical", help="Exactly the bytes whose SHA-256 is the permit's hash.")
    ] = False,
) -> None:
    """Say in words what a permit allows. Whether its signatures hold, `check` says."""
    document = load_permit(file)
    screen.say(canonical_body(document).decode("ascii") if canonical else "\n".join(_told(document)))


@app.command()
def check(
    file: File,
    campaign: Annotated[Path | None, typer.Option("--campaign", help="Whether it covers this campaign now.")] = None,
    site: Site = None,
    consent: Annotated[
        bool, typer.Option("--consent", help="Ask the targets, too: the only thing here that sends anything.")
    ] = False,
    trust: TrustFile = None,
) -> None:
    """Check a permit exactly as a run would. Exit 0 when it holds, 4 when it does not, 3 when it is no permit."""
    verified = check_now(Question(file, campaign, site, trust, consent), screen.step)
    screen.say(f"{file}: permit {verified.permit.name} holds, hash {verified.hash}")


@app.command()
def consent(
    file: File,
    place: Annotated[
        bool, typer.Option("--place", help="Write the object with the site's own credentials; makes the bucket.")
    ] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Delete that object again.")] = False,
    site: Annotated[Path | None, typer.Option("--site", help="With --place or --withdraw: where.")] = None,
    trust: TrustFile = None,
) -> None:
    """Print what the owner of the target must place to agree, in all three ways; or place the object."""
    if place and withdraw:
        raise CampaignError("--place and --withdraw contradict each other")
    if not place and not withdraw:
        screen.say("\n".join(how_to_consent(load_permit(file))))
        return
    if site is None:
        raise CampaignError("where is not known", cure="name the site with --site")
    screen.say(place_consent(file, site, trust, away=withdraw))


def _told(document: Permit) -> Iterator[str]:
    yield f"permit {document.name}, hash {hash_of(document)}"
    if document.purpose:
        yield f"  {document.purpose}"
    yield f"  from {document.window.not_before} until {document.window.not_after}"
    for target in document.targets:
        caps = target.caps
        yield f"  may load {target.name} ({target.host}:{target.port}) at {', '.join(target.addresses)}, at most"
        yield (
            f"    {caps.requests_per_s:,.6g} requests/s, {show_bitrate(caps.bits_per_s)}, "
            f"{caps.connections_per_s:,.6g} new connections/s, {caps.in_flight:,} in flight"
        )
    for page in document.pages:
        yield f"  may read pages of {page.host}:{page.port} at {', '.join(page.addresses)}"
    for one in document.generators:
        yield f"  from {one.name or 'any name'} at {', '.join(one.addresses) or 'any address'}, lent by {one.owner}"
    for link in document.links:
        yield f"  at most {show_bitrate(link.bits_per_s)} on {link.link}"
    for bucket in document.buckets:
        yield f"  writes and deletes only {bucket.bucket}/{bucket.prefix}…"
    yield f"  faults: {'allowed' if document.faults else 'none'}"
    yield f"  a protection that acted: {_after_protection(document)}"
    yield from (f"  call {one.name}: {one.reach}" for one in document.contacts)
    signed = {one.by for one in document.signatures}
    for approver in document.approvers:
        yield f"  {approver.name} ({approver.key}): {'has signed' if approver.name in signed else 'has not signed'}"
    asked = document.consent
    yield f"  consent is asked every {asked.every_s:g} s; silence is borne for {asked.grace_s:g} s"


def _after_protection(document: Permit) -> str:
    resume = "once it is over, at most half of that load may go on" if document.resume else "ends the load"
    return f"{resume}; {'it may be triggered again' if document.retrigger else 'it may not be triggered again'}"


def _contact(text: str) -> Contact:
    name, colon, reach = text.partition(":")
    try:
        if colon:
            return Contact(name=name.strip(), reach=reach.strip())
    except ValidationError:
        pass
    raise CampaignError(f"{text!r} is no contact", "--contact", "write 'NAME: HOW', such as 'network on call: 4711'")


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise CampaignError(str(error), "--for") from None


def _moment_ns(text: str) -> int:
    try:
        return moment_ns(text)
    except (ValueError, OverflowError):
        raise CampaignError(f"{text!r} is no moment", "--from", "write one such as 2026-11-23T08:00:00Z") from None


def _write(path: Path, document: Permit) -> None:
    try:
        write_whole(path, to_text(document, as_json=path.suffix == ".json").encode())
    except OSError as error:
        raise disk_error(error, path) from error
