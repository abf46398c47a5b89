"""Brings the whole local stack up and down; each step looks first: a second run changes nothing."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests

from infra import deploy
from infra.errors import NotAnsweringError, NotRunningError, StackError
from infra.keyrings import RINGS
from infra.local import cloud, endpoint, front, ministack
from infra.local.lock import exclusive
from infra.local.overlay import overlaid
from infra.local.processes import leftovers, stop_all
from infra.local.progress import Progress
from infra.local.settings import (
    SECRETS_PATH,
    STACK_NAME,
    Secrets,
    StackSettings,
    cache_folder,
    load_secrets,
    others_can_enter,
)
from infra.package.build import Build, build
from infra.package.sources import PROJECT_ROOT

API_TIMEOUT_SECONDS: Final = 30.0
SEED_TIMEOUT_SECONDS: Final = 60
CACHED_BUILD_SECONDS: Final = 0.3
CLOUD_REGION: Final = "RegionOne"
DEFAULT_DATASTORE: Final = "mariadb"
# On the emulator a crashed handler's messages come back after this long; on AWS it is longer.
HEARTBEAT_SECONDS: Final = 30
"""Messages cost nothing here, and whoever kills a guest wants to see it."""
REQUESTS_PER_MINUTE: Final = 6000
"""Whoever waits for something here asks ten times a second."""
QUEUE_VISIBILITY_SECONDS: Final = 30
# Executions at once on this machine, where each is a process: a step that finds none free is tried
# again by its flow. (The emulator leaves a template's reservations out, and lets a task that waits
# for a token hang when its function is throttled: so not the task manager's other function.)
CONCURRENCY: Final = {"taskmanager-cloud": 6}
# The functions a first request goes through: started once, so that it meets them warm.
WARMED: Final = {
    "dispatcher": {"Records": []},
    "conductor": {"Records": []},
    "heartbeats": {"Records": []},
    # An operation that does not exist: the step answers so and does nothing.
    "taskmanager": {"step": "create_instance.complete", "operation_id": "none"},
}


@dataclass(frozen=True)
class Running:
    """A stack that is up."""

    endpoint: str
    changed: bool


def up(settings: StackSettings, progress: Progress) -> Running:
    """Bring the stack up, or mend what is missing of it; raises StackError with advice."""
    with exclusive(settings.state):
        return _up(settings, progress)


def _up(settings: StackSettings, progress: Progress) -> Running:
    _require_same_endpoint(settings)
    if settings.aws_endpoint:
        endpoint.require_answer(settings)
    _require_open(settings.state)
    secrets = load_secrets(settings)
    aws_was_up, cloud_was_up = clear_stale(settings, progress)
    if aws_was_up or cloud_was_up:
        _require_same_place(settings)
    front.require_place(settings)
    settings.record()
    package = _start_parts(settings, secrets, progress)

    admin = cloud.Admin(settings.auth_url, secrets.admin_password)
    parameters = _parameters(settings, admin, secrets)
    digest = _digest(package, parameters, secrets)
    deployed = aws_was_up and deploy.deployed_digest(settings.target, STACK_NAME) == digest
    if not deployed:
        with progress.step("Coffer: CloudFormation change set"):
            _put_secrets(settings, secrets)
            outputs = deploy.deploy(
                settings.target, STACK_NAME, package, parameters, digest, progress.say
            )
    else:
        outputs = deploy.outputs(settings.target, STACK_NAME)
    front_moved = front.ensure(settings, outputs["Endpoint"])
    url = settings.api_url
    if not (deployed and cloud_was_up and settings.recorded().get("seeded") == digest):
        _introduce(settings, admin, outputs, digest, progress)
        return Running(url, changed=True)
    wait_for_api(url)
    return Running(url, changed=front_moved)


def _put_secrets(settings: StackSettings, secrets: Secrets) -> None:
    """Users as the local cloud has them; keys only where there are none: they may be rotated."""
    for name, value in secrets.parameters().items():
        path = f"{SECRETS_PATH}/{name}"
        deploy.put_secret(settings.target, path, value, keep=name in RINGS)


def clear_stale(settings: StackSettings, progress: Progress) -> tuple[bool, bool]:
    """Remove what dead processes have left; returns whether AWS has a state and the cloud is up."""
    aws, os_cloud = ministack.process(settings), cloud.process(settings)
    for part in (aws, os_cloud, front.process(settings)):
        if remark := part.stale():
            progress.say(f"{remark}: starting it again")
            part.pid_file.unlink()
    if settings.aws_endpoint:
        has_state = deploy.deployed_digest(settings.target, STACK_NAME) is not None
    else:
        has_state = aws.running() is not None
    if has_state and os_cloud.running() is None and (lost := _instances(settings)):
        progress.say(
            f"the local cloud was gone, and with it the servers of {lost} instances: "
            "they show ERROR, and can be deleted"
        )
    if not has_state:
        if os_cloud.running() is not None:
            progress.say("the instances went with the state of AWS: the local cloud starts empty")
            os_cloud.stop()
        stop_all(leftovers(settings.state))
    return has_state, os_cloud.running() is not None


def _instances(settings: StackSettings) -> int:
    """How many instances the tables know, those that are deleted left out."""
    pages = settings.target.client("dynamodb").get_paginator("scan")
    found = pages.paginate(
        TableName=f"{STACK_NAME}-instances",
        FilterExpression="attribute_exists(index_tenant)",
        Select="COUNT",
    )
    return sum(page["Count"] for page in found)


def _require_open(state: Path) -> None:
    """The databases run as a user of their own: told here, not by the first create that fails."""
    if os.geteuid() != 0 or others_can_enter(state):
        return
    raise StackError(
        f"The database's user cannot enter {state}: a folder of that path is closed to others.",
        "Open it (chmod o+x), or name another: COFFER_STATE=/var/tmp/coffer coffer up",
    )


def _require_same_endpoint(settings: StackSettings) -> None:
    """A stack that is up can't move to another AWS."""
    recorded = settings.recorded()
    parts = (ministack.process(settings), cloud.process(settings))
    if "aws_endpoint" not in recorded or recorded["aws_endpoint"] == settings.aws_endpoint:
        return
    if any(part.running() is not None for part in parts):
        raise StackError(
            f"The stack is up on {recorded['aws_endpoint'] or 'its own MiniStack'}.",
            "coffer down, then coffer up with the new endpoint; or another COFFER_STATE.",
        )


