"""The files that a run leaves: looked at before it begins, written when it has ended."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from rich.markup import escape

from infra.cli.console import err, out
from infra.errors import UnusableInputError

if TYPE_CHECKING:
    # The simulator brings all handlers with it: only a run pays for them, not the help.
    from simulator.plan import Plan
    from simulator.result import Result

STDOUT: Final = "-"


class Files(NamedTuple):
    """Which files were asked for; `json` may be "-", which is stdout."""

    json: str | None
    html: Path | None
    plan: Path | None
    shortest: Path | None

    @property
    def on_stdout(self) -> bool:
        """Whether stdout belongs to a program."""
        return self.json == STDOUT

    def require_writable(self) -> None:
        """UnusableInputError before hours were simulated, not after."""
        found: set[Path] = set()
        for path in (self._json_path(), self.html, self.plan, self.shortest):
            if path is None:
                continue
            require_writable(path)
            if path.resolve() in found:
                raise UnusableInputError(f"Two outputs go to {path}.", "Name a file for each.")
            if not _special(path):
                found.add(path.resolve())

    def write_plan(self, plan: Plan) -> None:
        """The plan is there before the run, in case that one never ends."""
        if self.plan is not None:
            with writing(self.plan):
                _write_plan(plan, self.plan)

    def write(self, result: Result) -> bool:
        """Write each of them and say where; whether all could be written."""
        written = True
        for title, path, write in self._outputs(result):
            try:
                with writing(path):
                    write(path)
            except UnusableInputError as error:
                err.print(f"[red bold]Error:[/] {escape(error.message)}")
                written = False
            else:
                if not self.on_stdout:
                    out.print(f"{title}  {escape(str(path))}")
        if self.on_stdout:
            try:
                sys.stdout.write(_document(result).decode())
                sys.stdout.flush()
            except BrokenPipeError:
                out.on_broken_pipe()
        return written

    def _outputs(self, result: Result) -> Iterator[tuple[str, Path, Callable[[Path], object]]]:
        if self.html is not None:
            yield "Report", self.html, lambda path: _write_report(result, path)
        if (json := self._json_path()) is not None:
            yield "Result", json, lambda path: path.write_bytes(_document(result))
        if self.plan is not None:
            yield "Plan", self.plan, lambda path: None
        if self.shortest is not None and result.shortest is not None:
            smaller = result.shortest.plan
            yield "Shortest plan", self.shortest, lambda path: _write_shortest(smaller, path)

    def _json_path(self) -> Path | None:
        return None if self.json is None or self.on_stdout else Path(self.json)


def require_writable(path: Path) -> None:
    """UnusableInputError for a path to which nothing can be written; nothing changes there."""
    with writing(path):
        if path.is_dir():
            raise UnusableInputError(f"{path} is a folder.", "Name a file in it.")
        if not path.parent.is_dir():
            raise UnusableInputError(
                f"There is no folder {path.parent}.", f"mkdir -p {path.parent}"
            )
        if _special(path):
            return  # opened once, for what goes there
        there = path.exists()
        path.open("ab").close()
        if not there:
            path.unlink()


def _special(path: Path) -> bool:
    """A pipe or a device."""
    return path.exists() and not path.is_file()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a file into UnusableInputError."""
    try:
        yield
    except OSError as error:
        raise UnusableInputError(f"{path} cannot be written: {error.strerror}") from error


def _document(result: Result) -> bytes:
    return msgspec.json.encode(result) + b"\n"


def _write_report(result: Result, path: Path) -> None:
    from simulator.report import page

    path.write_text(page(result), encoding="utf-8")


def _write_plan(plan: Plan, path: Path) -> None:
    from simulator import plan as plans

    plans.write(plan, path)


def _write_shortest(plan: dict[str, object], path: Path) -> None:
    from simulator.plan import Plan

    _write_plan(msgspec.convert(plan, Plan), path)
