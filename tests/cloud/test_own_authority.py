"""A cloud whose certificate an authority of its operator has signed: deployed for, and called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from chalicelib import aws, parameters, trust
from chalicelib.auth.connection import Connection
from chalicelib.cloud import session
from chalicelib.settings import BadSetting
from infra.deployment import on_cloud
from infra.deployment import survey as surveys
from infra.deployment.openstack import Cloud
from infra.deployment.survey import Survey, Wanted
from infra.errors import StackError
from tests.cloud.served import ServedCloud
from tests.cloud.test_deploying import ADMIN, DOMAINS, EMULATOR, SERVICE, finding
from tests.support.tls import tls_before

RSA_4096, EC_P384 = (
    (Path(__file__).parent / "authorities" / f"{name}.pem").read_text().strip()
    for name in ("rsa-4096", "ec-p384")
)
"""Whose keys are nowhere. The first has a long name, twice: its issuer's and its own."""


class Behind(NamedTuple):
    """Where Keystone is, and whose certificate it has."""

    url: str
    authority: Path


@pytest.fixture
def behind(cloud: ServedCloud, tmp_path: Path) -> Iterator[Behind]:
    with tls_before(cloud.port, tmp_path) as (port, authority):
        yield Behind(f"https://127.0.0.1:{port}/identity/v3", authority)


def surveyed(behind: Behind, **trusting: object) -> Survey:
    scope = {"project_name": "admin", **DOMAINS}
    login = Cloud.of(behind.url, "RegionOne", ADMIN, scope, trusting)
    survey = Survey(Wanted("dbs"), lambda: EMULATOR, lambda: login)
    vars(survey).update(present=None, _stored=lambda: None, backups_bucket="given")
    return survey


@pytest.mark.parametrize("room", [surveys.MOST_OF_AUTHORITIES, 480], ids=["in PEM", "packed"])
def test_the_functions_trust_the_authority_that_the_deployer_names(
    behind: Behind, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    for module in (surveys, on_cloud):
        monkeypatch.setattr(module, "MOST_OF_AUTHORITIES", room)
    found = surveyed(behind, cacert=str(behind.authority))
    assert finding(found, "keystone").verdict == "ok"
    passed = found.template_parameters()["OpenStackCaCertificate"]
    assert len(passed) <= room
    assert passed.startswith(trust.FIRST_LINE) is (room > 480)

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
        ("", "2 certificates of 2", "into a file of its own"),
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
            vars(survey)["cloud_authorities"] = [RSA_4096, EC_P384]
        found = finding(survey, "keystone")
    assert found.verdict == "failure"
    assert said in found.said
    assert advice in found.advice


def test_a_deployer_who_does_not_check_it_is_told_that_functions_do(behind: Behind) -> None:
    found = finding(surveyed(behind, verify=False), "keystone")
    assert (found.verdict, "insecure" in found.said) == ("failure", True)


def test_an_authority_with_the_longest_usual_key_is_passed_on(behind: Behind) -> None:
    survey = surveyed(behind, cacert=str(behind.authority))
    vars(survey)["cloud_authorities"] = [RSA_4096]
    assert len(RSA_4096) > surveys.MOST_OF_AUTHORITIES
    assert len(survey.cloud_authority) <= surveys.MOST_OF_AUTHORITIES
    assert [each.strip() for each in trust.unpacked(survey.cloud_authority)] == [RSA_4096]


def test_what_is_no_certificate_is_told_before_it_is_packed(behind: Behind, tmp_path: Path) -> None:
    file = tmp_path / "given.pem"
    file.write_text(RSA_4096.replace("MII", "MI", 1))
    survey = surveyed(behind, cacert=str(behind.authority))
    survey.cloud.connection.config.config["cacert"] = str(file)
    with pytest.raises(StackError, match="no certificate"):
        assert survey.cloud_authority


@pytest.mark.parametrize("text", ["x", "0000", trust.packed([EC_P384])[:-9]])
def test_a_setting_that_nobody_has_packed_is_refused(text: str) -> None:
    with pytest.raises(BadSetting, match="OS_CACERT"):
        trust.unpacked(text)
