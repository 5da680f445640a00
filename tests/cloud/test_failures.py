"""Whatever a call raises becomes one of our errors: a row for every kind of trouble."""

import asyncio
import http.client
import json
import pickle
import socket
import ssl
import traceback
from typing import Any

import httpx
import pytest
import requests
import urllib3.connection
import urllib3.exceptions
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from airflow_trtc.cloud.actions import effect_of
from airflow_trtc.cloud.calls import Call
from airflow_trtc.cloud.codes import ADVICE
from airflow_trtc.cloud.failures import BadStatus, classify, failure, translated, unwrap, value_of
from airflow_trtc.errors import (
    TrtcError,
    TrtcFailedError,
    TrtcSetupError,
    TrtcThrottledError,
    TrtcTransientError,
)
from airflow_trtc.jobs.answers import OTHER_JOB, UnreadableAnswer


def call(action, job_id=None):
    return Call(action, {}, dict, effect_of(action), job_id)


DESCRIBE, CREATE = call("DescribeCloudRecording", "rec"), call("CreateCloudRecording")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["Response", "Error", "Code"]), inner),
    max_leaves=8,
)

CODES = {
    TrtcThrottledError: """RequestLimitExceeded RequestLimitExceeded.IPLimitExceeded
        RequestLimitExceeded.UinLimitExceeded RequestLimitExceeded.GlobalRegionUinLimitExceeded
        OperationDenied.FreqOverLimit FailedOperation.RestrictedFrequency""",
    TrtcTransientError: """InternalError InternalError.CRInternalError InternalError.DBError
        InternalError.HttpParaseFalied ServiceUnavailable ResourceUnavailable
        FailedOperation.DbOperationFailed""",
    TrtcSetupError: """AuthFailure AuthFailure.InvalidAuthorization AuthFailure.InvalidSecretId
        AuthFailure.MFAFailure AuthFailure.SecretIdNotFound AuthFailure.SignatureExpire
        AuthFailure.SignatureFailure AuthFailure.TokenFailure AuthFailure.UnauthorizedOperation
        AuthFailure.UnRealNameAuthenticated AuthFailure.UnsupportedOperation UnauthorizedOperation
        UnauthorizedOperation.SdkAppId InvalidParameter InvalidParameter.OutOfRange InvalidParameter.SdkAppId
        InvalidParameterValue InvalidParameterValue.RoomId MissingParameter MissingParameter.TaskId
        UnknownParameter InvalidRequest RequestSizeLimitExceeded UnsupportedOperation UnsupportedRegion
        UnsupportedProtocol InvalidAction ActionOffline NoSuchVersion NoSuchProduct IpInBlacklist
        IpNotInWhitelist FailedOperation.SdkAppIdNotUnderAppId FailedOperation.SdkAppIdNotExist
        FailedOperation.NotAbility FailedOperation.CRUnsupportMethod""",
    TrtcFailedError: """ResourceNotFound FailedOperation FailedOperation.RestrictedConcurrency
        FailedOperation.TaskNotExist FailedOperation.TaskFinished FailedOperation.TaskExist LimitExceeded
        LimitExceeded.ConcurrencyLimit ResourceInsufficient ResourceInsufficient.RequestRejection
        ResourceInUse ResponseSizeLimitExceeded OperationDenied
        NewCodeOfTomorrow InternalErrorOfAnotherKind""",
}


@pytest.mark.parametrize(
    "kind, code", [(kind, code) for kind, codes in CODES.items() for code in codes.split()]
)
def test_every_known_code_and_an_unknown_one_has_its_class(kind, code):
    error = TencentCloudSDKException(code, "some words", "req-1")
    found = classify(error, DESCRIBE)
    assert type(found) is kind
    assert (found.code, found.message, found.request_id) == (code, "some words", "req-1")
    assert (found.action, found.job_id) == ("DescribeCloudRecording", "rec")


