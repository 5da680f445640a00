"""Which proxy a request takes."""

import pytest

from airflow_trtc.cloud.sdk import proxy_for

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
