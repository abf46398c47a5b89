"""The body of POST /servers as a wish of the model; BadRequest where it does not fit."""

from __future__ import annotations

from simulator.cloud.http.plumbing import Json, names_of, strings_of, text_of, truth
from simulator.cloud.model.errors import BadRequest
from simulator.cloud.model.server import NetworkWish, ServerWish, VolumeWish

NAME_LENGTH_MOST = 255


def server_wish(wanted: Json, hints: Json) -> ServerWish:
    """What a body asks for; `hints` are the scheduler's."""
    check_name(wanted.get("name"))
    flavor = wanted.get("flavorRef")
    if not isinstance(flavor, (str, int)) or flavor == "":
        raise BadRequest("Invalid input for field/attribute server. 'flavorRef' is required.")
    mappings = wanted.get("block_device_mapping_v2") or []
    groups = wanted.get("security_groups") or []
    return ServerWish(
        name=str(wanted["name"]),
        flavor_id=str(flavor).rsplit("/", 1)[-1],
        image_id=_image_ref(wanted, mappings),
        networks=_networks(wanted.get("networks")),
        volumes=tuple(_volume(m) for m in mappings if m.get("source_type") == "volume"),
        metadata=strings_of(wanted, "metadata"),
        user_data=text_of(wanted, "user_data") or None,
        security_groups=tuple(text_of(group, "name") for group in groups),
        tags=tuple(names_of(wanted, "tags")),
        description=wanted.get("description"),
        key_name=wanted.get("key_name"),
        availability_zone=wanted.get("availability_zone"),
        group_id=text_of(hints, "group") or None,
        config_drive=truth(wanted.get("config_drive", True)),
    )


def _image_ref(wanted: Json, mappings: list[Json]) -> str:
    reference = text_of(wanted, "imageRef")
    for mapping in mappings:
        if mapping.get("source_type") == "image":
            reference = reference or text_of(mapping, "uuid")
    return reference.rsplit("/", 1)[-1]


def _networks(wanted: object) -> tuple[NetworkWish, ...] | None:
    if wanted is None or wanted == "auto":
        return None
    if wanted == "none":
        return ()
    if not isinstance(wanted, list):
        raise BadRequest("Invalid input for field/attribute networks.")
    wishes = []
    for entry in wanted:
        port_id, network_id = text_of(entry, "port"), text_of(entry, "uuid")
        if not port_id and not network_id:
            raise BadRequest("Bad network format: missing 'uuid'")
        address = text_of(entry, "fixed_ip") or None
        wishes.append(NetworkWish(port_id or None, network_id or None, address))
    return tuple(wishes) if wishes else None


def _volume(mapping: Json) -> VolumeWish:
    if not text_of(mapping, "uuid"):
        raise BadRequest("Block Device Mapping is Invalid: a volume needs its uuid.")
    return VolumeWish(
        volume_id=text_of(mapping, "uuid"),
        device=text_of(mapping, "device_name") or None,
        delete_on_termination=truth(mapping.get("delete_on_termination", False)),
    )


def check_name(name: object) -> None:
    """BadRequest for what cannot be the name of a server."""
    if not isinstance(name, str) or not name.strip() or len(name) > NAME_LENGTH_MOST:
        raise BadRequest(f"Invalid input for field/attribute name. Value: {name!r}.")
