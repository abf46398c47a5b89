"""A cloud whose certificate an authority of its operator has signed: deployed for, and called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from chalicelib import aws, parameters
from chalicelib.auth.connection import Connection
from chalicelib.cloud import session
from infra.deployment.openstack import Cloud
from infra.deployment.survey import Survey, Wanted
from tests.cloud.served import ServedCloud
from tests.cloud.test_deploying import ADMIN, DOMAINS, EMULATOR, SERVICE, finding
from tests.support.tls import tls_before


class Behind(NamedTuple):
    """Where Keystone is, and whose certificate it has."""

    url: str
    authority: Path


@pytest.fixture
def behind(cloud: ServedCloud, tmp_path: Path) -> Iterator[Behind]:
    with tls_before(cloud.port, tmp_path) as (port, authority):
        yield Behind(f"https://127.0.0.1:{port}/identity/v3", authority)


def surveyed(behind: Behind, **trust: object) -> Survey:
    scope = {"project_name": "admin", **DOMAINS}
    login = Cloud.of(behind.url, "RegionOne", ADMIN, scope, trust)
    survey = Survey(Wanted("dbs"), lambda: EMULATOR, lambda: login)
    vars(survey).update(present=None, _stored=lambda: None, backups_bucket="given")
    return survey


def test_the_functions_trust_the_authority_that_the_deployer_names(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey = surveyed(behind, cacert=str(behind.authority))
    assert finding(survey, "keystone").verdict == "ok"
    passed = survey.template_parameters()["OpenStackCaCertificate"]
    assert passed.startswith("-----BEGIN CERTIFICATE-----\n"), "as the functions' setting wants it"

    aws.install(aws.Provider())
    monkeypatch.setattr(parameters, "held", lambda *_: SERVICE)
    monkeypatch.setenv("OS_AUTH_URL", behind.url)
    monkeypatch.setenv("OS_CACERT", passed)
    connection = session.connection()
    assert connection.session.get_token()
    connection.close()
    identity = Connection()
    assert identity.session().get_token()
    identity.close()


@pytest.mark.parametrize(
    ("text", "said", "advice"),
    [
        (None, "is of no authority that is known here", "OS_CACERT"),
        ("no certificate", "There is no certificate in", "PEM"),
        ("", "1816 characters", "into a file of its own"),
    ],
)
def test_one_that_the_functions_could_not_check_is_refused(
    behind: Behind, tmp_path: Path, text: str | None, said: str, advice: str
) -> None:
    file = tmp_path / "given.pem"
    if text is None:
        found = finding(surveyed(behind), "keystone")
    else:
        file.write_text(text)
        survey = surveyed(behind, cacert=str(behind.authority))
        survey.cloud.connection.config.config["cacert"] = str(file)
        if not text:
            vars(survey)["cloud_authority"] = "x" * 1816
        found = finding(survey, "keystone")
    assert found.verdict == "failure"
    assert said in found.said
    assert advice in found.advice


def test_a_deployer_who_does_not_check_it_is_told_that_functions_do(behind: Behind) -> None:
    found = finding(surveyed(behind, verify=False), "keystone")
    assert (found.verdict, "insecure" in found.said) == ("failure", True)
