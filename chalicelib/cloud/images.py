"""Glance images, looked up by the tags of a datastore version.

Anybody may put any tag on an image of his own, so a tag says nothing about who made the image. One
that boots servers belongs to the project that `COFFER_IMAGE_PROJECT_ID` names; without that setting
to the service's own project or, where that has none, it is public: Glance lets only the cloud's
administrators publish. What is shared with the service, or a `community` image, never counts.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib.cloud.session import cloud_call, connection, own_project
from chalicelib.settings import settings


class Image(msgspec.Struct, frozen=True):
    """An image and Glance's status of it; a server can be made of an `active` one."""

    id: str
    status: str


@cloud_call
def get(image_id: str) -> Image | None:
    """The image, whoever owns it, or None: for what an administrator has chosen."""
    from openstack.exceptions import NotFoundException

    try:
        found = connection().image.get_image(image_id)
    except NotFoundException:
        return None
    return Image(found.id, found.status)


@cloud_call
def newest_with_tags(tags: list[str]) -> str | None:
    """The id of the newest active image that has all the tags and may be trusted, or None."""
    if not tags:
        return None
    trusted = settings().image_project_id
    found = _newest(tags, owner=trusted or own_project())
    if found is None and not trusted:
        found = _newest(tags, visibility="public")
    return found


def _newest(tags: list[str], **narrowed: str) -> str | None:
    listed: Any = connection().image.images(tag=tags[0], status="active", **narrowed)
    found = [
        image
        for image in listed
        if set(tags) <= set(image.tags or [])
        and all(getattr(image, name) == value for name, value in narrowed.items())
    ]
    newest = max(found, key=lambda image: (image.created_at or "", image.id), default=None)
    return newest.id if newest else None
