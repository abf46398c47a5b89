"""What tenants and their applications do in a database."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from simulator.actions.asking import Ask
from simulator.clients import NAMES, Clients, Tenant
from simulator.invariants.marks import SECRET_MARK


def create_user(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    grants = [work.name("schema")] if work.stream.random() < 0.3 else []
    users = [new_user(work, name, grants) for name in work.several("user")]
    Ask(work, tenant, instance_id)("POST", "/users", {"users": users})


def list_users(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    limit = f"?limit={work.stream.randrange(1, NAMES)}" if work.stream.random() < 0.3 else ""
    Ask(work, tenant, instance_id)("GET", f"/users{limit}")


def show_user(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("GET", f"/users/{quote(work.name('user'))}")


def change_password(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    users = [
        {"name": name, "password": new_user(work, name, [])["password"]}
        for name in work.several("user")
    ]
    Ask(work, tenant, instance_id)("PUT", "/users", {"users": users})


def change_user(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    """Another name, or another password, for one user."""
    changed = new_user(work, work.name("user"), [])
    chosen = work.stream.choice(("name", "password"))
    path = f"/users/{quote(work.name('user'))}"
    Ask(work, tenant, instance_id)("PUT", path, {"user": {chosen: changed[chosen]}})


def delete_user(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("DELETE", f"/users/{quote(work.name('user'))}")


def grant(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    body = {"databases": [{"name": name} for name in work.several("schema")]}
    Ask(work, tenant, instance_id)("PUT", f"/users/{quote(work.name('user'))}/databases", body)


def list_access(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("GET", f"/users/{quote(work.name('user'))}/databases")


def revoke(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    path = f"/users/{quote(work.name('user'))}/databases/{work.name('schema')}"
    Ask(work, tenant, instance_id)("DELETE", path)


def new_user(work: Clients, name: str, databases: list[str]) -> dict[str, Any]:
    password = f"{SECRET_MARK}{work.names.getrandbits(64):016x}"
    return {"name": name, "password": password, "databases": [{"name": d} for d in databases]}


def create_database(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    body = {"databases": [{"name": name} for name in work.several("schema")]}
    Ask(work, tenant, instance_id)("POST", "/databases", body)


def list_databases(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    limit = f"?limit={work.stream.randrange(1, NAMES)}" if work.stream.random() < 0.3 else ""
    Ask(work, tenant, instance_id)("GET", f"/databases{limit}")


def delete_database(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("DELETE", f"/databases/{work.name('schema')}")


def write(work: Clients, _: Tenant, instance_id: str | None) -> None:
    """An application writes a row; no call of the API."""
    fleet = work.world.fleet
    for guest in fleet.of_instance(instance_id or ""):
        fleet.write(guest.server_id, work.name("schema"), work.name("key"), work.name("value"))


def enable_root(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("POST", "/root")


def show_root(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("GET", "/root")


def disable_root(work: Clients, tenant: Tenant, instance_id: str | None) -> None:
    Ask(work, tenant, instance_id)("DELETE", "/root")
