"""`make load`: one neighbour after the other misbehaves; what does another tenant see?"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.local.settings import resolve
from tests.acceptance.conftest import free_port
from tests.acceptance.stack import Stack, coffer
from tests.bench import load
from tests.bench.tables import console, table
from tests.wire.conftest import AGENT, scratch_folder

pytestmark = [pytest.mark.bench, pytest.mark.timeout(0)]

SECONDS = 30.0
SLOW_CALLS = 50
BURST = int(os.environ.get("COFFER_LOAD_CREATES", "190"))
"""With the eight that are there before, within the 200 that the local cloud has room for."""
WITHOUT_LAMBDA_SECONDS = 60.0


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """A stack of its own with fake guests and the shipped parameters."""
    with scratch_folder() as state:
        chosen = {
            **os.environ,
            "COFFER_STATE": str(state),
            "COFFER_AWS_PORT": str(free_port()),
            "COFFER_CLOUD_PORT": str(free_port()),
            "COFFER_API_PORT": str(free_port()),
            "COFFER_GUEST_NETWORK": f"127.{20 + os.getpid() % 80}.0.0/16",
        }
        try:
            coffer(chosen, "up", "--agent-command", AGENT)
            yield chosen
        finally:
            coffer(chosen, "down")


@pytest.fixture(scope="module")
def stack(environment: dict[str, str]) -> Stack:
    """The stack, with room for the burst in its first tenant's quota."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COFFER_STATE", environment["COFFER_STATE"])
        settings = resolve()
    made = Stack(
        settings, settings.api_url.removesuffix("/v1.0"), Path(environment["COFFER_STATE"])
    )
    quotas = {"quotas": {"instances": 2 * BURST, "volumes": 4 * BURST}}
    answer = made.admin.request("PUT", f"/mgmt/quotas/{made.demo.user.project_id}", quotas)
    assert answer.ok, answer.text
    return made


def test_what_others_notice(stack: Stack) -> None:
    """Nothing wrong, nothing lost; the latencies are shown."""
    victim, neighbour = stack.demo2.created("bystander"), stack.demo.created("neighbour")
    stack.demo2.healthy(victim)
    stack.demo.healthy(neighbour)
    shown = table(
        "What another tenant noticed (milliseconds)",
        *("meanwhile", "reads", "p50", "p99", "guest calls", "p50", "p99", "wrong"),
    )
    wrong: list[str] = []

    def note(label: str, noticed: load.Noticed) -> None:
        shown.add_row(label, *noticed.row())
        wrong.extend(f"{label}: {each}" for each in noticed.wrong)

    rotating = ThreadPoolExecutor(1)
    rotated = rotating.submit(stack.coffer, "rotate-key")  # most of it is its own waiting

    with load.watched(stack.demo2, victim) as noticed:
        time.sleep(SECONDS)
    note("nothing", noticed)

    outbox = load.stolen(stack, neighbour)
    with load.watched(stack.demo2, victim) as noticed:
        sent = load.flood(outbox, SECONDS)
    note(f"a stolen guest sends {sent / SECONDS:.0f} heartbeats a second", noticed)

    with load.watched(stack.demo2, victim) as noticed:
        codes = load.slow_calls(stack, stack.demo, neighbour, SLOW_CALLS)
    note(f"{SLOW_CALLS} slow calls of one tenant, answered {codes}", noticed)

    with load.watched(stack.demo2, victim) as noticed:
        ids = load.creates(stack.demo, 3)
        with load.without_lambda(stack):
            time.sleep(WITHOUT_LAMBDA_SECONDS)
        lost = load.ended(stack.demo, ids)
    # Its guest calls go over the conductor too: they are told to come back. Nothing else is wrong.
    noticed.wrong = [each for each in noticed.wrong if ": 503 " not in each]
    note(f"{WITHOUT_LAMBDA_SECONDS:.0f} s without Lambda behind the API, creates {lost}", noticed)
    assert lost == {"ACTIVE": len(ids)}

    with load.watched(stack.demo2, victim) as noticed:
        rotated.result()
        ids = load.creates(stack.demo, 3)
        lost = load.ended(stack.demo, ids)
    note(f"the new master key comes into use, creates {lost}", noticed)
    assert lost == {"ACTIVE": len(ids)}

    with load.watched(stack.demo2, victim) as noticed:
        began = time.perf_counter()
        ids = load.creates(stack.demo, BURST)
        accepted = time.perf_counter() - began
        lost = load.ended(stack.demo, ids)
        whole = time.perf_counter() - began
    took = f"accepted in {accepted:.0f} s, ended in {whole:.0f} s"
    note(f"{BURST} creates of one tenant, {took}: {lost}", noticed)
    console.print(shown)
    assert lost == {"ACTIVE": BURST}
    assert not wrong, wrong[:10]
