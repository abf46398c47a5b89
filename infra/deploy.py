"""Deploys a build to AWS or to an emulator: upload, change set, outputs.

The same calls everywhere. What an emulator leaves out is made up for by looking first: on AWS those
looks find nothing to do.
"""

import hashlib
import json
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, ProfileNotFound, WaiterError

from infra.errors import DeployError
from infra.package.build import CHALICE_STAGE, Build
from infra.package.template import Document

CAPABILITIES: Final = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
CHANGE_SET_TIMEOUT_SECONDS: Final = 120
STACK_TIMEOUT_SECONDS: Final = 900
POLL_SECONDS: Final = 0.2
RELEASE_TAG: Final = "coffer-release"
"""The digest of the packages that the stack runs: their folder in its bucket."""
BEFORE_TAG: Final = "coffer-release-before"
"""The release that it ran before: what a rollback deploys."""
TEMPLATE_NAME: Final = "sam.json"
SHA256: Final = "sha256"
"""Name of the metadata that holds an object's digest."""

# A stack in one of these never gets better by itself: it holds nothing and has to go first.
FAILED_BEFORE_ANYTHING: Final = frozenset(
    {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"}
)
DEPLOYED: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})

Say = Callable[[str], None]


class Target(NamedTuple):
    """Where to deploy to: the region and, for an emulator, its endpoint and keys.

    Without keys they are the environment's, or those of a profile.
    """

    region: str
    endpoint_url: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    profile: str | None = None

    @classmethod
    def configured(cls, profile: str | None, region: str | None) -> "Target":
        """What the environment, the profile and its file say; an endpoint makes it an emulator.

        Raises DeployError when no region is named, or no such profile.
        """
        try:
            session = boto3.Session(profile_name=profile, region_name=region)
        except ProfileNotFound as error:
            raise DeployError(f"{error}", "`aws configure list-profiles` lists them.") from None
        if not session.region_name:
            raise DeployError("No AWS region is named.", "Set AWS_REGION, or give --region.")
        url = str(session.client("cloudformation").meta.endpoint_url)
        host = urlsplit(url).hostname or ""
        on_aws = host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
        return cls(session.region_name, None if on_aws else url.rstrip("/"), profile=profile)

    def environment(self) -> dict[str, str]:
        """The variables that lead any AWS client here."""
        variables = {
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_PROFILE": self.profile,
        }
        return {name: value for name, value in variables.items() if value}

    def client(self, service: str) -> Any:
        """A boto3 client of this target; S3 with path addressing when it has an endpoint."""
        style = {"addressing_style": "path"} if self.endpoint_url else {}
        session = boto3.Session(profile_name=self.profile) if self.profile else boto3
        return session.client(
            service,
            region_name=self.region,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            config=Config(s3=style, retries={"mode": "standard", "total_max_attempts": 4}),
        )


class Stack(NamedTuple):
    """What CloudFormation says about a stack."""

    status: str
    parameters: dict[str, str]
    tags: dict[str, str]
    outputs: dict[str, str]

    @property
    def release(self) -> str | None:
        """The digest of what it runs, or None when it is not whole."""
        return self.tags.get(RELEASE_TAG) if self.status in DEPLOYED else None


def stack_of(target: Target, name: str) -> Stack | None:
    """The stack of that name, or None."""
    found = describe(target.client("cloudformation"), name)
    if found is None:
        return None
    return Stack(
        found["StackStatus"],
        {each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", [])},
        {each["Key"]: each["Value"] for each in found.get("Tags", [])},
        {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])},
    )


def is_whole(target: Target, stack: str) -> bool:
    """Whether the stack is there, and not half-finished."""
    found = stack_of(target, stack)
    return found is not None and found.release is not None


def outputs(target: Target, stack: str) -> dict[str, str]:
    """The outputs of a deployed stack; raises DeployError when there is none."""
    found = stack_of(target, stack)
    if found is None:
        raise DeployError(
            f"There is no stack {stack}.", "Run: coffer deploy, on one machine coffer up"
        )
    return found.outputs


def deploy(
    target: Target,
    stack: str,
    build: Build,
    parameters: dict[str, str],
    say: Say = lambda _: None,
) -> dict[str, str]:
    """Create or update the stack from a build and return its outputs.

    Raises DeployError with the first reason.
    """
    upload(target, stack, build, say)
    return release(target, stack, build.digest, parameters, say)


def release(
    target: Target,
    stack: str,
    digest: str,
    parameters: dict[str, str],
    say: Say = lambda _: None,
) -> dict[str, str]:
    """Create or update the stack from a release that lies in its bucket; returns its outputs.

    Tags remember the release and the one before it.
    """
    cloudformation = target.client("cloudformation")
    bucket = packages_bucket(target, stack)
    template = _template_of(target, bucket, stack, digest)
    present = stack_of(target, stack)
    kind = _clear_the_way(cloudformation, stack, say)
    parameters = {
        **parameters,
        "PackageBucket": bucket,
        "PackageKey": f"{digest}/functions.zip",
    }
    changed = _execute_change_set(
        cloudformation,
        stack,
        kind,
        _template_url(target, bucket, digest),
        {key: value for key, value in parameters.items() if key in template["Parameters"]},
        _tags(present, digest),
    )
    if changed:
        say(f"stack {stack}: {kind.lower()}")
        _wait_for_stack(cloudformation, stack)
    result = outputs(target, stack)
    _ensure_gateway_responses(target, result["ApiId"], template)
    return result


