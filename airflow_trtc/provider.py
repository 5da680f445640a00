"""What Airflow may load from this package, as plain strings, and the form of its connection type."""

from __future__ import annotations

from typing import Any

INTEGRATION = "Tencent RTC"


def _field(label: str, description: str, kind: str = "string", **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **schema}}


CONNECTION_TYPE: dict[str, Any] = {
    "connection-type": "trtc",
    "hook-class-name": "airflow_trtc.hooks.TrtcHook",
    "hook-name": "Tencent RTC",
    "ui-field-behaviour": {
        "hidden-fields": ["schema", "port"],
        "relabeling": {"login": "SecretId", "password": "SecretKey", "host": "API endpoint"},
        "placeholders": {
            "host": "trtc.tencentcloudapi.com (default), trtc.intl.tencentcloudapi.com",
            "login": "AKID…",
        },
    },
    "conn-fields": {
        "sdk_app_id": _field(
            "SdkAppId", "Number of the TRTC application, e.g. 1400000001.", "integer", minimum=1
        ),
        "region": _field(
            "Region",
            "Region of the API calls. Default ap-guangzhou; with the international endpoint ap-singapore.",
        ),
        "credential_kind": _field(
            "Kind of credentials",
            "Where the keys come from. static: SecretId and SecretKey above; environment; profile: the"
            " credentials file; cvm_role: the machine's role; assume_role; oidc.",
            enum=["static", "environment", "profile", "cvm_role", "assume_role", "oidc"],
            default="static",
        ),
        "token": _field("Session token", "Only for temporary keys.", format="password"),
        "role_name": _field("CVM role", "cvm_role: empty for the role bound to the virtual machine."),
        "role_arn": _field(
            "Role ARN", "assume_role, oidc: e.g. qcs::cam::uin/100000000001:roleName/airflow."
        ),
        "role_session_name": _field(
            "Role session name", "assume_role, oidc: shown in audits. Default airflow."
        ),
        "role_duration_seconds": _field(
            "Role duration (s)",
            "assume_role, oidc: how long one generation of keys lives. Default 7200.",
            "integer",
            minimum=900,
            maximum=43200,
        ),
        "sts_endpoint": _field("STS endpoint", "assume_role, oidc. Default sts.tencentcloudapi.com."),
        "oidc_provider_id": _field("OIDC provider", "oidc: empty for what TKE puts into the environment."),
        "oidc_token_file": _field("OIDC token file", "oidc: empty for what TKE puts into the environment."),
        "profile_name": _field("Profile", "profile: section of the credentials file. Default default."),
        "profile_file": _field("Profile file", "profile: default ~/.tencentcloud/credentials."),
        "requests_per_second": _field(
            "Requests per second",
            "At most, by one process; it adapts to what the service lets through. Default 19 of the 20.",
            "number",
        ),
        "timeout_seconds": _field(
            "Timeout (s)", "For connecting and for each wait for data. Default 10.", "number"
        ),
        "proxy": _field(
            "Proxy", "http://[name:password@]host:port. Empty: HTTPS_PROXY and NO_PROXY.", format="password"
        ),
        "console_url": _field(
            "Page of a recording",
            "Address with {sdk_app_id}, {recording_id} and {region}; shown as a button at the task.",
        ),
        "callback_secret": _field(
            "Callback key",
            "Key of the callbacks, as in the console. Two, separated by a comma, while you change it.",
            format="password",
        ),
        "callback_unsigned": _field(
            "Accept unsigned callbacks",
            "Only when no key can be set: anybody who knows the address can then send callbacks.",
            "boolean",
            default=False,
        ),
    },
}


CONFIG: dict[str, Any] = {
    "trtc": {
        "description": "Callbacks of Tencent RTC and the journal of recordings.",
        "options": {
            "journal_days": {
                "description": (
                    "After how many days without a change the API server deletes rows of the journal: what"
                    " is known of recordings, and callbacks as they were received. At least 31."
                ),
                "version_added": None,
                "type": "integer",
                "example": "90",
                "default": "60",
            },
            "gc_tuning": {
                "description": (
                    "Whether a triggerer in which hundreds of jobs are waited for tunes Python's garbage"
                    " collector, which would stop its event loop for a second or so."
                ),
                "version_added": None,
                "type": "boolean",
                "example": None,
                "default": "True",
            },
        },
    },
}


def get_provider_info() -> dict[str, Any]:
    """Describe this provider to Airflow."""
    return {
        "package-name": "airflow-trtc",
        "name": INTEGRATION,
        "description": "Tencent RTC (TRTC): wait for on-cloud recordings and hand their files on.",
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://trtc.io/document/34260",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": INTEGRATION, "python-modules": ["airflow_trtc.hooks"]}],
        "sensors": [{"integration-name": INTEGRATION, "python-modules": ["airflow_trtc.sensors"]}],
        "triggers": [{"integration-name": INTEGRATION, "python-modules": ["airflow_trtc.triggers"]}],
        "connection-types": [CONNECTION_TYPE],
        "asset-uris": [
            {
                "schemes": ["trtc"],
                "handler": "airflow_trtc.assets.sanitize_uri",
                "factory": "airflow_trtc.assets.create_asset",
            }
        ],
        "config": CONFIG,
        "extra-links": ["airflow_trtc.links.TrtcConsoleLink"],
    }
