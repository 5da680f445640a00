"""What a test call says about a connection; the whole way is tested with the hook."""

from typing import Any

import pytest

from airflow_trtc.cloud.calls import Call
from airflow_trtc.cloud.checkup import quick, verdict
from airflow_trtc.cloud.failures import failure
from airflow_trtc.cloud.settings import from_connection

KEYS: dict[str, Any] = {"login": "AKIDx", "password": "secret"}


@pytest.mark.parametrize("given, used", [(60, 5.0), (2, 2.0)])
def test_a_test_call_waits_for_seconds_only(given, used):
    assert quick(from_connection(**KEYS, extra={"timeout_seconds": given})).timeout_seconds == used


@pytest.mark.parametrize("extra", [{}, {"sdk_app_id": 5}])
def test_keys_that_could_not_be_had_are_no_success(extra):
    """Whatever the code: it is the answer to another question than the one about a recording."""
    error = failure(Call("AssumeRole", {}, dict, "read"), "InvalidParameter.RoleNotExist", "no such role")
    works, message = verdict(error, from_connection(**KEYS, extra=extra))
    assert not works
    assert "no such role" in message


@pytest.mark.parametrize(
    "code, with_app, without_app",
    [
        ("ResourceNotFound", True, True),
        ("InvalidParameter.OutOfRange", True, True),
        ("InvalidParameter.SdkAppId", False, True),
        ("AuthFailure.UnauthorizedOperation", False, True),
        ("AuthFailure.SignatureFailure", False, False),
        ("UnsupportedRegion", False, False),
        ("InternalError", False, False),
        ("NewCodeOfTomorrow", False, False),
    ],
)
def test_an_application_that_was_made_up_is_not_blamed(code, with_app, without_app):
    error = failure(Call("DescribeCloudRecording", {}, dict, "read"), code, "words")
    assert verdict(error, from_connection(**KEYS, extra={"sdk_app_id": 5}))[0] is with_app
    assert verdict(error, from_connection(**KEYS))[0] is without_app
