"""Where the keys of a bucket come from."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.operators.storage_keys import storage_params
from airflow_trtc.recording.storage import read_storage

if TYPE_CHECKING:
    from airflow_trtc.emulator import Emulator

COS, S3 = "cos://b?region=r", "s3://b?region=r"
LOG = logging.getLogger("test")


def connect(monkeypatch: pytest.MonkeyPatch, conn_id: str, **fields: Any) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))


def keys(storage: str, conn_id: str | None = None) -> tuple[str, str]:
    bucket = storage_params(read_storage("storage", storage), conn_id, TrtcHook(), LOG)["CloudStorage"]
    return bucket["AccessKey"], bucket["SecretKey"]


@pytest.mark.parametrize("conn_type", ["trtc", "aws", "generic", "anything"])
@pytest.mark.parametrize("storage", [COS, S3])
def test_any_connection_with_login_and_password_serves(
    service: Emulator, monkeypatch: pytest.MonkeyPatch, conn_type: str, storage: str
) -> None:
    connect(monkeypatch, "bucket", conn_type=conn_type, login=" access ", password="secret", extra={"a": 1})
    assert keys(storage, "bucket") == ("access", "secret")


def test_cos_takes_the_permanent_keys_of_the_connection_and_the_log_says_so(
    service: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert keys(COS) == (service.connection["login"], service.connection["password"])
    assert "with the keys of connection 'trtc_default'" in caplog.text


def test_vod_needs_none(service: Emulator) -> None:
    assert storage_params(read_storage("storage", "vod"), None, TrtcHook(), LOG) == {
        "CloudVod": {"TencentVod": {}}
    }


def test_s3_takes_no_keys_of_tencent(service: Emulator) -> None:
    with pytest.raises(TrtcSetupError, match="name it with storage_conn_id"):
        keys(S3)


@pytest.mark.parametrize(
    "fields",
    [
        {"login": "a", "password": "b", "extra": {"token": "t"}},
        {"login": "a", "password": "b", "extra": {"credential_kind": "assume_role", "role_arn": "x"}},
        {"extra": {"credential_kind": "cvm_role"}},
    ],
)
def test_temporary_keys_of_the_connection_are_not_for_buckets(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    connect(monkeypatch, "trtc_default", conn_type="trtc", **fields)
    with pytest.raises(TrtcSetupError, match="are temporary, and a bucket takes permanent ones"):
        keys(COS)


def test_permanent_keys_of_the_environment_are_for_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "trtc_default", conn_type="trtc", extra={"credential_kind": "environment"})
    monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", "id")
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", "key")
    assert keys(COS) == ("id", "key")
    monkeypatch.setenv("TENCENTCLOUD_TOKEN", "token")
    with pytest.raises(TrtcSetupError, match="temporary"):
        keys(COS)


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"login": "a"}, "the id of the key .* as login, and the key itself as password"),
        ({"password": "hidden"}, "as login"),
        ({"login": "a", "password": "hidden", "extra": {"aws_session_token": "hidden"}}, "temporary keys"),
    ],
)
def test_a_connection_without_permanent_keys_is_an_error_that_shows_none(
    service: Emulator, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], words: str
) -> None:
    connect(monkeypatch, "bucket", conn_type="aws", **fields)
    with pytest.raises(TrtcSetupError, match=words) as error:
        keys(COS, "bucket")
    assert "hidden" not in str(error.value)


def test_a_missing_connection_may_be_there_at_the_next_try(service: Emulator) -> None:
    with pytest.raises(TrtcSetupError, match="There is no connection 'nowhere'") as error:
        keys(COS, "nowhere")
    assert error.value.code == "Client.NoConnection"
