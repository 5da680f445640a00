"""Runs DAGs in this process, with Airflow's own `dag.test()`, and gathers what they left behind."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from airflow_trtc.testing.logs import TaskLogs
from airflow_trtc.testing.results import DagResult, TaskResult, by_task
from airflow_trtc.testing.waits import in_a_hurry

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.models.asset import AssetEvent
    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG

    from airflow_trtc.emulator import Emulator

DEFAULT_CONNECTION = "trtc_default"
LOOK_SECONDS = 0.1


class TrtcAirflow:
    """An Airflow in this process and the emulator it asks.

    :param home: Airflow's home.
    :param emulator: what the connections made by :meth:`connect` point at.
    :param setenv: sets an environment variable until the end of the test.
    """

    def __init__(self, home: Path, emulator: Emulator, setenv: Callable[[str, str], None]) -> None:
        self.home = home
        self.emulator = emulator
        self._setenv = setenv
        self._seen_events: dict[str, int] = {}

    def connect(self, conn_id: str = DEFAULT_CONNECTION) -> None:
        """Give Airflow a connection to the emulator, until the end of the test."""
        self._setenv(f"AIRFLOW_CONN_{conn_id.upper()}", self.emulator.connection_json)

    def load(self, dag: DAG | str | os.PathLike[str], dag_id: str | None = None) -> DAG:
        """Make a DAG known to Airflow, as its DAG processor does.

        :param dag: a DAG, or the path of a file with DAGs; all of them become known.
        :param dag_id: which of the file's DAGs; may be left out when there is one.
        :raises ValueError: the file cannot be imported, holds no such DAG, or several and `dag_id` is not
            given.
        """
        bag = _dag_bag()
        if isinstance(dag, str | os.PathLike):
            dag = _from_file(bag, Path(dag), dag_id)
        else:
            bag.bag_dag(dag)
        _store(bag)
        for known in bag.dags:
            self._seen_events.setdefault(known, _last_event_id())
        return dag

    def run(
        self,
        dag: DAG | str | os.PathLike[str],
        conf: Mapping[str, Any] | None = None,
        *,
        dag_id: str | None = None,
        logical_date: datetime | None = None,
        **waits: Any,
    ) -> DagResult:
        """Run a DAG from its first to its last task and return what became of it. Failed tasks raise nothing.

        Sensors of this package poll every 0.2 seconds instead of their ``poke_interval``, their other
        intervals are a second at most (``callback_timeout`` ten), and retries follow at once. Limits such as
        ``timeout`` stay. The DAG itself is as before afterwards.

        :param dag: see :meth:`load`.
        :param conf: the run's configuration.
        :param dag_id: see :meth:`load`.
        :param logical_date: the run's date: its data interval is the last one over by then. Default: now.
        :param waits: other values for parameters of all its TRTC sensors, e.g. ``timeout=2``.
        """
        return self._run(self.load(dag, dag_id), conf, waits, logical_date)

    def run_for_event(
        self,
        dag: DAG | str | os.PathLike[str],
        *,
        dag_id: str | None = None,
        timeout_seconds: float = 30.0,
        **waits: Any,
    ) -> DagResult:
        """Wait for an asset event that starts a DAG, and run the DAG with it.

        The fixture ``trtc_callbacks`` has to be in use, and :meth:`load` must have been called before the
        recording ended: as always, Airflow starts no run for what happened before it knew the DAG. Each call
        takes the next event.

        :param timeout_seconds: how long to wait for the event.
        :raises TimeoutError: there was none.
        """
        known = self.load(dag, dag_id)
        give_up_at = time.monotonic() + timeout_seconds
        while (event := _next_event(known.dag_id, self._seen_events[known.dag_id])) is None:
            if time.monotonic() > give_up_at:
                raise TimeoutError(
                    f"No asset event that starts DAG {known.dag_id!r} came within {timeout_seconds:g} s."
                    " Use the fixture trtc_callbacks, call load() before the recording ends, and look at"
                    f" the callbacks that were sent: {self.emulator.callbacks(ledger=False)}"
                )
            time.sleep(LOOK_SECONDS)
        self._seen_events[known.dag_id] = event.id
        from airflow.models import dagrun

        create = dagrun.get_or_create_dagrun

        def create_with_event(*, session: Any, **options: Any) -> DagRun:
            run = create(session=session, **options)
            run.consumed_asset_events.append(session.merge(event))
            run.partition_key = event.partition_key
            session.commit()
            return run

        with patch.object(dagrun, "get_or_create_dagrun", create_with_event):
            return self._run(known, None, waits)

    def _run(
        self,
        dag: DAG,
        conf: Mapping[str, Any] | None,
        waits: Mapping[str, Any],
        logical_date: datetime | None = None,
    ) -> DagResult:
        from airflow_trtc._compat import prepare_test_runs

        logs = TaskLogs()
        prepare_test_runs()
        with in_a_hurry(dag, waits), logs.collected():
            if logical_date is None:
                run = dag.test(run_conf=dict(conf or {}))
            else:
                run = dag.test(logical_date=logical_date, run_conf=dict(conf or {}))
        return _result(run, logs)


def _dag_bag() -> Any:
    from airflow_trtc._compat import dag_bag_type

    return dag_bag_type()(dag_folder=os.devnull, collect_dags=False)


def _from_file(bag: Any, path: Path, dag_id: str | None) -> DAG:
    if not path.is_file():
        raise ValueError(f"There is no DAG file {path} (in {Path.cwd()}).")
    with patch.object(sys, "path", [str(path.resolve().parent), *sys.path]):
        bag.process_file(str(path.resolve()), safe_mode=False)
    if bag.import_errors:
        raise ValueError(f"Airflow cannot import {path}:\n" + "\n".join(bag.import_errors.values()))
    if dag_id is None and len(bag.dags) == 1:
        dag_id = next(iter(bag.dags))
    if dag_id not in bag.dags:
        held = ", ".join(sorted(bag.dags)) or "no DAG"
        raise ValueError(f"{path} holds {held}; dag_id must name one, and is {dag_id!r}.")
    dag: DAG = bag.dags[dag_id]
    return dag


def _store(bag: Any) -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    from airflow_trtc._compat import sync_bag_to_db

    manager = DagBundlesManager()  # type: ignore[no-untyped-call]
    manager.sync_bundles_to_db()
    sync_bag_to_db(bag, next(iter(manager.get_all_dag_bundles())).name, None)
    if bag.import_errors:
        raise ValueError("Airflow cannot store the DAG:\n" + "\n".join(bag.import_errors.values()))


def _last_event_id() -> int:

    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        return session.scalar(select(func.max(AssetEvent.id))) or 0


def _next_event(dag_id: str, after_id: int) -> AssetEvent | None:
    """The first event after that one of an asset that the DAG is scheduled on."""
    from airflow.models.asset import AssetEvent, DagScheduleAssetReference
    from airflow.utils.session import create_session
    from sqlalchemy import select

    assets = select(DagScheduleAssetReference.asset_id).where(DagScheduleAssetReference.dag_id == dag_id)
    events = select(AssetEvent).where(AssetEvent.id > after_id, AssetEvent.asset_id.in_(assets))
    with create_session() as session:
        event: AssetEvent | None = session.scalar(events.order_by(AssetEvent.id).limit(1))
        return event


def _result(run: DagRun, logs: TaskLogs) -> DagResult:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    xcoms: dict[tuple[str, int], dict[str, Any]] = {}
    with create_session() as session:
        rows = session.scalars(select(XComModel).where(XComModel.dag_run_id == run.id))
        for row in rows:
            xcoms.setdefault((row.task_id, row.map_index), {})[row.key] = XComModel.deserialize_value(row)
        instances = [
            TaskResult(
                one.task_id,
                one.map_index,
                None if one.state is None else str(one.state),
                xcoms.get((one.task_id, one.map_index), {}),
                logs.of(one.task_id, one.map_index),
            )
            for one in run.get_task_instances(session=session)
        ]
    return DagResult(run.dag_id, run.run_id, str(run.state), by_task(instances))
