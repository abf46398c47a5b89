"""What can go wrong while a command runs; each error says what to do next.

StackError
├── BusyError         another `coffer` command works on the same state folder
├── PortInUseError    a port is taken by a process that is not ours
├── ProcessDiedError  a part of the stack ended while it was being waited for
├── NotAnsweringError a part of the stack runs and does not answer within its bound
├── PackageError      pip or chalice refused to build
├── DeployError       CloudFormation refused the template or a resource
├── NotRunningError   the command needs a stack that is up
└── UnusableInputError  what the command was given cannot be used (exit code 2)

A simulated run that raises an error nobody expected ends with UNEXPECTED, whatever the error is.
"""

from typing import ClassVar, Final

UNEXPECTED: Final = 70
"""EX_SOFTWARE: the exit code when Coffer itself, and no promise, is what went wrong."""


class StackError(Exception):
    """What happened, and what the user can do about it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice


class BusyError(StackError):
    """Another command holds the lock of the state folder."""


class PortInUseError(StackError):
    """A port that the stack needs is taken by something else."""


class ProcessDiedError(StackError):
    """A process of the stack ended before it answered."""


class NotAnsweringError(StackError):
    """A process of the stack is alive and stays silent."""


class PackageError(StackError):
    """A package could not be built."""


class DeployError(StackError):
    """CloudFormation ended in a state that is not complete."""


class NotRunningError(StackError):
    """The stack, or the part that is asked for, is not up."""


class UnusableInputError(StackError):
    """A file or an option that no run can be made of; nothing was begun."""

    exit_code = 2
