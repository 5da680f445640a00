"""Nothing secret that starts use can be read anywhere: neither keys nor the passes signed with them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e import readable
from tests.e2e.conftest import (
    BUCKET_KEYS,
    GIVEN_USER_SIG,
    SLOW_CALLBACK_KEY,
    SLOW_SDK_SECRET_KEY,
    SLOW_SECRET_KEY,
    WRONG_SDK_SECRET_KEY,
)
from tests.e2e.stage import Stage, Wait

pytestmark = pytest.mark.e2e

KEYS = {
    SLOW_SECRET_KEY,
    SLOW_SDK_SECRET_KEY,
    WRONG_SDK_SECRET_KEY,
    SLOW_CALLBACK_KEY,
    BUCKET_KEYS["password"],
}
STORED = "trtc_stored"
TASKS = ("start", "signed", "refused", "wait")


def store_connection(stage: Stage) -> None:
    """Save the connection as a user does, so that Airflow shows it to users."""
    connection = stage.slow_emulator.connection
    body = connection | {"connection_id": STORED, "extra": json.dumps(connection["extra"])}
    stage.airflow.api("POST", "/api/v2/connections", json=body)


def play(stage: Stage) -> Wait:
    """Start every recording of the DAG, and one that breaks with all secrets at hand; wait for the owner."""
    if stage.has_journal:
        stage.slow_emulator.set_callback(f"{stage.airflow.url}/trtc/callbacks/trtc_slow", SLOW_CALLBACK_KEY)
    broken = stage.start(
        "halting_start",
        {"room_id": "broken", "conn_id": "trtc_slow", "halt_at": "answered", "fails": True},
    )
    wait = stage.start("secretive", {"room_id": "secretive"})
    wait.until_state("deferred")
    assert broken.end() == "success"
    wait.recording_ids.append(wait.xcom("progress")["job_id"])
    return wait


def read_everything(wait: Wait) -> list[readable.Text]:
    def subject(task_id: str) -> dict[str, Any]:
        return {
            "dag_id": wait.dag_id,
            "dag_run_id": wait.run_id,
            "run_id": wait.run_id,
            "task_id": task_id,
            "map_index": -1,
            "try_number": 1,
            "task_try_number": 1,
            "xcom_key": "recording",
            "connection_id": STORED,
            "version_number": 1,
        }

    return list(readable.everywhere(wait.stage.airflow, map(subject, TASKS)))


def assert_search_finds(wait: Wait, texts: list[readable.Text]) -> None:
    """The search finds what is there to be found, in every place."""
    kept = {"table task_state_store", "table asset_state_store"} if wait.stage.has_journal else set()
    expected = {
        "planted-in-a-log": {"task logs", "API"},
        "planted-1250000000": {
            "table serialized_dag",
            "table dag_code",
            "table rendered_task_instance_fields",
            "API",
        },
        wait.recording_id: {"task logs", "table xcom", "table trigger", "API", *kept},
        wait.run_id: {"component logs", "pages"},
        STORED: {"table connection", "API"},
        "tencentcloud_sdk_common: ": {"task logs"},
        "triggerer": {"command lines"},
    }
    missing = {text: places - readable.places_with(text, texts) for text, places in expected.items()}
    assert not any(missing.values()), missing


def test_no_secret_of_a_start_can_be_read_anywhere(stage: Stage) -> None:
    store_connection(stage)
    wait = play(stage)
    texts = read_everything(wait)
    assert_search_finds(wait, texts)

    for line in stage.slow_emulator.bill()["recordings"]:
        if line["room_id"].startswith(("secretive", "broken")):
            stage.slow_emulator.end(line["recording_id"])
    assert wait.end() == "failed"
    assert {state for task, state in wait.states().items() if task != "refused"} == {"success"}
    texts += read_everything(wait)

    # The ids of key pairs are no secrets: Airflow shows them as the login of a connection.
    logins = {BUCKET_KEYS["login"], stage.slow_emulator.secret_id}
    passes = stage.slow_emulator.secrets_sent - logins
    assert {GIVEN_USER_SIG, BUCKET_KEYS["password"]} < passes
    assert len(passes) >= 8, "a UserSig and a PrivateMapKey of each start"
    shown = {secret: readable.places_with(secret, texts) for secret in KEYS | passes}
    assert not any(shown.values()), {secret: places for secret, places in shown.items() if places}
