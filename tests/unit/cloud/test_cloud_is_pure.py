"""What decides about money and deletions reads nothing but its arguments and the files of its package."""

import ast
from pathlib import Path

import pytest

import psm_cloud.cost
import psm_cloud.teardown

EDGES = {"boto3", "botocore", "os", "random", "socket", "subprocess", "sys", "time", "urllib", "psm_cloud.settings"}
COST, TEARDOWN = (Path(package.__path__[0]) for package in (psm_cloud.cost, psm_cloud.teardown))
PURE = [*sorted(COST.rglob("*.py")), *(TEARDOWN / f"{name}.py" for name in ("scope", "decide", "consent"))]


@pytest.mark.parametrize("module", PURE, ids=lambda path: path.stem)
def test_no_edge_is_imported(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name for name in imported if name in EDGES or name.split(".")[0] in EDGES}
