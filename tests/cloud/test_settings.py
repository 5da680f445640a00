"""A connection's plain values become settings, or one clear sentence."""

import pytest

from airflow_trtc.cloud.endpoint import parse_endpoint
from airflow_trtc.cloud.identities import (
    AssumedRole,
    CvmRole,
    EnvironmentKeys,
    OidcRole,
    ProfileKeys,
    StaticKeys,
)
from airflow_trtc.cloud.settings import EXTRA_FIELDS, from_connection
from airflow_trtc.errors import TrtcSetupError


def read(extra=None, **fields):
    return from_connection(**{"login": "AKIDx", "password": "secret-key", "extra": extra, **fields})


@pytest.mark.parametrize(
    "host, port, scheme, expected",
    [
        (None, None, None, ("https", "trtc.tencentcloudapi.com")),
        ("  ", None, "", ("https", "trtc.tencentcloudapi.com")),
        ("trtc.intl.tencentcloudapi.com", None, None, ("https", "trtc.intl.tencentcloudapi.com")),
        (
            "https://trtc.ap-guangzhou.tencentcloudapi.com/",
            None,
            None,
            ("https", "trtc.ap-guangzhou.tencentcloudapi.com"),
        ),
        ("http://127.0.0.1:8765", None, None, ("http", "127.0.0.1:8765")),
        ("http://127.0.0.1:8765/", 1, "https", ("http", "127.0.0.1:8765")),
        ("http://127.0.0.1", 8765, None, ("http", "127.0.0.1:8765")),
        ("127.0.0.1", 8765, "http", ("http", "127.0.0.1:8765")),
        ("localhost:9", None, "http", ("http", "localhost:9")),
        ("http://[::1]:9", None, None, ("http", "[::1]:9")),
    ],
)
def test_endpoint_is_read_from_every_way_to_write_it(host, port, scheme, expected):
    assert parse_endpoint(host, port=port, scheme=scheme) == expected


@pytest.mark.parametrize(
    "host, word",
    [
        ("ftp://example.com", "ftp"),
        ("http://", "host name"),
        ("https://example.com/api", "path"),
        ("https://example.com?x=1", "path"),
        ("example.com:port", "Port"),
        ("example.com:99999", "ort"),
        ("two words", "host name"),
        ("http://user:hidden@example.com", "login"),
        ("a..example.com", "host name"),
        (f"{'a' * 64}.example.com", "host name"),
        ("ex\u00e4mple.com", "host name"),
    ],
)
def test_unusable_endpoint_is_refused_with_the_reason(host, word):
    with pytest.raises(TrtcSetupError, match=word) as caught:
        parse_endpoint(host)
    assert "hidden" not in str(caught.value)


def test_defaults_are_the_public_api_below_its_limit():
    settings = read()
    assert (settings.endpoint, settings.region) == ("https://trtc.tencentcloudapi.com", "ap-guangzhou")
    assert (settings.sdk_app_id, settings.proxy, settings.console_url) == (None,) * 3
    assert (settings.requests_per_second, settings.timeout_seconds) == (19.0, 10.0)
    assert settings.identity == StaticKeys("AKIDx", "secret-key")
    assert settings.warnings == ()


def test_international_endpoint_has_its_own_default_region():
    assert read(host="trtc.intl.tencentcloudapi.com").region == "ap-singapore"
    assert read(host="trtc.ap-singapore.tencentcloudapi.com").region == "ap-singapore"
    assert read({"region": " ap-beijing "}, host="trtc.intl.tencentcloudapi.com").region == "ap-beijing"


def test_numbers_may_be_strings():
    settings = read({"sdk_app_id": " 1400000001 ", "requests_per_second": "7.5", "timeout_seconds": "3"})
    assert (settings.sdk_app_id, settings.requests_per_second, settings.timeout_seconds) == (
        1400000001,
        7.5,
        3.0,
    )


def test_empty_values_count_as_absent():
    assert read(dict.fromkeys(EXTRA_FIELDS, "")) == read(dict.fromkeys(EXTRA_FIELDS)) == read()


@pytest.mark.parametrize(
    "extra",
    [
        {"sdk_app_id": "my app"},
        {"sdk_app_id": -1},
        {"sdk_app_id": 0},
        {"sdk_app_id": True},
        {"sdk_app_id": 1.5},
        {"requests_per_second": 0},
        {"requests_per_second": "fast"},
        {"requests_per_second": "nan"},
        {"requests_per_second": True},
        {"timeout_seconds": 0},
        {"timeout_seconds": 301},
        {"region": ["ap-guangzhou"]},
        {"proxy": "proxy.example:3128"},
        {"proxy": "http://[::1"},
        {"console_url": "https://example.com/{recording}"},
        {"console_url": "https://example.com/{region.real}"},
        {"console_url": "https://example.com/{"},
        {"console_url": "javascript:alert(1)"},
        {"credential_kind": "magic"},
        {"sts_endpoint": "ftp://x", "credential_kind": "assume_role", "role_arn": "r"},
        {"sdk_app_id": 2**63},
        {"sdk_app_id": "1" * 5000},
        {"requests_per_second": 10**400},
        {"region": "ap guangzhou"},
        {"region": "ap-guangzhou\u200b"},
        {"region": "\ud800"},
        {"token": "\ud800"},
        {"console_url": "https://example.com/{sdk_app_id:>1000000000}"},
        {"console_url": "https://example.com/{sdk_app_id!r}"},
        {"console_url": "https://example.com/{{region}}"},
        {"role_duration_seconds": 60, "credential_kind": "assume_role", "role_arn": "r"},
    ],
)
def test_wrong_value_is_refused_by_the_name_of_its_field(extra):
    field = "ftp" if "sts_endpoint" in extra else next(iter(extra))
    with pytest.raises(TrtcSetupError, match=field):
        read(extra)


