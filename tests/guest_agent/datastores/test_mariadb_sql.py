"""The agent's sessions: what they must not do on their way to the server."""

from __future__ import annotations

import os
import ssl
import time
from pathlib import Path

import pytest

from guest_agent.datastores import session
from guest_agent.datastores.mariadb import sql


def test_a_session_by_the_local_socket_makes_no_tls_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loading every certificate authority of the system was two thirds of a guest's answer."""

    def loaded(*_: object, **__: object) -> None:
        raise AssertionError("a TLS context for a local socket")

    monkeypatch.setattr(ssl, "create_default_context", loaded)
    with pytest.raises(session.NotListening):
        sql.connect(tmp_path, "nobody", os.getuid(), time.monotonic() + 10)
