"""`coffer up --endpoint`: what is refused before anything starts, and what is remembered."""

import subprocess
from pathlib import Path

import pytest

from infra.errors import StackError
from infra.local import certificate
from infra.local.settings import StackSettings, resolve
from tests.infra.test_cli import coffer
from tests.support.loopback import free_port

LOCALSTACK = Path(__file__).parents[2] / "infra" / "local" / "localstack.sh"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COFFER_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_an_endpoint_that_does_not_answer_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    port = free_port()
    done = coffer(tmp_path, "up", "--endpoint", f"http://127.0.0.1:{port}")
    assert done.returncode == 1
    assert f"No AWS answers at http://127.0.0.1:{port}" in done.stderr
    assert "without --endpoint" in done.stderr
    assert not (tmp_path / "config.json").exists()


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize(
    "url", ["127.0.0.1:4566", "http://", "ftp://host:1", "http://host:4566/path", "http://h:x"]
)
def test_what_is_no_base_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(StackError) as raised:
        resolve(aws_endpoint=url)
    assert "http://127.0.0.1:4566" in raised.value.advice


def test_the_endpoint_is_remembered_for_the_commands_to_come(state: Path) -> None:
    StackSettings(state, aws_endpoint="http://127.0.0.1:4000").record()
    assert resolve().aws_url == "http://127.0.0.1:4000"
    assert resolve(aws_endpoint="http://127.0.0.1:4001/").aws_url == "http://127.0.0.1:4001"


def test_down_without_its_endpoint_says_that_the_stack_was_not_removed(state: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    StackSettings(state, aws_endpoint=url).record()
    done = coffer(state, "down")
    assert done.returncode == 1
    assert "was not removed" in done.stderr
    again = coffer(state, "down")
    assert again.returncode == 0


def test_without_a_localstack_the_target_says_how_to_name_one(tmp_path: Path) -> None:
    script = tmp_path / "a" / "b" / "c" / "localstack.sh"
    script.parent.mkdir(parents=True)
    script.write_text(LOCALSTACK.read_text())
    done = subprocess.run(
        ["sh", str(script), "true"],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "AWS_ENDPOINT_URL=" in done.stderr


def test_a_given_localstack_is_handed_to_the_command() -> None:
    done = subprocess.run(
        ["sh", str(LOCALSTACK), "sh", "-c", "echo at $COFFER_WIRE_ENDPOINT"],
        env={"PATH": "/usr/bin:/bin", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == "at http://127.0.0.1:9\n"


def test_the_certificate_is_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "certificate.pem"
    certificate.main(file)
    assert file.stat().st_mode & 0o077 == 0
    assert file.read_bytes().count(b"-----BEGIN") == 2
