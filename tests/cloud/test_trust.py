"""Which endpoints of the cloud are called, and whose certificates they may have."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from keystoneauth1.identity.base import BaseIdentityPlugin

from chalicelib import aws, parameters
from chalicelib.auth.connection import Connection
from chalicelib.cloud import session
from chalicelib.parameters import Credential
from chalicelib.settings import BadSetting, settings

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    aws.install(aws.Provider())
    monkeypatch.setenv("OS_AUTH_URL", "https://cloud.example.org/v3")
    nobody = SimpleNamespace(role_names=[])
    monkeypatch.setattr(BaseIdentityPlugin, "get_access", lambda *_, **__: nobody)
    monkeypatch.setattr(parameters, "held", lambda *_: Credential("coffer", "secret"))


def test_the_operators_authority_is_asked_instead_of_the_public_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OS_CACERT", CERTIFICATE)
    cloud = session.connection().config.get_requests_verify_args()[0]
    identity = Connection().session().verify
    assert cloud == identity
    file = Path(str(cloud))
    assert file.read_text() == CERTIFICATE
    file.unlink()


def test_without_one_the_public_ones_are_trusted() -> None:
    assert session.connection().config.get_requests_verify_args()[0] is True
    assert Connection().session().verify is True


def test_the_interface_is_the_operators_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert session.connection().config.get_interface() == "public"
    aws.install(aws.Provider())
    monkeypatch.setenv("OS_INTERFACE", "internal")
    assert session.connection().config.get_interface() == "internal"


@pytest.mark.parametrize(
    ("name", "value"), [("OS_CACERT", "/etc/ssl/ca.pem"), ("OS_INTERFACE", "private")]
)
def test_what_is_neither_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting, match=name):
        settings()
