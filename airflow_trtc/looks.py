"""A trigger's share in the looks of all who wait."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timezone

from airflow_trtc.bell import Bell
from airflow_trtc.cloud.poller import Answer, Subscription
from airflow_trtc.errors import TrtcError, TrtcSetupError, TrtcTransientError
from airflow_trtc.hooks import TrtcHook

LAST_LOOK_SECONDS = 30.0
SHARE_SECONDS = 20.0  # the supervisor may be busy with thousands of triggers


class Looks:
    """The trigger's share in the looks of all who wait; taken when the first look is due.

    Until then nothing has to be read: ten thousand triggers may start in the same minute.
    """

    def __init__(self, hook: TrtcHook, recording_id: str, bell: Bell) -> None:
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

    async def share(self) -> list[Answer]:
        """Take part; what stands in the way is the first answer."""
        sharing = asyncio.ensure_future(self._hook.asubscribe(self._recording_id, self._bell.ring))
        try:
            # Not wait_for: up to Python 3.11 it may swallow that the trigger is cancelled.
            await asyncio.wait([sharing], timeout=SHARE_SECONDS)
            if sharing.done():
                self._subscription = sharing.result()
                return []
        except TrtcError as error:
            return [_failed(error)]
        finally:
            sharing.cancel()
        why = f"Airflow did not tell the connection within {SHARE_SECONDS:g} s"
        return [_failed(TrtcTransientError(why, code="Client.ConnectionUnavailable"))]

    def ask(self, at: float, *, urgent: bool) -> None:
        """Wish for a look at this time, Unix seconds."""
        if self._subscription is not None and self._wish != (at, urgent):
            self._wish = at, urgent
            self._subscription.ask(at - time.time(), urgent=urgent)

    def rest(self) -> None:
        """Wish for nothing."""
        if self._subscription is not None and self._wish is not None:
            self._wish = None
            self._subscription.rest()

    async def take(self) -> list[Answer]:
        """The answers since the last time, oldest first.

        That the keys are wrong is believed when it is also true of the connection as it is now: somebody may
        have changed them since the wait began.
        """
        answers = self._subscription.take() if self._subscription is not None else []
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

    async def last(self) -> list[Answer]:
        """Look a last time, before all others; Airflow's own limit comes soon after ours."""
        give_up_at = time.time() + LAST_LOOK_SECONDS
        if self._subscription is None and (answers := await self.share()):
            return answers
        assert self._subscription is not None
        self._subscription.ask(0.0, urgent=True)
        while time.time() < give_up_at:
            await self._bell.wait(give_up_at - time.time())
            if answers := self._subscription.take():
                return answers
        why = self._subscription.outage or f"the last look took more than {LAST_LOOK_SECONDS:g} s"
        return [_failed(TrtcTransientError(why, code="Client.Timeout"))]

    def close(self) -> None:
        """Leave."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            subscription.close()


def _failed(error: TrtcError) -> Answer:
    # Without its traceback: thousands may share one error, and each would add to it.
    return Answer(error.with_traceback(None), datetime.now(timezone.utc))