@pytest.mark.parametrize(
    "code", ["AuthFailure.SignatureExpire", "AuthFailure.SecretIdNotFound", "UnsupportedRegion"]
)
def test_set_up_errors_say_what_to_do_next(code):
    found = failure(DESCRIBE, code, "x")
    assert found.advice == ADVICE[code]
    assert found.advice in str(found)
    assert pickle.loads(pickle.dumps(found)).advice == found.advice


def test_a_wrong_clock_is_called_a_clock():
    assert "clock" in str(failure(DESCRIBE, "AuthFailure.SignatureExpire", "x"))


def test_advice_for_a_family_serves_its_members():
    assert failure(DESCRIBE, "UnsupportedRegion.Later", "x").advice == ADVICE["UnsupportedRegion"]
    assert failure(DESCRIBE, "ResourceNotFound", "x").advice == ""


def caused(outer, *inner):
    """Raise the errors within each other, innermost first, as network libraries do."""
    try:
        if inner:
            raise caused(*inner)
        raise outer
    except BaseException as error:
        if error is outer:
            return outer
        try:
            raise outer
        except BaseException as chained:
            return chained


def sdk(code, *inner, message="native text"):
    return caused(TencentCloudSDKException(code, message), *inner)


POOL, LINE = urllib3.HTTPConnectionPool("h"), urllib3.connection.HTTPConnection("h")
REFUSED = urllib3.exceptions.MaxRetryError(POOL, "/", urllib3.exceptions.NewConnectionError(LINE, "x"))
UNRESOLVED = urllib3.exceptions.MaxRetryError(
    POOL, "/", urllib3.exceptions.NameResolutionError("h", LINE, socket.gaierror(-2, "no name"))
)
CERTIFICATE = requests.exceptions.SSLError(
    urllib3.exceptions.MaxRetryError(
        POOL, "/", urllib3.exceptions.SSLError(ssl.SSLCertVerificationError(1, "bad"))
    )
)
NETWORK = [
    # the synchronous client: everything while sending is ClientNetworkError, later trouble escapes as it is
    (sdk("ClientNetworkError", requests.ConnectionError(REFUSED)), "Client.Unreachable", False),
    (sdk("ClientNetworkError", requests.ConnectionError(UNRESOLVED)), "Client.Unreachable", False),
    (sdk("ClientNetworkError", requests.ConnectTimeout("x")), "Client.Unreachable", False),
    (sdk("ClientNetworkError", requests.ReadTimeout("x")), "Client.Timeout", True),
    (sdk("ClientNetworkError", requests.exceptions.ProxyError("x")), "Client.Proxy", False),
    (sdk("ClientNetworkError", requests.ConnectionError("aborted")), "Client.ConnectionLost", True),
    (sdk("ClientNetworkError", requests.exceptions.SSLError("odd")), "Client.ConnectionLost", True),
    (sdk("ClientNetworkError"), "Client.ConnectionLost", True),
    (requests.exceptions.ChunkedEncodingError("cut"), "Client.ConnectionLost", True),
    (requests.ConnectionError(urllib3.exceptions.ReadTimeoutError(POOL, "/", "x")), "Client.Timeout", True),
    (sdk("ServerNetworkError", message=b"<html>\xff"), "ServerNetworkError", True),
    (sdk("ConnectionError"), "ConnectionError", True),
    (sdk("ChunkedEncodingError"), "ChunkedEncodingError", True),
    (sdk("JSONDecodeError"), "JSONDecodeError", True),
    (sdk("KeyError"), "KeyError", True),
    (sdk("AttributeError"), "AttributeError", True),
    (sdk("ContentDecodingError"), "ContentDecodingError", True),
    (sdk("UnicodeDecodeError"), "UnicodeDecodeError", True),
    (sdk("TypeError"), "TypeError", True),
    (sdk("ValueError"), "ValueError", True),
    # the asynchronous client wraps nothing
    (httpx.ConnectError("x"), "Client.Unreachable", False),
    (caused(httpx.ConnectError("x"), socket.gaierror(-2, "no name")), "Client.Unreachable", False),
    (httpx.ConnectTimeout(""), "Client.Unreachable", False),
    (httpx.PoolTimeout(""), "Client.Unreachable", False),
    (httpx.ProxyError("x"), "Client.Proxy", False),
    (httpx.ReadTimeout(""), "Client.Timeout", True),
    (httpx.WriteTimeout(""), "Client.Timeout", True),
    (asyncio.TimeoutError(), "Client.Timeout", True),
    (httpx.ReadError(""), "Client.ConnectionLost", True),
    (httpx.RemoteProtocolError("x"), "Client.ConnectionLost", True),
    (json.JSONDecodeError("x", "{", 0), "Client.BrokenAnswer", True),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), "Client.BrokenAnswer", True),
    (KeyError("Content-Type"), "Client.BrokenAnswer", True),
    (TypeError("x"), "Client.BrokenAnswer", True),
    (ConnectionResetError(104, "x"), "Client.ConnectionLost", True),
    (http.client.RemoteDisconnected("x"), "Client.ConnectionLost", True),
    (http.client.BadStatusLine("x"), "Client.ConnectionLost", True),
    # our own look at answers
    (BadStatus(502), "Client.Http502", True),
    (BadStatus(500), "Client.Http500", True),
    (BadStatus(408), "Client.Http408", True),
    (sdk("ClientNetworkError", BadStatus(504)), "Client.Http504", True),
]


