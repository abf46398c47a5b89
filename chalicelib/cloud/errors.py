"""What can go wrong with the cloud, by what it means for a flow.

CloudError
├── Refused       for good: a bad request, no such network, an address that is taken
│   ├── InUse     a volume that is attached: not as long as it is
│   └── OverQuota the service's project may have no more of it
└── CloudAway     perhaps later: a timeout, a 5xx, a conflict with something under way
"""

from __future__ import annotations


class CloudError(Exception):
    """An error of the cloud; the text is fit for the user."""


class Refused(CloudError):
    """The cloud will not do it, however often it is asked."""


class InUse(Refused):
    """Cinder does not change the volume as long as it is in a server."""


class OverQuota(Refused):
    """A quota of the service's project, which all tenants share: the operator's to raise.

    `resource` is the service's own name of what is counted, "" when it told none; `told` are its
    own words, with figures that are not for a tenant.
    """

    def __init__(self, message: str, resource: str, told: str) -> None:
        super().__init__(message)
        self.resource = resource
        self.told = told


class CloudAway(CloudError):
    """The cloud did not do it this time."""
