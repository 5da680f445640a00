"""Task instances in memory, and what the emulator was asked by them."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator


class DictStore:
    """Airflow's task state store, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.written: list[Any] = []
        self.broken: str = ""  # names of methods that fail

    def get(self, key: str, default: Any = None) -> Any:
        self._check("get")
        return json.loads(self.rows[key]) if key in self.rows else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self._check("set")
        assert retention.days >= 30
        self.rows[key] = json.dumps(value)
        self.written.append(value)

    def delete(self, key: str) -> None:
        self._check("delete")
        self.rows.pop(key, None)

    def _check(self, name: str) -> None:
        if name in self.broken.split():
            raise RuntimeError("the API server is away")


class Task:
    """One task instance, in several tries; `context` is that of the next one."""

    def __init__(self, store: DictStore | None) -> None:
        self.store = store
        self.xcoms: dict[str, Any] = {}
        self.try_number = 0
        self.max_tries = 1

    def context(self, *, cleared: bool = False) -> Any:
        """The context of the next try; a cleared task has a higher ``max_tries``."""
        if cleared:
            self.max_tries = self.try_number + 1
        self.try_number += 1
        ti = SimpleNamespace(
            dag_id="d",
            run_id="r",
            task_id="t",
            map_index=-1,
            try_number=self.try_number,
            max_tries=self.max_tries,
            xcom_push=lambda key, value: self.xcoms.__setitem__(key, value),
        )
        found: dict[str, Any] = {"ti": ti}
        return found if self.store is None else {**found, "task_state_store": self.store}


def recordings(emulator: Emulator) -> list[dict[str, Any]]:
    """All recordings there ever were, in the order in which they were started."""
    return list(emulator.state()["recordings"].values())


def sent(emulator: Emulator) -> list[str]:
    """The actions that were called, in order."""
    return [one["action"] for one in emulator.state(requests=True)["requests"]]
