"""Nothing under simulation reads the real clock, real chance, or the order of a hash; and nothing
that runs in Lambda keeps anything in a module: it would belong to all containers at once.
"""

from __future__ import annotations

import ast
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.plan import load_scenario, with_options
from simulator.run import Run

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("chalicelib", "functions", "guest_agent", "simulator")
EDGES = (
    # The one door to the real world, and what runs on real machines only.
    "chalicelib/aws.py",
    "guest_agent/datastores",
    "guest_agent/storage",
    "simulator/cloud/server.py",
    "simulator/cloud/hypervisor.py",
    "simulator/cloud/processes.py",
    "simulator/cloud/__main__.py",
    "simulator/fleet/wire_agent.py",
)
ALLOWED = {
    # Seeded generators are made of `random.Random`; nothing else of it may be used (see below).
    "simulator/kernel.py": {"random"},
    "simulator/extremes.py": {"random"},
    "simulator/plan.py": {"random"},
    "simulator/workload.py": {"random"},
    "simulator/fleet/fleet.py": {"random"},
    "simulator/fleet/surroundings.py": {"random"},
    # Names made from other names: `uuid5` only.
    "chalicelib/store/children.py": {"uuid"},
    "chalicelib/store/datastores.py": {"uuid"},
    "simulator/cloud/model/identity.py": {"uuid"},
    # How long a run took, for people; its trace has none of it.
    "simulator/run.py": {"time"},
    # What a bench puts in order on a running stack; nothing is decided by it.
    "chalicelib/crash.py": {"datetime.now"},
    # Only the word of it is an HTTP date, for the reply of a server.
    "simulator/cloud/http/plumbing.py": {"datetime.now"},
}
MODULES = {"time", "uuid", "random", "secrets", "threading"}
ONLY = {"random": {"Random"}, "uuid": {"uuid5", "UUID", "NAMESPACE_DNS", "NAMESPACE_URL"}}
ONLY["time"] = {"perf_counter"}
CLOCKS = {"now", "utcnow", "today"}
IN_ORDER = {"list", "tuple", "enumerate", "iter", "next", "reversed", "deque", "zip", "map"}
WORLD: dict[Any, tuple[str, ...]] = {
    time: ("time", "time_ns", "sleep"),
    uuid: ("uuid1",),
    os: ("urandom",),
    random: ("random", "randrange", "choice", "uniform", "getrandbits", "randbytes"),
}
HARMLESS = {
    # Both only for a log line.
    "pynamodb.connection.base",
    "logging",
}
SHIPPED = ("app.py", "chalicelib/", "functions/")
REMEMBER = {
    # The door itself: which world it leads to, and which effects are watched.
    "chalicelib/aws.py": {"_provider"},
    "chalicelib/crash.py": {"_scope"},
    # A decoder is a function of its type and of nothing else.
    "chalicelib/api/schema.py": {"_decoder"},
    # Each context has its own, and it is put back at the end of the work.
    "chalicelib/tracing.py": {"_current"},
}
CACHES = {"cache", "lru_cache", "cached_property"}
FILLED_LATER = {
    "dict",
    "list",
    "set",
    "OrderedDict",
    "defaultdict",
    "deque",
    "Counter",
    "ContextVar",
}
METHODS_OF_SETS = {"union", "intersection", "difference", "symmetric_difference"}