@pytest.mark.parametrize(
    "error, code, unknown", NETWORK, ids=[f"{code}-{type(e).__name__}-{e!s:.30}" for e, code, _ in NETWORK]
)
def test_trouble_on_the_way_is_transient_and_tells_whether_the_call_may_have_been_carried_out(
    error, code, unknown
):
    created = classify(error, CREATE, endpoint="https://host")
    read = classify(error, DESCRIBE, endpoint="https://host")
    assert type(created) is type(read) is TrtcTransientError
    assert created.code == read.code == code
    assert (created.outcome_unknown, read.outcome_unknown) == (unknown, False)
    assert "native" not in str(created)


def test_an_unknown_outcome_follows_from_internal_errors_of_the_service_too():
    for call, unknown in ((CREATE, True), (DESCRIBE, False)):
        found = failure(call, "InternalError.CRInternalError", "x")
        assert isinstance(found, TrtcTransientError)
        assert found.outcome_unknown is unknown


@pytest.mark.parametrize(
    "error, kind, code",
    [
        (sdk("ClientNetworkError", CERTIFICATE), TrtcSetupError, "Client.Certificate"),
        (
            caused(httpx.ConnectError("x"), ssl.SSLCertVerificationError(1, "x")),
            TrtcSetupError,
            "Client.Certificate",
        ),
        (BadStatus(429), TrtcThrottledError, "Client.Http429"),
        (BadStatus(407), TrtcSetupError, "Client.Http407"),
        (BadStatus(403), TrtcSetupError, "Client.Http403"),
        (BadStatus(409), TrtcSetupError, "Client.Http409"),
        (BadStatus(430), TrtcSetupError, "Client.Http430"),
        (BadStatus(499), TrtcSetupError, "Client.Http499"),
        (BadStatus(302), TrtcSetupError, "Client.Http302"),
        (sdk("InvalidCredential"), TrtcSetupError, "InvalidCredential"),
        (sdk("ClientError"), TrtcSetupError, "ClientError"),
        (sdk("ClientParamsError"), TrtcSetupError, "ClientParamsError"),
        (sdk("ClientSideError"), TrtcSetupError, "ClientSideError"),
        (sdk("ClientError.MetadataError"), TrtcSetupError, "ClientError.MetadataError"),
        (UnicodeEncodeError("ascii", "secret text\u200b", 0, 1, "x"), TrtcSetupError, "Client.Unsendable"),
        (requests.exceptions.InvalidHeader("secret text"), TrtcSetupError, "Client.Unsendable"),
        (httpx.InvalidURL("x"), TrtcSetupError, "Client.Unsendable"),
        (TencentCloudSDKException(None, None), TrtcFailedError, "Client.NoCode"),
        (RuntimeError("secret text"), TrtcFailedError, "Client.Unexpected"),
    ],
)
def test_what_no_repetition_helps_against(error, kind, code):
    found = classify(error, DESCRIBE, endpoint="https://host")
    assert (type(found), found.code) == (kind, code)
    assert "secret text" not in str(found)


