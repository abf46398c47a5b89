"""Each invariant says "broken" when its promise is broken, with the instance it is about."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from chalicelib import aws
from chalicelib.api.operations import CANCELLED
from chalicelib.bus import commands
from chalicelib.bus.contract import FIRST_RELEASE
from chalicelib.bus.contract.arguments import Flavor
from chalicelib.bus.envelope import Direction, Envelope, seal
from chalicelib.cloud import names, network, servers, volumes
from chalicelib.conductor.dead_letters import NotAccepted
from chalicelib.domain.flows import (
    MIGRATE,
    REBUILD,
    REMOVALS,
    RESIZE_FLAVOR,
    ROLL_OUT,
    UPGRADE_AGENT,
)
from chalicelib.domain.operations import OperationStatus
from chalicelib.domain.rollouts import Progress, Wanted
from chalicelib.errors import CofferError, OverLimit, Unavailable
from chalicelib.store import events
from chalicelib.store.children import child_of
from chalicelib.store.configurations import new_configuration
from chalicelib.store.models import (
    Arguments,
    Attachment,
    CallsRow,
    Command,
    Configuration,
    DatastoreVersion,
    EventRow,
    Guest,
    Instance,
    Operation,
    Quota,
    ServiceStatusRow,
)
from chalicelib.store.operations import operation_of
from chalicelib.store.rollouts import new_rollout
from chalicelib.taskmanager import executions
from simulator.cloud.model.security_groups import Traffic
from simulator.fleet.datastore import Database
from simulator.invariants import REGISTRY
from simulator.invariants.marks import (
    FORGED_HEADER,
    FORGED_MARK,
    FORGED_NUMBER,
    FORGED_TRACE,
    SECRET_MARK,
)
from simulator.kernel import START, Coroutine
from simulator.region import Reply
from tests.simulator.deployment import Deployment

OTHER = "0badc0de-0000-4000-a000-000000000000"


def instance(deployment: Deployment) -> Instance:
    return Instance.get(deployment.instances()[0]["id"])


def operation(deployment: Deployment) -> Operation:
    return next(iter(Operation.scan()))


def command(deployment: Deployment) -> Command:
    return next(iter(Command.scan()))


def as_handler(deployment: Deployment, name: str, work: Callable[[], Any]) -> None:
    """Do something in a coroutine that has the name of a handler."""
    ended: list[Coroutine] = []
    deployment.kernel.spawn(work, name, None, ended.append)
    deployment.run(5)
    assert ended[0].error is None, ended[0].error


def i1_revived(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.status.set("BUILD")])


def i1_in_error_without_an_expulsion(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.status.set("ERROR")])


def i1_operation_reopened(deployment: Deployment) -> None:
    operation(deployment).update(actions=[Operation.status.set("RUNNING")])


def i2_status_went_back(deployment: Deployment) -> None:
    row = next(iter(ServiceStatusRow.scan()))
    row.update(actions=[ServiceStatusRow.seq.set(0)])


def i2_report_applied_twice(deployment: Deployment) -> None:
    row = next(iter(ServiceStatusRow.scan()))

    def report() -> None:
        row.update(actions=[ServiceStatusRow.status.set("crashed")])

    as_handler(deployment, "coffer-heartbeats", report)


def i2_answered_twice(deployment: Deployment) -> None:
    command(deployment).update(actions=[Command.answered.set(aws.clock())])


def i2_answer_lost(deployment: Deployment) -> None:
    row = command(deployment)
    row.id, row.answered = "lost", None
    row.save()
    deployment.region.mappings["coffer-conductor"].enable(False)
    as_guest(deployment, "result", "lost")


def i3_two_live_operations(deployment: Deployment) -> None:
    for number in ("1", "2"):
        row = operation(deployment)
        row.id, row.status, row.live, row.check_at = number, "RUNNING", "live", 1
        row.save()


def i3_lease_taken(deployment: Deployment) -> None:
    row = operation(deployment)
    until = aws.clock() + 20
    for number in ("1", "2"):
        row.update(actions=[Operation.lease_id.set(number), Operation.lease_until.set(until)])


def i4_two_volumes(deployment: Deployment) -> None:
    instance_id = deployment.instances()[0]["id"]
    deployment.cloud.volume.create(
        deployment.cloud_functions.caller,
        1,
        name=names.volume(instance_id),
        metadata=names.metadata(instance_id, 1),
    )


def i4_enrolled_again(deployment: Deployment) -> None:
    next(iter(Guest.scan())).update(actions=[Guest.server_id.set("another")])


def i5_counted_twice(deployment: Deployment) -> None:
    next(iter(Quota.scan())).update(actions=[Quota.instances.add(1)])


def i5_negative(deployment: Deployment) -> None:
    next(iter(Quota.scan())).update(actions=[Quota.ram.add(-10_000)])


def i6_told_to_another(deployment: Deployment) -> None:
    body = f'{{"instances": [{{"id": "{deployment.instances()[0]["id"]}"}}]}}'.encode()
    replied(deployment, "GET", "/v1.0/tenant-2/instances", Reply(200, {}, body))


def i8_ran_what_was_for_another(deployment: Deployment) -> None:
    row = command(deployment)
    row.generation = 2
    row.save()
    as_guest(deployment, "result", str(row.id))


def i9_forged_text(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.name.set(f"{FORGED_MARK}name")])


def i9_forged_number(deployment: Deployment) -> None:
    row = next(iter(ServiceStatusRow.scan()))
    row.update(actions=[ServiceStatusRow.seq.set(FORGED_NUMBER)])


def i9_answer_that_nobody_sent(deployment: Deployment) -> None:
    row = command(deployment)
    row.update(actions=[Command.answered.set(aws.clock()), Command.result.set({"status": "x"})])


def i9_forger_heard(deployment: Deployment) -> None:
    path = f"/v1.0/tenant-1/instances/{deployment.instances()[0]['id']}"
    headers = {"X-Auth-Token": deployment.tenant.token, "Content-Type": "application/json"}
    body = b'{"instance": {"name": "mine"}}'

    def rename() -> None:
        deployment.region.http("PUT", path, {**headers, FORGED_HEADER: "1"}, body)

    deployment.do(rename)


def i11_logged(deployment: Deployment) -> None:
    logging.getLogger("chalicelib.bus").debug("the password is %s", f"{SECRET_MARK}1")


def i11_master_key_in_a_reason(deployment: Deployment) -> None:
    answer = deployment.region.ssm.get_parameter(Name="/coffer/guest-keys", WithDecryption=True)
    key = answer["Parameter"]["Value"].partition('"1":"')[2][:44]
    operation(deployment).update(actions=[Operation.reason.set(f"key {key}")])


def i13_answered_500(deployment: Deployment) -> None:
    body = b'{"instanceFault": {"code": 500, "message": "Internal Server Error."}}'
    replied(deployment, "GET", "/v1.0/tenant-1/instances", Reply(500, {}, body))


def i13_misshapen(deployment: Deployment) -> None:
    replied(deployment, "GET", "/v1.0/tenant-1/instances", Reply(200, {}, b'{"instance": []}'))


def i13_told_of_nowhere(deployment: Deployment) -> None:
    replied(deployment, "GET", "/v1.0/tenant-1/instances", Reply(201, {}, b""))


def i13_one_attribute_more(deployment: Deployment) -> None:
    limits = {"verb": "ABSOLUTE", "max_instances": 1, "max_ram": 1, "max_volumes": 1}
    body = json.dumps({"limits": [{**limits, "max_backups": 1, "max_modules": 1}]}).encode()
    replied(deployment, "GET", "/v1.0/tenant-1/limits", Reply(200, {}, body))


def i15_rule_nobody_asked_for(deployment: Deployment) -> None:
    cloud = deployment.cloud
    groups = cloud.network.security_groups.groups.values()
    group = next(each for each in groups if each.name.startswith("coffer-"))
    traffic = Traffic("ingress", protocol="tcp", remote_ip_prefix="203.0.113.0/24")
    cloud.network.security_groups.create_rule(cloud.admin(), group.id, traffic)
    deployment.invariants.check()


def i15_public_address_untold(deployment: Deployment) -> None:
    cloud = deployment.cloud
    port = next(p for p in cloud.network.ports.values() if p.name.startswith("coffer-"))
    outside = next(n.id for n in cloud.network.networks.values() if n.external)
    cloud.network.floating.create(cloud.admin(), outside, port.id, port.description)
    deployment.invariants.check()


def i22_other_size(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.volume_size.set(9)])
    deployment.invariants.check()


def i22_file_system_left_small(deployment: Deployment) -> None:
    next(iter(deployment.fleet.volumes.values())).file_system_gib = 0
    deployment.invariants.check()


def i23_another_flavor(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.flavor_id.set("2")])
    deployment.invariants.check()


def i23_settings_left(deployment: Deployment) -> None:
    next(iter(deployment.fleet.guests.values())).runs_for = Flavor(1024, 1)
    deployment.invariants.check()


def i26_two_are_heard(deployment: Deployment) -> None:
    """The row of the instance has a new guest, that of its reports goes on with the old one."""
    instance(deployment).update(actions=[Instance.generation.set(2)])


def i26_a_late_answer(deployment: Deployment) -> None:
    row = instance(deployment)
    row.update(actions=[Instance.generation.set(2)])
    ServiceStatusRow(row.id).update(actions=[ServiceStatusRow.generation.set(2)])
    deployment.run(120)
    command(deployment).update(actions=[Command.stage.set("at it still")])


def i26_a_session(deployment: Deployment) -> None:
    row = instance(deployment)
    row.update(actions=[Instance.generation.set(2)])
    ServiceStatusRow(row.id).update(actions=[ServiceStatusRow.generation.set(2)])
    deployment.run(120)
    Guest(row.id, 1).update(actions=[Guest.epoch.add(1)])


def i26_a_generation_that_comes_back(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.generation.set(0)])


def i16_alive(deployment: Deployment) -> None:
    server_id = next(iter(deployment.cloud.compute.servers))
    as_handler(deployment, "look_for_orphans", lambda: servers.delete(server_id))


def i16_unknown(deployment: Deployment) -> None:
    instance(deployment).delete()
    port_id = next(iter(deployment.cloud.network.ports))
    as_handler(deployment, "look_for_orphans", lambda: network.delete_port(port_id))


def i16_somebody_elses(deployment: Deployment) -> None:
    name = f"coffer-{deployment.instances()[0]['id']}"
    made = deployment.cloud.volume.create(deployment.cloud_functions.caller, 1, name=name)
    deployment.run(60)
    as_handler(deployment, "remove_volume", lambda: volumes.delete(made.id))


def l1_never_ends(deployment: Deployment) -> None:
    row = operation(deployment)
    row.id, row.status, row.live, row.check_at = "1", "RUNNING", "live", 1e12
    row.save()


def l1_failed_in_fair_weather(deployment: Deployment) -> None:
    deployment.invariants.hub.fair_since = START
    operation(deployment).update(actions=[Operation.status.set("FAILED")])


def l1_turned_back_late(deployment: Deployment) -> None:
    deployment.invariants.hub.fair_since = START
    row = operation(deployment)
    row.id, row.status, row.deadline = "1", "RUNNING", START
    row.save()
    deployment.run(600)
    row.update(actions=[Operation.compensating.set(True)])


def changed(row: Operation, number: str, action: str, status: str) -> Operation:
    """Another operation like one that is there."""
    row.id, row.action, row.status, row.ended = number, action, status, {}
    row.save()
    return row


def l1_delete_cancelled_that_removed_everything(deployment: Deployment) -> None:
    delete = changed(operation(deployment), "1", "delete_instance", "RUNNING")
    ended = Operation.ended.set(dict.fromkeys(REMOVALS, aws.clock()))
    reason = Operation.reason.set("The deletion was forced.")
    delete.update(actions=[ended, reason, Operation.status.set("CANCELLED")])


def l1_delete_waits_for_a_change(deployment: Deployment) -> None:
    change = changed(operation(deployment), "1", "update_access", "RUNNING")
    delete = changed(operation(deployment), "2", "delete_instance", "QUEUED")
    owner, waiting = Instance.operation_id, Instance.next_operation_id
    instance(deployment).update(actions=[owner.set(change.id), waiting.set(delete.id)])
    deployment.run(0)
    for row in (change, delete):
        row.update(actions=[Operation.status.set("SUCCEEDED")])


def l1_stopped_early(deployment: Deployment) -> None:
    row = operation(deployment)
    as_handler(deployment, "coffer-sweeper", lambda: executions.stop(row))


def l1_accepted_without_a_row(deployment: Deployment) -> None:
    body = f'{{"instance": {{"id": "{OTHER}"}}}}'.encode()
    replied(deployment, "POST", "/v1.0/tenant-1/instances", Reply(200, {}, body))


def l2_orphan(deployment: Deployment) -> None:
    caller = deployment.cloud_functions.caller
    marks = names.metadata(OTHER, 1)
    deployment.cloud.volume.create(caller, 1, name=names.volume(OTHER), metadata=marks)


def l2_queue_left(deployment: Deployment) -> None:
    deployment.region.sqs.create_queue(QueueName=f"coffer-guest-{OTHER}-1")


def l3_silent(deployment: Deployment) -> None:
    for guest in deployment.fleet:
        guest.power_off()
    deployment.run(400)


def l3_error_without_a_reason(deployment: Deployment) -> None:
    instance(deployment).update(actions=[Instance.status.set("ERROR")])


def l4_left_on_a_queue(deployment: Deployment) -> None:
    deployment.region.mappings["coffer-conductor"].enable(False)
    deployment.region.sqs.send_message(
        QueueUrl=deployment.region.sqs.url("coffer-conductor"), MessageBody="{}"
    )


def l5_not_released(deployment: Deployment) -> None:
    deployment.do(lambda: deployment.delete_all(deployment.tenant))
    next(iter(Quota.scan())).update(actions=[Quota.volumes.set(3)])


def l7_wrong_status(deployment: Deployment) -> None:
    for guest in deployment.fleet:
        guest.up = False


def l8_storm(deployment: Deployment) -> None:
    deployment.region.effects.calls["storm", "dynamodb", "GetItem"] += 100_000


def i14_user_lost(deployment: Deployment) -> None:
    volume = next(iter(deployment.fleet)).volume
    assert volume is not None
    volume.contents = volume.contents.without_user(("alice", "%"))


def i14_database_from_nowhere(deployment: Deployment) -> None:
    volume = next(iter(deployment.fleet)).volume
    assert volume is not None
    volume.contents = volume.contents.with_database("nobody_asked", Database())


def i14_other_password(deployment: Deployment) -> None:
    volume = next(iter(deployment.fleet)).volume
    assert volume is not None
    alice = volume.contents.users["alice", "%"]
    other = msgspec.structs.replace(alice, password=f"{SECRET_MARK}other")
    volume.contents = volume.contents.with_user(("alice", "%"), other)


def l10_function_erred(deployment: Deployment) -> None:
    deployment.invariants.hub.calm = True
    deployment.region.lambda_.functions["coffer-sweeper"].errors["KeyError"] += 1


def l10_answered_503(deployment: Deployment) -> None:
    deployment.invariants.hub.calm = True
    content = b'{"serviceUnavailable": {"code": 503, "message": "try again"}}'
    replied(deployment, "GET", f"/v1.0/{OTHER}/instances", Reply(503, {}, content))


def l10_guest_call_answered_503_at_once(deployment: Deployment) -> None:
    deployment.invariants.hub.calm = True
    answer_of_a_guest(deployment, 503, waited=1.0, at_work=True)


def l10_guest_with_time_that_does_not_answer(deployment: Deployment) -> None:
    deployment.invariants.hub.calm = True
    answer_of_a_guest(deployment, 503, waited=20.5)


def i18_nobody_asked(deployment: Deployment) -> None:
    row = instance(deployment)
    events.record(row.id, "delete_instance.accepted", "", row.tenant_id)


def i18_no_audit_record(deployment: Deployment) -> None:
    reply = Reply(202, {"X-OpenStack-Request-Id": "req-1"}, b"")
    replied(deployment, "DELETE", f"/v1.0/{OTHER}/instances/{OTHER}", reply)


def i18_somebody_else(deployment: Deployment) -> None:
    fields = {"audit": True, "user_id": "u", "tenant_id": OTHER}
    replied_with_line(deployment, 202, **fields)


def i18_nobody(deployment: Deployment) -> None:
    replied_with_line(deployment, 202, audit=True)


def replied_with_line(deployment: Deployment, status: int, **fields: object) -> None:
    told = {"kind": "request", "action": "DELETE /", "request_id": "req-1", "status": status}
    logging.getLogger("chalicelib.api.frame").info("DELETE", extra=told | fields)
    reply = Reply(status, {"X-OpenStack-Request-Id": "req-1"}, b"{}")
    replied(deployment, "DELETE", "/v1.0/tenant-1/instances/1", reply)


def i34_another_trace(deployment: Deployment) -> None:
    told = {"kind": "step", "trace_id": "1" * 32, "operation_id": operation(deployment).id}
    logging.getLogger("functions.step").info("step: done", extra=told)


def i34_a_step_of_nobody(deployment: Deployment) -> None:
    told = {"kind": "step", "trace_id": "1" * 32}
    logging.getLogger("functions.step").info("step: done", extra=told)


def i34_a_command_in_another_trace(deployment: Deployment) -> None:
    row = instance(deployment)
    made = commands.new_command(
        "c-1", row, "restart", deadline=aws.clock(), operation_id=operation(deployment).id
    )
    made.save()


def i34_a_trace_of_a_guest(deployment: Deployment) -> None:
    told = {"kind": "guest", "trace_id": FORGED_TRACE}
    logging.getLogger("chalicelib.store.spans").info("guest: done", extra=told)


def i17_neighbour_answered_500(deployment: Deployment) -> None:
    hub = deployment.invariants.hub
    hub.only_hostile = True
    hub.hostile.add("somebody-else")
    content = b'{"instanceFault": {"code": 500, "message": "broken"}}'
    replied(deployment, "GET", f"/v1.0/{OTHER}/instances", Reply(500, {}, content))


def i17_function_erred(deployment: Deployment) -> None:
    hub = deployment.invariants.hub
    hub.only_hostile = True
    hub.hostile.add("somebody-else")
    deployment.region.lambda_.functions["coffer-heartbeats"].errors["KeyError"] += 1


def i17_neighbour_shown_as_error(deployment: Deployment) -> None:
    hub = deployment.invariants.hub
    hub.only_hostile = True
    hub.hostile.add("somebody-else")
    deployment.run(600)
    row = deployment.instances()[0]
    shown = {"id": row["id"], "name": "db", "status": "ACTIVE", "operating_status": "ERROR"}
    content = json.dumps({"instances": [shown]}).encode()
    replied(deployment, "GET", f"/v1.0/{row['tenant_id']}/instances", Reply(200, {}, content))


def l11_left_dead(deployment: Deployment) -> None:
    for guest in deployment.fleet:
        guest.up = False


def i37_never_taken_again(deployment: Deployment) -> None:
    for guest in deployment.fleet:
        guest.closed = True
    deployment.invariants.check_healed()


def i37_not_refused(deployment: Deployment) -> None:
    deployment.run(200)
    for guest in deployment.fleet:
        deployment.fleet.leave_room(guest.server_id, 0.5)
    deployment.run(60)
    for guest in deployment.fleet:
        guest.closed = False
    deployment.run(70)


def i19_crowd(deployment: Deployment) -> None:
    row = instance(deployment)
    slots = {str(n): {"instance_id": row.id, "until": aws.clock() + 20} for n in range(5)}
    CallsRow(row.tenant_id).update(actions=[CallsRow.slots.set(slots)])


def i19_without_a_slot(deployment: Deployment) -> None:
    row = instance(deployment)
    commands.new_command("call", row, "list_users", deadline=aws.clock() + 20).save()


def i19_a_row_for_a_refusal(deployment: Deployment) -> None:
    del deployment
    events.record("bus", "heartbeat.refused", "BadSeal: the seal does not fit the message")


def i20_event_lost(deployment: Deployment) -> None:
    as_guest(deployment, "event", "an-event", {"kind": "healthy", "text": "it answers again"})
    told = [each for each in EventRow.scan() if each.kind == "guest.healthy"]
    assert [each.message for each in told] == ["it answers again"]
    told[0].delete()


def i20_event_given_up(deployment: Deployment) -> None:
    """Where only guests are struck there is no reason to give up what one tells."""
    deployment.invariants.hub.guests_only = True
    as_guest(deployment, "event", "an-event", {"kind": "healthy", "text": "it answers again"})
    next(each for each in EventRow.scan() if each.kind == "guest.healthy").delete()
    events.count("message.poisoned", NotAccepted.__name__, 1, "not accepted after 3 redrives")


def i20_another_stage(deployment: Deployment) -> None:
    row = command(deployment)
    row.update(actions=[Command.stage.set("almost there"), Command.progress_seq.add(1)])


def i25_went_on_from_nonsense(deployment: Deployment) -> None:
    command(deployment).update(actions=[Command.result.set({"status": 1})])
    row = operation(deployment)
    row.update(actions=[Operation.ended["prepare"].remove()])
    row.update(actions=[Operation.ended["prepare"].set(aws.clock())])


def i21_gone_too_early(deployment: Deployment) -> None:
    in_a_day = datetime.fromtimestamp(int(aws.clock()) + 86400, UTC)
    operation(deployment).update(actions=[Operation.expires.set(in_a_day)])


def i21_kept_for_ever(deployment: Deployment) -> None:
    operation(deployment).update(actions=[Operation.expires.remove()])


def i21_arguments_left(deployment: Deployment) -> None:
    in_a_day = datetime.fromtimestamp(int(aws.clock()) + 86400, UTC)
    Arguments(operation(deployment).id, sealed="x", expires=in_a_day).save()


def i5_limits_not_stored(deployment: Deployment) -> None:
    tenant = deployment.instances()[0]["tenant_id"]
    body = b'{"quotas": {"instances": 3}}'
    replied(deployment, "PUT", f"/v1.0/operators/mgmt/quotas/{tenant}", Reply(200, {}, b""), body)


def i19_a_slot_never_given_back(deployment: Deployment) -> None:
    deployment.invariants.hub.calm = True
    CallsRow(instance(deployment).tenant_id).update(
        actions=[CallsRow.slots.set({"lost": {"instance_id": OTHER, "until": 1}})]
    )


def l2_report_left(deployment: Deployment) -> None:
    row = next(iter(ServiceStatusRow.scan()))
    row.instance_id = OTHER
    row.save()


def l7_wrong_volume(deployment: Deployment) -> None:
    row = next(iter(ServiceStatusRow.scan()))
    row.update(actions=[ServiceStatusRow.volume_total.set(17)])


def i27_done_all_the_same(deployment: Deployment) -> None:
    row = instance(deployment)
    event = {"queryStringParameters": {"dry_run": "true"}}
    with pytest.MonkeyPatch.context() as patch:
        served = SimpleNamespace(event=event)
        patch.setattr(deployment.invariants.hub, "invocation", lambda _: served)
        row.update(actions=[Instance.name.set("other")])


def i28_moved_nowhere(deployment: Deployment) -> None:
    """A migration that is told to have succeeded; its server is where it was."""
    (server,) = deployment.cloud.compute.servers.values()
    row = instance(deployment)
    made = operation_of(row, MIGRATE, arguments={"host": None})
    made.resources = {"host_id": server.host_id}
    made.status = OperationStatus.SUCCEEDED
    made.save()


def i29_another_version(deployment: Deployment) -> None:
    """It is told as soon as it was asked for."""
    instance(deployment).update(actions=[Instance.datastore_version_number.set("10.11.9")])
    deployment.invariants.check()


def i29_another_series(deployment: Deployment) -> None:
    """An engine was at the data that the one of before cannot follow."""
    for each in deployment.fleet.volumes.values():
        each.touched_by = "11.4.2"
    deployment.invariants.check()


def i35_another_agent(deployment: Deployment) -> None:
    """An upgrade that is told to have succeeded; its guest is as it was."""
    made = operation_of(instance(deployment), UPGRADE_AGENT, arguments={"version": "1.0.1"})
    made.status = OperationStatus.SUCCEEDED
    made.save()


def i35_a_broken_agent(deployment: Deployment) -> None:
    """One that somebody has put in another's place is the one that has proved itself."""
    for guest in deployment.fleet:
        guest.disk.agent = "1.0.5+forged"
    made = operation_of(instance(deployment), UPGRADE_AGENT, arguments={"version": "1.0.1"})
    made.status = OperationStatus.FAILED
    made.save()


