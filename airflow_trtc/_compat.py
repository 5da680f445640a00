"""What differs between Airflow 3.1 and 3.3; the only place that asks which one this is."""

from __future__ import annotations

import asyncio
import functools
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from airflow.sdk.exceptions import AirflowRuntimeError
from packaging.version import Version

from airflow_trtc.aio import uninterrupted, within
from airflow_trtc.metrics import Client, Found

try:
    from airflow.sdk import conf
    from airflow.sdk.exceptions import (
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferralError,
        TaskDeferred,
    )
except ImportError:  # Airflow 3.1
    from airflow.configuration import conf  # type: ignore[assignment]
    from airflow.exceptions import (  # type: ignore[attr-defined, no-redef]
        AirflowFailException,
        AirflowNotFoundException,
        AirflowRescheduleException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferralError,
        TaskDeferred,
    )


BACKEND_TIMEOUT_SECONDS = 30.0

_Value = TypeVar("_Value")


def dag_bag_type() -> Any:
    """Airflow's class that reads DAG files. For tests of DAGs, where Airflow's server side is at hand."""
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag  # type: ignore[no-redef]
    return DagBag


def sync_bag_to_db(bag: Any, bundle_name: str, bundle_version: str | None) -> None:
    """Store DAGs as the DAG processor does; see `dag_bag_type`."""
    try:
        from airflow.dag_processing.dagbag import sync_bag_to_db as sync
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import sync_bag_to_db as sync  # type: ignore[no-redef]
    sync(bag, bundle_name, bundle_version)


def prepare_test_runs() -> None:
    """Mend what ``dag.test()`` lacks in older releases. For tests of DAGs.

    Below 3.3 each task gets an API of its own, which takes two seconds to build. That of 3.2 wants a key.
    """
    from airflow.configuration import conf as server_conf
    from airflow.sdk.execution_time import supervisor

    if not server_conf.get("api_auth", "jwt_secret", fallback=None):
        os.environ["AIRFLOW__API_AUTH__JWT_SECRET"] = secrets.token_hex(32)
    build = supervisor.in_process_api_server
    if not hasattr(build, "cache_info"):
        supervisor.in_process_api_server = functools.cache(build)


def has_state_store() -> bool:
    """Whether this Airflow keeps state with assets: from 3.3 on, whose Task SDK is 1.3.

    It asks for the version: a failing import would take an Airflow that moved the module for one without it.
    """
    return _sdk_release() >= (1, 3)


def _sdk_release() -> tuple[int, ...]:
    """The Task SDK's version; 1.1 belongs to Airflow 3.1, and so on."""
    from airflow.sdk import __version__

    return Version(__version__).release


def state_store_model() -> Any:
    """The model of Airflow's asset state store; None below 3.3, which has none. For the API server's side."""
    if not has_state_store():
        return None
    from airflow.models.asset_state_store import AssetStateStoreModel

    return AssetStateStoreModel


def trigger_state_store(asset_name: str) -> Any:
    """Airflow's accessor of an asset's state store in a triggerer; None below 3.3 and outside Airflow."""
    from airflow.sdk.execution_time import task_runner

    if not has_state_store() or getattr(task_runner, "SUPERVISOR_COMMS", None) is None:
        return None
    from airflow.sdk.execution_time.context import AssetStateStoreAccessor

    return AssetStateStoreAccessor(name=asset_name)


def task_state_store(context: Mapping[str, Any]) -> Any:
    """Airflow's store of a running task instance, which outlives tries and clears; None below 3.3."""
    return context.get("task_state_store")


def has_async_supervisor() -> bool:
    """Whether the supervisor can be asked without blocking; ``dag.test()`` offers only the other half."""
    from airflow.sdk.execution_time import task_runner

    return hasattr(task_runner.SUPERVISOR_COMMS, "asend")


def has_callbacks(context: Mapping[str, Any]) -> bool:
    """Whether this Airflow can receive callbacks: from 3.3 on a task sees the asset state store."""
    return "asset_state_store" in context


def gc_tuning_enabled() -> bool:
    """``[trtc] gc_tuning``: whether a triggerer with thousands of waits tunes Python's garbage collector."""
    return _is_on("gc_tuning")


def shares_pace() -> bool:
    """``[trtc] shared_pace``: whether this process shares the pace of its requests with others here."""
    return _is_on("shared_pace")


def pace_directory() -> str | None:
    """``[trtc] shared_pace_directory``: where it does so; None where the user does not say."""
    return conf.get("trtc", "shared_pace_directory", fallback=None) or None


def _is_on(option: str) -> bool:
    """Whether it is not off; `conf.getboolean` raises for what is no boolean, and differs in what."""
    value = str(conf.get("trtc", option, fallback="True"))
    return value.partition("#")[0].strip().lower() not in ("f", "false", "0")


def has_xcom_backend() -> bool:
    """Whether ``[core] xcom_backend`` names another one than Airflow's own, such as an object store."""
    from airflow.sdk.bases.xcom import BaseXCom

    return _xcom_backend() is not BaseXCom


def _xcom_backend() -> Any:
    from airflow.sdk.execution_time.xcom import XCom

    return XCom


async def axcom_write(key: str, value: Any, ids: Mapping[str, Any]) -> None:
    """Set an XCom from a trigger, by the backend that the user configured.

    Airflow's own methods call the backend in the event loop, where an object store would hold up all
    triggers; and below 3.3 the synchronous ones read the supervisor's answers from a second event loop.
    """
    from airflow.sdk.execution_time.comms import SetXCom

    serialized = await _by_backend(lambda backend: backend.serialize_value(value, key=key, **ids))
    await _ask_supervisor(SetXCom(key=key, value=serialized, **ids))


