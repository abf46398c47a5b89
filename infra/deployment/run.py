"""Deploys what a survey has found to be wanted: the stack, its secrets, the catalog's entry."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple
from urllib.parse import urlsplit

import msgspec

from chalicelib.bus import keyring
from chalicelib.bus.envelope import KEY_BYTES
from infra import backups_bucket, deploy, secret_store
from infra.deploy import Stack
from infra.deployment import catalog, introduction, service_users
from infra.deployment.survey import MADE, Survey
from infra.errors import DeployError
from infra.keyrings import RINGS
from infra.local.progress import Progress
from infra.local.settings import HOST
from infra.package.build import Build

Rings = Callable[[str], bytes]
"""The first key of the ring of that name."""


class Deployed(NamedTuple):
    """What a run has brought about."""

    endpoint: str
    changed: bool
    # What an administrator has to run still, for clients to find the API.
    commands: list[str]
    # What the name of the API has to be led to; None without a domain of its own.
    domain_target: str | None


def random_key(_: str) -> bytes:
    """A key for a new ring."""
    return secrets.token_bytes(KEY_BYTES)


def is_deployed(present: Stack | None, release: str, wanted: dict[str, str]) -> bool:
    """Whether the stack runs that release with those parameters; what it lacks, none reads."""
    if present is None or not present.is_whole or present.release != release:
        return False
    return all(wanted.get(name, value) == value for name, value in present.parameters.items())


def apply(
    survey: Survey,
    package: Build,
    progress: Progress,
    *,
    ring: Rings = random_key,
    ready: Callable[[dict[str, str]], bool],
) -> Deployed:
    """Bring the deployment about; each part is left alone when it is right already.

    `ready` is told the stack's outputs before anybody asks the API for something, and answers
    whether it had to change anything: it has a proxy lead there, where one is needed.
    """
    target, stack = survey.target, survey.wanted.stack
    wanted = survey.template_parameters()
    new_stack = not is_deployed(survey.present, package.digest, wanted)
    changed = backups_bucket.ensure(target, stack, survey.backups_bucket) or new_stack
    if new_stack:
        with progress.step("Coffer: CloudFormation change set"):
            outputs = deploy.deploy(target, stack, package, wanted, progress.say)
    else:
        outputs = deploy.outputs(target, stack)
    changed |= _store_secrets(survey, outputs.get("SecretsKey"), ring, progress)
    changed |= ready(outputs)
    root = survey.root or outputs["Endpoint"]
    changed |= not introduction.complete(target, stack)
    with ThreadPoolExecutor(max_workers=1) as pool:
        seeding = pool.submit(introduction.seed, target, stack) if changed else None
        with progress.step("API answers"):
            introduction.wait_for_api(_reachable(root, outputs))
        commands, registered = _register(survey, outputs["Endpoint"], progress)
        if seeding is not None:
            with progress.step("Datastores, flavors"):
                seeding.result()
                introduction.mirror_flavors(target, outputs["TaskManagerCloudName"])
    return Deployed(root, changed or registered, commands, outputs.get("DomainTarget"))


def _reachable(root: str, outputs: dict[str, str]) -> str:
    """Where the API can be asked: nobody may have led its own domain name there yet."""
    return root if urlsplit(root).hostname == HOST else outputs["Endpoint"]


def _store_secrets(survey: Survey, key: str | None, ring: Rings, progress: Progress) -> bool:
    """Keys where there are none, and credentials where others are wanted; whether any was new.

    All of them under `key`; a release without one leaves each under the one that it has.
    """
    ssm, path = survey.target.client("ssm"), survey.wanted.secrets_path
    new = False
    for name in RINGS:
        first = keyring.first(ring(name), 0.0)
        value = msgspec.json.encode(first).decode()
        new |= secret_store.ensure(ssm, f"{path}/{name}", value, key, keep=True)
    credentials = survey.service.credentials
    if survey.service.source == MADE:
        with progress.step("Service users in Keystone"):
            credentials = service_users.make(survey.cloud, survey.users)
    for name, credential in credentials.items():
        value = msgspec.json.encode(credential).decode()
        new |= secret_store.ensure(ssm, f"{path}/{name}", value, key, keep=False)
    return new


def _register(survey: Survey, endpoint: str, progress: Progress) -> tuple[list[str], bool]:
    """The commands that are left for an administrator, and whether the catalog was changed."""
    entry, cloud = survey.entry(endpoint), survey.cloud
    if survey.foreign_entries and not survey.wanted.replace_entry:
        progress.say("the catalog's entry leads elsewhere, and stays as it is")
        return [], False
    if cloud.is_admin:
        with progress.step("Catalog entry"):
            return [], catalog.register(cloud, entry)
    if catalog.leads_to(cloud, entry.root):
        return [], False
    return catalog.commands(entry), False


def roll_back(survey: Survey, progress: Progress) -> str:
    """Deploy the release that ran before with the stack's parameters as they are; its digest.

    The one that ran until now becomes the one before: a second rollback undoes the first.
    """
    present, stack = survey.present, survey.wanted.stack
    if present is None or present.status not in deploy.STANDING:
        raise DeployError(f"There is no stack {stack} to roll back.", "Run: coffer deploy")
    before = present.release_before
    if before is None:
        raise DeployError(
            f"The stack {stack} has had one release only: there is none to go back to.",
            "Check out other sources and run: coffer deploy",
        )
    # What this release has no parameter for, the one before may need.
    parameters = {backups_bucket.PARAMETER: survey.backups_bucket, **present.parameters}
    with progress.step(f"Coffer: back to release {before}"):
        outputs = deploy.release(survey.target, stack, before, parameters, progress.say)
    with progress.step("API answers"):
        introduction.wait_for_api(_reachable(survey.present_root or "", outputs))
    return before