def _tags(present: Stack | None, digest: str) -> dict[str, str]:
    """The stack's tags: a change of parameters alone leaves the release before as it is."""
    known = present.tags if present is not None else {}
    before = known.get(RELEASE_TAG)
    if before == digest:
        before = known.get(BEFORE_TAG)
    return {RELEASE_TAG: digest, **({BEFORE_TAG: before} if before else {})}


def _template_of(target: Target, bucket: str, stack: str, digest: str) -> Document:
    """The template of a release; raises DeployError when it is not in the bucket."""
    key = f"{digest}/{TEMPLATE_NAME}"
    owner = {"ExpectedBucketOwner": account_of(target)}
    try:
        body = target.client("s3").get_object(Bucket=bucket, Key=key, **owner)["Body"]
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchKey", "NoSuchBucket"}:
            raise
        raise DeployError(
            f"The release {digest} is not in the bucket {bucket} (any more).",
            f"Check its sources out, then run: coffer deploy --stack {stack}",
        ) from None
    template: Document = json.loads(body.read())
    return template


def account_of(target: Target) -> str:
    """The account that the target's credentials belong to."""
    account: str = target.client("sts").get_caller_identity()["Account"]
    return account


def packages_bucket(target: Target, stack: str) -> str:
    """The bucket that a stack's packages are uploaded to."""
    return f"{stack}-packages-{account_of(target)}-{target.region}"


def upload(target: Target, stack: str, build: Build, say: Say) -> str:
    """Put zips and template into the stack's own bucket; returns its name.

    Anybody can make a bucket of that name first: each call names the owner that it expects, and
    what lies there counts by its digest.
    """
    bucket = packages_bucket(target, stack)
    s3 = target.client("s3")
    owner = {"ExpectedBucketOwner": account_of(target)}
    _ensure_bucket(s3, bucket, target.region, owner)
    template: Document = json.loads(build.template.read_text())
    code_uri = {"Bucket": bucket, "Key": f"{build.digest}/deployment.zip"}
    for resource in template["Resources"].values():
        if resource.get("Properties", {}).get("CodeUri") == "./deployment.zip":
            resource["Properties"]["CodeUri"] = code_uri
    for file in (build.chalice_zip, build.functions_zip):
        key = f"{build.digest}/{file.name}"
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        if not _holds(s3, bucket, key, digest, owner):
            say(f"{file.name}: {file.stat().st_size / 1e6:.1f} MB")
            extra = {**owner, "Metadata": {SHA256: digest}}
            s3.upload_file(str(file), bucket, key, ExtraArgs=extra)
    body = json.dumps(template).encode()
    s3.put_object(Bucket=bucket, Key=f"{build.digest}/{TEMPLATE_NAME}", Body=body, **owner)
    return bucket


def _ensure_bucket(s3: Any, bucket: str, region: str, owner: dict[str, str]) -> None:
    try:
        s3.head_bucket(Bucket=bucket, **owner)
        return
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"404", "NoSuchBucket"}:
            raise DeployError(
                f"The bucket {bucket} can't be used: {error}",
                "It must belong to the account of the keys; somebody else may have made it first.",
            ) from error
    # us-east-1 is the one region that must not be named as a constraint.
    place = {} if region == "us-east-1" else {"LocationConstraint": region}
    s3.create_bucket(Bucket=bucket, **({"CreateBucketConfiguration": place} if place else {}))
    s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
        **owner,
    )


def _holds(s3: Any, bucket: str, key: str, digest: str, owner: dict[str, str]) -> bool:
    """Whether this very content was uploaded before, by us: nobody else may write there."""
    try:
        found = s3.head_object(Bucket=bucket, Key=key, **owner)
        return bool(found["Metadata"].get(SHA256) == digest)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
            return False
        raise


def _template_url(target: Target, bucket: str, digest: str) -> str:
    key = f"{digest}/{TEMPLATE_NAME}"
    if target.endpoint_url:
        return f"{target.endpoint_url}/{bucket}/{key}"
    return f"https://{bucket}.s3.{target.region}.amazonaws.com/{key}"


def describe(cloudformation: Any, stack: str) -> Document | None:
    """What CloudFormation says about the stack; None when there is none (any more)."""
    try:
        found: Document = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return None if found["StackStatus"] == "DELETE_COMPLETE" else found


