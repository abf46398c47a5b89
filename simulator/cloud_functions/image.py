"""Images."""

from __future__ import annotations

from chalicelib.cloud import images
from chalicelib.settings import settings
from simulator.cloud_functions.stand_ins import Functions, StandIns, unless_gone


class Images(StandIns):
    """Glance."""

    def functions(self) -> Functions:
        """By module and name."""
        return {images: {"newest_with_tags": self._newest_with_tags, "get": self._get_image}}

    def _get_image(self, image_id: str) -> images.Image | None:
        found = unless_gone(lambda: self.cloud.image.show(self.caller, image_id))
        return images.Image(found.id, found.status) if found else None

    def _newest_with_tags(self, tags: list[str]) -> str | None:
        if not tags:
            return None
        listed = self.cloud.image.list(self.caller)
        found = [i for i in listed if i.status == "active" and set(tags) <= set(i.tags)]
        trusted = settings().image_project_id
        owned = [image for image in found if image.owner == (trusted or self.caller.project_id)]
        if not owned and not trusted:
            owned = [image for image in found if image.visibility == "public"]
        newest = max(owned, key=lambda image: (int(image.created_at), image.id), default=None)
        return newest.id if newest else None
