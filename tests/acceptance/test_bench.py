"""`make bench`: the figures that the README and the notes quote, all from one run."""

from __future__ import annotations

import logging
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from itertools import pairwise
from pathlib import Path

import pytest

from chalicelib import aws
from infra.local.settings import cache_folder
from infra.package.build import build
from infra.package.sources import PROJECT_ROOT
from tests.acceptance.stack import Stack
from tests.bench import engine, handlers, heartbeats, imports
from tests.bench.calls import Calls, Counting, show_calls
from tests.bench.executions import settled, transitions, without
from tests.bench.tables import console, table

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

PAIRS = 5
READ_RUNS = 200
CALLS = 60
FLEET = ("sweeper", "mirror_flavors", "look_for_orphans")
"""Scopes of what runs by the clock, whatever is measured meanwhile."""
GUEST = "-"
"""The scope of what a guest calls in the log of effects."""
IDLE_SECONDS = 95


def one_create(stack: Stack, name: str) -> tuple[str, float]:
    """The id of a new instance and the seconds from the request to ACTIVE."""
    began = time.perf_counter()
    instance_id = stack.demo.created(name)
    while True:
        shown = stack.demo.show(instance_id)
        assert shown is not None
        assert shown["status"] in ("BUILD", "ACTIVE"), shown
        if shown["status"] == "ACTIVE":
            return instance_id, time.perf_counter() - began
        time.sleep(0.1)


def gone(stack: Stack, instance_id: str) -> None:
    """Delete an instance and wait until it is gone."""
    assert stack.demo.delete(instance_id).status_code == 202
    stack.demo.wait(instance_id, "GONE")


def test_bring_up_beside_the_engine(stack: Stack) -> None:
    gone(stack, one_create(stack, "warm-up")[0])
    engine.bring_up_seconds()
    bare, whole = [], []
    for pair in range(PAIRS):
        bare.append(engine.bring_up_seconds())
        instance_id, seconds = one_create(stack, f"pair-{pair}")
        whole.append(seconds)
        gone(stack, instance_id)
    shown = table(f"Bring-up, warm, {PAIRS} pairs in turn (seconds)", "", "min", "median", "max")
    for label, values in (
        ("engine by hand: install, start, first query", bare),
        ("through Coffer: POST to ACTIVE", whole),
        ("difference, pair by pair", [b - a for a, b in zip(bare, whole, strict=True)]),
        ("ratio, pair by pair", [b / a for a, b in zip(bare, whole, strict=True)]),
    ):
        figures = (min(values), statistics.median(values), max(values))
        shown.add_row(label, *(f"{figure:.2f}" for figure in figures))
    console.print(shown)


def test_calls_and_their_price(stack: Stack) -> None:
    counting = Counting(stack.crash_plan)
    gone(stack, one_create(stack, "warm-up")[0])
    measured: dict[str, Calls] = {}

    # A create that nobody polls: only what it costs by itself.
    settled(counting)
    counting.begin()
    instance_id = stack.demo.created("counted")
    counted = without(settled(counting, quiet=8.0), *FLEET)
    create = Calls(counted, invocations=12, api_requests=1)
    stack.demo.healthy(instance_id)
    create.transitions = transitions(stack, "create-instance")
    measured["create → ACTIVE"] = create

    stack.demo.request("GET", "/instances")  # fills the token cache
    for name, path in (("list", "/instances/detail"), ("show", f"/instances/{instance_id}")):
        time.sleep(1)
        counting.begin()
        stack.demo.request("GET", path)
        api = {key: n for key, n in counting.counted().items() if key[0] == "api"}
        measured[name] = Calls(without(Counter(api)), invocations=1, api_requests=1)

    settled(counting)
    counting.begin()
    time.sleep(IDLE_SECONDS)
    idle = counting.counted()
    beats = idle["-", "SendMessage"]
    label = f"idle guest, {IDLE_SECONDS} s ({beats} heartbeats)"
    measured[label] = Calls(without(idle, *FLEET), invocations=beats)

    counting.begin()
    gone(stack, instance_id)
    deleted = {key: n for key, n in settled(counting).items() if key[0] not in ("api", *FLEET)}
    accepted = {("api", "GetItem"): 1, ("api", "TransactWriteItems"): 1, ("api", "SendMessage"): 1}
    delete = Calls(without(Counter(deleted | accepted)), invocations=8, api_requests=1)
    delete.transitions = transitions(stack, "delete-instance")
    measured["delete → gone"] = delete

    show_calls(measured)
    console.print(f"create in detail: {dict(sorted(create.by_name.items()))}")


def call_parts(stack: Stack, counting: Counting, path: str) -> tuple[float, ...]:
    """Milliseconds of one call: in all, and of each part in turn; the last is how many looks."""
    counting.begin()
    began = time.time()
    assert stack.demo.request("GET", path).status_code == 200
    ended = time.time()
    seen = counting.seen()

    def first(scope: str, name: str, after: float = began) -> float:
        return next(each.at for each in seen if each[1:] == (scope, name) and each.at > after)

    sent = first("api", "SendMessage")
    received = first(GUEST, "ReceiveMessage")
    answered = first(GUEST, "SendMessage", received)
    stored = first("conductor", "UpdateItem")
    looks = sum(each[1:] == ("api", "GetItem") and each.at > sent for each in seen)
    times = (began, sent, received, answered, stored, ended)
    parts = [(ended - began) * 1e3, *((b - a) * 1e3 for a, b in pairwise(times))]
    return (*parts, (ended - answered) * 1e3, looks)


