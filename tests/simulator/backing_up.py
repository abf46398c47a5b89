"""Backups in the simulator: a tenant who makes, restores and deletes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from simulator.fleet.datastore import Contents
from simulator.region import Reply
from simulator.template import BACKUPS_BUCKET, PREFIX
from tests.simulator.deployment import Deployment

DATABASE = "shop"


class Backups(Deployment):
    """A deployment with an instance, and what its tenant does about backups."""

    def begin(self) -> str:
        """Create an instance; its id."""
        self.do(lambda: self.create(self.tenant))
        self.do(self.wait)
        (row,) = self.instances()
        return str(row["id"])

    def write(self, instance_id: str, *keys: str) -> None:
        """Commit rows, as an application would."""
        (guest,) = self.fleet.of_instance(instance_id)
        for key in keys:
            assert self.fleet.write(guest.server_id, DATABASE, key, f"value of {key}")

    def ask(self, method: str, path: str, body: Any = None) -> Reply:
        """A request of the tenant."""
        replies: list[Reply] = []
        self.do(lambda: replies.append(self.tenant(method, path, body)))
        return replies[0]

    def back_up(self, instance_id: str, **more: Any) -> str:
        """Have a backup made to its end; its id."""
        made = self.ask(
            "POST", "/backups", {"backup": {"name": "b", "instance": instance_id, **more}}
        )
        assert made.status == 202, made.body
        self.settle()
        return str(made.document["backup"]["id"])

    def give_up(self, instance_id: str, **more: Any) -> str:
        """Have a backup begun, and its operation cancelled; its id."""
        made: list[str] = []

        def begin_and_cancel() -> None:
            asked = {"backup": {"name": "b", "instance": instance_id, **more}}
            reply = self.tenant("POST", "/backups", asked)
            made.append(reply.document["backup"]["id"])
            path = f"/instances/{instance_id}/operations"
            (newest,) = self.tenant("GET", f"{path}?limit=1").document["operations"]
            assert self.tenant("DELETE", f"{path}/{newest['id']}").status == 202

        self.do(begin_and_cancel)
        self.settle()
        return made[0]

    def restore(self, backup_id: str) -> str:
        """Have an instance made of a backup; its id."""
        wanted = {
            "name": "again",
            "flavorRef": "1",
            "volume": {"size": 1},
            "restorePoint": {"backupRef": backup_id},
        }
        made = self.ask("POST", "/instances", {"instance": wanted})
        assert made.status == 200, made.body
        self.settle()
        return str(made.document["instance"]["id"])

    def verify(self, backup_id: str) -> dict[str, Any]:
        """Have a backup tried out; what it is shown as then."""
        path = f"/backups/{backup_id}"
        assert self.ask("POST", f"{path}/action", {"verify": {}}).status == 202
        self.settle()
        shown: dict[str, Any] = self.ask("GET", path).document["backup"]
        return shown

    def row(self, backup_id: str) -> dict[str, Any]:
        """A backup's row."""
        (found,) = (
            row for row in self.region.dynamodb.rows(f"{PREFIX}-backups") if row["id"] == backup_id
        )
        return found

    def held(self, instance_id: str) -> Contents:
        """What an instance's database holds."""
        (guest,) = self.fleet.of_instance(instance_id)
        return self.fleet.contents(guest.server_id)

    @property
    def keys(self) -> list[str]:
        """What lies in the bucket."""
        return [key for key, _ in self.region.s3.buckets[BACKUPS_BUCKET].behind("", "")]


@contextmanager
def whole(options: Mapping[str, str] | None = None) -> Iterator[Backups]:
    """A deployment with these options, which breaks no promise up to its end."""
    made = Backups(options=dict(options or {}))
    yield made
    made.settle()
    made.invariants.check_healed()
    broken = made.explain()
    made.close()
    assert not broken, broken
