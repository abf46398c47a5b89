"""Servers and flavors."""

from __future__ import annotations

import base64
import contextlib
import re
from collections.abc import Mapping

from chalicelib.cloud import flavors, names, server_groups, servers
from simulator.cloud.model.errors import BadRequest, NotFound
from simulator.cloud.model.server import NetworkWish, Server, ServerWish, VolumeWish
from simulator.cloud_functions.stand_ins import (
    Functions,
    StandIns,
    oldest_first,
    page_of,
    unless_gone,
)


class Compute(StandIns):
    """Nova."""

    def functions(self) -> Functions:
        """By module and name."""
        return {
            servers: {
                "find": self._find_servers,
                "get": self._get_server,
                "find_soft_deleted": self._find_soft_deleted,
                "page": self._page_of_servers,
                "find_zones": self._find_zones,
                "create": self._create_server,
                "stop": self._stop_server,
                "start": self._start_server,
                "resize": self._resize_server,
                "migrate": self._migrate_server,
                "confirm_resize": self._confirm_resize,
                "revert_resize": self._revert_resize,
                "rebuild": self._rebuild_server,
                "find_replacement": self._find_replacement,
                "find_end": self._find_end,
                "attach_volume": self._attach_volume,
                "detach_volume": self._detach_volume,
                "delete": self._delete_server,
            },
            server_groups: {
                "find": self._find_groups,
                "page": self._page_of_groups,
                "create": self._create_group,
                "delete": self._delete_group,
            },
            flavors: {"list_all": self._list_all_flavors},
        }

    def _find_servers(self, instance_id: str) -> list[servers.Server]:
        wanted = re.compile(names.server_pattern(instance_id))
        found = [s for s in self.cloud.compute.list(self.caller) if wanted.search(s.name)]
        owned = [self._server(each) for each in oldest_first(found)]
        return [each for each in owned if each.owner == instance_id]

    def _get_server(self, server_id: str) -> servers.Server | None:
        found = unless_gone(lambda: self.cloud.compute.show(self.caller, server_id))
        return self._server(found) if found and found.status not in servers.GONE else None

    def _find_soft_deleted(self, server_id: str) -> servers.Server | None:
        found = unless_gone(lambda: self.cloud.compute.show(self.caller, server_id))
        return self._server(found) if found and found.status == servers.SOFT_DELETED else None

    def _page_of_servers(self, after: str | None, limit: int) -> list[servers.Server]:
        found = self.cloud.compute.list(self.caller)
        return [self._server(each) for each in page_of(found, after, limit)]

    def _find_zones(self) -> frozenset[str]:
        return frozenset(self.cloud.compute.list_zones())

    def _create_server(
        self,
        name: str,
        *,
        image_id: str,
        flavor_id: str,
        port_id: str,
        volume_id: str,
        user_data: str,
        availability_zone: str | None,
        group_id: str | None,
        metadata: Mapping[str, str],
    ) -> str:
        wish = ServerWish(
            name=name,
            flavor_id=flavor_id,
            image_id=image_id,
            networks=(NetworkWish(port_id=port_id),),
            volumes=(VolumeWish(volume_id),),
            metadata=dict(metadata),
            user_data=base64.b64encode(user_data.encode()).decode(),
            availability_zone=availability_zone,
            group_id=group_id,
        )
        return self.cloud.compute.create(self.caller, wish).id

    def _find_groups(self, instance_id: str) -> list[server_groups.ServerGroup]:
        return [each for each in self._groups() if each.owner == instance_id]

    def _page_of_groups(self, after: str | None, limit: int) -> list[server_groups.ServerGroup]:
        ordered = sorted(self._groups(), key=lambda group: group.id)
        return [each for each in ordered if after is None or each.id > after][:limit]

    def _groups(self) -> list[server_groups.ServerGroup]:
        return [
            server_groups.ServerGroup(
                each.id, each.name, self.described(each.project_id, each.name)
            )
            for each in self.cloud.compute.groups.of_project(self.caller)
        ]

    def _create_group(self, name: str, policy: str) -> str:
        return self.cloud.compute.groups.create(self.caller, name, policy).id

    def _delete_group(self, group_id: str) -> None:
        with contextlib.suppress(NotFound):
            self.cloud.compute.groups.delete(self.caller, group_id)

    def _stop_server(self, server_id: str) -> None:
        self.cloud.compute.stop(self.caller, server_id)

    def _start_server(self, server_id: str) -> None:
        self.cloud.compute.start(self.caller, server_id)

    def _resize_server(self, server_id: str, flavor_id: str) -> None:
        self.cloud.compute.resize(self.caller, server_id, flavor_id)

    def _migrate_server(self, server_id: str, host: str | None) -> None:
        self.cloud.compute.migrate(self.caller, server_id, host)

    def _confirm_resize(self, server_id: str) -> None:
        with contextlib.suppress(BadRequest):
            self.cloud.compute.confirm_resize(self.caller, server_id)

    def _revert_resize(self, server_id: str) -> None:
        with contextlib.suppress(BadRequest):
            self.cloud.compute.revert_resize(self.caller, server_id)

    def _rebuild_server(
        self,
        server_id: str,
        *,
        name: str,
        image_id: str,
        user_data: str,
        metadata: Mapping[str, str],
    ) -> None:
        self.cloud.compute.rebuild(
            self.caller,
            server_id,
            image_id,
            name=name,
            metadata=dict(metadata),
            user_data=base64.b64encode(user_data.encode()).decode(),
            keep_user_data=False,
        )

    def _find_replacement(self, server_id: str) -> servers.Replacement | None:
        for each in self.cloud.compute.actions(self.caller, server_id)[: servers.MOST_ACTIONS]:
            if each.action in servers.REPLACING:
                return servers.Replacement(each.request_id, each.action, each.started)
        return None

    def _find_end(self, server_id: str, replacement: servers.Replacement) -> float | None:
        request_id = replacement.request_id
        return self.cloud.compute.action(self.caller, server_id, request_id).finished

    def _attach_volume(self, server_id: str, volume_id: str) -> None:
        self.cloud.compute.attach_volume(self.caller, server_id, volume_id, None)

    def _detach_volume(self, server_id: str, volume_id: str) -> None:
        unless_gone(lambda: self.cloud.compute.detach_volume(self.caller, server_id, volume_id))

    def _delete_server(self, server_id: str) -> None:
        unless_gone(lambda: self.cloud.compute.delete(self.caller, server_id, force=True))

    def _list_all_flavors(self) -> list[flavors.CloudFlavor]:
        with self.cloud.faults.around("compute", "list_flavors", ""):
            return [
                flavors.CloudFlavor(
                    id=each.id,
                    name=each.name,
                    ram=each.ram,
                    vcpus=each.vcpus,
                    disk=each.disk,
                    ephemeral=0,
                )
                for each in self.cloud.compute.flavors.flavors.values()
            ]

    def _server(self, one: Server) -> servers.Server:
        return servers.Server(
            id=one.id,
            name=one.name,
            status=one.status,
            deleting=one.task_state in servers.DELETING or one.status in servers.GONE,
            fault=one.fault.message if one.fault else None,
            owner=self.marked(one.project_id, one.metadata),
            metadata=dict(one.metadata),
            moving=one.task_state is not None,
            flavor=one.flavor.name,
            image_id=one.image_id,
            ram=one.flavor.ram,
            vcpus=one.flavor.vcpus,
            host_id=one.host_id,
            volumes=frozenset(volume.volume_id for volume in one.volumes),
            launched=one.launched_at is not None,
        )
