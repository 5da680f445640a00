"""What the README says exists, and what a reader has to know is in it."""

from __future__ import annotations

import ast
import inspect
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from airflow_trtc import __version__
from airflow_trtc.cloud.identities import KINDS
from airflow_trtc.cloud.settings import from_connection
from airflow_trtc.provider import connection_type

HAS_CALLBACKS = tuple(map(int, version("apache-airflow").split(".")[:2])) >= (3, 3)
ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def section(title: str) -> str:
    """The text under a heading, without what its subheadings hold."""
    return README.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def table(text: str, head: str) -> dict[str, list[str]]:
    """The rows of the table whose first column has this head: first cell to the other cells."""
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {head} |"))
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        first, *others = (cell.strip() for cell in line.strip("|").split(" | "))
        rows[first.strip("` ")] = others
    return rows


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def connection_json() -> str:
    return next(block for block in blocks("json") if '"conn_type"' in block)


def connection_uri() -> str:
    return next(block for block in blocks("text") if block.startswith("trtc://")).strip()


def test_every_parameter_of_the_sensor_is_explained_and_no_other() -> None:
    from airflow_trtc.sensors import TrtcRecordingSensor

    parameters = inspect.signature(TrtcRecordingSensor.__init__).parameters
    own = {name: one for name, one in parameters.items() if name not in ("self", "kwargs")}
    explained = table(section("Sensor"), "Parameter")
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
    text = section("Sensor").partition("`BaseSensorOperator`")[2]
    rows = table(text, "Parameter")
    names = {name.strip("` ") for row in rows for name in row.split(",")}
    assert names <= known
    own = set(inspect.signature(BaseSensorOperator.__init__).parameters) - {"self", "kwargs"}
    assert own <= names


def test_every_field_of_the_connection_is_explained_and_no_other() -> None:
    text, form = section("Connection"), connection_type()
    explained = table(text, "Extra field")
    assert list(explained) == sorted(explained, key=list(form["conn-fields"]).index)
    assert set(explained) == set(form["conn-fields"])
    labels = {name: cells[0] for name, cells in table(text, "Field").items()}
    assert labels == form["ui-field-behaviour"]["relabeling"]
    assert list(table(text, "Kind")) == list(KINDS)


def test_defaults_of_the_connection_are_those_of_the_code() -> None:
    from airflow_trtc.cloud import endpoint, identities, settings

    explained = {name: cells[0] for name, cells in table(section("Connection"), "Extra field").items()}
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
        for row in table(section("Troubleshooting"), "Message")
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
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = "\n".join(re.findall(r"`[^`\n]+`", README) + blocks("sh"))
    assert set(re.findall(r"\bmake ([a-z][a-z0-9-]*)", code)) == targets
    explained = {row.removeprefix("make ") for row in table(section("How the code is laid out"), "Command")}
    assert explained == targets


def test_every_example_is_listed() -> None:
    files = {path.name for path in (ROOT / "dags_examples").glob("*.py")}
    assert set(table(section("Try it"), "File")) == files


def test_kinds_of_faults_and_outcomes_are_those_of_the_code() -> None:
    from typing import get_args

    from airflow_trtc.emulator.faults import KINDS as FAULTS
    from airflow_trtc.jobs.verdict import Outcome

    faults = table(section("Emulator"), "What")["trouble"][0].partition(":")[2]
    assert sorted(re.findall(r"`(\w+)`", faults)) == sorted(FAULTS)
    assert set(table(section("Results"), "`outcome`")) == set(get_args(Outcome))


def test_milestones_and_kinds_of_problems_are_those_of_the_code() -> None:
    from airflow_trtc.jobs.problem import PROBLEM_KINDS
    from airflow_trtc.jobs.verdict import MILESTONES

    callbacks = section("Callbacks")
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

    files, summary = (json.loads(block) for block in blocks("json") if '"recording_id"' in block)
    assert list(files[0]) == list(file_results([RecordedFile("a.m3u8")], "r")[0])
    finished = Finished("gone", (), datetime.now(timezone.utc))
    real = recording_result(JobState("r"), finished, JobRef("recording", 1, "x", "r"))
    assert list(summary) == list(real)


def test_every_error_of_the_family_is_explained() -> None:
    from airflow_trtc.errors import TrtcError

    explained = table(section("Hook"), "Error in `airflow_trtc.errors`")
    assert set(explained) == {kind.__name__ for kind in TrtcError.__subclasses__()}


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_code_runs_as_far_as_it_defines_things(number: int) -> None:
    if "PartitionedAssetTimetable" in blocks("python")[number] and not HAS_CALLBACKS:
        pytest.skip("event-driven DAGs need Airflow 3.3")
    exec(compile(blocks("python")[number], f"README python block {number}", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize("number", range(len(blocks("json"))))
def test_json_is_valid(number: int) -> None:
    json.loads(blocks("json")[number])


def test_links_lead_somewhere() -> None:
    headings = re.findall(r"^##+ (.+)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in anchors
        else:
            assert (ROOT / target).is_file()


def test_pictures_are_small_and_all_are_shown() -> None:
    pictures = list((ROOT / ".github" / "images").iterdir())
    assert pictures
    for picture in pictures:
        assert f".github/images/{picture.name}" in README
        assert picture.stat().st_size < 200_000


def test_changes_begin_with_this_version() -> None:
    assert re.findall(r"^### (.+)$", section("Changes"), re.MULTILINE)[0] == __version__


PAGES = sorted((ROOT / "airflow_trtc" / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_block_of_a_page_runs_and_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text()
    for block in re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        exec(compile(block, page.name, "exec"), {})
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert "://" in link or (page.parent / link).exists(), link
