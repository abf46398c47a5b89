"""A command in a fork (tests/acceptance/commands.py) does what it does in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.acceptance.commands import Ended, give
from tests.cloud.served import PASSWORDS, ServedCloud


@pytest.mark.parametrize(
    "arguments", [("image", "list", "-f", "json"), ("image", "show", "none such")]
)
def test_a_fork_says_what_the_console_script_says(
    cloud: ServedCloud, arguments: tuple[str, ...]
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "OS_AUTH_URL": f"{cloud.url}/identity/v3",
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": "demo",
        "OS_PASSWORD": PASSWORDS["demo_password"],
        "OS_PROJECT_NAME": "demo",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
    }
    done = subprocess.run(
        [str(Path(sys.executable).with_name("openstack")), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert give("openstack", arguments, environment) == Ended(
        done.returncode, done.stdout, done.stderr
    )
