"""What one local stack is made of: its state folder, ports and secrets.

A value comes from the command line, else the environment, else what the last `up` recorded, else
the default, so that `down` and `openrc` need no options.
"""

import base64
import hashlib
import ipaddress
import json
import os
import secrets
import stat
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from chalicelib import parameters
from chalicelib.bus.envelope import KEY_BYTES
from chalicelib.parameters import Credential
from infra.errors import StackError
from infra.package.sources import PROJECT_ROOT
from infra.target import Target

HOST: Final = "127.0.0.1"
REGION: Final = "us-east-1"
STACK_NAME: Final = "coffer"
# The emulator takes any key; this pair stands for its one account.
ACCESS_KEY_ID: Final = "test"
SECRET_ACCESS_KEY: Final = "test"  # noqa: S105 - not a secret, see above
SECRETS_PATH: Final = "/coffer"

DEFAULT_AWS_PORT: Final = 4566
DEFAULT_CLOUD_PORT: Final = 15000
DEFAULT_GUEST_NETWORK: Final = "127.77.0.0/16"


@dataclass(frozen=True)
class StackSettings:
    """Where a local stack lives and which ports and addresses it takes."""

    state: Path
    aws_port: int = DEFAULT_AWS_PORT
    cloud_port: int = DEFAULT_CLOUD_PORT
    guest_network: str = DEFAULT_GUEST_NETWORK
    parameters: dict[str, str] = field(default_factory=dict)
    # Where the API answers; None for the port behind that of AWS.
    chosen_api_port: int | None = None
    # An AWS that somebody else runs; None for the embedded one.
    aws_endpoint: str | None = None
    # What starts a guest's agent; None for the agent itself.
    agent_command: str | None = None

    @property
    def aws_url(self) -> str:
        return self.aws_endpoint or f"http://{HOST}:{self.aws_port}"

    @property
    def api_port(self) -> int:
        return self.chosen_api_port or self.aws_port + 1

    @property
    def api_url(self) -> str:
        """The root of the API: its version and the project stand behind it."""
        return f"http://{HOST}:{self.api_port}"

    @property
    def cloud_url(self) -> str:
        return f"http://{HOST}:{self.cloud_port}"

    @property
    def auth_url(self) -> str:
        return f"{self.cloud_url}/identity/v3"

    @property
    def config_file(self) -> Path:
        return self.state / "config.json"

    @property
    def ministack(self) -> Path:
        return self.state / "ministack"

    @property
    def front(self) -> Path:
        return self.state / "front"

    @property
    def cloud(self) -> Path:
        return self.state / "cloud"

    @property
    def target(self) -> Target:
        """The emulator, as a place to deploy to."""
        return Target(REGION, self.aws_url, ACCESS_KEY_ID, SECRET_ACCESS_KEY)

    def aws_environment(self) -> dict[str, str]:
        """The variables that lead any AWS client to the emulator."""
        return {
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_DEFAULT_REGION": REGION,
        }

    def recorded(self) -> dict[str, Any]:
        """What the last `up` wrote down; empty before the first."""
        return _read_json(self.config_file)

    def record(self, **values: Any) -> None:
        """Write the settings and `values` down for the commands to come."""
        write_private(
            self.config_file,
            self.recorded()
            | {
                "aws_port": self.aws_port,
                "cloud_port": self.cloud_port,
                "api_port": self.api_port,
                "chosen_api_port": self.chosen_api_port,
                "guest_network": self.guest_network,
                "parameters": self.parameters,
                "aws_endpoint": self.aws_endpoint,
                "agent_command": self.agent_command,
            }
            | values,
        )


@dataclass(frozen=True)
class Secrets:
    """What only the stack and its owner know; kept in a file of mode 0600.

    `deployment_id` is no secret, but is made once and kept like one: it marks what is this
    deployment's in the cloud.
    """

    deployment_id: str
    admin_password: str
    service_password: str
    validation_password: str
    demo_password: str
    guest_key: str
    control_key: str
    backup_key: str
    container_key: str

    def bootstrap(self) -> dict[str, str]:
        """What the local cloud is told at its start."""
        return {
            "region": "RegionOne",
            "admin_password": self.admin_password,
            "service_password": self.service_password,
            "validation_password": self.validation_password,
            "demo_password": self.demo_password,
        }

    def credentials(self) -> dict[str, Credential]:
        """The users of the local cloud that the functions are, by their group."""
        return {
            parameters.CLOUD: Credential("coffer", self.service_password),
            parameters.IDENTITY: Credential("coffer-api", self.validation_password),
        }

    def ring(self, name: str) -> bytes:
        """The first key of a new deployment's ring."""
        keys = {
            parameters.GUEST_KEYS: self.guest_key,
            parameters.CONTROL_KEYS: self.control_key,
            parameters.BACKUP_KEYS: self.backup_key,
            parameters.CONTAINER_KEYS: self.container_key,
        }
        return base64.b64decode(keys[name])


