"""The datastore versions of a run: the usual one, and what it can be upgraded to, or cannot."""

from __future__ import annotations

from typing import Final, NamedTuple

from chalicelib.store.models import Datastore, DatastoreVersion
from simulator.cloud.model.cloud import GUEST_IMAGE, Cloud
from simulator.cloud.model.identity import stable_id
from simulator.fleet.engines import USUAL, Engine
from simulator.fleet.fleet import Fleet

DATASTORE: Final = "mariadb"


class Offer(NamedTuple):
    """A version, the name of its image, and the engine that is really on that; None: no image."""

    name: str
    number: str
    image: str
    engine: Engine | None

    @property
    def image_id(self) -> str:
        """The image's id, which follows from its name."""
        return stable_id("image", self.image)

    @property
    def works(self) -> bool:
        """Whether its image has the engine that it says, and that starts."""
        engine = self.engine
        return engine is not None and engine.starts and engine.number == self.number


FIRST: Final = Offer("10.11", USUAL["mariadb"].number, GUEST_IMAGE, USUAL["mariadb"])
"""What a create takes."""
NEWER: Final = Offer("10.11.9", "10.11.9", "coffer-guest-9", Engine("10.11.9"))
OFFERS: Final = (
    *(FIRST, NEWER),
    Offer("10.11.10", "10.11.10", "coffer-guest-10", Engine("10.11.10", starts=False)),
    Offer("10.11.11", "10.11.11", "coffer-guest-11", Engine("11.4.2")),
    Offer("10.11.12", "10.11.12", "coffer-guest-12", None),
    Offer("11.4", "11.4.2", "coffer-guest-11", Engine("11.4.2")),
)
"""A good one; one whose engine does not start; one with an engine of another series, which must not
touch the data; one without its image; and another major."""
IMAGES: Final = {offer.name: offer.image_id for offer in OFFERS}


def works(name: str) -> bool:
    """Whether what is on the image of that version is of it, and starts."""
    (offer,) = (each for each in OFFERS if each.name == name)
    engine = offer.engine
    return engine is not None and engine.starts and engine.number == offer.number


def make_images(cloud: Cloud, fleet: Fleet) -> None:
    """The images beside the cloud's own, and what servers of them run."""
    for offer in dict.fromkeys(OFFERS):
        if offer.engine is None or offer.image_id in cloud.image.images:
            continue
        tags = [offer.image]
        cloud.image.create(
            cloud.admin(), offer.image, visibility="public", tags=tags, image_id=offer.image_id
        )
        fleet.around.engines[offer.image_id, DATASTORE] = offer.engine


def seed() -> None:
    """Put them on offer, as a deployer would."""
    Datastore(id=DATASTORE, name=DATASTORE, default_version_id=f"{DATASTORE}-{FIRST.name}").save()
    for offer in OFFERS:
        DatastoreVersion(
            id=f"{DATASTORE}-{offer.name}",
            datastore_id=DATASTORE,
            datastore_name=DATASTORE,
            name=offer.name,
            version=offer.number,
            manager=DATASTORE,
            image_id=offer.image_id,
        ).save()
