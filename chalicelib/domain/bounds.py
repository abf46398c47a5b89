"""How long the lists in a body may be: each item costs a call to the cloud or bytes that are kept.

Trove bounds none of them but `nics`; the figures are far above what its clients send.
"""

from __future__ import annotations

from typing import Final

MAX_NICS: Final = 1
"""Trove's own schema."""

MAX_ALLOWED_CIDRS: Final = 32
"""One Neutron rule each, out of the quota of the service's project, which all tenants share."""

MAX_DATABASES: Final = 64
"""In one request; an instance may have more."""

MAX_USERS: Final = 64
"""In one request; an instance may have more."""

MAX_USER_DATABASES: Final = 64
"""Grants to one user in one request."""

MAX_TAGS: Final = 50
MAX_TAG: Final = 60
"""Characters; both are those of the API-SIG's guideline on tags, as Nova has them."""
