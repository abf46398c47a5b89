"""The documentation's site, as far as it is seen without building it: `make docs` is strict."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Final

import pytest
import typer
import yaml

from chalicelib.api.application import ROUTES
from chalicelib.settings import CHOSEN_LIMITS, Settings
from infra.cli import COMMANDS
from infra.package import docs

A_COMMAND: Final = re.compile(r"(?:`|^ *\$ |&& )coffer ([a-z][^`\n#]*)", re.MULTILINE)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "docs"
    docs.gather(folder)
    return folder


def test_the_reference_has_a_section_for_each_route(pages: Path) -> None:
    told = set(re.findall(r"^### `(\w+) (\S+)`$", (pages / "api.md").read_text(), re.MULTILINE))
    assert told == {(route.method, route.path) for route in ROUTES}


def test_each_object_that_the_reference_names_is_in_it(pages: Path) -> None:
    text = (pages / "api.md").read_text()
    told = {name.lower() for name in re.findall(r"^### (\w+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(\w+)\)", text)) <= told


def test_each_link_leads_to_a_page(pages: Path) -> None:
    found = 0
    for page in pages.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                found += 1
                assert (page.parent / target).exists(), f"{page.relative_to(pages)}: {target}"
    assert found > 100


def test_what_the_navigation_names_is_there(pages: Path) -> None:
    def names(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        if isinstance(entry, list):
            return [name for each in entry for name in names(each)]
        assert isinstance(entry, dict)
        return [] if "glob" in entry else [name for each in entry.values() for name in names(each)]

    chosen = yaml.safe_load((pages / ".nav.yml").read_text())
    for name in names(chosen["nav"]):
        assert list(pages.glob(name)), name


def test_a_claim_names_a_test_that_is_there(pages: Path) -> None:
    root = docs.ROOT
    claims = re.findall(r"`(tests/\S+\.py)::(\w+)`", (pages / "security.md").read_text())
    assert len(claims) > 15
    for path, name in claims:
        assert f"def {name}(" in (root / path).read_text(), f"{path}::{name}"


def test_the_limits_that_can_be_chosen_are_told(pages: Path) -> None:
    told = (pages / "limits.md").read_text().partition("## Changing them")[2]
    assert set(re.findall(r"`([a-z]+_[a-z_]+)`", told)) == CHOSEN_LIMITS


def test_a_command_in_the_docs_is_one_with_those_options(pages: Path) -> None:
    program = typer.Typer()
    for name in COMMANDS:
        module = import_module(f"infra.cli.{name.replace('-', '_')}")
        program.command(name)(module.command)
    known = typer.main.get_command(program)
    assert isinstance(known, typer.core.TyperGroup)
    options = {
        name: {option for each in command.params for option in each.opts}
        for name, command in known.commands.items()
    }
    read = [docs.ROOT / "README.md", docs.ROOT / "CONTRIBUTING.md", *pages.rglob("*.md")]
    told = [
        words
        for page in read
        if "decisions" not in page.parts and page.name != "CHANGELOG.md"
        for words in A_COMMAND.findall(page.read_text())
    ]
    assert len(told) > 80
    for words in told:
        name, *rest = words.split()
        assert name in options, f"coffer {words}"
        wanted = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert wanted <= options[name], f"coffer {words}"


def test_a_bound_in_the_docs_is_the_one_of_the_code(pages: Path) -> None:
    rows = re.findall(
        r"\| (-?\d+) \| `([\w.]+)` \|$", (pages / "limits.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 30
    for told, name in rows:
        where, _, attribute = name.rpartition(".")
        holder = Settings() if where == "Settings" else import_module(where)
        assert int(told) == getattr(holder, attribute), name
