"""The datastore versions of a run: of each datastore the usual one, and what it can be upgraded to,
or cannot.

Their names are of one datastore each, so that a name says whose version it is. An image has an
engine of every datastore, the usual one where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from chalicelib.store.models import Datastore, DatastoreVersion
from simulator.cloud.model.cloud import GUEST_IMAGE, Cloud
from simulator.cloud.model.identity import stable_id
from simulator.fleet.engines import USUAL, Engine
from simulator.fleet.fleet import Fleet
from simulator.inputs import DATASTORE, DATASTORES


class Offer(NamedTuple):
    """A version, the name of its image, and the engine that is really on that; None: no image."""

    datastore: str
    name: str
    number: str
    image: str
    engine: Engine | None

    @property
    def image_id(self) -> str:
        """The image's id, which follows from its name."""
        return stable_id("image", self.image)

    @property
    def id(self) -> str:
        """The version's id."""
        return f"{self.datastore}-{self.name}"

    @property
    def columns(self) -> dict[str, Any]:
        """What an instance's row tells of its version."""
        return {
            "datastore_version_id": self.id,
            "datastore_name": self.datastore,
            "datastore_version": self.name,
            "datastore_version_number": self.number,
            "manager": self.datastore,
        }

    @property
    def works(self) -> bool:
        """Whether its image has the engine that it says, and that starts."""
        engine = self.engine
        return engine is not None and engine.starts and engine.number == self.number


def _usual(datastore: str, name: str) -> Offer:
    engine = USUAL[datastore]
    return Offer(datastore, name, engine.number, GUEST_IMAGE, engine)


def _on(image: str, datastore: str, number: str) -> Offer:
    """One whose name is its engine's number."""
    return Offer(datastore, number, number, image, Engine(number))


_NEWER_IMAGE: Final = "coffer-guest-9"
_MAJOR_IMAGE: Final = "coffer-guest-11"
FIRST: Final[Mapping[str, Offer]] = {
    "mariadb": _usual("mariadb", "10.11"),
    "postgresql": _usual("postgresql", "15"),
    "redis": _usual("redis", "7.0"),
}
"""What a create takes, by datastore."""
NEWER: Final[Mapping[str, Offer]] = {
    "mariadb": _on(_NEWER_IMAGE, "mariadb", "10.11.9"),
    "postgresql": _on(_NEWER_IMAGE, "postgresql", "15.15"),
    "redis": _on(_NEWER_IMAGE, "redis", "7.0.16"),
}
OFFERS: Final = (
    *(FIRST["mariadb"], NEWER["mariadb"]),
    Offer(
        *(DATASTORE, "10.11.10", "10.11.10", "coffer-guest-10"), Engine("10.11.10", starts=False)
    ),
    Offer(DATASTORE, "10.11.11", "10.11.11", _MAJOR_IMAGE, Engine("11.4.2")),
    Offer(DATASTORE, "10.11.12", "10.11.12", "coffer-guest-12", None),
    Offer(DATASTORE, "11.4", "11.4.2", _MAJOR_IMAGE, Engine("11.4.2")),
    *(FIRST["postgresql"], NEWER["postgresql"], _on(_MAJOR_IMAGE, "postgresql", "16.4")),
    *(FIRST["redis"], NEWER["redis"], _on(_MAJOR_IMAGE, "redis", "7.2.5")),
)
"""Of each datastore a good one and another major; of MariaDB also one whose engine does not start,
one with an engine of another series, which must not touch the data, and one without its image."""
IMAGES: Final = {offer.name: offer.image_id for offer in OFFERS}


def of(datastore: str) -> list[Offer]:
    """The versions of a datastore."""
    return [each for each in OFFERS if each.datastore == datastore]


def works(name: str) -> bool:
    """Whether what is on the image of that version is of it, and starts."""
    (offer,) = (each for each in OFFERS if each.name == name)
    return offer.works


def make_images(cloud: Cloud, fleet: Fleet) -> None:
    """The images beside the cloud's own, and what servers of them run."""
    for offer in OFFERS:
        if offer.engine is None or offer.image == GUEST_IMAGE:
            continue
        fleet.around.engines[offer.image_id, offer.datastore] = offer.engine
        if offer.image_id not in cloud.image.images:
            tags = [offer.image]
            cloud.image.create(
                cloud.admin(), offer.image, visibility="public", tags=tags, image_id=offer.image_id
            )


def seed() -> None:
    """Put them on offer, as a deployer would."""
    for name in DATASTORES:
        Datastore(id=name, name=name, default_version_id=FIRST[name].id).save()
    for offer in OFFERS:
        DatastoreVersion(
            id=offer.id,
            datastore_id=offer.datastore,
            datastore_name=offer.datastore,
            name=offer.name,
            version=offer.number,
            manager=offer.datastore,
            image_id=offer.image_id,
        ).save()
