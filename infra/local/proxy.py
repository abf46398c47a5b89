"""A reverse proxy for one API (`python -m infra.local.proxy`): the local stack's front.

On AWS a domain name with a base path does the same. It passes each request on under the path of
the emulator's API, answers as the API did, and says in Trove's form when it cannot.
"""

import argparse
import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import urlsplit

import msgspec

from chalicelib import problems
from chalicelib.errors import BadRequest, CofferError, OverLimit, Unavailable

# Longer than API Gateway waits for a function (29 s), so that its own answer comes first.
API_SECONDS: Final = 35
IDLE_SECONDS: Final = 60
MAX_BODY_BYTES: Final = 10 * 2**20  # API Gateway's own limit
BACKLOG: Final = 128
# Each request under way is a process of the emulator: a burst waits here for its turn rather than
# start a hundred of them. A guest that is slow to answer holds its caller's place for 20 s.
MOST_AT_ONCE: Final = 16
# They belong to one connection, or are written anew here.
NOT_PASSED_ON: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
        *("upgrade", "host", "content-length", "date", "server"),
    }
)


class Front(ThreadingHTTPServer):
    """Listens on loopback and knows where the API is."""

    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(self, host: str, port: int, target: str) -> None:
        parts = urlsplit(target)
        self.upstream = (parts.hostname or "", parts.port or 80)
        self.path = parts.path.rstrip("/")
        self.turns = threading.BoundedSemaphore(MOST_AT_ONCE)
        super().__init__((host, port), Handler)


class Handler(BaseHTTPRequestHandler):
    """One connection of a client; it may carry many requests."""

    server: Front
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # Head and body are two writes: on a connection that is kept, Nagle's algorithm holds the second
    # one back until the client acknowledges the first, which it does 40 ms later.
    disable_nagle_algorithm = True

    def pass_on(self) -> None:
        """Ask the API the same and answer the same."""
        body = self._body()
        if body is None:
            return
        if not self.server.turns.acquire(timeout=API_SECONDS):
            self._refuse(Unavailable("The API is busy. Please try again."))
            return
        try:
            self._exchange(body)
        finally:
            self.server.turns.release()

    def _exchange(self, body: bytes) -> None:
        upstream = http.client.HTTPConnection(*self.server.upstream, timeout=API_SECONDS)
        try:
            upstream.request(
                self.command, self.server.path + self.path, body, self._headers_to_pass_on()
            )
            answer = upstream.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._refuse(Unavailable(f"The API does not answer: {error}."))
            return
        finally:
            upstream.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in NOT_PASSED_ON:
                self.send_header(name, value)
        self._send(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = pass_on  # noqa: N815

    def _headers_to_pass_on(self) -> dict[str, str]:
        return {
            name: value for name, value in self.headers.items() if name.lower() not in NOT_PASSED_ON
        }

    def _body(self) -> bytes | None:
        """The request's body; None when it was refused here."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            self._refuse(BadRequest("A body needs a Content-Length."))
        elif len(length) > len(str(MAX_BODY_BYTES)) or int(length) > MAX_BODY_BYTES:
            self._refuse(OverLimit("The request body is too large."))
        else:
            return self.rfile.read(int(length))
        return None

    def _refuse(self, error: CofferError) -> None:
        kind, body = problems.told(error, self.headers.get("Accept", ""))
        self.close_connection = True  # what is left of the request is not read
        self.send_response(error.status)
        self.send_header("Content-Type", kind)
        self.send_header("Connection", "close")
        self._send(msgspec.json.encode(body))

    def _send(self, content: bytes) -> None:
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """The API logs its requests; only what fails here is of interest."""

    def log_error(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """A client that went away, or a request that is none."""
        super().log_message(format, *args)


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--target", required=True, help="URL of the API, with its path")
    chosen = parser.parse_args()
    Front(chosen.host, chosen.port, chosen.target).serve_forever()


if __name__ == "__main__":
    main()
