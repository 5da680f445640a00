"""The hook: from an Airflow connection, read from the environment, to the service."""

import asyncio
import base64
import gc
import json
import subprocess
import sys
import time
import weakref
import zlib
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_trtc import hooks
from airflow_trtc._compat import gc_tuning_enabled, shares_pace
from airflow_trtc.aio import within
from airflow_trtc.cloud import pace
from airflow_trtc.cloud.calls import any_action, start
from airflow_trtc.cloud.failures import value_of
from airflow_trtc.cloud.shared_file import default_directory
from airflow_trtc.emulator import (
    DEFAULT_DENIED_SECRET_ID,
    DEFAULT_DENIED_SECRET_KEY,
    DEFAULT_FOREIGN_SDK_APP_ID,
    Emulator,
)
from airflow_trtc.errors import TrtcFailedError, TrtcSetupError, TrtcTransientError
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.observation import Snapshot
from airflow_trtc.jobs.ref import JobRef
from airflow_trtc.kinds import KINDS, RECORDING


@pytest.fixture(scope="module")
def emulator():
    with Emulator(rate_limit=0, check_user_sig=False) as running:
        yield running


@pytest.fixture
def connect(emulator, brisk_start, monkeypatch):
    """Put a connection to the emulator into the environment, changed as the test wants."""

    def put(conn_id="trtc_default", *, text=None, **changes):
        emulator.reset()
        connection = {**emulator.connection, **changes}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", text or json.dumps(connection))

    return put


def test_a_recording_is_described_through_a_json_connection(emulator, connect):
    connect()
    recording_id = emulator.add_recording(files=2)
    snapshot = TrtcHook().describe_recording(recording_id)
    assert (snapshot.job_id, len(snapshot.files)) == (recording_id, 2)


@pytest.mark.parametrize(
    "form",
    [
        "trtc://{id}:{key}@127.0.0.1:{port}/http?sdk_app_id={app}&region=ap-beijing&timeout_seconds=3",
        "trtc://http://{id}:{key}@127.0.0.1:{port}/?sdk_app_id={app}&region=ap-beijing&timeout_seconds=3",
        "trtc://{id}:{key}@http%3A%2F%2F127.0.0.1:{port}/?sdk_app_id={app}&region=ap-beijing&timeout_seconds=3",
    ],
)
def test_a_recording_is_described_through_a_uri_connection(emulator, connect, form):
    values = {
        "id": emulator.secret_id,
        "key": emulator.secret_key,
        "port": emulator.port,
        "app": emulator.sdk_app_id,
    }
    connect(text=form.format(**values))
    hook = TrtcHook()
    assert hook.describe_recording(emulator.add_recording()).status == "InProgress"
    assert (hook.settings.region, hook.settings.timeout_seconds) == ("ap-beijing", 3.0)


def test_the_connection_survives_being_stored_as_a_uri(emulator):
    """Airflow keeps connections as URIs in its cache and in some secret stores."""
    stored = Connection.from_json(emulator.connection_json, conn_id="c").get_uri()
    assert Connection.from_uri(stored, conn_id="c").host == emulator.url


def test_coroutines_share_a_client_and_close_it(emulator, connect):
    connect()
    ids = [emulator.add_recording() for _ in range(3)]

    async def main():
        async with TrtcHook() as one, TrtcHook() as two:
            assert await one.aget_conn() is await two.aget_conn()
            found = await asyncio.gather(*(hook.adescribe_recording(i) for hook in (one, two) for i in ids))
            answer = await one.acall("DescribeCloudRecording", {"TaskId": ids[0]})
        return found, answer

    found, answer = asyncio.run(main())
    assert [snapshot.job_id for snapshot in found] == ids * 2
    assert answer["TaskId"] == ids[0]


def test_one_hook_serves_several_event_loops(emulator, connect):
    connect()
    recording_id = emulator.add_recording()
    hook = TrtcHook()
    for _ in range(2):
        assert asyncio.run(hook.adescribe_recording(recording_id)).status == "InProgress"


def test_calls_get_the_application_of_the_connection(emulator, connect):
    connect()
    recording_id = emulator.add_recording()
    assert TrtcHook().call("DescribeCloudRecording", {"TaskId": recording_id})["Status"] == "InProgress"


