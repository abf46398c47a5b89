"""Redis's configuration: what is fixed, and layers of what is not, each with its own writer.

    coffer.conf     defaults, then the layers in the order of their names, then what is fixed
    coffer.d/
      10-flavor.conf what follows from the size of the server

Three fifths of the memory are for data: a child that writes them to the volume shares what does not
change meanwhile. At the limit writes are refused and nothing is evicted: what was stored stays.
"""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Final

from chalicelib.bus.contract.arguments import Flavor
from chalicelib.engines.redis import ENGINE
from guest_agent.datastores.redis.layout import ACL_FILE, Layout
from guest_agent.datastores.redis.resp import SOCKET
from guest_agent.files import own_folder, write_changed

_FIXED: Final = Path(__file__).with_name("config.cnf")
_FLAVOR: Final = Path(__file__).with_name("flavor.cnf")
MEMORY: Final = "maxmemory"
CLIENTS: Final = "maxclients"
_LINE: Final = re.compile(rf"\s*({MEMORY}|{CLIENTS})\s+([0-9]+)\s*")


def maxmemory_mib(flavor: Flavor) -> int:
    """What its data may take."""
    return max(flavor.ram * 6 // 10, 32)


def max_clients(flavor: Flavor) -> int:
    """Two for each MiB, Redis's own default at most: 1024 on 512 MiB."""
    return min(max(flavor.ram * 2, 256), 10_000)


def render(layout: Layout, address: str) -> str:
    """The text of the configuration file."""
    return Template(_FIXED.read_text(encoding="utf-8")).substitute(
        layers=_quoted(layout.layers),
        data=_quoted(layout.data),
        acl_file=ACL_FILE,
        address=address,
        port=ENGINE.tcp_ports[0],
        socket=SOCKET,
    )


def render_flavor(flavor: Flavor) -> str:
    """The text of the flavor's layer."""
    return Template(_FLAVOR.read_text(encoding="utf-8")).substitute(
        maxmemory=maxmemory_mib(flavor) * 1024**2, maxclients=max_clients(flavor)
    )


def write(layout: Layout, address: str, flavor: Flavor) -> bool:
    """Write what says something new; true if a running server would have to be started anew."""
    for folder in (layout.folder, layout.layers):
        with own_folder(folder, 0o755):
            pass
    texts = {
        layout.flavor_layer: render_flavor(flavor),
        layout.config: render(layout, address),
    }
    return write_changed(texts, mode=0o644)


def wanted(layout: Layout) -> dict[str, int]:
    """What the layers say of the settings that are read back."""
    found: dict[str, int] = {}
    for path in sorted(layout.layers.glob("*.conf")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if match := _LINE.fullmatch(line):
                found[match[1]] = int(match[2])
    return found


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