def test_extra_that_is_no_object_is_refused():
    with pytest.raises(TrtcSetupError, match="JSON object"):
        read([1])


@pytest.mark.parametrize(
    "name, hint",
    [
        ("regoin", "did you mean region?"),
        ("SDK_APP_ID", "did you mean sdk_app_id?"),
        ("zzz", "the extra fields are region,"),
    ],
)
def test_field_that_nobody_reads_is_warned_about(name, hint):
    (warning,) = read({name: "x"}).warnings
    assert repr(name) in warning
    assert hint in warning


def test_secrets_are_hidden_in_repr():
    settings = read(
        {"token": "tok-hidden", "proxy": "http://u:px-hidden@proxy:1"},
        password="pw-hidden",
    )
    assert "hidden" not in repr(settings)
    assert "AKIDx" in repr(settings)


@pytest.mark.parametrize(
    "extra, expected",
    [
        ({"credential_kind": "environment"}, EnvironmentKeys()),
        ({"credential_kind": "profile"}, ProfileKeys("default", None)),
        ({"credential_kind": "profile", "profile_name": "p", "profile_file": "/f"}, ProfileKeys("p", "/f")),
        ({"credential_kind": "cvm_role", "role_name": "r"}, CvmRole("r")),
        (
            {"credential_kind": "oidc", "oidc_provider_id": "i", "oidc_token_file": "/t", "role_arn": "a"},
            OidcRole(oidc_provider_id="i", oidc_token_file="/t", role_arn="a"),
        ),
    ],
)
def test_identity_without_a_key_pair(extra, expected):
    assert read(extra, login=None, password=None).identity == expected


def test_session_token_belongs_to_static_keys():
    assert read({"token": "t"}).identity == StaticKeys("AKIDx", "secret-key", "t")


def test_assumed_role_is_asked_for_with_the_key_pair():
    extra = {
        "credential_kind": "assume_role",
        "role_arn": "arn",
        "role_session_name": "s",
        "role_duration_seconds": "900",
        "sts_endpoint": "http://127.0.0.1:1",
    }
    expected = AssumedRole(
        "AKIDx",
        "secret-key",
        role_arn="arn",
        role_session_name="s",
        role_duration_seconds=900,
        sts_endpoint="http://127.0.0.1:1",
    )
    assert read(extra).identity == expected


@pytest.mark.parametrize(
    "fields, extra, word",
    [
        ({"login": None, "password": None}, {}, "no SecretId"),
        ({"login": None}, {}, "login is empty"),
        ({}, {"role_arn": "a"}, "role_arn means nothing with credential_kind 'static'"),
        (
            {"login": None, "password": None},
            {"credential_kind": "cvm_role", "token": "t"},
            "token means nothing",
        ),
        ({"password": " "}, {}, "password is empty"),
        ({"login": "AKID\u200bx"}, {}, "SecretId holds"),
        ({"password": "sec ret"}, {}, "SecretKey holds"),
        ({}, {"token": "a\nb"}, "token holds"),
        ({}, {"credential_kind": "environment"}, "remove one"),
        ({}, {"credential_kind": "cvm_role"}, "remove one"),
        ({}, {"credential_kind": "assume_role"}, "role_arn is missing"),
        ({"login": None}, {"credential_kind": "assume_role", "role_arn": "a"}, "login is empty"),
    ],
)
def test_no_identity_stands_in_for_another(fields, extra, word):
    with pytest.raises(TrtcSetupError, match=word):
        read(extra, **fields)


def test_what_the_receiver_of_callbacks_reads_is_no_mistake_and_not_kept() -> None:
    settings = read({"callback_secret": "hunter2", "callback_unsigned": True})
    assert not settings.warnings
    assert "hunter2" not in repr(settings)
    assert settings == read()


@pytest.mark.parametrize(
    "given, is_on",
    [(None, False), ("", False), (True, True), ("true", True), ("Yes", True), (1, True), ("0", False)],
)
def test_advanced_permission_control_is_a_switch(given, is_on):
    settings = read({"advanced_permission_control": given})
    assert settings.advanced_permission_control is is_on
    assert settings.account == read().account


@pytest.mark.parametrize("wrong", ["maybe", 2, [], 1.5])
def test_a_switch_that_is_neither_on_nor_off_is_refused(wrong):
    with pytest.raises(TrtcSetupError, match="advanced_permission_control must be true or false"):
        read({"advanced_permission_control": wrong})
