"""The AWS sessions of guests that were expelled: each is denied everything until it has run out.

The control plane refuses what such a guest says, and its queue is gone; this takes from it the
right to send. STS cannot end a session, but a role's inline policy holds for those that it has lent
out too, and a session is told by its name. IAM allows 10,240 characters of such policies, so that
old ones go.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

LIFE_SECONDS: Final = 3600
"""Of a guest's session at most, and of its denial at least."""
LATEST: Final = 5
"""So many generations can have been lent a session within its life: a rebuild takes minutes."""
_NAME: Final = re.compile(r"expelled-(\d+)-.+")


def deny(iam: Any, role: str, instance_id: str, present: int, now: float) -> int:
    """Deny the sessions of the generations before the present one; how many old denials went."""
    gone = 0
    for page in iam.get_paginator("list_role_policies").paginate(RoleName=role):
        for name in page["PolicyNames"]:
            made = _NAME.fullmatch(name)
            if made and int(made[1]) + LIFE_SECONDS < now:
                iam.delete_role_policy(RoleName=role, PolicyName=name)
                gone += 1
    iam.put_role_policy(
        RoleName=role,
        PolicyName=f"expelled-{int(now)}-{instance_id}",
        PolicyDocument=json.dumps(denial(instance_id, present)),
    )
    return gone


def denial(instance_id: str, present: int) -> dict[str, Any]:
    """The policy: `aws:userid` of a session is the role's id and the session's name."""
    before = range(max(1, present - LATEST), present)
    return {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {
                "StringLike": {"aws:userid": [f"*:guest-{instance_id}-{each}" for each in before]}
            },
        },
    }
