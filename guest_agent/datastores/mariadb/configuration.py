"""MariaDB's configuration file, sized by the flavor.

The shares follow the MariaDB manual's advice for a server that does nothing else, with room left
for connections and the agent on the smallest flavors.
"""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Final

from guest_agent.contract import Flavor
from guest_agent.datastores.mariadb.layout import PID_FILE, SOCKET, Layout
from guest_agent.files import own_folder, write_whole

PORT: Final = 3306
_TEMPLATE: Final = Path(__file__).with_name("config.cnf")


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


def render(layout: Layout, address: str, flavor: Flavor) -> str:
    """The text of the configuration file."""
    connections = max_connections(flavor)
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(
        data=layout.data,
        scratch=layout.scratch,
        socket=SOCKET,
        pid_file=PID_FILE,
        error_log=layout.error_log,
        exchange=layout.exchange,
        init_file=layout.init_file,
        address=address,
        port=PORT,
        buffer_pool_mib=buffer_pool_mib(flavor),
        log_file_mib=log_file_mib(flavor),
        max_connections=connections,
        table_open_cache=min(max(connections * 4, 400), 10_000),
        thread_cache_size=min(8 + connections // 100, 100),
    )


def write(layout: Layout, address: str, flavor: Flavor) -> bool:
    """Write the file if it says something new; true when it did."""
    with own_folder(layout.exchange, 0o700):
        pass  # a package of another server makes one of that name for the database's user
    content = render(layout, address, flavor).encode()
    if layout.config.exists() and layout.config.read_bytes() == content:
        return False
    write_whole(layout.config, content, mode=0o644)
    return True
