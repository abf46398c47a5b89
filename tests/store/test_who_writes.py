"""Only `chalicelib/store` writes tables: the clauses of a table stand in one room."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.store import models

ROOT = Path(__file__).resolve().parents[2]
STORE = ROOT / "chalicelib" / "store"
SHIPPED = ("chalicelib", "functions", "infra")
MODELS = {each.__name__ for each in models.TABLES}
WRITES = {"save", "batch_write"}
WRITERS = {"update_if", "transact"}
PYNAMODB_IS_KNOWN_TO = {"chalicelib/outages.py"}
"""It names what a call of DynamoDB raises, for every room."""


def trespasses(source: str) -> Iterator[str]:
    """The calls and imports of a module that belong into the store."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(module), names=names):
                if module.split(".")[0] == "pynamodb":
                    yield f"imports {module}"
                yield from (f"imports {each.name}" for each in names if each.name in WRITERS)
            case ast.Import(names=names):
                yield from (f"imports {e.name}" for e in names if e.name.startswith("pynamodb"))
            case ast.Call(func=ast.Attribute(value=value, attr=name), args=args, keywords=given):
                made_here = isinstance(value, ast.Call) and ast.unparse(value.func) in MODELS
                named = {each.arg for each in given}
                if (
                    name in WRITES | WRITERS
                    or (name == "update" and "actions" in named)
                    or (name == "delete" and (made_here or (not args and named <= {"condition"})))
                ):
                    yield ast.unparse(node)


@pytest.mark.parametrize(
    "line",
    [
        "row.save()",
        "Instance(instance_id).update(actions=[x], condition=y)",
        "row.delete()",
        "row.delete(condition=x)",
        "Guest(instance_id, 1).delete(x)",
        "base.update_if(row, [], x)",
        "with Flavor.batch_write() as batch: pass",
        "from chalicelib.store.base import transact",
        "from pynamodb.exceptions import UpdateError",
    ],
)
def test_what_belongs_into_the_store_is_recognised(line: str) -> None:
    assert list(trespasses(line))


@pytest.mark.parametrize(
    "line",
    ["servers.delete(server.id)", "found.update({})", "Quota.get(tenant_id)", "digest.update(x)"],
)
def test_what_looks_like_it_is_not(line: str) -> None:
    assert not list(trespasses(line))


def test_only_the_store_writes_tables() -> None:
    modules = [path for part in SHIPPED for path in (ROOT / part).rglob("*.py")]
    outside = [path for path in modules if STORE not in path.parents]
    assert len(outside) > 80
    found = {
        f"{name}: {each}"
        for path in outside
        if (name := str(path.relative_to(ROOT))) not in PYNAMODB_IS_KNOWN_TO
        for each in trespasses(path.read_text())
    }
    assert found == set()