def test_calls_made_by_hand_run_through_the_hook(emulator, connect):
    connect()
    recording_id = emulator.add_recording()

    async def main(hook):
        async with hook:
            return await hook.arun(any_action("DescribeCloudRecording", params)), await hook.adescribe(*job)

    params, job = {"SdkAppId": emulator.sdk_app_id, "TaskId": recording_id}, ("recording", recording_id)
    hook = TrtcHook()
    assert hook.run(any_action("DescribeCloudRecording", params))["Status"] == "InProgress"
    described = hook.describe(*job)
    assert isinstance(described, Snapshot)
    assert described.status == "InProgress"
    answer, seen = asyncio.run(main(TrtcHook()))
    assert (answer["Status"], seen.status) == ("InProgress", "InProgress")


def test_a_job_is_named_by_kind_application_region_and_id(connect):
    connect(extra={"region": "ap-beijing", "sdk_app_id": 1})
    assert TrtcHook().job("recording", "x") == JobRef("recording", 1, "ap-beijing", "x")
    with pytest.raises(TrtcSetupError, match="the kinds are recording"):
        TrtcHook().job("recordings", "x")


def test_a_job_is_polled_through_the_hook(emulator, connect):
    connect()
    recording_id = emulator.add_recording()

    async def main():
        news = asyncio.Event()
        async with TrtcHook() as hook:
            with pytest.raises(RuntimeError, match="aprepare"):
                hook.subscribe(RECORDING, JobRef("recording", 1, None, "x"), news.set)
            await hook.aprepare()
            subscription = hook.subscribe(RECORDING, hook.job("recording", recording_id), news.set)
            subscription.request(0.0)
            await asyncio.wait_for(news.wait(), 60)
            (result,) = subscription.drain()
            subscription.close()
        return result.value

    assert asyncio.run(main()).status == "InProgress"


def test_an_ended_recording_is_a_failure_with_its_code(emulator, connect):
    connect()
    with pytest.raises(TrtcFailedError) as caught:
        TrtcHook().describe_recording(emulator.new_recording_id())
    assert caught.value.code == "ResourceNotFound"


def test_attempts_are_the_callers_choice(emulator, connect):
    connect()
    emulator.fault("http", count=1)
    with pytest.raises(TrtcTransientError):
        TrtcHook().describe_recording("x", attempts=1)


def test_arguments_come_before_the_connection(connect):
    connect(extra={"region": "ap-beijing", "sdk_app_id": 1})
    settings = TrtcHook().settings
    assert (settings.region, settings.sdk_app_id) == ("ap-beijing", 1)
    refused: list[dict[str, Any]] = [
        {"region": "ap mumbai"},
        {"region": "ap-mumbai\u200b"},
        {"sdk_app_id": "my app"},
    ]
    for wrong in refused:
        with pytest.raises(TrtcSetupError, match=f"argument {next(iter(wrong))}"):
            _ = TrtcHook(**wrong).settings
    loose: dict[str, Any] = {"region": " ap-mumbai ", "sdk_app_id": "2"}
    hook = TrtcHook(**loose)
    assert (hook.settings.region, hook.settings.sdk_app_id) == ("ap-mumbai", 2)
    assert asyncio.run(TrtcHook(region="ap-mumbai", sdk_app_id=2).asettings()) == hook.settings


@pytest.mark.parametrize("extra", [None, "", {}])
def test_a_missing_application_names_connection_and_field(emulator, connect, extra):
    connect("other", extra=extra)
    with pytest.raises(TrtcSetupError, match="'other'.*sdk_app_id"):  # noqa: RUF043
        TrtcHook("other").describe_recording("x")
    with pytest.raises(TrtcSetupError, match="'other'.*sdk_app_id"):  # noqa: RUF043
        asyncio.run(TrtcHook("other").adescribe_recording("x"))
    assert emulator.state()["counters"] == {}


def test_a_missing_connection_is_named():
    with pytest.raises(TrtcSetupError, match="no connection 'nowhere'"):
        TrtcHook("nowhere").get_conn()
    with pytest.raises(TrtcSetupError, match="no connection 'nowhere'"):
        asyncio.run(TrtcHook("nowhere").asettings())


@pytest.mark.parametrize(
    "extra, word", [("{broken", "JSON"), ("[1]", "JSON object"), ({"region": {}}, "region")]
)
def test_a_wrong_field_names_the_connection(connect, extra, word):
    if isinstance(extra, str) and not hasattr(Connection, "aextra_dejson"):
        pytest.skip("below Airflow 3.3 Airflow itself refuses such a connection, and says it is not there")
    connect(extra=extra)
    with pytest.raises(TrtcSetupError, match=f"'trtc_default': .*{word}"):
        _ = TrtcHook().settings


