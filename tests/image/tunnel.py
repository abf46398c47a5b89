"""The way to a server that has no address but IPv6's: QEMU forwards ports by IPv4 alone.

    tenant ──▶ 127.0.0.1:port ──▶ Tunnel ◀── [::1]:port ◀── GUEST ──▶ its database
                                          a line that waits

The server keeps a line open to this machine, by QEMU's network of IPv6, until a byte says that a
tenant has come.
"""

from __future__ import annotations

import queue
import select
import socket
import threading
from contextlib import suppress
from typing import Final

from tests.support.loopback import HOST

GUEST: Final = """
import socket, sys, threading, time
HOST, PORT, ADDRESS, DATABASE = sys.argv[1:]

def carry(source, target):
    while piece := source.recv(65536):
        target.sendall(piece)
    target.shutdown(socket.SHUT_WR)

while True:
    try:
        line = socket.create_connection((HOST, int(PORT)))
        if line.recv(1):
            database = socket.create_connection((ADDRESS, int(DATABASE)))
            for each in ((line, database), (database, line)):
                threading.Thread(target=carry, args=each, daemon=True).start()
    except OSError:
        time.sleep(1)
"""
"""The server's end, in the Python of its image."""
LINE_SECONDS: Final = 60.0
"""Until the server has opened the next line."""
PIECE_BYTES: Final = 64 * 1024
GO: Final = b"!"


class Tunnel:
    """Tenants come to a port of this machine, lines to `port` of its IPv6 loopback."""

    def __init__(self, outside_port: int) -> None:
        self._lines: queue.LifoQueue[socket.socket] = queue.LifoQueue()
        self._inside = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self._outside = socket.create_server((HOST, outside_port))
        self.port: int = self._inside.getsockname()[1]
        for serve in (self._park, self._serve):
            threading.Thread(target=serve, daemon=True).start()

    def close(self) -> None:
        """No one comes any more."""
        for each in (self._inside, self._outside):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _park(self) -> None:
        with suppress(OSError):  # closed
            while True:
                self._lines.put(self._inside.accept()[0])

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                tenant = self._outside.accept()[0]
                line = self._line()
                if line is None:
                    tenant.close()
                    continue
                line.sendall(GO)
                for each in ((tenant, line), (line, tenant)):
                    threading.Thread(target=_carry, args=each, daemon=True).start()

    def _line(self) -> socket.socket | None:
        """The newest one: of a server whose power was cut they are closed."""
        with suppress(queue.Empty):
            while True:
                line = self._lines.get(timeout=LINE_SECONDS)
                if not select.select([line], [], [], 0)[0]:
                    return line
                line.close()
        return None


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE_BYTES):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
