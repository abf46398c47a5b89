"""Which lines each plan of the swarm and each test runs: a marked copy of the tree notes them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

import msgspec

RAN: Final = "ran.jsonl"
NOTES_MODULE: Final = "notes_of_lines"
NOTE: Final = "_note_of_a_line"
BOUND_ONCE: Final = f"{NOTE} = __import__({NOTES_MODULE!r}).ran.add"
NOTES: Final = '''"""Notes which marked statements ran; as a plugin of pytest, by test."""

import json

ran = set()
seconds = {}


def close(what, took=0.0):
    """Write down what ran since the last time, as the lines of `what`."""
    with open("ran.jsonl", "a") as file:
        file.write(json.dumps({"what": what, "seconds": took, "lines": sorted(ran)}) + "\\n")
    ran.clear()


def pytest_runtest_logreport(report):
    seconds[report.nodeid] = seconds.get(report.nodeid, 0.0) + report.duration


def pytest_runtest_logfinish(nodeid):
    close(nodeid, seconds[nodeid])
'''


class Noted(msgspec.Struct, frozen=True):
    """The statements that a seed or a test ran, by module and first line, and how long it took."""

    what: str
    seconds: float
    lines: set[tuple[str, int]]


def mark(tree: Path, modules: list[str]) -> None:
    """Change the modules of a copy so that each statement inside a function notes when it runs."""
    (tree / f"{NOTES_MODULE}.py").write_text(NOTES)
    for module in modules:
        file = tree / module
        parsed = ast.parse(file.read_text())
        _Marker(module).visit(parsed)
        head = _after_head(parsed)
        parsed.body[head:head] = ast.parse(BOUND_ONCE).body
        file.write_text(ast.unparse(ast.fix_missing_locations(parsed)))


def _after_head(parsed: ast.Module) -> int:
    """Where statements may stand: behind the docstring and what concerns the compiler."""
    return sum(
        isinstance(each, ast.Expr)
        or (isinstance(each, ast.ImportFrom) and each.module == "__future__")
        for each in parsed.body[:2]
    )


def noted(file: Path) -> list[Noted]:
    """What a process in a marked copy has noted, the shortest first."""
    told = file.read_bytes().splitlines() if file.exists() else []
    read = [msgspec.json.decode(line, type=Noted) for line in told]
    return sorted(read, key=lambda each: each.seconds)


def who_runs(everybody: list[Noted], module: str, source: str, line: int) -> list[Noted]:
    """Who of them runs the statement with a line; what stands outside of functions runs always."""
    statement = _innermost(source, line)
    return [each for each in everybody if not statement or (module, statement) in each.lines]


def _innermost(source: str, line: int) -> int:
    """The first line of the innermost statement of a function with a line; 0 when there is none."""
    innermost = 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            for each in ast.walk(node):
                if isinstance(each, ast.stmt) and each is not node:
                    assert each.end_lineno is not None
                    if each.lineno <= line <= each.end_lineno:
                        innermost = max(innermost, each.lineno)
    return innermost


class _Marker(ast.NodeTransformer):
    def __init__(self, module: str) -> None:
        self._module = module
        self._inside = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._inside += 1
        self.generic_visit(node)
        self._inside -= 1
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        for field in ("body", "orelse", "finalbody") if self._inside else ():
            statements = getattr(node, field, None)
            if isinstance(statements, list):
                setattr(node, field, [new for each in statements for new in self._told(each)])
        return node

    def _told(self, statement: ast.stmt) -> list[ast.stmt]:
        note = f"{NOTE}(({self._module!r}, {statement.lineno}))"
        return [*ast.parse(note).body, statement]
