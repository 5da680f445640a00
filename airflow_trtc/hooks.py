"""From an Airflow connection to the service: settings, clients, calls and the connection's test."""

from __future__ import annotations

import asyncio
import functools
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from airflow.sdk import BaseHook

from airflow_trtc import account, metrics
from airflow_trtc._compat import (
    CONNECTION_ERRORS,
    amask_extra,
    find_metrics,
    pace_directory,
    says_no_connection,
    shares_pace,
)
from airflow_trtc.aio import uninterrupted
from airflow_trtc.cloud import calls, checkup, parameters, rooms, sharing, streams
from airflow_trtc.cloud.calls import Call
from airflow_trtc.cloud.client import AsyncTrtcClient, TrtcClient
from airflow_trtc.cloud.endpoint import region_name
from airflow_trtc.cloud.identities import permanent_keys
from airflow_trtc.cloud.key_source import Keys
from airflow_trtc.cloud.poller import Poller, Subscription
from airflow_trtc.cloud.settings import TrtcSettings, app_id, from_connection, read_extra
from airflow_trtc.cloud.shared_file import default_directory
from airflow_trtc.cloud.user_sig import Privilege, Signer
from airflow_trtc.errors import NO_CONNECTION, TrtcError, TrtcFailedError, TrtcSetupError, TrtcTransientError
from airflow_trtc.jobs.kind import JobKind
from airflow_trtc.jobs.observation import Absence, Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.jobs.users import BLOCKS, in_calls, read_block
from airflow_trtc.jobs.verdict import is_absent
from airflow_trtc.kinds import INGEST, KINDS, RECORDING, RELAY
from airflow_trtc.provider import connection_type

if TYPE_CHECKING:
    from airflow.sdk import Connection

CONNECTION_SECONDS = 30.0  # how old a connection may be that a wait begins with
RENEWED_CONNECTION_SECONDS = 2.0  # and one that is read because the keys were refused
DAY_SECONDS = 86_400
# What a robot may do that records: enter, and receive everything.
RECORDS = (
    Privilege.ENTER_ROOM | Privilege.RECEIVE_AUDIO | Privilege.RECEIVE_VIDEO | Privilege.RECEIVE_SUBSTREAM
)
KIND_STARTED_BY = {kind.start_action: kind.name for kind in KINDS.values() if kind.start_action}
MAX_READING_SECONDS = 30.0  # until it is read once more, beside the read that does not end

_Value = TypeVar("_Value")


