"""The check of the template's parameters that an operator gives.

CloudFormation refuses a value out of its bounds on AWS alone, and in its own words; and what two
values are together it knows only in part. A function that starts with settings that do not go
together is an outage, so all of it is looked at before anything is changed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from chalicelib import settings
from chalicelib.settings import BadSetting, require_limits
from infra import deploy
from infra.deployment.survey import Survey
from infra.deployment.verdicts import Failed
from infra.package.dependencies import lambda_architecture
from infra.package.sources import PROJECT_ROOT
from infra.package.template import Document, compose

OURS: Final = {
    "Prefix": "It is the deployment's name: --stack NAME",
    "SecretsPath": "It follows from the deployment's name: --stack NAME",
    "PackageBucket": "The release is the one of these sources.",
    "PackageKey": "The release is the one of these sources.",
    "ReleaseBefore": "It is what `coffer deploy --rollback` goes back to.",
    "OpenStackProjectName": "--service-project NAME",
    "OpenStackUserDomainName": "It is the domain of the user you come as: OS_USER_DOMAIN_NAME",
    "OpenStackProjectDomainName": "It is that of your project: OS_PROJECT_DOMAIN_NAME",
    "OpenStackRegionName": "OS_REGION_NAME",
}
"""What `coffer deploy` decides, and looks for again: by another value it would be looked for in
vain."""
LIMITS: Final = "Limits"
LEAST_OF_WAF: Final = 10
"""https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statement-type-rate-based.html"""


def check(survey: Survey) -> str:
    """Whether the template takes what is given for it, and it goes together with what is there."""
    given = survey.wanted.parameters
    kept = survey.present_parameters if survey.wanted.keep_parameters else {}
    same = {"Prefix": survey.wanted.stack, "SecretsPath": survey.wanted.secrets_path}
    decided = (name for name in given.keys() & OURS.keys() if given[name] != same.get(name))
    if ours := sorted(decided):
        raise Failed(f"coffer deploy decides {', '.join(ours)} itself.", OURS[ours[0]])
    _require_own_id(survey)
    known = require(given, kept)
    for said in (*_certificate(survey, {**kept, **given}), *_endpoint(survey, {**kept, **given})):
        raise Failed(said, "Correct it.")
    return f"{len(given)} of {known} given"


def _require_own_id(survey: Survey) -> None:
    """A stack that stands finds its servers, volumes and users by its id; tables without a stack
    may be taken over by the id that they are of."""
    present, given = survey.present, survey.wanted.parameters.get("DeploymentId")
    if present is None or present.status not in deploy.STANDING or given is None:
        return
    if given != (before := present.parameters.get("DeploymentId", given)):
        raise Failed(
            f"The deployment {survey.wanted.stack} has marked all that it has in the cloud with "
            f"its id, {before}; by DeploymentId {given} it would find none of it again.",
            "Leave DeploymentId out; --stack NAME makes another deployment.",
        )


def require(
    given: Mapping[str, str], kept: Mapping[str, str], more: Mapping[str, Document] | None = None
) -> int:
    """How many parameters the template has, when it takes these; `more` are what a stack of one
    machine has beside it.

    Raises Failed for one that it does not know or take, or that does not go together with another.
    """
    template = _template()
    known = {**template["Parameters"], **(more or {})}
    if unknown := sorted(given.keys() - known.keys()):
        close = difflib.get_close_matches(unknown[0], known, 1)
        raise Failed(
            f"The template has no parameter {', '.join(unknown)}.",
            f"Is it {close[0]}?" if close else "They are in infra/template/parameters.yaml.",
        )
    # Limits that are kept may be of a release that had others.
    values = {**{name: kept[name] for name in kept.keys() & {LIMITS}}, **given}
    if wrong := [said for name in sorted(values) if (said := _refusal(name, values[name], known))]:
        limited = " and docs/limits.md which limits there are" if LIMITS in values else ""
        raise Failed(
            " ".join(wrong), f"infra/template/parameters.yaml says what each is for{limited}."
        )
    defaults = {name: str(each["Default"]) for name, each in known.items() if "Default" in each}
    will_be = {**defaults, **kept, **given}
    looks = (each(will_be) for each in (_heartbeats, _drain, _vpc, _waf))
    if against := [*_broken_rules(template["Rules"], will_be), *filter(None, looks)]:
        raise Failed(" ".join(against), "Change the one or the other.")
    return len(known)


@cache
def _template() -> Document:
    return compose(PROJECT_ROOT, lambda_architecture())


def _refusal(name: str, value: str, known: Mapping[str, Document]) -> str | None:
    """A sentence with the parameter's bounds when the value is not within them."""
    declared = known[name]
    if "AllowedValues" in declared:
        allowed = [str(each) for each in declared["AllowedValues"]]
        return None if value in allowed else _said(name, value, f"one of {', '.join(allowed)}")
    if declared["Type"] == "Number":
        return None if _is_within(value, declared) else _said(name, value, _range(declared))
    if (most := declared.get("MaxLength")) is not None and len(value) > int(most):
        return f"{name} has {len(value)} characters, and has to have {most} at most."
    pattern = declared.get("AllowedPattern")
    if pattern is not None and not re.fullmatch(pattern, value):
        return _said(name, value, f"like {pattern} ({declared['Description']})")
    return _refused_limits(value) if name == LIMITS else None