def test_our_own_error_stays_itself():
    error = TrtcFailedError("x")
    assert classify(error, DESCRIBE) is error


def test_an_error_that_the_caller_was_handling_says_nothing_about_the_call():
    """Else a read timeout inside ``except httpx.ConnectError`` would look as if nothing had been sent."""
    caught = None
    try:
        raise httpx.ConnectError("of somebody else")
    except httpx.ConnectError:
        try:
            with translated(CREATE, "https://host"):
                raise httpx.ReadTimeout("")
        except TrtcTransientError as error:
            caught = error
    assert (caught.code, caught.outcome_unknown) == ("Client.Timeout", True)


def test_a_region_that_is_refused_as_a_value_has_the_advice_for_regions():
    found = failure(DESCRIBE, "InvalidParameterValue", "The value of X-TC-Region is wrong.")
    assert found.advice == ADVICE["UnsupportedRegion"]
    assert failure(DESCRIBE, "InvalidParameterValue", "The value of TaskId is wrong.").advice == ""
    assert failure(DESCRIBE, "FailedOperation", "X-TC-Region").advice == ""


def test_what_went_wrong_is_not_shown_with_what_caused_it():
    """Texts of network errors may hold a token or the password of a proxy."""
    with pytest.raises(TrtcTransientError) as caught, translated(DESCRIBE, "https://host"):
        raise httpx.ConnectError("u:hidden@proxy")
    assert "hidden" not in "".join(traceback.format_exception(caught.value))


def test_network_messages_name_the_endpoint_and_no_proxy_password():
    error = sdk(
        "ClientNetworkError",
        requests.exceptions.ProxyError("http://u:hidden@proxy"),
        message="u:hidden@proxy",
    )
    found = classify(error, DESCRIBE, endpoint="https://host:1")
    assert "https://host:1" in found.message
    assert "hidden" not in str(found)


@given(JSON)
def test_any_answer_is_unwrapped_or_refused(answer):
    found: dict[str, Any] | TrtcError
    try:
        found = unwrap(CREATE, answer)
    except TrtcError as error:
        found = error
    if isinstance(found, TrtcError):
        assert found.code
        assert isinstance(found.message, str)
    else:
        assert answer["Response"] is found
        assert found.get("Error") is None


def test_an_error_in_the_answer_is_raised_even_without_a_request_id():
    answer = {"Response": {"Error": {"Code": "ResourceNotFound", "Message": "gone"}}}
    with pytest.raises(TrtcFailedError, match="gone") as caught:
        unwrap(DESCRIBE, answer)
    assert (caught.value.code, caught.value.request_id, caught.value.job_id) == (
        "ResourceNotFound",
        None,
        "rec",
    )


def test_long_and_odd_messages_become_one_short_line():
    assert failure(DESCRIBE, "X", b"a\n\xff b").message == "a \ufffd b"
    assert failure(DESCRIBE, "X", {"a": 1}).message == '{"a": 1}'
    assert len(failure(DESCRIBE, "X", "x" * 9999).message) == 500
    assert failure(DESCRIBE, "X", " \n ").message == "The service gives no reason."


