"""Where the API answers on this machine: chosen, remembered, and free before anything starts."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from infra.errors import PortInUseError
from infra.local import front
from infra.local.settings import StackSettings, resolve
from tests.support.loopback import free_port


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COFFER_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_the_api_answers_at_the_port_behind_that_of_aws_or_at_the_chosen_one(state: Path) -> None:
    StackSettings(state, aws_port=5000).record()
    assert resolve().api_url == "http://127.0.0.1:5001"
    assert resolve(aws_port=6000).api_url == "http://127.0.0.1:6001"
    resolve(api_port=7000).record()
    assert resolve().api_url == "http://127.0.0.1:7000"


def test_a_taken_port_is_told_with_the_option_that_chooses_another(state: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        settings = StackSettings(state, chosen_api_port=port)
        with pytest.raises(PortInUseError) as raised:
            front.require_place(settings)
    assert f"--api-port {port + 1}" in raised.value.advice


# It outlives the command that starts it, which is its parent.
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_the_front_is_started_moved_with_the_api_and_stopped(state: Path) -> None:
    settings = StackSettings(state, chosen_api_port=free_port())
    assert front.ensure(settings, "http://127.0.0.1:1/first")
    try:
        first = front.process(settings).running()
        assert first is not None
        assert not front.ensure(settings, "http://127.0.0.1:1/first")
        assert front.ensure(settings, "http://127.0.0.1:1/second")
        second = front.process(settings).running()
        assert second is not None
        assert second.pid != first.pid
    finally:
        front.process(settings).stop()
    # Its port is free, and may be another test's by now: who answers there says nothing.
    assert front.process(settings).running() is None
