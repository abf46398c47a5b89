"""RabbitMQ, over which the processes of a service call each other, in a folder of its own."""

from __future__ import annotations

from typing import Final

from infra.local.processes import PartProcess
from tests.openstack.site import HOST, START_SECONDS, Site, listens

PROGRAM: Final = "/usr/lib/rabbitmq/bin/rabbitmq-server"
NAMES: Final = "epmd"
"""Erlang's name server. Erlang would start one of the whole machine and leave it behind."""


def start(site: Site) -> tuple[PartProcess, PartProcess]:
    """Start both, the broker without waiting for it."""
    folder = site.folder("rabbitmq")
    names = site.start(
        "epmd", [NAMES, "-port", str(site.ports["epmd"]), "-address", HOST], {"HOME": str(folder)}
    )
    names.wait_until(listens(site.ports["epmd"]), START_SECONDS)
    (folder / "plugins").write_text("[].\n")
    broker = site.start(
        "rabbitmq",
        [PROGRAM],
        {
            "HOME": str(folder),
            "ERL_EPMD_PORT": str(site.ports["epmd"]),
            "RABBITMQ_NODENAME": f"coffer-{site.ports['rabbitmq']}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": str(site.ports["rabbitmq"]),
            "RABBITMQ_DIST_PORT": str(site.ports["erlang"]),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        },
    )
    return names, broker
