"""Redis's configuration: what is fixed, and layers of what is not (`datastores.layers`).

coffer.conf     defaults, then the layers in the order of their names, then what is fixed
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Final

from chalicelib.engines.parameter import Kind, Parameter, Scalar
from guest_agent.config import EVERY_ADDRESS
from guest_agent.datastores.layers import HEAD
from guest_agent.datastores.redis.layout import ACL_FILE, Layout
from guest_agent.datastores.redis.resp import SOCKET, Answer, Session
from guest_agent.errors import BadRequest, GuestError, Unavailable
from guest_agent.files import own_folder, write_changed

_FIXED: Final = Path(__file__).with_name("config.cnf")
MEMORY: Final = "maxmemory"
ADDS: Final = "save"
CLIENTS: Final = "maxclients"
EVERY_FAMILY: Final = "* -::*"
"""To Redis `*` is IPv4's alone. The minus: where a kernel has no IPv6 it comes up all the same."""


def render(layout: Layout, address: str) -> str:
    """The text of the configuration file."""
    return Template(_FIXED.read_text(encoding="utf-8")).substitute(
        layers=_quoted(layout.layers / "*.conf"),
        data=_quoted(layout.data),
        acl_file=ACL_FILE,
        address=EVERY_FAMILY if address == EVERY_ADDRESS else address,
        socket=SOCKET,
    )


def render_layer(settings: Mapping[str, Scalar]) -> str:
    """The text of a layer."""
    return HEAD + "".join(_line(name, _said(value)) for name, value in settings.items())


def write(
    layout: Layout, address: str, template: Mapping[str, Scalar], group: Mapping[str, Scalar]
) -> bool:
    """Write what says something new; true if a running server would have to be started anew."""
    for folder in (layout.folder, layout.layers):
        with own_folder(folder, 0o755):
            pass
    texts = {
        layout.flavor_layer: render_layer(template),
        layout.group_layer: render_layer(group),
        layout.config: render(layout, address),
    }
    return write_changed(texts, mode=0o644)


def held(session: Session, known: Mapping[str, Parameter]) -> dict[str, Scalar]:
    """What the server says of its parameters."""
    told = session.ask("CONFIG", "GET", *known)
    words = [each.decode(errors="replace") for each in _texts(told)]
    pairs = zip(words[::2], words[1::2], strict=True)
    return {name: _read(known[name], said) for name, said in pairs if name in known}


def change(session: Session, values: Mapping[str, Scalar]) -> None:
    """Set parameters, all or none; `BadRequest` when one of them is refused."""
    words = [word for name, value in values.items() for word in (name, _said(value))]
    try:
        session.ask("CONFIG", "SET", *words)
    except Unavailable:
        raise
    except GuestError as refused:
        raise BadRequest(f"the database does not take the values: {refused}") from None


def _line(name: str, value: str) -> str:
    """One that adds to what earlier ones say is preceded by one that takes that back."""
    before = f'{name} ""\n' if name == ADDS else ""
    return f"{before}{name} {_quoted(value)}\n"


def _texts(told: Answer) -> list[bytes]:
    return [each for each in told if isinstance(each, bytes)] if isinstance(told, list) else []


def _said(value: Scalar) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _read(rule: Parameter, told: str) -> Scalar:
    match rule.kind:
        case Kind.BOOLEAN:
            return told == "yes"
        case Kind.INTEGER:
            return int(told)
    return told


def _quoted(value: Path | str) -> str:
    """One word of a line, whatever is in it."""
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
