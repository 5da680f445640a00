"""The tables and samples of README and pages say what the code says, all of it and no more."""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_trtc import __version__
from airflow_trtc.cloud.identities import KINDS
from airflow_trtc.cloud.settings import from_connection
from airflow_trtc.provider import CONFIG, connection_type
from tests.docs.pages import PAGES, README, ROOT, table
from tests.docs.shell import TARGETS


def connection_json() -> str:
    return next(block for block in PAGES["connection"].of("json") if '"conn_type"' in block)


def connection_uri() -> str:
    return next(block for block in PAGES["connection"].of("text") if block.startswith("trtc://")).strip()


def test_every_parameter_of_the_sensor_is_explained_and_no_other() -> None:
    from airflow_trtc.sensors import TrtcRecordingSensor

    parameters = inspect.signature(TrtcRecordingSensor.__init__).parameters
    own = {name: one for name, one in parameters.items() if name not in ("self", "kwargs")}
    explained = table(PAGES["sensor"].section("TrtcRecordingSensor"), "Parameter")
    assert list(explained) == list(own)
    for name in ("grace_seconds", "settle_seconds", "if_never_seen", "trtc_conn_id"):
        default = own[name].default
        shown = f'`"{default}"`' if isinstance(default, str) else f"{default:g}"
        assert explained[name][0] == shown
    assert explained["absent_codes"][0] == ", ".join(f"`{code}`" for code in own["absent_codes"].default)
    templated = {name for name, cells in explained.items() if "templated" in cells[1]}
    assert templated == set(TrtcRecordingSensor.template_fields)


def test_every_parameter_said_to_come_from_airflow_does() -> None:
    from airflow.sdk import BaseSensorOperator
    from airflow.sdk.bases.operator import BaseOperator

    known = {
        name
        for kind in (BaseSensorOperator, BaseOperator)
        for name in inspect.signature(kind.__init__).parameters
    }
    rows = table(PAGES["sensor"].section("What comes from Airflow"), "Parameter")
    names = {name.strip("` ") for row in rows for name in row.split(",")}
    assert names <= known
    own = set(inspect.signature(BaseSensorOperator.__init__).parameters) - {"self", "kwargs"}
    assert own <= names


def test_every_field_of_the_connection_is_explained_and_no_other() -> None:
    text, form = PAGES["connection"].text, connection_type()
    explained = table(text, "Extra field")
    assert list(explained) == sorted(explained, key=list(form["conn-fields"]).index)
    assert set(explained) == set(form["conn-fields"])
    labels = {name: cells[0] for name, cells in table(text, "Field").items()}
    assert labels == form["ui-field-behaviour"]["relabeling"]
    assert list(table(text, "Kind")) == list(KINDS)


def test_defaults_of_the_connection_are_those_of_the_code() -> None:
    from airflow_trtc.cloud import endpoint, identities, settings

    explained = {name: cells[0] for name, cells in table(PAGES["connection"].text, "Extra field").items()}
    assert explained["requests_per_second"] == f"{settings.DEFAULT_REQUESTS_PER_SECOND:g}"
    assert explained["timeout_seconds"] == f"{settings.DEFAULT_TIMEOUT_SECONDS:g}"
    assert explained["role_duration_seconds"] == str(identities.DEFAULT_ROLE_DURATION_SECONDS)
    assert explained["sts_endpoint"] == f"`{endpoint.STS_HOST}`"
    assert endpoint.DEFAULT_REGION in explained["region"]
    assert endpoint.DEFAULT_INTERNATIONAL_REGION in explained["region"]
    assert all(path in explained["profile_file"] for path in identities.PROFILE_FILES)


def test_connection_in_json_and_as_uri_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_trtc.hooks import TrtcHook

    monkeypatch.setenv("AIRFLOW_CONN_TRTC_JSON", connection_json())
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_URI", connection_uri())
    from_json, from_uri = TrtcHook("trtc_json").settings, TrtcHook("trtc_uri").settings
    assert from_json == from_uri
    fields: dict[str, Any] = json.loads(connection_json())
    assert fields.pop("conn_type") == "trtc"
    assert from_json == from_connection(**fields)
    assert not from_json.warnings


