"""The trigger that waits for a job for a deferred task."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_trtc import metrics
from airflow_trtc._compat import has_trigger_on_kill
from airflow_trtc.aio import WakeUp, to_its_end
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.judge import verdict_of
from airflow_trtc.jobs.state import from_json
from airflow_trtc.journal.feed import subscribed
from airflow_trtc.journal.journal import Journal
from airflow_trtc.journal.keys import Rows
from airflow_trtc.journal.owners import CLOSED, TaskId, owner_key
from airflow_trtc.journal.plans import Set
from airflow_trtc.journal.store import AsyncStore, acarry_out, trigger_store
from airflow_trtc.kinds import KINDS
from airflow_trtc.waiting.arguments import WaitArguments
from airflow_trtc.waiting.engine import Circumstances, Clock, Ending, Wait
from airflow_trtc.waiting.gc_tuning import gc_tuning
from airflow_trtc.waiting.polls import SharedPolls
from airflow_trtc.waiting.progress import SharedProgress
from airflow_trtc.waiting.pulse import reported
from airflow_trtc.waiting.stopping import astop, describe_failed_stop, describe_unknown_end, has_left_deferral
from airflow_trtc.waiting.triggerer import LoopClock, TriggererWait

# Airflow fails a task that comes back before the scheduler has noticed that it was deferred.
MIN_DEFERRED_SECONDS = 10.0


class TrtcJobTrigger(BaseTrigger):
    """Wait for one job and fire once: it finished, the wait failed, or time is up.

    It polls every `poke_interval` seconds, together with all triggers of the same account, as far as the
    request limit allows, and learns of callbacks a second or so after the API server has stored them
    (Airflow 3.3). Once it has received one, it polls rarely.

    The event's payload is that of `WaitArguments.event`. The trigger shows what it knows in the task's XCom
    ``progress`` and keeps it in the journal, both when something changes.

    With `owns` it stops the job when a user clears the task or sets its state, and only then: not when its
    triggerer is restarted, nor when another triggerer takes it over.

    :param arguments: see `WaitArguments`.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.arguments = WaitArguments.from_json(arguments)
        self._has_fired = False

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and every argument, so that another triggerer can continue."""
        return "airflow_trtc.triggers.TrtcJobTrigger", self.arguments.to_json()

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait until there is an event, then fire it once."""
        try:
            payload = await self._wait()
        except asyncio.CancelledError:
            if not has_trigger_on_kill():
                await to_its_end(self._stop_if_ended())
            raise
        self._has_fired = True
        # Nothing may follow the yield: Airflow would take this trigger for one that was killed.
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]

    async def on_kill(self) -> None:
        """Stop the job if a user ended the task that owns it. Airflow 3.3 calls this more often than that."""
        await to_its_end(self._stop_if_ended())

    async def _stop_if_ended(self) -> None:
        given = self.arguments
        if not given.owns or self._has_fired:
            return
        try:
            has_left = await has_left_deferral(self.task_instance)
        except Exception as error:
            self.log.warning("%s", describe_unknown_end(given.job, error))
            return
        if not has_left:
            return
        async with self._hook() as hook:
            failure = await astop(hook, given.job)
        if failure is not None:  # the row of the owner stays open, so that the API server tries it too
            self.log.error("%s", describe_failed_stop(given.job, failure))
            return
        self.log.info("The task was ended; its %s is stopped. Id: %s", given.kind, given.job_id)
        await self._close_row()

    async def _close_row(self) -> None:
        store, ti = trigger_store(), self.task_instance
        if store is None or ti is None:
            return
        key = owner_key(TaskId(ti.dag_id, ti.run_id, ti.task_id, ti.map_index), self.arguments.job)
        with contextlib.suppress(Exception):  # then the API server finds that the job is over
            await acarry_out(Set(key, dict(CLOSED)), store)

    def _hook(self) -> TrtcHook:
        given = self.arguments
        return TrtcHook(given.trtc_conn_id, region=given.region, sdk_app_id=given.sdk_app_id)

    async def _wait(self) -> dict[str, Any]:
        given, store, clock, wake_up = self.arguments, trigger_store(), LoopClock(), WakeUp()
        kind, job = KINDS[given.kind], given.job
        wait = self._build(store, clock)
        progress = SharedProgress(job, self._xcom_ids(), given.shown, self.log)
        async with self._hook() as hook:
            with (
                gc_tuning.waiting(),
                subscribed(store, job, given.feed_position, wake_up.wake) as feed,
                closing(SharedPolls(hook, kind, job, wake_up)) as polls,
                reported(store, polls),
                metrics.presence(metrics.WAITS, kind=kind.name) as presence,
            ):
                ending = await TriggererWait(
                    wait,
                    store=store,
                    feed=feed,
                    polls=polls,
                    progress=progress,
                    stop=lambda: astop(hook, job),
                    wake_up=wake_up,
                    absent_codes=tuple(given.absent_codes),
                    presence=presence,
                    log=self.log,
                ).run()
                return await self._event(ending, wait)

    def _build(self, store: AsyncStore | None, clock: Clock) -> Wait:
        given = self.arguments
        since_seconds = time.time() - given.deferred_at
        # Before that no other trigger can have polled for this task, so the worker's state is the latest.
        is_first_start = 0.0 <= since_seconds < given.poke_interval / 2
        kind = KINDS[given.kind]
        circumstances = Circumstances(
            listens=True,
            first_turn_in=given.pace.first_seconds(since_seconds, clock.random()),
            is_recalled=is_first_start and given.is_recalled,
            has_past=given.has_past or not is_first_start,
            shows_progress=given.show_progress,
            limits=given.limits,
            stop_at=given.stop_at,
            polls=bool(kind.describe_action),
            began_at=given.started_at,
        )
        # A name may be given to another job later; nothing is kept about one.
        is_kept = store is not None and kind.key_of(given.job_id) is None
        return Wait(
            from_json(given.state, given.job_id),
            functools.partial(verdict_of, kind),
            given.rules,
            journal=Journal(Rows(given.job), is_available=is_kept),
            clock=clock,
            pace=given.pace,
            circumstances=circumstances,
        )

    async def _event(self, ending: Ending, wait: Wait) -> dict[str, Any]:
        if self.task_instance is not None:  # in dag.test() there is no scheduler to wait for
            early_seconds = self.arguments.deferred_at + MIN_DEFERRED_SECONDS - time.time()
            await asyncio.sleep(max(0.0, min(early_seconds, MIN_DEFERRED_SECONDS)))
        return self.arguments.event(ending, wait.state)

    def _xcom_ids(self) -> dict[str, Any] | None:
        ti = self.task_instance
        if ti is None or not self.arguments.show_progress:  # None in dag.test()
            return None
        return {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}
