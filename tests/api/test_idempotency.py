"""Idempotency-Key: one effect and one answer, however often, at the same time or after a death."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib import aws
from chalicelib.api.application import ROUTES
from chalicelib.bus import queues
from chalicelib.errors import GuestTimeout
from chalicelib.store import accepting, replies
from chalicelib.store.models import Command, Instance, KeptReply
from tests.api.client import Answer, Api
from tests.api.conftest import Guest, Make, operations
from tests.support.bare import World

BODY = {
    "instance": {
        "name": "shop",
        "flavorRef": "1",
        "volume": {"size": 1},
        "datastore": {"type": "mariadb"},
        "users": [{"name": "shop", "password": "p4ssw0rd-of-the-shop"}],
    }
}
USERS = {"users": [{"name": "joe", "password": "pw-of-joe"}]}


class Died(BaseException):
    """The process ended here."""


def keyed(api: Api, path: str, body: Any, key: str = "k1") -> Answer:
    return api.post(path, body, headers={"Idempotency-Key": key})


def create(api: Api, key: str = "k1", **more: Any) -> Answer:
    return keyed(api, "/instances", {"instance": {**BODY["instance"], **more}}, key)


def instances(api: Api) -> list[str]:
    return [each["id"] for each in api.get("/instances").body["instances"]]


def same(one: Answer, other: Answer) -> bool:
    """Whether two answers say the same, but for the id of their requests."""
    told = [
        {
            name: value
            for name, value in each.headers.items()
            if name not in ("X-OpenStack-Request-Id", "Idempotent-Replayed")
        }
        for each in (one, other)
    ]
    return (one.status, one.body, told[0]) == (other.status, other.body, told[1])


def test_a_create_is_done_once_and_answered_the_same(api: Api, hints: list[str]) -> None:
    first = create(api)
    again = create(api)
    assert first.status == 200
    assert same(first, again)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert instances(api) == [first.body["instance"]["id"]]
    assert len(hints) == 1


def test_without_a_key_it_is_another_one(api: Api) -> None:
    ids = {api.post("/instances", BODY).body["instance"]["id"] for _ in range(2)}
    assert len(ids) == 2


def test_another_request_with_the_key_is_refused(api: Api, make: Make) -> None:
    row = make()
    assert create(api).status == 200
    for answer in (create(api, name="other"), keyed(api, f"/instances/{row.id}/users", USERS)):
        assert answer.status == 422
        assert "used for another request" in answer.fault()
    assert len(instances(api)) == 2


def test_a_kept_answer_is_for_those_alone_who_may_ask(api: Api, admin: Api, make: Make) -> None:
    wanted = {"image_id": "i-2", "datastore_version": "v-1011"}
    asked: list[tuple[str, Any]] = [
        (f"/instances/{make(status='RESIZE').id}/action", {"reset_status": {}}),
        (f"/mgmt/instances/{make().id}/action", {"reset-task-status": {}}),
        ("/mgmt/rollouts", {"rollout": wanted}),
    ]
    for number, (path, body) in enumerate(asked):
        key = f"key-{number}"
        first = keyed(admin, path, body, key)
        assert first.status == 202, first.body
        assert same(first, keyed(admin, path, body, key))
        assert keyed(api, path, body, key).status in (401, 403)


@pytest.mark.parametrize("body", [{}, {"resize": {}}, {"eject_replica_source": {}}])
def test_another_request_is_told_as_such_whatever_is_wrong_with_it(
    api: Api, make: Make, body: Any
) -> None:
    path = f"/instances/{make().id}/action"
    assert keyed(api, path, {"restart": {}}).status == 202
    assert keyed(api, path, body).status == 422


def test_a_key_belongs_to_a_project(api: Api, other: Api) -> None:
    first, second = create(api), create(other)
    assert (first.status, second.status) == (200, 200)
    assert first.body["instance"]["id"] != second.body["instance"]["id"]


def test_the_key_may_stand_in_quotes(api: Api) -> None:
    assert same(create(api, 'a"'.strip('"')), create(api, '"a"'))


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, 'a"b', "a\tb"])
def test_a_key_that_is_none_is_400(api: Api, key: str) -> None:
    answer = create(api, key)
    assert answer.status == 400
    assert "Idempotency-Key" in answer.fault()
    assert instances(api) == []


def test_a_key_that_is_none_is_400_in_a_plan_too(api: Api) -> None:
    answer = keyed(api, "/instances?dry_run=true", BODY, "a b")
    assert answer.status == 400
    assert keyed(api, "/instances?dry_run=true", BODY).status == 200


def test_a_day_later_the_key_is_a_new_one(api: Api, world: World) -> None:
    """DynamoDB removes what has expired within days: the row is still there."""
    first = create(api)
    world.run(replies.KEEP_SECONDS + 1)
    assert KeptReply.count() > 0
    second = create(api, name="other")
    assert second.status == 200
    assert second.body["instance"]["id"] != first.body["instance"]["id"]
    assert same(create(api, name="other"), second)


def test_a_process_that_died_behind_the_acceptance_has_answered(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: str) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(queues, "notify_task_manager", die)
        with pytest.raises(Died):
            create(api)
    (made,) = instances(api)
    answer = create(api)
    assert answer.status == 200
    assert answer.body["instance"]["id"] == made
    assert answer.headers["Location"].endswith(f"/instances/{made}")
    assert instances(api) == [made]


def test_a_process_that_died_before_it_has_done_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(accepting, "accept_create", die)
        with pytest.raises(Died):
            create(api)
    assert create(api).status == 200
    assert len(instances(api)) == 1


def test_the_same_body_for_another_thing_is_another_request(api: Api, make: Make) -> None:
    path, other = (f"/instances/{make().id}/action" for _ in range(2))
    assert keyed(api, path, {"restart": {}}).status == 202
    for elsewhere in (other, f"{path}?page=2"):
        answer = keyed(api, elsewhere, {"restart": {}})
        assert (answer.status, "used for another request" in answer.fault()) == (422, True)


def test_a_refusal_keeps_no_key(api: Api, make: Make) -> None:
    assert create(api, volume={"size": 11}).status == 413
    assert create(api, volume={"size": 2}).status == 200


def between_look_and_write(
    monkeypatch: pytest.MonkeyPatch, other: Callable[[], object]
) -> list[object]:
    """Let another request run, once, when the first one has found its key unused."""
    real, done = replies.find, list[object]()

    def find(key_id: str) -> KeptReply | None:
        found = real(key_id)
        if not done:
            done.append(None)
            done[0] = other()
        return found

    monkeypatch.setattr(replies, "find", find)
    return done


def test_two_creates_at_once_are_one(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    faster = between_look_and_write(monkeypatch, lambda: create(api))
    answer = create(api)
    assert isinstance(faster[0], Answer)
    assert same(answer, faster[0])
    assert instances(api) == [answer.body["instance"]["id"]]


@pytest.mark.parametrize(
    "action", [{"resize": {"volume": {"size": 2}}}, {"stop": {}}, {"restart": {}}], ids=str
)
def test_two_actions_at_once_are_one(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch, action: dict[str, Any]
) -> None:
    """By the time of the second look the status refuses what it has made itself."""
    row = make(held={"instances": 1, "ram": 512, "volumes": 1})
    path = f"/instances/{row.id}/action"
    faster = between_look_and_write(monkeypatch, lambda: keyed(api, path, action))
    answer = keyed(api, path, action)
    assert isinstance(faster[0], Answer)
    assert answer.status == 202
    assert same(answer, faster[0])
    (operation,) = operations(row.id)
    assert answer.headers["Location"].endswith(f"/operations/{operation.id}")


def test_of_two_different_ones_at_once_one_is_refused(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    between_look_and_write(monkeypatch, lambda: create(api, name="other"))
    assert create(api).status == 422
    assert len(instances(api)) == 1


def test_an_action_is_answered_after_its_operation_has_ended(api: Api, make: Make) -> None:
    row = make()
    path = f"/instances/{row.id}/action"
    first = keyed(api, path, {"restart": {}})
    for operation in operations(row.id):
        operation.delete()
    Instance(row.id).update([Instance.operation_id.remove(), Instance.status.set("ACTIVE")])
    assert same(keyed(api, path, {"restart": {}}), first)
    assert operations(row.id) == []


def test_a_forced_delete_is_done_once(api: Api, make: Make) -> None:
    row = make()
    path = f"/instances/{row.id}/action"
    first = keyed(api, path, {"force_delete": {}})
    assert first.status == 202
    Instance(row.id).delete()
    assert same(keyed(api, path, {"force_delete": {}}), first)


def test_what_joined_an_operation_under_way_is_kept_too(
    api: Api, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = make()
    assert keyed(api, f"/instances/{row.id}/action", {"force_delete": {}}, "k1").status == 202
    joined = keyed(api, f"/instances/{row.id}/action", {"force_delete": {}}, "k2")
    assert joined.status == 202
    Instance(row.id).delete()
    assert same(keyed(api, f"/instances/{row.id}/action", {"force_delete": {}}, "k2"), joined)


# ------------------------------------------------------------------------- calls to a guest


def told(command_id: str | None, row: Instance, error: tuple[str, str] | None = None) -> None:
    """The guest's answer to a command, as the conductor stores it."""
    assert command_id is not None
    said = None if error is None else {"code": error[0], "message": error[1]}
    Command(
        command_id,
        instance_id=row.id,
        generation=1,
        method="create_user",
        created=aws.clock(),
        deadline=aws.clock(),
        expires=datetime.fromtimestamp(aws.clock() + 3600, UTC),
        answered=aws.clock(),
        result={} if error is None else None,
        error=said,
    ).save()


