"""Which proxy a request takes."""

import pytest

from airflow_trtc.cloud.sdk import proxy_for
from airflow_trtc.errors import TrtcSetupError

API = "https://trtc.tencentcloudapi.com"


@pytest.mark.parametrize(
    "url, configured, environment, expected",
    [
        (API, None, {}, None),
        (API, None, {"https": "http://p:1"}, "http://p:1"),
        (API, None, {"https": "p:1"}, "http://p:1"),
        (API, None, {"http": "http://p:1"}, None),
        (API, None, {"all": "http://p:1"}, "http://p:1"),
        (API, "http://own:1", {"https": "http://p:1"}, "http://own:1"),
        (API, None, {"https": "http://p:1", "no": ".tencentcloudapi.com"}, None),
        (API, None, {"https": "http://p:1", "no": "*"}, None),
        (API, None, {"https": "http://p:1", "no": "com"}, None),
        (API, None, {"https": "http://p:1", "no": "example.com"}, "http://p:1"),
        ("http://10.0.0.1:8080", None, {"http": "http://p:1", "no": "10.0.0.1"}, None),
        ("http://127.0.0.1:8080", None, {"http": "http://p:1"}, None),
        ("http://127.example.com", None, {"http": "http://p:1"}, "http://p:1"),
        ("http://localhost:8080", None, {"http": "http://p:1"}, None),
        ("http://[::1]:8080", None, {"http": "http://p:1"}, None),
    ],
)
def test_proxy_is_the_configured_one_or_the_environments_but_none_to_this_machine(
    url, configured, environment, expected
):
    assert proxy_for(url, configured, lambda: environment) == expected


@pytest.mark.parametrize(
    "environment, variable",
    [
        ({"all": "socks5://p:1"}, "ALL_PROXY"),
        ({"https": "socks://u:hidden@p:1"}, "HTTPS_PROXY"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named_by_its_variable_unless_it_is_not_needed(environment, variable):
    with pytest.raises(TrtcSetupError, match=variable) as caught:
        proxy_for(API, None, lambda: environment)
    assert "hidden" not in str(caught.value)
    assert proxy_for(API, "http://own:1", lambda: environment) == "http://own:1"
    assert proxy_for(API, None, lambda: {**environment, "no": ".tencentcloudapi.com"}) is None
