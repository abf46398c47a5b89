"""Accounts above all others: os_admin for the agent, and root, closed until it is enabled."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

from chalicelib import aws
from guest_agent.contract import ANY_HOST
from guest_agent.datastores.mariadb.accounts import SUPERUSER
from guest_agent.datastores.mariadb.sql import ADMIN, Session
from guest_agent.files import write_whole

PASSWORD_FILE: Final = "os_admin.password"  # noqa: S105 - a file name
_PASSWORD_BYTES: Final = 24


def admin_password(state_folder: Path) -> str:
    """os_admin's password, made on first use and kept where only the agent reads."""
    path = state_folder / PASSWORD_FILE
    if not path.exists():
        made = base64.urlsafe_b64encode(aws.token_bytes(_PASSWORD_BYTES))
        write_whole(path, made)
    return path.read_text(encoding="ascii")


def secure(session: Session, address: str, password: str) -> None:
    """Make os_admin at the server's own address the agent's way in, and close the others.

    Run by the socket; also right for a volume that another server has used before: os_admin of the
    former address goes, a root that the customer enabled stays.
    """
    admin = session.account(ADMIN, address)
    session.run(f"CREATE USER IF NOT EXISTS {admin} {session.password(password)}")
    session.run(f"ALTER USER {admin} {session.password(password)}")
    session.run(f"GRANT ALL PRIVILEGES ON *.* TO {admin} WITH GRANT OPTION")
    unwanted = session.rows(
        "SELECT User, Host FROM mysql.user WHERE is_role = 'N'"
        " AND (User = '' OR (User = %s AND Host <> %s)"
        " OR (User = %s AND Host NOT IN ('localhost', %s)))",
        ADMIN,
        address,
        SUPERUSER,
        ANY_HOST,
    )
    for name, host in unwanted:
        session.run(f"DROP USER {session.account(name, host)}")
    local = session.account(SUPERUSER, "localhost")
    session.run(f"ALTER USER {local} IDENTIFIED VIA unix_socket")


def root_enabled(session: Session) -> bool:
    """Whether root may log in from outside."""
    query = "SELECT 1 FROM mysql.user WHERE User = %s AND Host <> 'localhost'"
    return bool(session.rows(query, SUPERUSER))


def enable_root(session: Session, password: str) -> None:
    """root from any host, with every privilege; sets the password when it is enabled already."""
    root = session.account(SUPERUSER, ANY_HOST)
    session.run(f"CREATE USER IF NOT EXISTS {root} {session.password(password)}")
    session.run(f"ALTER USER {root} {session.password(password)}")
    session.run(f"GRANT ALL PRIVILEGES ON *.* TO {root} WITH GRANT OPTION")


def disable_root(session: Session) -> None:
    """No root from outside; nothing happens when there is none."""
    session.run(f"DROP USER IF EXISTS {session.account(SUPERUSER, ANY_HOST)}")