def test_what_a_guest_has_done_is_not_asked_again(api: Api, make: Make, guest: Guest) -> None:
    row = make()
    first = keyed(api, f"/instances/{row.id}/users", USERS)
    told(guest.commands[0], row)
    row.update([Instance.status.set("ERROR")])
    again = keyed(api, f"/instances/{row.id}/users", USERS)
    assert first.status == 202
    assert same(first, again)
    assert len(guest.calls) == 1


def test_a_call_without_an_answer_is_the_same_command_again(
    api: Api, make: Make, guest: Guest
) -> None:
    row = make()
    guest.answers["create_database"] = GuestTimeout("no answer")
    databases = {"databases": [{"name": "shop"}]}
    assert keyed(api, f"/instances/{row.id}/databases", databases).status == 503
    guest.answers.clear()
    assert keyed(api, f"/instances/{row.id}/databases", databases).status == 202
    assert len(set(guest.commands)) == 1
    assert guest.commands[0] is not None


def test_what_a_guest_has_refused_is_refused_again(api: Api, make: Make, guest: Guest) -> None:
    row = make()
    keyed(api, f"/instances/{row.id}/users", USERS)
    told(guest.commands[0], row, ("UserAlreadyExists", "there is a user 'joe'"))
    answer = keyed(api, f"/instances/{row.id}/users", USERS)
    assert (answer.status, answer.fault()) == (400, "there is a user 'joe'")
    assert len(guest.calls) == 1


