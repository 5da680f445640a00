"""What operators of relays and ingests share: how they start one, and how they name one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator
from airflow.sdk.log import mask_secret

from airflow_trtc import bounds
from airflow_trtc.arguments import (
    Check,
    ChecksArguments,
    HiddenText,
    checked_id,
    hidden_text,
    is_template,
    name_of,
    required_name,
    revealed,
    secret_text,
)
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.attempts import Attempt, Target
from airflow_trtc.jobs.users import check_signed_user, read_user_id
from airflow_trtc.journal.store import task_of
from airflow_trtc.kinds import KINDS
from airflow_trtc.operators import signing
from airflow_trtc.operators.attempt_store import KeptStore, kept_store, tries_of
from airflow_trtc.operators.failing import no_retry_of_wrong_setup
from airflow_trtc.operators.leaves import HoldsSecrets, mask_text
from airflow_trtc.operators.rooms import check_room, room_of
from airflow_trtc.operators.stream_starting import StreamStarter
from airflow_trtc.publishing.attempts import STREAM_STARTS
from airflow_trtc.publishing.parameters import digest, secrets_of
from airflow_trtc.publishing.started import NamedStream, Robot, read_named, read_robot, so_far
from airflow_trtc.recording.robot import robot_of
from airflow_trtc.recording.rooms import Room, check_room_id, read_room_word
from airflow_trtc.waiting.xcoms import push_results

if TYPE_CHECKING:
    from airflow.sdk import Context

JOB_XCOM = "job"
SIGNATURE_SECONDS = 30 * 86_400  # a robot may have to enter its room again, weeks later


def hiding_urls(read: Callable[[str, Any], Any]) -> Check:
    """A check of an address or of several, after which those with keys in them are hidden."""

    def check(name: str, value: Any) -> Any:
        found = read(name, revealed_urls(value))
        return [_hidden_url(url) for url in found] if isinstance(found, list) else _hidden_url(found)

    return check


def revealed_urls(value: Any) -> Any:
    """The texts of addresses that are hidden, in a list too; anything else as it is."""
    return [revealed(url) for url in value] if isinstance(value, list | tuple) else revealed(value)


def mask_urls(value: Any) -> None:
    """Have Airflow show no keys that stand in addresses."""
    found = revealed_urls(value)
    for url in found if isinstance(found, list) else [found]:
        for secret in () if is_template(url) else secrets_of(url):
            mask_secret(secret)


def _hidden_url(url: Any) -> Any:
    return HiddenText(url) if secrets_of(url) else url


class StartsStream(HoldsSecrets, BaseOperator):
    """For operators that start a relay or an ingest: arguments, their checks, and a start that happens once.

    A constructor that builds on this one ends with `check_arguments`, when all its arguments are set.

    :cvar kind: name of a row of :data:`airflow_trtc.kinds.KINDS`.
    :cvar robot_prefix: how the ids of its robots begin.
    """

    kind: ClassVar[str] = ""
    robot_prefix: ClassVar[str] = ""
    template_fields: Sequence[str] = (
        "room_id",
        "room_id_type",
        "user_id",
        "user_sig",
        "sdk_app_id",
        "region",
        "trtc_conn_id",
    )
    argument_checks: ClassVar[Mapping[str, Check]] = {
        "trtc_conn_id": required_name,
        "region": name_of,
        "room_id": check_room_id,
        "room_id_type": read_room_word,
        "user_id": read_user_id,
        "user_sig": secret_text,
    }
    secrets: ClassVar[Mapping[str, Any]] = {"user_sig": hidden_text}
    ui_color = "#d7ffe8"

    def __init__(
        self,
        *,
        room_id: int | str,
        room_id_type: str | None = None,
        user_id: str | None = None,
        user_sig: str | None = None,
        sdk_app_id: int | str | None = None,
        region: str | None = None,
        trtc_conn_id: str = TrtcHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.room_id = room_id
        self.room_id_type = room_id_type
        self.user_id = user_id
        self.user_sig = hidden_text(user_sig)
        self.sdk_app_id = sdk_app_id
        self.region = region
        self.trtc_conn_id = trtc_conn_id

    def check_together(self) -> None:
        """See the base class."""
        check_room(self)
        check_signed_user(self.user_id, self.user_sig)

    def content(self) -> dict[str, Any]:
        """What is to be started, without room, robot and signatures. To be called with rendered arguments."""
        raise NotImplementedError

    def with_transcoding(self) -> int | None:
        """``WithTranscoding``, where the kind has it."""
        return None

    def whole(self, hook: TrtcHook, room: Room, user_id: str, content: Mapping[str, Any]) -> dict[str, Any]:
        """The content with room, robot and signatures; it holds secrets."""
        raise NotImplementedError

    def runs(self, hook: TrtcHook, job_id: str) -> bool:
        """Ask the service whether a job runs."""
        raise NotImplementedError

    def execute(self, context: Context) -> str:
        """Start; see the class."""
        store = kept_store(STREAM_STARTS, context, self.log)
        with no_retry_of_wrong_setup():
            kept = store.load()
            if isinstance(kept, Attempt):
                self._hand_on(context, kept.target, bounds.mapping(kept.answer).get("job_id"))
            else:
                self._hand_on(context, None, None)
            self.check_rendered()
            starter = self._starter(context, store)
            started = starter.start()
        job_id = push_results(self, context, started.job_id, JOB_XCOM, started.to_json())
        store.hand_on(tries_of(context))
        return job_id

    def _hand_on(self, context: Context, target: Target | None, job_id: str | None) -> None:
        """Hand on what is known so far, for a teardown that runs although this fails."""
        if self.do_xcom_push:
            context["ti"].xcom_push(key=JOB_XCOM, value=so_far(self.kind, target, job_id))

    def sign(self, hook: TrtcHook, user_id: str) -> str:
        """The robot's UserSig: from elsewhere, or signed with the connection's key."""
        return signing.user_sig(hook, user_id, revealed(self.user_sig), seconds=SIGNATURE_SECONDS)

    def mask(self) -> None:
        """See the base class."""
        mask_text(self.user_sig)

    def _starter(self, context: Context, store: KeptStore[Attempt]) -> StreamStarter:
        room = room_of(self)
        user_id = self.user_id or robot_of(**task_of(context)._asdict(), prefix=self.robot_prefix)
        app_id: Any = self.sdk_app_id  # rendered from a template it is a text; the hook reads both
        hook = TrtcHook(self.trtc_conn_id, region=self.region, sdk_app_id=app_id)
        content = self.content()
        params = self.whole(hook, room, user_id, content)
        hook.check(KINDS[self.kind].start_action, {"SdkAppId": hook.required_app_id, **params})
        target = Target(
            kind=self.kind,
            sdk_app_id=hook.required_app_id,
            region=hook.settings.region,
            room_id=room.room_id,
            room_type=room.word,
            user_id=user_id,
            content=digest(content),
        )
        return StreamStarter(
            hook=hook,
            wanted=target,
            hook_for=lambda one: hook if one == target else self._hook_for(one),
            params=params,
            asks=self.runs,
            store=store,
            hand_on=functools.partial(self._hand_on, context),
            tries=tries_of(context),
            log=self.log,
            with_transcoding=self.with_transcoding(),
        )

    def _hook_for(self, target: Target) -> TrtcHook:
        return TrtcHook(self.trtc_conn_id, region=target.region, sdk_app_id=target.sdk_app_id)


class NamesStream(ChecksArguments, BaseOperator):
    """For operators that act on a relay or an ingest: the arguments that name it.

    :cvar kind: name of a row of :data:`airflow_trtc.kinds.KINDS`.
    """

    kind: ClassVar[str] = ""
    template_fields: Sequence[str] = ("job_id", "job", "sdk_app_id", "region", "trtc_conn_id")
    argument_checks: ClassVar[Mapping[str, Check]] = {
        "trtc_conn_id": required_name,
        "region": name_of,
    }
    ui_color = "#d7ffe8"

    def __init__(
        self,
        *,
        job_id: str | None = None,
        job: Mapping[str, Any] | None = None,
        sdk_app_id: int | str | None = None,
        region: str | None = None,
        trtc_conn_id: str = TrtcHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if job_id is not None and job is not None:
            raise ValueError("job_id and job exclude each other; give one of them")
        self.job_id = job_id
        self.job = job
        self.sdk_app_id = sdk_app_id
        self.region = region
        self.trtc_conn_id = trtc_conn_id

    def check_all(self) -> None:
        """See the base class."""
        super().check_all()
        if self.job is not None and not is_template(self.job):
            read_named("job", self.job, self.kind)

    def named(self) -> NamedStream:
        """What is meant; explicit arguments go first. To be called with rendered arguments.

        :raises TrtcSetupError: nothing names it.
        """
        if self.job is not None:
            try:
                found = read_named("job", self.job, self.kind)
            except ValueError as error:
                raise TrtcSetupError(f"{error}.") from None
        else:
            mapped = f"{type(self).__name__}.partial(...).expand(job_id=[...])"
            found = NamedStream(checked_id("job_id", self.job_id, mapped, KINDS[self.kind].id_source))
        app_id: Any = self.sdk_app_id
        return replace(found, sdk_app_id=app_id or found.sdk_app_id, region=self.region or found.region)

    def hook_for(self, named: NamedStream) -> TrtcHook:
        """The hook for its application and region."""
        return TrtcHook(self.trtc_conn_id, region=named.region, sdk_app_id=named.sdk_app_id)


class StopsStream(NamesStream):
    """For operators that stop a relay or an ingest.

    A constructor that builds on this one ends with `check_arguments`, when all its arguments are set.
    """

    def stop(self, hook: TrtcHook, job_id: str) -> bool:
        """Stop it, and return whether it ran."""
        return hook.stop(self.kind, job_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Stop; see the class."""
        with no_retry_of_wrong_setup():
            self.check_rendered()
            if self._has_no_id():
                return self._stop_without_id()
            named = self.named()
            hook = self.hook_for(named)
            job = hook.job(self.kind, named.job_id or "")
            was_running = self.stop(hook, job.job_id)
        words = "Stopped %s" if was_running else "%s is over already, or the service does not know it"
        self.log.info(words, job)
        return {
            "kind": self.kind,
            "job_id": job.job_id,
            "sdk_app_id": job.sdk_app_id,
            "region": job.region,
            "was_running": was_running,
        }

    def _stop_without_id(self) -> dict[str, Any]:
        """End what a start whose answer was lost may have started, by its robot."""
        found: dict[str, Any] = {"kind": self.kind, "job_id": None, "was_running": False}
        robot = read_robot(self.job)
        if robot is None:
            self.log.info("There is nothing to stop: the start of the %s handed on no id", self.kind)
            return found
        self.log.warning(
            "It is not known whether the start of the %s succeeded. Sending its robot %s out of the room %s,"
            " which ends it if it runs",
            self.kind,
            robot.user_id,
            robot.room,
        )
        self._hook_of(robot).remove_users(robot.room, [robot.user_id])
        return {**found, "was_running": None}

    def _hook_of(self, robot: Robot) -> TrtcHook:
        app_id: Any = self.sdk_app_id
        return TrtcHook(
            self.trtc_conn_id,
            region=self.region or robot.region,
            sdk_app_id=app_id or robot.sdk_app_id,
        )

    def _has_no_id(self) -> bool:
        """Whether the start handed on no id, as it does when it fails."""
        if isinstance(self.job, Mapping):
            return self.job.get("job_id", "") is None
        return bool(self.is_teardown) and self.job_id in (None, "", "None")
