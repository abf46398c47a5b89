"""The AWS sessions of guests that were expelled: each is denied everything until it has run out.

The control plane refuses what such a guest says, and its queue is gone; this takes from it the
right to send. STS cannot end a session, but a role's inline policy holds for those that it has lent
out too, and a session is told by its name. IAM allows 10,240 characters of such policies, so that
old ones go, and those that are expelled together have one. It has no way to add to a policy that
two operators could not take at once, so that there are no larger ones.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from infra.errors import StackError

LIFE_SECONDS: Final = 3600
"""Of a guest's session at most, and of its denial at least."""
LATEST: Final = 5
"""So many generations can have been lent a session within its life: a rebuild takes minutes."""
_NAME: Final = re.compile(r"expelled-(\d+)-.+")


def deny(iam: Any, role: str, expelled: Mapping[str, int], now: float) -> int:
    """Deny the sessions of instances' guests of the generations before the present ones, by the
    instances' ids; how many old denials went.

    Raises StackError when the role has no room for it: an hour's expulsions are too many.
    """
    gone, kept = 0, []
    for page in iam.get_paginator("list_role_policies").paginate(RoleName=role):
        for name in page["PolicyNames"]:
            made = _NAME.fullmatch(name)
            if made and int(made[1]) + LIFE_SECONDS < now:
                iam.delete_role_policy(RoleName=role, PolicyName=name)
                gone += 1
            elif made:
                kept.append(int(made[1]))
    try:
        iam.put_role_policy(
            RoleName=role,
            PolicyName=f"expelled-{int(now)}-{min(expelled)}",
            PolicyDocument=json.dumps(denial(expelled), separators=(",", ":")),
        )
    except iam.exceptions.LimitExceededException:
        minutes = math.ceil((min(kept, default=int(now)) + LIFE_SECONDS - now) / 60) + 1
        raise StackError(
            f"The role {role} has no room for another denial: too many guests were expelled within "
            "the hour. These are expelled, and nothing that they say is accepted; their sessions "
            "may still send to the conductor's queues until they run out.",
            f"Run the same command again in {minutes} minutes, or for fewer instances at once.",
        ) from None
    return gone


def denial(expelled: Mapping[str, int]) -> dict[str, Any]:
    """The policy: `aws:userid` of a session is the role's id and the session's name."""
    sessions = [
        f"*:guest-{instance_id}-{each}"
        for instance_id, present in expelled.items()
        for each in range(max(1, present - LATEST), present)
    ]
    return {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"StringLike": {"aws:userid": sessions}},
        },
    }