@pytest.mark.parametrize("code", ["Unavailable", "Expired", "WrongGeneration"])
def test_what_a_guest_could_not_do_at_that_time_is_another_command(
    api: Api, make: Make, guest: Guest, code: str
) -> None:
    row = make()
    keyed(api, f"/instances/{row.id}/users", USERS)
    told(guest.commands[0], row, (code, "not now"))
    assert keyed(api, f"/instances/{row.id}/users", USERS).status == 202
    assert guest.commands[0] != guest.commands[1]
    told(guest.commands[1], row)
    assert keyed(api, f"/instances/{row.id}/users", USERS).status == 202
    assert len(guest.calls) == 2


def test_a_root_password_is_made_once_and_kept_sealed(api: Api, make: Make, guest: Guest) -> None:
    row = make()
    guest.answers["enable_root"] = GuestTimeout("no answer")
    assert keyed(api, f"/instances/{row.id}/root", None).status == 503
    guest.answers.clear()
    answer = keyed(api, f"/instances/{row.id}/root", None)
    password = answer.body["user"]["password"]
    assert [args for _, args in guest.calls] == [{"root_password": password}] * 2
    told(guest.commands[0], row)
    assert keyed(api, f"/instances/{row.id}/root", None).body == answer.body
    kept = KeptReply.get(f"{api.project}/k1")
    assert password not in str(kept.attribute_values)


def test_a_key_of_a_guest_that_is_not_ready_is_free(api: Api, make: Make) -> None:
    row = make("BUILD", "new")
    assert keyed(api, f"/instances/{row.id}/users", USERS).status == 422
    row.update([Instance.status.set("ACTIVE")])
    assert KeptReply.count(f"{api.project}/k1") == 0


def test_a_reply_that_cannot_be_read_is_no_500(api: Api) -> None:
    create(api)
    KeptReply(f"{api.project}/k1").update([KeptReply.sealed.set("1.AAAA")])
    assert create(api).status == 409


def test_every_route_that_makes_something_reads_the_key(admin: Api, make: Make) -> None:
    """But for those of guests, who have no project and prove themselves otherwise."""
    instance_id = make().id
    routes = [route for route in ROUTES if route.method == "POST" and not route.public]
    assert len(routes) > 10
    for route in routes:
        path = route.path.partition("{project}")[2].format_map(_Anything(instance_id))
        answer = keyed(admin, path, {}, "no key")
        assert (answer.status, "Idempotency-Key" in answer.fault()) == (400, True), route.path


class _Anything(dict[str, str]):
    """Path parameters: the instance, and some word for all others."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(instance=instance_id)

    def __missing__(self, _: str) -> str:
        return "x"