class TrtcHook(BaseHook):
    """Calls Tencent RTC with the keys of an Airflow connection.

    Nothing is read or sent before the first use. Synchronous methods block; their twins that begin with
    ``a`` never block the event loop and share one client per loop and connection. Use the hook as
    ``async with TrtcHook(...)`` or await :meth:`aclose`, so that the connections are closed.

    :param trtc_conn_id: id of the Airflow connection.
    :param region: instead of the connection's region.
    :param sdk_app_id: instead of the connection's application (``SdkAppId``).
    """

    conn_name_attr = "trtc_conn_id"
    default_conn_name = "trtc_default"
    conn_type = "trtc"
    hook_name = "Tencent RTC"

    def __init__(
        self,
        trtc_conn_id: str = default_conn_name,
        *,
        region: str | None = None,
        sdk_app_id: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.trtc_conn_id = trtc_conn_id
        self.region = region
        self.sdk_app_id = sdk_app_id
        self._settings: TrtcSettings | None = None
        self._client: TrtcClient | None = None
        self._aclient: AsyncTrtcClient | None = None
        self._poller: Poller | None = None
        self._connection_seconds = CONNECTION_SECONDS
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def settings(self) -> TrtcSettings:
        """The connection's settings, with the hook's region and application; read once.

        :raises TrtcSetupError: there is no such connection, or a field of it is wrong.
        :raises TrtcTransientError: Airflow could not read it.
        """
        if self._settings is None:
            try:
                connection = self.get_connection(self.trtc_conn_id)
            except CONNECTION_ERRORS as error:
                raise self._no_connection(error) from error
            _ = connection.extra_dejson  # masks the secrets in it
            self._settings = self._resolve(connection)
        return self._settings

    async def asettings(self) -> TrtcSettings:
        """See :attr:`settings`."""
        if self._settings is None:
            self._settings = self._resolve(await self._aconnection())
        return self._settings

    async def _aconnection(self) -> Connection:
        try:
            # A trigger that is cancelled meanwhile must not leave the answer to the next one.
            connection = await uninterrupted(self.aget_connection(self.trtc_conn_id))
        except CONNECTION_ERRORS as error:
            raise self._no_connection(error) from error
        await amask_extra(connection)
        return connection

    def get_conn(self) -> TrtcClient:
        """The synchronous client; safe for several threads."""
        if self._client is None:
            self._client = TrtcClient(self.settings)
        return self._client

    async def aget_conn(self) -> AsyncTrtcClient:
        """The running loop's client for this connection, until :meth:`aclose`."""
        settings = await self.asettings()
        self._enter_loop()
        if self._aclient is None:
            self._aclient = sharing.clients.enter(settings)
        return self._aclient

    def run(self, call: Call[_Value], attempts: int | None = None) -> _Value:
        """Run a call, see :mod:`airflow_trtc.cloud.calls`, and return its value.

        :param attempts: how often it is tried at most when the service is throttled or in trouble; 1 never
            repeats. None is four times in trouble, and for ten minutes while it is throttled.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        value = self.get_conn().run(call, attempts)
        _count_start(call)
        return value

    async def arun(self, call: Call[_Value], attempts: int | None = None) -> _Value:
        """See :meth:`run`."""
        value = await (await self.aget_conn()).run(call, attempts)
        _count_start(call)
        return value

    def describe_recording(self, recording_id: str, *, attempts: int | None = None) -> Snapshot:
        """Ask about one recording once.

        :param attempts: see :meth:`run`.
        :raises TrtcFailedError: code ``ResourceNotFound`` when it ended or never existed.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        return cast("Snapshot", self.describe(RECORDING.name, recording_id, attempts=attempts))

    async def adescribe_recording(self, recording_id: str, *, attempts: int | None = None) -> Snapshot:
        """See :meth:`describe_recording`."""
        return cast("Snapshot", await self.adescribe(RECORDING.name, recording_id, attempts=attempts))

    def describe(self, kind: str, job_id: str, *, attempts: int | None = None) -> Snapshot | Absence:
        """Ask about one job of any kind once.

        :param kind: name of a row of :data:`airflow_trtc.kinds.KINDS`.
        :param attempts: see :meth:`run`.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        job = self.job(kind, job_id)
        return self.run(calls.describe(KINDS[kind], job), attempts)

    async def adescribe(self, kind: str, job_id: str, *, attempts: int | None = None) -> Snapshot | Absence:
        """See :meth:`describe`."""
        await self.asettings()
        job = self.job(kind, job_id)
        return await self.arun(calls.describe(KINDS[kind], job), attempts)

    def start(self, kind: str, params: Mapping[str, Any]) -> str:
        """Start a job, which costs money until it ends, and return its id. Sent once.

        :param kind: name of a row of :data:`airflow_trtc.kinds.KINDS` that can be started.
        :param params: the parameters of its start action, with the service's own names; the application is
            filled in.
        :raises TrtcTransientError: with ``outcome_unknown`` a job may have been started; do not repeat the
            call unless a second job does no harm.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        return self.run(calls.start(KINDS[kind], {"SdkAppId": self.required_app_id, **params}))

    def find(self, kind: str, key: str, *, attempts: int | None = None) -> str | None:
        """The id of the running job that was given this name at its start; None when there is none.

        :param kind: a kind of jobs that can be named, see `JobKind.key_param`.
        :param attempts: see :meth:`run`.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        row = KINDS[kind]
        try:
            return self.run(calls.find(row, self.required_app_id, key), attempts)
        except TrtcFailedError as error:
            if is_absent(error.code, row.absent_codes):
                return None
            raise

    def modify_recording(self, recording_id: str, params: Mapping[str, Any]) -> None:
        """Replace what a running recording subscribes to, and its layout. What `params` lacks is reset.

        :param params: ``MixLayoutParams`` and ``SubscribeStreamUserIds``.
        :raises TrtcFailedError: the recording is over, or never existed.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        self.run(calls.modify_recording(RECORDING, self.job(RECORDING.name, recording_id), params))

    def stop(self, kind: str, job_id: str, *, attempts: int | None = None) -> bool:
        """Stop a job, and return whether it ran: False when it is over already, or never existed.

        :param kind: name of a row of :data:`airflow_trtc.kinds.KINDS` that can be stopped.
        :param attempts: see :meth:`run`.
        :raises TrtcError: it may run on; see the classes in :mod:`airflow_trtc.errors`.
        """
        try:
            self.run(calls.stop(KINDS[kind], self.job(kind, job_id)), attempts)
        except TrtcFailedError as error:
            return _stopped(KINDS[kind], error)
        return _stopped(KINDS[kind])

    async def astop(self, kind: str, job_id: str, *, attempts: int | None = None) -> bool:
        """See :meth:`stop`."""
        await self.asettings()
        try:
            await self.arun(calls.stop(KINDS[kind], self.job(kind, job_id)), attempts)
        except TrtcFailedError as error:
            return _stopped(KINDS[kind], error)
        return _stopped(KINDS[kind])

    def dismiss_room(self, room_id: int | str) -> bool:
        """Dismiss a room, and return whether it was there.

        :param room_id: an int for a numeric room, a text for a string room.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        return self._run_in_room(rooms.dismiss(self.required_app_id, room_id))

    def remove_users(self, room_id: int | str, users: Sequence[str]) -> bool:
        """Remove users from a room, ten with each request, and return whether the room was there.

        :param room_id: as :meth:`dismiss_room`.
        :raises TrtcError: some may be removed and some not; see the classes in :mod:`airflow_trtc.errors`.
        """
        was_there = False
        for some in in_calls(users):
            if not self._run_in_room(rooms.remove_users(self.required_app_id, room_id, some)):
                return was_there  # when its last user was removed, there is no room for the others
            was_there = True
        return was_there

    def block_user(self, room_id: int | str, user_id: str, block: str) -> bool:
        """Say what of a user a room no longer passes on, and return whether the room was there.

        :param room_id: as :meth:`dismiss_room`.
        :param block: ``audio``, ``video``, ``both``, or ``none`` to pass everything on again.
        :raises ValueError: `block` is none of these.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        is_mute = BLOCKS[read_block("block", block)]
        return self._run_in_room(rooms.block_user(self.required_app_id, room_id, user_id, is_mute))

    def _run_in_room(self, call: Call[None]) -> bool:
        try:
            self.run(call)
        except TrtcFailedError as error:
            if error.code != rooms.ROOM_NOT_EXIST:
                raise
            return error.follows_unknown  # then it was there until our own request, whose answer was lost
        return True

    def update_relay(self, job_id: str, params: Mapping[str, Any], sequence_number: int) -> bool:
        """Change a relay to CDNs, and return whether it was done: False when it has seen a higher number.

        :param params: ``WithTranscoding`` and what is to change, with the service's own names.
        :param sequence_number: higher than that of the update before.
        :raises TrtcFailedError: the relay is over, or never existed.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        try:
            self.run(streams.update_relay(self.job(RELAY.name, job_id), params, sequence_number))
        except TrtcFailedError as error:
            if error.code != streams.REQUEST_OUTDATED:
                raise
            return False
        return True

    def update_ingest(self, job_id: str, params: Mapping[str, Any]) -> str:
        """Change what is played into a room, and return the status then: ``NotExist`` when it is over.

        :raises TrtcFailedError: it is over, or never existed; the service says so in either way.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        return self.run(streams.update_ingest(self.job(INGEST.name, job_id), params))

    def stop_relay(self, job_id: str, record_key: str | None = None) -> bool:
        """As :meth:`stop`, of a relay.

        :param record_key: that of its recording, to end that at once, too.
        """
        try:
            self.run(streams.stop_relay(self.job(RELAY.name, job_id), record_key))
        except TrtcFailedError as error:
            return _stopped(RELAY, error)
        return _stopped(RELAY)

    def check(self, action: str, params: Mapping[str, Any]) -> None:
        """Check the names of an action's parameters, nested ones too; nothing is sent.

        :raises TrtcSetupError: one does not exist.
        """
        parameters.check(action, params)

    def job(self, kind: str, job_id: str) -> JobRef:
        """The identity of a job in the hook's application and region.

        In a coroutine to be called after :meth:`asettings` or :meth:`aprepare`.

        :raises TrtcSetupError: there is no such kind, or neither the connection nor the hook names an
            application.
        """
        if kind not in KINDS:
            raise TrtcSetupError(f"There is no kind of job {kind!r}; the kinds are {', '.join(KINDS)}.")
        return JobRef(kind, self.required_app_id, self.settings.region, job_id)

    async def aprepare(self) -> None:
        """Read the connection once for all hooks in the running loop that do so.

        :raises TrtcError: as :attr:`settings`.
        """
        if self._settings is None:
            cache = _caches.setdefault(asyncio.get_running_loop(), ConnectionCache())
            self._settings = (await cache.get(self, self._connection_seconds)).settings_of(self)

    def subscribe(self, kind: JobKind, job: JobRef, wake: Callable[[], None]) -> Subscription:
        """Share the polls of a job with all that wait in the running loop with the same account.

        They share one connection to the service, one budget of requests for each action and one schedule.
        To be called after :meth:`aprepare`, from a coroutine; close the subscription before the hook.

        :param wake: called when the subscription has results to take.
        :raises TrtcSetupError: the job's id cannot be one.
        """
        if self._settings is None:
            raise RuntimeError("await aprepare() before subscribe()")
        self._enter_loop()
        if self._poller is None:
            self._poller = sharing.pollers.enter(self._settings.account)
        return self._poller.subscribe(kind, job, wake)

    @property
    def poller(self) -> Poller | None:
        """What the polls that this hook subscribed to are shared with; None before the first."""
        return self._poller

    def call(self, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Call any action with the service's own parameter names, e.g. ``DescribeRoomInfo``.

        The application is filled in where the action has such a parameter; give it as None to leave it out.

        :return: the answer, with its ``RequestId``.
        :raises TrtcSetupError: also for a parameter that the action does not have; nothing was sent.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        return self.run(_any_action(action, params, self.settings.sdk_app_id))

    async def acall(self, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """See :meth:`call`."""
        settings = await self.asettings()
        return await self.arun(await asyncio.to_thread(_any_action, action, params, settings.sdk_app_id))

    def user_sig(self, user_id: str, *, seconds: int = DAY_SECONDS) -> str:
        """Sign a UserSig, with which a user may enter the application's rooms; nothing is sent.

        :param user_id: at most 32 letters, digits, ``_`` and ``-``.
        :param seconds: how long it is valid. Default: a day.
        :raises TrtcSetupError: the connection has no ``sdk_secret_key``, or the user id cannot be signed.
        """
        return self._signer().user_sig(user_id, now=time.time(), seconds=seconds)

    def private_map_key(
        self,
        user_id: str,
        room_id: int | str,
        *,
        seconds: int = DAY_SECONDS,
        privileges: Privilege = Privilege.ALL,
    ) -> str:
        """Sign a PrivateMapKey for one room, where advanced permission control is on; nothing is sent.

        :param room_id: an int for a numeric room, a str for a string room.
        :param privileges: what the user may do there. Default: all.
        :raises TrtcSetupError: as :meth:`user_sig`; or the room cannot be signed.
        """
        signer = self._signer()
        return signer.private_map_key(
            user_id, room_id, now=time.time(), seconds=seconds, privileges=privileges
        )

    def permanent_keys(self) -> Keys | None:
        """The connection's own key pair, if it never ends; None for all other kinds of credentials.

        :raises TrtcSetupError: the credentials cannot be used as described.
        """
        return permanent_keys(self.settings.identity)

    def _signer(self) -> Signer:
        if (key := self.settings.sdk_secret_key) is None:
            raise TrtcSetupError(
                f"Connection {self.trtc_conn_id!r}: the extra field sdk_secret_key is not set. It is the key"
                f" of the application {self.required_app_id}, as the console shows it."
            )
        return Signer(self.required_app_id, key)

    async def aclose(self) -> None:
        """Give back what is shared in the running loop; the last hook to do so closes the connections."""
        self._enter_loop()
        client, self._aclient = self._aclient, None
        poller, self._poller = self._poller, None
        try:
            if poller is not None:
                await sharing.pollers.leave(poller)
        finally:
            if client is not None:
                await sharing.clients.leave(client)

    def _enter_loop(self) -> None:
        """Forget what was shared in another event loop, since it cannot be given back from here."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._aclient, self._poller = loop, None, None

    async def arenew(self) -> None:
        """Give back what is shared, and read the connection anew for what comes next."""
        await self.aclose()
        self._settings, self._connection_seconds = None, RENEWED_CONNECTION_SECONDS

    async def __aenter__(self) -> TrtcHook:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def test_connection(self) -> tuple[bool, str]:
        """Ask for a recording that cannot exist: read-only, free of charge, over in seconds. Never raises."""
        try:
            settings = self.settings
        except TrtcError as error:
            return False, str(error)
        return checkup.verdict(self.probe(), settings)

    def probe(self) -> TrtcError | None:
        """What asking for a recording that cannot exist raises; see :mod:`airflow_trtc.cloud.checkup`.

        :raises TrtcError: as :attr:`settings`.
        """
        return account.probe(self.settings)

    def _resolve(self, connection: Connection) -> TrtcSettings:
        try:
            settings = from_connection(
                host=connection.host,
                port=connection.port,
                schema=connection.schema,
                login=connection.login,
                password=connection.password,
                extra=read_extra(connection.extra),
            )
            sdk_app_id = app_id(self.sdk_app_id, "argument sdk_app_id")
            region = region_name(self.region, "argument region")
        except TrtcSetupError as error:
            raise TrtcSetupError(f"Connection {self.trtc_conn_id!r}: {error.message}") from None
        for warning in settings.warnings:
            self.log.warning("Connection %r: %s", self.trtc_conn_id, warning)
        return replace(
            settings,
            region=region or settings.region,
            sdk_app_id=sdk_app_id or settings.sdk_app_id,
            pace_directory=(pace_directory() or default_directory()) if shares_pace() else None,
        )

    @property
    def required_app_id(self) -> int:
        """The application to ask about.

        :raises TrtcSetupError: neither the connection nor the hook names one.
        """
        if (number := self.settings.sdk_app_id) is None:
            raise TrtcSetupError(
                f"Connection {self.trtc_conn_id!r}: the extra field sdk_app_id is not set, and no sdk_app_id"
                " was given."
            )
        return number

    def _no_connection(self, error: Exception) -> TrtcError:
        """Say which connection is missing, or that Airflow cannot be asked for it."""
        if says_no_connection(error):
            message = f"There is no connection {self.trtc_conn_id!r}; create one of type {self.conn_type!r}."
            return TrtcSetupError(message, code=NO_CONNECTION)
        message = f"Cannot ask Airflow for the connection {self.trtc_conn_id!r}."
        return TrtcTransientError(message, code="Client.ConnectionUnavailable")

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Names of the standard fields, for Airflow 3.1; later ones read the provider's metadata."""
        behaviour: dict[str, Any] = connection_type()["ui-field-behaviour"]
        return {
            "hidden_fields": behaviour["hidden-fields"],
            "relabeling": behaviour["relabeling"],
            "placeholders": behaviour["placeholders"],
        }

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The extra fields, for Airflow 3.1; later ones read the provider's metadata."""
        from wtforms import IntegerField, PasswordField, StringField  # type: ignore[import-untyped]

        def widget(field: dict[str, Any]) -> Any:
            schema = field["schema"]
            kind = PasswordField if schema.get("format") == "password" else StringField
            kind = IntegerField if "integer" in schema["type"] else kind
            return kind(
                field["label"], description=field.get("description", ""), default=schema.get("default")
            )

        return {name: widget(field) for name, field in connection_type()["conn-fields"].items()}


def read_app_id(name: str, value: Any) -> int | None:
    """Read the application among the arguments of a task; None and "" stand for the connection's.

    :raises ValueError: it is no positive whole number.
    """
    try:
        return app_id(value, name)
    except TrtcSetupError as error:
        raise ValueError(error.message.rstrip(".")) from None


def _count_start(call: Call[Any]) -> None:
    if (kind := KIND_STARTED_BY.get(call.action)) is not None:
        metrics.count(metrics.JOBS_STARTED, kind=kind)


def _stopped(kind: JobKind, error: TrtcFailedError | None = None) -> bool:
    """Count a stop, and say whether the job ran. The error of one that is over says no; others are raised."""
    if error is not None and not is_absent(error.code, kind.absent_codes):
        raise error
    # An error that follows a lost answer: it ran until our own request.
    was_running = error is None or error.follows_unknown
    metrics.count(metrics.JOBS_STOPPED, kind=kind.name, outcome="stopped" if was_running else "over")
    return was_running


def _any_action(action: str, params: Mapping[str, Any], sdk_app_id: int | None) -> Call[dict[str, Any]]:
    return calls.any_action(action, parameters.with_app_id(action, params, sdk_app_id))


class _CachedConnection:
    """A connection as it was at some time, and what hooks made of it: the same for all of them."""

    def __init__(self, connection: Connection, at: float) -> None:
        self.at = at
        self._connection = connection
        self._settings: dict[tuple[str | None, int | None], TrtcSettings] = {}

    def settings_of(self, hook: TrtcHook) -> TrtcSettings:
        """The settings with the hook's region and application."""
        wanted = hook.region, hook.sdk_app_id
        if wanted not in self._settings:
            self._settings[wanted] = hook._resolve(self._connection)
        return self._settings[wanted]


class ConnectionCache:
    """The connections that were read in one event loop a short while ago, and those being read.

    Airflow's supervisor answers one trigger after the other, 10 ms each: a minute for five thousand.
    """

    def __init__(self) -> None:
        self._read: dict[str, _CachedConnection] = {}
        self._reading: dict[str, tuple[float, asyncio.Task[_CachedConnection]]] = {}

    async def get(self, hook: TrtcHook, max_age_seconds: float) -> _CachedConnection:
        """The hook's connection, at most so old."""
        loop, conn_id = asyncio.get_running_loop(), hook.trtc_conn_id
        if (cached := self._read.get(conn_id)) is not None and loop.time() - cached.at < max_age_seconds:
            return cached
        began_at, reading = self._reading.get(conn_id, (0.0, None))
        if reading is None or loop.time() - began_at >= MAX_READING_SECONDS:
            # One that takes so long is left to itself: to cancel it could mix up the supervisor's answers.
            reading = loop.create_task(self._read_for(hook))
            self._reading[conn_id] = loop.time(), reading
            reading.add_done_callback(functools.partial(self._forget, conn_id))
        return await asyncio.shield(reading)  # a hook that is cancelled leaves it to the others

    def _forget(self, conn_id: str, reading: asyncio.Task[_CachedConnection]) -> None:
        if self._reading.get(conn_id, (0.0, None))[1] is reading:
            del self._reading[conn_id]

    async def _read_for(self, hook: TrtcHook) -> _CachedConnection:
        connection = await hook._aconnection()
        read = self._read[hook.trtc_conn_id] = _CachedConnection(
            connection, asyncio.get_running_loop().time()
        )
        return read


_caches: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, ConnectionCache] = weakref.WeakKeyDictionary()

metrics.send_through(find_metrics)
