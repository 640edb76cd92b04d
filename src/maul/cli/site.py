"""`maul site import|check|draw`: describe a datacenter, check the description, look at it."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from pydantic import ValidationError

from maul import site as sites
from maul.cli import screen
from maul.core.errors import CampaignError, ExitCode
from maul.core.units import parse_bitrate
from maul.plan.fleet_model import FleetPlan
from maul.report import network_map
from maul.site.checks_vantage import blind_spots
from maul.site.importing import Fragment, Rules, ansible, containerlab, draft, lldp, merge, netbox, verify
from maul.site.importing.fragment import counted, site_name
from maul.site.importing.rules import Tier
from maul.site.model import Role

FILE_BYTES_MAX = 512 << 20
_SHOWN_MAX = 40

app = typer.Typer(no_args_is_help=True, help="Describe a datacenter: import, check, draw.")


class Source(StrEnum):
    """What can be imported."""

    NETBOX = "netbox"
    ANSIBLE = "ansible"
    CONTAINERLAB = "containerlab"
    LLDP = "lldp"


Output = Annotated[Path | None, typer.Option("-o", "--output", help="Write to this file instead of the terminal.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite that file.")]


@app.command("import")
def import_(
    source: Annotated[Source, typer.Argument(help="Whose files these are.")],
    files: Annotated[list[str], typer.Argument(help="Files; - is standard input. For lldp also HOST=FILE.")],
    also: Annotated[
        list[str] | None, typer.Option("--also", help="Another source to merge in: SOURCE=FILE. May be repeated.")
    ] = None,
    output: Output = None,
    force: Force = False,
    name: Annotated[str | None, typer.Option("--name", help="The site's name. Default: that of the output.")] = None,
    role: Annotated[
        list[str] | None,
        typer.Option("--role", help="Services of the target: ROLE=PATTERN on names, roles, groups and tags."),
    ] = None,
    tier: Annotated[
        list[str] | None, typer.Option("--tier", help="Switches: leaf=PATTERN, spine=, core=, edge=. May be repeated.")
    ] = None,
    host: Annotated[list[str] | None, typer.Option("--host", help="PATTERN of what is a host after all.")] = None,
    rack: Annotated[
        list[str] | None, typer.Option("--rack", help="PATTERN of groups that are racks. Default: rack*.")
    ] = None,
    borrow: Annotated[
        list[str] | None, typer.Option("--borrow", help="PATTERN of hosts that may be borrowed as load servers.")
    ] = None,
    leave_out: Annotated[list[str] | None, typer.Option("--leave-out", help="PATTERN of what does not matter.")] = None,
    capacity: Annotated[
        str | None, typer.Option("--capacity", help="Of links whose capacity nobody knows, such as 25Gbit/s.")
    ] = None,
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="URL that clients of the target use.")] = None,
) -> int:
    """Draft a site from what other systems know. Exit 0: it can be loaded as it is; 2: something must be filled in."""
    rules = Rules(
        roles=tuple((_known(word, get_args(Role), "--role"), pattern) for word, pattern in _pairs(role, "--role")),
        tiers=tuple((_known(word, get_args(Tier), "--tier"), pattern) for word, pattern in _pairs(tier, "--tier")),
        racks=tuple(rack or ("rack*",)),
        hosts=tuple(host or ()),
        borrow=tuple(borrow or ()),
        leave_out=tuple(leave_out or ()),
        capacity_bps=_bitrate(capacity),
        endpoint=endpoint,
    )
    called = name or (output.name.split(".")[0] if output is not None else "imported")
    _refuse_to_overwrite(output, force)
    fragments = _fragments(source, files)
    for word, file in _pairs(also, "--also"):
        fragments += _fragments(Source(_known(word, tuple(Source), "--also")), [file])
    made = draft(merge(fragments), rules, site_name(called), as_json=output is not None and output.suffix == ".json")
    _write(made.text, output)
    found = ", ".join(
        counted(*pair) for pair in ((made.hosts, "host"), (made.switches, "switch"), (made.links, "link"))
    )
    screen.step(f"found: {found}")
    for line in (*(f"to do: {line}" for line in made.todo), *(note.line() for note in made.notes[:_SHOWN_MAX])):
        screen.step(line)
    if len(made.notes) > _SHOWN_MAX:
        screen.step(f"and {len(made.notes) - _SHOWN_MAX} more notes, at the top of the file")
    try:
        sites.parse(made.text, str(output or "the draft"))
    except CampaignError as error:
        screen.step(f"this is not yet a site that can be loaded:\n{error.message}")
        return ExitCode.UNKNOWN
    return ExitCode.PASS


@app.command()
def check(
    site: Annotated[Path, typer.Argument(help="A site file.")],
    lldp_files: Annotated[
        list[str] | None,
        typer.Option("--lldp", help="What `lldpctl -f json` says on a host: HOST.json or HOST=FILE. May be repeated."),
    ] = None,
) -> int:
    """Read a site and say what is wrong. Exit 0: nothing; 1: LLDP contradicts it; 2: LLDP sees less; 3: invalid."""
    place = sites.load(site)
    network = place.network
    wired = f", {counted(len(network.switches), 'switch')}, {counted(len(network.links), 'link')}" if network else ""
    screen.say(f"{site}: site {place.name!r} fits together: {counted(len(place.hosts), 'host')}{wired}")
    for spot in blind_spots(place):
        screen.say(f"vantage: {spot}")
    if not lldp_files:
        return ExitCode.PASS
    asked = [(lldp.host_of_file(name), lldp.read(text, name)) for name, text in _host_texts(lldp_files).items()]
    verified = verify(place, asked)
    screen.say(f"LLDP of {counted(len(verified.asked), 'host')} confirms {counted(verified.confirmed, 'link')}")
    for difference in verified.differences:
        screen.say(f"{difference.kind}: {difference.line()}")
    kinds = {difference.kind for difference in verified.differences}
    return ExitCode.FAIL if "contradicted" in kinds else ExitCode.UNKNOWN if kinds else ExitCode.PASS


@app.command()
def draw(
    site: Annotated[Path, typer.Argument(help="A site file.")],
    output: Output = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="A plan (`maul plan --json`, or plan.json of a run): colours by load.")
    ] = None,
) -> None:
    """Draw the network of a site as SVG: capacity as width, load as colour, who is borrowed, who is a customer."""
    place = sites.load(site)
    if place.network is None:
        raise CampaignError("has no network to draw", str(site), "add the section network: docs/concepts/site.md")
    fleet = _fleet_plan(plan) if plan is not None else None
    heat = network_map.utilisation_of(fleet) if fleet is not None else None
    chosen = network_map.generators_of(fleet) if fleet is not None else frozenset()
    _write(network_map.draw(place, heat, chosen), output)


def _fragments(source: Source, files: list[str]) -> list[Fragment]:
    if source is Source.LLDP:
        return [lldp.read(text, name) for name, text in _host_texts(files).items()]
    texts = {file: _read(file) for file in files}
    if source is Source.NETBOX:
        return [netbox.read(texts)]
    reader = ansible.read if source is Source.ANSIBLE else containerlab.read
    return [reader(text, name) for name, text in texts.items()]


def _host_texts(files: list[str]) -> dict[str, str]:
    """Text by the name that says whose it is: HOST=FILE counts as HOST.json."""
    texts = {}
    for word in files:
        named, sign, file = word.partition("=")
        texts[f"{named}.json" if sign else word] = _read(file if sign else word)
        if not sign and word == "-":
            raise CampaignError("whose LLDP is it?", "-", "write HOST=-")
    return texts


def _read(file: str) -> str:
    try:
        if file == "-":
            raw = sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
        else:
            with Path(file).open("rb") as stream:
                raw = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise CampaignError(f"cannot be read: {error.strerror}", file, "check the path") from None
    if len(raw) > FILE_BYTES_MAX:
        raise CampaignError(f"is larger than {FILE_BYTES_MAX >> 20} MiB", file, "export it in parts")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise CampaignError("is not UTF-8", file, "save it as UTF-8") from None


def _refuse_to_overwrite(output: Path | None, force: bool) -> None:
    if output is not None and output.exists() and not force:
        raise CampaignError("is there already; what was filled in by hand would be lost", str(output), "add --force")


def _write(text: str, output: Path | None) -> None:
    if output is None:
        screen.say(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CampaignError(f"cannot be written: {error.strerror}", str(output), "check the path") from None
    screen.step(f"written: {output}")


def _fleet_plan(path: Path) -> FleetPlan:
    try:
        fleet = json.loads(_read(str(path))).get("fleet")
        if fleet is None:
            raise CampaignError(
                "places no load on any network", str(path), "a plan of a campaign with a fleet is needed"
            )
        return FleetPlan.model_validate(fleet)
    except (ValueError, AttributeError, ValidationError):
        raise CampaignError("is no plan", str(path), "expected what `maul plan --json` prints") from None


def _pairs(words: list[str] | None, option: str) -> list[tuple[str, str]]:
    pairs = [word.partition("=") for word in words or ()]
    if not all(kind and sign and rest for kind, sign, rest in pairs):
        raise CampaignError("is no pair", option, "write KIND=VALUE, such as volume=storage*")
    return [(kind.strip(), rest.strip()) for kind, _, rest in pairs]


def _known(word: str, known: tuple[str, ...], option: str) -> Any:
    if word not in known:
        raise CampaignError(f"{word!r} is not known", option, f"one of: {', '.join(known)}")
    return word


def _bitrate(words: str | None) -> float | None:
    try:
        return parse_bitrate(words) or None if words is not None else None
    except ValueError as error:
        raise CampaignError(str(error), "--capacity") from None
