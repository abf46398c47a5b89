"""Stores the datastores on offer (`python -m infra.seed`, with the functions' environment)."""

import uuid
from pathlib import Path
from typing import Any, Final

import yaml

from chalicelib.engines import ENGINES
from chalicelib.store.datastores import offer
from chalicelib.store.models import Datastore, DatastoreVersion
from infra.errors import UnusableInputError

NAMESPACE: Final = uuid.UUID("5f0c3f0e-6c57-4b43-9d2e-2f6d1f1d7a10")
DATASTORES: Final = Path(__file__).with_name("datastores.yaml")


def seed(datastores: dict[str, Any]) -> None:
    """Write each datastore and its versions; a row that exists is written again as it is.

    Raises `UnusableInputError` for a version that no declared manager runs.
    """
    for name, datastore in datastores.items():
        for version, about in datastore["versions"].items():
            if about["manager"] not in ENGINES:
                raise UnusableInputError(
                    f"{name} {version} has the manager {about['manager']!r}, which is not known.",
                    f"It is one of {', '.join(sorted(ENGINES))} (chalicelib/engines).",
                )
    for name, datastore in datastores.items():
        datastore_id = str(uuid.uuid5(NAMESPACE, name))
        version_ids = {
            version: str(uuid.uuid5(NAMESPACE, f"{name}/{version}"))
            for version in datastore["versions"]
        }
        versions = [
            DatastoreVersion(
                id=version_ids[version],
                datastore_id=datastore_id,
                datastore_name=name,
                name=version,
                version=about["version"],
                manager=about["manager"],
                image_tags=about["image_tags"],
                active=about.get("active", True),
            )
            for version, about in datastore["versions"].items()
        ]
        default = version_ids[datastore["default"]]
        offer(Datastore(id=datastore_id, name=name, default_version_id=default), versions)


if __name__ == "__main__":
    seed(yaml.safe_load(DATASTORES.read_text()))
