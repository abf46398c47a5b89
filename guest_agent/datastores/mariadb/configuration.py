"""The configuration of a MariaDB, or a MySQL: what is fixed, and layers of what is not
(`datastores.layers`).

coffer.cnf      defaults, then the layers in the order of their names, then what is fixed
"""

from __future__ import annotations

from collections.abc import Mapping
from string import Template
from typing import Final

from chalicelib.engines.parameter import Kind, Parameter, Scalar
from guest_agent.datastores.layers import HEAD, shown
from guest_agent.datastores.mariadb.layout import Layout
from guest_agent.datastores.mariadb.sql import Session
from guest_agent.errors import BadRequest, GuestError, Unavailable
from guest_agent.files import own_folder, write_changed

PORT: Final = 3306
MOST: Final = 2**63 - 1
"""Of a number in a rule; what a server has no limit for is more."""

READ_BACK: Final = ("innodb_buffer_pool_size", "max_connections")
"""What a server is asked for after its flavor has changed: the memory it takes for itself, and for
how many it may need more."""
_ROUNDING: Final[Mapping[str, float]] = {"innodb_buffer_pool_size": 1 / 32}
"""The server may round up to whole chunks of the pool, a 64th each (MariaDB 10.8 and later)."""


def render(layout: Layout, address: str) -> str:
    """The text of the configuration file."""
    fixed = Template(layout.FIXED.read_text(encoding="utf-8"))
    return fixed.substitute(layout.named, address=address, port=PORT)


def render_layer(settings: Mapping[str, Scalar], program: str = Layout.PROGRAM) -> str:
    """The text of a layer."""
    lines = (f"{name} = {_written(value)}\n" for name, value in settings.items())
    return f"{HEAD}[{program}]\n{''.join(lines)}"


def write(
    layout: Layout, address: str, template: Mapping[str, Scalar], group: Mapping[str, Scalar]
) -> bool:
    """Write what is fixed and the layers where they say something new; true if so."""
    with own_folder(layout.exchange, 0o700):
        pass  # a package of another server makes one of that name for the database's user
    with own_folder(layout.layers, 0o755):
        pass
    texts = {
        layout.flavor_layer: render_layer(template, layout.PROGRAM),
        layout.group_layer: render_layer(group, layout.PROGRAM),
        layout.config: render(layout, address),
    }
    return write_changed(texts, mode=0o644)


def running(session: Session) -> dict[str, int]:
    """What the server says of the settings that are read back."""
    columns = ", ".join(f"@@GLOBAL.{name}" for name in READ_BACK)
    (row,) = session.rows(f"SELECT {columns}")
    return dict(zip(READ_BACK, map(int, row), strict=True))


def held(session: Session, known: Mapping[str, Parameter]) -> dict[str, Scalar]:
    """What the server says of its parameters."""
    if not known:
        return {}
    rows = session.rows(
        "SELECT LOWER(VARIABLE_NAME), VARIABLE_VALUE"  # noqa: S608 - our own words
        f" FROM {session.TELLING}.global_variables WHERE VARIABLE_NAME IN %s",
        tuple(known),
    )
    return {str(name): read(known[str(name)], str(told)) for name, told in rows}


def change(session: Session, values: Mapping[str, Scalar]) -> None:
    """Set global variables, which new sessions begin with; `BadRequest` names one it refuses."""
    for name, value in values.items():
        written = session.literal(value) if isinstance(value, str) else _written(value)
        try:
            session.run(f"SET GLOBAL `{name}` = {written}")
        except Unavailable:
            raise
        except GuestError as refused:
            raise BadRequest(
                f"the database does not take {shown(value)} for {name}: {refused}"
            ) from None


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


def _written(value: Scalar) -> str:
    """A value as an option file has it; a text in quotes, within which two characters count."""
    match value:
        case bool():
            return "ON" if value else "OFF"
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case _:
            return str(value)


def read(rule: Parameter, told: str) -> Scalar:
    """What the server tells of a parameter, in the type that it has."""
    match rule.kind:
        case Kind.BOOLEAN:
            return told == "ON"
        case Kind.INTEGER:
            return min(int(told), MOST)
        case Kind.FLOAT:
            return float(told)
    return told
