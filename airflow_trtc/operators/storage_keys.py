"""Where a bucket's keys come from: an Airflow connection, never the DAG."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_trtc._compat import CONNECTION_ERRORS, says_no_connection
from airflow_trtc.errors import NO_CONNECTION, TrtcSetupError, TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.recording.storage import Storage, StorageKeys

TOKENS = ("token", "session_token", "aws_session_token")


def storage_params(storage: Storage, storage_conn_id: str | None, hook: TrtcHook, log: Any) -> dict[str, Any]:
    """``StorageParams`` as they are sent; they hold secrets.

    :raises TrtcSetupError: there are no permanent keys for the bucket.
    :raises TrtcTransientError: Airflow cannot read the connection.
    """
    if storage.vendor == "vod":
        return dict(storage.params)
    keys = _from_connection(storage_conn_id) if storage_conn_id else _from_hook(storage, hook)
    log.info("The files go to a bucket (%s), with the keys of connection %r", storage.vendor, keys.source)
    return storage.with_keys(keys.access_key, keys.secret_key)


def _from_hook(storage: Storage, hook: TrtcHook) -> StorageKeys:
    name = hook.trtc_conn_id
    if storage.vendor != "cos":
        raise TrtcSetupError(
            "There are no keys for the bucket: save them in an Airflow connection (login and password), and"
            " name it with storage_conn_id."
        )
    keys = hook.permanent_keys()
    if keys is None:
        raise TrtcSetupError(
            f"The keys of connection {name!r} are temporary, and a bucket takes permanent ones, since the"
            " service uploads for as long as it records. Save permanent keys in another Airflow connection"
            " (login and password), and name it with storage_conn_id."
        )
    mask_secret(keys.secret_key)
    return StorageKeys(keys.secret_id, keys.secret_key, name)


def _from_connection(conn_id: str) -> StorageKeys:
    try:
        connection = BaseHook.get_connection(conn_id)
    except CONNECTION_ERRORS as error:
        if says_no_connection(error):
            message = (
                f"There is no connection {conn_id!r}, which storage_conn_id names; create one with the"
                " bucket's keys in login and password."
            )
            raise TrtcSetupError(message, code=NO_CONNECTION) from None
        message = f"Cannot ask Airflow for the connection {conn_id!r}."
        raise TrtcTransientError(message, code="Client.ConnectionUnavailable") from None
    login, password = (connection.login or "").strip(), (connection.password or "").strip()
    if not login or not password:
        raise TrtcSetupError(
            f"Connection {conn_id!r}, which storage_conn_id names, must hold the bucket's keys: the id of the"
            " key (SecretId, access key) as login, and the key itself as password."
        )
    extra = connection.extra_dejson
    if any(extra.get(name) for name in TOKENS):
        raise TrtcSetupError(
            f"Connection {conn_id!r}, which storage_conn_id names, holds temporary keys (with a session"
            " token); the service needs permanent ones."
        )
    return StorageKeys(login, password, conn_id)
