"""I16, broken on purpose, is told."""

from __future__ import annotations

from chalicelib.cloud import network, servers, volumes
from tests.simulator.deployment import Deployment
from tests.simulator.invariants.breaking import as_handler, instance, told_by


def alive(deployment: Deployment) -> None:
    server_id = next(iter(deployment.cloud.compute.servers))
    as_handler(deployment, "look_for_orphans", lambda: servers.delete(server_id))


def unknown(deployment: Deployment) -> None:
    instance(deployment).delete()
    port_id = next(iter(deployment.cloud.network.ports))
    as_handler(deployment, "look_for_orphans", lambda: network.delete_port(port_id))


def somebody_elses(deployment: Deployment) -> None:
    name = f"coffer-{deployment.instances()[0]['id']}"
    made = deployment.cloud.volume.create(deployment.cloud_functions.caller, 1, name=name)
    deployment.run(60)
    as_handler(deployment, "remove_volume", lambda: volumes.delete(made.id))


test_a_broken_promise_is_told = told_by("I16", alive, unknown, somebody_elses)
