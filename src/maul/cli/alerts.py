"""`maul alerts SITE`: alert rules for a site, their tests, and what to do when one rings."""

from pathlib import Path
from typing import Annotated

import typer

from maul import site as sites
from maul.cli import screen
from maul.core.errors import CampaignError
from maul.guard.permit_text import load_permit
from maul.insight.alerts import files_of
from maul.insight.alerts.watch import watches
from maul.record.files import disk_error, write_whole


def alerts(
    site: Annotated[Path, typer.Argument(help="The site's file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the files; made when absent.")] = Path(
        "alerts"
    ),
    permit: Annotated[
        Path | None, typer.Option("--permit", help="Whose contacts are the ones to call, in the runbook.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
) -> None:
    """Write what rings when the site's address is black-holed upstream: Prometheus rules, promtool tests, a runbook."""
    place = sites.load(site)
    contacts = [f"{one.name}: {one.reach}" for one in load_permit(permit).contacts] if permit is not None else []
    files = files_of(place, contacts)
    try:
        _refuse_others(out, files, force)
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_whole(out / name, text.encode())
            screen.say(str(out / name))
    except OSError as error:
        raise disk_error(error, out) from error
    for guess in dict.fromkeys(says for watch in watches(place) for says in watch.guesses):
        screen.step(f"to be checked, marked PLACEHOLDER: {guess}")


def _refuse_others(out: Path, files: dict[str, str], force: bool) -> None:
    """Somebody may have filled in what was a placeholder."""
    changed = [
        name for name, text in files.items() if (out / name).exists() and (out / name).read_bytes() != text.encode()
    ]
    if changed and not force:
        raise CampaignError(
            f"{', '.join(changed)} would change", str(out), "name another folder with --out, or overwrite with --force"
        )
