"""F18: the object store refuses for a minute, takes a write and loses its reply, or an object."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ConnectionClosedError

from chalicelib.bus.contract.pieces import parsed
from chalicelib.domain.archives import FOLDER
from chalicelib.status import BackupStatus
from simulator.aws.errors import throttled
from simulator.effects import Effect
from simulator.faults.base import Fault
from simulator.faults.bursts import Bursts
from simulator.fleet.datastore import NOTHING, Database
from simulator.fleet.troves import packed
from simulator.swift import backup_of_url, imported_from
from simulator.template import BACKUPS_BUCKET

BURST_SECONDS: Final = (5.0, 90.0)
REFUSED: Final = 0.8
"""Share of the calls that are answered 503 in a burst: most of them outlive botocore's retries."""
LOST: Final = 0.1
"""Share of the replies to writes that are lost, of the strength."""
AT_ONCE: Final = 0.05
"""Share of the objects that are lost or changed when they were written, of the strength."""
SPOILED: Final = 60.0
"""Objects that are lost or changed in an hour, at full strength."""
CHANGED: Final = 0.5
WRITES: Final = frozenset({"PutObject", "DeleteObject", "DeleteObjects"})
STORES: Final = ("s3", "swift")


class ObjectStore(Fault):
    id = "F18"
    title = "object store"
    range = (0.0, 0.4)
    unit = "share of the time"
    missing = "half a part: an object is written whole or not at all"

    def install(self) -> None:
        self.on = True
        self.away = False
        self.world.region.effects.hooks.append(self)
        Bursts(self, BURST_SECONDS, self._begin, self._end).pause()
        self._next()

    def heal(self) -> None:
        self.on = False
        self.away = False
        self.world.region.effects.hooks.remove(self)

    def _begin(self) -> str:
        self.away = True
        return "the object store refuses"

    def _end(self) -> None:
        self.away = False

    def _next(self) -> None:
        pause = self.later(3600.0 / (self.strength * SPOILED))
        self.world.kernel.call_later(pause, self._spoil)

    def _spoil(self) -> None:
        """Lose an object, or change a byte of one that is complete."""
        if not self.on:
            return
        self._next()
        stored = self.world.region.s3.buckets[BACKUPS_BUCKET]
        keys = [key for key, _ in stored.behind("", "")]
        urls = self.world.region.swift.urls()
        if not keys and not urls:
            return
        key = self.stream.choice([*keys, *urls])
        if key in urls:
            self._spoil_in_container(key)
            return
        backup_id = key.split("/")[2]
        assert self.world.invariants is not None
        hub = self.world.invariants.hub
        row, found = hub.row("backups", backup_id), stored.get(key)
        hub.spoiled[backup_id] = None
        self._note_piece(key)
        whose = row["instance_id"] if row is not None else None
        complete = row is not None and row["status"] == BackupStatus.COMPLETED
        if complete and found is not None and self.stream.random() < CHANGED:
            stored.put(key, found._replace(body=self._changed(found.body)))
            self.inject(f"an object of the backup {backup_id} is changed", whose)
        else:
            stored.delete(key)
            self.inject(f"an object of the backup {backup_id} is lost", whose)

    def _spoil_in_container(self, url: str) -> None:
        """The same in a container; a sum is compared by who restores it alone."""
        assert self.world.invariants is not None
        hub, swift = self.world.invariants.hub, self.world.region.swift
        backup_id, body = backup_of_url(url), swift.body(url)
        if backup_id is None:
            self._change_what_is_its_tenants(url)
            return
        row = hub.row("backups", backup_id)
        if body is None or row is None:
            return
        hub.spoiled[backup_id] = None
        complete = row["status"] == BackupStatus.COMPLETED
        if complete and self.stream.random() < CHANGED:
            swift.spoil(url, self._changed(body))
            self.inject(f"in a container the backup {backup_id} is changed", row["instance_id"])
        else:
            swift.spoil(url, None)
            self.inject(f"in a container the backup {backup_id} is lost", row["instance_id"])

    def _change_what_is_its_tenants(self, url: str) -> None:
        """Somebody removes an object that was imported, or puts another backup over it; or a bit
        of it turns."""
        assert self.world.invariants is not None
        hub, swift = self.world.invariants.hub, self.world.region.swift
        body = swift.body(url)
        known = [row["id"] for row in hub.rows("backups") if imported_from(row) == url]
        if body is None or not known:
            return
        hub.spoiled |= dict.fromkeys(known)
        how = self.stream.choice(("removed", "another one", "damaged"))
        match how:
            case "removed":
                swift.spoil(url, None)
            case "another one":
                swift.put_over(url, packed(NOTHING.with_database("of-somebody-else", Database())))
            case _:
                swift.spoil(url, self._changed(body))
        self.inject(f"what {len(known)} backups were imported from is {how}")

    def _lose(self, what: Mapping[str, Any]) -> None:
        """Lose what was written just now, or let another write over it: whoever looks before the
        backup is complete notices."""
        if "Key" not in what:
            return
        key, stored = what["Key"], self.world.region.s3.buckets[BACKUPS_BUCKET]
        found = stored.get(key)
        if f"/{FOLDER}/" in key:  # of a log, which nobody reads before a restore
            assert self.world.invariants is not None
            self.world.invariants.hub.spoiled[key.split("/")[2]] = None
            self._note_piece(key)
        if found is not None and self.stream.random() < CHANGED:
            body = self._changed(found.body)
            etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
            stored.put(key, found._replace(body=body, etag=etag))
            self.inject(f"{key} is written over as soon as it was written")
        else:
            stored.delete(key)
            self.inject(f"{key} is lost as soon as it was written")

    def _note_piece(self, key: str) -> None:
        """What is before it in its archive can be restored still."""
        name = parsed(key.rpartition("/")[2])
        if name is not None:
            assert self.world.invariants is not None
            pieces = self.world.invariants.hub.spoiled_pieces
            pieces.setdefault(key.split("/")[2], set()).add(name.number)

    def _changed(self, body: bytes) -> bytes:
        """The same but for a bit."""
        place = self.stream.randrange(len(body))
        return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]

    def before(self, effect: Effect) -> None:
        if self.away and effect.service in STORES and self.hits(REFUSED):
            self.world.inject(self.id)
            raise throttled(effect.service, effect.call)

    def after(self, effect: Effect) -> None:
        if effect.service not in STORES or effect.call not in WRITES:
            return
        if self.hits(self.strength * AT_ONCE) and effect.what.get("Bucket") == BACKUPS_BUCKET:
            self._lose(effect.what)
        if self.hits(self.strength * LOST):
            said = f"{effect.service} {effect.call} of {effect.scope}: the reply is lost"
            self.inject(said)
            raise ConnectionClosedError(endpoint_url=effect.service)