def l7_wrong_agent(deployment: Deployment) -> None:
    row = ServiceStatusRow(instance(deployment).id)
    row.update(actions=[ServiceStatusRow.agent_version.set("0.9")])
    deployment.invariants.check_healed()


def group(deployment: Deployment, **more: Any) -> str:
    """A configuration group that the instance has, and that its guest is told to hold."""
    row = instance(deployment)
    version = DatastoreVersion("v", name="10.11", datastore_name="mariadb", version="10.11.6")
    version.manager = "mariadb"
    made = new_configuration(row.tenant_id, "g", None, version)
    made.wanted = {"max_connections": 40}
    for name, value in more.items():
        setattr(made, name, value)
    made.save()
    Attachment(made.id, row.id).save()
    held = Instance.configuration_held.set(f"{made.id}/1")
    row.update(actions=[Instance.configuration_id.set(made.id), held])
    return str(made.id)


def i36_deleted_below_an_instance(deployment: Deployment) -> None:
    row = Configuration(group(deployment))
    row.update(actions=[Configuration.status.set("DELETED")])


def i36_another_tenants(deployment: Deployment) -> None:
    group(deployment, tenant_id="another")


def i36_not_known_to_its_group(deployment: Deployment) -> None:
    Attachment(group(deployment), instance(deployment).id).delete()


