"""Neighbours that misbehave on a running stack, and what another tenant notices meanwhile."""

from __future__ import annotations

import signal
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
import requests

from guest_agent import birth
from guest_agent.clock import ServiceClock
from guest_agent.config import GuestConfig
from guest_agent.enrolment import Credentials, Enrolment
from guest_agent.identity import DiskIdentity
from guest_agent.memory import Memory
from guest_agent.outbox import Outbox
from guest_agent.transport import HttpPost, SqsQueues
from infra.local.processes import leftovers
from infra.local.settings import STACK_NAME
from tests.acceptance.stack import Api, Stack, eventually

BACKGROUND: Final = ("dispatcher", "conductor", "heartbeats", "taskmanager-cloud")
"""What works behind the API: a minute without these is a minute without Lambda.

Not the task manager's other function: MiniStack lets a task that waits for a token hang when its
function is throttled, where AWS fails it and tries again.
"""
PAUSE_SECONDS: Final = 0.2
ENDS_WITHIN: Final = 600.0


@dataclass
class Noticed:
    """What a tenant that does nothing wrong has seen: seconds of each call, and what was wrong."""

    reads: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def row(self) -> list[str]:
        """Calls, and their median and 99th percentile in milliseconds, of reads and guest calls."""
        cells = []
        for seconds in (self.reads, self.calls):
            ordered = sorted(seconds) or [float("nan")]
            p99 = ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]
            cells += [
                str(len(seconds)),
                f"{statistics.median(ordered) * 1000:.0f}",
                f"{p99 * 1000:.0f}",
            ]
        return [*cells, str(len(self.wrong))]


@contextmanager
def watched(api: Api, instance_id: str) -> Iterator[Noticed]:
    """Meanwhile the owner of a healthy instance reads it and calls its guest, in turn."""
    noticed, over = Noticed(), threading.Event()

    def ask(path: str, seconds: list[float]) -> requests.Response | None:
        began = time.perf_counter()
        try:
            answer = api.request("GET", path)
        except requests.RequestException as error:
            noticed.wrong.append(f"GET {path}: {error}")
            return None
        finally:
            seconds.append(time.perf_counter() - began)
        if not answer.ok:
            noticed.wrong.append(f"GET {path}: {answer.status_code} {answer.text[:200]}")
        return answer

    def look() -> None:
        while not over.is_set():
            shown = ask(f"/instances/{instance_id}", noticed.reads)
            if shown is not None and shown.ok:
                each = shown.json()["instance"]
                state = each["status"], each["operating_status"]
                if state != ("ACTIVE", "HEALTHY"):
                    noticed.wrong.append(f"shown as {state}")
            ask("/instances", noticed.reads)
            ask(f"/instances/{instance_id}/databases", noticed.calls)
            over.wait(PAUSE_SECONDS)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield noticed
    finally:
        over.set()
        looking.join()


def server_folder(stack: Stack, instance_id: str) -> Path:
    """The disk of an instance's server on the local hypervisor."""
    (server,) = stack.things_of(instance_id, "servers")
    return stack.settings.cloud / "servers" / str(server["id"])


def stolen(stack: Stack, instance_id: str) -> Outbox:
    """A guest's own keys and credentials in other hands: what its disk gives."""
    clock = ServiceClock()
    guest, enrolment = _enrolment(stack, instance_id, clock)
    queues = SqsQueues(guest.agent.region, guest.agent.aws_endpoint_url, clock)
    outbox = Outbox(queues, clock, Memory())
    outbox.adopt(enrolment.renew(start=True))
    return outbox


def stolen_credentials(stack: Stack, instance_id: str) -> Credentials:
    """The same, for AWS alone: the guest goes on."""
    return _enrolment(stack, instance_id, ServiceClock())[1].renew(start=False).credentials


def _enrolment(
    stack: Stack, instance_id: str, clock: ServiceClock
) -> tuple[GuestConfig, Enrolment]:
    guest = birth.load(server_folder(stack, instance_id))
    return guest, Enrolment(guest, DiskIdentity(guest.state_folder), HttpPost(), clock)


def flood(outbox: Outbox, seconds: float) -> int:
    """Heartbeats as fast as one process can, with what no store holds among them; how many."""
    until, sent = time.monotonic() + seconds, 0
    extremes = (1e-300, 1e300, -1.0, 0.5)
    while time.monotonic() < until:
        used = extremes[sent % len(extremes)]
        outbox.heartbeat({"status": "healthy", "volume": {"used": used, "total": 1.0}})
        sent += 1
    return sent


def slow_calls(stack: Stack, api: Api, instance_id: str, count: int) -> dict[int, int]:
    """So many calls at once to a guest that does not answer; how many got which status."""
    folder = str(server_folder(stack, instance_id))
    agents = [each for each in psutil.process_iter() if folder in _command_line(each)]
    assert agents, "the guest's agent runs"
    for each in agents:
        each.send_signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(count) as pool:
            path = f"/instances/{instance_id}/databases"
            codes = list(pool.map(lambda _: api.request("GET", path).status_code, range(count)))
    finally:
        for each in agents:
            each.send_signal(signal.SIGCONT)
    return {code: codes.count(code) for code in sorted(set(codes))}


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@contextmanager
def without_lambda(stack: Stack) -> Iterator[None]:
    """No function behind the API gets an execution."""
    client = stack.aws("lambda")
    kept = {}
    for name in BACKGROUND:
        function = f"{STACK_NAME}-{name}"
        found = client.get_function_concurrency(FunctionName=function)
        kept[function] = found.get("ReservedConcurrentExecutions")
        client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    try:
        yield
    finally:
        for function, reserved in kept.items():
            if reserved is None:
                client.delete_function_concurrency(FunctionName=function)
            else:
                client.put_function_concurrency(
                    FunctionName=function, ReservedConcurrentExecutions=reserved
                )


def held_by(stack: Stack) -> tuple[int, float]:
    """How many processes the stack has without its guests, and their memory in GiB.

    Pages that several of them map are counted once, in shares.
    """
    count, pss = 0, 0
    for process in leftovers(stack.settings.state):
        with suppress(psutil.Error):
            if "COFFER_SERVER_ID" not in process.environ():
                pss += process.memory_full_info().pss
                count += 1
    return count, pss / 2**30


def creates(api: Api, count: int) -> list[str]:
    """So many creates at once; the ids of those that were accepted. Nothing else is an answer."""
    with ThreadPoolExecutor(count) as pool:
        answers = list(pool.map(lambda number: api.create(f"burst-{number}"), range(count)))
    refused = [answer.text for answer in answers if answer.status_code != 200]
    assert not refused, refused[:3]
    return [str(answer.json()["instance"]["id"]) for answer in answers]


def ended(api: Api, instance_ids: list[str]) -> dict[str, int]:
    """How many of the creates ended in which way, once all have: a status, or a fault."""
    pending, found = set(instance_ids), dict[str, int]()

    def all_over() -> bool:
        for each in list(pending):
            shown = api.show(each)
            way = str(shown["status"]) if shown else "GONE"
            if shown and "fault" in shown:
                way = str(shown["fault"]["message"])
            if way != "BUILD":
                pending.discard(each)
                found[way] = found.get(way, 0) + 1
        return not pending

    eventually(all_over, ENDS_WITHIN, "every create has ended")
    return found