class Scan(ast.NodeVisitor):
    """One module: what it reads that it must not."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.allowed = ALLOWED.get(path, set())
        self.found: list[str] = []
        self.sets: list[set[str]] = [set()]

    def say(self, node: ast.AST, what: str) -> None:
        self.found.append(f"{self.path}:{getattr(node, 'lineno', 0)} {what}")

    # ------------------------------------------------------------------- clocks, chance

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            module = name.name.partition(".")[0]
            if module in MODULES and module not in self.allowed:
                self.say(node, f"imports {module}")

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = (node.module or "").partition(".")[0]
        names = {name.name for name in node.names}
        if module in MODULES and not (module in self.allowed and names <= ONLY.get(module, set())):
            self.say(node, f"imports from {module}")
        if module == "os" and "urandom" in names:
            self.say(node, "imports os.urandom")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        owner = node.value.id if isinstance(node.value, ast.Name) else ""
        if owner == "os" and node.attr in ("urandom", "getrandom", "getpid"):
            self.say(node, f"reads os.{node.attr}")
        if owner in ONLY and owner in self.allowed and node.attr not in ONLY[owner]:
            self.say(node, f"reads {owner}.{node.attr}")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in CLOCKS:
            owner = ast.unparse(function.value).rpartition(".")[2]
            if owner in ("datetime", "date") and "datetime.now" not in self.allowed:
                self.say(node, f"reads {owner}.{function.attr}()")
        if isinstance(function, ast.Name):
            if function.id in ("hash", "id") and node.args:
                self.say(node, f"calls {function.id}()")
            if function.id in IN_ORDER:
                for argument in node.args:
                    self._order(argument)
        if isinstance(function, ast.Attribute) and function.attr in ("join", "extend"):
            for argument in node.args:
                self._order(argument)
        self.generic_visit(node)

    # ------------------------------------------------------------------ orders of hashes

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.sets.append(set(self.sets[-1]))
        self.generic_visit(node)
        self.sets.pop()

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name | ast.Attribute):
                self._learn(ast.unparse(target), self._is_set(node.value))
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        noted = ast.unparse(node.annotation)
        is_set = noted.startswith(("set", "frozenset", "Final[set", "Final[frozenset"))
        self._learn(ast.unparse(node.target), is_set)
        self.generic_visit(node)

    def _learn(self, name: str, is_set: bool) -> None:
        (self.sets[-1].add if is_set else self.sets[-1].discard)(name)

    def visit_For(self, node: ast.For) -> None:
        self._order(node.iter)
        self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self._generators(node)

    def visit_DictComp(self, node: ast.DictComp) -> None:
        self._generators(node)

    def visit_Starred(self, node: ast.Starred) -> None:
        self._order(node.value)
        self.generic_visit(node)

    def _generators(self, node: ast.ListComp | ast.DictComp) -> None:
        for each in node.generators:
            self._order(each.iter)
        self.generic_visit(node)

    def _order(self, node: ast.expr) -> None:
        if self._is_set(node):
            self.say(node, f"goes through a set in its order: {ast.unparse(node)}")

    def _is_set(self, node: ast.expr) -> bool:
        """As far as one module shows it."""
        match node:
            case ast.Set() | ast.SetComp():
                return True
            case ast.Call(func=ast.Name(id="set" | "frozenset")):
                return True
            case ast.Call(func=ast.Attribute(attr=method)):
                return method in METHODS_OF_SETS
            case ast.BinOp(left=left, op=ast.BitOr() | ast.BitAnd() | ast.Sub(), right=right):
                return self._is_set(left) or self._is_set(right)
            case ast.Name() | ast.Attribute():
                return ast.unparse(node) in self.sets[-1]
        return False


def kept(path: str, text: str) -> list[str]:
    """What a module keeps for as long as its process lives, by name."""
    found: list[str] = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.FunctionDef(decorator_list=decorators):
                marks = {
                    name.id
                    for each in decorators
                    for name in ast.walk(each)
                    if isinstance(name, ast.Name)
                }
                marks |= {
                    name.attr
                    for each in decorators
                    for name in ast.walk(each)
                    if isinstance(name, ast.Attribute)
                }
                found += [node.name] if marks & CACHES else []
            case ast.Global(names=names):
                found += names
            case ast.Module(body=body):
                found += [name for each in body for name in _filled_later(each)]
            case ast.ClassDef(body=body):
                of_class = [each for each in body if not _of_instances(each)]
                found += [name for each in of_class for name in _filled_later(each)]
    return sorted(set(found) - REMEMBER.get(path, set()))


def _of_instances(node: ast.stmt) -> bool:
    """A field with a default, which a struct copies for each instance."""
    return isinstance(node, ast.AnnAssign) and "ClassVar" not in ast.unparse(node.annotation)


def _filled_later(node: ast.stmt) -> Iterator[str]:
    """Names of a module or a class that begin as something empty, for nothing else fills them."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            pass
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            pass
        case _:
            return
    match value:
        case ast.Dict(keys=[]) | ast.List(elts=[]):
            empty = True
        case ast.Call(func=ast.Name(id=made)) | ast.Call(func=ast.Attribute(attr=made)):
            empty = made in FILLED_LATER and not (made in ("dict", "list", "set") and value.args)
        case _:
            empty = False
    if empty:
        yield name


def modules() -> Iterator[str]:
    """All modules that run under simulation."""
    yield "app.py"
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if not name.startswith(EDGES):
                yield name