def i36_a_revision_left_out(deployment: Deployment) -> None:
    Configuration(group(deployment)).update(actions=[Configuration.revision.set(3)])


def i36_other_values(deployment: Deployment) -> None:
    """The guest was never told."""
    group(deployment)


def i36_an_older_revision(deployment: Deployment) -> None:
    """Each is said to have been told."""
    row = Configuration(group(deployment))
    row.update(actions=[Configuration.revision.set(2), Configuration.applied.set(2)])
    for guest in deployment.fleet:
        guest.disk.configuration = {"max_connections": 40}


def parent(deployment: Deployment, **counted: Any) -> Operation:
    """A rollout of one at a time that runs, and has begun a rebuild which has succeeded."""
    asked = Wanted("image-1", "version-1")
    row = new_rollout("operators", asked)
    made = operation_of(row, ROLL_OUT, arguments=row.asked)
    row.operation_id, made.resources = made.id, Progress(**counted).recorded()
    made.save()
    row.save()
    child(deployment, made, OperationStatus.SUCCEEDED)
    return made


def child(deployment: Deployment, of: Operation, status: str, number: int = 1) -> None:
    made = child_of(of, instance(deployment), REBUILD, {})
    made.id, made.subject_id, made.status = f"{made.id}{number}", f"other-{number}", status
    made.save()