def test_a_call_beside_its_guests_answer(stack: Stack) -> None:
    instance_id, _ = one_create(stack, "called")
    stack.demo.healthy(instance_id)
    path = f"/instances/{instance_id}/users"
    counting = Counting(stack.crash_plan)
    call_parts(stack, counting, path)
    calls = [call_parts(stack, counting, path) for _ in range(CALLS)]
    shown = table(f"A synchronous call, warm, {CALLS} calls (ms)", "", "p50", "p90")
    for label, figures in zip(
        (
            "GET users, in all",
            "request → command sent (front, gateway, token, rows)",
            "command sent → the guest has it (the queue's long poll)",
            "the guest has it → answer sent",
            "answer sent → in its row (mapping, conductor)",
            "in its row → reply",
            "answer sent → reply",
            "looks at the row (a number)",
        ),
        zip(*calls, strict=True),
        strict=True,
    ):
        shown.add_row(
            label, *(f"{handlers.Times.quantile(list(figures), each):.0f}" for each in (50, 90))
        )
    console.print(shown)
    gone(stack, instance_id)


@pytest.fixture
def in_process(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """This process runs the API's handlers on the stack's tables."""
    environment = stack.settings.aws_environment() | {
        "OS_AUTH_URL": stack.settings.auth_url,
        "COFFER_SECRETS_PATH": "/coffer",
        "COFFER_TOKEN_CACHE_SECONDS": "300",
        "COFFER_REQUESTS_PER_MINUTE": "1000000",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    previous = aws.install(aws.Provider())
    import_module("app")  # it sets the logs up
    logging.getLogger("chalicelib").setLevel(logging.ERROR)
    yield stack
    aws.install(previous)


def rows_of(tenant: str, count: int) -> None:
    """Rows of ACTIVE instances, as many as asked for, with their reports."""
    from chalicelib.store.models import Instance, ServiceStatusRow

    now = aws.clock()
    with Instance.batch_write() as batch:
        for number in range(count):
            batch.save(
                Instance(
                    id=f"{number:08d}-0000-4000-8000-000000000000",
                    tenant_id=tenant,
                    index_tenant=tenant,
                    name=f"bench-{number}",
                    status="ACTIVE",
                    created=now,
                    updated=now,
                    datastore_version_id="v",
                    datastore_name="mariadb",
                    datastore_version="10.11",
                    datastore_version_number="10.11",
                    manager="mariadb",
                    flavor_id="1",
                    flavor_ram=512,
                    flavor_vcpus=1,
                    volume_size=1,
                    region="RegionOne",
                    addresses=[{"address": "127.0.0.1", "type": "private", "network": "n"}],
                )
            )
    with ServiceStatusRow.batch_write() as batch:
        for number in range(count):
            batch.save(
                ServiceStatusRow(
                    instance_id=f"{number:08d}-0000-4000-8000-000000000000",
                    generation=1,
                    status="healthy",
                    updated=now,
                )
            )


def test_reads(in_process: Stack) -> None:
    from app import app

    user = in_process.demo2.user
    project = {"project": user.project_id}
    listing = handlers.event("GET", "/v1.0/{project}/instances", project, user.token)
    shown = table(
        f"Reads by the handler in this process, warm, {READ_RUNS} calls each (ms)",
        "", "rows", "p50", "p99", "CPU p50", "CPU p99",
    )  # fmt: skip
    for rows in (1, 20, 500):
        rows_of(user.project_id, rows)
        app(listing, None)
        times = handlers.Times(lambda: app(listing, None), READ_RUNS)
        shown.add_row(f"list, a page of {times.rows}", str(rows), *times.row())
    one = {**project, "instance": f"{1:08d}-0000-4000-8000-000000000000"}
    showing = handlers.event("GET", "/v1.0/{project}/instances/{instance}", one, user.token)
    shown.add_row("show", "500", *handlers.Times(lambda: app(showing, None), READ_RUNS).row())
    console.print(shown)


def test_heartbeats_by_part(in_process: Stack) -> None:
    heartbeats.make_rows()
    shown = table(
        f"CPU of {heartbeats.GUESTS:,} heartbeats that are written (seconds)", "", "CPU s"
    )
    heartbeats.in_process(1, 100)
    for number, at_once in enumerate((100, 10, 1), start=2):
        seconds = heartbeats.in_process(number, at_once)
        shown.add_row(f"in this process, {at_once} at once", f"{seconds:.2f}")
    heartbeats.in_worker(in_process, 5)
    counting = Counting(in_process.crash_plan)
    seconds, workers = heartbeats.in_worker(in_process, 6)
    batches = counting.counted()["heartbeats", "BatchGetItem"]
    shown.add_row(f"in {workers} warm workers, in {batches} batches", f"{seconds:.2f}")
    console.print(shown)


def test_cold_starts_and_sizes(tmp_path: Path) -> None:
    made = build(PROJECT_ROOT, cache_folder())
    python = next(cache_folder().glob("ministack-*/bin/python"))
    shown = table("Cold import (median of 7 fresh processes, page cache warm)", "", "ms", "zip MB")
    for label, (name, modules) in imports.ENTRIES.items():
        folder = imports.unpack(made.template.parent, name, tmp_path / label.split()[0])
        size = (made.template.parent / name).stat().st_size / 1e6
        shown.add_row(
            label, f"{imports.import_ms(python, folder, modules, runs=7):.0f}", f"{size:.1f}"
        )
    console.print(shown)
