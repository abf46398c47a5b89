"""Where a deployment is: an AWS account and region, or an emulator of them."""

from typing import Any, NamedTuple
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ProfileNotFound

from infra.errors import DeployError


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

    @property
    def place(self) -> str:
        """Where that is, in words."""
        where = f" of the emulator at {self.endpoint_url}" if self.endpoint_url else ""
        return f"{self.region}{where}"

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


def account_of(target: Target) -> str:
    """The account that the target's credentials belong to."""
    account: str = target.client("sts").get_caller_identity()["Account"]
    return account
