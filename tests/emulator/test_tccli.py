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
        ("DescribeRoomInfo", ["--RoomId", "8001"], "RoomList"),
        ("DescribeUserInfo", ["--CommId", "?"], "UserList"),
        ("DescribeCallDetailInfo", ["--CommId", "?", "--DataType", '["rtt"]'], "Data"),
        ("DescribeUserEvent", ["--CommId", "?", "--RoomId", "8001", "--UserId", "ann"], "Data"),
        ("DescribeUnusualEvent", [], "AbnormalExperienceList"),
        ("DescribeScaleInfo", [], "ScaleList"),
        ("DescribeTRTCRealTimeScaleData", [], "Data"),
    ],
)
def test_quality(tccli, emulator, action, more, field):
    unusual = [{"experience_id": 4, "causes": [2024]}]
    user = {"user_id": "ann", "unusual": unusual}
    now = int(emulator.health()["now"])
    start = now - 100 if field != "ScaleList" else now - 2 * 86_400
    comm_id = emulator.add_call("8001", users=[user], began_at=now - 90, lasts_seconds=60)
    given = [comm_id if each == "?" else each for each in more]
    done = tccli(action, "--StartTime", str(start), "--EndTime", str(now), *given)
    assert json.loads(done.stdout)[field], done.stderr
