"""How the commands speak: steps with their times, remarks, errors that say what to do next."""

import contextlib
import errno
import sys
import time
from collections.abc import Iterator
from typing import Final

import requests
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape

from chalicelib.settings import BadSetting
from infra.errors import StackError

# A file or a pipe has no width of its own; an address must not be cut there.
PIPE_WIDTH: Final = 110

# What a shell says of a program whose reader has gone away (`| head`).
READER_GONE: Final = 141


DENIED: Final = frozenset({errno.EACCES, errno.EPERM})
OF_THE_MACHINE: Final = DENIED | {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""What a full disk and a folder that is closed answer: theirs to mend who run the command."""


class PipedConsole(Console):
    """A console whose exit code is not the one of a failure when nobody reads on."""

    def on_broken_pipe(self) -> None:
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()
        raise SystemExit(READER_GONE)


out: Final = PipedConsole(
    highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_WIDTH
)
err: Final = PipedConsole(stderr=True, highlight=False, soft_wrap=True)


def prose(text: str, console: Console) -> None:
    """Print markup that is read, not copied: on a terminal it breaks between words."""
    console.print(text, soft_wrap=not console.is_terminal)


class ConsoleProgress:
    """Draws steps: a spinner on a terminal, one line with the time when a step is done."""

    def __init__(self, console: Console = out) -> None:
        self._console = console

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        started = time.monotonic()
        with self._console.status(escape(title)):
            try:
                yield
            except BaseException:
                self._console.print(f"[red]✗[/] {escape(title)}")
                raise
        self._console.print(f"[green]✓[/] {escape(title):<48} {time.monotonic() - started:6.1f} s")

    def say(self, text: str) -> None:
        self._console.print(f"  [dim]{escape(text)}[/]")


@contextlib.contextmanager
def failing_clearly() -> Iterator[None]:
    """Turn an error of the stack into its message, its advice and its exit code."""
    try:
        yield
    except StackError as error:
        err.print(f"[red bold]Error:[/] {escape(error.message)}")
        if error.advice:
            err.print(f"[bold]Next:[/]  {escape(error.advice)}")
        sys.exit(error.exit_code)
    except (requests.RequestException, BotoCoreError, ClientError) as error:
        err.print(f"[red bold]Error:[/] {escape(str(error))}")
        err.print("[bold]Next:[/]  `coffer status` says what answers; run the command again then.")
        sys.exit(1)
    except BadSetting as error:
        err.print(f"[red bold]Error:[/] {escape(str(error))}")
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("[red]Interrupted.[/] The same command goes on from what is there.")
        sys.exit(130)
    except OSError as error:
        of_a_socket = error.errno in DENIED and error.filename is None
        if of_a_socket or error.errno not in OF_THE_MACHINE:
            raise
        where = error.filename or "a file of this command"
        err.print(f"[red bold]Error:[/] {escape(f'{where}: {error.strerror}')}")
        err.print("[bold]Next:[/]  Make room, or let this user write there; then run it again.")
        sys.exit(1)
