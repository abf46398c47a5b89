"""A server that is slow, endless or somewhere else holds the agent no longer than it allows."""

from __future__ import annotations

import contextlib
import datetime
import gzip
import ipaddress
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from urllib3.exceptions import HTTPError

from chalicelib import aws
from guest_agent import http
from guest_agent.clock import ServiceClock
from guest_agent.errors import Unreachable
from guest_agent.http import Http
from guest_agent.transport import CALL_SECONDS, HttpPost, SqsQueues
from tests.guest_agent.fakes import session

PAUSE_SECONDS = 0.05
OK = b"HTTP/1.1 200 OK\r\n"
Answer = Callable[[], Iterable[bytes]]


class Server:
    """Takes connections, reads nothing but that a request began, and answers as it is told."""

    def __init__(self, answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self._answer = answer
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._listen)]
        self._threads[0].start()
        scheme = "https" if context else "http"
        self.requests = 0
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/"

    def close(self) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while not self._ended.is_set():
                taken, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(taken,)))
                self._threads[-1].start()

    def _serve(self, taken: socket.socket) -> None:
        with contextlib.suppress(OSError), taken:
            wrapped = self._context.wrap_socket(taken, server_side=True) if self._context else taken
            with wrapped:
                wrapped.recv(65536)
                self.requests += 1
                for piece in self._answer():
                    wrapped.sendall(piece)
                    if len(piece) == 1 and self._ended.wait(PAUSE_SECONDS):
                        return


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def start(answer: Answer, context: ssl.SSLContext | None = None) -> Server:
        made.append(Server(answer, context))
        return made[-1]

    yield start
    for server in made:
        server.close()


def dribbled(start: bytes) -> Answer:
    """This at once, and then a byte now and then without an end."""
    return lambda: itertools.chain([start], itertools.repeat(b"x"))


SLOW = [
    pytest.param(dribbled(b"HTTP/1.1 200 "), id="the status line"),
    pytest.param(dribbled(OK + b"Date: "), id="a header"),
    pytest.param(dribbled(OK + b"Content-Length: 1000000\r\n\r\n"), id="the body"),
    pytest.param(dribbled(OK + b"\r\n"), id="a body without a length"),
    pytest.param(
        dribbled(OK + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n"), id="a body in chunks"
    ),
]


@pytest.mark.parametrize("answer", SLOW)
def test_an_answer_that_dribbles_ends_at_the_bound_of_the_whole(
    serve: Callable[..., Server], answer: Answer
) -> None:
    """Each byte comes long before the bound, and there is always another one."""
    server = serve(answer)
    with pytest.raises(HTTPError):
        Http().post(server.url, b"{}", {}, seconds=20 * PAUSE_SECONDS)


def test_so_it_does_under_tls(
    serve: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(dribbled(OK + b"Content-Length: 1000000\r\n\r\n"), certified(tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    with pytest.raises(HTTPError):
        Http().post(server.url, b"{}", {}, seconds=20 * PAUSE_SECONDS)
    assert server.requests == 1, "the certificate is taken"


def endless(start: bytes, piece: bytes = bytes(65536)) -> Answer:
    return lambda: itertools.chain([start], itertools.repeat(piece))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(endless(OK + b"\r\n"), id="a body"),
        pytest.param(endless(OK, b"X: " + bytes(60_000) + b"\r\n"), id="headers"),
        pytest.param(endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 2), id="no answer at all"),
        pytest.param(
            endless(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 10_000),
            id="a body in chunks",
        ),
        pytest.param(
            lambda: [OK + b"Content-Length: %d\r\n\r\nx" % 10**15], id="a length it never has"
        ),
        pytest.param(
            lambda: [OK + b"Transfer-Encoding: chunked\r\n\r\n%x\r\nx" % 10**15],
            id="a chunk it never has",
        ),
    ],
)
def test_an_answer_without_an_end_is_not_kept(serve: Callable[..., Server], answer: Answer) -> None:
    server = serve(answer)
    with pytest.raises(HTTPError) as ended:
        Http(http.pools(1024 * 1024)).post(server.url, b"{}", {}, seconds=20.0)
    assert "Time" not in repr(ended.value), "its size ends it, not the bound of time"


def test_an_answer_is_not_unpacked(serve: Callable[..., Server]) -> None:
    """A few bytes would become as many as somebody likes."""
    packed = gzip.compress(bytes(100_000))
    head = OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    server = serve(lambda: [head + packed])
    assert Http().post(server.url, b"{}", {}, seconds=30.0).body == packed


def redirected(target: str) -> Answer:
    head = f"HTTP/1.1 307 Go On\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
    return lambda: [head.encode()]


def test_a_redirect_is_neither_followed_nor_taken_for_an_answer(
    serve: Callable[..., Server],
) -> None:
    """Or a report would be lost that somebody says is somewhere else, and keys be shown there."""
    other = serve(lambda: [OK + b"Content-Length: 2\r\n\r\n{}"])
    server = serve(redirected(other.url))
    queues = SqsQueues("us-east-1", server.url, ServiceClock())
    queues.adopt(session())
    with pytest.raises(Unreachable):
        queues.report("body")
    assert HttpPost()(server.url, {}).status == 307
    assert (server.requests, other.requests) == (2, 0)


def test_a_queue_that_hangs_holds_a_report_no_longer_than_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All attempts together have the bound, whatever each of them may take."""
    told: list[float] = []
    queues = SqsQueues("us-east-1", "http://127.0.0.1:9", ServiceClock())
    queues.adopt(session())
    monkeypatch.setattr(aws, "monotonic", lambda: sum(told))
    monkeypatch.setattr(aws, "sleep", told.append)

    def post(url: str, body: bytes, headers: object, seconds: float) -> None:
        told.append(seconds)
        raise HTTPError

    monkeypatch.setattr(Http, "post", staticmethod(post))
    with pytest.raises(Unreachable, match="did not answer SendMessage in time"):
        queues.report("body")
    assert sum(told) <= CALL_SECONDS + 0.001


def certified(folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate for the loopback address, kept in the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n\r\n", OK + b"Connection: close\r\n\r\n"])
def test_an_answer_of_a_server_that_closes_afterwards_is_read_to_its_end(
    serve: Callable[..., Server], head: bytes
) -> None:
    """The client closes its socket as soon as it has read the head: what follows still comes."""
    body = b"x" * 200_000
    server = serve(lambda: [head, body])
    assert Http().get(server.url, {}, CALL_SECONDS).body == body