def i33_one_too_many(deployment: Deployment) -> None:
    made = parent(deployment)
    for number in (2, 3):
        child(deployment, made, OperationStatus.RUNNING, number)


def i33_one_twice(deployment: Deployment) -> None:
    made = parent(deployment)
    again = child_of(made, instance(deployment), REBUILD, {})
    again.id, again.subject_id, again.status = "again", "other-1", OperationStatus.SUCCEEDED
    again.save()


def i33_one_after_it_was_stopped(deployment: Deployment) -> None:
    made = parent(deployment)
    made.update(actions=[Operation.cancelled.set("stopped")])
    child(deployment, made, OperationStatus.RUNNING, 2)


def i33_one_that_was_not_counted(deployment: Deployment) -> None:
    parent(deployment).update(actions=[Operation.status.set(OperationStatus.SUCCEEDED)])


def i33_ended_before_its_child(deployment: Deployment) -> None:
    made = parent(deployment, rebuilt=1)
    child(deployment, made, OperationStatus.RUNNING, 2)
    made.update(actions=[Operation.status.set(OperationStatus.SUCCEEDED)])


def i24_deleted_all_the_same(deployment: Deployment) -> None:
    row = instance(deployment)
    row.update(actions=[Instance.protected.set(True)])
    row.update(actions=[Instance.status.set("SHUTDOWN")])


