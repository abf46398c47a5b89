"""A fault at each call of the functions, one after the other, each in a copy of the run.

Or once at each kind of call. Where a process dies, each step is another one; what a call of AWS
does that is refused or loses its answer is the same wherever the line is that makes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from botocore.exceptions import ConnectionClosedError

from chalicelib.cloud.errors import CloudAway
from simulator.aws.errors import client_error
from simulator.aws.functions import Container
from simulator.effects import Effect
from tests.support.copies import Copies
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


Kind = tuple[object, ...]
Kinds = set[Kind]


class Strikes:
    """The fault at each call that is worth it, or only at one of a kind that is not `known` yet."""

    def __init__(self, stack: Stack, fault: Fault, known: Kinds | None = None) -> None:
        self.copies = Copies()
        self._known = known
        self._stack = stack
        self._fault = fault
        self._effect: Effect | None = None
        """In a copy the call that has the fault; in the run the last one."""

    def run(self, work: Callable[[], None]) -> None:
        """Do the work and what follows from it."""
        self._stack.region.effects.hooks.append(self)
        self.copies.run(work)

    def before(self, effect: Effect) -> None:
        if self._fault is not Fault.REFUSED or not isinstance(effect.owner, Container):
            return
        if not self.copies.in_a_copy and effect is not self._effect:
            self._effect = effect
            if self._worth_it(effect):
                self.copies.copy(self._told(effect))
        if self.copies.in_a_copy and effect is self._effect:
            raise refusal(effect)

    def after(self, effect: Effect) -> None:
        if self._fault is Fault.REFUSED or self.copies.in_a_copy:
            return
        if not isinstance(effect.owner, Container) or not self._worth_it(effect):
            return
        if not self.copies.copy(self._told(effect)):
            return
        if self._fault is Fault.REPLY_LOST:
            raise lost(effect)
        running = self._stack.kernel.current
        assert running is not None
        self._stack.region.lambda_.crash(running)

    def _worth_it(self, effect: Effect) -> bool:
        """After a read all is as after the call before it; a refusal by the cloud differs."""
        read = READS.match(name_of(effect))
        if read is not None and (self._fault is not Fault.REFUSED or read[1] is not None):
            return False
        if self._known is None:
            return True
        kind = kind_of(effect, self._fault)
        known = kind in self._known
        self._known.add(kind)
        return not known

    def _told(self, effect: Effect) -> str:
        return f"{self._fault.name} at {name_of(effect)} of {effect.scope}"


def name_of(effect: Effect) -> str:
    """What a call is called in READS."""
    return effect.call if effect.service == "openstack" else f"{effect.service}.{effect.call}"


def kind_of(effect: Effect, fault: Fault) -> Kind:
    """What the calls of one line have in common; for a death, or in the cloud, those of a step."""
    told = ("TableName", "UpdateExpression", "ConditionExpression")
    by_step = fault is Fault.KILLED_AFTER or effect.service == "openstack"
    scope = effect.scope if by_step else None
    return (name_of(effect), scope, *(effect.what.get(each) for each in told))


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
