"""`python -m guest_agent --root DIR`: puts the agent together from the real parts and runs it."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from chalicelib import aws, logs
from guest_agent import birth, config, datastores, loop
from guest_agent.agent import Agent
from guest_agent.backups import opening
from guest_agent.clock import ServiceClock
from guest_agent.config import GuestConfig
from guest_agent.enrolment import Enrolment
from guest_agent.errors import ConfigurationMissing, GuestAgentError
from guest_agent.identity import DiskIdentity
from guest_agent.journal_store import SqliteStore
from guest_agent.manager import Manager
from guest_agent.releases import Releases
from guest_agent.transport import HttpPost, SqsQueues

_log = logging.getLogger("guest_agent")


def main(arguments: list[str] | None = None) -> int:
    """Run until the guest is retired (0), cannot start (2) or has lost its control plane (1)."""
    options = _parser().parse_args(arguments)
    logs.set_up_guest(options.log_level)
    releases = Releases(Path(options.root))
    releases.hand_over(sys.argv[1:] if arguments is None else arguments)
    try:
        guest = birth.load(Path(options.root))
        manager = datastores.manager(guest)
        manager.releases = releases
        aws.spawn(lambda: _start_up(manager), name="start-up")
        aws.spawn(lambda: loop.watch(manager), name="watch")
        loop.run(_agent(guest, manager))
    except ConfigurationMissing as error:
        _log.error("The guest agent cannot start: %s", error)
        return 2
    except GuestAgentError as error:
        _log.error("The guest agent stops: %s", error)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="guest_agent",
        description="The Coffer guest agent: manages the database server of one instance.",
        epilog=(
            f"Below the root directory it reads {config.AGENT_FILE} (from the server's user data) "
            f"and {birth.FOLDER}, or on a server of its own the disk named config-2, or the "
            f"metadata service, and keeps its key, its journal and its secrets in "
            f"{config.STATE_FOLDER}. Exit codes: 0 this guest is retired, 1 the control plane "
            "stayed out of reach, 2 the configuration is missing, 75 another release is to run."
        ),
    )
    parser.add_argument("--root", default="/", help='root directory of the server (default "/")')
    parser.add_argument(
        "--log-level",
        default="INFO",
        choices=["DEBUG", "INFO", "WARNING", "ERROR"],
        help="how much is written to standard error (default INFO)",
    )
    return parser


def _agent(guest: GuestConfig, manager: Manager) -> Agent:
    clock = ServiceClock()
    enrolment = Enrolment(guest, DiskIdentity(guest.state_folder), HttpPost(), clock)
    manager.open_store = opening.opener(enrolment.storage, clock)
    manager.list_pieces = enrolment.pieces
    return Agent(
        guest.agent,
        enrolment=enrolment,
        queues=SqsQueues(guest.agent.region, guest.agent.aws_endpoint_url, clock),
        store=SqliteStore(guest.state_folder / "journal.sqlite"),
        manager=manager,
        clock=clock,
    )


def _start_up(manager: Manager) -> None:
    try:
        _log.info(manager.start_up())
    except (GuestAgentError, OSError) as error:  # the keeper tries again
        _log.error("The database was not started: %s", error)


if __name__ == "__main__":
    sys.exit(main())
