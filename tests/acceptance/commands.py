"""Commands of unmodified clients, each in a fork of a process that has loaded their programs.

To load a client takes a second, most of what a command costs, and these tests give a hundred.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from io import StringIO
from multiprocessing.connection import Connection
from typing import Final, NamedTuple

PROGRAMS: Final = {"openstack": "openstackclient.shell", "trove": "troveclient.shell"}
"""By command: the module whose `main` its console script calls."""
PLUGINS: Final = (
    "openstackclient.common.clientmanager",
    *(f"troveclient.osc.v1.database_{each}" for each in ("configurations", "instances", "users")),
    "troveclient.v1.client",
)
"""What a command would load of its own."""
WITHIN_SECONDS: Final = 120.0

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*PROGRAMS.values(), *PLUGINS])


class Ended(NamedTuple):
    """How a command has ended, and what it printed."""

    code: object
    said: str
    complained: str


def give(command: str, arguments: tuple[str, ...], environment: dict[str, str]) -> Ended:
    """Run a command to its end, in an environment of its own.

    Raises TimeoutError, and EOFError when it died.
    """
    here, there = _context.Pipe(duplex=False)
    process = _context.Process(target=_run, args=(there, command, arguments, environment))
    process.start()
    there.close()
    with here:
        try:
            if not here.poll(WITHIN_SECONDS):
                raise TimeoutError(f"{command} {arguments}: no end in {WITHIN_SECONDS} s")
            ended: Ended = here.recv()
            return ended
        finally:
            process.kill()
            process.join()
            process.close()


def _run(
    told: Connection, command: str, arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    """What the console script does, between a beginning and an end that it does not notice."""
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [command, *arguments]
    said, complained = StringIO(), StringIO()
    with redirect_stdout(said), redirect_stderr(complained):
        try:
            code = import_module(PROGRAMS[command]).main()
        except SystemExit as end:
            code = end.code
        except BaseException:  # noqa: BLE001 - as the interpreter tells it
            traceback.print_exc()
            code = 1
    told.send(Ended(code, said.getvalue(), complained.getvalue()))
