"""The local stack's front: what goes through it, and what it says when it cannot."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from infra.local.proxy import MAX_BODY_BYTES, Front
from tests.support.loopback import free_port


class Api(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        told = {
            "method": self.command,
            "path": self.path,
            "token": self.headers.get("X-Auth-Token"),
            "body": body.decode(),
        }
        content = json.dumps(told).encode()
        self.send_response(202)
        self.send_header("X-OpenStack-Request-Id", "req-1")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def served(server: ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def api_port() -> Iterator[int]:
    yield from served(ThreadingHTTPServer(("127.0.0.1", 0), Api))


@pytest.fixture
def front_port(api_port: int) -> Iterator[int]:
    yield from served(Front("127.0.0.1", 0, f"http://127.0.0.1:{api_port}/_aws/api/id/stage"))


def ask(connection: http.client.HTTPConnection, method: str, path: str, **more: Any) -> Any:
    connection.request(method, path, **more)
    answer = connection.getresponse()
    return answer, json.loads(answer.read())


def test_an_answer_on_a_kept_connection_is_not_held_back(
    front_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its head and body are two writes: without the option the second waits for 40 ms."""
    accepted: list[socket.socket] = []

    def remembered(front: Front) -> tuple[socket.socket, Any]:
        found = ThreadingHTTPServer.get_request(front)
        accepted.append(found[0])
        return found

    monkeypatch.setattr(Front, "get_request", remembered)
    connection = http.client.HTTPConnection("127.0.0.1", front_port, timeout=10)
    ask(connection, "GET", "/v1.0")
    (ours,) = accepted
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    connection.close()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_request_arrives_below_the_emulators_path_as_it_was_sent(
    front_port: int, method: str
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", front_port, timeout=10)
    for path in ("/v1.0/p/instances?marker=a%2540b", "/v1.0/p/users/ann%40%25"):  # one connection
        answer, told = ask(connection, method, path, body=b"{}", headers={"X-Auth-Token": "t"})
        assert answer.status == 202
        assert answer.headers["X-OpenStack-Request-Id"] == "req-1"
        assert told == {
            "method": method,
            "path": f"/_aws/api/id/stage{path}",
            "token": "t",
            "body": "{}",
        }
    connection.close()


def test_an_api_that_is_away_is_503_in_troves_form() -> None:
    for port in served(Front("127.0.0.1", 0, f"http://127.0.0.1:{free_port()}/api")):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        answer, told = ask(connection, "GET", "/v1.0/p/instances")
        assert answer.status == 503
        assert told["serviceUnavailable"]["code"] == 503
        connection.request("GET", "/v1.0/p", headers={"Accept": "application/problem+json"})
        problem = connection.getresponse()
        assert problem.headers["Content-Type"] == "application/problem+json"
        assert json.loads(problem.read())["status"] == 503
        connection.close()


def test_a_body_without_a_length_or_too_large_is_refused(front_port: int) -> None:
    for headers, status in (
        ({"Transfer-Encoding": "chunked"}, 400),
        ({"Content-Length": "-1"}, 400),
        ({"Content-Length": str(MAX_BODY_BYTES + 1)}, 413),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", front_port, timeout=10)
        connection.putrequest("POST", "/v1.0/p/instances")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status == status
        connection.close()
