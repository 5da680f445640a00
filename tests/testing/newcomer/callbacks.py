"""Tests of DAGs that need callbacks (Airflow 3.3): save it as test_callbacks.py and run pytest."""

from airflow.sdk import DAG, PartitionedAssetTimetable, task

from airflow_trtc.assets import finished_recordings
from airflow_trtc.operators import TrtcTriggeringRecordingOperator
from airflow_trtc.sensors import TrtcRecordingSensor

with DAG("conversions", schedule=None, params={"recording_id": ""}) as conversions:
    TrtcRecordingSensor(
        task_id="wait", recording_id="{{ params.recording_id }}", wait_for="mp4", deferrable=True
    )

each_recording = PartitionedAssetTimetable(assets=finished_recordings(wait_for="upload"))
with DAG("process_recording", schedule=each_recording) as process_recording:

    @task
    def process(file: dict) -> str:
        return file["file_name"]

    recording = TrtcTriggeringRecordingOperator(task_id="recording")
    process.expand(file=recording.output)


def test_conversions_are_waited_for(trtc_airflow, trtc_callbacks):
    recording_id = trtc_callbacks.add_recording(participants=2, output_format=1, ends_after_reads=3)
    run = trtc_airflow.run(conversions, {"recording_id": recording_id})
    assert run.state == "success", run
    assert [file["format"] for file in run["wait"].value].count("mp4") == 2


def test_a_recording_starts_a_run(trtc_airflow, trtc_callbacks):
    trtc_airflow.load(process_recording)  # Airflow starts no runs for what ended before it knew the DAG
    recording_id = trtc_callbacks.add_recording(files=2, ends_after_seconds=1)
    run = trtc_airflow.run_for_event(process_recording)
    assert run.state == "success", run
    assert run["recording"].xcoms["recording"]["recording_id"] == recording_id
    assert len(run["process"].mapped) == 2