def i10_two_replies(deployment: Deployment) -> None:
    for content in (b'{"instance": {"id": "one"}}', b'{"instance": {"id": "two"}}'):
        replied_with_key(deployment, Reply(200, {}, content))


def i10_accepted_with_another_body(deployment: Deployment) -> None:
    for body in (b"{}", b'{"other": 1}'):
        replied_with_key(deployment, Reply(202, {}, b""), body)


def i10_refused_afterwards(deployment: Deployment) -> None:
    fault = b'{"itemNotFound": {"code": 404, "message": "gone"}}'
    for reply in (Reply(202, {}, b""), Reply(404, {}, fault)):
        replied_with_key(deployment, reply)
        deployment.run(1)


def i10_done_twice(deployment: Deployment) -> None:
    row = operation(deployment)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployment.invariants.hub, "api_key", lambda: "k")
        patch.setattr(deployment.invariants.hub, "api_caller", lambda: (row.tenant_id, False))
        for row.id in ("1", "2"):
            row.save()


def replied_with_key(deployment: Deployment, reply: Reply, body: bytes = b"") -> None:
    path = "/v1.0/tenant-1/instances/1/users"
    replied(deployment, "POST", path, reply, body, {"Idempotency-Key": "k"})


def i30_accepted_all_the_same(deployment: Deployment) -> None:
    for guest in deployment.fleet:
        guest.disk.release = FIRST_RELEASE
    deployment.run(900)
    row = operation(deployment)
    row.id, row.action, row.status = OTHER, RESIZE_FLAVOR.action, "ACCEPTED"
    row.save()


