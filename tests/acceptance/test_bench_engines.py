"""Each engine through Coffer beside the bare one, in one run: bring-up, memory, its idle agent."""

from __future__ import annotations

import statistics
import time
from typing import Final, NamedTuple

import psutil
import pytest

from tests.acceptance.stack import Stack
from tests.bench import engine
from tests.bench.tables import console, table

pytestmark = [pytest.mark.bench, pytest.mark.filterwarnings("default")]

PAIRS: Final = 3
IDLE_SECONDS: Final = 5.0
"""What is looked at has done nothing for so long but beat and answer its agent."""
MIB: Final = 2**20
VERSIONS: Final = {"mariadb": "10.11", "postgresql": "15", "redis": "7.0"}


class Figures(NamedTuple):
    """Seconds, and bytes."""

    bare_seconds: float
    seconds: float
    bare_memory: int
    memory: int
    agent: int


def processes_of(stack: Stack, instance_id: str) -> tuple[psutil.Process, psutil.Process]:
    """Its agent, and its engine's first process."""
    (server,) = stack.things_of(instance_id, "servers")
    found = [
        each
        for each in psutil.process_iter(["cmdline"])
        if server["id"] in " ".join(each.info["cmdline"] or ())
    ]
    (agent,) = (each for each in found if "guest_agent" in each.info["cmdline"])
    found.remove(agent)
    (first,) = (each for each in found if each.parent() not in found)
    return agent, first


def through_coffer(stack: Stack, name: str, datastore: str) -> tuple[float, int, int]:
    """Seconds from the request to ACTIVE; bytes of the engine and of its agent, idle."""
    began = time.perf_counter()
    chosen = {"type": datastore, "version": VERSIONS[datastore]}
    instance_id = stack.demo.created(name, datastore=chosen)
    stack.demo.wait(instance_id, "ACTIVE")
    seconds = time.perf_counter() - began
    stack.demo.healthy(instance_id)
    time.sleep(IDLE_SECONDS)
    agent, first = processes_of(stack, instance_id)
    memory, agents = engine.memory_of(first), int(agent.memory_info().rss)
    assert stack.demo.delete(instance_id).status_code == 202
    stack.demo.wait(instance_id, "GONE")
    return seconds, memory, agents


def one_pair(stack: Stack, name: str, datastore: str) -> Figures:
    """First by hand, then through Coffer."""
    with engine.up(datastore) as bare:
        time.sleep(IDLE_SECONDS)
        bare_memory = bare.memory()
    seconds, memory, agent = through_coffer(stack, name, datastore)
    return Figures(bare.seconds, seconds, bare_memory, memory, agent)


def test_each_engine_beside_the_bare_one(stack: Stack) -> None:
    shown = table(
        f"Each engine beside itself by hand, {PAIRS} pairs in turn (medians)",
        "", "by hand s", "Coffer s", "by hand MiB", "Coffer MiB", "its agent MiB",
    )  # fmt: skip
    through_coffer(stack, "warm-up", "redis")
    for datastore in VERSIONS:
        pairs = [one_pair(stack, f"{datastore}-{number}", datastore) for number in range(PAIRS)]
        medians = Figures(*(statistics.median(each) for each in zip(*pairs, strict=True)))
        shown.add_row(
            datastore,
            f"{medians.bare_seconds:.2f}",
            f"{medians.seconds:.2f}",
            *(f"{each / MIB:.0f}" for each in medians[2:]),
        )
        assert all(each.seconds > each.bare_seconds for each in pairs), "it was not measured"
    console.print(shown)
