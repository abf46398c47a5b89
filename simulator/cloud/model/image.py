"""Glance's images: what a server can be booted from."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator.cloud.model.caller import Caller
from simulator.cloud.model.errors import Conflict, NotFound
from simulator.cloud.model.faults import Faults
from simulator.cloud.model.seams import Clock, Ids


@dataclass
class Image:
    """An image; a public one can be used from every project. `size` is in bytes."""

    id: str
    name: str
    owner: str
    created_at: float
    updated_at: float
    visibility: str = "private"
    status: str = "active"
    size: int = 0
    min_disk: int = 0
    min_ram: int = 0
    protected: bool = False
    disk_format: str = "raw"
    container_format: str = "bare"
    tags: list[str] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)


class ImageService:
    """Images by id."""

    def __init__(self, clock: Clock, ids: Ids, faults: Faults) -> None:
        self._clock = clock
        self._ids = ids
        self._faults = faults
        self.images: dict[str, Image] = {}

    def create(
        self,
        caller: Caller,
        name: str,
        *,
        visibility: str = "private",
        tags: list[str] | None = None,
        image_id: str | None = None,
        properties: dict[str, str] | None = None,
    ) -> Image:
        """Make an image that is active at once (its data plays no part here)."""
        caller.require_write("add_image")
        if visibility == "public":
            caller.require_admin("publicize_image")
        with self._faults.around("image", "create_image", name):
            identifier = image_id or self._ids.uuid()
            if identifier in self.images:
                raise Conflict(f"Image ID {identifier} already exists!")
            now = self._clock()
            image = Image(identifier, name, caller.project_id, now, now, visibility)
            image.tags.extend(tags or [])
            image.properties |= properties or {}
            self.images[image.id] = image
            return image

    def get(self, caller: Caller, image_id: str) -> Image:
        """An image that the caller may use, or NotFound."""
        image = self.images.get(image_id)
        if image is None or not self._visible(caller, image):
            raise NotFound(f"No image found with ID {image_id}")
        return image

    def show(self, caller: Caller, image_id: str) -> Image:
        """As `get`, as a call of its own (a fault may hit it)."""
        image = self.get(caller, image_id)
        with self._faults.around("image", "get_image", image.name):
            return image

    def list(self, caller: Caller, *, community: bool = False) -> list[Image]:
        """The images that the caller may use, newest first; `community` ones when asked for."""
        with self._faults.around("image", "list_images", ""):
            return [
                image
                for image in reversed(self.images.values())
                if self._visible(caller, image)
                and (community or image.visibility != "community" or caller.may_see(image.owner))
            ]

    def tag(self, caller: Caller, image_id: str, tag: str, *, present: bool) -> None:
        """Put a tag on an image of the caller's, or take it off."""
        image = self._own(caller, image_id)
        if present and tag not in image.tags:
            image.tags.append(tag)
        elif not present:
            if tag not in image.tags:
                raise NotFound(f"Tag {tag} is not found")
            image.tags.remove(tag)
        image.updated_at = self._clock()

    def delete(self, caller: Caller, image_id: str) -> None:
        """Remove an image of the caller's."""
        image = self._own(caller, image_id)
        with self._faults.around("image", "delete_image", image.name):
            del self.images[image_id]

    def _own(self, caller: Caller, image_id: str) -> Image:
        image = self.get(caller, image_id)
        if not caller.may_see(image.owner):
            caller.require_admin("modify_image")
        return image

    @staticmethod
    def _visible(caller: Caller, image: Image) -> bool:
        return image.visibility in ("public", "community") or caller.may_see(image.owner)
