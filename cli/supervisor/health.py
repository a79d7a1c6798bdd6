"""Does a process answer? Over bare sockets, so that asking costs no import and no client.

Each check is True or False within its deadline; a refused connection is an answer, not an error.
"""

import asyncio
import struct
from collections.abc import Awaitable, Callable

DEADLINE_SECONDS = 2.0

Exchange = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bool]]


async def _ask(port: int, exchange: Exchange) -> bool:
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                return await exchange(reader, writer)
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False


async def tcp(port: int) -> bool:
    """Something accepts connections on the port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        return True

    return await _ask(port, connected)


async def http(port: int, path: str = "/healthz") -> bool:
    """``GET path`` answers 2xx."""

    async def get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        return (await reader.readline()).split(b" ")[1:2] in ([b"200"], [b"204"])

    return await _ask(port, get)


async def polling(port: int) -> bool:
    """A worker's metrics tell of pollers: it takes work, not only connections."""

    async def metrics(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        async for line in reader:
            if line.startswith(b"temporal_num_pollers{") and not line.rstrip().endswith(b" 0"):
                return True
        return False

    return await _ask(port, metrics)


async def redis(port: int, password: str) -> bool:
    """``PING`` answers ``PONG``; while the file is loaded it answers ``-LOADING``."""

    async def ping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(f"AUTH {password}\r\nPING\r\n".encode())
        return (await reader.readline()) == b"+OK\r\n" and (await reader.readline()) == b"+PONG\r\n"

    return await _ask(port, ping)


async def postgres(port: int) -> bool:
    """The server asks for a password: what ``pg_isready`` calls accepting connections.

    While it starts or recovers it answers an error (57P03) instead; frontend/backend protocol 3.0.
    """

    async def startup(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        body = struct.pack("!I", 3 << 16) + b"user\0treum\0database\0treum\0\0"
        writer.write(struct.pack("!I", len(body) + 4) + body)
        return await reader.readexactly(1) == b"R"

    return await _ask(port, startup)
