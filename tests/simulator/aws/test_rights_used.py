"""Rights compared with calls, both ways: what a function calls is allowed, and the other way round.

That each call is allowed every run checks by itself (`simulator.aws.rights`). Here runs that take
the rare paths together leave no right of a role unused, but for those that are declared.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from chalicelib.store.models import Attachment, Configuration
from simulator import template
from simulator.aws.policies import Right, parsed, rights_of
from simulator.fleet.releases import BUNDLES
from simulator.plan import Plan, read
from simulator.run import Run
from tests.saboteurs.plans import PLANS
from tests.simulator.backing_up import Backups
from tests.simulator.deployment import TENANT, Deployment

COVERING: Final = (
    *("restored", "crashes", "lost hints", "hostile", "keys", "access", "contents", "power"),
    "replaced",
)
"""Plans that take the rare paths: jobs after a restore, dead letters, a change of the access, the
same request again. Those come first that something is used by alone."""
SEEDS: Final = range(1, 5)
ROOT: Final = Path(__file__).parents[3]
CANCELLED: Final = (
    Path(__file__).parents[1]
    / "regressions"
    / "a_hint_to_a_cancelled_operation_may_not_read_its_instance.json"
)

POLLER = "Lambda's own poller calls it with the role, before the function is there"
MENDED = "a restored table of backups: tests/functions/test_restoration_of_backups.py"
ADOPTED = "a snapshot whose row is lost: tests/functions/test_restoration_of_snapshots.py"
SCHEDULED = "of a schedule of backups: tests/taskmanager/test_schedules.py"
LEFT = "snapshots that nobody deleted: tests/functions/test_snapshots.py"
GIVEN_UP = "an operation whose executions all died: tests/taskmanager/test_sweeper.py"
ARCHIVED = "of the archive of a log: tests/simulator/test_point_in_time.py"
YOUNG = "a list before its index is there: tests/store/test_listing_backups.py"
OLD = "of bundles of the agent that are a month old: tests/functions/test_old_bundles.py"
ASKED_ANEW = "a key whose guest did nothing: tests/api/test_idempotency.py"
UNUSED: Final = {
    ("api", "dynamodb:updateitem *-kept-replies"): ASKED_ANEW,
    ("api", "dynamodb:query *-backups/index/tenant-index"): YOUNG,
    ("api", "dynamodb:getitem *-archives"): ARCHIVED,
    ("api", "dynamodb:batchgetitem *-archives"): ARCHIVED,
    ("api", "dynamodb:putitem *-archives"): ARCHIVED,
    ("api", "dynamodb:updateitem *-archives"): ARCHIVED,
    ("api", "dynamodb:query *-archives/index/source-index"): ARCHIVED,
    ("api", "s3:listbucket"): ARCHIVED,
    ("heartbeats", "dynamodb:batchgetitem *-archives"): ARCHIVED,
    ("heartbeats", "dynamodb:updateitem *-archives"): ARCHIVED,
    ("dispatcher", "dynamodb:getitem *-archives"): ARCHIVED,
    ("dispatcher", "dynamodb:putitem *-archives"): ARCHIVED,
    ("dispatcher", "dynamodb:updateitem *-archives"): ARCHIVED,
    ("taskmanager", "dynamodb:getitem *-archives"): ARCHIVED,
    ("taskmanager", "dynamodb:batchgetitem *-archives"): ARCHIVED,
    ("taskmanager", "dynamodb:updateitem *-archives"): ARCHIVED,
    ("taskmanager-cloud", "dynamodb:getitem *-archives"): ARCHIVED,
    ("taskmanager-cloud", "dynamodb:updateitem *-archives"): ARCHIVED,
    ("taskmanager-cloud", "dynamodb:getitem *-backup-schedules"): ARCHIVED,
    ("taskmanager", "s3:deleteobject *-packages-*/agents/*"): OLD,
    ("taskmanager", "dynamodb:query *-operations/index/live-index"): OLD,
    ("dispatcher", "dynamodb:updateitem *-operations"): "a hint that finds an answer whose token "
    "was not completed: tests/taskmanager/test_dispatcher.py",
    ("dispatcher", "states:sendtasksuccess *"): "the same, and a hint to what is cancelled",
    ("dispatcher", "dynamodb:deleteitem *-backup-schedules"): SCHEDULED,
    ("dispatcher", "dynamodb:batchgetitem *-operations"): SCHEDULED,
    ("taskmanager", "dynamodb:getitem *-backup-schedules"): SCHEDULED,
    ("taskmanager", "dynamodb:updateitem *-backup-schedules"): SCHEDULED,
    ("sweeper", "dynamodb:getitem *-backup-schedules"): GIVEN_UP,
    ("*", "sqs:receivemessage"): POLLER,
    ("*", "sqs:deletemessage"): POLLER,
    ("*", "sqs:getqueueattributes"): POLLER,
    ("api", "ssm:getparameter */identity"): "the simulator's tenants have tokens without Keystone",
    ("taskmanager-cloud", "ssm:getparameter */cloud"): "the simulator's cloud is called directly",
    ("sweeper", "dynamodb:updateitem *-instances"): GIVEN_UP,
    ("sweeper", "dynamodb:updateitem *-quotas"): GIVEN_UP,
    ("sweeper", "dynamodb:getitem *-backups"): GIVEN_UP,
    ("sweeper", "dynamodb:getitem *-rollouts"): GIVEN_UP,
    ("sweeper", "dynamodb:updateitem *-rollouts"): GIVEN_UP,
    ("sweeper", "dynamodb:getitem *-configurations"): GIVEN_UP,
    ("sweeper", "dynamodb:updateitem *-configurations"): GIVEN_UP,
    ("sweeper", "dynamodb:deleteitem *-attachments"): GIVEN_UP,
    ("sweeper", "dynamodb:deleteitem *-arguments"): GIVEN_UP,
    ("sweeper", "dynamodb:deleteitem *-service-statuses"): GIVEN_UP,
    ("sweeper", "dynamodb:updateitem *-service-statuses"): GIVEN_UP,
    ("sweeper", "dynamodb:putitem *-events"): GIVEN_UP,
    ("sweeper", "dynamodb:updateitem *-backups"): GIVEN_UP,
    ("taskmanager-cloud", "dynamodb:updateitem *-backups"): MENDED,
    ("taskmanager-cloud", "dynamodb:putitem *-backups"): ADOPTED,
    ("taskmanager-cloud", "dynamodb:query *-backups/index/source-index"): MENDED,
    ("taskmanager-cloud", "dynamodb:batchgetitem *-backups"): LEFT,
    ("taskmanager-cloud", "dynamodb:updateitem *-rollouts"): "a restored rollout that has ended: "
    "tests/functions/test_restoration.py",
    ("sweeper", "states:stopexecution *"): "a Step Functions that does not notice a dead worker, "
    "as MiniStack's: tests/taskmanager/test_sweeper.py",
}
"""Rights that no run here uses, by role and action (and resource), each with its reason."""


def allowed() -> set[tuple[str, Right]]:
    """Every right of every function's role."""
    return {
        (name, right)
        for name, document in template.roles(SecretsPath="/coffer").items()
        for right in rights_of(parsed(document))
    }


