"""Operators that publish a room to CDNs: start, change and stop a relay."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias, get_args

from airflow_trtc._compat import AirflowFailException, AirflowSkipException
from airflow_trtc.arguments import Check, is_template, name_of, one_of, switch
from airflow_trtc.bounds import HIGHEST
from airflow_trtc.errors import TrtcError, TrtcFailedError, TrtcSetupError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.attempts import KeptRow
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.users import read_present_user
from airflow_trtc.jobs.verdict import is_absent
from airflow_trtc.kinds import RELAY
from airflow_trtc.operators import signing
from airflow_trtc.operators.attempt_store import KeptStore, kept_store, tries_of
from airflow_trtc.operators.failing import cannot_change, no_retry_of_wrong_setup
from airflow_trtc.operators.leaves import HoldsSecrets, mask_text
from airflow_trtc.operators.streams import (
    SIGNATURE_SECONDS,
    NamesStream,
    StartsStream,
    StopsStream,
    hiding_urls,
    mask_urls,
    revealed_urls,
)
from airflow_trtc.publishing.parameters import (
    DEFAULT_AUDIO,
    RELAY_ROOM_TYPES,
    cdn_params,
    check_relay,
    digest,
    read_audio,
    read_max_idle,
    read_relay_start_params,
    read_relay_update_params,
    read_urls,
    read_video,
    single_stream,
    transcoding,
)
from airflow_trtc.publishing.sequence import Numbered, higher_numbers, is_late, numbered, read_numbered
from airflow_trtc.recording.fields import number, read_number
from airflow_trtc.recording.rooms import Room

if TYPE_CHECKING:
    from airflow.sdk import Context

IfOutdated: TypeAlias = Literal["finish", "fail", "skip"]
# An update that changes nothing: a running relay takes it, or has seen a higher number.
PROBE_NUMBER = 1
_OF_ARGUMENTS = {"PublishCdnParams": "urls", "SingleSubscribeParams": "single_user_id"}
_CONTENT_CHECKS: Mapping[str, Check] = {
    "urls": hiding_urls(read_urls),
    "is_tencent_cdn": switch,
    "single_user_id": lambda name, value: None if value in (None, "") else read_present_user(name, value),
    "audio": read_audio,
    "video": read_video,
    "transcode": switch,
}
_CONTENT_FIELDS = ("urls", "single_user_id", "audio", "video", "parameters")
_PARTIAL_CHECKS: Mapping[str, Check] = {
    "audio": functools.partial(read_audio, later=is_template),
    "video": functools.partial(read_video, later=is_template),
}


UPDATES = KeptRow(
    "trtc_relay_update", "A later try of this task would count as a newer update.", read_numbered
)


def _content(task: Any, audio: Any) -> dict[str, Any]:
    """What a task wants to publish, with the service's own names; what is not given is left out."""
    params = {
        "AudioParams": audio,
        "VideoParams": task.video,
        **cdn_params(revealed_urls(task.urls), is_tencent_cdn=task.is_tencent_cdn is not False),
        **single_stream(task.single_user_id),
        **task.parameters,
    }
    return {name: value for name, value in params.items() if value is not None}


def _check_doubles(task: Any) -> None:
    given = task.parameters if isinstance(task.parameters, Mapping) else {}
    for name, argument in _OF_ARGUMENTS.items():
        if name in given and getattr(task, argument) is not None:
            raise ValueError(f"{argument} and parameters.{name} say the same; give one of them")


