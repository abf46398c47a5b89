"""What the router's NAT would do: what connects to a floating address reaches the port behind it.

Of TCP it carries the ports that databases listen on. Groups are not enforced, here nor anywhere on
this OpenStack.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final

from chalicelib.engines import ENGINES

PORTS: Final = tuple(sorted({port for each in ENGINES.values() for port in each.tcp_ports}))
CONNECT_SECONDS: Final = 10
CHUNK_BYTES: Final = 65_536


class Router:
    """The floating addresses that lead somewhere, each with its listeners and connections."""

    def __init__(self, ports: Iterable[int] = PORTS) -> None:
        self._ports = tuple(ports)
        self._listeners: dict[str, list[asyncio.Server]] = {}
        self._connections: dict[str, set[asyncio.Task[None]]] = {}
        self._one = asyncio.Lock()
        """Neutron's threads tell their changes side by side."""

    async def lead(self, address: str, fixed: str | None) -> None:
        """Let an address lead to a fixed one, and no longer to another; None is nowhere."""
        async with self._one:
            await self._end(address)
            if fixed is None:
                return
            self._connections[address] = set()
            self._listeners[address] = []
            try:
                for port in self._ports:
                    self._listeners[address].append(await self._listen(address, fixed, port))
            except OSError:
                await self._end(address)
                raise

    async def close(self) -> None:
        """Let all of them lead nowhere."""
        for address in tuple(self._listeners):
            await self.lead(address, None)

    async def _listen(self, address: str, fixed: str, port: int) -> asyncio.Server:
        connections = self._connections[address]

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._connections.get(address) is not connections:
                writer.close()  # it was accepted before the address has led elsewhere
                return
            task = asyncio.ensure_future(_carry(reader, writer, fixed, port))
            connections.add(task)
            task.add_done_callback(connections.discard)

        return await asyncio.start_server(connected, address, port)

    async def _end(self, address: str) -> None:
        for listener in self._listeners.pop(address, ()):
            listener.close()
        connections = tuple(self._connections.pop(address, ()))
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fixed: str, port: int
) -> None:
    """Both directions of one connection, until each has ended; closed when nobody answers."""
    with contextlib.suppress(OSError, TimeoutError):
        try:
            to = asyncio.open_connection(fixed, port)
            there_reader, there = await asyncio.wait_for(to, CONNECT_SECONDS)
            try:
                await asyncio.gather(_copy(reader, there), _copy(there_reader, writer))
            finally:
                there.close()
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
