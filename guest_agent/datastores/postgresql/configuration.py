"""PostgreSQL's configuration: what is fixed, and layers of what is not (`datastores.layers`).

coffer.conf     defaults, then the layers in the order of their names, then what is fixed
hba.conf        the agent by the local socket, everybody else by a password
ident.conf      which operating system user the agent is
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Final

from chalicelib.engines.parameter import Kind, Parameter, Scalar
from chalicelib.engines.postgresql import ADMINISTRATOR, ENGINE
from guest_agent.datastores import processes
from guest_agent.datastores.layers import HEAD
from guest_agent.datastores.os_user import agent_account
from guest_agent.datastores.postgresql.layout import FULL_LAYER, Layout
from guest_agent.datastores.postgresql.sql import SESSION, Session
from guest_agent.errors import GuestError
from guest_agent.files import own_folder, write_changed

_FIXED: Final = Path(__file__).with_name("config.cnf")
_MAP: Final = "coffer"
_LOGINS: Final = f"""\
# Written by the guest agent; changes are overwritten.
local all,replication {ADMINISTRATOR} peer map={_MAP}
local all all reject
host all {ADMINISTRATOR} all reject
host all all all md5
"""
"""`md5` asks for SCRAM of whoever's password is kept for that, and for MD5 of nobody but who has
been brought along with one of old (`loading`): what is set here is kept for SCRAM."""

BLOCK: Final = 8192
READ_BACK: Final = {"shared_buffers": BLOCK, "max_connections": 1}
"""What a server is asked for after its flavor has changed, and how much one of its units is: the
memory it takes for itself in bytes, and for how many it may need more."""
NO_ALTER_SYSTEM: Final = 17
"""The first major that can do without it."""
KEPT_SHARE: Final = 1 / 8
KEPT_MIB: Final = (64, 64 * 1024)
RELOAD_SECONDS: Final = 10.0
"""For the one who starts the sessions to have read its files again."""


def render(layout: Layout, address: str, major: int) -> str:
    """The text of the configuration file.

    What `ALTER SYSTEM` writes into the data directory stands above it. Nobody but a superuser may,
    who is none of a customer's; from 17 on nobody.
    """
    return Template(_FIXED.read_text(encoding="utf-8")).substitute(
        layers=_quoted(layout.layers),
        data=_quoted(layout.data),
        logins=_quoted(layout.logins),
        identities=_quoted(layout.identities),
        own="allow_alter_system = off" if major >= NO_ALTER_SYSTEM else "",
        address=address,
        port=ENGINE.tcp_ports[0],
        kept_mib=_kept_mib(layout),
    )


def render_layer(settings: Mapping[str, Scalar]) -> str:
    """The text of a layer."""
    return HEAD + "".join(f"{name} = {_written(value)}\n" for name, value in settings.items())


def write(
    layout: Layout,
    address: str,
    major: int,
    template: Mapping[str, Scalar],
    group: Mapping[str, Scalar],
) -> bool:
    """Write what says something new; true if a running server would have to be started anew."""
    for folder in (layout.folder, layout.layers):
        with own_folder(folder, 0o755):
            pass
    layers = {
        layout.flavor_layer: render_layer(template),
        layout.group_layer: render_layer(group),
    }
    return write_changed({**layers, **_fixed(layout, address, major)}, mode=0o644)


def write_fixed(layout: Layout, address: str, major: int) -> bool:
    """Write what no layer may change; true if a running server has read something else."""
    return write_changed(_fixed(layout, address, major), mode=0o644)


def _fixed(layout: Layout, address: str, major: int) -> dict[Path, str]:
    return {
        layout.logins: _LOGINS,
        layout.identities: f'{_MAP} "{agent_account()}" {ADMINISTRATOR}\n',
        layout.config: render(layout, address, major),
    }


def running(session: Session) -> dict[str, int]:
    """What the server says of the settings that are read back."""
    rows = session.rows(
        "SELECT name, setting FROM pg_settings WHERE name IN ($1, $2)", *sorted(READ_BACK)
    )
    return {str(name): int(setting) * READ_BACK[str(name)] for name, setting in rows}


def held(session: Session, known: Mapping[str, Parameter]) -> dict[str, Scalar]:
    """What the server says of its parameters; in what the agent's session has otherwise, its files
    say what other sessions begin with. That they write nothing while the volume is full is none.
    """
    names = [name for name in known if name not in SESSION]
    rows = session.rows(
        "SELECT lower(name), setting FROM pg_settings WHERE lower(name) = ANY($1::text[])", names
    )
    written = session.rows(
        "SELECT lower(name), setting FROM pg_file_settings WHERE error IS NULL"
        " AND lower(name) = ANY($1::text[]) AND right(sourcefile, length($2)) <> $2"
        " ORDER BY seqno",
        [name for name in known if name in SESSION],
        FULL_LAYER,
    )
    found: dict[str, Scalar] = {
        name: each.default for name, each in known.items() if name in SESSION
    }
    return found | {
        str(name): _read(known[str(name)], str(said)) for name, said in [*rows, *written]
    }


def reload(session: Session) -> None:
    """Let the server read its files again, and wait until new sessions begin with them.

    A file that it cannot read as a whole changes nothing.
    """
    asked = "SELECT extract(epoch FROM pg_conf_load_time())::text"
    before = session.rows(asked)
    session.rows("SELECT pg_reload_conf()")
    until = min(session.until, time.monotonic() + RELOAD_SECONDS)

    def read() -> bool:
        return session.rows(asked) != before

    if not processes.wait_until(read, until - time.monotonic()):
        raise GuestError("the database did not read its configuration in time")


def _kept_mib(layout: Layout) -> int:
    """How much of the log is kept for the next increment of a backup: a share of the volume."""
    try:
        figures = os.statvfs(layout.volume)
    except OSError:
        return KEPT_MIB[0]
    share = int(figures.f_blocks * figures.f_frsize * KEPT_SHARE) >> 20
    return min(max(share, KEPT_MIB[0]), KEPT_MIB[1])


def _written(value: Scalar) -> str:
    """A value as the file has it; a text in quotes, within which two characters count."""
    match value:
        case bool():
            return "on" if value else "off"
        case str():
            return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
        case _:
            return str(value)


def _read(rule: Parameter, told: str) -> Scalar:
    match rule.kind:
        case Kind.BOOLEAN:
            return told in ("on", "true", "yes", "1")
        case Kind.INTEGER:
            return int(told)
        case Kind.FLOAT:
            return float(told)
    return told


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace("'", "''")
