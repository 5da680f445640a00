"""The official worked example of Signature Method v3, and what may not pass."""

from __future__ import annotations

import hashlib

import pytest

from airflow_trtc.emulator import signature
from airflow_trtc.emulator.codes import ApiError

KEY = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"
ID = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE"
TIMESTAMP = 1551113065
PAYLOAD = rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
HEADERS = {
    "content-type": "application/json; charset=utf-8",
    "host": "cvm.tencentcloudapi.com",
    "x-tc-action": "DescribeInstances",
}
SIGNATURE = "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"
WITH_ACTION = "644be983de9a8a3f00db8eadaba61467c3b429e2215758ba897b738ca469fd26"


def header(secret_id=ID, date="2019-02-25", signed="content-type;host", value=SIGNATURE, comma=", "):
    return (
        f"TC3-HMAC-SHA256 Credential={secret_id}/{date}/cvm/tc3_request{comma}"
        f"SignedHeaders={signed}{comma}Signature={value}"
    )


def check(
    authorization, *, key=KEY, headers=HEADERS, body=PAYLOAD, timestamp=TIMESTAMP, method="POST", query=""
):
    signature.check_signature(
        signature.parse_authorization(authorization),
        signature.Request(method, query, headers, body),
        secret_key=key,
        timestamp=timestamp,
    )


def test_hashes_of_the_official_example():
    canonical = signature.canonical_request("POST", "", HEADERS, ("content-type", "host"), PAYLOAD)
    assert hashlib.sha256(PAYLOAD).hexdigest() == canonical.splitlines()[-1]
    assert canonical.endswith("35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064")
    assert (
        hashlib.sha256(canonical.encode()).hexdigest()
        == "5ffe6a04c0664d6b969fab9a13bdab201d63ee709638e2749d62a09ca18d7031"
    )


@pytest.mark.parametrize(
    "authorization",
    [
        header(),
        header(comma=","),
        header(signed="content-type;host;x-tc-action", value=WITH_ACTION),
    ],
)
def test_right_signatures_pass(authorization):
    check(authorization)


@pytest.mark.parametrize(
    "authorization, changes",
    [
        (header(), {"key": KEY + "x"}),
        (header(), {"body": PAYLOAD + b" "}),
        (header(), {"timestamp": TIMESTAMP + 1}),
        (header(), {"headers": {**HEADERS, "content-type": "application/json"}}),
        (header(), {"headers": {**HEADERS, "host": "cvm.tencentcloudapi.com:80"}}),
        (header(), {"method": "GET"}),
        (header(date="2019-02-26"), {}),
        (header(value="0" * 64), {}),
        (header(signed="content-type;host;x-tc-action"), {}),
        (header(signed="content-type;host;x-tc-other"), {}),
    ],
)
def test_anything_changed_fails(authorization, changes):
    with pytest.raises(ApiError) as caught:
        check(authorization, **changes)
    assert caught.value.code == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bearer x",
        header().replace("TC3-HMAC-SHA256", "TC3-HMAC-SHA1"),
        header(date="20190225"),
        header(signed="host"),
        header(signed="content-type"),
        header(signed="host;content-type"),
        header(signed="Content-Type;Host"),
        header(value="zz"),
        header().replace("/tc3_request", ""),
    ],
)
def test_malformed_headers_are_invalid(text):
    with pytest.raises(ApiError) as caught:
        signature.parse_authorization(text)
    assert caught.value.code == "AuthFailure.InvalidAuthorization"


@pytest.mark.parametrize("age, passes", [(0, True), (300, True), (301, False), (-300, True), (-301, False)])
def test_five_minutes_either_way(age, passes):
    if passes:
        signature.check_age(TIMESTAMP, TIMESTAMP + age)
        return
    with pytest.raises(ApiError) as caught:
        signature.check_age(TIMESTAMP, TIMESTAMP + age)
    assert caught.value.code == "AuthFailure.SignatureExpire"


def test_the_key_must_be_of_the_timestamps_day():
    canonical = signature.canonical_request("POST", "", HEADERS, ("content-type", "host"), PAYLOAD)
    text = signature.string_to_sign(TIMESTAMP, "cvm", canonical)
    with pytest.raises(ApiError):
        check(header(date="2019-02-26", value=signature.sign(KEY, "2019-02-26", "cvm", text)))


def test_a_query_counts_for_get_and_the_body_for_post():
    def signed(method, query, payload):
        canonical = signature.canonical_request(method, query, HEADERS, ("content-type", "host"), payload)
        return header(
            value=signature.sign(
                KEY, "2019-02-25", "cvm", signature.string_to_sign(TIMESTAMP, "cvm", canonical)
            )
        )

    check(signed("GET", "a=1", b""), method="GET", query="a=1", body=b"ignored")
    check(signed("POST", "", b"body"), method="POST", query="ignored=1", body=b"body")


def test_header_values_are_trimmed_and_lowered():
    headers = {**HEADERS, "host": " CVM.tencentcloudapi.com "}
    check(header(), headers=headers)
