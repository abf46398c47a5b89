"""`make load`: one neighbour after the other misbehaves; what does another tenant see?"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from infra.local.settings import resolve
from tests.acceptance.stack import Stack, coffer
from tests.bench import load
from tests.bench.tables import console, table
from tests.support.loopback import free_port, own_network
from tests.wire.conftest import AGENT, scratch_folder

pytestmark = [pytest.mark.bench, pytest.mark.timeout(0)]

SECONDS = 30.0
SLOW_CALLS = 50
BURST = int(os.environ.get("COFFER_LOAD_CREATES", "190"))
"""With the eight that are there before, within the 200 that the local cloud has room for."""
SMALL_BURST = 30
WITHOUT_LAMBDA_SECONDS = 60.0
REST_SECONDS = 90.0
"""Half as long again as the emulator keeps a worker that has nothing to do."""


@contextmanager
def running_stack() -> Iterator[Stack]:
    """A stack of its own with fake guests and the shipped parameters.

    Its first tenant's quota has room for the bursts.
    """
    with scratch_folder() as state:
        environment = {
            **os.environ,
            "COFFER_STATE": str(state),
            "COFFER_AWS_PORT": str(free_port()),
            "COFFER_CLOUD_PORT": str(free_port()),
            "COFFER_API_PORT": str(free_port()),
            "COFFER_GUEST_NETWORK": own_network(),
        }
        try:
            coffer(environment, "up", "--agent-command", AGENT)
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("COFFER_STATE", str(state))
                settings = resolve()
            made = Stack(settings, settings.api_url, state)
            quotas = {"quotas": {"instances": 2 * BURST, "volumes": 4 * BURST}}
            path = f"/mgmt/quotas/{made.demo.user.project_id}"
            answer = made.admin.request("PUT", path, quotas)
            assert answer.ok, answer.text
            yield made
        finally:
            coffer(environment, "down")


@pytest.fixture
def stack() -> Iterator[Stack]:
    with running_stack() as made:
        yield made


def test_the_first_burst_is_like_the_next(stack: Stack) -> None:
    """On a fresh stack; what its processes hold is shown after each, and once it has rested."""
    shown = table(
        f"{SMALL_BURST} creates at once on a fresh stack",
        *("", "accepted, s", "ended, s", "processes", "GiB"),
    )

    def note(label: str, *seconds: float) -> None:
        processes, gib = load.held_by(stack)
        cells = [f"{each:.1f}" for each in seconds] or ["", ""]
        shown.add_row(label, *cells, str(processes), f"{gib:.1f}")

    note("before")
    for label in ("first", "second"):
        began = time.perf_counter()
        ids = load.creates(stack.demo, SMALL_BURST)
        accepted = time.perf_counter() - began
        assert load.ended(stack.demo, ids) == {"ACTIVE": SMALL_BURST}
        note(label, accepted, time.perf_counter() - began)
    time.sleep(REST_SECONDS)
    note(f"{REST_SECONDS:.0f} s later")
    console.print(shown)


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
