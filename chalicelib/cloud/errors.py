"""What can go wrong with the cloud, by what it means for a flow.

CloudError
├── Refused       for good: a quota, a bad request, no valid host
│   └── InUse     a volume that is attached: not as long as it is
└── CloudAway     perhaps later: a timeout, a 5xx, a conflict with something under way
"""

from __future__ import annotations


class CloudError(Exception):
    """An error of the cloud; the text is fit for the user."""


class Refused(CloudError):
    """The cloud will not do it, however often it is asked."""


class InUse(Refused):
    """Cinder does not change the volume as long as it is in a server."""


class CloudAway(CloudError):
    """The cloud did not do it this time."""
