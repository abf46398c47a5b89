"""Brings the whole local stack up and down; each step looks first: a second run changes nothing."""

import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chalicelib.parameters import Credential
from infra import deploy
from infra.deployment import given, introduction, run
from infra.deployment.openstack import Cloud
from infra.deployment.survey import DEFAULT_DATASTORE, Survey, Wanted
from infra.errors import NotRunningError, StackError
from infra.local import cloud, endpoint, front, ministack, overlay
from infra.local.lock import exclusive
from infra.local.processes import leftovers, stop_all
from infra.local.progress import Progress
from infra.local.settings import (
    STACK_NAME,
    Secrets,
    StackSettings,
    cache_folder,
    load_secrets,
    others_can_enter,
)
from infra.package.build import Build, build
from infra.package.sources import PROJECT_ROOT
from infra.remove import instances

CACHED_BUILD_SECONDS: Final = 0.3
CLOUD_REGION: Final = "RegionOne"
DOMAIN: Final = "Default"
# On the emulator a crashed handler's messages come back after this long; on AWS it is longer.
HEARTBEAT_SECONDS: Final = 30
"""Messages cost nothing here, and whoever kills a guest wants to see it."""
REQUESTS_PER_MINUTE: Final = 6000
"""Whoever waits for something here asks ten times a second."""
QUEUE_VISIBILITY_SECONDS: Final = 30
OF_ONE_MACHINE: Final = {
    "QueueVisibilitySeconds": str(QUEUE_VISIBILITY_SECONDS),
    "HeartbeatSeconds": str(HEARTBEAT_SECONDS),
    "HeartbeatExpirySeconds": str(3 * HEARTBEAT_SECONDS),
    "RequestsPerMinute": str(REQUESTS_PER_MINUTE),
    "DefaultDatastore": DEFAULT_DATASTORE,
}
"""The template's parameters that are others here."""
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
    if settings.parameters:
        given.require(settings.parameters, OF_ONE_MACHINE, overlay.parameters())
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
    done = run.apply(
        _survey(settings, secrets),
        package,
        progress,
        ring=secrets.ring,
        ready=lambda outputs: _ready(settings, outputs),
    )
    settings.record(endpoint=done.endpoint)
    return Running(done.endpoint, changed=done.changed)


def _survey(settings: StackSettings, secrets: Secrets) -> Survey:
    """What `up` wants deployed: the local cloud's own users, and parameters for one machine."""
    admin = Credential("admin", secrets.admin_password)
    scope = {"user_domain_name": DOMAIN, "project_domain_name": DOMAIN, "project_name": "admin"}
    wanted = Wanted(
        stack=STACK_NAME,
        parameters=_parameters(settings, secrets),
        network=cloud.NETWORK,
        public_endpoint=settings.api_url,
        credentials=secrets.credentials(),
        keep_parameters=False,
    )
    return Survey(
        wanted,
        lambda: settings.target,
        lambda: Cloud.of(settings.auth_url, CLOUD_REGION, admin, scope),
    )


def clear_stale(settings: StackSettings, progress: Progress) -> tuple[bool, bool]:
    """Remove what dead processes have left; returns whether AWS has a state and the cloud is up."""
    aws, os_cloud = ministack.process(settings), cloud.process(settings)
    for part in (aws, os_cloud, front.process(settings)):
        if remark := part.stale():
            progress.say(f"{remark}: starting it again")
            part.pid_file.unlink()
    if settings.aws_endpoint:
        has_state = deploy.is_whole(settings.target, STACK_NAME)
    else:
        has_state = aws.running() is not None
    if (
        has_state
        and os_cloud.running() is None
        and (lost := instances(settings.target, STACK_NAME))
    ):
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
        return overlay.overlaid(package.result())


def _parameters(settings: StackSettings, secrets: Secrets) -> dict[str, str]:
    """What the template is given: for one machine, unless something else is asked for."""
    return {
        **OF_ONE_MACHINE,
        "DeploymentId": secrets.deployment_id,
        **settings.parameters,
    }


def _ready(settings: StackSettings, outputs: dict[str, str]) -> bool:
    """Put the front before an API that was deployed; whether that had to be done.

    The functions that a first request goes through are started, so that it meets them warm.
    """
    if not settings.aws_endpoint:
        _bound_concurrency(settings)
    moved = front.ensure(settings, outputs["Endpoint"])
    if moved:
        with ThreadPoolExecutor(max_workers=len(WARMED)) as pool:
            for name, payload in WARMED.items():
                function = f"{STACK_NAME}-{name}"
                pool.submit(introduction.invoke, settings.target, function, payload)
    return moved


def _bound_concurrency(settings: StackSettings) -> None:
    """Keep a burst of creates from starting a process for each step of each of them."""
    client = settings.target.client("lambda")
    for name, executions in CONCURRENCY.items():
        client.put_function_concurrency(
            FunctionName=f"{STACK_NAME}-{name}", ReservedConcurrentExecutions=executions
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
        forgotten = ("endpoint", "aws_endpoint", "agent_command")
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
