"""MySQL's configuration: MariaDB's layers below what is fixed for MySQL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Final

from chalicelib.engines.parameter import Parameter, Scalar
from guest_agent.datastores.mariadb.configuration import PORT, read, render_layer
from guest_agent.datastores.mariadb.layout import Layout
from guest_agent.datastores.mysql.layout import PID_FILE, SOCKET
from guest_agent.datastores.mysql.sql import Session
from guest_agent.files import own_folder, write_changed

_FIXED: Final = Path(__file__).with_name("config.cnf")
_PROGRAM: Final = "mysqld"


def write(
    layout: Layout,
    base: Path,
    address: str,
    template: Mapping[str, Scalar],
    group: Mapping[str, Scalar],
) -> bool:
    """Write what is fixed and the layers where they say something new; true if so."""
    with own_folder(layout.exchange, 0o700):
        pass
    with own_folder(layout.layers, 0o755):
        pass
    texts = {
        layout.flavor_layer: render_layer(template, _PROGRAM),
        layout.group_layer: render_layer(group, _PROGRAM),
        layout.config: _render(layout, base, address),
    }
    return write_changed(texts, mode=0o644)


def held(session: Session, known: Mapping[str, Parameter]) -> dict[str, Scalar]:
    """What the server says of its parameters."""
    if not known:
        return {}
    rows = session.rows(
        "SELECT LOWER(VARIABLE_NAME), VARIABLE_VALUE FROM performance_schema.global_variables"
        " WHERE VARIABLE_NAME IN %s",
        tuple(known),
    )
    return {str(name): read(known[str(name)], str(told)) for name, told in rows}


def _render(layout: Layout, base: Path, address: str) -> str:
    return Template(_FIXED.read_text(encoding="utf-8")).substitute(
        base=base,
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
