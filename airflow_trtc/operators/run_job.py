"""The operator that runs a job of any kind from its start to its end, and never leaves it behind."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_trtc.arguments import (
    Check,
    duration_or_instant,
    hidden_text,
    is_template,
    name_of,
    revealed,
    secret_text,
    switch,
)
from airflow_trtc.cloud.actions import action_of
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.attempts import Attempt
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.users import check_signed_user, read_user_id
from airflow_trtc.journal.store import task_of
from airflow_trtc.kinds import KINDS
from airflow_trtc.operators.attempt_store import KeptStore, kept_store, tries_of
from airflow_trtc.operators.creating import CALLS, Creator
from airflow_trtc.operators.failing import no_retry_of_wrong_setup
from airflow_trtc.operators.job_request import (
    JobRequest,
    check_arguments_of,
    check_parameters,
    read_job_storage,
    startable_kind,
)
from airflow_trtc.operators.leaves import (
    HoldsSecrets,
    hidden,
    mask,
    mask_text,
    read_parameters,
    rendered_later,
    shown,
)
from airflow_trtc.operators.owner import OwnsJob
from airflow_trtc.operators.rooms import check_room, room_of
from airflow_trtc.recording.robot import robot_of
from airflow_trtc.recording.rooms import read_room, read_room_word
from airflow_trtc.recording.storage import keys_in, read_storage
from airflow_trtc.sensors import TrtcJobSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

JOB_XCOM = "job"
_WAIT_FIELDS = tuple(name for name in TrtcJobSensor.template_fields if name != "job_id")
_CHOSEN = (  # arguments that only some kinds take
    "room_id",
    "room_id_type",
    "user_id",
    "user_sig",
    "storage",
    "storage_conn_id",
    "advanced_permission_control",
    "stop_after",
)


def _room_id(name: str, value: Any) -> Any:
    """What a room may be written as; its limits follow from its type, so they are checked with that."""
    is_empty = value is None or value == ""
    if not is_empty and (isinstance(value, bool) or not isinstance(value, int | str) or str(value) == "None"):
        read_room(name, value)
    return None if is_empty else value


def _storage(name: str, value: Any) -> Any:
    if value is None or value == "":
        return None
    read_storage(name, value)
    return value


class TrtcRunJobOperator(HoldsSecrets, OwnsJob, TrtcJobSensor):
    """Run a job: start it, wait for its end, and return its summary, as one task that owns the job.

    What `TrtcRecordRoomOperator` is for recordings: however the task ends, its job ends with it, also when
    the task is cleared, marked, skipped, out of time or killed; a try that fails while others are to follow
    leaves the job to the next one; nothing is started twice. See there.

    A job of kind ``speech`` cannot be stopped: the service has no call for that. It ends by itself, and costs
    the same whether or not somebody waits for it; a try that follows waits for what an earlier one started.

    When the answer to a start is lost, the next step depends on the kind. The same robot ends its earlier job
    (``slicing``, ``moderation``, ``transcription``): the same is sent again. The service knows a job by a
    name of ours (``ai_transcription``, ``ai_conversation``: SessionId; ``web_recording``: RecordId): it is
    asked for. All others (``live_moderation``, ``ingest``, ``speech``) are not started again: the task fails
    for good and says so, and clearing it starts another one.

    XComs: ``return_value`` and ``job``, the summary (see `job_result`; before the end, what is known of the
    start); ``progress``, the state while the task waits.

    In reschedule mode the task defers: between two visits there would be no process to stop anything.

    :param kind: the kind of job, one of those in :mod:`airflow_trtc.kinds` but ``recording``.
    :param parameters: the parameters of its start, with the service's own names, but for those that have
        arguments of their own. Names and types are checked. Write secrets as ``{{ conn.my_conn.password }}``:
        Airflow masks these. (templated)
    :param room_id: the room, for kinds that have one: an int for a numeric room, a text for a string room.
        (templated)
    :param room_id_type: ``numeric`` or ``string``, for a room that a template delivers. Default: by the type
        of `room_id`. The number that the service wants is filled in. (templated)
    :param user_id: the robot, for kinds that have one; at most 32 letters, digits, ``_`` and ``-``. Default:
        made from DAG, run, task and map index. (templated)
    :param user_sig: the UserSig of `user_id`. Default: signed with the connection's ``sdk_secret_key``.
        (templated)
    :param storage: where files go, for kinds that make some, as in `TrtcStartRecordingOperator`. (templated)
    :param storage_conn_id: the connection with the bucket's permanent keys; see there. (templated)
    :param advanced_permission_control: whether the room asks for a PrivateMapKey; default: as the connection
        says.
    :param stop_after: when to stop the job and wait for its end: a duration since its start (seconds or a
        timedelta), or an instant with a time zone (a datetime or ISO 8601 text). Default: never; then it ends
        by itself, most kinds when nobody has been in the room for ``MaxIdleTime``. (templated)
    :param kwargs: see `TrtcJobSensor` (without `job_id`).
    :raises ValueError: when the DAG is parsed: an argument is wrong, missing, or not for this kind.
    :raises AirflowFailException: the set-up or a parameter is wrong, the job did not end well, or it is not
        known whether it was started; no retry would help.
    :raises AirflowSensorTimeout: `timeout` is over; the job is stopped.
    :raises TrtcError: a retry may help.
    """

    template_fields: Sequence[str] = (
        "parameters",
        "room_id",
        "room_id_type",
        "user_id",
        "user_sig",
        "storage",
        "storage_conn_id",
        "stop_after",
        *_WAIT_FIELDS,
    )
    secrets: ClassVar[Mapping[str, Any]] = {"parameters": hidden, "user_sig": hidden_text}
    template_fields_renderers: ClassVar[dict[str, str]] = {"parameters": "json"}
    argument_checks: ClassVar[Mapping[str, Check]] = {
        **TrtcJobSensor.argument_checks,
        "kind": startable_kind,
        "parameters": read_parameters,
        "room_id": _room_id,
        "room_id_type": read_room_word,
        "user_id": read_user_id,
        "user_sig": secret_text,
        "storage": _storage,
        "storage_conn_id": name_of,
        "advanced_permission_control": switch,
        "stop_after": duration_or_instant,
    }
    partial_checks: ClassVar[Mapping[str, Check]] = {
        "storage": partial(read_storage, later=is_template),
    }

    def __init__(  # noqa: PLR0913 - what users write, each by name
        self,
        *,
        kind: str,
        parameters: Mapping[str, Any] | None = None,
        room_id: int | str | None = None,
        room_id_type: str | None = None,
        user_id: str | None = None,
        user_sig: str | None = None,
        storage: str | Mapping[str, Any] | None = None,
        storage_conn_id: str | None = None,
        advanced_permission_control: bool | None = None,
        stop_after: float | str | timedelta | datetime | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kind=kind, job_id="", stop_after=stop_after, **kwargs)
        self.parameters = hidden(parameters)
        self.room_id = room_id
        self.room_id_type = room_id_type
        self.user_id = user_id
        self.user_sig: Any = hidden_text(user_sig)
        self.storage = storage
        self.storage_conn_id = storage_conn_id
        self.advanced_permission_control = advanced_permission_control
        self._rendered_later = rendered_later(parameters)
        self._started: dict[str, Any] = {}
        self.complete()

    # -- checks -----------------------------------------------------------------------------------------

    def check_all(self) -> None:
        """See the base class. The constructor of the sensor calls this before all is there."""
        if self.is_complete:
            super().check_all()

    def check_together(self) -> None:
        """See the base class."""
        kind = KINDS[self.kind]
        check_arguments_of(kind, {name: getattr(self, name) for name in _CHOSEN})
        if isinstance(self.parameters, Mapping):
            check_parameters(kind, self.parameters)
        check_signed_user(self.user_id, self.user_sig)
        if self.room_id is not None:
            check_room(self)
        if self.storage is not None and (isinstance(self.storage, Mapping) or not is_template(self.storage)):
            read_job_storage(kind, self.storage)

    # -- the job ----------------------------------------------------------------------------------------

    def start_job(self, context: Context) -> tuple[JobRef, float]:
        """See the base class."""
        with no_retry_of_wrong_setup():
            hook = self._hook()
            request = self._request(context)
            creator = Creator(
                hook=hook,
                row=action_of(request.kind.start_action),
                params=request.params(hook, self.log),
                identity=task_of(context)._asdict(),
                store=self.kept_start(context),
                tries=tries_of(context),
                log=self.log,
                replaces=request.kind.starts is not None and request.kind.starts.replaces,
            )
            answer = creator.start()
        job_id = creator.id_of(answer)
        assert job_id is not None, "an answer without an id is no answer"
        job = hook.job(self.kind, job_id)
        room = {} if request.room is None else {"room_id": request.room.value}
        robot = {} if request.user_id is None else {"user_id": request.user_id}
        self._started = {**room, **robot}
        self.log.info("Started %s", job)
        return job, time.time()

    def show_started(self, context: Context, job: JobRef) -> None:
        """See the base class."""
        names = {"kind": job.kind, "job_id": job.job_id, "sdk_app_id": job.sdk_app_id, "region": job.region}
        context["ti"].xcom_push(key=JOB_XCOM, value={**names, **self._started})

    def kept_start(self, context: Context) -> KeptStore[Attempt]:
        """See the base class."""
        return kept_store(CALLS, context, self.log)

    def _hook(self) -> TrtcHook:
        # An argument rendered from a template is a text; the hook reads both.
        app_id: Any = self.sdk_app_id
        return TrtcHook(self.trtc_conn_id, region=self.region, sdk_app_id=app_id)

    def _request(self, context: Context) -> JobRequest:
        kind = KINDS[self.kind]
        form = kind.starts
        has_robot = form is not None and form.robot is not None
        return JobRequest(
            kind=kind,
            parameters=shown(self.parameters or {}),
            rendered_paths=self._rendered_later,
            room=None if self.room_id is None else room_of(self),
            user_id=(self.user_id or robot_of(**task_of(context)._asdict())) if has_robot else None,
            user_sig=revealed(self.user_sig),
            storage=None if self.storage is None else read_job_storage(kind, self.storage),
            storage_conn_id=self.storage_conn_id,
            advanced_permission_control=self.advanced_permission_control,
        )

    # -- secrets ----------------------------------------------------------------------------------------

    def mask(self) -> None:
        """See the base class."""
        mask(self.parameters)
        for text in (self.user_sig, *keys_in(self.storage)):
            mask_text(text)