def used_by(plan: Plan) -> set[tuple[str, Right]]:
    run = Run(plan)
    run.execute()
    assert not run.world.region.rights.refused
    return run.world.region.rights.used


def used_by_who_reads_what_happened() -> set[tuple[str, Right]]:
    """The workload's tenants read no history; operators offer a datastore, upgrade an agent,
    expel a guest, and roll an image out."""
    deployment = Deployment()
    try:

        def read() -> None:
            body = {"name": "x", "flavorRef": "1", "volume": {"size": 1}}
            made = deployment.tenant("POST", "/instances", {"instance": body})
            assert made.status == 200, made.body
            instance = made.document["instance"]["id"]
            assert deployment.tenant("GET", "/events").status == 200
            for feed in ("operations", "events"):
                told = deployment.tenant("GET", f"/instances/{instance}/{feed}")
                assert told.status == 200
                for each in told.document.get("operations", []):
                    path = f"/instances/{instance}/operations/{each['id']}"
                    assert deployment.tenant("GET", path).status == 200
            assert deployment.admin("GET", "/mgmt/instances").status == 200
            asked = {"name": "x", "instance": instance, "cron": "0 0 * * *"}
            made = deployment.tenant("POST", "/backup_schedules", {"backup_schedule": asked})
            path = f"/backup_schedules/{made.document['backup_schedule']['id']}"
            assert deployment.tenant("GET", "/backup_schedules").status == 200
            change = {"backup_schedule": {"keep_count": 3}}
            assert deployment.tenant("PUT", path, change).status == 200
            assert deployment.tenant("DELETE", path).status == 202
            asked = {"name": "x", "instance": instance, "interval_hours": 1, "keep_count": 1}
            deployment.tenant("POST", "/backup_schedules", {"backup_schedule": asked})
            for _ in range(4 * 60):
                deployment.kernel.sleep(60.0)
            while deployment.busy():
                deployment.kernel.sleep(1.0)
            path = f"/mgmt/instances/{instance}/action"
            while deployment.busy():
                deployment.kernel.sleep(1.0)
            bundle = msgspec.to_builtins(BUNDLES[0].asked)
            assert deployment.admin("POST", path, {"upgrade_agent": bundle}).status == 202
            while deployment.busy():
                deployment.kernel.sleep(1.0)
            assert deployment.admin("POST", path, {"expel": {}}).status == 202

        def roll_out() -> None:
            deployment.create(deployment.tenant)
            deployment.wait()
            asked = {"image_id": "none such", "datastore_version": "10.11"}
            for chosen in ({}, {"project_id": TENANT}):
                body = {"rollout": {**asked, **chosen}}
                assert deployment.admin("POST", "/mgmt/rollouts", body).status == 202
                while deployment.busy():
                    deployment.kernel.sleep(1.0)
            for each in deployment.admin("GET", "/mgmt/rollouts").document["rollouts"]:
                assert deployment.admin("GET", f"/mgmt/rollouts/{each['id']}").status == 200

        def keep_datastores() -> None:
            versions = "/mgmt/datastore-versions"
            made = {
                "name": "12.0",
                "datastore_name": "another",
                "datastore_manager": "mariadb",
                "image_tags": ["coffer"],
                "active": True,
            }
            assert deployment.admin("POST", versions, {"version": made}).status == 202
            listed = deployment.admin("GET", versions).document["versions"]
            (path,) = (f"{versions}/{each['id']}" for each in listed if each["name"] == "12.0")
            assert deployment.admin("PATCH", path, {"default": True}).status == 202
            assert deployment.admin("DELETE", path).status == 202
            assert deployment.admin("DELETE", "/datastores/another").status == 202

        def look_for_old_bundles() -> None:
            event = {"step": "look_for_old_bundles"}
            told = deployment.region.lambda_.call("coffer-taskmanager", event)
            assert told.result == {"seen": 0, "removed": 0}

        deployment.do(look_for_old_bundles)
        deployment.do(keep_datastores)

        def change_groups() -> None:
            body = {"configuration": {"name": "g", "values": {"max_connections": 40}}}
            made = deployment.tenant("POST", "/configurations", body)
            group = made.document["configuration"]["id"]
            path = f"/configurations/{group}"
            for _ in range(2):
                deployment.create(deployment.tenant)
            deployment.wait()
            first, second = [row["id"] for row in deployment.instances()][-2:]
            for instance, wanted in ((first, group), (second, group), (first, None)):
                asked = {"instance": {"configuration": wanted}}
                reply = deployment.tenant("PUT", f"/instances/{instance}", asked)
                assert reply.status == 202, reply.body
                deployment.idle()
            changed = {"configuration": {"values": {"max_connections": 50}}}
            assert deployment.tenant("PATCH", path, changed).status == 200
            deployment.idle()
            for each in ("/configurations", path, f"{path}/instances", "/instances/detail"):
                assert deployment.tenant("GET", each).status == 200
            assert deployment.tenant("DELETE", f"/instances/{second}").status == 202
            deployment.idle()
            assert deployment.tenant("DELETE", path).status == 202

        def restore_groups() -> None:
            """As after a restore: one attachment is missing, one nobody's, and a change is lost."""
            body = {"configuration": {"name": "g", "values": {"max_connections": 40}}}
            made = deployment.tenant("POST", "/configurations", body)
            group = Configuration.get(made.document["configuration"]["id"])
            deployment.create(deployment.tenant)
            deployment.wait()
            asked = {"instance": {"configuration": group.id}}
            instance = deployment.instances()[-1]["id"]
            assert deployment.tenant("PUT", f"/instances/{instance}", asked).status == 202
            deployment.idle()
            deployment.invariants.hub.restoring = True
            Attachment(group.id, instance).delete()
            Attachment(group.id, "nobody").save()
            group.update(actions=[Configuration.revision.set(0)])
            page: dict[str, Any] | None = {}
            while page is not None:
                event = {"step": "restore_groups", **page}
                told = deployment.region.lambda_.call("coffer-taskmanager-cloud", event)
                assert told.error is None
                page = told.result["next"]
            assert [row.by_id for row in Attachment.query(group.id)] == [instance]

        deployment.do(restore_groups)
        deployment.do(read, within=5 * 3600.0)
        deployment.do(roll_out)
        deployment.do(change_groups)
        return deployment.region.rights.used
    finally:
        deployment.close()


