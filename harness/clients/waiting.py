"""Waiting for something to become true, woken by what happens and never by asking again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Waiters:
    """Futures that wait for a condition. `stir` is called whenever something may have changed it."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    async def until(self, test: Callable[[], bool], timeout: float | None) -> bool:
        """Whether `test` came true within `timeout` seconds (None: however long it takes)."""
        if test():
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = test
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            return False
        finally:
            self._waiting.pop(future, None)
        return True

    def stir(self) -> None:
        for future, test in list(self._waiting.items()):
            if not future.done() and test():
                future.set_result(None)

    def fail(self, error: Exception) -> None:
        """Whoever waits is told of the error that makes waiting pointless."""
        for future in self._waiting:
            if not future.done():
                future.set_exception(error)