def i30_refused_all_the_same(deployment: Deployment) -> None:
    row = instance(deployment)
    deployment.run(200)
    path = f"/v1.0/{row.tenant_id}/instances/{row.id}/action"
    content = b'{"notImplemented": {"code": 501, "message": "an older release"}}'
    replied(deployment, "POST", path, Reply(501, {}, content))


def i30_another_release_stored(deployment: Deployment) -> None:
    report = next(iter(ServiceStatusRow.scan()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployment.invariants.hub, "heartbeats", lambda: {report.instance_id: []})
        report.update(actions=[ServiceStatusRow.agent_release.set(0)])


def test_a_report_of_before_its_disk_was_replaced_is_none_of_the_new_one(
    deployment: Deployment,
) -> None:
    for server_id in list(deployment.cloud.compute.servers):
        deployment.cloud.compute.evacuate(server_id)
    deployment.run(1)
    i30_another_release_stored(deployment)
    assert deployment.invariants.violations == []


def i31_not_told(deployment: Deployment) -> None:
    row = operation(deployment)
    row.update(actions=[Operation.status.set("RUNNING")])
    path = f"/v1.0/{row.tenant_id}/instances/{row.instance_id}/operations/{row.id}"
    replied(deployment, "DELETE", path, Reply(202, {}, b""))


def cancelled(deployment: Deployment, ended: str) -> None:
    """An operation that is cancelled before its last step, and ends all the same."""
    row = operation(deployment)
    row.update(actions=[Operation.status.set("RUNNING"), Operation.started["complete"].remove()])
    row.update(actions=[Operation.cancelled.set(CANCELLED)])
    row.update(actions=[Operation.status.set(ended)])


def i31_went_on(deployment: Deployment) -> None:
    cancelled(deployment, "SUCCEEDED")


def i31_not_undone(deployment: Deployment) -> None:
    deployment.invariants.hub.fair_since = START
    cancelled(deployment, "CANCELLED")


def listed(deployment: Deployment, query: str, *shown: dict[str, str]) -> None:
    """A tenant's list, long after anything has changed."""
    row = instance(deployment)
    deployment.run(200)
    content = json.dumps({"instances": shown}).encode()
    path = f"/v1.0/{row.tenant_id}/instances{query}"
    replied(deployment, "GET", path, Reply(200, {}, content))


def i32_not_listed(deployment: Deployment) -> None:
    listed(deployment, "?status=ACTIVE")


def i32_listed_all_the_same(deployment: Deployment) -> None:
    listed(deployment, "?tags=blue", {"id": instance(deployment).id})


def i32_another_order(deployment: Deployment) -> None:
    shown = ({"id": "1", "name": "b"}, {"id": "2", "name": "a"})
    listed(deployment, "?sort_key=name&limit=2", *shown)


BREAKS = (
    *(i30_accepted_all_the_same, i30_refused_all_the_same, i30_another_release_stored),
    *(i31_not_told, i31_went_on, i31_not_undone),
    *(i32_not_listed, i32_listed_all_the_same, i32_another_order),
    i24_deleted_all_the_same,
    i27_done_all_the_same,
    *(i28_moved_nowhere, i29_another_version, i29_another_series),
    *(i36_deleted_below_an_instance, i36_another_tenants, i36_not_known_to_its_group),
    *(i36_a_revision_left_out, i36_other_values, i36_an_older_revision),
    *(i35_another_agent, i35_a_broken_agent, l7_wrong_agent),
    *(i37_never_taken_again, i37_not_refused),
    *(i33_one_too_many, i33_one_twice, i33_one_after_it_was_stopped),
    *(i33_one_that_was_not_counted, i33_ended_before_its_child),
    *(i10_two_replies, i10_accepted_with_another_body, i10_refused_afterwards, i10_done_twice),
    *(i26_two_are_heard, i26_a_late_answer, i26_a_session, i26_a_generation_that_comes_back),
    *(i20_event_lost, i20_event_given_up, i20_another_stage, i21_gone_too_early, i21_kept_for_ever),
    *(i21_arguments_left, i5_limits_not_stored, i19_a_slot_never_given_back),
    *(l2_report_left, l7_wrong_volume),
    *(i19_crowd, i19_without_a_slot, i19_a_row_for_a_refusal),
    *(i1_revived, i1_operation_reopened, i2_status_went_back, i2_report_applied_twice),
    *(i2_answered_twice, i2_answer_lost, i3_two_live_operations, i3_lease_taken, i4_two_volumes),
    *(i4_enrolled_again, i5_counted_twice, i5_negative, i6_told_to_another),
    *(i8_ran_what_was_for_another, i9_forged_text, i9_forged_number, i9_answer_that_nobody_sent),
    *(i9_forger_heard, l1_failed_in_fair_weather, l1_turned_back_late, l1_stopped_early),
    *(i11_logged, i11_master_key_in_a_reason, i13_answered_500, i13_misshapen),
    *(i13_told_of_nowhere, i13_one_attribute_more, l1_never_ends),
    *(i15_rule_nobody_asked_for, i15_public_address_untold),
    *(l1_delete_cancelled_that_removed_everything, l1_delete_waits_for_a_change),
    *(l1_accepted_without_a_row, l2_orphan, l2_queue_left, l3_silent, l3_error_without_a_reason),
    *(i14_user_lost, i14_database_from_nowhere, i14_other_password),
    *(i17_neighbour_answered_500, i17_function_erred, i17_neighbour_shown_as_error),
    *(i18_nobody_asked, i18_no_audit_record, i18_somebody_else, i18_nobody),
    *(i34_another_trace, i34_a_step_of_nobody),
    *(i34_a_command_in_another_trace, i34_a_trace_of_a_guest),
    *(l10_function_erred, l10_answered_503),
    *(l10_guest_call_answered_503_at_once, l10_guest_with_time_that_does_not_answer),
    *(l4_left_on_a_queue, l5_not_released, l7_wrong_status, l8_storm),
    *(i22_other_size, i22_file_system_left_small, i23_another_flavor, i23_settings_left),
    i25_went_on_from_nonsense,
    *(i16_alive, i16_unknown, i16_somebody_elses),
    l11_left_dead,
)


def answer_of_a_guest(deployment: Deployment, status: int, waited: float, **state: bool) -> None:
    """A reply to a call of a guest that is in some state, after so many seconds."""
    guest = SimpleNamespace(
        **({"stuck": False, "power": True, "up": True, "at_work": False} | state)
    )
    hub = deployment.invariants.hub
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployment.fleet, "of_instance", lambda _: [guest])
        hub._begun[deployment.kernel.current] = deployment.kernel.now - waited
        content = b'{"serviceUnavailable": {"code": 503, "message": "no answer"}}'
        path = f"/v1.0/{OTHER}/instances/{OTHER}/users"
        replied(deployment, "GET", path, Reply(status, {}, content))