def _require_same_place(settings: StackSettings) -> None:
    """A running process can't move to another port: say so instead of looking for it there."""
    recorded = settings.recorded()
    for name in ("aws_port", "cloud_port", "api_port", "guest_network"):
        wanted, present = getattr(settings, name), recorded.get(name)
        if present is not None and present != wanted:
            raise StackError(
                f"The stack is up with {name.replace('_', ' ')} {present}, not {wanted}.",
                "coffer down, then coffer up with the new value; or another COFFER_STATE.",
            )


def _start_parts(settings: StackSettings, secrets: Secrets, progress: Progress) -> Build:
    """Build, and start what is not running: three things that don't wait for each other."""
    cache = cache_folder()
    with ThreadPoolExecutor(max_workers=3) as pool:
        package = pool.submit(build, PROJECT_ROOT, cache)
        starting: list[tuple[str, Future[Any]]] = []
        if not settings.aws_endpoint and ministack.process(settings).running() is None:
            starting.append(("MiniStack", pool.submit(ministack.start, settings, cache)))
        if cloud.process(settings).running() is None:
            starting.append(("Local cloud", pool.submit(cloud.start, settings, secrets)))
        wait([package], timeout=CACHED_BUILD_SECONDS)
        if not package.done():
            with progress.step("Packages for Lambda"):
                package.result()
        for name, started in starting:
            with progress.step(name):
                started.result()
        return overlaid(package.result())


def _parameters(settings: StackSettings, admin: cloud.Admin, secrets: Secrets) -> dict[str, str]:
    """The template's parameters on this machine."""
    api = f"{settings.aws_url}/_aws/execute-api/"
    return {
        "QueueVisibilitySeconds": str(QUEUE_VISIBILITY_SECONDS),
        "SecretsPath": SECRETS_PATH,
        "DeploymentId": secrets.deployment_id,
        "Emulated": "true",
        "DeletionProtection": "false",
        "ApiUrlPrefix": api,
        "ApiUrlSuffix": "/api",
        "PublicEndpoint": settings.api_url,
        "GuestEndpointUrl": settings.aws_url,
        "OpenStackAuthUrl": settings.auth_url,
        "OpenStackRegionName": CLOUD_REGION,
        "NetworkId": admin.network_id(),
        "DefaultDatastore": DEFAULT_DATASTORE,
        "HeartbeatSeconds": str(HEARTBEAT_SECONDS),
        "HeartbeatExpirySeconds": str(3 * HEARTBEAT_SECONDS),
        "RequestsPerMinute": str(REQUESTS_PER_MINUTE),
        **settings.parameters,
    }


