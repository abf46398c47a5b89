"""The clients of the small services: every call is checked against a policy and is an effect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from simulator.aws.errors import Exceptions
from simulator.effects import Effects


class Service(Protocol):
    """A simulated service: its calls are methods with boto3's arguments."""

    calls: Mapping[str, str]
    """The names of the client's methods and those of the API's operations."""

    exceptions: Exceptions


Guard = Callable[[str, Mapping[str, Any]], None]
"""Refuses an operation with its arguments by raising the service's error."""


class Client:
    """Stands where a boto3 client stands; or, without `retries`, where one that is none."""

    __slots__ = ("_guard", "_name", "_perform", "service")

    def __init__(
        self,
        name: str,
        service: Service,
        effects: Effects,
        guard: Guard | None = None,
        *,
        retries: bool = True,
    ) -> None:
        self.service = service
        self._name = name
        self._perform = effects.perform if retries else effects.perform_once
        self._guard = guard

    @property
    def exceptions(self) -> Exceptions:
        return self.service.exceptions

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = self.service.calls.get(name)
        if operation is None:
            raise AttributeError(f"{self._name} has no simulated call {name}")
        function, guard = getattr(self.service, name), self._guard

        def call(**kwargs: Any) -> Any:
            def apply() -> Any:
                if guard is not None:
                    guard(operation, kwargs)
                return function(**kwargs)

            return self._perform(self._name, operation, apply, **kwargs)

        return call
