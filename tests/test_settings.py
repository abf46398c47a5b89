"""What the environment may say: what nothing can run with is refused before anything runs."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from chalicelib import aws
from chalicelib.settings import CHOSEN_LIMITS, BadSetting, Settings, settings

NUMBERS = [each.name for each in msgspec.structs.fields(Settings) if isinstance(each.default, int)]
MAY_BE_NONE = {
    *("token_cache_seconds", "instance_metrics", "ipv6_only_networks"),  # no time at all; no
    *(each for each in NUMBERS if each.startswith("quota")),
    "backup_bytes_per_second",  # no limit
}


@pytest.fixture(autouse=True)
def cold() -> Any:
    """A container that has read no settings yet."""
    previous = aws.install(aws.Provider())
    yield
    aws.install(previous)


def test_there_are_numbers_to_bound() -> None:
    assert len(NUMBERS) > 15


@pytest.mark.parametrize("value", ["-2", "nan", "inf", "many", "1.5", "9" * 12, "9" * 400, "0x10"])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_out_of_its_bounds_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    variable = f"COFFER_{name.upper()}"
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSetting) as refused:
        settings()
    assert str(refused.value).startswith(f"{variable} is '{value[:80]}' and has to be ")
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "name",
    sorted(set(NUMBERS) - MAY_BE_NONE),
)
def test_nothing_that_is_counted_or_waited_for_is_zero(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(f"COFFER_{name.upper()}", "0")
    with pytest.raises(BadSetting, match=">="):
        settings()


def test_each_bad_value_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COFFER_LOG_LEVEL", "LOUD")
    monkeypatch.setenv("COFFER_REQUESTS_PER_MINUTE", "0")
    with pytest.raises(BadSetting) as refused:
        settings()
    assert "COFFER_LOG_LEVEL is 'LOUD'" in str(refused.value)
    assert "COFFER_REQUESTS_PER_MINUTE is '0' and has to be `int` >= 1." in str(refused.value)


def test_timeouts_may_be_one_variable_or_each_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COFFER_TIMEOUTS", "create=60 delete=90")
    monkeypatch.setenv("COFFER_DELETE_TIMEOUT_SECONDS", "120")
    found, usual = settings(), Settings()
    assert (found.create_timeout_seconds, found.delete_timeout_seconds) == (60, 120)
    assert found.update_timeout_seconds == usual.update_timeout_seconds


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("create=soon", "create in COFFER_TIMEOUTS is 'soon'"),
        ("create=", "create in COFFER_TIMEOUTS is ''"),
        ("cretae=60", "COFFER_TIMEOUTS names 'cretae'"),
    ],
)
def test_a_timeout_that_is_none_is_told(
    monkeypatch: pytest.MonkeyPatch, told: str, words: str
) -> None:
    monkeypatch.setenv("COFFER_TIMEOUTS", told)
    with pytest.raises(BadSetting, match=words):
        settings()


def test_a_deployment_chooses_its_limits_in_one_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    told = " ".join(f"{name}={number}" for number, name in enumerate(sorted(CHOSEN_LIMITS), 2))
    monkeypatch.setenv("COFFER_LIMITS", told)
    monkeypatch.setenv("COFFER_PAGE_SIZE", "7")
    found = settings()
    wanted = {name: number for number, name in enumerate(sorted(CHOSEN_LIMITS), 2)}
    assert {name: getattr(found, name) for name in CHOSEN_LIMITS} == {**wanted, "page_size": 7}


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ("page_size=0", "page_size in COFFER_LIMITS is '0' and has to be"),
        ("prefix=other", "COFFER_LIMITS names 'prefix'"),
        ("lease_seconds=900", "COFFER_LIMITS names 'lease_seconds'"),
    ],
)
def test_a_limit_that_is_none_is_told(
    monkeypatch: pytest.MonkeyPatch, told: str, words: str
) -> None:
    monkeypatch.setenv("COFFER_LIMITS", told)
    with pytest.raises(BadSetting, match=words):
        settings()


def test_the_defaults_are_within_their_bounds() -> None:
    defaults = {each.name: each.default for each in msgspec.structs.fields(Settings)}
    assert msgspec.convert(defaults, Settings) == Settings()


def test_an_app_with_a_bad_setting_does_not_start() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import app"],
        env={**os.environ, "COFFER_REQUESTS_PER_MINUTE": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert "COFFER_REQUESTS_PER_MINUTE is '0' and has to be" in done.stderr


def test_the_command_line_says_it_in_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from infra.cli import main; main()", "simulate", "smoke"],
        env={**os.environ, "COFFER_PAGE_SIZE": "-1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: COFFER_PAGE_SIZE is '-1' and has to be")
    assert "Traceback" not in done.stderr
