"""The sensor in a DAG, run in this process by `dag.test()` against the emulator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from airflow_trtc.arguments import checked_id
from airflow_trtc.emulator import Emulator
from airflow_trtc.errors import TrtcSetupError
from airflow_trtc.jobs.verdict import Failure
from airflow_trtc.sensors import TrtcJobSensor, TrtcRecordingSensor
from airflow_trtc.testing import DagResult
from tests.versions import HAS_STATE_STORE

DAGS = Path(__file__).parent / "dags" / "waits.py"
MODES = ["poke", "reschedule", "deferrable"]


class Outcome:
    """What a run left behind."""

    def __init__(self, run: DagResult) -> None:
        self.run = run
        self.states = {
            (one.task_id, one.map_index): one.state
            for task in run.tasks.values()
            for one in task.mapped or (task,)
        }

    def state(self, task_id: str = "wait") -> str | None:
        return self.states[(task_id, -1)]

    def xcom(self, key: str = "return_value", task_id: str = "wait") -> Any:
        return self.run[task_id].xcoms.get(key)

    def processed(self) -> list[Any]:
        """What the mapped tasks received, in order."""
        return [one.value for one in self.run["process"].mapped]


class BrokenStore:
    """A store that is there and always fails."""

    def get(self, key: str, default: Any = None) -> Any:
        raise RuntimeError("the database is away")

    set = get


Wait = Callable[..., Outcome]


@pytest.fixture
def wait(trtc_connection: Emulator, run_dag: Callable[..., Any]) -> Wait:
    """Run one of the DAGs: ``wait(mode, recording_id, variant="plain", **conf)``."""

    def run(mode: str, recording_id: str, variant: str = "plain", **conf: Any) -> Outcome:
        return Outcome(run_dag(DAGS, f"wait_{mode}_{variant}", {"recording_id": recording_id, **conf}))

    return run


def names(files: list[dict[str, Any]]) -> list[str]:
    return [file["file_name"] for file in files]


def truth(emulator: Emulator, recording_id: str) -> list[str]:
    return [file["FileName"] for file in emulator.truth(recording_id)["files"]]


# -- the same in every mode -------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_files_that_came_one_by_one_are_all_handed_on(
    mode: str, trtc_connection: Emulator, wait: Wait
) -> None:
    recording_id = trtc_connection.add_recording(files=3, file_every_reads=1, ends_after_reads=4)
    outcome = wait(mode, recording_id)
    assert outcome.state() == "success"
    assert names(outcome.xcom()) == truth(trtc_connection, recording_id)
    assert outcome.processed() == outcome.xcom()
    summary = outcome.xcom("recording")
    assert summary["outcome"] == "gone"
    assert summary["file_count"] == 3
    assert summary["sdk_app_id"] == trtc_connection.sdk_app_id
    assert summary["polls"] >= 5
    assert summary["first_seen_at"] < summary["finished_at"]


@pytest.mark.parametrize("mode", MODES)
def test_files_that_only_the_exiting_answer_lists_are_handed_on(
    mode: str, trtc_connection: Emulator, wait: Wait
) -> None:
    recording_id = trtc_connection.add_recording(files=3)
    steps: list[dict[str, Any]] = [
        {"files": 2, "status": "InProgress"},
        {"files": 3, "status": "Exited"},
        {"gone": True},
    ]
    trtc_connection.script(recording_id, steps)
    outcome = wait(mode, recording_id)
    assert len(outcome.processed()) == 3
    assert outcome.xcom("recording")["outcome"] == "exited"


@pytest.mark.parametrize("mode", MODES)
def test_files_that_a_later_answer_leaves_out_are_handed_on(
    mode: str, trtc_connection: Emulator, wait: Wait
) -> None:
    recording_id = trtc_connection.add_recording(files=2)
    one, two = ({"FileName": name, "UserId": "u", "TrackType": "audio", "BeginTimeStamp": 1} for name in "ab")
    trtc_connection.script(recording_id, [{"files": [one]}, {"files": [two]}, {"files": []}, {"gone": True}])
    assert names(wait(mode, recording_id).xcom()) == ["a", "b"]


needs_journal = pytest.mark.skipif(not HAS_STATE_STORE, reason="callbacks need Airflow 3.3")


@needs_journal
@pytest.mark.parametrize("mode", MODES)
def test_conversions_are_waited_for_and_handed_on(
    mode: str, receiving_emulator: Emulator, wait: Wait
) -> None:
    recording_id = receiving_emulator.add_recording(output_format=1, participants=2, ends_after_seconds=3)
    outcome = wait(mode, recording_id, "for_mp4")
    assert outcome.state() == "success"
    truths = receiving_emulator.truth(recording_id)
    made = [file["FileName"] for file in truths["files"] + truths["mp4_files"]]
    assert sorted(names(outcome.xcom())) == sorted(made)
    assert [file["end_at"] is not None for file in outcome.xcom() if file["format"] == "mp4"] == [True] * 2
    assert outcome.xcom("recording")["wait_for"] == "mp4"
    assert outcome.xcom("recording")["ended_at"] is not None


@needs_journal
@pytest.mark.parametrize("mode", MODES)
def test_files_in_vod_are_waited_for_and_handed_on(
    mode: str, receiving_emulator: Emulator, wait: Wait
) -> None:
    recording_id = receiving_emulator.add_recording(storage="vod", participants=3, ends_after_seconds=3)
    outcome = wait(mode, recording_id, "for_vod")
    assert outcome.state() == "success"
    made = receiving_emulator.truth(recording_id)["vod_files"]
    assert len(made) == 3
    handed_on = {(file["vod_file_id"], file["vod_url"]) for file in outcome.xcom()}
    assert handed_on == {(file["FileId"], file["VideoUrl"]) for file in made}
    assert {file["object_key"] for file in outcome.xcom()} == {None}


@needs_journal
@pytest.mark.parametrize("mode", MODES)
def test_a_callback_that_never_comes_fails_the_wait_or_not(
    mode: str, trtc_connection: Emulator, wait: Wait, capfd: pytest.CaptureFixture[str]
) -> None:
    recording_id = trtc_connection.add_recording(storage="vod", ends_after_reads=2)
    assert wait(mode, recording_id, "missing_callback").state() == "failed"
    log = "".join(capfd.readouterr())
    assert "no callback completed it within" in log
    assert "send-callback" in log
    recording_id = trtc_connection.add_recording(storage="vod", ends_after_reads=2)
    outcome = wait(mode, recording_id, "without_callback")
    assert outcome.state() == "success"
    (problem,) = outcome.xcom("recording")["problems"]
    assert problem["kind"] == "no_callback"


@needs_journal
@pytest.mark.parametrize("mode", MODES)
def test_a_recording_that_was_interrupted_fails_the_task_or_not(
    mode: str, receiving_emulator: Emulator, wait: Wait, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = {"leave_code": 100, "ends_after_seconds": 2}
    # Nobody lists it any more when the wait begins: callbacks alone tell of it.
    recording_id = receiving_emulator.add_recording(**bad)
    assert wait(mode, recording_id).state() == "failed"
    assert "LeaveCode 100" in "".join(capfd.readouterr())
    outcome = wait(mode, recording_id, "allowing")
    assert outcome.state() == "success"
    assert [problem["kind"] for problem in outcome.xcom("recording")["problems"]] == ["interrupted"]


@pytest.mark.skipif(HAS_STATE_STORE, reason="this Airflow can receive callbacks")
@pytest.mark.parametrize("mode", MODES)
def test_without_callbacks_only_the_end_can_be_waited_for(
    mode: str, trtc_connection: Emulator, wait: Wait, capfd: pytest.CaptureFixture[str]
) -> None:
    assert wait(mode, trtc_connection.add_recording(), "for_vod").state() == "failed"
    assert "needs callbacks" in "".join(capfd.readouterr())


def test_choices_are_checked_when_the_dag_is_parsed() -> None:
    for wrong in (
        {"wait_for": "aac"},
        {"if_no_callback": "ignore"},
        {"fail_on": "mp4"},
        {"fail_on": ["mp5"]},
        {"callback_timeout": -1},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            TrtcRecordingSensor(task_id="wait", recording_id="r", **wrong)


@pytest.mark.parametrize(
    "choice, finishes, skipped",
    [
        ("fail", (False, False), []),
        ("finish", (True, False), []),
        ("skip", (False, False), [Failure.NO_CALLBACK, Failure.EMPTY]),
        ("finish_if_empty", (False, True), []),
        ("skip_if_empty", (False, False), [Failure.EMPTY]),
    ],
)
def test_what_a_missing_callback_does_is_the_users_choice(
    choice: Any, finishes: tuple[bool, bool], skipped: list[Failure]
) -> None:
    sensor = TrtcRecordingSensor(task_id="wait", recording_id="r", if_no_callback=choice)
    rules = sensor.rules()
    assert (rules.finish_if_no_callback, rules.finish_if_empty) == finishes
    assert [each for each in Failure if sensor._skips(each)] == skipped


@pytest.mark.parametrize("mode", MODES)
def test_a_recording_nobody_ever_saw_fails_and_says_why(
    mode: str, trtc_connection: Emulator, wait: Wait, capfd: pytest.CaptureFixture[str]
) -> None:
    recording_id = trtc_connection.new_recording_id()
    assert wait(mode, recording_id).state() == "failed"
    log = "".join(capfd.readouterr())
    assert "has not known this recording" in log
    assert f"Id: {recording_id}" in log


@pytest.mark.parametrize("mode", MODES)
def test_a_recording_nobody_ever_saw_may_finish_or_skip(
    mode: str, trtc_connection: Emulator, wait: Wait
) -> None:
    finished = wait(mode, trtc_connection.new_recording_id(), "finish")
    assert finished.xcom() == []
    assert finished.xcom("recording")["outcome"] == "never_seen"
    assert finished.states[("process", -1)] == "skipped"
    assert wait(mode, trtc_connection.new_recording_id(), "skip").state() == "skipped"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "variant, state", [("short", "failed"), ("short_soft", "skipped"), ("short_never_fail", "skipped")]
)
def test_a_wait_that_takes_too_long(
    mode: str, variant: str, state: str, trtc_connection: Emulator, wait: Wait
) -> None:
    assert wait(mode, trtc_connection.add_recording(), variant).state() == state


@pytest.mark.parametrize("mode", MODES)
def test_a_wait_that_takes_too_long_says_what_the_last_poll_met(
    mode: str, trtc_connection: Emulator, wait: Wait, capfd: pytest.CaptureFixture[str]
) -> None:
    recording_id = trtc_connection.add_recording(files=1)
    trtc_connection.script(recording_id, [{"fault": "html"}])
    assert wait(mode, recording_id, "short").state() == "failed"
    assert "The last poll failed: " in "".join(capfd.readouterr())


@pytest.mark.parametrize("mode", MODES)
def test_trouble_of_every_kind_only_makes_a_wait_longer(
    mode: str, trtc_connection: Emulator, wait: Wait
) -> None:
    recording_id = trtc_connection.add_recording(files=2)
    trouble: list[dict[str, Any]] = [
        {"fault": kind} for kind in ("html", "reset", "broken_json", "truncated")
    ]
    trouble += [{"error": code} for code in ("InternalError.CRInternalError", "RequestLimitExceeded")]
    trouble += [{"task_id": "somebody-elses", "status": "Exited"}, {"status": "Exited", "fault": "html"}]
    # A good answer after each keeps the pauses between polls from growing.
    steps = [step for bad in trouble for step in ({"files": 1}, bad)]
    trtc_connection.script(recording_id, [*steps, {"files": 2}, {"gone": True}])
    outcome = wait(mode, recording_id)
    assert outcome.state() == "success"
    assert len(outcome.xcom()) == 2


@pytest.mark.parametrize("mode", MODES)
def test_an_unknown_status_is_waited_out_and_never_a_success_by_itself(
    mode: str, trtc_connection: Emulator, wait: Wait
) -> None:
    recording_id = trtc_connection.add_recording(files=1)
    trtc_connection.script(recording_id, [{"status": "Finished"}])
    assert wait(mode, recording_id, "short").state() == "failed"
    trtc_connection.script(recording_id, [{"status": "Finished", "reads": 2}, {"gone": True}])
    assert wait(mode, recording_id).xcom("recording")["file_count"] == 1


@pytest.mark.parametrize("mode", MODES)
def test_a_wrong_key_fails_while_the_recording_still_runs(
    mode: str, trtc_connection: Emulator, wait: Wait, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    wrong = {**trtc_connection.connection, "password": "wrong"}
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_WRONG_KEY", json.dumps(wrong))
    recording_id = trtc_connection.add_recording()
    assert wait(mode, recording_id, "wrong_key").state() == "failed"
    assert "AuthFailure.SignatureFailure" in "".join(capfd.readouterr())
    assert trtc_connection.truth(recording_id)["status"] == "InProgress"


@pytest.mark.parametrize("mode", MODES)
def test_a_missing_connection_fails_and_is_named(
    mode: str, trtc_connection: Emulator, wait: Wait, capfd: pytest.CaptureFixture[str]
) -> None:
    assert wait(mode, trtc_connection.add_recording(), "wrong_key").state() == "failed"
    assert "trtc_wrong_key" in "".join(capfd.readouterr())


@pytest.mark.parametrize("mode", MODES)
def test_a_refused_wait_fails_but_silent_fail_goes_on(
    mode: str, trtc_connection: Emulator, wait: Wait
) -> None:
    refusals: list[dict[str, Any]] = [{"error": "FailedOperation", "reads": 4}]
    script = [{"files": 1}, *refusals, {"files": 1}, {"gone": True}]
    for variant, state in (("plain", "failed"), ("never_fail", "skipped"), ("silent", "success")):
        recording_id = trtc_connection.add_recording(files=1)
        trtc_connection.script(recording_id, script)
        assert wait(mode, recording_id, variant).state() == state, variant


@pytest.mark.parametrize("mode", MODES)
def test_silent_fail_ends_with_the_timeout(mode: str, trtc_connection: Emulator, wait: Wait) -> None:
    recording_id = trtc_connection.add_recording(files=1)
    trtc_connection.script(recording_id, [{"files": 1}, {"error": "FailedOperation"}])
    assert wait(mode, recording_id, "short_silent").state() == "failed"


def test_a_journal_that_cannot_be_written_makes_a_reschedule_wait_defer(
    trtc_connection: Emulator, wait: Wait, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("airflow_trtc.sensors.worker_store", lambda context: BrokenStore())
    recording_id = trtc_connection.add_recording(files=1, ends_after_reads=2)
    assert names(wait("reschedule", recording_id).xcom()) == truth(trtc_connection, recording_id)
    assert "Deferring instead of rescheduling" in "".join(capfd.readouterr())


@pytest.mark.skipif(not HAS_STATE_STORE, reason="below Airflow 3.3 there is no journal")
@pytest.mark.parametrize("mode", MODES)
def test_a_second_run_profits_from_what_the_first_saw(
    mode: str, trtc_connection: Emulator, wait: Wait
) -> None:
    """The recording is long gone; without the journal this could only fail."""
    recording_id = trtc_connection.add_recording(files=2, ends_after_reads=1)
    first = wait(mode, recording_id)
    again = wait(mode, recording_id)
    assert again.xcom() == first.xcom()
    assert again.xcom("recording")["outcome"] == "gone"


@pytest.mark.parametrize("mode", MODES)
def test_the_prefix_is_a_template_and_the_front_of_the_key(
    mode: str, trtc_connection: Emulator, wait: Wait
) -> None:
    recording_id = trtc_connection.add_recording(files=1, ends_after_reads=1)
    [file] = wait(mode, recording_id, "prefixed", term="spring").xcom()
    assert file["object_key"] == f"lessons/spring/{recording_id}/{file['file_name']}"


@pytest.mark.parametrize("mode", MODES)
def test_what_native_rendering_and_other_tasks_make_of_arguments_is_taken(
    mode: str, trtc_connection: Emulator, wait: Wait
) -> None:
    recording_id = trtc_connection.add_recording(files=1, ends_after_reads=2)
    [file] = wait(mode, recording_id, "native", year="2026").xcom()
    assert file["object_key"] == f"lessons/2026/{recording_id}/{file['file_name']}"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"year": "3.10"}, "file_name_prefix is the number 3.1"),
        ({"year": None}, "file_name_prefix has a part that is None"),
        ({"year": "2026", "grace": "soon"}, "grace_seconds must be a number of seconds"),
        ({"year": "2026", "settle": -1}, "settle_seconds must be a number of seconds"),
    ],
)
def test_what_templates_render_to_is_refused_before_anything_is_polled(
    mode: str, wrong: dict[str, Any], message: str, trtc_connection: Emulator, wait: Wait,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    recording_id = trtc_connection.add_recording(files=1, ends_after_reads=1)
    assert wait(mode, recording_id, "native", **wrong).state() == "failed"
    assert message in "".join(capfd.readouterr())
    assert trtc_connection.truth(recording_id)["status"] == "InProgress"


@pytest.mark.parametrize("mode", MODES)
def test_other_inlets_and_backoff_change_nothing(mode: str, trtc_connection: Emulator, wait: Wait) -> None:
    for variant in ("other_inlets", "backoff"):
        recording_id = trtc_connection.add_recording(files=1, ends_after_reads=2)
        outcome = wait(mode, recording_id, variant)
        assert outcome.state() == "success"
        assert names(outcome.xcom()) == truth(trtc_connection, recording_id)


@pytest.mark.parametrize("mode", MODES)
def test_progress_shows_what_is_known(mode: str, trtc_connection: Emulator, wait: Wait) -> None:
    recording_id = trtc_connection.add_recording(files=2)
    progress = wait(mode, recording_id, "short").xcom("progress")
    assert progress["status"] == "InProgress"
    assert progress["file_count"] == len(progress["files"]) == 2
    assert progress["console_url"] == trtc_connection.page_url(recording_id)


def test_more_files_than_airflow_maps_over_fail_with_the_setting_to_change(
    trtc_connection: Emulator, wait: Wait, capfd: pytest.CaptureFixture[str]
) -> None:
    recording_id = trtc_connection.add_recording(files=1500, ends_after_reads=1)
    assert wait("poke", recording_id).state() == "failed"
    assert "AIRFLOW__CORE__MAX_MAP_LENGTH) to 1500" in "".join(capfd.readouterr())


def test_fifteen_hundred_files_are_handed_on_when_airflow_may(
    trtc_connection: Emulator, wait: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "2000")
    recording_id = trtc_connection.add_recording(files=1500, ends_after_reads=1)
    outcome = wait("poke", recording_id, "unmapped")
    assert sorted(names(outcome.xcom())) == sorted(truth(trtc_connection, recording_id))


@pytest.mark.parametrize("mode", MODES)
def test_mapped_sensors_each_wait_for_their_own(
    mode: str, trtc_connection: Emulator, run_dag: Callable[..., Any]
) -> None:
    ids = [trtc_connection.add_recording(files=2, ends_after_reads=1) for _ in range(3)]
    outcome = Outcome(run_dag(DAGS, f"wait_{mode}_mapped", {"recording_ids": ids}))
    everything = sorted(name for recording_id in ids for name in truth(trtc_connection, recording_id))
    assert outcome.xcom(task_id="collect") == everything


# -- arguments --------------------------------------------------------------------------------------


def test_a_wrong_choice_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="if_never_seen"):
        TrtcRecordingSensor(task_id="t", recording_id="r", if_never_seen="ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value, words, others",
    [
        (None, ["is empty", "the call"], ["map the sensor", "NoneType"]),
        ("", ["is empty", "the call"], ["map the sensor"]),
        (" None ", ["is empty"], ["map the sensor"]),
        (["a", "b"], ["not list", "map the sensor: S.partial()"], ["is empty", "native"]),
        ({"a"}, ["not set", "map the sensor"], ["native"]),
        (7, ["not int", "render_template_as_native_obj", "the call"], ["map the sensor"]),
        (7.0, ["not float", "render_template_as_native_obj"], ["map the sensor"]),
    ],
)
def test_an_id_that_is_none_is_refused(value: Any, words: list[str], others: list[str]) -> None:
    with pytest.raises(TrtcSetupError, match="recording_id") as error:
        checked_id("recording_id", value, "S.partial()", "the call")
    assert [word in str(error.value) for word in words] == [True] * len(words)
    assert [word in str(error.value) for word in others] == [False] * len(others)


def test_an_error_about_an_id_names_the_call_of_its_kind_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_trtc import kinds
    from airflow_trtc._compat import AirflowFailException
    from airflow_trtc.jobs.kind import JobKind

    monkeypatch.setitem(kinds.KINDS, "made_up", JobKind(name="made_up", describe_action="DescribeMadeUp"))
    for sensor, is_recording in (
        (TrtcRecordingSensor(task_id="t", recording_id=""), True),
        (TrtcJobSensor(task_id="t", kind="made_up", job_id=""), False),
    ):
        with pytest.raises(AirflowFailException, match="is empty") as error:
            sensor._begin({})
        assert ("CreateCloudRecording" in str(error.value)) == is_recording


def test_an_id_loses_its_surrounding_blanks() -> None:
    assert checked_id("recording_id", " -gCT+x..\n", "", "") == "-gCT+x.."


def test_codes_that_are_one_text_are_refused() -> None:
    with pytest.raises(ValueError, match="absent_codes"):
        TrtcRecordingSensor(task_id="t", recording_id="r", absent_codes="ResourceNotFound")


def test_deferrable_follows_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not TrtcRecordingSensor(task_id="t", recording_id="r").deferrable
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert TrtcRecordingSensor(task_id="t", recording_id="r").deferrable
    assert not TrtcRecordingSensor(task_id="t", recording_id="r", deferrable=False).deferrable


@pytest.mark.parametrize(
    "event", [None, {}, "done", {"v": 2, "status": "finished"}, {"v": 1, "status": "success"}]
)
def test_an_event_of_an_unknown_kind_never_ends_in_success(event: Any) -> None:
    from airflow_trtc._compat import AirflowFailException

    sensor = TrtcRecordingSensor(task_id="t", recording_id="r")
    with pytest.raises(AirflowFailException, match="event"):
        sensor.execute_complete({}, event)


def test_dag_file_imports(load_dags: Callable[[Path], ModuleType]) -> None:
    assert hasattr(load_dags(DAGS), "wait_poke_plain")


# -- recordings by what their start handed on ---------------------------------------------------------


def test_a_recording_has_one_name() -> None:
    with pytest.raises(ValueError, match="recording_id is missing; give it, or recording"):
        TrtcRecordingSensor(task_id="wait")
    with pytest.raises(ValueError, match="exclude each other"):
        TrtcRecordingSensor(task_id="wait", recording_id="a", recording={"recording_id": "a"})
    for wrong in ("rid", {}, {"recording_id": 5}):
        with pytest.raises(ValueError, match=r"^Task wait: recording.*start\.output"):
            TrtcRecordingSensor(task_id="wait", recording=wrong)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"^Task wait: recording.*start\.output"):
            TrtcRecordingSensor.partial(task_id="wait", recording=wrong)


def test_arguments_go_before_what_was_handed_on() -> None:
    handed_on = {"recording_id": "rid", "sdk_app_id": 1400000001, "region": "ap-shanghai"}
    sensor = TrtcRecordingSensor(task_id="wait", recording=handed_on)
    assert sensor._place() == ("rid", 1400000001, "ap-shanghai")
    sensor = TrtcRecordingSensor(task_id="wait", recording=handed_on, sdk_app_id="5", region="ap-beijing")
    assert sensor._place() == ("rid", 5, "ap-beijing")