def test_every_message_of_troubleshooting_is_in_the_code() -> None:
    texts = [text for path in (ROOT / "airflow_trtc").rglob("*.py") for text in literals(path)]
    messages = [
        message
        for row in table(PAGES["troubleshooting"].section("Messages"), "Message")
        for message in row.replace("`, `", "\n").split("\n")
    ]
    assert len(messages) > 25
    unknown = [message for message in messages if not any(contains(text, message) for text in texts)]
    assert not unknown


def literals(path: Path) -> list[str]:
    """Every text in a source; what is filled in at run time is an ellipsis."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(node.value.replace("%s", "…").replace("{}", "…"))
    return found


def contains(text: str, message: str) -> bool:
    position = 0
    for part in filter(None, (part.strip() for part in message.split("…"))):
        position = text.find(part, position)
        if position < 0:
            return False
        position += len(part)
    return True


def test_every_make_target_is_explained_and_exists() -> None:
    explained = {
        row.removeprefix("make ") for row in table(PAGES["developing"].section("Commands"), "Command")
    }
    assert explained == TARGETS


def test_settings_are_those_of_the_provider() -> None:
    options = CONFIG["trtc"]["options"]
    explained = table(PAGES["installing"].section("Settings"), "Option")
    assert {name: cells[0] for name, cells in explained.items()} == {
        name: option["default"] for name, option in options.items()
    }


def test_every_example_is_listed() -> None:
    files = {path.name for path in (ROOT / "dags_examples").glob("*.py")}
    assert set(table(README.section("More DAGs to copy"), "File")) == files


def test_kinds_of_faults_and_outcomes_are_those_of_the_code() -> None:
    from typing import get_args

    from airflow_trtc.emulator.faults import KINDS as FAULTS
    from airflow_trtc.jobs.verdict import Outcome

    faults = table(PAGES["emulator"].text, "What")["trouble"][0].partition(":")[2]
    assert sorted(re.findall(r"`(\w+)`", faults)) == sorted(FAULTS)
    assert set(table(PAGES["results"].text, "`outcome`")) == set(get_args(Outcome))


def test_the_six_parameters_are_parameters() -> None:
    from airflow.sdk import BaseSensorOperator

    from airflow_trtc.sensors import TrtcRecordingSensor

    known = {
        name
        for kind in (TrtcRecordingSensor, BaseSensorOperator)
        for name in inspect.signature(kind.__init__).parameters
    }
    six = table(README.section("The six parameters most people set"), "Parameter")
    assert len(six) == 6
    assert set(six) <= known


def test_parameters_of_the_sensor_of_jobs_are_named() -> None:
    from airflow_trtc.sensors import TrtcJobSensor

    own = set(inspect.signature(TrtcJobSensor.__init__).parameters) - {"self", "kwargs"}
    text = PAGES["sensor"].section("TrtcJobSensor")
    others = re.split(r"Its other parameters|It\s+returns", text)[1]
    named = set(re.findall(r"`([a-z_]+)`", others)) | set(table(text, "Parameter"))
    assert named == own


def test_milestones_and_kinds_of_problems_are_those_of_the_code() -> None:
    from airflow_trtc.jobs.problem import PROBLEM_KINDS
    from airflow_trtc.jobs.verdict import MILESTONES

    callbacks = PAGES["callbacks"].text
    milestones = [row.strip('"') for row in table(callbacks, "`wait_for`")]
    assert milestones == list(MILESTONES)
    assert list(table(callbacks, "Kind")) == list(PROBLEM_KINDS)


def test_results_shown_have_the_keys_of_real_ones() -> None:
    from datetime import datetime, timezone

    from airflow_trtc.jobs.observation import RecordedFile
    from airflow_trtc.jobs.ref import JobRef
    from airflow_trtc.jobs.state import JobState
    from airflow_trtc.jobs.verdict import Finished
    from airflow_trtc.results import file_results, recording_result

    files, summary = (json.loads(block) for block in PAGES["results"].of("json"))
    assert list(files[0]) == list(file_results([RecordedFile("a.m3u8")], "r")[0])
    finished = Finished("gone", (), datetime.now(timezone.utc))
    real = recording_result(JobState("r"), finished, JobRef("recording", 1, "x", "r"))
    assert list(summary) == list(real)


def test_every_error_of_the_family_is_explained() -> None:
    from airflow_trtc.errors import TrtcError

    explained = table(PAGES["hook"].text, "Error in `airflow_trtc.errors`")
    assert set(explained) == {kind.__name__ for kind in TrtcError.__subclasses__()}


def test_changes_begin_with_this_version() -> None:
    assert re.findall(r"^## (.+)$", PAGES["changes"].text, re.MULTILINE)[0] == __version__


# -- operators of recordings --------------------------------------------------------------------------


def parameters_of(operator: type) -> set[str]:
    """What a class of ours takes, its bases of ours included."""
    found: set[str] = set()
    for kind in operator.__mro__:
        if kind.__module__.startswith("airflow_trtc") and "__init__" in vars(kind):
            found |= set(inspect.signature(vars(kind)["__init__"]).parameters)
    return found - {"self", "kwargs"}


def test_every_parameter_of_the_operators_is_explained_and_no_other() -> None:
    from airflow_trtc import operators

    shared = table(PAGES["recordings"].section("TrtcStopRecordingOperator"), "Parameter")
    for name, more in (
        ("TrtcStartRecordingOperator", {}),
        ("TrtcStopRecordingOperator", {}),
        ("TrtcModifyRecordingOperator", shared),
    ):
        operator = getattr(operators, name)
        explained = {**table(PAGES["recordings"].section(name), "Parameter"), **more}
        assert set(explained) == parameters_of(operator)
        templated = {name for name, cells in explained.items() if "templated" in cells[1]}
        assert templated == set(operator.template_fields)


def test_what_a_start_hands_on_is_shown_as_it_is() -> None:
    from datetime import datetime, timezone

    from airflow_trtc.recording.started import StartedRecording, read_started

    shown = next(json.loads(block) for block in PAGES["recordings"].of("json") if "started_at" in block)
    now = datetime.now(timezone.utc)
    one = StartedRecording(
        recording_id="r",
        sdk_app_id=1,
        region="x",
        room_id="5",
        room_id_type=1,
        user_id="u",
        started_at=now,
        expires_at=now,
    )
    assert list(shown) == list(one.to_json())
    assert read_started(shown).to_json() == shown
    assert set(table(PAGES["recordings"].text, "Key")) < set(shown)


def test_policies_allow_what_the_operators_send_and_no_more() -> None:
    from airflow_trtc.kinds import RECORDING

    start = {RECORDING.start_action, RECORDING.describe_action}
    rows = table(PAGES["recordings"].section("Minimum policy"), "Operator")
    stated = {name: json.loads(cells[0].strip("`")) for name, cells in rows.items()}
    assert {
        name: {each.removeprefix("name/trtc:") for each in actions} for name, actions in stated.items()
    } == {
        "TrtcStartRecordingOperator": start,
        "TrtcModifyRecordingOperator": {"ModifyCloudRecording"},
        "TrtcStopRecordingOperator": {RECORDING.stop_action},
        "TrtcRecordRoomOperator": {*start, RECORDING.stop_action},
    }
    policy = next(json.loads(block) for block in PAGES["recordings"].of("json") if '"statement"' in block)
    assert policy["statement"][0]["action"] == stated["TrtcRecordRoomOperator"]


# -- usage ----------------------------------------------------------------------------------------------


def test_every_parameter_of_usage_is_explained_and_no_other() -> None:
    from airflow_trtc.operators import TrtcUsageOperator

    explained = {
        name.strip("` "): cells
        for row, cells in table(PAGES["usage"].section("TrtcUsageOperator"), "Parameter").items()
        for name in row.split(",")
    }
    assert set(explained) == parameters_of(TrtcUsageOperator)
    templated = {name for name, cells in explained.items() if "templated" in cells[1]}
    assert templated == set(TrtcUsageOperator.template_fields)
    for name, cells in explained.items():
        if cells[0].startswith("`"):
            own = [kind for kind in TrtcUsageOperator.__mro__ if "__init__" in vars(kind)]
            signatures = [inspect.signature(vars(kind)["__init__"]).parameters for kind in own]
            defaults = [each[name].default for each in signatures if name in each]
            assert ast.literal_eval(cells[0].strip("`")) == defaults[0]


def test_kinds_of_usage_are_those_of_the_code() -> None:
    from airflow_trtc.cloud import rates
    from airflow_trtc.tables.usage import MOST_DAYS, USAGES

    text = PAGES["usage"].text
    rows = table(text, "`usage`")
    assert list(rows) == list(USAGES)
    for name, (call, place, most, kept) in rows.items():
        usage = USAGES[name]
        assert call.split("`")[1] == usage.action
        assert place == f"[`{usage.schema.name}`](#{usage.schema.name})"
        assert most == ("1 day" if usage.by_room else f"{MOST_DAYS} days")
        assert kept == (f"{usage.kept.days} days" if usage.kept else "")
        assert all(each in call for params, _ in usage.variants for each in params if len(usage.variants) > 1)
    slow, fast = sorted({rates.ceiling(usage.action, 19.0) for usage in USAGES.values()})
    assert f"sends {fast:g} requests a second" in text
    assert f"one in {1 / slow:.1f} seconds" in text


def test_tables_of_usage_are_those_of_the_code() -> None:
    from airflow_trtc.tables.usage import USAGES

    for usage in USAGES.values():
        shown = table(PAGES["usage"].section(usage.schema.name), "Column")
        assert shown == {
            each.name: [
                f"{each.type} (key)" if each.name in usage.schema.key else each.type,
                each.unit or "",
                each.doc,
            ]
            for each in usage.schema.columns
        }


def test_the_summary_of_usage_has_the_keys_of_a_real_one() -> None:
    """As `tests/operators/test_usage.py` compares with real ones."""
    (shown,) = (json.loads(block) for block in PAGES["usage"].of("json"))
    assert list(shown) == [
        "place",
        "rows",
        "was_written",
        "from_at",
        "to_at",
        "sdk_app_id",
        "granularity",
        "usage",
    ]


# -- call quality ---------------------------------------------------------------------------------------


def test_every_own_parameter_of_call_quality_is_explained_and_no_other() -> None:
    from airflow_trtc.operators import TrtcQualityOperator, TrtcUsageOperator

    explained = table(PAGES["quality"].section("TrtcQualityOperator"), "Parameter")
    own = set(inspect.signature(TrtcQualityOperator.__init__).parameters) - {"self", "kwargs"}
    assert set(explained) == own
    default = inspect.signature(TrtcQualityOperator.__init__).parameters["longest_call_seconds"].default
    assert ast.literal_eval(explained["longest_call_seconds"][0].strip("`")) == default
    templated = {name for name, cells in explained.items() if "templated" in cells[1]}
    assert templated == own & set(TrtcQualityOperator.template_fields)
    others = parameters_of(TrtcQualityOperator) - own
    assert others == parameters_of(TrtcUsageOperator) - {"usage", "granularity"}


def test_tables_of_call_quality_are_those_of_the_code() -> None:
    from airflow_trtc.tables.quality import DATA_TYPES, SCHEMAS
    from airflow_trtc.tables.quality_plans import TABLES

    page = PAGES["quality"]
    assert table(page.section("Data types"), "Data type") == {
        name: list(cells) for name, cells in DATA_TYPES.items()
    }
    listed = {name: cells[0] for name, cells in table(page.text, "`what`").items()}
    assert listed == {name: f"[`{each.name}`](#{each.name})" for name, each in SCHEMAS.items()}
    assert list(listed) == list(TABLES)
    for schema in SCHEMAS.values():
        assert table(page.section(schema.name), "Column") == {
            each.name: [
                f"{each.type} (key)" if each.name in schema.key else each.type,
                each.unit or "",
                each.doc,
            ]
            for each in schema.columns
        }


def test_limits_of_call_quality_are_those_of_the_code() -> None:
    from airflow_trtc.tables import quality_plans as plans

    rows = table(PAGES["quality"].section("How many requests it takes"), "Call")
    hours = {
        name: f"{span.total_seconds() / 3600:g} hours"
        for name, span in (
            ("DescribeRoomInfo", plans.ROOMS_SPAN),
            ("DescribeUserInfo", plans.USERS_SPAN),
        )
    }
    for name, span in hours.items():
        assert rows[name][0].startswith(span)
        assert f", {plans.PAGE_SIZE} " in rows[name][0]
    assert rows["DescribeCallDetailInfo"] == [f"an hour of a call, {plans.DETAILS_PAGE_SIZE} users"]
    assert rows["DescribeUnusualEvent"] == [f"an hour, {plans.MOST_UNUSUAL} bad experiences"]
    assert rows["DescribeScaleInfo"] == [f"{plans.KEPT.days} days"]
    minutes = plans.DETAILS_SPAN.total_seconds() / 60
    assert f"| {minutes:g} minutes of a call |" in PAGES["quality"].text


def test_the_summary_of_call_quality_has_the_keys_of_a_real_one() -> None:
    """As `tests/operators/test_quality.py` compares with real ones."""
    (shown,) = (json.loads(block) for block in PAGES["quality"].of("json"))
    assert list(shown) == [
        "what",
        "place",
        "rows",
        "parts",
        "parts_written_before",
        "requests",
        "from_at",
        "to_at",
        "sdk_app_id",
    ]


# -- jobs of all kinds ----------------------------------------------------------------------------------


def marked(cell: str) -> set[str]:
    """What stands in code quotes."""
    return set(re.findall(r"`([^`]+)`", cell))


def test_kinds_of_jobs_are_those_of_the_code() -> None:
    from airflow_trtc.kinds import KINDS as JOBS

    explained = table(PAGES["jobs"].section("Kinds"), "`kind`")
    assert list(explained) == list(JOBS)
    for name, (_, running, ends, groups) in explained.items():
        kind = JOBS[name]
        ending = kind.ends_well | kind.ends_badly | kind.absent_statuses
        assert marked(ends) == (ending or ({"Exited"} if name == "recording" else set()))
        assert not marked(running) & ending
        assert groups == (", ".join(map(str, sorted(kind.groups))) or "none")
        assert ("badly" in ends) is bool(kind.ends_badly)


def test_calls_of_kinds_are_those_of_the_code() -> None:
    from airflow_trtc.kinds import KINDS as JOBS

    explained = table(PAGES["jobs"].section("Calls and ids"), "`kind`")
    shown = {name: [cell.strip("`") for cell in cells] for name, cells in explained.items()}
    assert shown == {
        name: [
            kind.start_action,
            kind.describe_action,
            kind.stop_action or "nothing",
            kind.key_param or "none",
        ]
        for name, kind in JOBS.items()
    }


def test_every_parameter_of_the_operator_of_jobs_is_explained() -> None:
    from airflow_trtc.operators import TrtcRunJobOperator

    explained = table(PAGES["jobs"].section("TrtcRunJobOperator"), "Parameter")
    own = inspect.signature(TrtcRunJobOperator.__init__).parameters
    assert list(explained) == [name for name in own if name not in ("self", "kwargs")]
    templated = {name for name, cells in explained.items() if "templated" in cells[0]}
    assert templated == set(TrtcRunJobOperator.template_fields) & set(explained)


def test_what_a_lost_answer_means_is_that_of_the_code() -> None:
    from airflow_trtc.kinds import KINDS as JOBS

    rows = [set(re.findall(r"\w+", row)) for row in table(PAGES["jobs"].text, "Kinds")]
    startable = {name: kind for name, kind in JOBS.items() if kind.starts}
    replaced = {name for name, kind in startable.items() if kind.starts and kind.starts.replaces}
    named = {name for name, kind in startable.items() if kind.key_param}
    assert rows == [replaced, named, set(startable) - replaced - named]
