"""From an Airflow connection to the service: settings, clients, typed calls and the connection's test."""

from __future__ import annotations

import asyncio
import functools
import json
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_trtc.cloud import checkup, parameters, sharing
from airflow_trtc.cloud.client import AsyncTrtcClient, TrtcClient
from airflow_trtc.cloud.poller import Poller, Subscription
from airflow_trtc.cloud.settings import TrtcSettings, app_id, from_connection
from airflow_trtc.errors import TrtcError, TrtcSetupError, TrtcTransientError
from airflow_trtc.provider import CONNECTION_TYPE

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_trtc.jobs.observation import Snapshot

NO_CONNECTION = "Client.NoConnection"
CONNECTION_SECONDS = 30.0  # how old a connection may be that a wait begins with
RENEWED_CONNECTION_SECONDS = 2.0  # and one that is read because the keys were refused
LONGEST_READING_SECONDS = 30.0  # until it is read once more, beside the one that does not end


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
        :raises TrtcTransientError: Airflow could not read it just now.
        """
        if self._settings is None:
            try:
                connection = self.get_connection(self.trtc_conn_id)
            except _lookup_errors() as error:
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
            connection = await self.aget_connection(self.trtc_conn_id)
        except _lookup_errors() as error:
            raise self._no_connection(error) from error
        await _amask_extra(connection)
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

    def describe_recording(self, recording_id: str, *, attempts: int | None = None) -> Snapshot:
        """Look at one recording once.

        :param attempts: how often it is tried at most when the service is throttled or in trouble; 1 never
            repeats. None is four times in trouble, and for ten minutes while it is throttled.
        :raises TrtcFailedError: code ``ResourceNotFound`` when it ended or never existed.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        sdk_app_id = self.required_app_id(self.settings)
        return self.get_conn().describe_recording(recording_id, sdk_app_id, attempts=attempts)

    async def adescribe_recording(self, recording_id: str, *, attempts: int | None = None) -> Snapshot:
        """See :meth:`describe_recording`."""
        sdk_app_id = self.required_app_id(await self.asettings())
        client = await self.aget_conn()
        return await client.describe_recording(recording_id, sdk_app_id, attempts=attempts)

    async def aprepare(self) -> None:
        """Read the connection together with everybody who does so in the running loop.

        :raises TrtcError: as :attr:`settings`.
        """
        if self._settings is None:
            held = _connections.setdefault(asyncio.get_running_loop(), _Connections())
            self._settings = (await held.get(self, self._connection_seconds)).settings_of(self)

    def subscribe(self, recording_id: str, wake: Callable[[], None]) -> Subscription:
        """Wait for a recording with everybody who does so in the running loop with the same account.

        They share one connection to the service, one budget of requests and one schedule. To be called
        after :meth:`aprepare`, from a coroutine; close the subscription before the hook.

        :param wake: called when the subscription has answers to take.
        :raises TrtcSetupError: neither the connection nor the hook names an application.
        """
        if self._settings is None:
            raise RuntimeError("await aprepare() before subscribe()")
        sdk_app_id = self.required_app_id(self._settings)
        self._enter_loop()
        if self._poller is None:
            self._poller = sharing.pollers.enter(self._settings.account)
        return self._poller.subscribe(sdk_app_id, recording_id, wake)

    def call(self, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Call any action with the service's own parameter names, e.g. ``DescribeRoomInfo``.

        The application is filled in where the action has such a parameter; give it as None to leave it out.

        :return: the answer, with its ``RequestId``.
        :raises TrtcSetupError: also for a parameter that the action does not have; nothing was sent.
        :raises TrtcError: see the classes in :mod:`airflow_trtc.errors`.
        """
        filled = parameters.with_app_id(action, params, self.settings.sdk_app_id)
        return self.get_conn().call(action, filled)

    async def acall(self, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """See :meth:`call`."""
        settings = await self.asettings()
        filled = await asyncio.to_thread(parameters.with_app_id, action, params, settings.sdk_app_id)
        return await (await self.aget_conn()).call(action, filled)

    async def aclose(self) -> None:
        """Give back what is shared in the running loop; connections are closed when nobody else uses them."""
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
        """Forget what was shared in another event loop, which nobody can give back from here."""
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
        failure: TrtcError | None = None
        try:
            client = TrtcClient(checkup.quick(settings), attempts=1)
            client.describe_recording(checkup.IMPOSSIBLE_RECORDING)
        except TrtcError as error:
            failure = error
        return checkup.verdict(failure, settings)

    def _resolve(self, connection: Connection) -> TrtcSettings:
        try:
            settings = from_connection(
                host=connection.host,
                port=connection.port,
                schema=connection.schema,
                login=connection.login,
                password=connection.password,
                extra=_extra(connection.extra),
            )
            sdk_app_id = app_id(self.sdk_app_id, "argument sdk_app_id")
        except TrtcSetupError as error:
            raise TrtcSetupError(f"Connection {self.trtc_conn_id!r}: {error.message}") from error
        for warning in settings.warnings:
            self.log.warning("Connection %r: %s", self.trtc_conn_id, warning)
        return replace(
            settings, region=self.region or settings.region, sdk_app_id=sdk_app_id or settings.sdk_app_id
        )

    def required_app_id(self, settings: TrtcSettings) -> int:
        """The application to ask about.

        :raises TrtcSetupError: neither the connection nor the hook names one.
        """
        if settings.sdk_app_id is None:
            raise TrtcSetupError(
                f"Connection {self.trtc_conn_id!r}: the extra field sdk_app_id is not set, and no sdk_app_id"
                " was given."
            )
        return settings.sdk_app_id

    def _no_connection(self, error: Exception) -> TrtcError:
        """Say which connection is missing, or that Airflow could not be asked for it."""
        if type(error).__name__ == "AirflowNotFoundException" or "CONNECTION_NOT_FOUND" in str(error):
            message = f"There is no connection {self.trtc_conn_id!r}; create one of type {self.conn_type!r}."
            return TrtcSetupError(message, code=NO_CONNECTION)
        message = f"Airflow could not be asked for the connection {self.trtc_conn_id!r}."
        return TrtcTransientError(message, code="Client.ConnectionUnavailable")

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Names of the standard fields, for Airflow 3.1; later ones read the provider's metadata."""
        behaviour: dict[str, Any] = CONNECTION_TYPE["ui-field-behaviour"]
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

        return {name: widget(field) for name, field in CONNECTION_TYPE["conn-fields"].items()}


def _extra(text: str | None) -> Any:
    """Parse the extra; Airflow's own reading would turn what cannot be read into nothing."""
    try:
        return json.loads(text) if text and text.strip() else None
    except ValueError as error:
        raise TrtcSetupError(f"The extra is not valid JSON ({error}).") from error


class _Read:
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


class _Connections:
    """The connections that were read in one event loop a short while ago, and those being read.

    Airflow's supervisor answers one trigger after the other, 10 ms each: a minute for five thousand.
    """

    def __init__(self) -> None:
        self._read: dict[str, _Read] = {}
        self._reading: dict[str, tuple[float, asyncio.Task[_Read]]] = {}

    async def get(self, hook: TrtcHook, most_seconds: float) -> _Read:
        """The hook's connection, at most so old."""
        loop, conn_id = asyncio.get_running_loop(), hook.trtc_conn_id
        if (known := self._read.get(conn_id)) is not None and loop.time() - known.at < most_seconds:
            return known
        began_at, reading = self._reading.get(conn_id, (0.0, None))
        if reading is None or loop.time() - began_at >= LONGEST_READING_SECONDS:
            # One that takes so long is left to itself: to cancel it could mix up the supervisor's answers.
            reading = loop.create_task(self._read_for(hook))
            self._reading[conn_id] = loop.time(), reading
            reading.add_done_callback(functools.partial(self._forget, conn_id))
        return await asyncio.shield(reading)  # whoever is cancelled leaves it to the others

    def _forget(self, conn_id: str, reading: asyncio.Task[_Read]) -> None:
        if self._reading.get(conn_id, (0.0, None))[1] is reading:
            del self._reading[conn_id]

    async def _read_for(self, hook: TrtcHook) -> _Read:
        connection = await hook._aconnection()
        read = self._read[hook.trtc_conn_id] = _Read(connection, asyncio.get_running_loop().time())
        return read


_connections: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Connections] = weakref.WeakKeyDictionary()


async def _amask_extra(connection: Connection) -> None:
    """Mask the extra's secrets, where Airflow can do so without blocking.

    Before 3.3 masking asks the supervisor from a second event loop, which ends the whole triggerer
    ("Response read out of order"). There the extra stays unmasked in triggers; nothing here logs it.
    """
    if hasattr(connection, "aextra_dejson"):
        await connection.aextra_dejson()


def _lookup_errors() -> tuple[type[Exception], ...]:
    from airflow.sdk.exceptions import AirflowRuntimeError

    try:
        from airflow.sdk.exceptions import AirflowNotFoundException
    except ImportError:  # Airflow 3.1
        from airflow.exceptions import AirflowNotFoundException  # type: ignore[attr-defined]
    return AirflowRuntimeError, AirflowNotFoundException, PermissionError  # the API server denies it
