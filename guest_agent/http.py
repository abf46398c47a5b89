"""HTTP as the agent speaks it: a request and its answer, with a bound on the whole and on its size.

Whoever answers may be slow on purpose, or somebody else: an answer is read neither longer nor
further than the caller allows, is not unpacked, and a redirect is not followed.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from functools import cached_property
from typing import Final

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from guest_agent.bounded_socket import BoundedSocket
from guest_agent.enrolment import Reply

CONNECT_SECONDS: Final = 5.0
"""For each address of the host, and for TLS; how long names take is the resolver's setting."""
ANSWER_BYTES: Final = 4 * 1024**2
"""Ten commands of the bus's greatest size, and what JSON adds to them; headers count."""
CONNECTIONS_KEPT: Final = 4
"""The loop's long poll, the pulse, and workers with their answers."""
_PIECE_BYTES: Final = 64 * 1024  # room is made for a piece, whatever length the answer declares


class _Socket(BoundedSocket):
    """urllib3 says at the start of each phase how long it may take: that bounds all of it."""

    def __init__(self, plain: socket.socket, answer_bytes: int) -> None:
        super().__init__(plain, CONNECT_SECONDS, answer_bytes)
        self._answer_bytes = answer_bytes

    def settimeout(self, seconds: float | None) -> None:
        assert seconds is not None, "every request has a bound"
        self.allow(seconds, self._answer_bytes)


Pools = dict[str, type[HTTPConnectionPool]]


def pools(answer_bytes: int) -> Pools:
    """urllib3's pools by scheme, of connections whose answers have at most so many bytes."""

    def bound(connection: HTTPConnection) -> None:
        assert connection.sock is not None, "it has just been connected"
        connection.sock = _Socket(connection.sock, answer_bytes).as_socket()

    class Connection(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            bound(self)

    class TlsConnection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            bound(self)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": Pool, "https": TlsPool}


_USUAL: Final = pools(ANSWER_BYTES)


class Http:
    """Connections that are kept; certificates are verified against the system's authorities.

    `kinds` bound an answer, `send_seconds` a request until all of it is sent, with the connection
    before it, within what the whole may take.
    """

    def __init__(self, kinds: Pools = _USUAL, send_seconds: float = CONNECT_SECONDS) -> None:
        self._kinds = kinds
        self._send_seconds = send_seconds

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        """Made with the first request: who only might ask, as a simulated guest, holds none."""
        made = urllib3.PoolManager(maxsize=CONNECTIONS_KEPT, retries=False)
        made.pool_classes_by_scheme = self._kinds
        return made

    def post(self, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Reply:
        """The answer; raises urllib3's `HTTPError` when there is none within so many seconds."""
        return self.ask("POST", url, body, headers, seconds)

    def get(self, url: str, headers: Mapping[str, str], seconds: float) -> Reply:
        """As `post`, of what is only read."""
        return self.ask("GET", url, None, headers, seconds)

    def ask(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        seconds: float,
    ) -> Reply:
        """The same of any method."""
        answer = self._pool.request(
            method,
            url,
            body=body,
            headers=headers,
            timeout=urllib3.Timeout(connect=min(self._send_seconds, seconds), total=seconds),
            redirect=False,
            preload_content=False,
        )
        read = b"".join(answer.stream(_PIECE_BYTES, decode_content=False))
        told = answer.headers
        return Reply(answer.status, read, told.get("Date"), told.get("Retry-After"))
