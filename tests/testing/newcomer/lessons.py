"""Tests of a DAG of one's own: save it as test_lessons.py and run pytest. Nothing has to be set up."""

from airflow.sdk import DAG, task

from airflow_trtc.sensors import TrtcRecordingSensor

with DAG("lessons", schedule=None, params={"recording_id": ""}) as lessons:

    @task
    def process(file: dict) -> str:
        print("processing", file["object_key"])
        return file["file_name"]

    wait = TrtcRecordingSensor(
        task_id="wait", recording_id="{{ params.recording_id }}", deferrable=True, poke_interval=10
    )
    process.expand(file=wait.output)


def test_every_file_is_processed(trtc_airflow, trtc_emulator):
    # One file more at each poll; the fifth poll finds that the recording is over.
    recording_id = trtc_emulator.add_recording(files=3, file_every_reads=1, ends_after_reads=4)
    run = trtc_airflow.run(lessons, {"recording_id": recording_id})
    assert run.state == "success", run
    made = [file["FileName"] for file in trtc_emulator.truth(recording_id)["files"]]
    assert run["process"].value == made
    assert [one.state for one in run["process"].mapped] == ["success"] * 3
    assert run["wait"].xcoms["recording"]["file_count"] == 3
    assert "processing" in run["process"].mapped[0].log


def test_a_throttled_service_only_makes_it_later(trtc_airflow, trtc_emulator):
    recording_id = trtc_emulator.add_recording(files=1, ends_after_reads=2)
    trtc_emulator.fault("throttle", count=2)
    run = trtc_airflow.run(lessons, {"recording_id": recording_id})
    assert run.state == "success", run


def test_a_wrong_id_fails_and_says_why(trtc_airflow):
    run = trtc_airflow.run(lessons, {"recording_id": "no-such-recording"})
    assert run["wait"].state == "failed"
    assert run["process"].state == "upstream_failed"
    assert "has not known this recording" in run["wait"].log
