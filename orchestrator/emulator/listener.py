"""One HTTP listener that can be closed and opened again on the same port."""

from __future__ import annotations

from aiohttp import web

from orchestrator.errors import UsageError

HOST = "127.0.0.1"
_BACKLOG = 1024


class Listener:
    """Serves ``app`` on 127.0.0.1. ``port`` 0 takes a free one, and keeps it."""

    def __init__(self, app: web.Application, port: int) -> None:
        # Bodies stay as they were sent, and nobody waits for a client that has gone.
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.5, auto_decompress=False
        )
        self._port = port
        self._site: web.TCPSite | None = None

    @property
    def url(self) -> str:
        """Base URL without a trailing slash."""
        return f"http://{HOST}:{self._port}"

    async def open(self) -> None:
        """Begin to listen.

        Raises:
            UsageError: the port is taken.
        """
        await self._runner.setup()
        await self.resume()
        self._port = self._runner.addresses[0][1]

    async def resume(self) -> None:
        """Listen, if it does not yet."""
        if self._site is not None:
            return
        site = web.TCPSite(self._runner, HOST, self._port, backlog=_BACKLOG)
        try:
            await site.start()
        except OSError as error:
            raise UsageError(
                f"port {self._port} on {HOST} can not be used: {error.strerror}; choose another"
            ) from error
        self._site = site

    async def pause(self) -> None:
        """Refuse new connections and cut those that are open."""
        if self._site is None:
            return
        site, self._site = self._site, None
        await site.stop()
        server = self._runner.server
        for connection in tuple(server.connections) if server else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def close(self) -> None:
        """Stop for good."""
        await self._runner.cleanup()