def _clear_the_way(cloudformation: Any, stack: str, say: Say) -> str:
    """Return CREATE or UPDATE; a half-finished stack is waited for or removed first."""
    description = describe(cloudformation, stack)
    if description is not None and _moves(description["StackStatus"]):
        say(f"stack {stack} is {description['StackStatus']}: waiting for it")
        description = wait_until_still(cloudformation, stack)
    if description is None:
        return "CREATE"
    status = description["StackStatus"]
    if status in FAILED_BEFORE_ANYTHING:
        say(f"stack {stack} was left in {status}: removing it")
        cloudformation.delete_stack(StackName=stack)
        wait_until_still(cloudformation, stack)
        return "CREATE"
    if status == "UPDATE_ROLLBACK_FAILED":
        say(f"stack {stack} was left in {status}: finishing its rollback")
        cloudformation.continue_update_rollback(StackName=stack)
        wait_until_still(cloudformation, stack)
    return "UPDATE"


def _execute_change_set(
    cloudformation: Any,
    stack: str,
    kind: str,
    template_url: str,
    parameters: dict[str, str],
    tags: dict[str, str],
) -> bool:
    """Create and execute a change set; False when it holds no change."""
    name = f"coffer-{tags[RELEASE_TAG]}-{int(time.time())}"
    try:
        cloudformation.create_change_set(
            StackName=stack,
            ChangeSetName=name,
            ChangeSetType=kind,
            TemplateURL=template_url,
            Capabilities=CAPABILITIES,
            Parameters=[
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
        cloudformation.get_waiter("change_set_create_complete").wait(
            StackName=stack,
            ChangeSetName=name,
            WaiterConfig={"Delay": 1, "MaxAttempts": CHANGE_SET_TIMEOUT_SECONDS},
        )
    except WaiterError as error:
        reason = error.last_response.get("StatusReason", "")
        if "didn't contain changes" in reason or "No updates" in reason:
            cloudformation.delete_change_set(StackName=stack, ChangeSetName=name)
            return False
        raise DeployError(
            f"CloudFormation refused the change set: {reason or error}",
            "The template is built from infra/; its last build is in the cache folder.",
        ) from error
    except ClientError as error:
        raise DeployError(
            f"CloudFormation refused the template: {error.response['Error']['Message']}",
            "The template is built from infra/; its last build is in the cache folder.",
        ) from error
    cloudformation.execute_change_set(StackName=stack, ChangeSetName=name)
    return True


def _moves(status: str) -> bool:
    """Whether the status changes by itself; a stack in review waits for a change set."""
    return status.endswith("_IN_PROGRESS") and status != "REVIEW_IN_PROGRESS"


def wait_until_still(cloudformation: Any, stack: str) -> Document | None:
    """The stack once nothing moves in it; raises DeployError past the bound."""
    deadline = time.monotonic() + STACK_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        description = describe(cloudformation, stack)
        if description is None or not _moves(description["StackStatus"]):
            return description
        time.sleep(POLL_SECONDS if cloudformation.meta.endpoint_url.startswith("http:") else 5)
    raise DeployError(
        f"The stack {stack} was still changing after {STACK_TIMEOUT_SECONDS} s.",
        "Look at its events in CloudFormation, then run the command again.",
    )


def _wait_for_stack(cloudformation: Any, stack: str) -> None:
    description = wait_until_still(cloudformation, stack)
    status = description["StackStatus"] if description else "gone"
    if status in DEPLOYED:
        return
    reason = _first_failure(cloudformation, stack)
    raise DeployError(
        f"The stack {stack} ended in {status}: {reason}",
        "Mend the cause and run the command again: it removes or updates the half-finished stack.",
    )


def _first_failure(cloudformation: Any, stack: str) -> str:
    """The oldest event of the last attempt that failed by itself."""
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    failures = [
        f"{event['LogicalResourceId']} ({event.get('ResourceStatusReason', 'no reason given')})"
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
        and "cancelled" not in event.get("ResourceStatusReason", "")
    ]
    return failures[-1] if failures else "no event says why"


def _ensure_gateway_responses(target: Target, api_id: str, template: Document) -> None:
    """Put the gateway responses that the API lacks, and deploy it again if any was lacking.

    AWS has taken them from the API's definition; MiniStack 1.5.33 leaves them out there.
    """
    wanted = template["Resources"]["RestAPI"]["Properties"].get("GatewayResponses", {})
    gateway = target.client("apigateway")
    present = {
        item["responseType"]: item.get("responseTemplates", {})
        for item in gateway.get_gateway_responses(restApiId=api_id, limit=500)["items"]
    }
    lacking = {
        kind: response
        for kind, response in wanted.items()
        if present.get(kind, {}) != response["ResponseTemplates"]
    }
    for kind, response in lacking.items():
        headers = response.get("ResponseParameters", {}).get("Headers", {})
        gateway.put_gateway_response(
            restApiId=api_id,
            responseType=kind,
            statusCode=str(response["StatusCode"]),
            responseTemplates=response["ResponseTemplates"],
            responseParameters={f"gatewayresponse.header.{k}": v for k, v in headers.items()},
        )
    if lacking:
        gateway.create_deployment(restApiId=api_id, stageName=CHALICE_STAGE)
