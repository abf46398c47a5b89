"""`coffer deploy` from an empty folder, for a cloud by `OS_*`: used, rolled back, removed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from infra import deploy
from infra.local.cloud import Admin
from infra.local.settings import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY
from infra.package.build import build
from infra.package.sources import PROJECT_ROOT
from infra.target import Target
from tests.acceptance.stack import eventually
from tests.support.loopback import free_port
from tests.wire.clouds import Cloud, cloud_to_deploy_for
from tests.wire.conftest import scratch_folder
from tests.wire.stack import client

pytestmark = pytest.mark.deploy

NAME = "dbs"
WITHIN = 180
COMMAND_SECONDS = 400


class Deployer:
    """A person in an empty folder, with variables for AWS and for a cloud."""

    def __init__(self, folder: Path, endpoint: str, cloud: Cloud) -> None:
        self.folder = folder
        self.endpoint = endpoint
        self.cloud = cloud
        self.said: list[str] = []
        self.took: dict[str, float] = {}
        self.front_port = free_port()
        self.target = Target(REGION, endpoint, ACCESS_KEY_ID, SECRET_ACCESS_KEY)

    def environment(self, user: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            **self.target.environment(),
            "OS_AUTH_URL": self.cloud.login.auth_url,
            "OS_IDENTITY_API_VERSION": "3",
            "OS_USERNAME": user,
            "OS_PASSWORD": self.cloud.login.passwords[user],
            "OS_PROJECT_NAME": user,
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
            "OS_REGION_NAME": "RegionOne",
        }

    def coffer(self, *arguments: str, code: int = 0) -> str:
        """Run a command as the cloud's administrator; what it said, to both outputs."""
        started = time.monotonic()
        command = ["coffer", *arguments, "--stack", NAME]
        done = self._run(command, self.environment("admin"))
        assert done.returncode == code, done.stdout + done.stderr
        self.took[" ".join(arguments)] = time.monotonic() - started
        self.said.append(done.stdout + done.stderr)
        return self.said[-1]

    def openstack(self, *arguments: str) -> Any:
        """Run `openstack …` as a tenant; its JSON."""
        command = ["openstack", *arguments]
        reads = {"list", "show", "create"} & set(arguments)
        done = self._run([*command, "-f", "json"] if reads else command, self.environment("demo"))
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if reads else None

    def _run(
        self, command: list[str], environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        program = str(Path(sys.executable).with_name(command[0]))
        return subprocess.run(
            [program, *command[1:]],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )

    def database(self, instance_id: str) -> dict[str, Any]:
        """The instance, once it is ACTIVE and its guest has reported."""

        def active() -> dict[str, Any] | None:
            shown: dict[str, Any] = self.openstack("database", "instance", "show", instance_id)
            assert shown["status"] in {"BUILD", "ACTIVE"}, shown
            return shown if shown["operating_status"] == "HEALTHY" else None

        return eventually(active, WITHIN, "the database is healthy")

    def changed(self, instance_id: str, *verb: str) -> None:
        """Ask for a change by `openstack database instance …`, and wait until it is done."""
        words, value = ([*verb[:2]], verb[2:]) if verb[0] == "resize" else ([*verb], ())
        started = time.monotonic()
        self.openstack("database", "instance", *words, instance_id, *value)

        def active() -> bool:
            shown = self.openstack("database", "instance", "show", instance_id)
            assert shown["status"] != "ERROR", shown
            return bool(shown["status"] == "ACTIVE")

        eventually(active, WITHIN, f"{verb} is done")
        self.took[" ".join(verb)] = time.monotonic() - started

    def credentials(self) -> list[str]:
        """The passwords that were made for the service's users."""
        ssm = self.target.client("ssm")
        found = [
            ssm.get_parameter(Name=f"/{NAME}/{name}", WithDecryption=True)["Parameter"]
            for name in ("cloud", "identity")
        ]
        return [json.loads(each["Value"])["password"] for each in found]

    def left(self) -> dict[str, list[str]]:
        """What of the deployment is anywhere."""
        aws = self.target.client
        ours = f"{NAME}-"
        groups = aws("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{ours}")
        urls = aws("sqs").list_queues(QueueNamePrefix=ours).get("QueueUrls", [])
        path = {"Path": f"/{NAME}", "Recursive": True}
        admin = self._admin()
        return {
            "stack": [NAME] if deploy.stack_of(self.target, NAME) else [],
            "tables": _ours(aws("dynamodb").list_tables()["TableNames"]),
            "queues": urls,
            "buckets": _ours(each["Name"] for each in aws("s3").list_buckets()["Buckets"]),
            "functions": _ours(
                each["FunctionName"] for each in aws("lambda").list_functions()["Functions"]
            ),
            "machines": _ours(
                each["name"] for each in aws("stepfunctions").list_state_machines()["stateMachines"]
            ),
            "apis": [
                each["name"]
                for each in aws("apigateway").get_rest_apis()["items"]
                if each["name"] == NAME
            ],
            "roles": _ours(each["RoleName"] for each in aws("iam").list_roles()["Roles"]),
            "rules": _ours(each["Name"] for each in aws("events").list_rules()["Rules"]),
            "mappings": [
                each["UUID"]
                for each in aws("lambda").list_event_source_mappings()["EventSourceMappings"]
                if f":{ours}" in each["EventSourceArn"]
            ],
            "log groups": [each["logGroupName"] for each in groups["logGroups"]],
            "secrets": [
                each["Name"] for each in aws("ssm").get_parameters_by_path(**path)["Parameters"]
            ],
            "users": _ours(
                f"{each['name']}-" for each in admin.call("GET", f"{admin.auth_url}/users")["users"]
            ),
            "endpoints": [
                each["url"]
                for each in admin.call("GET", f"{admin.auth_url}/endpoints")["endpoints"]
                if f":{self.front_port}/" in each["url"]
            ],
        }

    def _admin(self) -> Admin:
        login = self.cloud.login
        return Admin(login.auth_url, login.passwords["admin"])


def _ours(names: Any) -> list[str]:
    return sorted(name for name in names if name.startswith(f"{NAME}-"))


@pytest.fixture
def deployer(endpoint: str) -> Iterator[Deployer]:
    with (
        scratch_folder() as state,
        scratch_folder() as folder,
        cloud_to_deploy_for(state) as cloud,
    ):
        person = Deployer(folder, endpoint, cloud)
        try:
            yield person
        finally:
            person.coffer("undeploy", "--tables", "--even-with-instances")
            shutil.rmtree(folder / ".coffer", ignore_errors=True)


@pytest.mark.timeout(1500)
def test_from_an_empty_folder_to_nothing_left(deployer: Deployer) -> None:
    chosen = (f"--front-port={deployer.front_port}", *deployer.cloud.choices)
    assert "AWS::StepFunctions::StateMachine" in deployer.coffer("deploy", *chosen, "--plan")
    assert not any(deployer.left().values())

    assert "/v1.0" in deployer.coffer("deploy", *chosen)
    first = deploy.stack_of(deployer.target, NAME)
    secrets = deployer.credentials()
    assert "nothing was changed" in deployer.coffer("deploy")
    assert "Nothing: release" in deployer.coffer("deploy", "--plan")
    assert deploy.stack_of(deployer.target, NAME) == first
    assert deployer.credentials() == secrets

    shown_off = deployer.coffer("demo")
    assert "wrote and read (1, 'a coffer')" in shown_off
    left = shown_off.partition("What is left of it")[2].splitlines()[1:7]
    assert [line.split()[-1] for line in left] == ["none"] * 6, shown_off

    made = deployer.openstack(
        *("database", "instance", "create", "shop", "--flavor", "1", "--size", "1"),
        *("--datastore", "mariadb", "--datastore-version", "10.11"),
        *("--databases", "shop", "--users", "amy:secret-of-amy"),
    )
    started = time.monotonic()
    shown = deployer.database(made["id"])
    deployer.took["create"] = time.monotonic() - started
    use(shown["addresses"][0]["address"])

    for verb in (("restart",), ("resize", "volume", "2"), ("resize", "flavor", "2")):
        deployer.changed(made["id"], *verb)
        use(deployer.database(made["id"])["addresses"][0]["address"])

    refused = deployer.coffer("undeploy", code=1)
    assert "1 instance lives" in refused
    assert deploy.stack_of(deployer.target, NAME) == first

    # Another release, as newer sources would be; what runs goes on.
    assert first is not None
    newer = build(PROJECT_ROOT, deployer.folder / "cache")._replace(digest="newer")
    deploy.deploy(deployer.target, NAME, newer, first.parameters)
    assert f"Release {first.release} runs again" in deployer.coffer("deploy", "--rollback")
    rolled_back = deploy.stack_of(deployer.target, NAME)
    assert rolled_back is not None
    assert (rolled_back.release, rolled_back.release_before) == (first.release, "newer")
    use(deployer.database(made["id"])["addresses"][0]["address"])

    deployer.openstack("database", "instance", "delete", made["id"])
    eventually(
        lambda: not deployer.openstack("database", "instance", "list"), WITHIN, "it is deleted"
    )
    assert not any(deployer.cloud.holds().values())
    told = written(deployer)
    for secret in (*secrets, deployer.cloud.login.passwords["admin"]):
        assert secret not in told

    kept = deployer.coffer("undeploy")
    there = deployer.left()
    # MiniStack keeps the tables that are to outlive their stack, LocalStack keeps none.
    assert all(table in kept for table in there["tables"])
    (backups,) = there["buckets"]
    assert backups.startswith(f"{NAME}-backups-")
    assert backups in kept
    deployer.coffer("undeploy", "--tables")
    assert not any(deployer.left().values())
    sys.stdout.writelines(f"{name:<40} {took:6.1f} s\n" for name, took in deployer.took.items())


def use(address: str) -> None:
    """Write and read, as an application would."""
    connection = pymysql.connect(
        host=address, user="amy", password="secret-of-amy", database="shop", connect_timeout=10
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS orders (id INT)")
        cursor.execute("INSERT INTO orders VALUES (1)")
        connection.commit()
        cursor.execute("SELECT DISTINCT id FROM orders")
        assert cursor.fetchall() == ((1,),)


def written(deployer: Deployer) -> str:
    """Everything of a deployment that can be read: what was said, logs, the stack, files."""
    aws = deployer.target.client
    logs = client(deployer.endpoint, "logs")
    lines = [
        event["message"]
        for group in logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{NAME}-")[
            "logGroups"
        ]
        for page in logs.get_paginator("filter_log_events").paginate(
            logGroupName=group["logGroupName"]
        )
        for event in page["events"]
    ]
    stack = deploy.stack_of(deployer.target, NAME)
    template = aws("cloudformation").get_template(StackName=NAME)["TemplateBody"]
    files = [
        file.read_text(errors="replace")
        for file in (deployer.folder / ".coffer").rglob("*")
        if file.is_file()
    ]
    return "\n".join([*deployer.said, *lines, *files, str(stack), json.dumps(template)])
