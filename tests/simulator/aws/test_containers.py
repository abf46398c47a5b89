"""What a container of Lambda remembers is its own, and goes with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import aws
from simulator.aws.lambda_ import IDLE_SECONDS, Function, Lambda
from simulator.kernel import Kernel
from simulator.provider import SimProvider


class World:
    """One function, whose answer is what its container read at its first invocation."""

    def __init__(self) -> None:
        self.kernel = Kernel(1)
        self.lambda_ = Lambda(self.kernel)
        self.value = 1
        self.function = self.lambda_.add(Function("reader", lambda: self._read))
        self.answers: list[Any] = []

    def invoke(self) -> None:
        self.lambda_.invoke("reader", {}, lambda answer: self.answers.append(answer.result))

    def pass_seconds(self, seconds: float) -> None:
        self.kernel.run(self.kernel.now + seconds)

    def _read(self, *_: Any) -> int:
        found = aws.remembered("value", lambda: self.value)
        aws.sleep(1.0)
        return found


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    previous = aws.install(SimProvider(made.kernel, {}))
    yield made
    aws.install(previous)


def test_a_warm_container_keeps_what_it_read_and_a_new_one_reads_again(world: World) -> None:
    world.invoke()
    world.pass_seconds(5.0)
    world.value = 2
    world.invoke()  # the warm one
    world.invoke()  # beside it: a new one
    world.pass_seconds(5.0)
    assert sorted(world.answers) == [1, 1, 2]


def test_what_a_container_remembers_goes_with_it(world: World) -> None:
    world.invoke()
    world.pass_seconds(IDLE_SECONDS + 60.0)
    world.value = 2
    world.invoke()
    world.pass_seconds(5.0)
    world.value = 3
    world.lambda_.update(world.function)
    world.invoke()
    world.pass_seconds(5.0)
    assert world.answers == [1, 2, 3]


def test_what_is_set_up_from_outside_belongs_to_no_container(world: World) -> None:
    assert aws.remembered("value", lambda: "outside") == "outside"
    world.invoke()
    world.pass_seconds(5.0)
    assert world.answers == [1]