def test_a_misspelt_field_is_warned_about(connect, monkeypatch):
    connect(extra={"regoin": "ap-beijing"})
    warnings = []
    hook = TrtcHook()
    monkeypatch.setattr(hook.log, "warning", lambda text, *values: warnings.append(text % values))
    _ = hook.settings
    assert len(warnings) == 1
    assert "did you mean region?" in warnings[0]


def test_secrets_of_the_extra_are_masked_in_logs(monkeypatch):
    extra = json.dumps({"token": "session-token"})
    connection = Connection(conn_id="c", login="AKIDx", password="secret-key", extra=extra)
    masked = []

    async def found(self, conn_id):
        return connection

    async def amask(secret, name=None):
        masked.append(secret)

    monkeypatch.setattr(TrtcHook, "get_connection", lambda self, conn_id: connection)
    monkeypatch.setattr(TrtcHook, "aget_connection", found)
    monkeypatch.setattr("airflow.sdk.log.mask_secret", lambda secret, name=None: masked.append(secret))
    monkeypatch.setattr("airflow.sdk.log.amask_secret", amask, raising=False)
    _ = TrtcHook().settings
    assert masked == [{"token": "session-token"}]
    asyncio.run(TrtcHook().asettings())
    twice = hasattr(Connection, "aextra_dejson")  # below Airflow 3.3 a trigger cannot mask
    assert masked == [{"token": "session-token"}] * (2 if twice else 1)


def test_a_closed_hook_leaves_the_client_to_the_others(emulator, connect):
    connect()
    recording_id = emulator.add_recording()

    async def main():
        async with TrtcHook() as one:
            client = await one.aget_conn()
            async with TrtcHook() as two:
                await two.adescribe_recording(recording_id)
            assert client._transport is not None
        assert client._transport is None

    asyncio.run(main())


def test_a_connection_that_is_never_told_is_asked_for_again(emulator, connect, monkeypatch):
    connect()
    monkeypatch.setattr(hooks, "MAX_READING_SECONDS", 0.1)
    real, lookups = TrtcHook._aconnection, []

    async def look_up(self):
        lookups.append(self)
        if len(lookups) == 1:
            await asyncio.Event().wait()
        return await real(self)

    monkeypatch.setattr(TrtcHook, "_aconnection", look_up)

    async def main():
        for _ in range(2):
            with pytest.raises(asyncio.TimeoutError):
                await within(0.02, TrtcHook().aprepare())
        await asyncio.sleep(0.1)
        await asyncio.gather(*(within(5.0, TrtcHook().aprepare()) for _ in range(5)))

    asyncio.run(main())
    assert len(lookups) == 2


def test_event_loops_that_read_a_connection_are_not_kept(connect):
    connect()

    async def main():
        await TrtcHook().aprepare()
        return weakref.ref(asyncio.get_running_loop())

    loops = [asyncio.run(main()) for _ in range(3)]
    gc.collect()
    assert [loop() for loop in loops[:-1]] == [None] * 2  # Python itself may keep the last one


def test_a_connection_that_airflow_denies_is_told(monkeypatch):
    def deny(self, conn_id):
        raise PermissionError("denied")

    monkeypatch.setattr(TrtcHook, "get_connection", deny)
    with pytest.raises(TrtcTransientError, match="'trtc_default'"):
        _ = TrtcHook().settings


def test_constructing_reads_nothing():
    assert TrtcHook("nowhere").trtc_conn_id == "nowhere"


