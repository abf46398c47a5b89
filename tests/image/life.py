"""What one booted server has to do: each step says how long it took, or fails."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from chalicelib.bus.contract.manifest import key_of
from chalicelib.bus.envelope import Envelope
from chalicelib.service_status import ServiceStatus
from guest_agent.storage.device import APPEAR_SECONDS
from infra.image.bundle import Bundle
from tests.bench.tables import console
from tests.guest_agent.backups.objects import BUCKET, ONE, Lender, Objects
from tests.guest_agent.control_plane import ControlPlane, wait_for
from tests.image.container import Container
from tests.image.machine import Machine
from tests.image.tenants import ROWS, Tenant

BOOT_SECONDS: Final = 1800.0
"""Without KVM, on a machine that is busy."""
LOOK_SECONDS: Final = 0.5
"""Whoever looks takes the processor from the server."""
ORDER: Final = {"id": ONE, "location": f"tenant/{ONE}"}
"""Of a backup, as `Lender` has a key for one."""


class Life:
    """Of one server; who enters is a tenant of its engine."""

    def __init__(
        self,
        name: str,
        enter: Callable[[], Tenant],
        control: ControlPlane,
        machine: Machine | Container,
    ) -> None:
        self._name, self._enter = name, enter
        self._control, self._machine = control, machine

    def boots(self) -> None:
        with self._step("boots and enrols"):
            self._machine.switch_on()
            self._until(lambda: self._control.public_key)

    def makes_its_database(self, order: dict[str, Any]) -> None:
        with self._step("makes its database"):
            self._done("prepare", order, BOOT_SECONDS + APPEAR_SECONDS)
            with self._tenant() as tenant:
                tenant.write()
                assert tenant.rows() == ROWS

    def is_backed_up(self) -> None:
        """Whole, to a store, by the engine's own tool."""
        with self._step("is backed up"):
            self._control.lends = self._lent()
            checksum = self._done("create_backup", ORDER)["checksum"]
            assert f"/{BUCKET}/{key_of(ORDER['location'], checksum)}" in self._control.files

    def goes_on_as(self, release: Bundle) -> None:
        """Its agent becomes another release below a tenant who notices nothing."""
        with self._step("its agent is upgraded"), self._unnoticed():
            answer = self._upgrade(release)
            assert answer.error is None, answer.error
            assert self.version() == release.version

    def comes_back_from(self, release: Bundle) -> None:
        """One that does not prove itself; the one of before runs again."""
        before = self.version()
        with self._step("comes back from a broken release"), self._unnoticed():
            answer = self._upgrade(release)
            assert answer.error is not None, "a broken release was taken"
            assert "ended by itself" in answer.error.message, answer.error
            assert self.version() == before

    def outlives(self, cut: str) -> None:
        self._machine.cut()
        with self._step(f"has its data after {cut}"):
            epoch, version = self._control.epoch, self.version()
            self._machine.switch_on()
            self._until(lambda: self._control.epoch > epoch)
            self._until(self._is_well)
            assert self.version() == version
            with self._tenant() as tenant:
                assert tenant.rows() == ROWS

    def said(self) -> str:
        """What the server tells of itself."""
        return self._machine.said()

    def version(self) -> str:
        """The agent's, as the newest heartbeat tells it."""
        return str((self._control.reports("heartbeats")[-1].result or {})["version"])

    def _is_well(self) -> bool:
        """Whether the guest of the newest epoch says that its database is."""
        beats = self._control.reports("heartbeats")
        told = [each.result or {} for each in beats if each.epoch == self._control.epoch]
        return any(each.get("status") == ServiceStatus.HEALTHY for each in told)

    def _upgrade(self, release: Bundle) -> Envelope:
        body = release.file.read_bytes()
        path = f"/{release.file.name}"
        self._control.files[path] = body
        return self._answer(
            "upgrade_agent",
            {
                "attempt": str(uuid.uuid4()),
                "version": release.version,
                "sha256": release.sha256,
                "size": len(body),
                "url": f"{self._control.url}{path}",
            },
        )

    def _done(
        self, method: str, args: dict[str, Any], seconds: float = BOOT_SECONDS
    ) -> dict[str, Any]:
        answer = self._answer(method, args, seconds)
        assert answer.error is None, answer.error
        return answer.result or {}

    def _answer(self, method: str, args: dict[str, Any], seconds: float = BOOT_SECONDS) -> Envelope:
        """Whoever answers may be an agent that has to start first."""
        command = self._control.command(method, args, expires_at=self._control.now() + BOOT_SECONDS)
        self._control.send(command)
        self._until(lambda: self._control.results(command.id), seconds)
        return self._control.results(command.id)[0]

    def _lent(self) -> dict[str, Any]:
        """Of the control plane's own store, for as long as this may take."""
        grant = msgspec.structs.replace(Lender(Objects()).ask(), endpoint=self._control.url)
        lent: dict[str, Any] = msgspec.to_builtins(grant)
        expires = datetime.now(UTC) + timedelta(seconds=BOOT_SECONDS)
        lent["credentials"]["expires_at"] = expires.isoformat()
        return lent

    def _until(self, condition: Callable[[], object], seconds: float = BOOT_SECONDS) -> None:
        def reached() -> object:
            assert self._machine.runs, "QEMU has ended"
            time.sleep(LOOK_SECONDS)
            return condition()

        wait_for(reached, seconds)

    @contextmanager
    def _tenant(self) -> Iterator[Tenant]:
        with closing(self._enter()) as tenant:
            yield tenant

    @contextmanager
    def _unnoticed(self) -> Iterator[None]:
        """A tenant is connected all the time, to the same process."""
        with self._tenant() as tenant:
            before = tenant.served_by()
            yield
            assert (tenant.served_by(), tenant.rows()) == (before, ROWS)

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        console.print(f"{self._name:22} {what:34} {time.monotonic() - began:6.1f} s")
