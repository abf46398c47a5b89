"""A fault at each call of the functions, one after the other, without running up to it again.

One run has no fault. At each of its calls the process is copied (it forks), and the copy has the
fault there, goes on to its own end, and tells what was wrong then; meanwhile the run waits.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from botocore.exceptions import ConnectionClosedError

from chalicelib.cloud.errors import CloudAway
from simulator.aws.errors import client_error
from simulator.aws.functions import Container
from simulator.effects import Effect
from tests.support.simulated import Stack

READS: Final = re.compile(
    r"(dynamodb\.(GetItem|BatchGetItem|Query)|ssm|sts|stepfunctions\.Describe)"
    r"|(servers|volumes|network|images)\.(find|get|newest)"
)


class Fault(Enum):
    """What can happen at a call."""

    KILLED_AFTER = auto()
    """The process dies right after it, which is before the next one."""
    REPLY_LOST = auto()
    """It took effect. botocore makes it again; a call of the cloud comes back as an error."""
    REFUSED = auto()
    """It did not take effect, however often it is made."""


class Strikes:
    """The fault at each call that is worth it, each in a copy; `failures` tells what was wrong."""

    def __init__(self, stack: Stack, fault: Fault) -> None:
        self.failures: list[str] = []
        self.struck = 0
        """How many copies there were."""
        self._stack = stack
        self._fault = fault
        self._pipe: int | None = None
        """In a copy: where it tells how it ended."""
        self._where = ""
        self._effect: Effect | None = None
        """The call that has, or had, the fault; in the run itself the last one."""

    def run(self, work: Callable[[], None]) -> None:
        """Do the work and what follows from it; a copy ends here."""
        self._stack.region.effects.hooks.append(self)
        try:
            work()
        except BaseException:
            if self._pipe is None:
                raise
            self._end(f"{self._where}: {traceback.format_exc()}")
        if self._pipe is not None:
            self._end("")

    def before(self, effect: Effect) -> None:
        if not isinstance(effect.owner, Container):
            return
        if self._pipe is None and effect is not self._effect:
            self._effect = effect
            if self._fault is Fault.REFUSED and self._worth_it(effect):
                self._copy(effect)
        if self._pipe is not None and effect is self._effect and self._fault is Fault.REFUSED:
            raise refusal(effect)

    def after(self, effect: Effect) -> None:
        if self._fault is Fault.REFUSED or self._pipe is not None:
            return
        if not isinstance(effect.owner, Container) or not self._worth_it(effect):
            return
        if not self._copy(effect):
            return
        if self._fault is Fault.REPLY_LOST:
            raise lost(effect)
        running = self._stack.kernel.current
        assert running is not None
        self._stack.region.lambda_.crash(running)

    def _worth_it(self, effect: Effect) -> bool:
        """After a read all is as after the call before it; a refusal by the cloud differs."""
        read = READS.match(name_of(effect))
        return read is None or (self._fault is Fault.REFUSED and read[1] is None)

    def _copy(self, effect: Effect) -> bool:
        """Copy the process, and wait for the copy's end; whether this is the copy."""
        self.struck += 1
        reading, writing = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reading)
            self._pipe = writing
            self._where = f"{self._fault.name} at {name_of(effect)} of {effect.scope}"
            return True
        os.close(writing)
        with os.fdopen(reading, "rb") as told:
            failure = told.read().decode()
        _, status = os.waitpid(process, 0)
        if failure or status:
            self.failures.append(failure or f"a copy ended with {status}")
        return False

    def _end(self, failure: str) -> None:
        assert self._pipe is not None
        with os.fdopen(self._pipe, "wb") as told:
            told.write(failure.encode())
        os._exit(0)


def name_of(effect: Effect) -> str:
    """What a call is called in READS."""
    return effect.call if effect.service == "openstack" else f"{effect.service}.{effect.call}"


def refusal(effect: Effect) -> Exception:
    """What whoever made the call gets when it is not served."""
    if effect.service == "openstack":
        return CloudAway(f"The cloud could not {effect.call}: service unavailable")
    refused: Exception = client_error("ThrottlingException", effect.call, "slow down")
    return refused


def lost(effect: Effect) -> Exception:
    """What it gets when it was served, and the answer did not arrive."""
    if effect.service == "openstack":
        return CloudAway(f"The cloud could not {effect.call}: gateway timeout")
    nothing: Exception = ConnectionClosedError(endpoint_url=f"https://{effect.service}")
    return nothing
