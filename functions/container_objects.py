"""A backup that lies in its tenant's container: whether it is whole there, and that it is gone.

Nothing is listed. What may be there follows from the attempts that the row tells of: the manifest
of each, and its parts, which arrive one after the other. So those of an attempt are the first so
many, and stay so when the last one is removed first: where they end is found by halving, whoever
died in between. Nothing is removed before no guest can send any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chalicelib import aws, containers
from chalicelib.bus.contract import manifest
from chalicelib.bus.contract.answers import BackedUp
from chalicelib.bus.contract.manifest import MOST_PARTS, Manifest
from chalicelib.containers import Away, Refused
from chalicelib.domain import attempts
from chalicelib.domain.attempts import Attempt
from chalicelib.domain.backups import LOST
from chalicelib.domain.containers import Container
from chalicelib.objects import NotStored
from chalicelib.settings import settings
from chalicelib.store import backups
from chalicelib.store.base import as_dict
from chalicelib.store.models import Backup, Operation
from chalicelib.store.operations import waits_since
from functions.outcomes import Failed, Outcome, Wait, not_yet

SLICE_SECONDS: Final = 8.0
"""A look begins no request later than that: it still ends within its function."""


def whole(operation: Operation, row: Backup, said: BackedUp) -> Manifest | Outcome:
    """The manifest of a backup of which each part is there and nothing else, or what to do."""
    place, known = _place(row), attempts.of(row.attempts)
    if isinstance(told := _manifest(place, row, known, said), str):
        return Failed(f"The backup is not whole in the container {place.name}: {told}.")
    until = aws.monotonic() + SLICE_SECONDS
    number = int(as_dict(operation.resources).get("check", {}).get("part", 0))
    try:
        while number < len(told.parts):
            found = containers.look(place, _part(row, told.attempt, number))
            if found is None or not told.parts[number].lies_as(found.size, found.etag):
                lies = "is not there" if found is None else "is another one"
                return Failed(
                    f"The backup is not whole in the container {place.name}: part {number} {lies}."
                )
            number += 1
            if aws.monotonic() > until:
                return Wait(1, {"check": {"part": number}}, "its objects are being looked at")
    except (Away, Refused) as error:
        return not_yet(operation, f"the object store is waited for: {error}")
    others = [each for each in known if each.id != told.attempt]
    sent_to = [each for each in others if each is not known[-1]]  # its guest has answered
    return _removed(operation, row, others, sent_to) or told


def remaining(told: Manifest) -> list[dict[str, object]]:
    """The attempts of a backup that is whole: nothing is sent any more."""
    return attempts.plain([Attempt(told.attempt, 0.0)])


def remove(operation: Operation, row: Backup, *, answered: bool = False) -> Outcome | None:
    """Remove all of it; None when it is gone. When its guest has `answered`, that one has ended the
    newest attempt: nothing more comes of it."""
    if (operation.arguments or {}).get(LOST):
        return None
    known = attempts.of(row.attempts)
    return _removed(operation, row, known, known[:-1] if answered else known)


def _manifest(
    place: Container, row: Backup, known: Sequence[Attempt], said: BackedUp
) -> Manifest | str:
    """The manifest that the guest has spoken of, of the newest attempt that has it; or why none."""
    why = "its manifest is not there"
    for each in reversed(known):
        key = manifest.place_in_container(row.location, each.id)
        try:
            told = manifest.opened(containers.read(place, key, manifest.MOST_BYTES), said.checksum)
        except NotStored:
            continue
        except ValueError as error:
            why = str(error)
            continue
        except Refused as error:
            return str(error)
        return told if told.attempt == each.id else "its manifest names another attempt"
    return why


def _removed(
    operation: Operation, row: Backup, gone: Sequence[Attempt], sent_to: Sequence[Attempt]
) -> Outcome | None:
    """See that nothing of some attempts is left, to some of which a guest may still be sending;
    None when it is so."""
    safe = attempts.safe_at(sent_to, containers.REQUEST_SECONDS)
    if aws.clock() < safe:
        return not_yet(operation, "a guest may still be sending to the object store")
    place, until, went = _place(row), aws.monotonic() + SLICE_SECONDS, 0
    try:
        for each in gone:
            containers.remove(place, manifest.place_in_container(row.location, each.id))
            for number in reversed(range(_end(place, row, each.id))):
                if aws.monotonic() > until:
                    return not_yet(operation, "its objects are being removed", progress=went > 0)
                containers.remove(place, _part(row, each.id, number))
                went += 1
    except (Away, Refused) as error:
        since = waits_since(operation, operation.step or "")
        for_good = isinstance(error, Refused) and not went
        if for_good and aws.clock() > since + settings().delete_timeout_seconds:
            return Failed(f"The object store does not remove the backup: {error}.")
        return not_yet(operation, f"the object store is waited for: {error}", progress=went > 0)
    return None


def _end(place: Container, row: Backup, attempt: str) -> int:
    """How many parts of an attempt are there: twice as far each time, then by halving."""

    def there(number: int) -> bool:
        return containers.look(place, _part(row, attempt, number)) is not None

    first, beyond = 0, 1
    while beyond <= MOST_PARTS and there(beyond - 1):
        first, beyond = beyond, beyond * 2
    beyond = min(beyond, MOST_PARTS + 1)
    while first < beyond - 1:
        middle = (first + beyond) // 2
        if there(middle - 1):
            first = middle
        else:
            beyond = middle
    return first


def _part(row: Backup, attempt: str, number: int) -> str:
    return f"{row.location}/{attempt}/{number}"


def _place(row: Backup) -> Container:
    place = backups.container_of(row)
    assert place is not None, "a backup in the deployment's bucket is not looked for elsewhere"
    return place
