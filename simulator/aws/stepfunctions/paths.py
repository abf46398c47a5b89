"""Paths into documents, and templates whose fields that end in `.$` are filled by paths.

The subset that names one place: `$`, `$.field`, `$['field']`, `$.list[0]`, and the same on the
context object (`$$`). A path that selects many places and an intrinsic function are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from simulator.aws.stepfunctions.faults import RESULT_PATH, DefinitionError, StateError

_STEP: Final = re.compile(r"\.([^\W\d][\w-]*)|\['([^']+)'\]|\[\"([^\"]+)\"\]|\[(\d+)\]")

Context = Callable[[], dict[str, Any]]
"""Makes the context object, when a path asks for it."""


class MissingPath(Exception):
    """There is nothing at that path."""


class Path:
    """A path that names one place."""

    __slots__ = ("of_context", "steps", "text")

    def __init__(self, text: Any, *, context_allowed: bool = True) -> None:
        if not isinstance(text, str) or not text.startswith("$"):
            raise DefinitionError(f"{text!r} is not a path")
        self.text = text
        self.of_context = text.startswith("$$")
        if self.of_context and not context_allowed:
            raise DefinitionError(f"{text!r}: the context object can't be used here")
        self.steps = _steps(text, 2 if self.of_context else 1)

    def get(self, document: Any, context: Context) -> Any:
        """What is there; MissingPath when there is nothing."""
        node: Any = context() if self.of_context else document
        for step in self.steps:
            if not isinstance(node, dict if isinstance(step, str) else list):
                raise MissingPath(self.text)
            try:
                node = node[step]  # type: ignore[index]
            except (KeyError, IndexError):
                raise MissingPath(self.text) from None
        return node

    def put(self, document: Any, value: Any) -> Any:
        """A copy of the document with the value there; objects on the way are made."""
        return _put(document, self.steps, value, self.text)


def _steps(text: str, start: int) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    while start < len(text):
        match = _STEP.match(text, start)
        if match is None:
            raise DefinitionError(f"{text!r}: this kind of path is not supported")
        name = match[1] or match[2] or match[3]
        steps.append(name if name is not None else int(match[4]))
        start = match.end()
    return tuple(steps)


def _put(document: Any, steps: tuple[str | int, ...], value: Any, text: str) -> Any:
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        if not isinstance(document, list) or step >= len(document):
            raise StateError(RESULT_PATH, f"Unable to apply ResultPath {text!r} to the input")
        made = list(document)
        made[step] = _put(document[step], rest, value, text)
        return made
    if not isinstance(document, dict):
        raise StateError(RESULT_PATH, f"Unable to apply ResultPath {text!r} to the input")
    return {**document, step: _put(document.get(step, {}), rest, value, text)}


class Template:
    """A payload template: `Parameters`, `ItemSelector` or `ResultSelector`."""

    __slots__ = ("_fill",)

    def __init__(self, template: Any) -> None:
        self._fill = _compile(template)

    def fill(self, document: Any, context: Context) -> Any:
        """The payload; MissingPath when a path leads nowhere."""
        return self._fill(document, context)


_Fill = Callable[[Any, Context], Any]


def _compile(template: Any) -> _Fill:
    if isinstance(template, list):
        parts = [_compile(item) for item in template]
        return lambda document, context: [part(document, context) for part in parts]
    if not isinstance(template, dict):
        return lambda document, context: template
    fields = {name.removesuffix(".$"): _field(name, value) for name, value in template.items()}
    if len(fields) != len(template):
        raise DefinitionError(f"a field stands twice, with and without '.$', in {sorted(template)}")
    return lambda document, context: {
        name: fill(document, context) for name, fill in fields.items()
    }


def _field(name: str, value: Any) -> _Fill:
    if not name.endswith(".$"):
        return _compile(value)
    if isinstance(value, str) and value.startswith("States."):
        raise DefinitionError(f"{name!r}: intrinsic functions are not supported ({value})")
    return Path(value).get
