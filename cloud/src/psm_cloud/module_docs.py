"""The README of each directory of `terraform/` from its variables, outputs and resources.

What a README says of a module is what its `.tf` files say: descriptions are written there, and nowhere else.
Called by `psm-cloud module-docs` and by a test.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import hcl2

from psm_cloud.errors import CloudError

_NOTE: Final = "<!-- Written by `psm-cloud module-docs` from the .tf files of this directory: edit those. -->"
_WIDE: Final = 100
"""Characters of a default, past which the table only says that there is one."""

Block = dict[str, Any]


@dataclass(frozen=True)
class Documented:
    """What one directory declares; every pair is a name and its block."""

    title: str
    purpose: str
    """The comment at the top of main.tf."""
    variables: list[tuple[str, Block]]
    outputs: list[tuple[str, Block]]
    resources: list[tuple[str, str]]
    """Type and name."""


def readmes(tree: Path) -> dict[Path, str]:
    """Return path and text of the README of every module, every environment and the bootstrap.

    Raises:
        CloudError: The folder holds none, or a variable or an output has no description.
    """
    directories = sorted({path.parent for path in tree.glob("*/variables.tf")} | set(_nested(tree)))
    if not directories:
        raise CloudError(f"{tree} holds no module; run in the repository's root or name the folder with --tree")
    return {directory / "README.md": rendered(read(directory, tree)) for directory in directories}


def _nested(tree: Path) -> Iterator[Path]:
    yield from (path.parent for path in tree.glob("*/*/variables.tf"))


def read(directory: Path, tree: Path) -> Documented:
    """Read a directory's `.tf` files."""
    variables: list[tuple[str, Block]] = []
    outputs: list[tuple[str, Block]] = []
    resources: list[tuple[str, str]] = []
    for file in sorted(directory.glob("*.tf")):
        with file.open() as text:
            said: Block = hcl2.load(text)
        variables += _named(said.get("variable", []), file)
        outputs += _named(said.get("output", []), file)
        resources += [(_text(kind), _text(name)) for block in said.get("resource", []) for kind, name in _labels(block)]
    main = directory / "main.tf"
    purpose = _purpose(main.read_text()) if main.exists() else ""
    return Documented(directory.relative_to(tree).as_posix(), purpose, variables, outputs, sorted(resources))


def _named(blocks: list[Block], file: Path) -> Iterator[tuple[str, Block]]:
    for block in blocks:
        for label, content in block.items():
            if not isinstance(content, dict):
                continue
            if "description" not in content:
                raise CloudError(f"{file}: {_text(label)} has no description; say what it is for")
            yield _text(label), content


def _labels(block: Block) -> Iterator[tuple[str, str]]:
    for kind, named in block.items():
        if isinstance(named, dict):
            yield from ((kind, name) for name in named if not name.startswith("__"))


def _purpose(text: str) -> str:
    """Return the comment that a file begins with, as prose."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return " ".join(lines).replace(". ", ".\n")


def rendered(module: Documented) -> str:
    """Return a README."""
    parts = [_NOTE, f"# {module.title}"]
    if module.purpose:
        parts.append(module.purpose)
    if module.variables:
        rows = [
            f"| `{name}` | {_type(block)} | {_default(block)} | {_cell(block)} |" for name, block in module.variables
        ]
        parts.append("## Variables\n\n" + _table("| Variable | Type | Default | What |", rows))
    if module.outputs:
        rows = [f"| `{name}` | {_cell(block)} |" for name, block in module.outputs]
        parts.append("## Outputs\n\n" + _table("| Output | What |", rows))
    if module.resources:
        kinds: dict[str, list[str]] = {}
        for kind, name in module.resources:
            kinds.setdefault(kind, []).append(f"`{name}`")
        rows = [f"| `{kind}` | {', '.join(names)} |" for kind, names in kinds.items()]
        parts.append("## Resources\n\n" + _table("| Type | Names |", rows))
    return "\n\n".join(parts) + "\n"


def _table(header: str, rows: list[str]) -> str:
    return "\n".join([header, "|".join(["", *["---"] * (header.count("|") - 1), ""]), *rows])


def _type(block: Block) -> str:
    return _code(_text(block.get("type", "any")))


def _default(block: Block) -> str:
    if "default" not in block:
        return "required"
    value = _plain(block["default"])
    text = value if isinstance(value, str) and value.startswith("${") else json.dumps(value)
    return _code(text) if len(text) <= _WIDE else "see variables.tf"


def _cell(block: Block) -> str:
    return _text(block["description"]).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _code(text: str) -> str:
    return "`" + text.removeprefix("${").removesuffix("}" if text.startswith("${") else "").replace("|", "\\|") + "`"


def _plain(value: Any) -> Any:
    """Return a value of the parser as JSON has it: texts without their quotes, no remarks of the parser."""
    if isinstance(value, dict):
        return {_text(key): _plain(item) for key, item in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _text(value) if isinstance(value, str) else value


def _text(value: str) -> str:
    """Return a text without the quotes that the parser leaves around it."""
    if value.startswith('"') and value.endswith('"'):
        return value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return value
