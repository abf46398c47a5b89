"""MariaDB's configuration: what is fixed, and layers of what is not, each with its own writer.

    coffer.cnf      defaults, then the layers in the order of their names, then what is fixed
    coffer.d/
      10-flavor.cnf what follows from the size of the server

The later stands for the earlier. So what was chosen stands for what follows from the flavor, a
resize leaves it alone, and nothing stands for what is fixed. The flavor's shares follow the MariaDB
manual's advice for a server that does nothing else, with room left for connections and the agent on
the smallest flavors.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Final

from chalicelib.bus.contract.arguments import Flavor
from guest_agent.datastores.mariadb.layout import PID_FILE, SOCKET, Layout
from guest_agent.datastores.mariadb.sql import Session
from guest_agent.errors import GuestError
from guest_agent.files import own_folder, write_changed

PORT: Final = 3306
_FIXED: Final = Path(__file__).with_name("config.cnf")
_FLAVOR: Final = Path(__file__).with_name("flavor.cnf")
SECTION: Final = "mariadbd"

READ_BACK: Final = ("innodb_buffer_pool_size", "max_connections")
"""What a server is asked for after its flavor has changed: the memory it takes for itself, and for
how many it may need more."""
_ROUNDING: Final[Mapping[str, float]] = {"innodb_buffer_pool_size": 1 / 32}
"""The server may round up to whole chunks of the pool, a 64th each (MariaDB 10.8 and later)."""
_UNITS: Final = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_SIZE: Final = re.compile(r"([0-9]+)([KMGT]?)")


def buffer_pool_mib(flavor: Flavor) -> int:
    """40 % of the memory of a small server, 50 % up to 4 GiB, 65 % above."""
    share = 0.40 if flavor.ram <= 1024 else 0.50 if flavor.ram <= 4096 else 0.65
    return max(int(flavor.ram * share), 64)


def log_file_mib(flavor: Flavor) -> int:
    """A quarter of the buffer pool, so that a checkpoint is not forced early."""
    return min(max(buffer_pool_mib(flavor) // 4, 16), 1024)


def max_connections(flavor: Flavor) -> int:
    """100 for each 512 MiB, as Trove's template has it."""
    return min(max(flavor.ram * 100 // 512, 50), 10_000)


def render(layout: Layout, address: str) -> str:
    """The text of the configuration file."""
    return Template(_FIXED.read_text(encoding="utf-8")).substitute(
        layers=layout.layers,
        data=layout.data,
        scratch=layout.scratch,
        socket=SOCKET,
        pid_file=PID_FILE,
        error_log=layout.error_log,
        exchange=layout.exchange,
        init_file=layout.init_file,
        address=address,
        port=PORT,
    )


def render_flavor(flavor: Flavor) -> str:
    """The text of the flavor's layer."""
    connections = max_connections(flavor)
    return Template(_FLAVOR.read_text(encoding="utf-8")).substitute(
        buffer_pool_mib=buffer_pool_mib(flavor),
        log_file_mib=log_file_mib(flavor),
        max_connections=connections,
        table_open_cache=min(max(connections * 4, 400), 10_000),
        thread_cache_size=min(8 + connections // 100, 100),
    )


def write(layout: Layout, address: str, flavor: Flavor) -> bool:
    """Write what is fixed and the flavor's layer where they say something new; true if so."""
    with own_folder(layout.exchange, 0o700):
        pass  # a package of another server makes one of that name for the database's user
    with own_folder(layout.layers, 0o755):
        pass
    texts = {
        layout.flavor_layer: render_flavor(flavor),
        layout.config: render(layout, address),
    }
    return write_changed(texts, mode=0o644)


def wanted(layout: Layout) -> dict[str, int]:
    """What the layers say of the settings that are read back."""
    found: dict[str, int] = {}
    for path in sorted(layout.layers.glob("*.cnf")):
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        parser.read(path, encoding="utf-8")
        for name, value in parser.items(SECTION) if parser.has_section(SECTION) else ():
            known = name.replace("-", "_")
            if known in READ_BACK:
                found[known] = _number(known, value)
    return found


def running(session: Session) -> dict[str, int]:
    """What the server says of the settings that are read back."""
    columns = ", ".join(f"@@GLOBAL.{name}" for name in READ_BACK)
    (row,) = session.rows(f"SELECT {columns}")
    return dict(zip(READ_BACK, map(int, row), strict=True))


def version(session: Session) -> str:
    """The version that the server tells of itself."""
    ((said,),) = session.rows("SELECT VERSION()")
    return str(said)


def holds(wanted: Mapping[str, int], running: Mapping[str, int]) -> bool:
    """Whether a server runs with what is wanted, as far as it can."""
    return all(
        size <= running[name] <= size * (1 + _ROUNDING.get(name, 0))
        for name, size in wanted.items()
    )


def _number(name: str, value: str | None) -> int:
    found = _SIZE.fullmatch((value or "").strip().strip("\"'").upper())
    if found is None:
        raise GuestError(f"the configuration gives {name} no number")
    return int(found[1]) * _UNITS[found[2]]
