"""The connection of the cloud's functions: what it says of a user that may do too much."""

from __future__ import annotations

import logging

import pytest

from chalicelib.cloud import session
from chalicelib.parameters import Credential
from chalicelib.settings import Settings
from tests.cloud.served import PASSWORDS, ServedCloud


@pytest.mark.parametrize(
    ("user", "password", "project", "alarms"),
    [
        ("admin", "admin_password", "admin", ["cloud.admin"]),
        ("coffer", "service_password", "service", []),
    ],
)
def test_a_user_with_the_role_admin_is_told_and_works(
    cloud: ServedCloud,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    user: str,
    password: str,
    project: str,
    alarms: list[str],
) -> None:
    chosen = Settings(os_auth_url=f"{cloud.url}/identity/v3", os_project_name=project)
    monkeypatch.setattr(session, "settings", lambda: chosen)
    with caplog.at_level(logging.ERROR):
        made = session._connect(Credential(user, PASSWORDS[password]))
    assert [getattr(each, "alarm", None) for each in caplog.records] == alarms
    assert PASSWORDS[password] not in caplog.text
    assert list(made.compute.servers()) == []
    made.close()