def _digest(package: Build, parameters: dict[str, str], secrets: Secrets) -> str:
    """What the deployed stack is made of; secrets go in as a hash of their hash with the rest."""
    content = json.dumps([package.digest, parameters, secrets.parameters()], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _introduce(
    settings: StackSettings,
    admin: cloud.Admin,
    outputs: dict[str, str],
    digest: str,
    progress: Progress,
) -> None:
    """Make the parts known to each other (catalog, datastores, flavors) and warm the functions."""
    url = settings.api_url
    if not settings.aws_endpoint:
        _bound_concurrency(settings)
    with ThreadPoolExecutor(max_workers=6) as pool:
        seeded = pool.submit(_seed, settings)
        warmed = [
            pool.submit(_invoke, settings, f"{STACK_NAME}-{name}", payload)
            for name, payload in WARMED.items()
        ]
        with progress.step("API answers"):
            wait_for_api(url)
        with progress.step("Catalog entry, datastores, flavors, warm functions"):
            admin.ensure_database_endpoint(f"{url}/v1.0/%(tenant_id)s", CLOUD_REGION)
            seeded.result()
            job = {"step": "mirror_flavors"}
            if mirrored := _invoke(settings, outputs["TaskManagerCloudName"], job):
                raise StackError(
                    f"The task manager could not mirror the flavors: {mirrored[:500]}",
                    "Its log: coffer logs taskmanager-cloud",
                )
            for function in warmed:
                function.result()
    settings.record(seeded=digest, endpoint=url)


def _bound_concurrency(settings: StackSettings) -> None:
    """Keep a burst of creates from starting a process for each step of each of them."""
    client = settings.target.client("lambda")
    for name, executions in CONCURRENCY.items():
        client.put_function_concurrency(
            FunctionName=f"{STACK_NAME}-{name}", ReservedConcurrentExecutions=executions
        )


def _seed(settings: StackSettings) -> None:
    """Put the datastores on offer into the tables, in a process with the functions' environment."""
    environment = {**settings.aws_environment(), "COFFER_PREFIX": STACK_NAME}
    done = subprocess.run(
        [sys.executable, "-m", "infra.seed"],
        cwd=PROJECT_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SEED_TIMEOUT_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(
            f"The datastores could not be stored:\n{done.stderr.strip()[-800:]}",
            "The list is infra/datastores.yaml.",
        )


def _invoke(settings: StackSettings, function: str, payload: object) -> str | None:
    """Invoke a function and wait; returns the text of its error or failure, or None."""
    answer = settings.target.client("lambda").invoke(
        FunctionName=function, Payload=json.dumps(payload).encode()
    )
    text = str(answer["Payload"].read().decode())
    failed = answer.get("FunctionError") or '"failed"' in text
    return text if failed else None


def wait_for_api(url: str) -> None:
    """Wait until the version document answers through the gateway."""
    deadline = time.monotonic() + API_TIMEOUT_SECONDS
    last = ""
    while time.monotonic() < deadline:
        try:
            response = requests.get(f"{url}/", timeout=API_TIMEOUT_SECONDS)
        except requests.RequestException as error:
            last = str(error)
        else:
            if response.ok:
                return
            last = f"{response.status_code} {response.text[:300]}"
        time.sleep(0.2)
    raise NotAnsweringError(
        f"The API did not answer within {API_TIMEOUT_SECONDS:.0f} s; its last answer: {last}",
        "Its log: coffer logs api",
    )


def down(settings: StackSettings, progress: Progress, *, purge: bool = False) -> bool:
    """Stop everything: the cloud with its guests first, so that none of them calls into the void.

    Returns False when there was nothing to stop. With `purge`, the state folder goes too.
    """
    if not settings.state.exists():
        return False
    with exclusive(settings.state):
        found = False
        for part in (module.process(settings) for module in (front, cloud, ministack)):
            if part.running() is not None:
                with progress.step(f"Stop {part.name}"):
                    part.stop()
                found = True
            part.pid_file.unlink(missing_ok=True)
        if lost := leftovers(settings.state):
            with progress.step(f"Stop {len(lost)} processes that lost their owner"):
                stop_all(lost)
            found = True
        try:
            if settings.aws_endpoint:
                found = endpoint.leave(settings, progress) or found
        finally:
            _forget_volatile(settings)
    if purge:
        shutil.rmtree(settings.state)
    return found


def _forget_volatile(settings: StackSettings) -> None:
    """Remove what has no meaning without its process; logs and secrets stay."""
    for folder in (
        *(settings.ministack / name for name in ("tmp", "state", "s3")),
        *(settings.cloud / name for name in ("servers", "volumes")),
    ):
        shutil.rmtree(folder, ignore_errors=True)
    (settings.cloud / "bootstrap.json").unlink(missing_ok=True)
    if settings.config_file.exists():
        forgotten = ("seeded", "endpoint", "front_target", "aws_endpoint", "agent_command")
        settings.record(**dict.fromkeys(forgotten))


def require_running(settings: StackSettings) -> str:
    """The endpoint of the stack; raises NotRunningError when it is not up."""
    url = settings.recorded().get("endpoint")
    parts = [cloud.process(settings), front.process(settings)]
    if not settings.aws_endpoint:
        parts.append(ministack.process(settings))
    if not url or any(part.running() is None for part in parts):
        raise NotRunningError(f"No stack is up in {settings.state}.", "Run: coffer up")
    return str(url)