def _with_signatures(hook: TrtcHook, params: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with a UserSig for each room to publish to that lacks one."""
    rooms = params.get("FeedBackRoomParams")
    if not isinstance(rooms, list | tuple):
        return dict(params)
    signed = []
    for room in rooms:
        signature = signing.user_sig(hook, room.get("UserId"), room.get("UserSig"), seconds=SIGNATURE_SECONDS)
        signed.append({**room, "UserSig": signature})
    return {**params, "FeedBackRoomParams": signed}


def _mask_signatures(params: Any) -> None:
    rooms = params.get("FeedBackRoomParams") if isinstance(params, Mapping) else None
    for room in rooms if isinstance(rooms, list | tuple) else ():
        mask_text(room.get("UserSig") if isinstance(room, Mapping) else None)


class TrtcStartRelayOperator(StartsStream):
    """Publish a room to CDNs, mixed or one user's stream, once for each run of the task.

    The relay goes on when the task has succeeded: until `TrtcStopRelayOperator` stops it, or until nobody
    whose stream it takes was in the room for `max_idle_seconds`. It costs money until then.

    A try that follows another one continues with the relay that was started if it runs; if the arguments say
    something else by then, it stops that relay first. If the answer to a start was lost, the relay's robot is
    sent out of the room, and the same is sent again with the same robot: the service lets nobody be in a room
    twice. A task that has succeeded and is cleared stops its relay and starts a new one. Below Airflow 3.3
    nothing is kept between tries, and each try ends what an earlier one started, in the same way.

    The service has no call that says whether a relay runs: `TrtcJobSensor` with ``kind="relay"`` waits for
    its callbacks. A try asks by an update that changes nothing.

    XComs: ``return_value`` is the relay's id, ``job`` what else is known, see `StartedStream`; both without
    addresses, since those have keys in them. The log shows them without their query or last part.

    All names inside objects are the service's own (tencentcloud.com/document/product/647/48247).

    :param room_id: the room: an int for a numeric room, a text for a string room. (templated)
    :param urls: where to publish: an address such as ``rtmp://host/app/stream``, or up to ten. Airflow stores
        and shows ``***`` for those with keys in them, but for values that are mapped over. (templated)
    :param room_id_type: ``string`` or ``numeric``: for a room that a template delivers as text. Default: by
        the type of `room_id`. (templated)
    :param is_tencent_cdn: whether the addresses are of Tencent's own CDN. Publishing to another one costs
        fees of its own. Default: True.
    :param single_user_id: publish the camera and microphone of this user, as they are. Default: all users,
        mixed, which costs fees for transcoding. (templated)
    :param audio: ``AudioParams``. Default: 48,000 Hz, two channels, 64 kbit/s. (templated)
    :param video: ``VideoParams``. Default: none, and sound only is published; that cannot be changed later.
        (templated)
    :param transcode: ``WithTranscoding``. Default: not for one user's stream.
    :param max_idle_seconds: ``AgentParams.MaxIdleTime``, 5 to 86,400. Default: 30, the service's own.
        (templated)
    :param user_id: the robot that relays; at most 32 letters, digits, ``_`` and ``-``. Default: made from
        DAG, run, task and map index. Nobody else in the room may have the same. (templated)
    :param user_sig: the UserSig of `user_id`. Default: signed with the connection's ``sdk_secret_key``, valid
        for 30 days. (templated)
    :param parameters: what has no argument of its own: ``SeiParams``, ``FeedBackRoomParams`` (the mixed
        stream for other rooms; a ``UserSig`` that is not there is signed), ``RecordParams``; also
        ``PublishCdnParams`` and ``SingleSubscribeParams`` as a whole. (templated)
    :param sdk_app_id: the TRTC application; default: the connection's ``sdk_app_id``. (templated)
    :param region: the API region; default: the connection's. (templated)
    :param trtc_conn_id: the connection. (templated)
    :raises ValueError: when the DAG is parsed: an argument breaks a limit of the service.
    :raises AirflowFailException: the set-up is wrong, or the service refuses a parameter; no retry would
        help.
    :raises TrtcError: a retry may help.
    """

    kind: ClassVar[str] = RELAY.name
    robot_prefix: ClassVar[str] = "airflow-cdn-"
    template_fields: Sequence[str] = (*StartsStream.template_fields, *_CONTENT_FIELDS, "max_idle_seconds")
    argument_checks: ClassVar[Mapping[str, Check]] = {
        **StartsStream.argument_checks,
        **_CONTENT_CHECKS,
        "max_idle_seconds": read_max_idle,
        "parameters": read_relay_start_params,
    }
    partial_checks: ClassVar[Mapping[str, Check]] = {
        **_PARTIAL_CHECKS,
        "parameters": read_relay_start_params,
    }

    def __init__(  # noqa: PLR0913 - what users write, each by name
        self,
        *,
        urls: str | Sequence[str] | None = None,
        is_tencent_cdn: bool = True,
        single_user_id: str | None = None,
        audio: Mapping[str, Any] | None = None,
        video: Mapping[str, Any] | None = None,
        transcode: bool | None = None,
        max_idle_seconds: int | str | None = None,
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.urls: Any = urls
        self.is_tencent_cdn = is_tencent_cdn
        self.single_user_id = single_user_id
        self.audio = audio
        self.video = video
        self.transcode = transcode
        self.max_idle_seconds: Any = max_idle_seconds
        self.parameters: Any = parameters or {}
        self.check_arguments()

    def check_together(self) -> None:
        """See the base class."""
        super().check_together()
        _check_doubles(self)
        if not any(map(is_template, (self.urls, self.single_user_id, self.parameters))):
            params = _content(self, None)
            check_relay(params, with_transcoding=transcoding(self.transcode, params))

    def content(self) -> dict[str, Any]:
        """See the base class."""
        return _content(self, self.audio or dict(DEFAULT_AUDIO))

    def with_transcoding(self) -> int | None:
        """See the base class."""
        return transcoding(self.transcode, self.content())

    def whole(self, hook: TrtcHook, room: Room, user_id: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """See the base class."""
        agent = {"UserId": user_id, "UserSig": self.sign(hook, user_id)}
        if self.max_idle_seconds is not None:
            agent["MaxIdleTime"] = self.max_idle_seconds
        return {
            "RoomId": room.room_id,
            "RoomIdType": RELAY_ROOM_TYPES[room.room_id_type],
            "AgentParams": agent,
            "WithTranscoding": self.with_transcoding(),
            **_with_signatures(hook, content),
        }

    def runs(self, hook: TrtcHook, job_id: str) -> bool:
        """See the base class: an update that changes nothing is refused only by a relay that is over."""
        try:
            hook.update_relay(job_id, {"WithTranscoding": self.with_transcoding()}, PROBE_NUMBER)
        except (TrtcFailedError, TrtcSetupError) as error:
            if is_absent(error.code, RELAY.absent_codes):
                return False
            if not _is_about_parameters(error):
                raise
            self.log.warning("%s So the service knows the relay; taking it for running", error)
        return True

    def mask(self) -> None:
        """See the base class."""
        super().mask()
        mask_urls(self.urls)
        _mask_signatures(self.parameters)


def _is_about_parameters(error: TrtcError) -> bool:
    return (error.code or "").startswith(("InvalidParameter", "MissingParameter"))


class TrtcUpdateRelayOperator(HoldsSecrets, NamesStream):
    """Change a running relay. What is not given stays as it is; what is given has to be whole.

    The service carries out an update only if its ``SequenceNumber`` is higher than all before. The number is
    the time in milliseconds at which the task's first try began, and later tries send the same (Airflow 3.3;
    below, each try has a new one), so that a late try does not undo a newer update. Where the service has
    seen a higher number: an update that was decided within half a minute takes a higher one, since the other
    one is as new and may change something else; an older one is done by an earlier request of its own, or
    superseded, see `if_outdated`. Updates one after the other on machines whose clocks differ need `job`,
    which carries the number before.

    Returns the XCom of the start as far as it is known (``kind``, ``job_id``, ``sdk_app_id``, ``region``,
    ``with_transcoding``), ``sequence_number``, and ``was_applied``: False for an update that was left out.

    :param job_id: the relay's id. Give either this or `job`. (templated)
    :param job: the XCom ``job`` of the start, or what another update returned. (templated)
    :param urls: see `TrtcStartRelayOperator`; all addresses from now on, and each change interrupts the
        streams. (templated)
    :param is_tencent_cdn: see `TrtcStartRelayOperator`.
    :param single_user_id: see `TrtcStartRelayOperator`. (templated)
    :param audio: ``AudioParams``; only the lists of users can change. (templated)
    :param video: ``VideoParams``; all but the codec can change. (templated)
    :param transcode: ``WithTranscoding``, which the service wants each time. Default: that of `job`; else as
        for a start. To change it, give all parameters.
    :param parameters: see `TrtcStartRelayOperator`, without ``RecordParams``. (templated)
    :param sequence_number: instead of the time; the order of updates is yours then. (templated)
    :param if_outdated: what to do about an update that is done or superseded: ``finish`` (default), ``fail``
        or ``skip``.
    :param sdk_app_id: the TRTC application; default: that of `job`, or the connection's. (templated)
    :param region: the API region; default: that of `job`, or the connection's. (templated)
    :param trtc_conn_id: the connection. (templated)
    :raises ValueError: when the DAG is parsed: an argument breaks a limit of the service, or nothing is to
        change.
    :raises AirflowFailException: the relay is over, or the set-up is wrong; no retry would help.
    :raises TrtcError: a retry may help.
    """

    kind: ClassVar[str] = RELAY.name
    template_fields: Sequence[str] = (*NamesStream.template_fields, *_CONTENT_FIELDS, "sequence_number")
    argument_checks: ClassVar[Mapping[str, Check]] = {
        **NamesStream.argument_checks,
        **_CONTENT_CHECKS,
        "parameters": read_relay_update_params,
        "sequence_number": lambda name, value: _sequence_number(name, value),
        "if_outdated": one_of(get_args(IfOutdated)),
    }
    partial_checks: ClassVar[Mapping[str, Check]] = {
        **_PARTIAL_CHECKS,
        "parameters": read_relay_update_params,
    }

    def __init__(  # noqa: PLR0913 - what users write, each by name
        self,
        *,
        urls: str | Sequence[str] | None = None,
        is_tencent_cdn: bool = True,
        single_user_id: str | None = None,
        audio: Mapping[str, Any] | None = None,
        video: Mapping[str, Any] | None = None,
        transcode: bool | None = None,
        parameters: Mapping[str, Any] | None = None,
        sequence_number: int | str | None = None,
        if_outdated: IfOutdated = "finish",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.urls: Any = urls
        self.is_tencent_cdn = is_tencent_cdn
        self.single_user_id = single_user_id
        self.audio = audio
        self.video = video
        self.transcode = transcode
        self.parameters: Any = parameters or {}
        self.sequence_number: Any = sequence_number
        self.if_outdated = if_outdated
        self.check_arguments()

    def check_all(self) -> None:
        """See the base class."""
        super().check_all()
        _check_doubles(self)
        given = (self.urls, self.single_user_id, self.audio, self.video, self.transcode)
        if not self.parameters and all(each is None for each in given):
            raise ValueError("Nothing is to change: give urls, single_user_id, audio, video or parameters")

    def execute(self, context: Context) -> dict[str, Any]:
        """Change it; see the class."""
        with no_retry_of_wrong_setup():
            self.check_rendered()
            named = self.named()
            hook = self.hook_for(named)
            job = hook.job(RELAY.name, named.job_id or "")
            params = _content(self, self.audio)
            used = named.with_transcoding if self.transcode is None else int(self.transcode)
            params["WithTranscoding"] = transcoding(None, params) if used is None else used
            names = {"SdkAppId": job.sdk_app_id, "TaskId": job.job_id, "SequenceNumber": PROBE_NUMBER}
            hook.check("UpdatePublishCdnStream", {**_with_signatures(hook, params), **names})
            store = kept_store(UPDATES, context, self.log)
            update = self._numbered(store, context, params, named.sequence_number)
            number, was_applied = self._send(hook, job, store, update, _with_signatures(hook, params))
        if was_applied:
            self.log.info("Changed %s: %s", job, ", ".join(sorted(params)))
        else:
            self._outdated(job, number)
        store.hand_on(tries_of(context))
        return {
            "kind": RELAY.name,
            "job_id": job.job_id,
            "sdk_app_id": job.sdk_app_id,
            "region": job.region,
            "with_transcoding": params["WithTranscoding"],
            "sequence_number": number,
            "was_applied": was_applied,
        }

    def _numbered(
        self, store: KeptStore[Numbered], context: Context, params: Mapping[str, Any], last: int
    ) -> Numbered:
        """The number of this update, kept before anything is sent with it."""
        tries, now_ms, content = tries_of(context), _now_ms(), digest(params)
        if self.sequence_number is not None:
            return Numbered(self.sequence_number, now_ms, content, tries.max_tries)
        kept = store.load()
        found = numbered(
            None if isinstance(kept, str) else kept,
            content=content,
            now_ms=now_ms,
            max_tries=tries.max_tries,
            last=last,
        )
        if found != kept:
            found = replace(found, try_number=tries.number)
            store.save(found)
        return found

    def _send(
        self,
        hook: TrtcHook,
        job: JobRef,
        store: KeptStore[Numbered],
        update: Numbered,
        params: dict[str, Any],
    ) -> tuple[int, bool]:
        """Send it, with higher numbers while it may; return the last number, and whether it was taken."""
        number = update.number
        try:
            if hook.update_relay(job.job_id, params, number):
                return number, True
            if self.sequence_number is not None or is_late(update, _now_ms()):
                return number, False
            for higher in higher_numbers(update, _now_ms):
                self.log.info("The relay has seen a number above %s; taking %s", number, higher)
                number = higher
                store.save(replace(update, number=number))
                if hook.update_relay(job.job_id, params, number):
                    return number, True
        except TrtcFailedError as error:
            if is_absent(error.code, RELAY.absent_codes):
                raise cannot_change(job) from None
            raise
        raise AirflowFailException(
            f"Cannot change {job}: it has seen an update with a number above {number}, which no clock gives."
            " Nothing was changed. Give sequence_number, one above that number."
        )

    def _outdated(self, job: JobRef, number: int) -> None:
        message = (
            f"The update {number} of {job} was left out: the service has carried out a newer one, or this"
            " one, sent by an earlier try"
        )
        if self.if_outdated == "fail":
            raise AirflowFailException(f'{message}. Where that is as good, set if_outdated="finish".')
        if self.if_outdated == "skip":
            raise AirflowSkipException(message)
        self.log.warning("%s", message)

    def mask(self) -> None:
        """See the base class."""
        mask_urls(self.urls)
        _mask_signatures(self.parameters)


def _sequence_number(name: str, value: Any) -> int | None:
    if value is None or value == "":
        return None
    return read_number(name, value, number(0, HIGHEST))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class TrtcStopRelayOperator(StopsStream):
    """Stop a relay. One that is over, or that the service does not know, counts as stopped.

    ``stop.as_teardown(setups=start)`` stops it whatever happens to the tasks in between, and succeeds when
    the start handed on no id.

    Returns ``kind``, ``job_id``, ``sdk_app_id``, ``region``, and ``was_running``: whether it ran until now;
    None where the answer to the start was lost, so that its robot was sent out of the room instead.

    :param job_id: the relay's id. Give either this or `job`. (templated)
    :param job: the XCom ``job`` of the task that started it, such as ``start.output["job"]``; it also names
        application and region. (templated)
    :param record_key: the ``RecordKey`` that the start gave its recording, to end that at once too.
        (templated)
    :param sdk_app_id: the TRTC application; default: that of `job`, or the connection's. (templated)
    :param region: the API region; default: that of `job`, or the connection's. (templated)
    :param trtc_conn_id: the connection. (templated)
    :raises AirflowFailException: the set-up is wrong; no retry would help.
    :raises TrtcError: it may run on, and a retry may help.
    """

    kind: ClassVar[str] = RELAY.name
    template_fields: Sequence[str] = (*StopsStream.template_fields, "record_key")
    argument_checks: ClassVar[Mapping[str, Check]] = {**StopsStream.argument_checks, "record_key": name_of}

    def __init__(self, *, record_key: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.record_key = record_key
        self.check_arguments()

    def stop(self, hook: TrtcHook, job_id: str) -> bool:
        """See the base class."""
        return hook.stop_relay(job_id, self.record_key)
