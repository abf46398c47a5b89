"""What can go wrong with the cloud, by what it means for a flow.

CloudError
├── Refused       for good: a quota, a bad request, no valid host
└── CloudAway     perhaps later: a timeout, a 5xx, a conflict with something under way
"""

from __future__ import annotations


class CloudError(Exception):
    """An error of the cloud; the text is fit for the user."""


class Refused(CloudError):
    """The cloud will not do it, however often it is asked."""


class CloudAway(CloudError):
    """The cloud did not do it this time."""
