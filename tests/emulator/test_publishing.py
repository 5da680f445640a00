"""Relays to CDNs: what is started, changed and stopped, what their callbacks report, and what they cost."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest

from airflow_trtc.cloud.user_sig import Signer
from airflow_trtc.emulator import DEFAULT_SDK_SECRET_KEY, ControlError
from airflow_trtc.emulator.control import run
from airflow_trtc.emulator.pages import overview_page, recording_page
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.state import State

APP = 1400000001
URL = "rtmp://a.example/live/one"
OTHER_URL = "rtmp://b.example/live/two"


def signed(user_id):
    signer = Signer(APP, DEFAULT_SDK_SECRET_KEY)
    return {"UserId": user_id, "UserSig": signer.user_sig(user_id, now=time.time(), seconds=3600)}


def to(*urls):
    return [{"PublishCdnUrl": url, "IsTencentCdn": 1} for url in urls]


def least(**changes):
    """The least StartPublishCdnStream takes."""
    values = {
        "SdkAppId": APP,
        "RoomId": "8001",
        "RoomIdType": 0,
        "AgentParams": signed("relay"),
        "WithTranscoding": 1,
        "AudioParams": {"AudioEncode": {"SampleRate": 48000, "Channel": 2, "BitRate": 64}},
        "PublishCdnParams": to(URL),
    }
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


@pytest.fixture
def state():
    return State(Settings(time_scale=0, rate_limit=0, seed=7, callback_url="http://127.0.0.1:9/"))


@pytest.fixture
def act(ask, state):
    """Call an action; an answer, or the code of an error."""

    def act(action, values):
        answer = ask(values, of=state, action=action)
        return answer["Error"]["Code"] if "Error" in answer else answer

    return act


@pytest.fixture
def start(act):
    def start(**changes):
        answer = act("StartPublishCdnStream", least(**changes))
        return answer if isinstance(answer, str) else answer["TaskId"]

    return start


@pytest.fixture
def update(act):
    def update(relay_id, number, **changes):
        values = {"SdkAppId": APP, "TaskId": relay_id, "SequenceNumber": number, "WithTranscoding": 1}
        answer = act("UpdatePublishCdnStream", {**values, **changes})
        return answer if isinstance(answer, str) else "OK"

    return update


@pytest.fixture
def stop(act):
    def stop(relay_id):
        answer = act("StopPublishCdnStream", {"SdkAppId": APP, "TaskId": relay_id})
        return answer if isinstance(answer, str) else "OK"

    return stop


def truth(state, relay_id):
    return run(state, "GET", "truth", {"job_id": relay_id})


def chain(state, relay_id, url=URL):
    """The statuses that callbacks reported of a URL."""
    reported = [each["event_info"]["Payload"] for each in truth(state, relay_id)["callbacks"]]
    return [each["Status"] for each in reported if each["Url"] == url]


def test_a_whole_life(state, start, update, stop):
    relay_id = start()
    assert chain(state, relay_id) == [1, 2]
    assert run(state, "GET", "bill", {})["running_jobs"] == [relay_id]
    assert update(relay_id, 1) == "OK"
    state.clock.advance(60)
    assert stop(relay_id) == "OK"
    assert chain(state, relay_id) == [1, 2, 5, 0]
    bill = run(state, "GET", "bill", {})
    assert bill["running_jobs"] == []
    (line,) = bill["jobs"]
    assert (line["end_reason"], round(line["seconds"]), line["room_id"]) == ("stopped", 60, "8001")
    assert line["started_by"] is not None is not line["stopped_by"]
    assert (stop(relay_id), update(relay_id, 2)) == ("ResourceNotFound", "FailedOperation.TaskFinished")


def test_an_event_has_all_the_service_documents(state, start):
    relay_id = start()
    event = truth(state, relay_id)["callbacks"][0]
    info = event["event_info"]
    assert (event["event_group"], event["event_type"]) == (4, 401)
    assert set(info) == {"RoomId", "RoomType", "EventMsTs", "UserId", "TaskId", "Payload"}
    assert (info["RoomId"], info["RoomType"], info["UserId"], info["TaskId"]) == (
        "8001",
        0,
        "relay",
        relay_id,
    )
    assert info["Payload"] == {"Url": URL, "Status": 1, "ErrorCode": 0, "ErrorMsg": ""}


def test_updates_only_go_forward(state, start, update):
    relay_id = start()
    codes = [update(relay_id, number) for number in (5, 5, 4, 2**62)]
    outdated = "FailedOperation.RequestOutdated"
    assert codes == ["OK", outdated, outdated, "OK"]
    assert [each["sequence_number"] for each in truth(state, relay_id)["updates"]] == [5, 2**62]


def test_an_update_of_addresses_moves_the_streams(state, start, update):
    relay_id = start(PublishCdnParams=to(URL, "rtmp://c.example/x"))
    assert update(relay_id, 1, PublishCdnParams=to(OTHER_URL, "rtmp://c.example/x")) == "OK"
    assert chain(state, relay_id) == [1, 2, 5, 0]
    assert chain(state, relay_id, OTHER_URL) == [1, 2]
    assert chain(state, relay_id, "rtmp://c.example/x") == [1, 2]
    assert truth(state, relay_id)["is_running"]


def test_what_is_not_given_stays(state, start, update):
    relay_id = start(VideoParams={"VideoEncode": {"Width": 640}})
    update(relay_id, 1, AudioParams={"SubscribeAudioList": []})
    content = truth(state, relay_id)["content"]
    assert content["VideoParams"] == {"VideoEncode": {"Width": 640}}
    assert content["AudioParams"] == {"SubscribeAudioList": []}


def test_a_robot_relays_once(state, start):
    first, second, other = start(), start(), start(AgentParams=signed("other"))
    assert truth(state, first)["end_reason"] == "replaced"
    assert run(state, "GET", "bill", {})["running_jobs"] == [second, other]


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"AgentParams": {"UserId": "relay", "UserSig": "x"}}, "InvalidParameter.UserSig"),
        ({"AgentParams": signed("other") | {"UserId": "relay"}}, "InvalidParameter.UserSig"),
        ({"AgentParams": signed("relay") | {"MaxIdleTime": 4}}, "InvalidParameter.OutOfRange"),
        ({"AgentParams": None}, "MissingParameter"),
        ({"AudioParams": None}, "MissingParameter"),
        ({"PublishCdnParams": None}, "MissingParameter"),
        ({"PublishCdnParams": to("https://a.example/x")}, "InvalidParameter"),
        ({"PublishCdnParams": to(*[URL] * 11)}, "InvalidParameter.OutOfRange"),
        ({"RoomId": "physics"}, "InvalidParameter.OutOfRange"),
        ({"RoomIdType": 2}, "InvalidParameter.OutOfRange"),
        ({"SingleSubscribeParams": {}}, "InvalidParameter"),
        ({"WithTranscoding": None}, "MissingParameter"),
        ({"Misspelt": 1}, "UnknownParameter"),
    ],
)
def test_what_cannot_be_started(state, start, changes, code):
    assert start(**changes) == code
    assert run(state, "GET", "bill", {})["jobs"] == []


def test_room_types_are_the_opposite_of_those_of_recordings(state, start):
    relay_id = start(RoomIdType=1)
    facts = truth(state, relay_id)
    assert (facts["room_id"], facts["is_string_room"]) == ("8001", True)
    assert facts["callbacks"][0]["event_info"]["RoomType"] == 1


def test_a_relay_ends_when_its_room_was_empty_for_long_enough(state, start):
    run(state, "POST", "room", {"room_id": "8001", "enter": ["alice"]})
    relay_id = start(AgentParams={**signed("relay"), "MaxIdleTime": 60})
    run(state, "POST", "room", {"room_id": "8001", "leave": ["alice"]})
    state.clock.advance(59)
    run(state, "POST", "room", {"room_id": "8001", "enter": ["bob"]})
    state.clock.advance(100)
    assert truth(state, relay_id)["is_running"]
    run(state, "POST", "room", {"room_id": "8001", "leave": ["bob"]})
    assert state.callbacks.next_at() == pytest.approx(state.clock.now() + 60)
    state.clock.advance(61)
    facts = truth(state, relay_id)
    assert (facts["end_reason"], facts["is_running"]) == ("idle", False)
    assert chain(state, relay_id) == [1, 2, 5, 0]


def test_a_relay_of_an_empty_room_ends_too(state, start):
    run(state, "POST", "room", {"room_id": "8001", "enter": ["alice"]})
    run(state, "POST", "room", {"room_id": "8001", "leave": ["alice"]})
    relay_id = start()
    state.clock.advance(31)
    assert truth(state, relay_id)["end_reason"] == "idle"


@pytest.mark.parametrize(
    "action, values, reason",
    [("DismissRoom", {}, "dismissed"), ("RemoveUser", {"UserIds": ["relay"]}, "removed")],
)
def test_a_relay_ends_with_its_room_and_its_robot(state, act, start, action, values, reason):
    relay_id = start()
    assert "RequestId" in act(action, {"SdkAppId": APP, "RoomId": 8001, **values})
    assert truth(state, relay_id)["end_reason"] == reason
    assert chain(state, relay_id)[-2:] == [5, 0]
    assert act("DismissRoom", {"SdkAppId": APP, "RoomId": 8001}) == "FailedOperation.RoomNotExist"


def test_a_stream_recovers_and_fails_by_script(state, start):
    relay_id = start(PublishCdnParams=to(URL, OTHER_URL))
    run(state, "POST", "relay", {"job_id": relay_id, "url": URL, "statuses": [3, 2]})
    assert chain(state, relay_id) == [1, 2, 3, 2]
    failure = {"status": 4, "after_seconds": 60, "error_code": -1, "error_msg": "refused"}
    run(state, "POST", "relay", {"job_id": relay_id, "url": URL, "statuses": [3, failure, 0]})
    assert chain(state, relay_id)[4:] == [3]
    state.clock.advance(61)
    assert chain(state, relay_id)[4:] == [3, 4, 0]
    payloads = [each["event_info"]["Payload"] for each in truth(state, relay_id)["callbacks"]]
    assert {"Url": URL, "Status": 4, "ErrorCode": -1, "ErrorMsg": "refused"} in payloads
    assert truth(state, relay_id)["is_running"]
    run(state, "POST", "relay", {"job_id": relay_id, "url": OTHER_URL, "statuses": [4, 0]})
    assert truth(state, relay_id)["end_reason"] == "failed"


def test_a_url_that_never_connects(state, start):
    run(state, "POST", "relay", {"url": URL, "statuses": [1, {"status": 4, "after_seconds": 60}, 0]})
    relay_id = start()
    assert chain(state, relay_id) == [1]
    state.clock.advance(61)
    assert (chain(state, relay_id), truth(state, relay_id)["end_reason"]) == ([1, 4, 0], "failed")


def test_one_url_that_fails_at_once_leaves_the_others_alone(state, start):
    run(state, "POST", "relay", {"url": URL, "statuses": [1, 4, 0]})
    relay_id = start(PublishCdnParams=to(URL, OTHER_URL))
    assert chain(state, relay_id) == [1, 4, 0]
    assert chain(state, relay_id, OTHER_URL) == [1, 2]
    assert truth(state, relay_id)["is_running"]


def test_what_is_still_to_come_of_a_relay_that_ended_never_comes(state, start, stop):
    run(state, "POST", "relay", {"url": URL, "statuses": [1, {"status": 2, "after_seconds": 10}]})
    relay_id = start()
    stop(relay_id)
    state.clock.advance(11)
    assert chain(state, relay_id) == [1, 5, 0]


def test_scripts_that_cannot_be(state, start):
    relay_id = start()
    for options, words in (
        ({"job_id": "x", "statuses": []}, "no relay 'x'"),
        ({"job_id": relay_id, "url": "rtmp://x", "statuses": []}, "no URL"),
        ({"statuses": [1]}, "job_id or url is missing"),
        ({"url": URL, "statuses": [6]}, "status must be"),
        ({"url": URL, "statuses": [1], "wrong": 1}, "unknown option wrong"),
    ):
        with pytest.raises(ControlError, match=words):
            run(state, "POST", "relay", options)


def test_rooms_to_publish_to_need_a_signature_too(state, start):
    there = {"RoomId": "9", "RoomIdType": 0, **signed("mixer")}
    assert start(FeedBackRoomParams=[{**there, "UserSig": "x"}]) == "InvalidParameter.UserSig"
    relay_id = start(FeedBackRoomParams=[there], PublishCdnParams=None)
    assert truth(state, relay_id)["content"]["FeedBackRoomParams"][0]["UserSig"] == "***"


def test_the_old_mixing_answers(act):
    numeric, named = {"SdkAppId": APP, "RoomId": 8001}, {"SdkAppId": APP, "StrRoomId": "physics"}
    more = {"OutputParams": {"StreamId": "x"}, "EncodeParams": {}, "LayoutParams": {}}
    for by, room in (("", numeric), ("ByStrRoomId", named)):
        assert set(act(f"StartMCUMixTranscode{by}", {**room, **more})) == {"RequestId"}
        assert set(act(f"StopMCUMixTranscode{by}", room)) == {"RequestId"}


def test_a_reset_forgets_relays(state, start):
    start()
    run(state, "POST", "reset", {})
    assert run(state, "GET", "bill", {})["jobs"] == []
    assert len(state.room_followers) == 1


def test_both_clients_of_the_sdk(call, emulator):
    relay_id = call("StartPublishCdnStream", least())["TaskId"]
    named = {"SdkAppId": APP, "TaskId": relay_id}
    update = {**named, "SequenceNumber": 3, "WithTranscoding": 1}
    assert call("UpdatePublishCdnStream", update)["TaskId"] == relay_id
    assert call("StopPublishCdnStream", named)["TaskId"] == relay_id
    assert emulator.truth(relay_id)["sequence_number"] == 3
    emulator.room("8001", enter=["alice", "bob"])
    assert call("RemoveUser", {"SdkAppId": APP, "RoomId": 8001, "UserIds": ["alice"]})
    assert call("DismissRoom", {"SdkAppId": APP, "RoomId": 8001})
    assert [each["users"] for each in emulator.rooms()["actions"]] == [["alice"], ["bob"]]


def test_pages_list_relays_without_what_lets_others_publish(state, start, stop):
    nasty = "rtmp://user:pass@b.example/live/<i>/secretname?txSecret=secretkey"
    running, stopped = start(PublishCdnParams=to(URL, nasty)), start(RoomId="8002")
    stop(stopped)
    html = overview_page(state)
    row = html.split(f'href="{quote(running, safe="")}"')[1].split("</tr>")[0]
    addresses = "rtmp://a.example/live/... running, rtmp://b.example/live/&lt;i&gt;/... running"
    assert "<td>8001 (numeric)</td><td>relay</td><td>running</td>" in row
    assert addresses in row
    assert "<td>stopped</td>" in html
    page = recording_page(state, running)
    assert "rtmp://a.example/live/..." in page
    assert "<td>connecting</td>" in page
    for secret in ("pass", "secretname", "secretkey", "/one"):
        assert secret not in html + page


@pytest.mark.parametrize(
    "url", ["rtmp://", "rtmp://[", "rtmp://h", "rtmp://@/", "rtmps://a/b?c/d#e", "rtmp://?/"]
)
def test_pages_bear_any_address(url, state, start):
    relay_id = start(PublishCdnParams=to(url))
    assert "/..." in recording_page(state, relay_id) + overview_page(state)
