"""The checks of the account that Coffer is to run in."""

from __future__ import annotations

import re
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from chalicelib.parameters import BACKUP_KEYS, CONTAINER_KEYS
from infra import backups_bucket, deploy, packages_bucket, remove, secret_store
from infra.buckets import Bucket
from infra.deployment.survey import Survey
from infra.deployment.verdicts import Doubt, Failed
from infra.errors import DeployError
from infra.keyrings import RINGS
from infra.package.template import FUNCTIONS

STACK_NAME: Final = re.compile("[a-z][a-z0-9-]{1,19}")
"""The template's parameter Prefix, which begins the name of every table, queue and role."""
MOST_RESERVED_LEAVES: Final = 100
"""Lambda keeps so many executions of an account unreserved:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html"""
CONCURRENCY_QUOTA: Final = "L-B99A9384"
SEALING: Final = "SealBackupsWith"
"""The template's parameter that chooses what seals the keys of backups."""
LOG_ROLE: Final = "ApiGatewayLogRoleArn"
"""The template's parameter that names the role by which API Gateway writes its logs."""


def region(survey: Survey) -> str:
    """Which AWS is meant."""
    return survey.target.place


def credentials(survey: Survey) -> str:
    """Whose keys these are."""
    try:
        return f"account {survey.account}"
    except NoCredentialsError:
        raise Failed(
            "There are no AWS credentials.",
            "aws configure, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or --profile NAME.",
        ) from None
    except ClientError as error:
        raise Failed(
            f"AWS does not accept the credentials: {error.response['Error']['Message']}",
            "`aws sts get-caller-identity` says the same. Renew them, or name a --profile.",
        ) from None
    except BotoCoreError as error:
        raise Failed(
            f"No AWS answers: {error}",
            "With an emulator, start it first; AWS_ENDPOINT_URL names it.",
        ) from None


def stack(survey: Survey) -> str:
    """Whether the stack is there, and is a Coffer."""
    name = survey.wanted.stack
    if not STACK_NAME.fullmatch(name):
        raise Failed(
            f"{name!r} can't be a deployment's name.",
            "--stack takes 2 to 20 characters, small letters, digits and -, a letter first.",
        )
    if survey.present is None:
        return f"{name} is new"
    present = survey.present
    if present.release is None and present.status not in deploy.FAILED_BEFORE_ANYTHING:
        raise Failed(
            f"The stack {name} is there, and no coffer has deployed it.",
            "Choose another name: --stack NAME",
        )
    return f"{name} is {present.status}"


def bucket(survey: Survey) -> str:
    """Whether the packages have where to go: anybody can take a bucket's name."""
    name = packages_bucket.name_of(survey.target, survey.wanted.stack)
    return f"{name} is there" if _is_there(survey, name) else f"{name} will be made"


def backups(survey: Survey) -> str:
    """Whether backups have where to lie, and go on to be found."""
    target, name = survey.target, survey.backups_bucket
    before = survey.present_parameters.get(backups_bucket.PARAMETER, name)
    if name != before:
        raise Failed(
            f"Backups lie in {before}, and would be looked for in {name}.",
            f"Stop making any, copy them (aws s3 sync s3://{before} s3://{name}), and go on with "
            "--ignore backups.",
        )
    ours = name == backups_bucket.name_of(target, survey.wanted.stack)
    if not _is_there(survey, name):
        if ours:
            return f"{name} will be made"
        raise Failed(
            f"There is no bucket {name}, which backups are to lie in.",
            f"Make it, or leave {backups_bucket.PARAMETER} out: then one is made.",
        )
    if found := backups_bucket.troubles(target, name, ours=ours):
        raise Doubt(
            f"The bucket {name} is not as backups need it: {'; '.join(found)}.",
            "Change that, or name another bucket before there are backups.",
        )
    return f"{name} is there"


def rings(survey: Survey) -> str:
    """Whether a stack that stands has its rings of keys: a new one opens nothing of a lost one's.

    It is a doubt and no failure: a first deployment that was cut off has none of them yet. That of
    the tenants' containers is made anew without a word: their next request puts its key there.
    """
    present = survey.present
    if present is None or present.status not in deploy.STANDING:
        return "made with the stack, or kept from before"
    ssm, path = survey.target.client("ssm"), survey.wanted.secrets_path
    lost = [name for name in RINGS if secret_store.key_of(ssm, f"{path}/{name}") is None]
    if backups_bucket.PARAMETER not in present.parameters and BACKUP_KEYS in lost:
        lost.remove(BACKUP_KEYS)  # a release that made no backups
    lost = [name for name in lost if name != CONTAINER_KEYS]
    if lost:
        raise Doubt(
            f"The stack has no {', '.join(lost)} below {path}: new ones will be made, which open "
            "nothing that was sealed before, backups least of all.",
            "If it has worked already, put your copies back first.",
        )
    return f"{len(RINGS)} are there"


