"""A trigger's share in the polls of all that wait in its event loop."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import datetime, timezone

from airflow_trtc.aio import WakeUp, loop_time, within
from airflow_trtc.cloud.outcomes import count_poll
from airflow_trtc.cloud.poller import Poller, PollResult, Subscription
from airflow_trtc.errors import NO_CONNECTION, TrtcError, TrtcSetupError, TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Absence, Snapshot, Trouble
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.verdict import interpret
from airflow_trtc.kinds import KINDS
from airflow_trtc.waiting.engine import Seen

# Of a worker's poll. Not the hook's ten minutes: a throttled one has taught nothing, and others follow.
POLL_ATTEMPTS = 4
LAST_POLL_SECONDS = 30.0
SUBSCRIBE_SECONDS = 20.0  # until the wait sees to its limits and callbacks in between
CONNECTION_SECONDS = 120.0  # the supervisor may be busy with thousands of triggers that start


class SharedPolls:
    """The subscription to the shared poller; made when the first poll is due.

    Until then nothing has to be read: ten thousand triggers may start in the same minute.

    :ivar job: what is polled.
    :ivar polled_at: when the last poll with a result was made; None before the first.
    :ivar next_at: when the next one is due, by the event loop's clock; infinite when none is.
    """

    def __init__(self, hook: TrtcHook, kind: JobKind, job: JobRef, wake_up: WakeUp) -> None:
        self._hook = hook
        self._kind = kind
        self.job = job
        self.polled_at: datetime | None = None
        self.next_at = math.inf
        self._wake_up = wake_up
        self._subscription: Subscription | None = None
        self._request: tuple[float, bool] | None = None
        self._is_renewed = False
        self._subscribing_since: float | None = None

    @property
    def is_subscribed(self) -> bool:
        """Whether the shared poller knows this wait."""
        return self._subscription is not None

    @property
    def conn_id(self) -> str:
        """Id of the connection."""
        return self._hook.trtc_conn_id

    @property
    def poller(self) -> Poller | None:
        """What the polls are shared with; None before the first."""
        return self._hook.poller

    @property
    def outage(self) -> str | None:
        """Why no poll is answered at present, for users; None when all is well."""
        return self._subscription.outage if self._subscription is not None else None

    async def subscribe(self, seconds: float = math.inf) -> list[PollResult]:
        """Subscribe; what stands in the way, or takes far longer, is the first result.

        Without a result and without a subscription it is to be called again: Airflow has not answered yet.
        """
        since = self._subscribing_since = self._subscribing_since or loop_time()
        try:
            await within(min(seconds, SUBSCRIBE_SECONDS), self._hook.aprepare())
            # Nothing is awaited from here on: a trigger cancelled in between would never leave.
            self._subscription = self._hook.subscribe(self._kind, self.job, self._wake_up.wake)
        except asyncio.TimeoutError:
            if (waited := loop_time() - since) < CONNECTION_SECONDS:
                return []
            self._subscribing_since = None
            why = f"Airflow did not answer with the connection within {waited:.0f} s."
            return [_failed(TrtcTransientError(why, code="Client.ConnectionUnavailable"))]
        except TrtcError as error:
            self._subscribing_since = None
            return [_failed(error)]
        self._subscribing_since = None
        return []

    def request(self, at: float, *, urgent: bool) -> None:
        """Ask for a poll at this time, seconds of the event loop's clock."""
        self.next_at = at
        if self._subscription is not None and self._request != (at, urgent):
            self._request = at, urgent
            self._subscription.request(at - loop_time(), urgent=urgent)

    def cancel(self) -> None:
        """Ask for nothing."""
        self.next_at = math.inf
        if self._subscription is not None and self._request is not None:
            self._request = None
            self._subscription.cancel()

    async def drain(self) -> list[PollResult]:
        """The results since the last time, oldest first.

        Refused keys count only if a connection read anew has refused keys too: they may have been changed
        since the wait began.
        """
        results = self._subscription.drain() if self._subscription is not None else []
        if not results:
            return []
        self._request, self.polled_at = None, results[-1].at
        is_wrong = isinstance(results[-1].value, TrtcSetupError)
        self._is_renewed = is_wrong and not self._is_renewed
        if self._is_renewed:
            self.close()
            await self._hook.arenew()
            return results[:-1]
        return results

    async def last(self) -> list[PollResult]:
        """Poll a last time, before all others; Airflow's own limit comes soon after ours."""
        give_up_at = loop_time() + LAST_POLL_SECONDS
        while (seconds := give_up_at - loop_time()) > 0:
            if self._subscription is None:
                if results := await self.subscribe(seconds):
                    return results
                continue
            self.request(0.0, urgent=True)
            await self._wake_up.wait(give_up_at - loop_time())
            if results := await self.drain():
                return results
        why = self.outage or f"The last poll took more than {LAST_POLL_SECONDS:g} s."
        return [_failed(TrtcTransientError(why, code="Client.Timeout"))]

    def close(self) -> None:
        """Leave."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()


def poll(hook: TrtcHook, job: JobRef, absent_codes: Sequence[str]) -> Seen:
    """Poll once, on a worker."""
    value: Snapshot | Absence | TrtcError
    try:
        value = hook.describe(job.kind, job.job_id, attempts=POLL_ATTEMPTS)
    except TrtcError as error:
        value = error
    count_poll(KINDS[job.kind], value)
    return Seen(observe(value, absent_codes), datetime.now(timezone.utc))


def observe(
    value: Snapshot | Absence | TrtcError, absent_codes: Sequence[str]
) -> Snapshot | Absence | Trouble:
    """What the result of a poll says of the job."""
    if not isinstance(value, TrtcError):
        return value
    if value.code == NO_CONNECTION:  # it was there before; Airflow answers this to any trouble with secrets
        return Trouble("passing", value.code, str(value))
    return interpret(value, absent_codes)


def _failed(error: TrtcError) -> PollResult:
    # Without its traceback: thousands may share one error, and each would add to it.
    return PollResult(error.with_traceback(None), datetime.now(timezone.utc))
