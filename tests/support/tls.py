"""TLS before a service of this machine, with a certificate that no public authority has signed."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from infra.local import certificate
from tests.support.loopback import free_port

BLOCK = 65536


@contextmanager
def tls_before(port: int, folder: Path) -> Iterator[tuple[int, Path]]:
    """The port with TLS that leads to that one, and the file with its authority's certificate."""
    both = folder / "key-and-certificate.pem"
    both.write_bytes(certificate.make(datetime.now(UTC)))
    authority = folder / "authority.pem"
    begin = both.read_text().index("-----BEGIN CERTIFICATE")
    authority.write_text(f"Our own authority\n{both.read_text()[begin:]}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    listening = free_port()
    with socket.create_server(("127.0.0.1", listening)) as server:
        accepting = threading.Thread(target=_accept, args=(server, context, port))
        accepting.start()
        try:
            yield listening, authority
        finally:
            server.shutdown(socket.SHUT_RDWR)
            accepting.join()


def _accept(server: socket.socket, context: ssl.SSLContext, port: int) -> None:
    while True:
        try:
            raw, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(raw, context, port), daemon=True).start()


def _serve(raw: socket.socket, context: ssl.SSLContext, port: int) -> None:
    """One connection; a client that does not trust us ends it."""
    with (
        suppress(OSError),
        raw,
        context.wrap_socket(raw, server_side=True) as client,
        socket.create_connection(("127.0.0.1", port)) as service,
    ):
        back = threading.Thread(target=_copy, args=(service, client), daemon=True)
        back.start()
        _copy(client, service)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while block := source.recv(BLOCK):
            target.sendall(block)
        target.shutdown(socket.SHUT_WR)
