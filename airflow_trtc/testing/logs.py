"""Collects what is logged and printed while a task runs in this process, by task.

`dag.test()` runs one task after the other, in the thread that called it; what other threads log meanwhile
(the emulator, a receiver of callbacks, Airflow's own API) is no part of a task's log.
"""

from __future__ import annotations

import io
import logging
import re
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any
from unittest.mock import patch

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

Key = tuple[str, int]  # task id and map index


class TaskLogs:
    """The logs of the tasks of one run."""

    def __init__(self) -> None:
        self._parts: dict[Key, list[str]] = defaultdict(list)
        self._running: Key | None = None
        self._thread = threading.get_ident()
        self._rendered: str | None = None

    def of(self, task_id: str, map_index: int) -> str:
        """What one task instance has logged and printed."""
        return _COLOURS.sub("", "".join(self._parts[task_id, map_index]))

    def write(self, text: str) -> None:
        """Add to the log of the task that runs."""
        if self._running is not None and threading.get_ident() == self._thread:
            self._parts[self._running].append(text)

    def write_printed(self, text: str) -> None:
        """Add what goes to standard output; where that is a rendered event, it is there already."""
        if text.rstrip("\n") != self._rendered:
            self.write(text)

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Collect while a DAG runs."""
        from airflow.sdk.definitions import dag

        run_task = dag._run_task

        def run_and_collect(*, ti: Any, **options: Any) -> Any:
            self._running = ti.task_id, ti.map_index
            try:
                with redirect_stdout(_Tee(sys.stdout, self)), redirect_stderr(_Tee(sys.stderr, self)):
                    return run_task(ti=ti, **options)
            finally:
                self._running = None

        with patch.object(dag, "_run_task", run_and_collect), self._structlog(), self._logging():
            yield

    @contextmanager
    def _structlog(self) -> Iterator[None]:
        """Listen to the last processor, which makes the text; loggers share the list and keep it."""
        import structlog

        processors = structlog.get_config()["processors"]
        render: Callable[..., Any] = processors[-1]

        def render_and_collect(*event: Any) -> Any:
            rendered = render(*event)
            if isinstance(rendered, str | bytes):
                text = rendered if isinstance(rendered, str) else rendered.decode("utf-8", "replace")
                self._rendered = text.rstrip("\n")
                self.write(f"{self._rendered}\n")
            return rendered

        processors[-1] = render_and_collect
        try:
            yield
        finally:
            processors[-1] = render

    @contextmanager
    def _logging(self) -> Iterator[None]:
        """Listen to Python's loggers, in the format of Airflow, which masks secrets."""
        root = logging.getLogger()
        handler = logging.StreamHandler(_Tee(None, self))
        formatters = [one.formatter for one in root.handlers if one.formatter is not None]
        handler.setFormatter(next(filter(_is_airflows, formatters), None))
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)


def _is_airflows(formatter: logging.Formatter) -> bool:
    return type(formatter).__module__.startswith(("structlog", "airflow"))


class _Tee(io.TextIOBase):
    """Writes to a task's log, and to where it would go anyway."""

    def __init__(self, stream: Any, logs: TaskLogs) -> None:
        self._stream = stream
        self._logs = logs

    def write(self, text: str) -> int:
        self._logs.write_printed(text)
        return len(text) if self._stream is None else int(self._stream.write(text) or 0)

    def flush(self) -> None:
        if self._stream is not None:
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
