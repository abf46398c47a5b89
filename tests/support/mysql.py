"""Where `make test-mysql` has put MySQL's server, and whether the tests are to run it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

VERSION: Final = "9.7"
PLACE: Final = Path(__file__).parents[2] / ".cache" / "mysql"
PROGRAMS: Final = PLACE / "usr" / "sbin"
VARIABLE: Final = "COFFER_TEST_MYSQL"
IS_HERE: Final = VARIABLE in os.environ
