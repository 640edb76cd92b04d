"""What the documentation says is what the code does."""

import re
import runpy
from pathlib import Path

import pytest

from maul import campaign
from maul.conduct.prepare import place_on_paper, planned_on
from maul.core.errors import ExitCode

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")]


@pytest.fixture(scope="module")
def reference() -> dict[str, object]:
    return runpy.run_path(str(ROOT / "scripts" / "reference.py"))


def test_generated_pages_are_up_to_date(reference: dict[str, object]) -> None:
    stale = [
        name
        for name, make in reference["PAGES"].items()  # type: ignore[attr-defined]
        if (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8")
        != reference["HEAD"] + make().rstrip() + "\n"
    ]
    assert stale == [], "run: make docs"


def test_every_verb_and_check_has_a_row(reference: dict[str, object]) -> None:
    verbs = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    for verb in (
        "beat",
        "plan",
        "limit",
        "hit",
        "report",
        "heal",
        "wipe",
        "lab up",
        "lab status",
        "lab down",
        "campaign schema",
        "site import",
        "site check",
        "site draw",
    ):
        assert f"## `maul {verb}`" in verbs
    assert "`process.kill`" in (ROOT / "docs/reference/faults.md").read_text(encoding="utf-8")


def test_exit_codes_page_names_every_code() -> None:
    page = (ROOT / "docs/reference/exit-codes.md").read_text(encoding="utf-8")
    assert [int(code) for code in re.findall(r"^\| (\d) \|", page, re.M)] == [int(code) for code in ExitCode]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_examples_can_be_planned(example: Path) -> None:
    read = campaign.load(example)
    plan = planned_on(read, place_on_paper(read, None), "20260101-000000-abcdef")
    assert plan.expected.operations > 0
    assert read.name == example.stem
