"""What has to be right before anything is changed: all of it is looked at, and told together.

Each check answers one sentence about what it found, or raises what is wrong with what to do about
it. One that needs another's answer is not made without.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Final, Literal, NamedTuple

import requests
from botocore.exceptions import BotoCoreError, ClientError

from infra.deployment import front, given, on_aws, on_cloud, quotas
from infra.deployment.survey import Survey
from infra.deployment.verdicts import Doubt
from infra.errors import StackError

Verdict = Literal["ok", "warning", "failure", "not checked"]


class Finding(NamedTuple):
    """What a check has found, and what to do about it."""

    check: str
    verdict: Verdict
    said: str
    advice: str = ""


class Check(NamedTuple):
    """A check by its name; it is made only when those that it needs have found no failure."""

    name: str
    look: Callable[[Survey], str]
    needs: tuple[str, ...] = ()


CHECKS: Final = (
    Check("aws-region", on_aws.region),
    Check("aws-credentials", on_aws.credentials, ("aws-region",)),
    Check("stack", on_aws.stack, ("aws-credentials",)),
    Check("parameters", given.check, ("stack",)),
    Check("bucket", on_aws.bucket, ("aws-credentials",)),
    Check("backups", on_aws.backups, ("stack",)),
    Check("rings", on_aws.rings, ("stack",)),
    Check("backup-keys", on_aws.backup_keys, ("stack", "parameters")),
    Check("tables", on_aws.tables, ("stack",)),
    Check("lambda-concurrency", on_aws.concurrency, ("stack", "parameters")),
    Check("gateway-logs", on_aws.gateway_logs, ("stack",)),
    Check("api-address", front.check, ("stack",)),
    Check("keystone", on_cloud.keystone),
    Check("cloud-credentials", on_cloud.credentials, ("keystone",)),
    Check("same-cloud", on_cloud.same_cloud, ("cloud-credentials", "stack")),
    Check("cloud-services", on_cloud.services, ("cloud-credentials",)),
    Check("service-user", on_cloud.service_user, ("cloud-credentials", "stack")),
    Check("service-roles", on_cloud.service_roles, ("service-user",)),
    Check("catalog", on_cloud.catalog_entry, ("cloud-credentials", "stack")),
    Check("image", on_cloud.image, ("cloud-services", "stack")),
    Check("quotas", quotas.check, ("cloud-services", "stack")),
    Check("network", on_cloud.network, ("cloud-services", "stack")),
)
NAMES: Final = tuple(check.name for check in CHECKS)


OF_A_ROLLBACK: Final = ("aws-region", "aws-credentials", "stack")


def findings(
    survey: Survey, ignored: Collection[str] = (), *, only: Collection[str] = NAMES
) -> Iterator[Finding]:
    """Make every check, or those of some names; a failure of one that is ignored is a warning."""
    failed: set[str] = set()
    told: dict[str, str] = {}
    for check in [each for each in CHECKS if each.name in only]:
        lacking = [name for name in check.needs if name in failed]
        if lacking:
            failed.add(check.name)
            yield Finding(check.name, "not checked", f"It needs {lacking[0]}.")
            continue
        found = _made(check, survey)
        if found.verdict == "failure" and check.name in ignored:
            found = found._replace(verdict="warning")
        elif found.verdict == "failure":
            failed.add(check.name)
            # One cause is told once: two checks may look at the same thing.
            if (first := told.setdefault(found.said, check.name)) != check.name:
                found = Finding(check.name, "not checked", f"It needs {first}.")
        yield found


def _made(check: Check, survey: Survey) -> Finding:
    try:
        return Finding(check.name, "ok", check.look(survey))
    except Doubt as doubt:
        return Finding(check.name, "warning", doubt.message, doubt.advice)
    except StackError as error:
        return Finding(check.name, "failure", error.message, error.advice)
    except ClientError as error:
        said = error.response["Error"].get("Message") or str(error)
        return Finding(
            check.name,
            "failure",
            f"AWS refused {error.operation_name}: {said}",
            "The credentials need this right: docs/deploying.md has the whole list.",
        )
    except (BotoCoreError, requests.RequestException) as error:
        return Finding(check.name, "failure", str(error), "Is the address right, and reachable?")
