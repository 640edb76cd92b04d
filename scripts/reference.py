"""Writes docs/reference/*.md from the code: verbs, campaign and site keys, faults, checks, error classes, summary.

`python scripts/reference.py` writes; `python scripts/reference.py --check` says what is out of date (exit 1).
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from maul import campaign, site
from maul.cli.main import build
from maul.conduct.checks import CHECKS
from maul.core.operation import ErrorClass, Op, Outcome
from maul.core.summary import Summary
from maul.faults.catalogue import FAULTS

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"
HEAD = "<!-- Written by scripts/reference.py from the code. Do not edit. -->\n\n"


def verbs() -> str:
    """Every verb with its arguments and options."""
    lines = ["# Command line", ""]
    group = typer.main.get_command(build())
    for path, command in _commands(group, "maul"):
        lines += [f"## `{path}`", "", (command.help or "").strip(), ""]
        lines += ["| argument or option | default | meaning |", "|---|---|---|"]
        for parameter in command.params:
            if parameter.name == "help":
                continue
            argument = parameter.param_type_name == "argument"
            names = parameter.name.upper() if argument else ", ".join(parameter.opts)
            default = parameter.default
            shown = "" if default is None or default is False or callable(default) else f"`{default}`"
            lines.append(f"| `{names}` | {shown} | {_cell(parameter.help or '')} |")
        lines.append("")
    return "\n".join(lines)


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if not children:
        yield path, command
        return
    for name in children:
        yield from _commands(children[name], f"{path} {name}")


def keys(title: str, schema: Mapping[str, Any]) -> str:
    """Every key of a file, section by section."""
    lines = [f"# {title}", "", "Durations, sizes and rates take units: `500ms`, `5m`, `4KiB`, `200MB/s`, `100/s`.", ""]
    lines += _section("the file itself", schema)
    for name, part in schema.get("$defs", {}).items():
        if part.get("properties"):
            lines += _section(name, part)
    return "\n".join(lines)


def _section(name: str, part: Mapping[str, Any]) -> list[str]:
    required = set(part.get("required", ()))
    lines = [f"## {name}", "", _cell(part.get("description", "")), ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, value in part["properties"].items():
        default = "**required**" if key in required else _default(value)
        lines.append(f"| `{key}` | {_type(value)} | {default} | {_cell(value.get('description', ''))} |")
    return [*lines, ""]


def _default(value: Mapping[str, Any]) -> str:
    default = value.get("default")
    return "" if default in (None, []) or isinstance(default, dict) else f"`{default}`".replace("|", "\\|")


def _type(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return " \\| ".join(f"`{one}`" for one in value["enum"])
    for many in ("anyOf", "oneOf"):
        if many in value:
            return " or ".join(dict.fromkeys(_type(one) for one in value[many]))
    if value.get("type") == "array":
        return f"list of {_type(value['items'])}" if isinstance(value.get("items"), Mapping) else "list"
    kind = value.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def faults() -> str:
    """Every fault."""
    lines = ["# Faults", "", "| fault | undo | what it does |", "|---|---|---|"]
    for name, maker in FAULTS.items():
        lines.append(f"| `{name}` | {maker.undo_kind} | {_first_line(maker)} |")  # type: ignore[attr-defined]
    return "\n".join(lines) + "\n"


def checks() -> str:
    """Every check."""
    lines = ["# Checks", "", "| check | what it asks |", "|---|---|"]
    lines += [f"| `{name}` | {_first_line(check)} |" for name, check in CHECKS.items()]
    return "\n".join(lines) + "\n"


def operations() -> str:
    """Operations, outcomes and error classes, with what the source says beside them."""
    source = inspect.getsource(ErrorClass).splitlines()
    told = [line for line in source if "=" in line and "#" in line]
    meaning = {line.split("=")[0].strip(): line.split("#", 1)[1].strip() for line in told}
    lines = ["# Operations, outcomes, error classes", "", f"Operations: {', '.join(f'`{op.name}`' for op in Op)}.", ""]
    lines += [f"Outcomes: {', '.join(f'`{outcome.name}`' for outcome in Outcome)}. {_cell(Outcome.__doc__ or '')}", ""]
    lines += ["| class | number | meaning |", "|---|---|---|"]
    for kind in ErrorClass:
        says = meaning.get(kind.name, kind.name.lower().replace("_", " "))
        lines.append(f"| `{kind.name}` | {kind.value} | {_cell(says)} |")
    return "\n".join(lines) + "\n"


def _first_line(thing: object) -> str:
    return _cell((inspect.getdoc(thing) or "").split("\n\n")[0])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": verbs,
    "campaign.md": lambda: keys("Campaign keys", campaign.schema()),
    "site.md": lambda: keys("Site keys", site.schema()),
    "faults.md": faults,
    "checks.md": checks,
    "operations.md": operations,
    "summary.md": lambda: keys("summary.json", Summary.model_json_schema()),
}


def main() -> int:
    """Write the pages, or compare them."""
    stale = []
    for name, make in PAGES.items():
        text = HEAD + make().rstrip() + "\n"
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    if stale:
        sys.stdout.write(f"{'out of date' if '--check' in sys.argv else 'written'}: {', '.join(stale)}\n")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
