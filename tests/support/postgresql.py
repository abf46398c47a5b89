"""Which major version of PostgreSQL the tests run: Debian's, unless `make test-postgresql` names
another one, which it has brought from PyPI."""

from __future__ import annotations

import os
from typing import Final

MAJOR: Final = os.environ.get("COFFER_TEST_POSTGRESQL", "15")
