"""What a run of a DAG left behind, by task. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

RETURN_VALUE = "return_value"
SEVERAL = "several"


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What became of one task, or of one instance of a mapped task.

    :param map_index: which instance it is; -1 for a task that is not mapped, and for all of them together.
    :param state: Airflow's state, e.g. ``success``. Of a mapped task the one that all instances share, and
        ``several`` when they differ.
    :param xcoms: what it pushed, by key. Of a mapped task a list for each key, one value an instance; None
        for an instance that pushed nothing.
    :param log: what was logged and printed while it ran, as Airflow writes it, secrets masked.
    :param mapped: the instances of a mapped task, in order; empty for any other.
    """

    task_id: str
    map_index: int = -1
    state: str | None = None
    xcoms: Mapping[str, Any] = field(default_factory=dict)
    log: str = field(default="", repr=False)
    mapped: tuple[TaskResult, ...] = ()

    @property
    def value(self) -> Any:
        """What it returned; None when that is nothing. Of a mapped task a list."""
        return self.xcoms.get(RETURN_VALUE, [None] * len(self.mapped) if self.mapped else None)


@dataclass(frozen=True, slots=True)
class DagResult:
    """What became of one run; ``run["task_id"]`` is a task of it.

    :param state: ``success`` or ``failed``.
    :param tasks: by task id.
    """

    dag_id: str
    run_id: str
    state: str
    tasks: Mapping[str, TaskResult]

    def __getitem__(self, task_id: str) -> TaskResult:
        try:
            return self.tasks[task_id]
        except KeyError:
            known = ", ".join(self.tasks)
            raise KeyError(f"DAG {self.dag_id!r} has no task {task_id!r}; it has {known}") from None

    def __str__(self) -> str:
        """The states, and the log of what failed."""
        lines = [f"DAG {self.dag_id}: {self.state}"]
        for task in self.tasks.values():
            lines += [f"  {_name(one)}: {one.state}" for one in task.mapped or (task,)]
        for task in self.tasks.values():
            lines += [
                f"-- log of {_name(one)} --\n{one.log}"
                for one in task.mapped or (task,)
                if one.state == "failed"
            ]
        return "\n".join(lines)


def _name(task: TaskResult) -> str:
    return task.task_id if task.map_index < 0 else f"{task.task_id}[{task.map_index}]"


def by_task(instances: Iterable[TaskResult]) -> dict[str, TaskResult]:
    """One result for each task: of its only instance, or of all its mapped ones together."""
    found: dict[str, list[TaskResult]] = defaultdict(list)
    for one in sorted(instances, key=lambda one: (one.task_id, one.map_index)):
        found[one.task_id].append(one)
    return {task_id: _joined(task_id, some) for task_id, some in found.items()}


def _joined(task_id: str, instances: list[TaskResult]) -> TaskResult:
    if len(instances) == 1 and instances[0].map_index < 0:
        return instances[0]
    states = {one.state for one in instances}
    keys = dict.fromkeys(key for one in instances for key in one.xcoms)
    return TaskResult(
        task_id,
        state=states.pop() if len(states) == 1 else SEVERAL,
        xcoms={key: [one.xcoms.get(key) for one in instances] for key in keys},
        log="".join(one.log for one in instances),
        mapped=tuple(instances),
    )
