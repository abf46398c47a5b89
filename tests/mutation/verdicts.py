"""Mutants, and what was said of each: kept in a file, so that a sample can be judged in parts."""

from __future__ import annotations

import hashlib
from collections import Counter
from enum import StrEnum
from pathlib import Path

import msgspec

from tests.mutation.judges import targets
from tests.mutation.operators import Mutation, mutations


class Mutant(msgspec.Struct, frozen=True):
    """One change of one module. `key` names the changed module, whatever else can be changed.

    `name` stays the same when something else in the module changes.
    """

    module: str
    mutation: Mutation
    key: str
    name: str


class Again(StrEnum):
    """Which of the judged mutants are judged once more, when tests or invariants are new."""

    NONE = "none"
    SURVIVORS = "survivors"
    MISSED = "missed"
    """By one of the judges."""


class Verdict(msgspec.Struct, frozen=True):
    """Who noticed a mutant: the test that failed, the plan with the promise that broke, or none.

    `ran`: whether its line runs in the swarm at all.
    """

    key: str
    tests: str
    swarm: str
    ran: bool

    @property
    def noticed(self) -> bool:
        """Whether anybody did."""
        return bool(self.tests or self.swarm)

    @property
    def missed(self) -> bool:
        """Whether one of the judges who can notice it did not."""
        return not (self.tests and (self.swarm or not self.ran))


def mutants(tree: Path) -> list[Mutant]:
    """Every mutant of the tree."""
    found = []
    for module in targets(tree):
        source = (tree / module).read_text()
        seen: Counter[str] = Counter()
        for mutation in mutations(source):
            change = f"{module}: {mutation.what}: {mutation.before} -> {mutation.after}"
            name = f"{change} ({seen[change]})"
            seen[change] += 1
            digest = hashlib.sha256(mutation.source.encode()).hexdigest()[:16]
            found.append(Mutant(module, mutation, f"{module}/{digest}", name))
    return found


class Verdicts:
    """All verdicts by the key of their mutant."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = file.read_bytes().splitlines() if file.exists() else []
        read = [msgspec.json.decode(line, type=Verdict) for line in lines]
        self._known = {verdict.key: verdict for verdict in read}

    def of(self, mutant: Mutant) -> Verdict | None:
        """What was said of a mutant; None when nobody has judged it."""
        return self._known.get(mutant.key)

    def wanted(self, mutant: Mutant, again: Again) -> bool:
        """Whether it has to be judged, for the first time or again."""
        known = self.of(mutant)
        if known is None or again is Again.NONE:
            return known is None
        return known.missed if again is Again.MISSED else not known.noticed

    def add(self, mutant: Mutant, verdict: Verdict) -> None:
        """Keep one verdict, at once."""
        self._known[mutant.key] = verdict
        with self._file.open("ab") as file:
            file.write(msgspec.json.encode(verdict) + b"\n")
