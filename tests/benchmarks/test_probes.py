import asyncio
import json
import signal
import time
from pathlib import Path

import pytest

from tests.benchmarks import probes

PATIENCE_SECONDS = 60.0


class Written(Exception):
    """All is done."""


class BlockedTrigger(probes.BlockTrigger):
    """Blocks the event loop until that is seen, and ends with the line about it."""

    def _write(self, longest: float) -> None:
        if not self._where:
            self.keep_busy()
            return
        super()._write(longest)
        raise Written

    def keep_busy(self) -> None:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not self._where:
            assert time.monotonic() < give_up_at, "nobody saw it"


def test_what_blocks_the_event_loop_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "trigger_store", lambda: None)
    monkeypatch.setattr(probes, "WRITE_SECONDS", 0.0)
    path, handler = tmp_path / "blocks.jsonl", signal.getsignal(probes.LOOK)

    async def measure() -> None:
        await anext(BlockedTrigger(path=str(path)).run())

    with pytest.raises(Written):
        asyncio.run(measure())
    (line,) = map(json.loads, path.read_text().splitlines())
    assert " keep_busy < " in line["where"][0]
    assert signal.getsignal(probes.LOOK) == handler
