"""What a server was told at birth: the agent's file from the user data, and who it is from Nova.

Nova's word comes by the first of

    /config-drive              somebody has mounted it there, as the local hypervisor does
    a disk named config-2      mounted while it is read, for it holds the user data's secret
    http://169.254.169.254     as soon as there is a network

A server of its own needs no address from them. On a subnet with DHCP, Neutron's default, Nova tells
none; one that is found out may change; and what its network lets in its security group decides. So
its database listens at every address that it has or gets. Servers that share a kernel, below a root
directory, each have one to listen at.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import msgspec
from urllib3.exceptions import HTTPError

from chalicelib import aws
from guest_agent.config import AGENT_FILE, EVERY_ADDRESS, AgentFile, GuestConfig
from guest_agent.errors import ConfigurationMissing
from guest_agent.http import Http
from guest_agent.storage import config_drive

SYSTEM: Final = Path("/")
FOLDER: Final = Path("config-drive")
META_DATA: Final = "openstack/latest/meta_data.json"
NETWORK_DATA: Final = "openstack/latest/network_data.json"
EC2_META_DATA: Final = "ec2/latest/meta-data.json"

METADATA_URL: Final = "http://169.254.169.254"
METADATA_URL_6: Final = "http://[fe80::a9fe:a9fe%25{card}]"
"""Neutron's link-local address of the same service, so that each card has to be tried."""
METADATA_SECONDS: Final = 120.0
"""DHCP may take that long to bring the network up; then systemd starts the agent afresh."""
ATTEMPT_SECONDS: Final = 5.0
_HEADERS: Final = {"Host": "169.254.169.254"}
"""Of both addresses: the name of a card has no place in the one of IPv6 (RFC 6874)."""
PAUSE_SECONDS: Final = 1.0
_OK: Final = 200

Source: TypeAlias = Callable[[str], bytes | None]
"""Reads a document by its path; None when there is no such source, or it has no such document."""
T = TypeVar("T")


class _MetaData(msgspec.Struct):
    uuid: str


class _Ec2MetaData(msgspec.Struct, rename="kebab"):
    local_ipv4: str = ""


class _Network(msgspec.Struct):
    ip_address: str | None = None
    type: str = ""


class _NetworkData(msgspec.Struct):
    networks: list[_Network] = []


def load(root: Path) -> GuestConfig:
    """Everything that the agent needs to start; `ConfigurationMissing` says what to do."""
    path = root / AGENT_FILE
    try:
        file = _decode(path.read_bytes(), AgentFile, str(path))
    except OSError as error:
        raise ConfigurationMissing(
            f"cannot read {path} ({error.strerror or type(error).__name__}): "
            "the server's user data should write it"
        ) from None
    if root == SYSTEM:
        return GuestConfig(root, file, server_id(root), EVERY_ADDRESS)
    drive = _folder(root)
    return GuestConfig(root, file, _uuid_in(drive), _own_address(drive))


def server_id(root: Path, metadata_url: str = METADATA_URL) -> str:
    """The id that Nova has given to this server, from the first source that knows it."""
    if found := _uuid(_folder(root)) or _uuid(_disk(root)):
        return found
    urls = [metadata_url, *(METADATA_URL_6.format(card=card) for card in _cards(root))]
    http, deadline = Http(), aws.monotonic() + METADATA_SECONDS
    while True:
        for url in urls:
            if found := _uuid(_service(http, url)):
                return found
        if aws.monotonic() >= deadline:
            raise ConfigurationMissing(
                "there is no config drive, and the metadata service did not answer within "
                f"{METADATA_SECONDS:.0f} s: the server should be created with config_drive true"
            )
        aws.sleep(PAUSE_SECONDS)


def _uuid(source: Source) -> str | None:
    document = source(META_DATA)
    return None if document is None else _decode(document, _MetaData, META_DATA).uuid


def _uuid_in(drive: Source) -> str:
    if found := _uuid(drive):
        return found
    raise ConfigurationMissing("the server should be created with a config drive")


def _own_address(drive: Source) -> str:
    """Of a static network, or the first of Neutron's, which Nova tells in EC2's manner."""
    networks = _decode(drive(NETWORK_DATA) or b"{}", _NetworkData, NETWORK_DATA).networks
    for network in networks:
        if network.ip_address and network.type == "ipv4":
            return network.ip_address
    ec2 = _decode(drive(EC2_META_DATA) or b"{}", _Ec2MetaData, EC2_META_DATA)
    if ec2.local_ipv4:
        return ec2.local_ipv4
    raise ConfigurationMissing("the config drive names no IPv4 address of this server")


def _folder(root: Path) -> Source:
    def read(path: str) -> bytes | None:
        try:
            return (root / FOLDER / path).read_bytes()
        except OSError:
            return None

    return read


def _disk(root: Path) -> Source:
    return lambda path: config_drive.read(root, path)


def _service(http: Http, url: str) -> Source:
    def read(path: str) -> bytes | None:
        try:
            reply = http.get(f"{url}/{path}", _HEADERS, ATTEMPT_SECONDS)
        except HTTPError:
            return None
        return reply.body if reply.status == _OK else None

    return read


def _cards(root: Path) -> list[str]:
    """What has an address of Ethernet; `bonding_masters` stands there too."""
    cards = root / "sys/class/net"
    found = (address.parent.name for address in cards.glob("*/address"))
    return sorted(name for name in found if name != "lo")


def _decode(document: bytes, kind: type[T], name: str) -> T:
    try:
        return msgspec.json.decode(document, type=kind)
    except msgspec.DecodeError as error:
        raise ConfigurationMissing(f"{name} is not what it should be: {error}") from None
