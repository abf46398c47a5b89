"""Idempotency-Key: however often a POST is sent with one key, it has one effect and one answer.

    a new key ────▶ handler ─▶ the transaction that accepts keeps the answer with the key
    a known one ──▶ of another request? 422
                    the answer is its row's ─▶ that
                    it is a guest's ─▶ its result; without one the same command is sent once more

The header is that of draft-ietf-httpapi-idempotency-key-header, the rest is as in Stripe's API. A
request that was refused has had no effect, and its key is free; only what a guest has refused is
answered so again. Decision 31.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib import aws
from chalicelib.api.response import Response
from chalicelib.bus import commands, keys
from chalicelib.bus.envelope import BadSeal
from chalicelib.errors import BadRequest, CofferError, Conflict, Unavailable, Unprocessable
from chalicelib.store import commands as rows
from chalicelib.store import replies
from chalicelib.store.base import Claimed, Contended, races
from chalicelib.store.models import KeptReply

if TYPE_CHECKING:
    from chalicelib.api.frame import Request

HEADER: Final = "idempotency-key"
REPLAYED_HEADER: Final = "Idempotent-Replayed"
PURPOSE: Final = "kept reply"
MOST_KEY: Final = 255

_KEY: Final = re.compile(rf'"?(?P<key>[!#-~]{{1,{MOST_KEY}}})"?', re.ASCII)


class _Sealed(msgspec.Struct, frozen=True):
    """What is kept, sealed: which request it was, and its answer."""

    request: str
    status: int
    headers: dict[str, str]
    body: Any


class Known(msgspec.Struct, frozen=True):
    """What is kept with the key of a request; `row` says which command decides, if one does."""

    row: KeptReply
    reply: Response


class Once:
    """A POST that has a key, while its handler runs."""

    def __init__(self, key_id: str, digest: str) -> None:
        """`Unprocessable` (422) when the key was another request's."""
        self._key_id = key_id
        self._digest = digest
        self._keeping: replies.Keeping | None = None
        self.known = self._look()

    @property
    def answered(self) -> bool:
        """Whether an answer is kept, by this attempt or by an earlier one."""
        return self.known is not None or (self._keeping is not None and self._keeping.kept)

    def keeping(self, reply: Response, command_id: str | None = None) -> replies.Keeping:
        """The claim of a transaction that this is the answer."""
        kept = _Sealed(self._digest, reply.status, dict(reply.headers), reply.body)
        sealed = keys.protect(PURPOSE, self._key_id, msgspec.json.encode(kept))
        self._keeping = replies.Keeping(self._key_id, sealed, command_id)
        return self._keeping

    def begun(self, reply: Response) -> tuple[Response, str]:
        """The answer if the guest does what it is asked for, and the id of the command that asks.

        Those of the first attempt, if there was one. Raises `Claimed`.
        """
        if self.known is not None and self.known.row.command_id is not None:
            return self.known.reply, self.known.row.command_id
        command_id = aws.new_id()
        self.keeping(reply, command_id).put_alone()
        return reply, command_id

    def replay(self) -> Response | None:
        """The answer that is kept; None when it is not known yet. Raises what a guest has refused.

        What it could not do at that time, it is asked anew.
        """
        if self.known is None:
            return None
        row, reply = self.known.row, self.known.reply
        reply = msgspec.structs.replace(reply, headers={**reply.headers, REPLAYED_HEADER: "true"})
        if row.command_id is None:
            return reply
        command = rows.find(row.command_id)
        if command is None or command.answered is None:
            return None
        error = commands.error_of(command)
        if error is None:
            return reply
        if not isinstance(error, Unavailable):
            raise error
        replies.ask_anew(row, aws.new_id())
        return None

    def overtaken(self) -> bool:
        """Whether the same request has got its answer meanwhile."""
        return not self.answered and self._look() is not None

    def _look(self) -> Known | None:
        row = replies.find(self._key_id)
        if row is None:
            return None
        try:
            plain = keys.reveal(PURPOSE, self._key_id, row.sealed)
        except BadSeal:
            raise Conflict("What was answered to this Idempotency-Key cannot be read.") from None
        kept = msgspec.json.decode(plain, type=_Sealed)
        if kept.request != self._digest:
            raise Unprocessable("This Idempotency-Key was used for another request.")
        return Known(row, Response(kept.status, kept.body, kept.headers))


def answered(
    request: Request,
    handler: Callable[[Request], Response],
    permits: Callable[[Request], None] | None = None,
) -> Response:
    """Run the handler, once for all requests of one project with the same key.

    Whoever loses a race looks again, and finds the winner's answer. `permits` refuses whom not
    even a kept answer is for.
    """
    key = _key_of(request) if request.method == "POST" else None
    if permits is not None:
        permits(request)
    if key is None or request.dry_run:
        return handler(request)
    key_id, digest = f"{request.context.project_id}/{key}", _digest(request)
    for _ in races():
        once = Once(key_id, digest)
        try:
            if (reply := once.replay()) is not None:
                return reply
            reply = handler(msgspec.structs.replace(request, once=once))
            if not once.answered:  # nothing was to be accepted: it was under way already
                once.keeping(reply).put_alone()
            return reply
        except Claimed:
            continue
        except CofferError:
            if not once.overtaken():
                raise
    raise Contended("The same request is being served at the moment; try again.")


def _key_of(request: Request) -> str | None:
    """The key, with the draft's quotes or without; None when there is none."""
    given = request.headers.get(HEADER)
    if given is None:
        return None
    found = _KEY.fullmatch(given.strip())
    if found is None:
        raise BadRequest(
            f"The Idempotency-Key must be 1 to {MOST_KEY} visible ASCII characters without quotes."
        )
    return found["key"]


def _digest(request: Request) -> str:
    """What makes two requests the same: resource, query and body, byte for byte."""
    place = request.place
    where = (place.template, sorted(place.params.items()), sorted(place.query.items()))
    return hashlib.sha256(msgspec.json.encode(where) + b"\n" + request.body).hexdigest()
