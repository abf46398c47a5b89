"""Floating addresses lead where they were told to last, and nowhere when they are gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.openstack.router import Router
from tests.support.loopback import free_address, free_port

WITHIN_SECONDS = 30


@asynccontextmanager
async def said_at(address: str, port: int, word: bytes) -> AsyncIterator[None]:
    """A server that answers a line with a word of its own and the line."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(word + await reader.readline())
        await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, address, port):
        yield


class Client:
    """A connection, which says hello first."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        writer.write(b"hello\n")

    @classmethod
    async def of(cls, address: str, port: int) -> Client:
        return cls(*await asyncio.open_connection(address, port))

    async def answer(self) -> bytes:
        """The next line; nothing where the connection is over."""
        return await asyncio.wait_for(self._reader.readline(), WITHIN_SECONDS)

    async def is_over(self) -> bool:
        try:
            return await self.answer() == b""
        except ConnectionResetError:
            return True  # what it said had not been read
        finally:
            self._writer.close()


async def led() -> None:
    port = free_port()
    public, first, second = (free_address() for _ in range(3))
    router = Router([port])
    async with said_at(first, port, b"first "), said_at(second, port, b"second "):
        await router.lead(public, first)
        to_first = await Client.of(public, port)
        assert await to_first.answer() == b"first hello\n"
        await router.lead(public, second)
        assert await to_first.is_over()
        to_second = await Client.of(public, port)
        assert await to_second.answer() == b"second hello\n"
        await router.lead(public, None)
        assert await to_second.is_over()
        with pytest.raises(ConnectionRefusedError):
            await Client.of(public, port)


async def led_to_nobody() -> None:
    port = free_port()
    public, nobody = free_address(), free_address()
    router = Router([port])
    await router.lead(public, nobody)
    client = await Client.of(public, port)
    assert await client.is_over()
    await router.close()
    with pytest.raises(ConnectionRefusedError):
        await Client.of(public, port)


def test_a_floating_address_leads_where_it_was_told_to_last() -> None:
    asyncio.run(led())


def test_who_connects_to_an_address_behind_which_nobody_listens_is_not_left_waiting() -> None:
    asyncio.run(led_to_nobody())
