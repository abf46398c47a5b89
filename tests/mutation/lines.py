"""Which lines of the mutated modules a swarm runs: a copy of the tree is marked, and notes them."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Final

RAN: Final = "ran.json"
Lines = dict[str, set[int]]
"""By module: the first lines of the statements that ran."""

NOTES: Final = '''"""Notes which marked statements ran, and writes them down at the end."""

import atexit
import json
from pathlib import Path

ran = set()
atexit.register(lambda: Path("ran.json").write_text(json.dumps(sorted(ran))))
'''


def mark(tree: Path, modules: list[str]) -> None:
    """Change the modules of a copy so that each statement inside a function notes when it runs."""
    (tree / "notes_of_lines.py").write_text(NOTES)
    for module in modules:
        file = tree / module
        parsed = ast.parse(file.read_text())
        _Marker(module).visit(parsed)
        file.write_text(ast.unparse(ast.fix_missing_locations(parsed)))


def noted(file: Path) -> Lines:
    """What a process in a marked copy has noted."""
    found: Lines = {}
    for module, line in json.loads(file.read_text()):
        found.setdefault(module, set()).add(line)
    return found


def runs(source: str, line: int, ran: set[int]) -> bool:
    """Whether the statement with a line ran; what stands outside of functions always does."""
    innermost = 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            for each in ast.walk(node):
                if isinstance(each, ast.stmt) and each is not node:
                    assert each.end_lineno is not None
                    if each.lineno <= line <= each.end_lineno:
                        innermost = max(innermost, each.lineno)
    return not innermost or innermost in ran


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
        note = f"__import__('notes_of_lines').ran.add(({self._module!r}, {statement.lineno}))"
        return [*ast.parse(note).body, statement]
