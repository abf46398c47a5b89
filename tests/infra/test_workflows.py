"""The workflows for people with Docker: they run make targets that exist, with the least rights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.package.sources import PROJECT_ROOT

WORKFLOWS = sorted((PROJECT_ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (PROJECT_ROOT / "Makefile").read_text()
WRITES = {("release.yml", "wheel"): {"contents": "write"}}
"""Jobs that may change something: the release is made."""


def jobs() -> list[Any]:
    return [
        pytest.param(file, name, job, id=f"{file.stem}.{name}")
        for file in WORKFLOWS
        for name, job in yaml.safe_load(file.read_text())["jobs"].items()
    ]


def commands(job: dict[str, Any]) -> str:
    return "\n".join(step.get("run", "") for step in job["steps"])


@pytest.mark.parametrize(("file", "name", "job"), jobs())
def test_a_job_has_a_bound_pinned_actions_and_the_rights_it_needs(
    file: Path, name: str, job: dict[str, Any]
) -> None:
    assert job["timeout-minutes"] <= 360
    assert re.search(r"-\d+\.\d+$", job["runs-on"]), "an image that changes by itself"
    for step in job["steps"]:
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"])
    assert yaml.safe_load(file.read_text())["permissions"] == {"contents": "read"}
    assert job.get("permissions") == WRITES.get((file.name, name))


def test_every_target_that_is_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE))
    ran = {
        target
        for each in jobs()
        for target in re.findall(r"^make ([a-z-]+)$", commands(each.values[2]), re.MULTILINE)
    }
    assert ran <= targets
    tests = {"test", "test-deep", "test-localstack", "test-crash"}
    assert ran == tests | {"lint", "wheel", "swarm", "coverage"}


def test_localstack_is_the_version_that_the_project_was_tried_with() -> None:
    images = {
        image
        for file in (*WORKFLOWS, *(PROJECT_ROOT / "docs").rglob("*.md"))
        for image in re.findall(r"localstack/localstack:([\d.]*\d)", file.read_text())
    }
    assert len(images) == 1


def test_what_a_build_needs_of_the_projects_folder_is_linked_to_it() -> None:
    """A wheel has these as files: without one of them it could not deploy."""
    links = PROJECT_ROOT / "infra" / "package" / "project"
    linked = {each.resolve().relative_to(PROJECT_ROOT.resolve()) for each in links.iterdir()}
    assert linked == {
        Path(".chalice/config.json"),
        Path("requirements-dev.txt"),
        Path("requirements-functions.txt"),
        Path("requirements.txt"),
    }


def test_the_wheel_needs_every_package_that_the_commands_import() -> None:
    project = (PROJECT_ROOT / "pyproject.toml").read_text()
    head = project.partition("[project.scripts]")[0]
    declared = set(re.findall(r'^    "([A-Za-z0-9-]+)",$', head, re.MULTILINE))
    lines = (PROJECT_ROOT / "requirements-functions.txt").read_text().splitlines()
    lines += (PROJECT_ROOT / "requirements.txt").read_text().splitlines()
    shipped = {line.partition("==")[0] for line in lines if "==" in line}
    assert shipped <= declared