# What to do, as a word or two that no other advice has.
ADVISED = {
    "RequestLimitExceeded.IPLimitExceeded": "requests_per_second",
    "AuthFailure.SecretIdNotFound": "misspelt",
    "AuthFailure.InvalidSecretId": "not the id of an API key",
    "AuthFailure.SignatureFailure": "SecretKey (password)",
    "AuthFailure.SignatureExpire": "Set the clock",
    "AuthFailure.TokenFailure": "temporary keys",
    "AuthFailure.MFAFailure": "second factor",
    "AuthFailure.UnauthorizedOperation": "access management",
    "AuthFailure.UnRealNameAuthenticated": "identity verification",
    "AuthFailure.InvalidAuthorization": "SecretId, SecretKey and their permissions",
    "UnauthorizedOperation": "access management",
    "UnauthorizedOperation.SdkAppId": "Check sdk_app_id",
    "FailedOperation.SdkAppIdNotUnderAppId": "Check sdk_app_id",
    "FailedOperation.SdkAppIdNotExist": "Check sdk_app_id",
    "InvalidParameter.SdkAppId": "Check sdk_app_id",
    "InvalidParameter.SdkAppid": "Check sdk_app_id",
    "UnsupportedRegion": "region",
    "IpNotInWhitelist": "list of allowed",
    "IpInBlacklist": "list of denied",
    "FailedOperation.NotAbility": "Enable this function",
    "UnsupportedOperation": "package",
    "FailedOperation.CRUnsupportMethod": "recording is enabled",
    "InvalidAction": "name of the action",
    "NoSuchProduct": "not the one of TRTC",
    "MissingParameter.TaskId": "the message names",
}


@pytest.mark.parametrize("code", ADVISED)
def test_each_code_that_can_be_mended_says_how(code):
    assert ADVISED[code] in failure(DESCRIBE, code, "x").advice


@pytest.mark.parametrize(
    "error, advice",
    [
        (caused(httpx.ConnectError("x"), ssl.SSLCertVerificationError(1, "x")), "SSL_CERT_FILE"),
        (httpx.ProxyError("x"), "HTTPS_PROXY"),
        (httpx.InvalidURL("x"), "odd characters"),
        (BadStatus(407), "name and password"),
        (httpx.ConnectError("x"), "firewall"),
    ],
)
def test_trouble_on_the_way_that_can_be_mended_says_how(error, advice):
    assert advice in classify(error, DESCRIBE).advice


@pytest.mark.parametrize(
    "error, message",
    [
        (httpx.ProxyError("x"), "The proxy on the way to {} fails."),
        (
            caused(httpx.ConnectError("x"), socket.gaierror(-2, "x")),
            "The host name of {} cannot be resolved.",
        ),
        (
            urllib3.exceptions.NameResolutionError("h", LINE, socket.gaierror(-2, "x")),
            "The host name of {} cannot be resolved.",
        ),
        (httpx.ConnectError("x"), "{} cannot be reached."),
        (httpx.ReadTimeout(""), "{} did not answer in time."),
        (httpx.ReadError(""), "The connection to {} broke off."),
        (
            caused(httpx.ConnectError("x"), ssl.SSLCertVerificationError(1, "x")),
            "{} shows a certificate that cannot be trusted.",
        ),
        (BadStatus(503), "{} answered with HTTP status 503."),
    ],
)
def test_what_happened_on_the_way_and_where(error, message):
    assert classify(error, DESCRIBE, endpoint="https://host").message == message.format("https://host")
    nowhere = classify(error, DESCRIBE).message
    assert nowhere.lower() == message.format("the endpoint").lower()


@pytest.mark.parametrize(
    "code, request_id, message",
    [
        ("InvalidCredential", None, "native text"),  # the SDK's own words about keys
        ("InternalError", "r", "native text"),
        ("InternalError.CRInternalError", None, "native text"),
        ("ResourceNotFound", None, "native text"),
        ("KeyError", None, "The answer cannot be read or was cut short (KeyError)."),
        ("ServerNetworkError", "r", "The endpoint answered with an HTTP error."),
        (None, None, "native text"),
    ],
)
def test_words_of_the_service_stay_and_those_of_python_do_not(code, request_id, message):
    assert classify(TencentCloudSDKException(code, "native text", request_id), DESCRIBE).message == message


def test_errors_that_came_from_one_another_are_read_once():
    one, other = httpx.ReadError("x"), httpx.ReadTimeout("y")
    one.__cause__, other.__cause__ = other, one
    assert classify(one, DESCRIBE).code == "Client.Timeout"