def used_by_who_backs_up() -> set[tuple[str, Right]]:
    """A chain is made, shown and restored, a backup is cancelled, and all are deleted, also a chain
    at once whose last is named first; one is made where the ring seals its key."""
    of_ring = Backups(options={"COFFER_SEAL_BACKUPS_WITH": "ring"})
    try:
        of_ring.back_up(of_ring.begin())
    finally:
        of_ring.close()
    deployment = Backups(options={"COFFER_SEAL_BACKUPS_WITH": "key"})
    try:
        instance = deployment.begin()
        first = deployment.back_up(instance)
        second = deployment.back_up(instance, incremental=1)
        deployment.restore(second)
        deployment.give_up(instance)
        for path in (f"/backups/{first}", "/backups", f"/instances/{instance}/backups"):
            assert deployment.ask("GET", path).status == 200
        paths = ("GET", "/backups?all_projects=true")
        deployment.do(lambda: deployment.admin(*paths))
        assert deployment.ask("DELETE", f"/backups/{first}?cascade=true").status == 202
        deployment.settle()
        chain = [deployment.back_up(instance, incremental=1) for _ in range(2)]
        deployment.do(
            lambda: [deployment.tenant("DELETE", f"/backups/{each}") for each in chain[::-1]]
        )
        third = deployment.back_up(instance, swift_container="mine")
        assert deployment.ask("DELETE", f"/backups/{third}").status == 202
        deployment.settle()
        return deployment.region.rights.used | of_ring.region.rights.used
    finally:
        deployment.close()


