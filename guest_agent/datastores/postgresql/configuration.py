"""PostgreSQL's configuration: what is fixed, and layers of what is not, each with its own writer.

    coffer.conf     defaults, then the layers in the order of their names, then what is fixed
    hba.conf        the agent by the local socket, everybody else by a password
    ident.conf      which operating system user the agent is
    coffer.d/
      10-flavor.conf what follows from the size of the server

The later stands for the earlier, as in MariaDB's. The flavor's shares follow the PostgreSQL manual
(a quarter of the memory for shared buffers; the kernel's cache does the rest), with room left for
connections, each of which is a process.
"""

from __future__ import annotations

import re
from pathlib import Path
from string import Template
from typing import Final

from chalicelib.bus.contract.arguments import Flavor
from chalicelib.engines.postgresql import ADMINISTRATOR, ENGINE
from guest_agent.datastores.os_user import agent_account
from guest_agent.datastores.postgresql.layout import Layout
from guest_agent.datastores.postgresql.sql import Session
from guest_agent.errors import GuestError
from guest_agent.files import own_folder, write_changed

_FIXED: Final = Path(__file__).with_name("config.cnf")
_FLAVOR: Final = Path(__file__).with_name("flavor.cnf")
_MAP: Final = "coffer"
_LOGINS: Final = f"""\
# Written by the guest agent; changes are overwritten.
local all {ADMINISTRATOR} peer map={_MAP}
local all all reject
host all {ADMINISTRATOR} all reject
host all all all scram-sha-256
"""

BLOCK: Final = 8192
READ_BACK: Final = {"shared_buffers": BLOCK, "max_connections": 1}
"""What a server is asked for after its flavor has changed, and how much one of its units is: the
memory it takes for itself in bytes, and for how many it may need more."""
_UNITS: Final = {"kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_VALUE: Final = re.compile(r"'?([0-9]+)\s*(kB|MB|GB|TB)?'?")
_LINE: Final = re.compile(r"\s*(\w+)\s*(?:=|\s)\s*([^#\n]*)")


def shared_buffers_mib(flavor: Flavor) -> int:
    """A quarter of the memory."""
    return min(max(flavor.ram // 4, 64), 16_384)


def max_connections(flavor: Flavor) -> int:
    """One for each 8 MiB: 64 on 512 MiB."""
    return min(max(flavor.ram // 8, 25), 1000)


def render(layout: Layout, address: str) -> str:
    """The text of the configuration file."""
    return Template(_FIXED.read_text(encoding="utf-8")).substitute(
        layers=_quoted(layout.layers),
        data=_quoted(layout.data),
        logins=_quoted(layout.logins),
        identities=_quoted(layout.identities),
        address=address,
        port=ENGINE.tcp_ports[0],
    )


def render_flavor(flavor: Flavor) -> str:
    """The text of the flavor's layer."""
    connections = max_connections(flavor)
    return Template(_FLAVOR.read_text(encoding="utf-8")).substitute(
        shared_buffers_mib=shared_buffers_mib(flavor),
        cache_mib=flavor.ram * 6 // 10,
        maintenance_mib=min(max(flavor.ram // 16, 32), 1024),
        work_kib=min(max(flavor.ram * 1024 // (4 * connections), 1024), 65_536),
        max_connections=connections,
    )


def write(layout: Layout, address: str, flavor: Flavor) -> bool:
    """Write what says something new; true if a running server would have to be started anew."""
    for folder in (layout.folder, layout.layers):
        with own_folder(folder, 0o755):
            pass
    texts = {
        layout.flavor_layer: render_flavor(flavor),
        layout.logins: _LOGINS,
        layout.identities: f'{_MAP} "{agent_account()}" {ADMINISTRATOR}\n',
        layout.config: render(layout, address),
    }
    return write_changed(texts, mode=0o644)


def wanted(layout: Layout) -> dict[str, int]:
    """What the layers say of the settings that are read back."""
    found: dict[str, int] = {}
    for path in sorted(layout.layers.glob("*.conf")):
        for line in path.read_text(encoding="utf-8").splitlines():
            match = _LINE.match(line)
            if match and match[1].lower() in READ_BACK:
                found[match[1].lower()] = _number(match[1].lower(), match[2].strip())
    return found


def running(session: Session) -> dict[str, int]:
    """What the server says of the settings that are read back."""
    rows = session.rows(
        "SELECT name, setting FROM pg_settings WHERE name IN ($1, $2)", *sorted(READ_BACK)
    )
    return {str(name): int(setting) * READ_BACK[str(name)] for name, setting in rows}


def _number(name: str, value: str) -> int:
    found = _VALUE.fullmatch(value)
    if found is None:
        raise GuestError(f"the configuration gives {name} no number")
    return int(found[1]) * (_UNITS[found[2]] if found[2] else READ_BACK[name])


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace("'", "''")
