"""`coffer demo`: a database instance from request to row and back, through the public API alone."""

import secrets
import time
from typing import Annotated, Any, Final

import typer
from rich.markup import escape

from infra.cli import demo_place, demo_use, deployments, options, trove, watch
from infra.cli.console import ConsoleProgress, out
from infra.cli.demo_place import Place
from infra.cli.demo_use import CLIENTS, Login
from infra.errors import StackError
from infra.local import stack as stacks
from infra.local.settings import StackSettings, resolve

DATABASE: Final = "shop"
USER: Final = "alice"
LEAST_RAM: Final = 512
"""MiB: below it the engine does not start."""


def command(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the stack and the instance up to play with.")
    ] = False,
    datastore: Annotated[
        str,
        typer.Option(metavar="NAME", help=f"What to create: {' or '.join(CLIENTS)}."),
    ] = "mariadb",
    network: Annotated[
        str | None,
        typer.Option(
            metavar="ID", help="With --stack: network of the instance (else the deployment's)."
        ),
    ] = None,
    stack: options.ChosenStack = None,
    profile: options.Profile = None,
    region: options.Region = None,
    os_cloud: options.OsCloud = None,
    aws_port: options.AwsPort = None,
    cloud_port: options.CloudPort = None,
    guest_network: options.GuestNetwork = None,
) -> None:
    """Show the whole path: create an instance, use it, delete it, find nothing left.

    Starts the local stack if it is not up, and stops it at the end unless --keep is given. With
    --stack it plays on a deployment of `coffer deploy`, as the user that OS_* or --os-cloud name,
    from a machine that has a way to the instance's network.
    """
    if datastore not in CLIENTS:
        raise StackError(
            f"The demo uses no datastore {datastore!r}.", f"It is one of: {', '.join(CLIENTS)}."
        )
    started = time.monotonic()
    if stack is not None:
        survey = deployments.survey(stack, profile, region, os_cloud)
        _show(demo_place.deployed(survey), datastore, network, keep=keep)
    else:
        settings = resolve(aws_port=aws_port, cloud_port=cloud_port, guest_network=guest_network)
        _on_this_machine(settings, datastore, network, keep=keep)
    out.print(f"\n[green bold]Done[/] in {time.monotonic() - started:.1f} s")
    if keep:
        variables = "" if stack is not None else 'eval "$(coffer openrc)"; '
        out.print(f"The instance is up. Try:  {variables}openstack database instance list")


def _on_this_machine(
    settings: StackSettings, datastore: str, network: str | None, *, keep: bool
) -> None:
    progress = ConsoleProgress()
    try:
        out.rule("The stack", align="left")
        stacks.up(settings, progress)
        _show(demo_place.local(settings), datastore, network, keep=keep)
    finally:
        if not keep:
            out.rule("Tear down", align="left")
            stacks.down(settings, progress)


def _show(place: Place, datastore: str, network: str | None, *, keep: bool) -> None:
    """What is made is deleted, unless it is to be kept, also when it could not be used."""
    api, (create_seconds, delete_seconds) = place.api, place.seconds
    out.rule("Create an instance", align="left")
    password = secrets.token_urlsafe(12)
    request: dict[str, Any] = {
        "name": "demo",
        "flavorRef": _smallest(api.call("GET", "/flavors")["flavors"]),
        "volume": {"size": 1},
        "datastore": {"type": datastore, "version": CLIENTS[datastore].version},
    }
    if CLIENTS[datastore].has_users:
        granted = [{"name": DATABASE}]
        request["databases"] = granted
        request["users"] = [{"name": USER, "password": password, "databases": granted}]
    if network is not None:
        request["nics"] = [{"net-id": network}]
    out.print(f"POST {escape(api.url)}/instances")
    instance = api.call("POST", "/instances", json={"instance": request})["instance"]
    out.print(f"  {instance['id']}  {instance['status']}")
    try:
        instance = watch.until_active(api, instance["id"], create_seconds)
        _use_it(api, instance, password, datastore, keep=keep)
    finally:
        if not keep:
            out.rule("Delete it", align="left")
            api.call("DELETE", f"/instances/{instance['id']}")
            watch.until_gone(api, instance["id"], delete_seconds)
    if not keep:
        _show_nothing_left(place, instance["id"])