def scanned(path: str, text: str) -> list[str]:
    scan = Scan(path)
    scan.visit(ast.parse(text))
    return scan.found


def test_no_module_under_simulation_reads_the_real_world() -> None:
    found = [each for name in modules() for each in scanned(name, (ROOT / name).read_text())]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from uuid import uuid4",
        "import random as chance",
        "import os\nkey = os.urandom(32)",
        "from datetime import datetime, UTC\nnow = datetime.now(UTC)",
        "import datetime\nnow = datetime.datetime.utcnow()",
        "bucket = hash('a') % 7",
        "for each in {'a', 'b'}:\n    send(each)",
        "names = set(rows)\nfirst = list(names)",
        "def f(self):\n    self.seen = set()\n    return [x for x in self.seen]",
        "left: set[str] = a - b\nfor each in left:\n    send(each)",
        "text = ', '.join({n for n in rows})",
        "all_ = (*set(rows), 1)",
    ],
)
def test_the_scan_sees(text: str) -> None:
    assert scanned("chalicelib/made_up.py", text)


@pytest.mark.parametrize(
    "text",
    [
        "from datetime import datetime\nwhen = datetime.fromisoformat(text)",
        "for each in sorted({'a', 'b'}):\n    send(each)",
        "left = set(a) - set(b)\nif left:\n    print(len(left), min(left))",
        "for each in dict.fromkeys(rows):\n    send(each)",
    ],
)
def test_the_scan_lets_pass(text: str) -> None:
    assert scanned("chalicelib/made_up.py", text) == []


def test_what_a_container_keeps_it_keeps_in_one_place() -> None:
    shipped = [name for name in [*modules(), "chalicelib/aws.py"] if name.startswith(SHIPPED)]
    found = {name: kept(name, (ROOT / name).read_text()) for name in shipped}
    assert {name: each for name, each in found.items() if each} == {}


@pytest.mark.parametrize(
    "text",
    [
        "@cache\ndef secrets(): ...",
        "@functools.lru_cache(maxsize=9)\ndef key(name): ...",
        "seen = {}",
        "_seen: Final[set[str]] = set()",
        "_last = collections.OrderedDict()",
        "class Held:\n    rows: ClassVar[list[str]] = []",
        "def f():\n    global token\n    token = 1",
    ],
)
def test_what_a_module_keeps_is_seen(text: str) -> None:
    assert kept("chalicelib/made_up.py", text)


def test_constants_are_no_memory() -> None:
    assert kept("chalicelib/made_up.py", "A: Final = {'a': 1}\nB = frozenset()\nC = set(A)") == []


def test_a_run_needs_nothing_of_the_real_world(monkeypatch: pytest.MonkeyPatch) -> None:
    def lettered() -> uuid.UUID:
        caller = str(sys._getframe(1).f_globals.get("__name__"))
        assert caller in HARMLESS, f"{caller} asked the real world for an id"
        return uuid.UUID(int=0)

    def refusing(real: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(*args: Any, **options: Any) -> Any:
            caller = str(sys._getframe(1).f_globals.get("__name__"))
            assert caller in HARMLESS, f"{caller} asked the real world for {real.__name__}()"
            return real(*args, **options)

        return refuse

    run = Run(with_options(load_scenario("smoke"), guests=6, hours=0.4, seed=5))
    with monkeypatch.context() as patched:
        patched.setattr(uuid, "uuid4", lettered)
        for module, names in WORLD.items():
            for name in names:
                patched.setattr(module, name, refusing(getattr(module, name)))
        result = run.execute()
    assert result.broken() == []
    assert result.operations
    assert run.workload.errors == []
    assert run.world.fleet.broken == []


SHORT = """
from simulator.plan import load_scenario, with_options
from simulator.run import Run
plan = with_options(load_scenario("chaos"), guests=5, hours=0.3, seed={seed})
print(Run(plan).execute().trace_hash)
"""


def test_a_second_run_in_a_process_is_the_first_of_another() -> None:
    """So that a seed that fails in a swarm fails again by itself."""
    plan = load_scenario("chaos")
    Run(with_options(plan, guests=4, hours=0.2, seed=91)).execute()
    here = Run(with_options(plan, guests=5, hours=0.3, seed=92)).execute().trace_hash
    there = subprocess.run(
        [sys.executable, "-c", SHORT.format(seed=92)],
        env={**os.environ, "PYTHONHASHSEED": "17"},
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    assert there.stdout.strip() == here
