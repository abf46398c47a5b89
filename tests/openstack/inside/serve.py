"""Serves the WSGI application of an OpenStack service: `serve.py MODULE PORT [argument …]`.

The arguments are the service's own: its configuration reads `sys.argv`, so that gunicorn's are kept
out of it.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from gunicorn.app.base import BaseApplication

THREADS = 8


class Served(BaseApplication):
    """One worker with threads: what a service keeps in memory, it keeps once."""

    def __init__(self, module: str, port: str) -> None:
        self._module = module
        self._port = port
        super().__init__()

    def load_config(self) -> None:
        """The few settings; the application is loaded in the worker."""
        settings = {
            "bind": f"127.0.0.1:{self._port}",
            "worker_class": "gthread",
            "workers": 1,
            "threads": THREADS,
            "timeout": 0,
            "graceful_timeout": 2,
            "control_socket_disable": True,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """The application; what it parses is the service's own command line."""
        return importlib.import_module(self._module).application


if __name__ == "__main__":
    _, module, port, *rest = sys.argv
    sys.argv = [module, *rest]
    Served(module, port).run()
