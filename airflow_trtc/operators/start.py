"""The operator that starts a recording, and what other operators that start one build on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_trtc.arguments import (
    Check,
    hidden_text,
    is_template,
    name_of,
    required_name,
    revealed,
    secret_text,
    switch,
)
from airflow_trtc.errors import TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.attempts import Attempt
from airflow_trtc.jobs.users import check_signed_user, read_user_id
from airflow_trtc.journal.store import task_of
from airflow_trtc.kinds import RECORDING
from airflow_trtc.links import TrtcConsoleLink, console_url
from airflow_trtc.operators.attempt_store import KeptStore, kept_store, tries_of
from airflow_trtc.operators.failing import no_retry_of_wrong_setup
from airflow_trtc.operators.leaves import HoldsSecrets, mask_text
from airflow_trtc.operators.recording_starting import RecordingStarter, StartRequest
from airflow_trtc.operators.rooms import check_room, room_of
from airflow_trtc.recording.attempts import RECORDING_STARTS
from airflow_trtc.recording.parameters import (
    DEFAULT_RECORD_PARAMS,
    check_together,
    read_expired_hours,
    read_mix_layout,
    read_mix_transcode,
    read_record_params,
)
from airflow_trtc.recording.robot import robot_of
from airflow_trtc.recording.rooms import check_room_id, read_room_type
from airflow_trtc.recording.started import StartedRecording
from airflow_trtc.recording.storage import keys_in, read_storage
from airflow_trtc.waiting.xcoms import push_results

if TYPE_CHECKING:
    from airflow.sdk import Context

RECORDING_XCOM = "recording"
Reader = Callable[..., Any]


def _optional(read: Reader) -> Check:
    """A check of an object that may be left out."""
    return lambda name, value: None if value is None or value == "" else read(name, value)


def _partly(read: Reader) -> Check:
    """A check, when the DAG is parsed, of an object with templates in it."""
    return functools.partial(read, later=is_template)


def _storage(name: str, value: Any) -> Any:
    read_storage(name, value)
    return value


class StartsRecordings(HoldsSecrets, BaseOperator):
    """For operators that start a recording: the arguments, their checks, and a start that happens once.

    `start_recording` starts or continues; `hand_on` of `kept_start` is to be called right before the task
    succeeds, so that a task that is cleared later starts afresh. A constructor that builds on this one ends
    with `check_arguments`, when all its arguments are set.
    """

    start_fields: ClassVar[tuple[str, ...]] = (
        "room_id",
        "storage",
        "storage_conn_id",
        "record_params",
        "room_id_type",
        "mix_transcode",
        "mix_layout",
        "user_id",
        "user_sig",
        "resource_expired_hours",
        "sdk_app_id",
        "region",
        "trtc_conn_id",
    )
    start_checks: ClassVar[Mapping[str, Check]] = {
        "trtc_conn_id": required_name,
        "region": name_of,
        "storage_conn_id": name_of,
        "room_id": check_room_id,
        "room_id_type": read_room_type,
        "storage": _storage,
        "record_params": _optional(read_record_params),
        "mix_transcode": _optional(read_mix_transcode),
        "mix_layout": _optional(read_mix_layout),
        "user_id": read_user_id,
        "user_sig": secret_text,
        "resource_expired_hours": read_expired_hours,
        "advanced_permission_control": switch,
    }
    template_fields: Sequence[str] = start_fields
    secrets: ClassVar[Mapping[str, Any]] = {"user_sig": hidden_text}
    argument_checks: ClassVar[Mapping[str, Check]] = start_checks
    partial_checks: ClassVar[Mapping[str, Check]] = {
        "storage": _partly(read_storage),
        "record_params": _partly(read_record_params),
        "mix_transcode": _partly(read_mix_transcode),
        "mix_layout": _partly(read_mix_layout),
    }

    def __init__(  # noqa: PLR0913 - what users write, each by name
        self,
        *,
        room_id: int | str,
        storage: str | Mapping[str, Any],
        storage_conn_id: str | None = None,
        record_params: Mapping[str, Any] | None = None,
        room_id_type: int | str | None = None,
        mix_transcode: Mapping[str, Any] | None = None,
        mix_layout: Mapping[str, Any] | None = None,
        user_id: str | None = None,
        user_sig: str | None = None,
        resource_expired_hours: int | str | None = None,
        advanced_permission_control: bool | None = None,
        sdk_app_id: int | str | None = None,
        region: str | None = None,
        trtc_conn_id: str = TrtcHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.room_id = room_id
        self.storage = storage
        self.storage_conn_id = storage_conn_id
        self.record_params = record_params
        self.room_id_type = room_id_type
        self.mix_transcode = mix_transcode
        self.mix_layout = mix_layout
        self.user_id = user_id
        self.user_sig = hidden_text(user_sig)
        self.resource_expired_hours = resource_expired_hours
        self.advanced_permission_control = advanced_permission_control
        self.sdk_app_id = sdk_app_id
        self.region = region
        self.trtc_conn_id = trtc_conn_id
        self.console_url: str | None = None

    def start_recording(self, context: Context) -> StartedRecording:
        """Start the recording, or continue with the one that an earlier try of this task started.

        To be called with rendered arguments.

        :raises AirflowFailException: the set-up is wrong; nothing was started.
        :raises TrtcError: a retry may help, see :mod:`airflow_trtc.errors`.
        """
        with no_retry_of_wrong_setup():
            self.check_rendered()
            # An argument rendered from a template is a text; the hook reads both.
            app_id: Any = self.sdk_app_id
            hook = TrtcHook(self.trtc_conn_id, region=self.region, sdk_app_id=app_id)
            request = self._request(context)
            starter = RecordingStarter(
                hook=hook,
                request=request,
                store=self.kept_start(context),
                tries=tries_of(context),
                log=self.log,
            )
            started = starter.start()
            self.console_url = console_url(
                hook.settings.console_url,
                endpoint=hook.settings.endpoint,
                kind=RECORDING.name,
                sdk_app_id=started.sdk_app_id,
                region=started.region,
                job_id=started.recording_id,
            )
            return started

    def kept_start(self, context: Context) -> KeptStore[Attempt]:
        """Where the start is kept."""
        return kept_store(RECORDING_STARTS, context, self.log, self._expired_hours())

    def _request(self, context: Context) -> StartRequest:
        return StartRequest(
            room=room_of(self),
            storage=read_storage("storage", self.storage),
            record_params=self.record_params or DEFAULT_RECORD_PARAMS,
            user_id=self.user_id or robot_of(**task_of(context)._asdict()),
            user_sig=revealed(self.user_sig),
            mix_transcode=self.mix_transcode,
            mix_layout=self.mix_layout,
            expired_hours=self._expired_hours(),
            storage_conn_id=self.storage_conn_id,
            advanced_permission_control=self.advanced_permission_control,
        )

    def _expired_hours(self) -> int | None:
        return read_expired_hours("resource_expired_hours", self.resource_expired_hours)

    def check_together(self) -> None:
        """See the base class."""
        check_signed_user(self.user_id, self.user_sig)
        check_room(self)
        params = DEFAULT_RECORD_PARAMS if self.record_params is None else self.record_params
        storage = self.storage
        if isinstance(storage, Mapping) or not is_template(storage):
            storage = read_storage("storage", storage, is_template).params
        check_together(params, storage, mix_transcode=self.mix_transcode, mix_layout=self.mix_layout)

    def mask(self) -> None:
        """See the base class."""
        mask_text(self.user_sig)
        for key in keys_in(self.storage):  # which are refused in a moment
            mask_text(key)


class TrtcStartRecordingOperator(StartsRecordings):
    """Start the recording of a room, once for each run of the task, whatever happens to its tries.

    The recording goes on when the task has succeeded: until `TrtcStopRecordingOperator` stops it, or until
    the room was empty for ``MaxIdleTime``. It costs money until then.

    A try that follows another one continues with the recording that was started if it runs. If the answer to
    a start was lost, the same is sent again: the robot that records is the same, and the service ends the
    older recording of a robot. A task that has succeeded and is cleared starts a new recording, which ends
    the earlier one in the same way. Below Airflow 3.3 nothing is kept between tries, and each try replaces
    what an earlier one started.

    XComs: ``return_value`` is the recording's id, for ``TrtcRecordingSensor(recording_id=start.output)``;
    ``recording`` what else is known, see `StartedRecording`.

    All names inside objects are the service's own (trtc.io/document/46960).

    :param room_id: the room: an int for a numeric room (1 to 4294967294), a text for a string room (at most
        64 bytes). (templated)
    :param storage: where the files go: ``cos://bucket-1250000000/lessons/math?region=ap-guangzhou``,
        ``s3://bucket/prefix?region=us-east-1``, ``vod``, ``vod://?MediaType=0&ExpireTime=86400``, or the
        service's ``StorageParams`` without keys. (templated)
    :param storage_conn_id: the connection with the bucket's permanent keys as login and password. Default:
        for COS the keys of `trtc_conn_id`, if they are permanent. (templated)
    :param record_params: ``RecordParams``. Default ``{"RecordMode": 2}``: one mixed recording of the room.
        (templated)
    :param room_id_type: 0 or ``string``, 1 or ``numeric``: for a room that a template delivers. Default: by
        the type of `room_id`. (templated)
    :param mix_transcode: ``MixTranscodeParams`` of a mixed recording. (templated)
    :param mix_layout: ``MixLayoutParams`` of a mixed recording. (templated)
    :param user_id: the robot that records; at most 32 letters, digits, ``_`` and ``-``. Default: made from
        DAG, run, task and map index. No other recording of the room may have the same. (templated)
    :param user_sig: the UserSig of `user_id`, which must outlive the recording. Airflow stores and shows it
        as ``***``, but for values that are mapped over. Default: signed with the connection's
        ``sdk_secret_key``, valid for `resource_expired_hours` and a day more. (templated)
    :param resource_expired_hours: for how many hours the service answers questions and takes orders about
        the recording, 6 to 720. Default: 72, the service's own. (templated)
    :param advanced_permission_control: whether the room asks for a PrivateMapKey, which is then signed too.
        Default: as the connection says.
    :param sdk_app_id: the TRTC application; default: the connection's ``sdk_app_id``. (templated)
    :param region: the API region; default: the connection's. (templated)
    :param trtc_conn_id: the connection. (templated)
    :raises ValueError: when the DAG is parsed: an argument breaks a limit of the service.
    :raises AirflowFailException: the set-up is wrong, or the service refuses a parameter; no retry would
        help.
    :raises TrtcError: a retry may help: the service is in trouble, or records as much as it may.
    """

    ui_color = "#d7e8ff"
    operator_extra_links = (TrtcConsoleLink(),)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check_arguments()

    def execute(self, context: Context) -> str:
        """Start; see the class."""
        if self.do_xcom_push:  # for a teardown that runs although this fails
            context["ti"].xcom_push(key=RECORDING_XCOM, value=self._so_far(context))
        started = self.start_recording(context)
        recording_id = push_results(self, context, started.recording_id, RECORDING_XCOM, started.to_json())
        self.kept_start(context).hand_on(tries_of(context))
        return recording_id

    def _so_far(self, context: Context) -> dict[str, Any]:
        """What an earlier try is known to have started."""
        try:
            kept = kept_store(RECORDING_STARTS, context, self.log).load()
        except TrtcTransientError:  # the start says so in a moment
            kept = None
        answer = kept.answer if isinstance(kept, Attempt) else None
        return {"recording_id": None} if answer is None else dict(answer)
