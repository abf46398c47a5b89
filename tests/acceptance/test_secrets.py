"""No secret in any log, queue body, execution input or output, error text or process argument."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.stack import Stack

PASSWORD = "Zx9-very-secret-of-the-user-Qw3"
ROOT_PASSWORD = "Zx9-very-secret-of-root-Qw3"


def test_no_secret_leaves_its_place(stack: Stack) -> None:
    api = stack.demo
    user = {"name": "u", "password": PASSWORD, "databases": [{"name": "d"}]}
    instance_id = api.created("secrets", databases=[{"name": "d"}], users=[user])
    api.healthy(instance_id)
    enabled = api.request("POST", f"/instances/{instance_id}/root", {"password": ROOT_PASSWORD})
    assert enabled.status_code == 200, enabled.text
    refused = api.request("POST", f"/instances/{instance_id}/users", {"users": [user]})
    assert refused.status_code == 400
    assert PASSWORD not in refused.text

    secrets = {
        PASSWORD,
        ROOT_PASSWORD,
        stack.secrets.service_password,
        stack.secrets.admin_password,
        stack.secrets.demo_password,
        stack.secrets.validation_password,
        stack.secrets.guest_key,
        stack.secrets.control_key,
        stack.demo.user.token,
    }
    places = {**_executions(stack), **_logs(stack), **_files(stack), **_arguments()}
    assert len(places) > 10
    leaks = [place for place, text in places.items() for secret in secrets if secret in text]
    assert leaks == []

    api.delete(instance_id)
    api.wait(instance_id, "GONE")
    stack.assert_owns_nothing(api, instance_id)


def _executions(stack: Stack) -> dict[str, str]:
    """The whole history of every execution: inputs, outputs, errors of each state."""
    states = stack.aws("stepfunctions")
    found = {}
    for machine in states.list_state_machines()["stateMachines"]:
        listed = states.list_executions(stateMachineArn=machine["stateMachineArn"])
        for execution in listed["executions"]:
            arn = execution["executionArn"]
            found[arn] = repr(states.get_execution_history(executionArn=arn, maxResults=1000))
    return found


def _logs(stack: Stack) -> dict[str, str]:
    """What the functions logged."""
    logs = stack.aws("logs")
    found = {}
    for group in logs.describe_log_groups()["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        found[group["logGroupName"]] = "\n".join(
            event["message"] for page in pages for event in page["events"]
        )
    return found


def _files(stack: Stack) -> dict[str, str]:
    """Logs of the emulator, the cloud, the guests and their databases."""
    return {
        str(file): file.read_text(errors="replace")
        for file in Path(stack.settings.state).rglob("*")
        if file.is_file() and (file.suffix in (".log", ".err") or file.name == "log")
    }


def _arguments() -> dict[str, str]:
    """The command lines of all processes."""
    found = {}
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[str(process)] = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found