class TestConnection:
    def test_a_good_connection(self, connect, emulator):
        connect()
        works, message = TrtcHook().test_connection()
        assert works
        assert str(emulator.sdk_app_id) in message
        assert emulator.state()["counters"] == {"DescribeCloudRecording": {"ResourceNotFound": 1}}

    def test_airflow_can_run_it(self, emulator, monkeypatch):
        """As the API server and workers do, with a connection that is stored nowhere yet."""
        if not hasattr(Connection, "test_connection"):
            pytest.skip("below Airflow 3.3 only the API server's own kind of connection can be tested")
        monkeypatch.setattr(Connection, "get_hook", lambda self, **_: TrtcHook(self.conn_id))
        connection = Connection.from_json(emulator.connection_json, conn_id="not_saved")
        assert connection.test_connection()[0]

    def test_without_an_application_it_says_what_was_not_checked(self, connect):
        connect(extra={})
        works, message = TrtcHook().test_connection()
        assert works
        assert "not checked" in message
        assert "sdk_app_id" in message

    @pytest.mark.parametrize(
        "changes, words",
        [
            ({"login": "AKIDnobody"}, ["does not know this SecretId", "login"]),
            ({"password": "wrong-key"}, ["SecretKey is wrong", "password"]),
            (
                {"login": DEFAULT_DENIED_SECRET_ID, "password": DEFAULT_DENIED_SECRET_KEY},
                ["may not read recordings", "CAM"],
            ),
            (
                {"extra": {"sdk_app_id": DEFAULT_FOREIGN_SDK_APP_ID}},
                ["not for this application", "sdk_app_id"],
            ),
            ({"extra": {"sdk_app_id": 1400000001, "region": "mars-1"}}, ["region is wrong", "ap-guangzhou"]),
            ({"host": "http://127.0.0.1:9"}, ["cannot be reached", "firewall"]),
            ({"host": "http://no-such-host.invalid"}, ["cannot be reached", "resolved"]),
            ({"host": "ftp://x"}, ["API endpoint", "'trtc_default'"]),
            ({"login": ""}, ["SecretId", "login"]),
            ({"login": "AKIDnobody", "extra": {}}, ["does not know this SecretId"]),
        ],
    )
    def test_trouble_is_told_apart(self, connect, changes, words):
        connect(**changes)
        works, message = TrtcHook().test_connection()
        assert not works
        assert [word for word in words if word not in message] == []
        assert "wrong-key" not in message

    def test_a_wrong_clock(self, monkeypatch):
        with Emulator(clock_skew_seconds=3600) as late:
            monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", late.connection_json)
            works, message = TrtcHook().test_connection()
        assert not works
        assert "clock of this machine is wrong" in message

    def test_no_connection_at_all(self):
        works, message = TrtcHook("nowhere").test_connection()
        assert not works
        assert "nowhere" in message

    def test_trouble_of_the_service_is_not_repeated(self, connect, emulator):
        connect()
        emulator.fault("http", status=503)
        works, message = TrtcHook().test_connection()
        assert not works
        assert "503" in message
        assert sum(sum(codes.values()) for codes in emulator.state()["counters"].values()) == 1


