"""The trigger that watches one recording for a deferred task."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_trtc.aio import WakeUp, loop_time
from airflow_trtc.errors import TrtcError
from airflow_trtc.hooks import NO_CONNECTION, TrtcHook
from airflow_trtc.jobs.observation import Look, Snapshot, Trouble
from airflow_trtc.jobs.problem import FAIL_ON
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.state import JobState, combine, from_json, to_json
from airflow_trtc.jobs.verdict import (
    ABSENT_CODES,
    CALLBACK_TIMEOUT_SECONDS,
    Failed,
    Finished,
    Rules,
    Verdict,
    WaitFor,
    Waiting,
    interpret,
    misses_callback,
)
from airflow_trtc.journal.feed import FeedSubscription, listening
from airflow_trtc.journal.keys import Rows
from airflow_trtc.journal.store import AsyncJournal
from airflow_trtc.waiting import xcoms
from airflow_trtc.waiting.gc_tuning import calm
from airflow_trtc.waiting.pacing import next_look_seconds, safety_net_seconds
from airflow_trtc.waiting.polls import PollSubscription
from airflow_trtc.waiting.watch import Watch

PROGRESS_XCOM = "progress"

# Airflow fails a task that comes back before the scheduler has noticed that it was deferred.
EARLIEST_EVENT_SECONDS = 10.0
LEAST_LISTENING_SECONDS = 1.0  # between reads of the journal; a look takes its time, whatever the interval


class TrtcRecordingTrigger(BaseTrigger):
    """Watch one recording and fire once: it finished, the wait failed, or time is up.

    It asks the service every `poke_interval` seconds, together with all triggers of the same account, as far
    as the request limit allows, and hears of callbacks a second or so after the API server has stored them
    (Airflow 3.3). Once it has heard any, it asks rarely.

    The event's payload is plain JSON: ``v`` (1), ``status`` (``finished``, ``failed`` or ``timed_out``),
    ``known`` (all that is known of the recording) and, by status, ``outcome``, ``finished_at`` and
    ``problems`` (``kind`` and ``message`` of each), ``failure`` and ``reason``, or ``limit`` (``timeout`` or
    ``execution_timeout``); ``sdk_app_id``, ``region``, ``console_url`` and ``started_at`` are the trigger's
    own.

    It shows what it knows in the task's XCom ``progress`` and keeps it in the journal, both when
    something changes. It never stops the recording, whatever happens to the task.

    :param recording_id: the recording's id (the service's ``TaskId``).
    :param sdk_app_id: the application it belongs to.
    :param region: the region to ask in.
    :param poke_interval: seconds between looks.
    :param exponential_backoff: double the interval with every look, up to `max_wait` seconds.
    :param finish_if_never_seen: see `Rules`; the same holds for the next two.
    :param absent_codes: the service's codes that mean "not there".
    :param wait_for: see `Rules`; the same holds for the next three.
    :param known: what the worker knew when it deferred, as JSON.
    :param since: number of the last entry of the change log that it could know; None when it had no log.
    :param deferred_at: when that was, Unix seconds.
    :param timeout_at: Unix seconds at which the wait is over; None for never.
    :param execution_timeout_at: the same for the task's ``execution_timeout``.
    :param console_url: shown in the progress.
    :param try_number: the try that deferred, shown in the progress.
    :param show_progress: write the XCom ``progress``.
    :param started_at: when the wait began, Unix seconds; handed back in the event.
    """

    def __init__(
        self,
        *,
        recording_id: str,
        sdk_app_id: int,
        region: str,
        trtc_conn_id: str = "trtc_default",
        poke_interval: float = 60.0,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        finish_if_never_seen: bool = False,
        grace_seconds: float = 30.0,
        settle_seconds: float = 10.0,
        absent_codes: Sequence[str] = ABSENT_CODES,
        wait_for: WaitFor = "recording",
        fail_on: Collection[str] = FAIL_ON,
        callback_timeout_seconds: float = CALLBACK_TIMEOUT_SECONDS,
        finish_if_no_callback: bool = False,
        known: dict[str, Any] | None = None,
        since: int | None = None,
        deferred_at: float | None = None,
        timeout_at: float | None = None,
        execution_timeout_at: float | None = None,
        console_url: str | None = None,
        try_number: int | None = None,
        show_progress: bool = True,
        started_at: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recording_id = recording_id
        self.sdk_app_id = sdk_app_id
        self.region = region
        self.trtc_conn_id = trtc_conn_id
        self.poke_interval = poke_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.finish_if_never_seen = finish_if_never_seen
        self.grace_seconds = grace_seconds
        self.settle_seconds = settle_seconds
        self.absent_codes = list(absent_codes)
        self.wait_for = wait_for
        self.fail_on = sorted(fail_on)
        self.callback_timeout_seconds = callback_timeout_seconds
        self.finish_if_no_callback = finish_if_no_callback
        self.known = known
        self.since = since
        self.deferred_at = time.time() if deferred_at is None else deferred_at
        self.timeout_at = timeout_at
        self.execution_timeout_at = execution_timeout_at
        self.console_url = console_url
        self.try_number = try_number
        self.show_progress = show_progress
        self.started_at = started_at
        self._rounds = 0  # looks that came when this trigger wanted them
        self._show_at: float | None = None  # when it is this trigger's turn to write its progress

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and every argument, for another triggerer to go on."""
        names = (
            "recording_id", "sdk_app_id", "region", "trtc_conn_id", "poke_interval", "exponential_backoff",
            "max_wait", "finish_if_never_seen", "grace_seconds", "settle_seconds", "absent_codes", "wait_for",
            "fail_on", "callback_timeout_seconds", "finish_if_no_callback", "known", "since",
            "deferred_at", "timeout_at", "execution_timeout_at", "console_url", "try_number", "show_progress",
            "started_at",
        )  # fmt: skip
        return "airflow_trtc.triggers.TrtcRecordingTrigger", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch until there is something to tell, then tell it once."""
        payload = await self._watch()
        # Nothing may follow the yield: Airflow would take this trigger for one that was killed.
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]

    async def _watch(self) -> dict[str, Any]:
        rows = Rows(JobRef("recording", self.sdk_app_id, self.region, self.recording_id))
        journal = AsyncJournal.of_trigger(rows)
        watch = await self._open(journal)
        bell = WakeUp()
        async with TrtcHook(self.trtc_conn_id, region=self.region, sdk_app_id=self.sdk_app_id) as hook:
            with (
                calm.waiting(),
                listening(self.sdk_app_id, self.recording_id, self.since, bell.ring) as ear,
                closing(PollSubscription(hook, self.recording_id, bell)) as looks,
            ):
                return await self._listen_and_look(watch, journal, bell, ear, looks)

    async def _listen_and_look(
        self,
        watch: Watch,
        journal: AsyncJournal,
        bell: WakeUp,
        ear: FeedSubscription,
        looks: PollSubscription,
    ) -> dict[str, Any]:
        look_at = loop_time() + self._first_pause()
        limit = None
        verdict = watch.judge(_now())
        if not isinstance(verdict, Waiting):
            # What was told while no triggerer ran may say otherwise.
            watch.join(await journal.load_callbacks(watch.known))
            verdict = watch.judge(_now())
        if isinstance(verdict, Failed) or misses_callback(verdict):
            # The worker would have said so: what it knew besides (a wait that was forgiven) is not in here.
            verdict = Waiting("the wait goes on")
        has_recalled = not journal.is_available or self._is_first_start()
        while True:
            if limit is not None or not isinstance(verdict, Waiting):
                before = watch.known
                if not has_recalled:
                    has_recalled = True
                    await self._recall(watch, journal)
                if ear.is_behind:
                    # As after a restart: a look may have been quicker than callbacks of a while ago.
                    watch.join(await journal.load_callbacks(watch.known))
                await self._hear(watch, ear, journal)  # what came meanwhile
                if watch.known != before:
                    verdict = watch.judge(_now())
            await self._note(watch, journal, is_over=limit is not None or not isinstance(verdict, Waiting))
            if (payload := _payload(verdict)) is not None:
                return await self._event(watch, **payload)
            if limit is not None:
                return await self._event(watch, status="timed_out", limit=limit)
            assert isinstance(verdict, Waiting)
            look_at = self._plan(looks, look_at, watch, verdict, ear)
            await bell.wait(self._seconds_left(look_at, verdict, looks))
            is_news = await self._hear(watch, ear, journal)
            answers = await looks.take()
            if not (is_news or answers) and (loop_time() >= look_at or self._limit_reached()):
                limit = self._limit_reached()
                if not verdict.asks:
                    # Only callbacks can tell more; the journal has those that were not heard.
                    watch.join(await journal.load_callbacks(watch.known))
                    look_at = loop_time() + self._pause(watch, verdict, ear, looks)
                elif limit is not None:
                    answers = await looks.last()
                elif not looks.are_shared:
                    answers = await looks.share()
            for answer in answers:
                self._tell(watch.take(self._observation(answer.value), answer.at))
            verdict = watch.judge(_now())
            if answers:
                self._rounds += loop_time() >= look_at  # others may have wished to know sooner
                look_at = loop_time() + self._pause(watch, verdict, ear, looks)
            if misses_callback(verdict):
                watch.join(await journal.load_callbacks(watch.known))
                verdict = watch.judge(_now())
                if misses_callback(verdict) and journal.is_failing:
                    verdict = Waiting("the journal, which may hold the callback, cannot be read", asks=False)

    def _plan(
        self, looks: PollSubscription, look_at: float, watch: Watch, verdict: Waiting, ear: FeedSubscription
    ) -> float:
        """Wish for the next look, if there is anything to see; return when, seconds of the loop's clock."""
        if not looks.are_shared:
            return look_at
        if not verdict.asks:
            looks.rest()
            return look_at
        if verdict.hurry_seconds is not None or (ear.is_unavailable and watch.known.history.facts):
            look_at = min(look_at, loop_time() + self._pause(watch, verdict, ear, looks))
        is_urgent = verdict.hurry_seconds is not None or watch.known.history.end is not None
        looks.ask(look_at, urgent=is_urgent)
        return look_at

    def _seconds_left(self, look_at: float, verdict: Waiting, looks: PollSubscription) -> float:
        """Until there is something to do, if nothing is heard before."""
        # Limits and callbacks have times of the day; the rest keeps to a clock that nobody sets back.
        dated = [at for _, at in self._limits()]
        if verdict.until is not None:
            dated.append(verdict.until.timestamp())
        ticking = [self._show_at] if self._show_at is not None else []
        if not (verdict.asks and looks.are_shared):
            ticking.append(look_at)
        left = [at - time.time() for at in dated] + [at - loop_time() for at in ticking]
        return min(left, default=math.inf)

    async def _hear(self, watch: Watch, ear: FeedSubscription, journal: AsyncJournal) -> bool:
        """Take what was heard; return whether that is anything, or anything may have been missed."""
        entries = ear.take()
        missed, ear.missed = ear.missed, False
        if missed:
            watch.join(await journal.load_callbacks(watch.known))
        for entry in entries:
            if entry.callback is not None:
                self._tell(watch.take(entry.callback, entry.received_at))
        return missed or bool(entries)

    async def _open(self, journal: AsyncJournal) -> Watch:
        known = from_json(self.known, self.recording_id)
        if not journal.is_available:
            known = combine(known, await self._read_progress())
        rules = Rules(
            finish_if_never_seen=self.finish_if_never_seen,
            grace_seconds=self.grace_seconds,
            settle_seconds=self.settle_seconds,
            wait_for=self.wait_for,
            fail_on=self.fail_on,
            callback_timeout_seconds=self.callback_timeout_seconds,
            finish_if_no_callback=self.finish_if_no_callback,
        )
        return Watch(known, rules, untold=False)

    def _is_first_start(self) -> bool:
        """Whether no trigger can have looked for this task before: the first look is an interval away."""
        return 0.0 <= time.time() - self.deferred_at < self.poke_interval / 2

    async def _recall(self, watch: Watch, journal: AsyncJournal) -> None:
        """Join what was written before a restart, or by somebody else who waits.

        Not at the start: a thousand triggers that start at once would keep the supervisor busy for half a
        minute. Until the end nothing depends on it, and whatever is saved is joined anyway.
        """
        watch.join(await journal.load(watch.known))
        if not journal.is_loaded:
            watch.join(await self._read_progress())

    def _observation(self, answer: Snapshot | TrtcError) -> Look:
        if not isinstance(answer, TrtcError):
            return answer
        if answer.code == NO_CONNECTION:  # the worker had it; Airflow says so of any trouble with secrets
            return Trouble("passing", answer.code, str(answer))
        return interpret(answer, self.absent_codes)

    def _tell(self, news: list[str]) -> None:
        for line in news:
            self.log.info("%s (recording %s)", line, self.recording_id)

    async def _note(self, watch: Watch, journal: AsyncJournal, *, is_over: bool) -> None:
        is_end = journal.is_available and watch.end_to_announce(_now()) is not None
        if watch.unsaved or is_end:
            # With an end also a look that only repeats another: the judge in the API server has to know.
            watch.known, saved = await journal.save(watch.known, only_news=not is_end)
            watch.unsaved = not saved
        if is_end and not watch.unsaved and (end := watch.end_to_announce(_now())) is not None:
            # What only looks have found out starts event-driven DAGs as well.
            watch.is_announced = await journal.announce(end, _now())
        if not self.show_progress or not self._xcom_ids():
            watch.untold = False
        if watch.untold and not is_over:  # at the end the worker shows it
            if self._show_at is None:
                self._show_at = loop_time() + xcoms.turn_seconds()
            if loop_time() >= self._show_at:
                self._show_at = None
                watch.untold = not await self._write_progress(watch.known)

    async def _event(self, watch: Watch, **payload: Any) -> dict[str, Any]:
        if self.task_instance is not None:  # in dag.test() there is no scheduler to wait for
            early_seconds = self.deferred_at + EARLIEST_EVENT_SECONDS - time.time()
            await asyncio.sleep(max(0.0, min(early_seconds, EARLIEST_EVENT_SECONDS)))
        names = ("sdk_app_id", "region", "console_url", "started_at")
        own = {name: getattr(self, name) for name in names}
        return {"v": 1, **payload, **own, "known": to_json(watch.known)}

    def _first_pause(self) -> float:
        # The worker has just looked (by its own clock, which may be ahead). After a restart the look may be
        # long due: spread the waiters.
        due_seconds = min(self.deferred_at + self.poke_interval - time.time(), self.poke_interval)
        return due_seconds if due_seconds > 0 else random.random() * min(self.poke_interval, 10.0)

    def _pause(self, watch: Watch, verdict: Verdict, ear: FeedSubscription, looks: PollSubscription) -> float:
        if isinstance(verdict, Waiting) and verdict.hurry_seconds is not None:
            return min(verdict.hurry_seconds, self.poke_interval)
        if isinstance(verdict, Waiting) and not verdict.asks:
            interval = max(self.poke_interval, LEAST_LISTENING_SECONDS)
        elif watch.known.history.facts and not ear.is_unavailable:
            interval = safety_net_seconds(self.poke_interval)
        else:
            interval = self.poke_interval
        return next_look_seconds(
            interval,
            looks=self._rounds,
            exponential=self.exponential_backoff,
            longest_seconds=self.max_wait,
            # While nobody is answered, the schedule asks rarely for all; who did so as well would be late.
            troubles=0 if looks.outage else watch.troubles,
            chance=random.random(),
        )

    def _limits(self) -> list[tuple[str, float]]:
        limits = {"timeout": self.timeout_at, "execution_timeout": self.execution_timeout_at}
        return [(name, at) for name, at in limits.items() if at is not None]

    def _limit_reached(self) -> str | None:
        reached = [(at, name) for name, at in self._limits() if time.time() >= at]
        return min(reached)[1] if reached else None

    async def _write_progress(self, known: JobState) -> bool:
        try:
            value = progress(known, console_url=self.console_url, try_number=self.try_number)
            await xcoms.write(PROGRESS_XCOM, value, **self._xcom_ids())
        except Exception as error:
            self.log.warning("Could not show the progress of %s: %s", self.recording_id, error)
            return False
        return True

    async def _read_progress(self) -> JobState:
        """What this try showed before a restart; the only memory below Airflow 3.3."""
        known = JobState(self.recording_id)
        if not (ids := self._xcom_ids()):
            return known
        with contextlib.suppress(Exception):
            value = await xcoms.read(PROGRESS_XCOM, **ids)
            if isinstance(value, dict) and value.get("try_number") == self.try_number:
                return from_json(value, self.recording_id)
        return known

    def _xcom_ids(self) -> dict[str, Any]:
        ti = self.task_instance
        if ti is None:  # in dag.test()
            return {}
        return {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}


def progress(known: JobState, *, console_url: str | None, try_number: int | None) -> dict[str, Any]:
    """The XCom ``progress``: all that is known so far, for people to look at."""
    return {
        "state": _state(known),
        "file_count": len(known.files),
        "console_url": console_url,
        "try_number": try_number,
        **to_json(known),
    }


def _state(known: JobState) -> str:
    if known.history.end is not None or (known.is_gone and known.was_seen):
        return "ended"
    return known.status or ("started" if known.history.facts else "never seen")


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _payload(verdict: Verdict) -> dict[str, Any] | None:
    match verdict:
        case Finished(outcome=outcome, finished_at=finished_at, problems=problems):
            return {
                "status": "finished",
                "outcome": outcome,
                "finished_at": finished_at.isoformat(),
                "problems": [asdict(problem) for problem in problems],
            }
        case Failed(failure=failure, reason=reason):
            return {"status": "failed", "failure": failure.value, "reason": reason}
    return None
