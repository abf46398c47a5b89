"""The fault classes of `simulation.md`, one module each."""

from __future__ import annotations

from typing import Final

from simulator.faults.base import Fault
from simulator.faults.f01_duplicates import Duplicates
from simulator.faults.f02_reorder import Reorder
from simulator.faults.f03_delay import Delay
from simulator.faults.f04_loss import Loss
from simulator.faults.f05_crash import Crash
from simulator.faults.f06_partial import PartialBatch
from simulator.faults.f07_throttling import Throttling
from simulator.faults.f08_unknown_commit import UnknownCommit
from simulator.faults.f09_stale_read import StaleRead
from simulator.faults.f10_clock_skew import ClockSkew
from simulator.faults.f11_guest_crash import GuestCrash
from simulator.faults.f12_partition import Partition
from simulator.faults.f13_disk import BadDisk
from simulator.faults.f14_zombie import Zombie
from simulator.faults.f15_cloud import CloudApi
from simulator.faults.f16_poison import Poison
from simulator.faults.f17_workflow import Workflow
from simulator.faults.f18_object_store import ObjectStore
from simulator.faults.f19_deploy import Deploy
from simulator.faults.f20_outage import Outage
from simulator.faults.f21_tenants import Tenants
from simulator.faults.f22_noisy_tenant import NoisyTenant
from simulator.faults.f23_restored_table import RestoredTable
from simulator.faults.f24_second_deployment import SecondDeployment
from simulator.faults.f25_hostile_guests import HostileGuests
from simulator.faults.f26_rotation import Rotation
from simulator.faults.f27_replaced_disk import ReplacedDisk

REGISTRY: Final[dict[str, type[Fault]]] = {
    fault.id: fault
    for fault in (
        Duplicates,
        Reorder,
        Delay,
        Loss,
        Crash,
        PartialBatch,
        Throttling,
        UnknownCommit,
        StaleRead,
        ClockSkew,
        GuestCrash,
        Partition,
        BadDisk,
        Zombie,
        CloudApi,
        Poison,
        Workflow,
        ObjectStore,
        Deploy,
        Outage,
        Tenants,
        NoisyTenant,
        RestoredTable,
        SecondDeployment,
        HostileGuests,
        Rotation,
        ReplacedDisk,
    )
}
"""All classes by id, in their order."""

__all__ = ["REGISTRY", "Fault"]