@pytest.mark.parametrize(
    "error, code",
    [
        (requests.exceptions.ProxyError(urllib3.exceptions.ProxyError("x", OSError("y"))), "Client.Proxy"),
        (urllib3.exceptions.NameResolutionError("h", LINE, socket.gaierror(-2, "x")), "Client.Unreachable"),
        (urllib3.exceptions.NewConnectionError(LINE, "x"), "Client.Unreachable"),
        (urllib3.exceptions.ConnectTimeoutError("x"), "Client.Unreachable"),
        (requests.ConnectTimeout("x"), "Client.Unreachable"),
        (socket.gaierror(-2, "x"), "Client.Unreachable"),
        (requests.ReadTimeout("x"), "Client.Timeout"),
        (urllib3.exceptions.ReadTimeoutError(POOL, "/", "x"), "Client.Timeout"),
        (TimeoutError("x"), "Client.Timeout"),
        (urllib3.exceptions.ProtocolError("x"), "Client.ConnectionLost"),
        (EOFError(), "Client.ConnectionLost"),
        (http.client.IncompleteRead(b""), "Client.ConnectionLost"),
        (httpx.UnsupportedProtocol("x"), "Client.Unsendable"),
        (requests.exceptions.InvalidURL("x"), "Client.Unsendable"),
        (urllib3.exceptions.LocationParseError("x"), "Client.Unsendable"),
        (IndexError("x"), "Client.BrokenAnswer"),
        (AttributeError("x"), "Client.BrokenAnswer"),
        (ValueError("x"), "Client.BrokenAnswer"),
    ],
)
def test_each_library_has_names_of_its_own_for_the_same_trouble(error, code):
    found = classify(error, CREATE)
    assert found.code == code
    if isinstance(found, TrtcTransientError):
        assert found.outcome_unknown is (code not in ("Client.Proxy", "Client.Unreachable"))


def test_a_proxy_that_fails_after_the_connection_may_have_sent_the_call_on():
    found = classify(urllib3.exceptions.ProxyError("x", OSError("y")), CREATE)
    assert isinstance(found, TrtcTransientError)
    assert (found.code, found.outcome_unknown) == ("Client.Proxy", True)


def test_our_own_error_leaves_a_call_as_it_is():
    error = TrtcThrottledError("x")
    with pytest.raises(TrtcThrottledError) as caught, translated(DESCRIBE, "https://host"):
        raise error
    assert caught.value is error


def test_an_answer_is_read_as_its_call_wants_it():
    assert value_of(Call("DescribeX", {}, len, "read", "rec"), {"Response": {"a": 1, "b": 2}}) == 2


@pytest.mark.parametrize("effect, unknown", [("read", False), ("create", True)])
def test_an_answer_of_no_use_is_transient_and_can_be_reported_to_the_vendor(effect, unknown):
    def read(response):
        raise UnreadableAnswer("The answer is about another job.", OTHER_JOB)

    with pytest.raises(TrtcTransientError, match="about another job") as caught:
        value_of(Call("DescribeX", {}, read, effect, "rec"), {"Response": {"RequestId": "r-1"}})
    error = caught.value
    assert (error.code, error.request_id, error.job_id) == (OTHER_JOB, "r-1", "rec")
    assert error.outcome_unknown is unknown


@pytest.mark.parametrize(
    "answer, code, request_id, words",
    [
        ([], "Client.BrokenAnswer", None, "no Response"),
        ({"Response": 5}, "Client.BrokenAnswer", None, "no Response"),
        ({"Response": {"Error": "x", "RequestId": "r"}}, "Client.BrokenAnswer", "r", "Error cannot be read"),
        (
            {"Response": {"Error": {"Code": "ResourceNotFound", "Message": "m"}, "RequestId": "r"}},
            "ResourceNotFound",
            "r",
            "m",
        ),
    ],
)
def test_an_answer_that_refuses_or_has_another_shape(answer, code, request_id, words):
    with pytest.raises(TrtcError, match=words) as caught:
        unwrap(DESCRIBE, answer)
    assert (caught.value.code, caught.value.request_id) == (code, request_id)
