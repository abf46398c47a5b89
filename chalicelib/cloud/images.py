"""Glance images, looked up by the tags of a datastore version."""

from __future__ import annotations

from chalicelib.cloud.session import cloud_call, connection


@cloud_call
def newest_with_tags(tags: list[str]) -> str | None:
    """The id of the newest active image that has all the tags, or None."""
    if not tags:
        return None
    found = [
        image
        for image in connection().image.images(tag=tags[0], status="active")
        if set(tags) <= set(image.tags or [])
    ]
    newest = max(found, key=lambda image: (image.created_at or "", image.id), default=None)
    return newest.id if newest else None
