"""`make test-crash`: each operation on a real database, killed in its middle in each way there is.

Whatever dies, the operation ends, its end is told, the instance has a way on, and the row that was
written before is there.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import product
from typing import Any, Final

import psutil
import pymysql
import pytest

from chalicelib.domain.flows import FLOWS
from simulator.cloud.processes import of_servers
from tests.acceptance.operating import ENDED, OPERATIONS, WITHIN, ask, begin, over
from tests.acceptance.stack import Stack, eventually

pytestmark = [pytest.mark.crash, pytest.mark.timeout(7200)]

PASSWORD: Final = "Passw0rd-of-the-keeper"
EFFECTS: Final = 6
"""Each step dies once after each of so many of its first effects, as far as it has them."""


def kept(shown: dict[str, Any], statement: str) -> list[Any]:
    """What the instance's database answers to its user."""
    login = pymysql.connect(
        host=shown["ip"][0], user="keeper", password=PASSWORD, database="shop", autocommit=True
    )
    with closing(login) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def survived(stack: Stack, instance_id: str) -> None:
    """The row is there, once the database answers: a death of the last second is in no report."""
    shown = back(stack, instance_id)

    def look() -> list[Any] | None:
        try:
            return kept(shown, "select v from t")
        except pymysql.err.OperationalError:
            return None

    assert eventually(look, 60, f"the database of {instance_id} answers") == [(7,)]


@pytest.fixture(scope="module")
def instance_id(stack: Stack) -> Iterator[str]:
    """An instance with a row in a table."""
    user = {"name": "keeper", "password": PASSWORD, "databases": [{"name": "shop"}]}
    made = stack.demo.created("operated", databases=[{"name": "shop"}], users=[user])
    kept(stack.demo.healthy(made), "create table t as select 7 as v")
    yield made
    assert stack.demo.delete(made).status_code == 202
    stack.demo.wait(made, "GONE")
    stack.assert_owns_nothing(stack.demo, made)


def back(stack: Stack, instance_id: str) -> dict[str, Any]:
    """The instance in use again, by the way on that it has."""
    shown = stack.demo.show(instance_id)
    assert shown is not None
    (server,) = stack.things_of(instance_id, "servers")
    if shown["status"] != "ACTIVE":
        told = "" if shown["status"] == "STOPPED" else shown["fault"]["message"]
        assert shown["status"] == "STOPPED" or len(told) > 20
        if "rebuild the instance" in told:
            begin(stack, instance_id, "rebuild_instance", shown)
        else:
            ask(stack, instance_id, {"start": {}})
        over(stack, instance_id)
    elif server["status"] == "SHUTOFF":  # its host lost its power, and nobody has asked for that
        ask(stack, instance_id, {"reboot": {}}, admin=True)
        over(stack, instance_id)
    return stack.demo.healthy(instance_id)


def begun(stack: Stack, instance_id: str, step: str) -> None:
    """Wait until that step of the newest operation has begun, or it has ended without."""

    def look() -> bool:
        (newest, *_) = stack.demo.operations(instance_id)
        return newest["status"] in ENDED or step in {each["name"] for each in newest["steps"]}

    eventually(look, WITHIN, f"{step} has begun")


def ready_for(stack: Stack, instance_id: str, flow: str) -> dict[str, Any]:
    """The instance in a status in which the operation may be asked for."""
    shown = back(stack, instance_id)
    if flow == "start_instance":
        ask(stack, instance_id, {"stop": {}})
        assert over(stack, instance_id)["status"] == "SUCCEEDED"
    return shown


def server_of(stack: Stack, instance_id: str) -> str:
    (server,) = stack.things_of(instance_id, "servers")
    return str(server["id"])


def kill_agent(stack: Stack, instance_id: str) -> None:
    """The agent -9; its hypervisor starts it again, as systemd does. One that is off has none."""
    for process in processes(stack, instance_id):
        if "guest_agent" in process.cmdline():
            process.send_signal(signal.SIGKILL)


def kill_database(stack: Stack, instance_id: str) -> None:
    for process in processes(stack, instance_id):
        if process.name() == "mariadbd":
            process.send_signal(signal.SIGKILL)


def kill_server(stack: Stack, instance_id: str) -> None:
    """All of it at once, as when a host loses its power."""
    stack.cloud("POST", f"/servers/{server_of(stack, instance_id)}/kill_server")


def processes(stack: Stack, instance_id: str) -> list[psutil.Process]:
    found = []
    for pid in of_servers([server_of(stack, instance_id)]):
        try:
            process = psutil.Process(pid)
            process.cmdline()
        except psutil.Error:
            continue  # it has ended meanwhile
        found.append(process)
    return found


def moments(flow: str) -> list[str]:
    """The first step of a flow, and the last."""
    return list(dict.fromkeys(FLOWS[flow].steps[at].name for at in (0, -1)))


@pytest.mark.parametrize(
    ("flow", "step", "kill"),
    [
        (flow, step, kill)
        for flow, kill in product(OPERATIONS, (kill_agent, kill_database, kill_server))
        for step in moments(flow)
    ],
)
def test_what_is_killed_in_the_middle_of_an_operation_ends_well(
    stack: Stack, instance_id: str, flow: str, step: str, kill: Callable[[Stack, str], None]
) -> None:
    shown = ready_for(stack, instance_id, flow)
    begin(stack, instance_id, flow, shown)
    begun(stack, instance_id, step)
    kill(stack, instance_id)
    ended = over(stack, instance_id)
    assert ended["status"] == "SUCCEEDED" or len(ended["reason"]) > 20, ended
    survived(stack, instance_id)
    assert stack.quota_in_use(stack.demo) == stack.quota_expected(stack.demo)


@pytest.mark.parametrize("flow", OPERATIONS)
def test_functions_that_die_after_their_effects_finish_the_operation_or_take_it_back(
    stack: Stack, instance_id: str, flow: str
) -> None:
    """Back where so many deaths, each of which costs its lease, have cost it its bound."""
    deaths = 0
    for effect in range(1, EFFECTS + 1):
        shown = ready_for(stack, instance_id, flow)
        steps = [f"{flow}.{step.name}" for step in FLOWS[flow].steps] + [f"{flow}.complete"]
        planned = [stack.crash_plan / f"{each}@{effect}" for each in (*steps, "dispatcher")]
        for file in planned:
            file.touch()
        begin(stack, instance_id, flow, shown)
        ended = over(stack, instance_id)
        died = [file.name for file in planned if not file.exists()]
        for file in planned:
            file.unlink(missing_ok=True)
        deaths += len(died)
        said = f"{time.strftime('%X')} {flow}: {', '.join(died)}: {ended['status']}"
        print(said, ended["reason"] or "", flush=True)
        late = "in time" in (ended["reason"] or "")
        assert ended["status"] == "SUCCEEDED" or late, ended
        survived(stack, instance_id)
    assert deaths > len(FLOWS[flow].steps)
