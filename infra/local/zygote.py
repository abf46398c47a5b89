"""It has imported the libraries of a function's package, and forks to be the function's process.

A start from nothing costs more than half a second of a core, most of it the same imports again. It
runs as a script in MiniStack's own environment (`forks` starts it and speaks with it) and imports
nothing of Coffer's: what a function's own modules read as they are imported is the function's.

A message on its standard input, a socket, is `{"script", "folder", "environment"}` and comes with
three file descriptors, those of the process to be. The answer is its id and its pidfd.
"""

import contextlib
import gc
import json
import os
import runpy
import select
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Final

MOST_BYTES: Final = 200_000
REAP_SECONDS: Final = 1.0
STREAMS: Final = 3
LIBRARIES: Final = (
    "boto3",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "cryptography.hazmat.primitives.ciphers.aead",
    "cryptography.hazmat.primitives.kdf.hkdf",
    "keystoneauth1.session",
    "msgspec",
    "openstack",
    "pynamodb.models",
    "pynamodb.transactions",
    "requests",
)
"""What some function's cold start spends time on; a package may lack some of them."""


def main(folder: str) -> None:
    """Import from the folder of an unpacked package, and fork until the other side closes."""
    sys.path.insert(0, folder)
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            import_module(library)
    sys.path.remove(folder)
    gc.freeze()  # a collection in a fork would copy the pages that they share
    with socket.socket(fileno=sys.stdin.fileno()) as asked:
        while True:
            _reap()
            if not select.select([asked], [], [], REAP_SECONDS)[0]:
                continue
            message, descriptors, *_ = socket.recv_fds(asked, MOST_BYTES, STREAMS)
            if not message:
                return
            if (child := os.fork()) == 0:
                _become(json.loads(message), descriptors)
            _answer(asked, child, descriptors)


def _answer(asked: socket.socket, child: int, descriptors: list[int]) -> None:
    handle = os.pidfd_open(child)  # it is reaped nowhere else: the id is still its own
    socket.send_fds(asked, [str(child).encode()], [handle])
    for each in (*descriptors, handle):
        os.close(each)


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _become(wanted: dict[str, Any], descriptors: list[int]) -> None:
    """Be the process that runs the script, and end with it."""
    code = 1
    try:
        for number, each in enumerate(descriptors):
            os.dup2(each, number)  # the socket goes with the old standard input
            os.close(each)
        os.chdir(wanted["folder"])
        os.environ.clear()
        os.environ.update(wanted["environment"])
        sys.argv = [wanted["script"]]
        sys.path[0] = str(Path(wanted["script"]).parent)
        runpy.run_path(wanted["script"], run_name="__main__")
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