def backup_keys(survey: Survey) -> str:
    """Whether functions in a VPC have a way to KMS, which no release called that chose by no
    parameter what seals the keys of backups. Who is in that VPC by now was told of it."""
    present, wanted = survey.present_parameters, survey.wanted.parameters
    chosen = {**present, **wanted}
    if survey.target.endpoint_url is not None or chosen.get(SEALING) == "ring":
        return "the ring seals them"
    told = SEALING in present and chosen.get("SubnetIds") == present.get("SubnetIds")
    if chosen.get("SubnetIds") and not told and SEALING not in wanted:
        raise Doubt(
            "The functions are in a VPC, and KMS seals the keys of backups from now on: without a "
            "way to it no backup can be made.",
            "See that there is NAT, or an endpoint of KMS; else --parameter SealBackupsWith=ring",
        )
    return "KMS seals them"


def _is_there(survey: Survey, name: str) -> bool:
    try:
        return Bucket(survey.target, name).is_there()
    except DeployError:
        raise Failed(
            f"The bucket {name} belongs to another account, or these keys may not see it.",
            "Give them s3:ListBucket, or choose another name for the deployment: --stack NAME",
        ) from None


def tables(survey: Survey) -> str:
    """Tables outlive their stack, and a new one could not make them again."""
    if survey.present is not None and survey.present.status in deploy.STANDING:
        return "those of the stack"
    if left := remove.tables_there(survey.target, survey.wanted.stack):
        raise Failed(
            f"Tables of an earlier deployment are still there: {', '.join(left)}.",
            "They may hold what belongs to living instances. If not: coffer undeploy --tables. "
            "Or choose another name: --stack NAME",
        )
    return "none is left of an earlier deployment"


def concurrency(survey: Survey) -> str:
    """Whether Lambda can reserve what the functions are to have for themselves."""
    present = reserved(survey.present_parameters) if survey.present is not None else 0
    wanted = reserved({**survey.present_parameters, **survey.wanted.parameters})
    limit = survey.target.client("lambda").get_account_settings()["AccountLimit"]
    left = limit["UnreservedConcurrentExecutions"] + present - wanted
    if wanted and left < MOST_RESERVED_LEAVES:
        none = " ".join(f"--parameter {name}=0" for name in reservations())
        raise Failed(
            f"Lambda may run {limit['ConcurrentExecutions']} executions at once in this account, "
            f"and Coffer reserves {wanted} of them, of which {MOST_RESERVED_LEAVES} have to stay.",
            "Ask for more: aws service-quotas request-service-quota-increase --service-code lambda "
            f"--quota-code {CONCURRENCY_QUOTA} --desired-value 1000. Or reserve none: {none}",
        )
    return f"{wanted} executions reserved, {left} are left of {limit['ConcurrentExecutions']}"


def gateway_logs(survey: Survey) -> str:
    """Whether API Gateway can write access logs: by one role for all APIs of an account and region.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
    """
    if survey.on_emulator:
        return "an emulator writes no access logs"
    given = {**survey.present_parameters, **survey.wanted.parameters}.get(LOG_ROLE, "")
    account = survey.target.client("apigateway").get_account()
    held: str = account.get("cloudwatchRoleArn", "")
    made_here = f":role/{survey.wanted.stack}-GatewayLogRole-" in held
    for role in filter(None, {given, held if made_here else ""}):
        _require_log_role(survey, role)
    stands = survey.present is not None and survey.present.status in deploy.STANDING
    if stands and not held:
        raise Failed(
            "API Gateway has lost the role that it writes the logs of this account and region by.",
            "aws apigateway update-account --patch-operations op=replace,path=/cloudwatchRoleArn,"
            f"value={given or 'ARN of the GatewayLogRole of the stack'}",
        )
    if held and held != given and not made_here:
        raise Doubt(
            f"All APIs of this account and region write their logs by the role {held}; this "
            f"deployment would have them use {given or 'one of its own'}.",
            f"To leave it as it is: --parameter {LOG_ROLE}={held}",
        )
    return f"written by {given or held}" if given or held else "a role will be made"


def _require_log_role(survey: Survey, arn: str) -> None:
    """Raise unless the role is there, and API Gateway may take it."""
    iam = survey.target.client("iam")
    advice = (
        f"Name another, or none to have one made: --parameter {LOG_ROLE}=. It needs the policy "
        "AmazonAPIGatewayPushToCloudWatchLogs."
    )
    try:
        role = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]
    except iam.exceptions.NoSuchEntityException:
        raise Failed(f"The role {arn}, which API Gateway is to log by, is gone.", advice) from None
    if "apigateway.amazonaws.com" not in str(role["AssumeRolePolicyDocument"]):
        raise Failed(f"The role {arn} does not trust apigateway.amazonaws.com.", advice)


def reservations() -> dict[str, int]:
    """The template's parameters of reserved concurrency, and what they are by default."""
    return {f"{each.logical_id}Concurrency": each.reserved for each in FUNCTIONS if each.reserved}


def reserved(parameters: dict[str, str]) -> int:
    """How many executions a stack with these parameters has for itself."""
    return sum(int(parameters.get(name, default)) for name, default in reservations().items())