@pytest.mark.parametrize(
    "state",
    [{"at_work": True}, {"power": False}, {"stuck": True}],
    ids=lambda each: next(iter(each)),
)
def test_a_guest_that_has_no_time_may_be_waited_for_in_vain(
    deployment: Deployment, state: dict[str, bool]
) -> None:
    deployment.invariants.hub.calm = True
    answer_of_a_guest(deployment, 503, waited=20.5, **state)
    assert deployment.invariants.violations == []
    answer_of_a_guest(deployment, 500, waited=20.5, **state)
    assert "L10" in {each.invariant for each in deployment.invariants.violations}


def test_a_guest_whose_database_is_dead_says_so_at_once(deployment: Deployment) -> None:
    deployment.invariants.hub.calm = True
    answer_of_a_guest(deployment, 503, waited=0.1, up=False)
    assert deployment.invariants.violations == []


def replied(
    deployment: Deployment,
    method: str,
    path: str,
    reply: Reply,
    body: bytes = b"",
    more: dict[str, str] | None = None,
) -> None:
    """Let the invariants see a reply that no handler gave."""
    tenant = path.split("/")[2]
    headers = {"X-Auth-Token": deployment.region.log_in(tenant, "member"), **(more or {})}
    for watch in deployment.region.replied:
        watch(method, path, headers, body, reply)