def test_importing_the_hook_loads_no_sdk_and_no_http_library():
    """A Dag file pays for what it imports: only Airflow's own imports may load such modules."""
    program = (
        "import sys\n"
        "from airflow.sdk import BaseHook\n"
        "before = set(sys.modules)\n"
        "import airflow_trtc.hooks\n"
        "print([m for m in set(sys.modules) - before"
        " if m.split('.')[0] in ('tencentcloud', 'httpx', 'requests', 'fastapi', 'starlette', 'tenacity')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_a_user_sig_is_signed_with_the_key_of_the_application(emulator, connect):
    extra = {**emulator.connection["extra"], "sdk_secret_key": " 5bd2850fff3e "}
    connect(extra=extra)
    hook = TrtcHook()
    ticket = json.loads(
        zlib.decompress(base64.b64decode(hook.user_sig("robot").translate(str.maketrans("*-_", "+/="))))
    )
    assert ticket["TLS.sdkappid"] == emulator.connection["extra"]["sdk_app_id"]
    assert (ticket["TLS.identifier"], ticket["TLS.expire"]) == ("robot", 86_400)
    assert ticket["TLS.time"] == pytest.approx(time.time(), abs=60)
    assert hook.private_map_key("robot", "room").startswith("eJ")
    assert "5bd2850fff3e" not in repr(hook.settings)


def test_without_the_key_of_the_application_nothing_is_signed(emulator, connect):
    extra = {name: value for name, value in emulator.connection["extra"].items() if name != "sdk_secret_key"}
    connect(extra=extra)
    with pytest.raises(TrtcSetupError, match="sdk_secret_key is not set"):
        TrtcHook().user_sig("robot")


CREATE = {
    "RoomId": "8001",
    "UserId": "robot",
    "UserSig": "sig",
    "RecordParams": {"RecordMode": 2},
    "StorageParams": {"CloudVod": {"TencentVod": {}}},
}


def test_a_recording_is_started_changed_and_stopped(emulator, connect):
    connect()
    hook = TrtcHook()
    recording_id = hook.start("recording", CREATE)
    assert emulator.truth(recording_id)["room_id"] == "8001"
    hook.modify_recording(recording_id, {"MixLayoutParams": {"MixLayoutMode": 3}})
    assert emulator.truth(recording_id)["layout"] == {"MixLayoutMode": 3}
    assert hook.stop("recording", recording_id) is True
    assert emulator.truth(recording_id)["end_reason"] == "deleted"
    assert hook.stop("recording", recording_id) is False
    with pytest.raises(TrtcFailedError, match="ResourceNotFound"):
        hook.modify_recording(recording_id, {})


def test_a_recording_is_stopped_without_blocking(emulator, connect):
    connect()

    async def stop_twice(recording_id):
        async with TrtcHook() as hook:
            return await hook.astop("recording", recording_id), await hook.astop("recording", recording_id)

    assert asyncio.run(stop_twice(emulator.add_recording())) == (True, False)


def test_a_start_of_unknown_outcome_is_sent_once(emulator, connect):
    connect()
    emulator.fault("error", code="InternalError", action="CreateCloudRecording", count=1)
    with pytest.raises(TrtcTransientError) as raised:
        TrtcHook().start("recording", CREATE)
    assert raised.value.outcome_unknown
    assert emulator.state()["counters"]["CreateCloudRecording"] == {"InternalError": 1}


def test_an_answer_without_an_id_leaves_open_whether_a_job_was_started():
    for answer in ({}, {"TaskId": ""}, {"TaskId": 7}, {"TaskId": "x" * 5000}):
        with pytest.raises(TrtcTransientError, match="names no job") as raised:
            value_of(start(KINDS["recording"], {}), {"Response": answer})
        assert raised.value.outcome_unknown


@pytest.mark.parametrize(
    "options, directory",
    [
        ({}, default_directory()),
        ({"SHARED_PACE": "True", "SHARED_PACE_DIRECTORY": ""}, default_directory()),
        ({"SHARED_PACE": "perhaps"}, default_directory()),
        ({"SHARED_PACE_DIRECTORY": "/run/airflow/trtc"}, "/run/airflow/trtc"),
        ({"SHARED_PACE": "False", "SHARED_PACE_DIRECTORY": "/run/airflow/trtc"}, None),
    ],
)
def test_where_processes_share_their_pace(connect, monkeypatch, options, directory):
    connect()
    monkeypatch.delenv("AIRFLOW__TRTC__SHARED_PACE_DIRECTORY")
    for name, value in options.items():
        monkeypatch.setenv(f"AIRFLOW__TRTC__{name}", value)
    assert TrtcHook().settings.pace_directory == directory


ASK = """
import sys
from airflow_trtc.hooks import TrtcHook
hook = TrtcHook()
hook.describe_recording(sys.argv[1])
print(hook.get_conn().budget("DescribeCloudRecording").rate())
"""


def test_a_process_begins_at_the_pace_that_another_one_found(emulator, connect, tmp_path, monkeypatch):
    """One is refused, and the next one, in a process of its own, knows of it."""
    extra = emulator.connection["extra"] | {"requests_per_second": 1000}
    connect(extra=extra)
    monkeypatch.setattr(pace, "START_SHARE", 0.1)  # a start like that of the other process
    directory = tmp_path / "pace"
    monkeypatch.setenv("AIRFLOW__TRTC__SHARED_PACE_DIRECTORY", str(directory))
    recording_id = emulator.add_recording()
    emulator.fault("throttle", count=1)
    hook = TrtcHook()
    hook.describe_recording(recording_id)
    command = [sys.executable, "-c", ASK, recording_id]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    assert float(run.stdout.split()[-1]) < 100.0  # with which it would begin alone
    (path,) = directory.iterdir()
    assert "airflow_trtc" not in run.stderr  # nothing of ours; Airflow 3.1 writes there
    assert emulator.secret_id.encode() not in path.read_bytes() + path.name.encode()


@pytest.mark.parametrize(
    "value, is_on", [("True", True), ("perhaps", True), ("f", False), ("False # for now", False)]
)
def test_what_can_be_switched_off_is_on_unless_it_is_said_to_be_off(monkeypatch, value, is_on):
    for option, asked in {"GC_TUNING": gc_tuning_enabled, "SHARED_PACE": shares_pace}.items():
        monkeypatch.setenv(f"AIRFLOW__TRTC__{option}", value)
        assert asked() is is_on
