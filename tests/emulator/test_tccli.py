"""Tencent's command line tool works unchanged: it takes an http address as its endpoint."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TCCLI = Path(sys.executable).with_name("tccli")


@pytest.fixture
def tccli(emulator, tmp_path):
    if not TCCLI.exists():
        pytest.skip("tccli is not installed")

    def run(action, *arguments):
        keys = ("--secretId", emulator.secret_id, "--secretKey", emulator.secret_key)
        where = ("--endpoint", emulator.url, "--region", emulator.region, "--language", "en-US")
        return subprocess.run(
            [TCCLI, "trtc", action, *keys, *where, "--SdkAppId", str(emulator.sdk_app_id), *arguments],
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def test_describe_and_delete(tccli, emulator):
    rid = emulator.add_recording(files=1)
    seen = json.loads(tccli("DescribeCloudRecording", f"--TaskId={rid}").stdout)
    assert (seen["TaskId"], seen["Status"]) == (rid, "InProgress")
    assert seen["StorageFileList"] == emulator.truth(rid)["listed_files"]
    assert json.loads(tccli("DeleteCloudRecording", f"--TaskId={rid}").stdout)["TaskId"] == rid
    gone = tccli("DescribeCloudRecording", f"--TaskId={rid}")
    assert gone.returncode != 0
    assert "ResourceNotFound" in gone.stdout + gone.stderr


def test_create_from_json(tccli, emulator, create_values, tmp_path):
    del create_values["SdkAppId"]
    options = [
        part
        for name, value in create_values.items()
        for part in (f"--{name}", value if isinstance(value, str) else json.dumps(value))
    ]
    made = json.loads(tccli("CreateCloudRecording", *options).stdout)
    assert emulator.truth(made["TaskId"])["status"] == "InProgress"


@pytest.mark.parametrize(
    "action, more, field",
    [
        ("DescribeCallDetailInfo", ["--CommId", "?", "--DataType", '["rtt"]'], "Data"),
        ("DescribeTRTCRealTimeScaleData", [], "Data"),
    ],
)
def test_quality(tccli, emulator, action, more, field):
    now = int(emulator.health()["now"])
    comm_id = emulator.add_call("8001", users=["ann"], began_at=now - 90, lasts_seconds=60)
    given = [comm_id if each == "?" else each for each in more]
    done = tccli(action, "--StartTime", str(now - 100), "--EndTime", str(now), *given)
    assert json.loads(done.stdout)[field], done.stderr


# tccli runs once for all actions: each start of it costs a second.
EACH = """
import contextlib, io, json, sys
from tccli.loaders import Loader
from tccli.command import CLICommand


# Each command lists the vendor's hundreds of services eight hundred times.
services = {"trtc": Loader().get_available_services()["trtc"]}
Loader.get_available_services = lambda loader: services


class Kept(io.BytesIO):
    def close(self):  # as tccli does when it has written
        pass


common, given = json.loads(sys.stdin.read())
done = {}
for action, options in given.items():
    sys.argv = ["tccli", "trtc", action, *common, *options]
    kept = Kept()
    shown = io.TextIOWrapper(kept, "utf-8", write_through=True)
    try:
        with contextlib.redirect_stdout(shown):
            CLICommand()()
        done[action] = json.loads(kept.getvalue())
    except Exception as error:
        done[action] = f"{type(error).__name__}: {error}"
sys.stderr.write("DONE" + json.dumps(done))
"""


def test_every_action_that_it_knows_reaches_the_emulator(emulator, robot, tmp_path):
    from airflow_trtc.cloud.actions import ACTIONS
    from tests.cloud.requests import least

    # What it cannot read: a stream.
    rows = {name: row for name, row in ACTIONS.items() if not (row.own_types or row.is_stream)}
    given = {}
    for name, row in rows.items():
        params = least(row, robot("robot")["UserSig"])
        if row.app_param:
            params[row.app_param] = emulator.sdk_app_id
        given[name] = [
            part
            for param, value in params.items()
            for part in (f"--{param}", value if isinstance(value, str) else json.dumps(value))
        ]
    keys = ["--secretId", emulator.secret_id, "--secretKey", emulator.secret_key]
    common = [*keys, "--endpoint", emulator.url, "--region", emulator.region, "--language", "en-US"]
    ran = subprocess.run(
        [sys.executable, "-c", EACH],
        input=json.dumps([common, given]),
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    done = json.loads(ran.stderr.partition("DONE")[2])
    assert set(done) == set(rows)
    # It asks about jobs that nobody started; whatever else is refused is a mistake.
    gone = ("ResourceNotFound", "FailedOperation.Task", "FailedOperation.Room", "RoomNotExist")
    wrong = {
        name: answer
        for name, answer in done.items()
        if not (isinstance(answer, dict) or any(code in answer for code in gone))
    }
    assert wrong == {}
    assert sum(isinstance(answer, dict) for answer in done.values()) >= 40
