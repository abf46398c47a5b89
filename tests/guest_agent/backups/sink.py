"""A store that takes and gives objects over HTTP, in a process of its own: files in a folder."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PIECE_BYTES = 1024**2


class Handler(BaseHTTPRequestHandler):
    folder: Path
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"])
        with self._file().open("wb") as file:
            while left:
                left -= file.write(self.rfile.read(min(left, PIECE_BYTES)))
        self._head(0)

    def do_GET(self) -> None:
        content = self._file().read_bytes()
        self._head(len(content))
        self.wfile.write(content)

    def _file(self) -> Path:
        return self.folder / self.path.replace("/", "_")

    def _head(self, size: int) -> None:
        self.send_response_only(200)
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Quiet."""


if __name__ == "__main__":
    handler = type("Handler", (Handler,), {"folder": Path(sys.argv[2])})
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler).serve_forever()
