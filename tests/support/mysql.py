"""Where `make test-mysql` has put MySQL's server, and whether the tests are to run it."""

from __future__ import annotations

import os
from typing import Final

from infra.parameters.engines import MYSQL

VERSION: Final = "9.7"
PROGRAMS: Final = MYSQL / "usr" / "sbin"
VARIABLE: Final = "COFFER_TEST_MYSQL"
IS_HERE: Final = VARIABLE in os.environ