def _refused_limits(value: str) -> str | None:
    try:
        require_limits(value)
    except BadSetting as error:
        return str(error).replace(settings.LIMITS, LIMITS)
    return None


def _said(name: str, value: str, wanted: str) -> str:
    return f"{name} is {value[:80]!r} and has to be {wanted}."


def _is_within(value: str, declared: Document) -> bool:
    if not re.fullmatch("0|[1-9][0-9]{0,17}", value):  # as conditions compare it: no 007, no 1.0
        return False
    least, most = int(declared.get("MinValue", 0)), declared.get("MaxValue")
    return least <= int(value) and (most is None or int(value) <= int(most))


def _range(declared: Document) -> str:
    least, most = declared.get("MinValue", 0), declared.get("MaxValue")
    return f"a whole number from {least}" + (f" to {most}" if most is not None else "")


def _broken_rules(rules: Mapping[str, Document], will_be: Mapping[str, str]) -> Iterator[str]:
    """The template's own rules, which emulators do not look at."""
    for rule in rules.values():
        if _holds(rule["RuleCondition"], will_be):
            for each in rule["Assertions"]:
                if not _holds(each["Assert"], will_be):
                    yield f"{each['AssertDescription']}."


def _holds(condition: Document, will_be: Mapping[str, str]) -> bool:
    """CloudFormation's conditions, as far as the template's rules use them."""
    ((function, arguments),) = condition.items()
    if function == "Fn::Not":
        return not _holds(arguments[0], will_be)
    assert function == "Fn::Equals", f"a rule uses {function}"
    left, right = (_value(each, will_be) for each in arguments)
    return left == right


def _value(told: Any, will_be: Mapping[str, str]) -> str:
    return will_be.get(told["Ref"], "") if isinstance(told, dict) else str(told)


def _heartbeats(will_be: Mapping[str, str]) -> str | None:
    every, expires = int(will_be["HeartbeatSeconds"]), int(will_be["HeartbeatExpirySeconds"])
    if expires >= 2 * every:
        return None
    return (
        f"HeartbeatExpirySeconds is {expires}, and has to be at least twice HeartbeatSeconds "
        f"({every}): one report that is late would show a healthy instance in ERROR."
    )


def _drain(will_be: Mapping[str, str]) -> str | None:
    drain, rebuild = (int(will_be[f"{name}TimeoutSeconds"]) for name in ("Drain", "Rebuild"))
    if drain > rebuild:
        return None
    return (
        f"DrainTimeoutSeconds is {drain}, and has to be more than RebuildTimeoutSeconds "
        f"({rebuild}): a rollout that is stopped waits for its rebuilds."
    )


def _vpc(will_be: Mapping[str, str]) -> str | None:
    subnets, groups = (bool(will_be.get(f"{name}Ids")) for name in ("Subnet", "SecurityGroup"))
    if subnets == groups:
        return None
    return "Functions in a VPC need both SubnetIds and SecurityGroupIds."


def _waf(will_be: Mapping[str, str]) -> str | None:
    if not 0 < int(will_be["RequestsPerAddress"]) < LEAST_OF_WAF:
        return None
    return f"RequestsPerAddress has to be 0, or at least {LEAST_OF_WAF}: WAF counts no fewer."


def _certificate(survey: Survey, will_be: Mapping[str, str]) -> Iterator[str]:
    arn = will_be.get("CertificateArn", "")
    if not arn or survey.on_emulator:
        return
    here = f":acm:{survey.target.region}:"
    if here not in arn:
        yield f"CertificateArn is {arn}, and has to be of this region's ACM ({here[1:-1]})."


def _endpoint(survey: Survey, will_be: Mapping[str, str]) -> Iterator[str]:
    given = survey.wanted.public_endpoint or survey.wanted.parameters.get("PublicEndpoint")
    if not given:
        return
    url = _url(given)
    if url is None or url.query or url.fragment or "/v1.0" in url.path:
        yield (
            f"The public endpoint is {given}, and has to be the root of the API's URLs, as "
            "https://database.example.org: Coffer puts /v1.0 behind it."
        )
    elif (domain := will_be.get("DomainName")) and url.hostname != domain.lower():
        yield (
            f"The public endpoint {given} is not DomainName, {domain}: the catalog would lead to "
            "the one and links to the other."
        )


def _url(given: str) -> SplitResult | None:
    """The parts of a URL with a host; None of what is none."""
    try:
        url = urlsplit(given)
    except ValueError:
        return None
    return url if url.scheme in {"https", "http"} and url.hostname else None
