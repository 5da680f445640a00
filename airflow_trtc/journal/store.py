"""How tasks and triggers reach the journal: the state of jobs outlives tries, runs and killed processes.

On Airflow 3.3 and later the journal is the asset state store of one constant asset, which every sensor has as
inlet. What polls showed of a job and what callbacks reported of it are two rows, since each row has one kind
of writers: tasks and triggers the one, the API server the other. Readers join them. Each has a head and one
row more for each hundred files, so that rows stay small and old pages are never written again. Older Airflow
has no such store; then there is no journal, and the state travels in the trigger's arguments and XComs.

The rows are readable by every author of a DAG: they hold no secrets and no signed addresses. They are
working state: Airflow deletes them all when the last DAG with a sensor is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from airflow.sdk import Asset

from airflow_trtc._compat import has_async_supervisor, has_state_store, trigger_state_store
from airflow_trtc.aio import within
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState
from airflow_trtc.journal.journal import Journal
from airflow_trtc.journal.keys import JOURNAL_NAME, JOURNAL_URI, Rows
from airflow_trtc.journal.owners import TaskId
from airflow_trtc.journal.plans import Get, Set, Store, drive

JOURNAL = Asset(name=JOURNAL_NAME, uri=JOURNAL_URI)
STORE_TIMEOUT_SECONDS = 30.0  # a triggerer's first request after its start took 8 to 13 seconds


def with_journal(inlets: Any) -> list[Any]:
    """The inlets and, once, the journal: being an inlet keeps Airflow from deleting its rows.

    Below Airflow 3.3 there are no rows, and early 3.1 fails tasks whose inlets are nothing else's outlets.
    """
    given = inlets if isinstance(inlets, list | tuple) else [] if inlets is None else [inlets]
    return [*(inlet for inlet in given if inlet != JOURNAL), *([JOURNAL] if has_state_store() else [])]


class KeepsJournal:
    """For operators: the journal is among their inlets, also when they are mapped.

    To stand before Airflow's base class. Inlets of the user's, wherever they are given, stay.
    """

    inlets: list[Any]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inlets = with_journal(self.inlets)

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Map over arguments."""
        partial = super().partial(**kwargs)  # type: ignore[misc]
        # Only now these are also what the default_args of DAG and task groups say.
        partial.kwargs["inlets"] = with_journal(partial.kwargs["inlets"])
        return partial


class AsyncStore(Protocol):
    """The same verbs for a trigger."""

    async def aget(self, key: str, default: Any = None) -> Any:
        """Return the value, or the default when there is no such key."""

    async def aset(self, key: str, value: Any) -> None:
        """Write the value."""


async def acarry_out(step: Get | Set, store: AsyncStore) -> Any:
    """Read or write one row, within a time limit."""
    call = store.aget(step.key) if isinstance(step, Get) else store.aset(step.key, step.value)
    return await within(STORE_TIMEOUT_SECONDS, call)


def load_now(context: Mapping[str, Any], job: JobRef) -> JobState | None:
    """What the journal holds of a job, read from a running task that has it as inlet.

    :return: nothing but the id where there is no journal, as below Airflow 3.3; None when it cannot be read.
    """
    store = worker_store(context)
    journal = Journal(Rows(job), is_available=store is not None)
    state = drive(journal.load(JobState(job.job_id)), store) if store is not None else JobState(job.job_id)
    return state if journal.is_loaded else None


def task_of(context: Mapping[str, Any]) -> TaskId:
    """What names the task instance that runs."""
    ti = context["ti"]
    map_index = getattr(ti, "map_index", -1)
    return TaskId(ti.dag_id, ti.run_id, ti.task_id, -1 if map_index is None else map_index)


def worker_store(context: Mapping[str, Any]) -> Store | None:
    """The store as a running task reaches it; None below Airflow 3.3."""
    stores = context.get("asset_state_store")
    if stores is None:
        return None
    try:
        # Always by asset: the shortcut without it fails as soon as the task has other inlets.
        store: Store = stores[JOURNAL]
    except (KeyError, TypeError):
        return None
    return store


class _TriggerStore:
    """Airflow's accessor in a triggerer, or in ``dag.test()``."""

    def __init__(self, accessor: Any) -> None:
        self._accessor = accessor

    async def aget(self, key: str, default: Any = None) -> Any:
        if has_async_supervisor():
            return await self._accessor.aget(key, default)
        return self._accessor.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        if has_async_supervisor():
            await self._accessor.aset(key, value)
        else:
            self._accessor.set(key, value)


def trigger_store() -> AsyncStore | None:
    """The store as triggers reach it; None below Airflow 3.3 and outside Airflow."""
    accessor = trigger_state_store(JOURNAL.name)
    return None if accessor is None else _TriggerStore(accessor)