def resolve(
    *,
    aws_port: int | None = None,
    cloud_port: int | None = None,
    api_port: int | None = None,
    guest_network: str | None = None,
    parameters: dict[str, str] | None = None,
    aws_endpoint: str | None = None,
    agent_command: str | None = None,
) -> StackSettings:
    """The settings of the stack that this command means."""
    state = state_folder()
    recorded = _read_json(state / "config.json")
    if aws_endpoint is not None:
        aws_endpoint = _checked_endpoint(aws_endpoint)
    network = str(guest_network or recorded.get("guest_network", DEFAULT_GUEST_NETWORK))
    try:
        loopback = ipaddress.ip_network(network).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise StackError(
            f"The guest network {network!r} is not a part of 127.0.0.0/8.",
            "Guests on one machine live on loopback addresses: try --guest-network 127.78.0.0/16",
        )
    return StackSettings(
        state=state,
        aws_port=int(aws_port or recorded.get("aws_port", DEFAULT_AWS_PORT)),
        cloud_port=int(cloud_port or recorded.get("cloud_port", DEFAULT_CLOUD_PORT)),
        chosen_api_port=api_port or recorded.get("chosen_api_port"),
        guest_network=network,
        parameters=parameters if parameters is not None else recorded.get("parameters", {}),
        aws_endpoint=aws_endpoint or recorded.get("aws_endpoint"),
        agent_command=agent_command or recorded.get("agent_command"),
    )


def _checked_endpoint(url: str) -> str:
    """The endpoint without a slash at its end; raises StackError for what is no base URL."""
    parts = urlsplit(url)
    try:
        sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.path.strip("/") or parts.query or parts.fragment:
        raise StackError(
            f"The endpoint {url!r} is not the base URL of an AWS.",
            "Write it with its scheme and port: coffer up --endpoint http://127.0.0.1:4566",
        )
    return url.rstrip("/")


def state_folder() -> Path:
    """`$COFFER_STATE`, else `.coffer` here, else, where others can't enter, one under /var/tmp."""
    if chosen := os.environ.get("COFFER_STATE"):
        return Path(chosen).absolute()
    here = Path.cwd()
    if os.geteuid() != 0 or others_can_enter(here):
        return here / ".coffer"
    name = hashlib.sha256(str(here).encode()).hexdigest()[:10]
    return Path("/var/tmp") / f"coffer-{name}"  # noqa: S108 - the name is ours and made with 0755


def others_can_enter(folder: Path) -> bool:
    """Whether another user can reach `folder`: the database runs as one when we are root."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    resolved = existing.resolve()
    return all(path.stat().st_mode & stat.S_IXOTH for path in (resolved, *resolved.parents))


def cache_folder() -> Path:
    """Where builds, dependencies and the emulator's environment are kept between stacks."""
    if chosen := os.environ.get("COFFER_CACHE"):
        return Path(chosen).absolute()
    if (PROJECT_ROOT / "pyproject.toml").exists():
        return PROJECT_ROOT / ".cache"
    # Installed from a wheel: beside the packages nothing is written.
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return (Path(caches) / "coffer").absolute()


def load_secrets(settings: StackSettings) -> Secrets:
    """The secrets of the stack, made at the first call."""
    file = settings.state / "secrets.json"
    known = _read_json(file)
    made = {
        "deployment_id": str(uuid.uuid4()),
        "admin_password": secrets.token_urlsafe(18),
        "service_password": secrets.token_urlsafe(18),
        "validation_password": secrets.token_urlsafe(18),
        "demo_password": secrets.token_urlsafe(18),
        "guest_key": base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode(),
        "control_key": base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode(),
        "backup_key": base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode(),
        "container_key": base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode(),
    }
    if made.keys() != known.keys():
        known = {name: known.get(name, value) for name, value in made.items()}
        write_private(file, known)
    return Secrets(**known)


def write_private(file: Path, content: dict[str, Any]) -> None:
    """Replace a JSON file that only its owner can read."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(content, stream, indent=2)
    new.replace(file)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise StackError(
            f"{file} can't be read: {error}", "Remove it, then run: coffer down; coffer up"
        ) from error
    return content if isinstance(content, dict) else {}
