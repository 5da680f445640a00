"""Starts a relay or an ingest, once: what the operators that start one share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from airflow_trtc.cloud.streams import TASK_EXIST
from airflow_trtc.errors import TrtcError, TrtcFailedError, TrtcSetupError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.attempts import Attempt, Policy, Target
from airflow_trtc.operators.starting import Starter
from airflow_trtc.publishing.attempts import STREAM_STARTS
from airflow_trtc.publishing.started import StartedStream, read_started


@dataclass(kw_only=True)
class StreamStarter(Starter[StartedStream]):
    """Starts the relay or the ingest that is wanted.

    :param hook_for: makes the hook for a target's application and region.
    :param params: what is sent; it holds secrets.
    :param asks: asks the service whether a job runs.
    :param hand_on: hands on what may run from now on, and its id; gets None when nothing can, or no id.
    """

    policy: ClassVar[Policy] = STREAM_STARTS
    wanted: Target
    hook_for: Callable[[Target], TrtcHook]
    params: dict[str, Any] = field(repr=False)
    asks: Callable[[TrtcHook, str], bool]
    hand_on: Callable[[Target | None, str | None], None]
    with_transcoding: int | None = None

    @property
    def target(self) -> Target:
        """See the base class."""
        return self.wanted

    @property
    def remedy(self) -> str:
        """See the base class."""
        return f"its robot {self.wanted.user_id} is sent out of the room, and the same is sent again"

    def send(self, attempt: Attempt) -> str:
        """See the base class."""
        self.hand_on(attempt.target, None)
        return self.hook.start(attempt.target.kind, self.params)

    def made(self, attempt: Attempt, answer: str, *, replaced_unknown: bool) -> StartedStream:
        """See the base class."""
        target = attempt.target
        self.log.info("Started %s %s of the %s", target.kind, answer, target)
        return StartedStream(
            kind=target.kind,
            job_id=answer,
            sdk_app_id=target.sdk_app_id,
            region=target.region,
            room_id=target.room_id,
            room_type=target.room_type,
            user_id=target.user_id,
            with_transcoding=self.with_transcoding,
            started_at=self.clock(),
            replaced_unknown=replaced_unknown,
            attempts=attempt.sends,
        )

    def row_of(self, started: StartedStream) -> dict[str, Any]:
        """See the base class."""
        return started.to_json()

    def again(self, kept: Attempt) -> StartedStream:
        """See the base class."""
        return replace(read_started(kept.answer), reattached=True)

    def named(self, answer: Mapping[str, Any]) -> str:
        """See the base class."""
        return f"{self.wanted.kind} {answer.get('job_id', '')}"

    def runs(self, kept: Attempt) -> bool:
        """See the base class."""
        return self.asks(self.hook_for(kept.target), read_started(kept.answer).job_id)

    def stop(self, kept: Attempt) -> None:
        """See the base class."""
        self.hook_for(kept.target).stop(kept.target.kind, read_started(kept.answer).job_id)

    def resolve(self, doubtful: Attempt) -> None:
        """Send the robot out of the room. If that is refused, the next one may have the same id."""
        target = doubtful.target
        self.hand_on(target, None)
        try:
            self.hook_for(target).remove_users(target.room, [target.user_id])
        except (TrtcSetupError, TrtcFailedError) as error:
            if _robot(target) != _robot(self.wanted):  # nobody else sends it out
                raise
            self.log.warning(
                "%s The robot %s is not sent out of the room. Going on: when it enters again, the service"
                " sends the older one out.",
                error,
                target.user_id,
            )

    def leaves_open(self, error: TrtcError, attempt: Attempt, *, is_in_doubt: bool) -> bool:
        """See the base class; what is there already may be what an unanswered request started."""
        is_there = is_in_doubt and error.code == TASK_EXIST
        return is_there or super().leaves_open(error, attempt, is_in_doubt=is_in_doubt)

    def refused(self, attempt: Attempt, *, is_in_doubt: bool) -> None:
        """See the base class."""
        super().refused(attempt, is_in_doubt=is_in_doubt)
        if not is_in_doubt:
            self.hand_on(None, None)

    def explained(self, error: TrtcError, attempt: Attempt, *, is_open: bool) -> TrtcError:
        """See the base class."""
        if error.code != TASK_EXIST:
            return error
        target = attempt.target
        message = (
            f"{error.message} The user {target.user_id} is at work in the {target.room_type} room"
            f" {target.room_id} already. Stop that {target.kind}, remove the user with"
            " TrtcRemoveUsersOperator, or give another user_id."
        )
        return TrtcFailedError(message, action=error.action, code=error.code, request_id=error.request_id)


def _robot(target: Target) -> tuple[int, int | str, str]:
    return target.sdk_app_id, target.room, target.user_id
