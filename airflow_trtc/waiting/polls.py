"""A trigger's share in the looks of all who wait."""

from __future__ import annotations

import asyncio
import math
from datetime import datetime, timezone

from airflow_trtc.aio import WakeUp, loop_time, within
from airflow_trtc.cloud.poller import PollResult, Subscription
from airflow_trtc.errors import TrtcError, TrtcSetupError, TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.kinds import RECORDING

LAST_LOOK_SECONDS = 30.0
SHARE_SECONDS = 20.0  # the supervisor may be busy with thousands of triggers


class PollSubscription:
    """The trigger's share in the looks of all who wait; taken when the first look is due.

    Until then nothing has to be read: ten thousand triggers may start in the same minute.
    """

    def __init__(self, hook: TrtcHook, recording_id: str, bell: WakeUp) -> None:
        self._hook = hook
        self._recording_id = recording_id
        self._bell = bell
        self._subscription: Subscription | None = None
        self._wish: tuple[float, bool] | None = None
        self._is_renewed = False

    @property
    def are_shared(self) -> bool:
        """Whether it takes part."""
        return self._subscription is not None

    @property
    def outage(self) -> str | None:
        """Why nobody's looks are answered just now, for people; None when all is well."""
        return self._subscription.outage if self._subscription is not None else None

    async def share(self, seconds: float = math.inf) -> list[PollResult]:
        """Take part; what stands in the way, or takes longer, is the first answer."""
        seconds = min(seconds, SHARE_SECONDS)
        try:
            await within(seconds, self._hook.aprepare())
            # Nothing is awaited from here on: who is cancelled in between would never leave.
            job = self._hook.job(RECORDING.name, self._recording_id)
            self._subscription = self._hook.subscribe(RECORDING, job, self._bell.ring)
        except asyncio.TimeoutError:
            why = f"Airflow did not tell the connection within {seconds:.0f} s"
            return [_failed(TrtcTransientError(why, code="Client.ConnectionUnavailable"))]
        except TrtcError as error:
            return [_failed(error)]
        return []

    def ask(self, at: float, *, urgent: bool) -> None:
        """Wish for a look at this time, seconds of the event loop's clock."""
        if self._subscription is not None and self._wish != (at, urgent):
            self._wish = at, urgent
            self._subscription.request(at - loop_time(), urgent=urgent)

    def rest(self) -> None:
        """Wish for nothing."""
        if self._subscription is not None and self._wish is not None:
            self._wish = None
            self._subscription.cancel()

    async def take(self) -> list[PollResult]:
        """The answers since the last time, oldest first.

        That the keys are wrong is believed when it is also true of the connection as it is now: somebody may
        have changed them since the wait began.
        """
        answers = self._subscription.drain() if self._subscription is not None else []
        if not answers:
            return []
        self._wish = None
        is_wrong = isinstance(answers[-1].value, TrtcSetupError)
        self._is_renewed = is_wrong and not self._is_renewed
        if self._is_renewed:
            self.close()
            await self._hook.arenew()
            return answers[:-1]
        return answers

    async def last(self) -> list[PollResult]:
        """Look a last time, before all others; Airflow's own limit comes soon after ours."""
        give_up_at = loop_time() + LAST_LOOK_SECONDS
        while (seconds := give_up_at - loop_time()) > 0:
            if self._subscription is None and (answers := await self.share(seconds)):
                return answers
            self.ask(0.0, urgent=True)
            await self._bell.wait(give_up_at - loop_time())
            if answers := await self.take():
                return answers
        why = self.outage or f"the last look took more than {LAST_LOOK_SECONDS:g} s"
        return [_failed(TrtcTransientError(why, code="Client.Timeout"))]

    def close(self) -> None:
        """Leave."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()


def _failed(error: TrtcError) -> PollResult:
    # Without its traceback: thousands may share one error, and each would add to it.
    return PollResult(error.with_traceback(None), datetime.now(timezone.utc))
