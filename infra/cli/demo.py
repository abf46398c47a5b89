"""`coffer demo`: a database instance from request to row and back, through the public API alone."""

import secrets
import time
from typing import Annotated, Any, Final

import pymysql
import typer
from rich.markup import escape

from infra.cli import options, trove, watch
from infra.cli.console import ConsoleProgress, out
from infra.errors import StackError
from infra.local import stack
from infra.local.cloud import Admin
from infra.local.settings import STACK_NAME, StackSettings, load_secrets, resolve

DATABASE: Final = "shop"
USER: Final = "alice"
CREATE_TIMEOUT_SECONDS: Final = 120.0
DELETE_TIMEOUT_SECONDS: Final = 60.0


def command(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the stack and the instance up to play with.")
    ] = False,
    aws_port: options.AwsPort = None,
    cloud_port: options.CloudPort = None,
    guest_network: options.GuestNetwork = None,
) -> None:
    """Show the whole path: create a MariaDB instance, use it, delete it, find nothing left.

    Starts the stack if it is not up, and stops it at the end unless --keep is given.
    """
    settings = resolve(aws_port=aws_port, cloud_port=cloud_port, guest_network=guest_network)
    progress = ConsoleProgress()
    started = time.monotonic()
    try:
        out.rule("The stack", align="left")
        stack.up(settings, progress)
        _show(settings, keep=keep)
    finally:
        if not keep:
            out.rule("Tear down", align="left")
            stack.down(settings, progress)
    out.print(f"\n[green bold]Done[/] in {time.monotonic() - started:.1f} s")
    if keep:
        out.print(
            'The instance is up. Try:  eval "$(coffer openrc)"; openstack database instance list'
        )


def _show(settings: StackSettings, *, keep: bool) -> None:
    api = trove.Api.log_in(settings.auth_url, "demo", load_secrets(settings).demo_password)
    out.rule("Create an instance", align="left")
    password = secrets.token_urlsafe(12)
    request = {
        "name": "demo",
        "flavorRef": "1",
        "volume": {"size": 1},
        "datastore": {"type": "mariadb", "version": "10.11"},
        "databases": [{"name": DATABASE}],
        "users": [{"name": USER, "password": password, "databases": [{"name": DATABASE}]}],
    }
    out.print(f"POST {escape(api.url)}/instances")
    instance = api.call("POST", "/instances", json={"instance": request})["instance"]
    out.print(f"  {instance['id']}  {instance['status']}")
    instance = watch.until_active(api, instance["id"], CREATE_TIMEOUT_SECONDS)

    out.rule("Use it", align="left")
    address = _address(instance)
    _use(address, password)
    users = api.call("GET", f"/instances/{instance['id']}/users")["users"]
    out.print(f"GET …/users  →  {escape(_named(users))}")
    if USER not in [user["name"] for user in users]:
        raise StackError(f"The API does not list the user {USER}.")
    if keep:
        out.print(f"MYSQL_PWD={escape(password)} mariadb -h {address} -u {USER} {DATABASE}")
        return
    out.rule("Delete it", align="left")
    api.call("DELETE", f"/instances/{instance['id']}")
    watch.until_gone(api, instance["id"], DELETE_TIMEOUT_SECONDS)
    _show_nothing_left(settings, api.project_id, instance["id"])


def _address(instance: dict[str, Any]) -> str:
    addresses = [item["address"] for item in instance.get("addresses", [])]
    if not addresses:
        raise StackError("The API returned no address for the instance.")
    return str(addresses[0])


def _use(address: str, password: str) -> None:
    """Write and read a row over the MySQL protocol, as any application would."""
    started = time.monotonic()
    connection = pymysql.connect(
        host=address, user=USER, password=password, database=DATABASE, connect_timeout=10
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        version = cursor.fetchone()
        cursor.execute("CREATE TABLE orders (id INT PRIMARY KEY, item VARCHAR(40))")
        cursor.execute("INSERT INTO orders VALUES (1, 'a coffer')")
        connection.commit()
        cursor.execute("SELECT id, item FROM orders")
        row = cursor.fetchone()
    if row != (1, "a coffer"):
        raise StackError(f"The database answered {row!r} for the row that was written.")
    out.print(f"mysql://{USER}@{address}:3306/{DATABASE}  {escape(str(version and version[0]))}")
    out.print(f"  wrote and read {row}  ({(time.monotonic() - started) * 1000:.0f} ms)")


def _named(users: list[dict[str, Any]]) -> str:
    return ", ".join(f"{user['name']}@{user.get('host', '%')}" for user in users)


def _show_nothing_left(settings: StackSettings, project_id: str, instance_id: str) -> None:
    """Look where the instance had something: the cloud, the queues, the quota."""
    out.rule("What is left of it", align="left")
    left = {**_in_the_cloud(settings, instance_id), **_on_aws(settings, project_id, instance_id)}
    for kind, found in left.items():
        out.print(f"  {kind:<18} {escape(str(found)) if found else 'none'}")
    if any(left.values()):
        raise StackError("The deleted instance left something behind.", "See the list above.")


def _in_the_cloud(settings: StackSettings, instance_id: str) -> dict[str, list[str]]:
    admin = Admin(settings.auth_url, load_secrets(settings).admin_password)
    inventory = admin.call("GET", f"{settings.cloud_url}/_simulator/inventory")
    return {
        kind.replace("_", " "): [
            item["name"] for item in items if instance_id in f"{item['name']}{item.get('metadata')}"
        ]
        for kind, items in inventory.items()
        if isinstance(items, list)
    }


def _on_aws(settings: StackSettings, project_id: str, instance_id: str) -> dict[str, list[str]]:
    queues = settings.target.client("sqs").list_queues(QueueNamePrefix=f"{STACK_NAME}-guest-")
    dynamodb = settings.target.client("dynamodb")
    usage = dynamodb.get_item(
        TableName=f"{STACK_NAME}-quotas",
        Key={"tenant_id": {"S": project_id}},
        ConsistentRead=True,
    ).get("Item", {})
    rows = dynamodb.query(
        TableName=f"{STACK_NAME}-instances",
        IndexName="tenant-index",
        KeyConditionExpression="index_tenant = :tenant",
        ExpressionAttributeValues={":tenant": {"S": project_id}},
    )["Items"]
    # What the tenant's other instances hold is theirs: with none of them, usage is zero.
    used = [
        f"{name} {usage[name]['N']}"
        for name in ("instances", "ram", "volumes")
        if not rows and float(usage.get(name, {}).get("N", "0")) != 0
    ]
    return {
        "guest queues": [url for url in queues.get("QueueUrls", []) if instance_id in url],
        "quota in use": used,
    }
