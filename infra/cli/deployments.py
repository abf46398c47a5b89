"""The deployment that a command means, by its name and the environment's credentials."""

from infra.cli import options
from infra.deployment.openstack import Cloud
from infra.deployment.survey import Survey, Wanted
from infra.target import Target


def survey(
    stack: str,
    profile: str | None,
    region: str | None,
    os_cloud: str | None,
    wanted: Wanted | None = None,
) -> Survey:
    """Its survey; `wanted` is what a deployer asks of it."""
    return Survey(
        wanted or Wanted(stack=stack),
        lambda: Target.configured(profile, region),
        lambda: Cloud.configured(os_cloud, options.ask),
    )
