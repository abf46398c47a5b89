"""Everything that can go wrong in a guest, apart by who has to know.

GuestAgentError
├── ConfigurationMissing    the agent cannot start: a sentence for the operator
├── Unreachable             the control plane or a queue did not answer: tried again
│   └── Denied              it answered, and the credentials are no longer good: renewed first
├── Unauthorized            the control plane does not accept this proof of identity
├── Retired                 this guest has been superseded: stop for good
├── JournalUnusable         the journal cannot be written: nothing may be executed
├── Leaving                 this process ends, and the next one goes on with its command
└── CommandFailed           a command's answer is an error, with a code of the guest contract
    ├── BadRequest  UserNotFound  DatabaseNotFound  UserAlreadyExists  DatabaseAlreadyExists
    ├── NotSupported  Interrupted  Expired  WrongGeneration
    ├── Unavailable         the datastore cannot answer now: nobody's fault who asks
    └── GuestError          anything else
"""

from __future__ import annotations

from typing import ClassVar


class GuestAgentError(Exception):
    """Any error of the agent; its text is one sentence."""


class ConfigurationMissing(GuestAgentError):
    """What the server's user data should have written is missing or not readable."""


class Unreachable(GuestAgentError):
    """No usable answer came; the same call may succeed later, and not before so many seconds."""

    def __init__(self, message: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class Denied(Unreachable):
    """The credentials are expired or not accepted; renewing them may help."""


class Unauthorized(GuestAgentError):
    """The enrolment token or the signature was not accepted."""


class Retired(GuestAgentError):
    """Another generation, key or server stands in this guest's place, or its instance is gone."""


class JournalUnusable(GuestAgentError):
    """The journal could not be read or written."""


class Leaving(GuestAgentError):
    """This process is to end, without an answer: the one that is started next will give it."""


class CommandFailed(GuestAgentError):
    """A command that ends in an error; the text is for the user and holds no secret."""

    code: ClassVar[str] = "GuestError"


class GuestError(CommandFailed):
    """The guest could not do what was asked."""


class BadRequest(CommandFailed):
    """The arguments break a rule of the contract or of the datastore."""

    code = "BadRequest"


class UserNotFound(CommandFailed):
    """No such user, or one that belongs to the system."""

    code = "UserNotFound"


class DatabaseNotFound(CommandFailed):
    """No such database, or one that belongs to the system."""

    code = "DatabaseNotFound"


class UserAlreadyExists(CommandFailed):
    """A user with that name and host is there already."""

    code = "UserAlreadyExists"


class DatabaseAlreadyExists(CommandFailed):
    """A database with that name is there already."""

    code = "DatabaseAlreadyExists"


class NotSupported(CommandFailed):
    """The datastore cannot do that."""

    code = "NotSupported"


class Unavailable(CommandFailed):
    """The datastore does not answer, or not in time; the same call may succeed later."""

    code = "Unavailable"


class Interrupted(CommandFailed):
    """The command was begun, the agent died, and it is not safe to begin it again."""

    code = "Interrupted"


class Expired(CommandFailed):
    """The command reached the guest after its deadline and was not executed."""

    code = "Expired"


class WrongGeneration(CommandFailed):
    """The command was meant for another generation of this guest and was not executed."""

    code = "WrongGeneration"


def where(error: BaseException) -> str:
    """The class and the places of an error, without its text: that may quote a password."""
    lines = [type(error).__name__]
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append(f"  {code.co_filename}:{trace.tb_lineno} in {code.co_qualname}")
        trace = trace.tb_next
    return "\n".join(lines)
