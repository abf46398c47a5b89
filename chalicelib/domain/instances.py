"""What a user may ask of a new instance: its size, its network, who may reach it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Network,
    IPv6Network,
    collapse_addresses,
    ip_network,
)
from typing import Final

from chalicelib.errors import BadRequest, OverLimit

EVERYWHERE: Final = "0.0.0.0/0"

_CIDR: Final = re.compile(r"([0-9.]+|[0-9A-Fa-f:]+)(/[0-9]{1,3})?", re.ASCII)


def volume_size(wished: int | str | None, maximum: int) -> int:
    """The size in GiB; `BadRequest` when it is missing or no size, `OverLimit` above the maximum.

    Trove takes an integer of at least 1, or its digits as a string.
    """
    if wished is None:
        raise BadRequest("Volume size was not specified.")
    text = str(wished)
    if not (text.isascii() and text.isdigit()) or not text.strip("0"):
        raise BadRequest("Volume 'size' must be a positive integer.")
    if len(text.lstrip("0")) > len(str(maximum)) or int(text) > maximum:
        raise OverLimit(f"Volume 'size' cannot exceed maximum of {maximum} GB.")
    return int(text)


def flavor_id(reference: int | str | None) -> str:
    """The id in a `flavorRef`: an id, a number, or an href that ends in it."""
    if reference is None:
        raise BadRequest("Validation error: instance 'flavorRef' is a required property")
    return str(reference).rstrip("/").rpartition("/")[2]


def nic(network_id: str | None, subnet_id: str | None, ip_address: str | None) -> dict[str, str]:
    """The network card of an instance: a network, a subnet of it, a fixed IPv4 address.

    A subnet alone says its network too. Whether the tenant may use them is the flow's look.
    """
    if not network_id and not subnet_id:
        raise BadRequest("A nic needs a 'network_id' or a 'subnet_id'.")
    if ip_address and not subnet_id:
        raise BadRequest("A nic with an 'ip_address' needs its 'subnet_id'.")
    if ip_address:
        try:
            IPv4Address(ip_address)
        except AddressValueError:
            raise BadRequest("The nic's 'ip_address' is not an IPv4 address.") from None
    chosen = {"network_id": network_id, "subnet_id": subnet_id, "ip_address": ip_address}
    return {name: value for name, value in chosen.items() if value}


def allowed_cidrs(wished: list[str] | None) -> list[str]:
    """The networks that may reach the database; none means every IPv4 network, as in Trove.

    Each is an IPv4 or IPv6 CIDR or, as in Trove, a single address.
    """
    for cidr in wished or []:
        if not _is_cidr(cidr):
            raise BadRequest("Each of 'allowed_cidrs' must be an IPv4 or IPv6 CIDR or address.")
    return list(dict.fromkeys(wished or []))


def sources(cidrs: Iterable[str]) -> list[str]:
    """The fewest networks that are the same as all of `cidrs`: one rule is made for each."""
    networks = [ip_network(cidr, strict=False) for cidr in cidrs]
    fourth = collapse_addresses(each for each in networks if isinstance(each, IPv4Network))
    sixth = collapse_addresses(each for each in networks if isinstance(each, IPv6Network))
    return [*map(str, fourth), *map(str, sixth)] or [EVERYWHERE]


def availability_zone(wished: str | None) -> str | None:
    """The zone of the server, or None for the cloud's choice.

    Nova reads `zone:host:node` as an order to use that host. It is an administrator's to give, and
    the service that asks may have that right where the tenant has not.
    """
    if wished and ":" in wished:
        raise BadRequest("The 'availability_zone' is the name of a zone, without a host or node.")
    return wished or None


def _is_cidr(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return _CIDR.fullmatch(text) is not None
