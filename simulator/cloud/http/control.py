"""`/_simulator`: arm faults, hurt guests, and see everything that exists; for an admin's token."""

from __future__ import annotations

import signal
from dataclasses import asdict
from typing import Protocol

from starlette.responses import Response
from starlette.routing import BaseRoute

from simulator.cloud.http.plumbing import (
    Call,
    Json,
    Service,
    empty,
    fault_view,
    json_response,
    number_of,
    text_of,
)
from simulator.cloud.model.caller import Caller
from simulator.cloud.model.cloud import Cloud
from simulator.cloud.model.errors import Conflict, NotFound
from simulator.cloud.model.faults import CALLS, MODES, Fault
from simulator.cloud.model.security_groups import SecurityGroup

AGENT_SIGNALS = {
    "kill_agent": signal.SIGKILL,
    "pause_agent": signal.SIGSTOP,
    "resume_agent": signal.SIGCONT,
}


class Agents(Protocol):
    """Reaches the agent of a server."""

    def signal_agent(self, server_id: str, number: signal.Signals) -> bool:
        """Send a signal to the agent alone; False when it is not running."""
        ...


class ControlApi(Service):
    """Routes below `/_simulator`."""

    def __init__(self, cloud: Cloud, url: str, agents: Agents) -> None:
        super().__init__(cloud, url, fault_view)
        self._agents = agents

    def routes(self) -> list[BaseRoute]:
        """All routes of the control interface."""
        return [
            self.route(
                "/faults", get=self.list_faults, post=self.arm_fault, delete=self.clear_faults
            ),
            self.route("/servers/{server_id}/{action}", post=self.hurt),
            self.route("/inventory", get=self.inventory),
            self.route("/tokens/expire", post=self.expire_token),
            self.route("/reclaim", put=self.keep_deleted),
        ]

    def caller(self, secret: str | None) -> Caller:
        """Only an admin may do any of this."""
        caller = super().caller(secret)
        caller.require_admin("simulator")
        return caller

    def list_faults(self, call: Call) -> Response:
        """GET /faults: what is armed, and the modes and calls that there are."""
        armed = [asdict(fault) for fault in self.cloud.faults.all()]
        calls = {service: sorted(names) for service, names in CALLS.items()}
        return json_response({"faults": armed, "modes": MODES, "calls": calls})

    def arm_fault(self, call: Call) -> Response:
        """POST /faults."""
        wanted = call.body
        seconds = wanted.get("seconds")
        fault = self.cloud.faults.arm(
            Fault(
                id=self.cloud.ids.uuid(),
                service=text_of(wanted, "service"),
                call=text_of(wanted, "call"),
                mode=text_of(wanted, "mode"),
                match=text_of(wanted, "match"),
                count=number_of(wanted, "count") if "count" in wanted else 1,
                seconds=None if seconds is None else float(seconds),
            )
        )
        return json_response({"fault": asdict(fault)}, 201)

    def clear_faults(self, call: Call) -> Response:
        """DELETE /faults: heal. What a fault has already made stuck stays so."""
        self.cloud.faults.clear()
        return empty()

    def hurt(self, call: Call) -> Response:
        """POST /servers/{id}/kill_agent | pause_agent | resume_agent | kill_server."""
        server = self.cloud.compute.get(call.caller, call.path["server_id"])
        action = call.path["action"]
        if action == "kill_server":
            self.cloud.compute.crash(call.caller, server.id)
        elif action not in AGENT_SIGNALS:
            raise NotFound(f"There is no such action: {action}")
        elif not self._agents.signal_agent(server.id, AGENT_SIGNALS[action]):
            raise Conflict(f"The agent of server {server.id} is not running.")
        return empty(202)

    def expire_token(self, call: Call) -> Response:
        """POST /tokens/expire: the token in X-Subject-Token is over, as if its time had passed."""
        if not self.cloud.identity.revoke(call.headers.get("x-subject-token", "")):
            raise NotFound("Could not find token.")
        return empty()

    def keep_deleted(self, call: Call) -> Response:
        """PUT /reclaim: for how many `seconds` Nova keeps a server that is deleted from now on."""
        self.cloud.keep_deleted(number_of(call.body, "seconds"))
        return empty()

    def inventory(self, call: Call) -> Response:
        """GET /inventory: every server, volume, port, group and floating address there is."""
        network = self.cloud.network
        return json_response(
            {
                "servers": [
                    {
                        **_common(s.id, s.name, s.project_id),
                        "status": s.status,
                        "host": s.host,
                        "task_state": s.task_state,
                        "metadata": s.metadata,
                        "port_ids": s.port_ids,
                        "volume_ids": [volume.volume_id for volume in s.volumes],
                    }
                    for s in self.cloud.compute.servers.values()
                ],
                "snapshots": [
                    {"id": s.id, "name": s.name, "status": s.status, "volume_id": s.volume_id}
                    for s in self.cloud.volume.snapshots.snapshots.values()
                ],
                "volumes": [
                    {
                        **_common(v.id, v.name, v.project_id),
                        "status": v.status,
                        "size": v.size,
                        "metadata": v.metadata,
                        "server_ids": [attachment.server_id for attachment in v.attachments],
                    }
                    for v in self.cloud.volume.volumes.values()
                ],
                "ports": [
                    {
                        **_common(p.id, p.name, p.project_id),
                        "status": p.status,
                        "device_id": p.device_id,
                        "addresses": [address for _, address in p.fixed_ips],
                        "tags": p.tags,
                    }
                    for p in network.ports.values()
                ],
                "security_groups": [
                    _group(g)
                    for g in network.security_groups.groups.values()
                    if g.name != "default"
                ],
                "floating_ips": [
                    {**_common(f.id, f.description, f.project_id), "address": f.address}
                    for f in network.floating.rows.values()
                ],
            }
        )


def _common(identifier: str, name: str, project_id: str) -> Json:
    return {"id": identifier, "name": name, "project_id": project_id}


def _group(group: SecurityGroup) -> Json:
    ingress = [rule.traffic for rule in group.rules.values() if rule.traffic.direction == "ingress"]
    return {
        **_common(group.id, group.name, group.project_id),
        "sources": [traffic.remote_ip_prefix for traffic in ingress],
        "tags": group.tags,
    }
