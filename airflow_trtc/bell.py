"""What wakes a coroutine that waits for several things at once."""

from __future__ import annotations

import asyncio
import math


class Bell:
    """Wakes one coroutine when somebody rings, or when it is time; much cheaper than a task for each wait."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake it now, or the next time it waits."""
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Wait until somebody rings, at most so long."""
        timer = None
        if seconds <= 0:
            self._event.set()
        elif seconds < math.inf:
            timer = asyncio.get_running_loop().call_later(seconds, self._event.set)
        try:
            await self._event.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._event.clear()