def _smallest(flavors: list[dict[str, Any]]) -> str:
    enough = [flavor for flavor in flavors if flavor["ram"] >= LEAST_RAM]
    if not enough:
        raise StackError(
            f"No flavor with {LEAST_RAM} MiB is on offer.", "See: openstack database flavor list"
        )
    return str(min(enough, key=lambda flavor: (flavor["ram"], str(flavor["id"])))["id"])


def _use_it(
    api: trove.Api, instance: dict[str, Any], password: str, datastore: str, *, keep: bool
) -> None:
    out.rule("Use it", align="left")
    path, address = f"/instances/{instance['id']}", _address(instance)
    if CLIENTS[datastore].has_users:
        login = Login(address, USER, password, DATABASE)
    else:
        root = api.call("POST", f"{path}/root")["user"]
        out.print(f"POST …/root  →  {escape(root['name'])}")
        login = Login(address, root["name"], root["password"], "0")
    _use(login, datastore)
    if CLIENTS[datastore].has_users:
        users = api.call("GET", f"{path}/users")["users"]
        out.print(f"GET …/users  →  {escape(_named(users))}")
        if USER not in [user["name"] for user in users]:
            raise StackError(f"The API does not list the user {USER}.")
    if keep:
        out.print(escape(CLIENTS[datastore].shell.format(**login._asdict())))


def _address(instance: dict[str, Any]) -> str:
    addresses = [item["address"] for item in instance.get("addresses", [])]
    if not addresses:
        raise StackError("The API returned no address for the instance.")
    return str(addresses[0])


def _use(login: Login, datastore: str) -> None:
    """Write and read a row over the engine's protocol, as any application would."""
    started, client = time.monotonic(), CLIENTS[datastore]
    version = demo_use.use(client, login)
    place = f"{client.scheme}://{login.user}@{login.address}:{client.port}/{login.database}"
    out.print(f"{place}  {escape(version)}")
    seconds = time.monotonic() - started
    out.print(f"  wrote and read {demo_use.ROW}  ({seconds * 1000:.0f} ms)")


def _named(users: list[dict[str, Any]]) -> str:
    return ", ".join(f"{user['name']}@{user.get('host', '%')}" for user in users)


def _show_nothing_left(place: Place, instance_id: str) -> None:
    """Look where the instance had something: the cloud, the queues, the quota."""
    out.rule("What is left of it", align="left")
    left = {**_in_the_cloud(place, instance_id), **_on_aws(place, instance_id)}
    for kind, found in left.items():
        out.print(f"  {kind:<18} {escape(str(found)) if found else 'none'}")
    if any(left.values()):
        raise StackError("The deleted instance left something behind.", "See the list above.")


def _in_the_cloud(place: Place, instance_id: str) -> dict[str, list[str]]:
    return {
        kind.replace("_", " "): [
            item["name"] for item in items if instance_id in f"{item['name']}{item.get('metadata')}"
        ]
        for kind, items in place.inventory().items()
    }


def _on_aws(place: Place, instance_id: str) -> dict[str, list[str]]:
    project_id, prefix = place.api.project_id, place.prefix
    queues = place.target.client("sqs").list_queues(QueueNamePrefix=f"{prefix}-guest-")
    dynamodb = place.target.client("dynamodb")
    usage = dynamodb.get_item(
        TableName=f"{prefix}-quotas",
        Key={"tenant_id": {"S": project_id}},
        ConsistentRead=True,
    ).get("Item", {})
    rows = dynamodb.query(
        TableName=f"{prefix}-instances",
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
