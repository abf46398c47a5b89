"""How a deployment is, seen from outside: its stack, its API, its instances, its catalog entry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import requests

from infra import remove
from infra.deployment import catalog
from infra.deployment.survey import Survey
from infra.errors import StackError

ANSWER_SECONDS = 10


class Part(NamedTuple):
    """One part of it: `up`, or what it is instead."""

    part: str
    state: str
    about: str


def parts(survey: Survey) -> Iterator[Part]:
    """The parts that can be looked at of a deployment that is there."""
    name, present = survey.wanted.stack, survey.present
    assert present is not None, "deployments.named finds none that is not there"
    before = f", before it {present.release_before}" if present.release_before else ""
    state = "up" if present.is_whole else present.status
    yield Part("Stack", state, f"{name}, release {present.release}{before}")
    root = survey.present_root or ""
    yield Part("API", _answer(root), root)
    yield Part("Instances", "up", str(remove.instances(survey.target, name)))
    yield _entry(survey, root)


def _answer(root: str) -> str:
    try:
        answered = requests.get(f"{root}/", timeout=ANSWER_SECONDS)
    except requests.RequestException as error:
        return f"not answering ({type(error).__name__})"
    return "up" if answered.ok else f"answers {answered.status_code}"


def _entry(survey: Survey, root: str) -> Part:
    """What clients find; without credentials of the cloud that is not known."""
    try:
        places = catalog.places(survey.cloud)
    except StackError as error:
        return Part("Catalog entry", "not known", error.message)
    leads = catalog.place_of(root) in places
    return Part("Catalog entry", "up" if leads else "leads elsewhere", ", ".join(places))
