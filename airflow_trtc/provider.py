"""What Airflow may load from this package, as plain strings, and the form of its connection type."""

from __future__ import annotations

from typing import Any

INTEGRATION = "Tencent RTC"


def _field(label: str, description: str, kind: str = "string", **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **schema}}


_PLACE_FIELDS = {
    "sdk_app_id": _field(
        "SdkAppId", "Number of the TRTC application, e.g. 1400000001.", "integer", minimum=1
    ),
    "sdk_secret_key": _field(
        "Key of the application",
        "Signs for users and robots (UserSig), as in the console. Needed to start jobs.",
        format="password",
    ),
    "advanced_permission_control": _field(
        "Advanced permission control",
        "Whether it is on for the application: then robots enter rooms with a PrivateMapKey.",
        "boolean",
        default=False,
    ),
    "region": _field(
        "Region",
        "Region of the API calls. Default ap-guangzhou; with the international endpoint ap-singapore.",
    ),
}
_OTHER_FIELDS = {
    "requests_per_second": _field(
        "Requests per second",
        "Limit for one machine; the rate adapts to what the service accepts. Default 19 of the 20.",
        "number",
    ),
    "timeout_seconds": _field(
        "Timeout (s)", "For connecting and for each wait for data. Default 10.", "number"
    ),
    "proxy": _field(
        "Proxy",
        "http://[name:password@]host:port. Empty: HTTPS_PROXY and NO_PROXY.",
        format="password",
    ),
    "console_url": _field(
        "Page of a recording",
        "Address with {sdk_app_id}, {region} and {recording_id}, or {kind} and {job_id} for all jobs; shown"
        " as a button at the task.",
    ),
    "callback_secret": _field(
        "Callback key",
        "Key of the callbacks, as in the console. Two, separated by a comma, while you change it.",
        format="password",
    ),
    "callback_unsigned": _field(
        "Accept unsigned callbacks",
        "Only if you cannot set a key: then any client that knows the address can send callbacks.",
        "boolean",
        default=False,
    ),
}


def connection_type() -> dict[str, Any]:
    """The connection type and its form; the fields of credentials are those of their classes."""
    from airflow_trtc.cloud.identities import FORM, KINDS

    kind = _field(
        "Kind of credentials",
        "Where the keys come from. static: SecretId and SecretKey above; profile: the credentials file;"
        " cvm_role: the machine's role.",
        enum=list(KINDS),
        default="static",
    )
    credentials = {name: _credential_field(name) for name in FORM}
    return {
        "connection-type": "trtc",
        "hook-class-name": "airflow_trtc.hooks.TrtcHook",
        "hook-name": INTEGRATION,
        "ui-field-behaviour": {
            "hidden-fields": ["schema", "port"],
            "relabeling": {"login": "SecretId", "password": "SecretKey", "host": "API endpoint"},
            "placeholders": {
                "host": "trtc.tencentcloudapi.com (default), trtc.intl.tencentcloudapi.com",
                "login": "AKID…",
            },
        },
        "conn-fields": {**_PLACE_FIELDS, "credential_kind": kind, **credentials, **_OTHER_FIELDS},
    }


def _credential_field(name: str) -> dict[str, Any]:
    from airflow_trtc.cloud.identities import FORM, kinds_with

    form, kinds = FORM[name], kinds_with(name)
    prefix = "" if "static" in kinds else f"{', '.join(kinds)}: "
    schema = dict(form["schema"])
    return _field(form["label"], f"{prefix}{form['description']}", schema.pop("type"), **schema)


CONFIG: dict[str, Any] = {
    "trtc": {
        "description": "Callbacks of Tencent RTC and the journal of recordings.",
        "options": {
            "journal_days": {
                "description": (
                    "After how many days without a change the API server deletes rows of the journal: the"
                    " state of recordings, and callbacks as they were received. At least 31."
                ),
                "version_added": None,
                "type": "integer",
                "example": "90",
                "default": "60",
            },
            "gc_tuning": {
                "description": (
                    "Whether a triggerer with hundreds of waits tunes Python's garbage collector, which"
                    " would otherwise stop its event loop for a second or so."
                ),
                "version_added": None,
                "type": "boolean",
                "example": None,
                "default": "True",
            },
            "shared_pace": {
                "description": (
                    "Whether the processes of a machine share the pace of their requests to the service;"
                    " without it each keeps to a pace of its own, and finds the limit by being refused."
                ),
                "version_added": None,
                "type": "boolean",
                "example": None,
                "default": "True",
            },
            "shared_pace_directory": {
                "description": (
                    "The local directory in which they do so, made if it is missing; it must belong to the"
                    " user that runs Airflow. Empty for one in /dev/shm, or in the directory for temporary"
                    " files where there is no such place."
                ),
                "version_added": None,
                "type": "string",
                "example": "/run/airflow/trtc",
                "default": "",
            },
        },
    },
}


def get_provider_info() -> dict[str, Any]:
    """Describe this provider to Airflow."""
    return {
        "package-name": "airflow-trtc",
        "name": INTEGRATION,
        "description": "Tencent RTC (TRTC): start and stop on-cloud recordings, and wait for their files.",
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://trtc.io/document/34260",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": INTEGRATION, "python-modules": ["airflow_trtc.hooks"]}],
        "operators": [{"integration-name": INTEGRATION, "python-modules": ["airflow_trtc.operators"]}],
        "sensors": [{"integration-name": INTEGRATION, "python-modules": ["airflow_trtc.sensors"]}],
        "triggers": [{"integration-name": INTEGRATION, "python-modules": ["airflow_trtc.triggers"]}],
        "connection-types": [connection_type()],
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