def as_guest(
    deployment: Deployment, kind: str, command_id: str, result: dict[str, str] | None = None
) -> None:
    """Let the instance's own agent send a report of generation 1."""
    guest = next(iter(deployment.fleet))
    session = guest.memory.session
    assert session is not None
    report = Envelope(
        id=command_id,
        instance_id=session.instance_id,
        generation=1,
        epoch=session.epoch,
        seq=1000,
        kind=kind,
        result=result or {},
        issued_at=aws.clock(),
        expires_at=aws.clock() + 600,
        key_version=session.key_version,
    )
    key = deployment.invariants.each["I8"]._mail._derive  # type: ignore[attr-defined]
    body = seal(
        report,
        Direction.TO_CONTROL,
        key(session.instance_id, 1, Direction.TO_CONTROL, session.key_version, session.epoch),
    )

    def send() -> None:
        deployment.region.sqs.send_message(
            QueueUrl=deployment.region.sqs.url("coffer-conductor"), MessageBody=body
        )

    deployment.kernel.spawn(send, "guest.tick", guest.server_id)
    deployment.run(5)


@pytest.mark.parametrize("break_it", BREAKS, ids=lambda each: each.__name__)
def test_a_broken_promise_is_told(
    deployment: Deployment, break_it: Callable[[Deployment], None]
) -> None:
    break_it(deployment)
    deployment.run(0)
    deployment.invariants.check_healed()
    name = break_it.__name__.partition("_")[0].upper()
    broken = {each.invariant for each in deployment.invariants.violations}
    assert name in broken, deployment.explain()
    assert deployment.invariants.results()[name].verdict == "broken"


def test_each_that_can_be_reached_has_a_test_that_breaks_it() -> None:
    tested = {each.__name__.partition("_")[0].upper() for each in BREAKS}
    reachable = {name for name, kind in REGISTRY.items() if not kind.unreachable}
    assert tested == reachable


def test_a_key_may_be_asked_again_later(deployment: Deployment) -> None:
    refusals: tuple[CofferError, ...] = (OverLimit("m"), Unavailable("m"))
    for reply in (
        Reply(202, {}, b""),
        *(Reply(each.status, {}, msgspec.json.encode(each.body())) for each in refusals),
        Reply(202, {}, b""),
    ):
        replied_with_key(deployment, reply)
        deployment.run(1)
    assert deployment.invariants.violations == []
    assert deployment.invariants.results()["I10"].verdict == "holds"


def test_what_nothing_exercised_is_not_passed(deployment: Deployment) -> None:
    results = deployment.invariants.results()
    assert results["I1"].verdict == "holds"
    for name, kind in REGISTRY.items():
        if kind.unreachable:
            assert results[name].verdict == "not reached"
            assert results[name].reason == kind.unreachable


def test_two_traces_that_differ_break_l9(deployment: Deployment) -> None:
    invariant: Any = deployment.invariants.each["L9"]
    invariant.compare("a", "a")
    assert invariant.verdict == "holds"
    invariant.compare("a", "b")
    assert invariant.verdict == "broken"


def test_a_delete_that_an_administrator_insisted_on_goes_on_after_a_reset(
    deployment: Deployment,
) -> None:
    row = instance(deployment)
    row.update(actions=[Instance.protected.set(True)])
    insists = SimpleNamespace(event={"body": '{"force_delete": {"ignore_protection": true}}'})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployment.invariants.hub, "invocation", lambda _: insists)
        row.update(
            actions=[Instance.status.set("SHUTDOWN"), Instance.next_operation_id.set("delete-1")]
        )
    row.update(actions=[Instance.status.set("ERROR")])
    row.update(
        actions=[
            Instance.status.set("SHUTDOWN"),
            Instance.operation_id.set("delete-1"),
            Instance.next_operation_id.remove(),
        ]
    )
    assert not deployment.invariants.each["I24"].violations


def test_a_violation_is_explained_by_the_life_of_its_instance(deployment: Deployment) -> None:
    i1_revived(deployment)
    text = deployment.explain()
    assert "I1 is broken" in text
    for told in ("made: BUILD", "volumes.create", "status BUILD → ACTIVE", "ACTIVE → BUILD"):
        assert told in text


def test_the_loggers_are_given_back() -> None:
    before = [logging.getLogger(name).handlers for name in ("chalicelib", "functions")]
    Deployment().close()
    assert [logging.getLogger(name).handlers for name in ("chalicelib", "functions")] == before


def test_what_a_hostile_guest_does_to_itself_is_no_violation(deployment: Deployment) -> None:
    deployment.invariants.hub.hostile.add(deployment.instances()[0]["tenant_id"])
    i14_user_lost(deployment)
    deployment.invariants.check_healed()
    assert not deployment.invariants.each["I14"].violations


def test_while_keystone_does_not_answer_nobody_is_known(deployment: Deployment) -> None:
    replied_with_line(deployment, 503, audit=True)
    assert not deployment.invariants.each["I18"].violations
