"""A connected socket on which all reading together has a bound, in seconds and in bytes.

A socket's own timeout is of each read, so a peer that sends one byte now and then holds whoever
reads for as long as it likes; and whoever reads keeps what comes. The clients on top of it (of HTTP
and of the database's protocol) know neither bound, so it stands below them.
"""

from __future__ import annotations

import io
import math
import socket
from collections.abc import Callable
from typing import Any, cast

from chalicelib import aws


class TooMuch(OSError):
    """The peer has sent more than was allowed."""


class BoundedSocket:
    """What clients use of a `socket.socket` or an `ssl.SSLSocket`, with the bounds of `allow`."""

    def __init__(self, plain: socket.socket, seconds: float, size: int) -> None:
        self._files: list[socket.SocketIO] = []
        self._plain = plain
        self._until = -math.inf
        self._left = 0
        self.allow(seconds, size)

    def allow(self, seconds: float, size: int) -> None:
        """From now on so many seconds, and so many bytes to read, for all that is done with it."""
        self._until = aws.monotonic() + seconds
        self._left = size

    def settimeout(self, seconds: float | None) -> None:
        """Nothing: a client's timeout is of one read, and would lift the bound of all."""

    def sendall(self, data: Any) -> None:
        """Send it; `TimeoutError` past the bound."""
        self._wait_at_most()
        self._plain.sendall(data)  # its timeout is of all of it

    def makefile(self, mode: str = "rb", buffering: int | None = None) -> io.BufferedIOBase:
        """What is read from it, as a file; with "rwb", what is written to it too."""
        raw = self._plain.makefile("rb", buffering=0)
        self._files.append(raw)
        reader = _Reader(raw, self._wait_at_most, self._count)
        if mode == "rb":
            return io.BufferedReader(reader)
        return io.BufferedRWPair(reader, _Writer(self.sendall))

    def close(self) -> None:
        """Close it, but for what is being read from it: an answer may still come to its end."""
        self._plain.close()

    def cut(self) -> None:
        """Close what is read from it, too, which a client that has given up may leave open."""
        for each in self._files:
            each.close()
        self._plain.close()

    def __del__(self) -> None:
        self.cut()  # nobody reads any more: each reader holds its socket

    def as_socket(self) -> socket.socket:
        """Itself, for a client that declares to want the real thing."""
        return cast(socket.socket, self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def _wait_at_most(self) -> None:
        left = self._until - aws.monotonic()
        if left <= 0:
            raise TimeoutError("the time for all of the answer is over")
        self._plain.settimeout(left)

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise TooMuch("the answer is longer than is allowed")


class _Writer(io.RawIOBase):
    """The writing side: each buffer goes out whole."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        super().__init__()
        self._send = send

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._send(data)
        return len(data)


class _Reader(io.RawIOBase):
    """The reading side: asks before each read for how long, and tells after it how much."""

    def __init__(
        self, raw: socket.SocketIO, before: Callable[[], None], after: Callable[[int], None]
    ) -> None:
        super().__init__()
        self._raw = raw
        self._before = before
        self._after = after

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._before()
        size = self._raw.readinto(buffer)
        self._after(size or 0)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()
