"""A resize to another flavor, as the API accepts it."""

from __future__ import annotations

from typing import Any, Final

from chalicelib.cloud.flavors import CloudFlavor
from chalicelib.domain.flows import RESIZE_FLAVOR
from chalicelib.store import instances
from chalicelib.store.models import Flavor, Operation
from tests.support.stack import Stack

TINY: Final = CloudFlavor("1", "db.tiny", 512, 1, 5, 0)
SMALL: Final = CloudFlavor("2", "db.small", 1024, 2, 5, 0)


def know_flavors(stack: Stack) -> None:
    """Both flavors, in the cloud and in its mirror."""
    stack.cloud.flavors = [TINY, SMALL]
    for each in stack.cloud.flavors:
        Flavor(each.id, name=each.name, ram=each.ram, vcpus=each.vcpus, disk=each.disk).save()


def resize(stack: Stack, instance_id: str, new: CloudFlavor = SMALL) -> Operation:
    """Accept it; what is held is the larger of both."""
    know_flavors(stack)
    row = instances.get_instance(instance_id)
    (old,) = (each for each in stack.cloud.flavors if each.id == row.flavor_id)
    reported = instances.service_status(instance_id)
    epoch = int(reported.epoch) if reported is not None else 0
    sizes = {"flavor": _size(new), "before": _size(old), "epoch": epoch}
    holds = {**row.held, "ram": max(new.ram, int(row.held["ram"]))}
    return stack.accept(instance_id, RESIZE_FLAVOR, sizes, holds=holds)


def _size(flavor: CloudFlavor) -> dict[str, Any]:
    return {name: getattr(flavor, name) for name in ("id", "name", "ram", "vcpus")}