def is_declared(role: str, right: Right, exception: tuple[str, str]) -> bool:
    whose, what = exception
    action, _, resource = what.partition(" ")
    return (
        fnmatchcase(role.removeprefix("coffer-"), whose)
        and action == right.action
        and fnmatchcase(right.resource, resource or "*")
    )


def missing(used: set[tuple[str, Right]]) -> set[str]:
    """What is allowed, was not used, and is no exception."""
    return {
        f"{role}: {right.action} on {right.resource}"
        for role, right in allowed() - used
        if not any(is_declared(role, right, each) for each in UNUSED)
    }


@pytest.mark.deep
@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_right_is_used_by_some_run() -> None:
    """Which rare path a plan takes its seed decides: as many runs as it takes, and no more."""
    used = used_by_who_reads_what_happened() | used_by_who_backs_up() | used_by(read(CANCELLED))
    in_use = [
        exception
        for exception in UNUSED
        if any(is_declared(role, right, exception) for role, right in used)
    ]
    assert in_use == [], "what needs no luck to be used is no exception"
    for seed, name in product(SEEDS, COVERING):
        if not missing(used):
            break
        used |= used_by(msgspec.structs.replace(PLANS[name], seed=seed))
    assert missing(used) == set()


@pytest.mark.parametrize("exception", UNUSED, ids=" ".join)
def test_an_exception_is_of_a_right_that_is_given_and_another_test_takes(
    exception: tuple[str, str],
) -> None:
    assert any(is_declared(role, right, exception) for role, right in allowed())
    for path in re.findall(r"tests/\S+\.py", UNUSED[exception]):
        assert (ROOT / path).is_file()


def test_a_right_is_an_action_on_a_resource() -> None:
    document = {
        "Statement": [
            {"Effect": "Allow", "Action": ["a:Get", "a:Put"], "Resource": ["one", "two*"]},
            {"Effect": "Deny", "Action": "a:Delete", "Resource": "*"},
        ]
    }
    rights = rights_of(parsed(document))
    assert len(rights) == 4
    assert [right for right in rights if right.fits("a:Get", "two/2")] == [Right("a:get", "two*")]