async def axcom_read(key: str, ids: Mapping[str, Any]) -> Any:
    """Return an XCom from a trigger, None when there is none; see `axcom_write`."""
    from airflow.sdk.execution_time.comms import GetXCom, XComResult

    answer = await _ask_supervisor(GetXCom(key=key, **ids))
    if not isinstance(answer, XComResult) or answer.value is None:
        return None
    return await _by_backend(lambda backend: backend.deserialize_value(answer))


async def _ask_supervisor(message: Any) -> Any:
    """Ask the supervisor from a trigger, whoever is cancelled meanwhile.

    Below Airflow 3.2 an answer that nobody waits for any more is taken for that of the next request, and the
    triggerer ends of it.
    """
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    return await uninterrupted(SUPERVISOR_COMMS.asend(message))


async def _by_backend(work: Callable[[Any], _Value]) -> _Value:
    """Have the backend work; in a thread if it is not Airflow's own, and not for ever."""
    if not has_xcom_backend():
        return work(_xcom_backend())
    return await within(BACKEND_TIMEOUT_SECONDS, asyncio.to_thread(work, _xcom_backend()))


def has_trigger_on_kill() -> bool:
    """Whether Airflow calls a trigger's `on_kill`: from 3.3 on. Older ones only cancel its `run`."""
    from airflow.triggers.base import BaseTrigger

    return hasattr(BaseTrigger, "on_kill")


async def atask_states(*, dag_id: str, run_id: str, task_id: str, map_index: int) -> list[str | None]:
    """The present states of a task instance, asked from a trigger: one, or none when Airflow knows none."""
    from airflow.sdk.execution_time.comms import GetTaskStates, TaskStatesResult

    question = GetTaskStates(dag_id=dag_id, run_ids=[run_id], task_ids=[task_id], map_index=map_index)
    answer = await _ask_supervisor(question)
    if not isinstance(answer, TaskStatesResult):
        raise RuntimeError(f"Airflow answered {type(answer).__name__} when asked for a task's state")
    # By value: the key is the task's id, for a mapped task with its index.
    return [None if state is None else str(state) for state in answer.task_states.get(run_id, {}).values()]


def find_metrics() -> Found | None:
    """Airflow's client for metrics in this process; None where the configuration sends none. May block."""
    has_tags = _metrics_have_tags()
    return None if has_tags is None else Found(_metrics_client(), has_tags)


def _metrics_have_tags() -> bool | None:
    """Whether the client that is configured sends tags; None when there is none. Airflow's order."""

    def is_on(option: str, *, fallback: bool = False) -> bool:
        return bool(conf.getboolean("metrics", option, fallback=fallback))

    if is_on("statsd_datadog_enabled"):
        return is_on("statsd_datadog_metrics_tags", fallback=True)
    if is_on("statsd_on"):
        return is_on("statsd_influxdb_enabled")
    return True if is_on("otel_on") else None


def _metrics_client() -> Client:
    """The one of this process. From 3.2 on the Task SDK and the core have one each, of the same code.

    Tasks prepare that of the Task SDK, triggerer and (from 3.3 on) API server that of the core. Where neither
    is prepared, as in the API server of 3.2, this does it.
    """
    if _sdk_release() < (1, 2):
        from airflow.stats import Stats

        return cast("Client", Stats)
    from airflow._shared.observability.metrics.stats import Stats as of_core
    from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
    from airflow.sdk.observability.stats import Stats as of_tasks

    for client in (of_tasks, of_core):
        if _is_prepared(client):
            return cast("Client", client)
    if _sdk_release() < (1, 3):
        of_tasks.initialize(factory=get_stats_factory(of_tasks))  # type: ignore[call-arg]
    else:
        names_on = conf.getboolean("metrics", "legacy_names_on", fallback=True)
        of_tasks.initialize(factory=get_stats_factory(), export_legacy_names=names_on)
    return cast("Client", of_tasks)


def _is_prepared(client: Any) -> bool:
    """Whether this process told a client what is configured; Airflow offers no other way to know."""
    by_module = getattr(sys.modules[client.__module__], "_factory", None)  # 3.3
    factory = by_module or getattr(client, "factory", None)  # 3.2
    return factory is not None and getattr(factory, "__name__", "") != "NoStatsLogger"


# What looking up a connection raises; PermissionError when the API server denies it.
CONNECTION_ERRORS: tuple[type[Exception], ...] = (
    AirflowRuntimeError,
    AirflowNotFoundException,
    PermissionError,
)


def says_no_connection(error: Exception) -> bool:
    """Whether Airflow answered that there is no such connection, and not that it cannot be asked."""
    return type(error).__name__ == "AirflowNotFoundException" or "CONNECTION_NOT_FOUND" in str(error)


async def amask_extra(connection: Any) -> None:
    """Mask the secrets in a connection's extra, where Airflow can do so without blocking.

    Before 3.3 masking asks the supervisor from a second event loop, which ends the whole triggerer
    ("Response read out of order"). There the extra stays unmasked in triggers; nothing here logs it.
    """
    if hasattr(connection, "aextra_dejson"):
        await connection.aextra_dejson()


__all__ = [
    "CONNECTION_ERRORS",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowRescheduleException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "TaskDeferralError",
    "TaskDeferred",
    "amask_extra",
    "axcom_read",
    "axcom_write",
    "conf",
    "has_xcom_backend",
]
