"""Callbacks over real HTTP: what arrives, what is tried again, what goes wrong on purpose."""

from __future__ import annotations

import itertools
import socket
import threading
import time
import urllib.request

import pytest

from airflow_trtc.emulator import ControlError, Emulator, EmulatorClient
from airflow_trtc.emulator.events import Event
from airflow_trtc.emulator.messages import body_of, envelope, headers, sign

KEY = "callbackKEY1"
OFFICIAL_BODY = (
    b'{\n\t"EventGroupId":\t2,\n\t"EventType":\t204,\n\t"CallbackTs":\t1664209748188,\n\t"EventInfo":\t{\n\t\t'
    b'"RoomId":\t8489,\n\t\t"EventTs":\t1664209748,\n\t\t"EventMsTs":\t1664209748180,\n\t\t'
    b'"UserId":\t"user_85034614",\n\t\t"Reason":\t0\n\t}\n}'
)


@pytest.fixture
def serve(receiver):
    """Start an emulator that sends to the receiver; its clock is moved by hand."""
    started = []

    def serve(**options):
        given = {"time_scale": 0, "seed": 7, "callback_url": receiver.url, "callback_key": KEY, **options}
        started.append(Emulator(**given))
        started[-1].start()
        return started[-1]

    yield serve
    for each in started:
        each.stop()


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def refusing_url():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}/"


def ledger_of(emulator, recording_id):
    return emulator.truth(recording_id)["callbacks"]


def test_the_official_signature():
    assert sign("123654", OFFICIAL_BODY) == "kkoFeO3Oh2ZHnjtg8tEAQhtXK16/KI05W3BQff8IvGA="


def test_an_indented_body_is_the_official_one():
    info = {
        "RoomId": 8489,
        "EventTs": 1664209748,
        "EventMsTs": 1664209748180,
        "UserId": "user_85034614",
        "Reason": 0,
    }
    message = envelope(Event(2, 204, 1664209748.18, info), 1664209748.188)
    assert body_of(message, is_indented=True) == OFFICIAL_BODY


def test_without_a_key_there_is_no_signature():
    assert headers(b"{}", 5, None) == {"Content-Type": "application/json", "SdkAppId": "5"}


def test_push_events_have_another_name_for_the_time_of_sending():
    assert "CallbackMsTs" in envelope(Event(7, 701, 0.0, {}), 1.0)


def test_a_life_is_reported_signed(serve, receiver):
    emulator = serve()
    rid = emulator.add_recording(files=2, output_format=1, ends_after_seconds=60, sdk_app_id=1400000001)
    emulator.advance(70)
    counters = emulator.wait_for_callbacks()
    assert sorted(receiver.types()) == [301, 302, 303, 304, 304, 305, 307, 307, 310]
    for each in receiver.received:
        assert each.headers["Sign"] == sign(KEY, each.body)
        assert each.headers["SdkAppId"] == "1400000001"
        assert each.headers["Content-Type"] == "application/json"
        assert each.message["EventInfo"]["TaskId"] == rid
    assert (counters["events"], counters["delivered"], counters["attempts"]) == (9, 9, 9)


def test_bodies_are_compact_or_indented(serve, receiver):
    emulator = serve()
    for _ in range(10):
        emulator.add_recording()
    emulator.wait_for_callbacks()
    assert {b"\t" in each.body for each in receiver.received} == {True, False}


def test_events_come_without_polls(serve, receiver):
    emulator = serve(time_scale=100)
    emulator.add_recording(files=1, output_format=1, ends_after_seconds=20)
    wait_until(lambda: 310 in receiver.types())


def test_events_come_in_time_after_the_clock_was_moved(serve, receiver):
    emulator = serve(time_scale=1.0)
    emulator.add_recording(files=1, ends_after_seconds=3600)
    wait_until(lambda: len(receiver.received) == 4)
    emulator.advance(3599.5)
    wait_until(lambda: 305 in receiver.types())


def test_the_ledger_has_what_was_received(serve, receiver):
    emulator = serve()
    rid = emulator.add_recording(files=1, storage="vod")
    emulator.end(rid)
    emulator.advance(5)
    emulator.wait_for_callbacks()
    ledger = ledger_of(emulator, rid)
    assert emulator.callbacks()["ledger"] == emulator.callbacks(rid)["ledger"] == ledger
    assert [each["event_type"] for each in ledger] == [301, 302, 311, 312]
    assert [each["number"] for each in ledger] == [1, 2, 3, 4]
    for each in ledger:
        (received,) = [one.message for one in receiver.received if one.type == each["event_type"]]
        assert received["EventInfo"] == each["event_info"]
        assert received["EventInfo"]["Payload"] == each["payload"]
        (attempt,) = each["attempts"]
        assert (attempt["status"], attempt["error"], attempt["copy"]) == (200, None, 1)
        assert (each["status"], each["copies"], each["delivered"]) == ("delivered", 1, 1)
    assert ledger[2]["payload"]["TencentVod"]["FileId"] == emulator.truth(rid)["vod_files"][0]["FileId"]


@pytest.mark.parametrize("how", ["in process", "over HTTP"])
def test_controls_over_both_ways(serve, receiver, how):
    emulator = serve(callback_url=None)
    controls = emulator if how == "in process" else EmulatorClient(emulator.url)
    with pytest.raises(ControlError, match="no callback URL"):
        controls.send_event(1, 102, {"RoomId": "8001"})
    controls.set_callback(receiver.url, "other")
    record = controls.send_event(1, 102, {"RoomId": "8001"}, sdk_app_id=5)
    assert (record["event_type"], record["status"]) == (102, "waiting")
    controls.wait_for_callbacks()
    controls.set_callback(receiver.url, None)
    controls.send_event(2, 201)
    controls.wait_for_callbacks()
    first, second = receiver.received
    assert first.headers["Sign"] == sign("other", first.body)
    assert first.headers["SdkAppId"] == "5"
    assert first.message["EventInfo"]["RoomId"] == "8001"
    assert "EventMsTs" in first.message["EventInfo"]
    assert "Sign" not in second.headers
    controls.callback_trouble(lose_types=[102])
    assert controls.send_event(1, 102)["status"] == "lost"
    assert controls.state()["callbacks"]["trouble"]["lose_types"] == [102]
    controls.callback_trouble()
    assert controls.send_event(1, 102)["status"] == "waiting"
    controls.set_callback(None)
    assert controls.state()["callbacks"]["url"] is None


def test_the_key_stays_when_only_the_address_changes(serve, receiver):
    emulator = serve(callback_url=None)
    emulator.set_callback(receiver.url)
    emulator.send_event(1, 102)
    emulator.wait_for_callbacks()
    assert receiver.received[0].headers["Sign"] == sign(KEY, receiver.received[0].body)


def test_what_happened_before_there_was_a_receiver_is_not_reported(serve, receiver):
    emulator = serve(callback_url=None)
    rid = emulator.add_recording()
    emulator.advance(10)
    emulator.set_callback(receiver.url)
    emulator.end(rid)
    emulator.advance(10)
    emulator.wait_for_callbacks()
    assert [each["event_type"] for each in ledger_of(emulator, rid)] == [302, 305]


def test_what_happened_before_a_recording_was_added_is_not_reported(serve):
    emulator = serve()
    rid = emulator.add_recording(started_seconds_ago=100, ends_after_seconds=110)
    over = emulator.add_recording(started_seconds_ago=100, ended=True, output_format=1)
    emulator.advance(20)
    assert [each["event_type"] for each in ledger_of(emulator, rid)] == [302, 305]
    assert ledger_of(emulator, over) == []


def test_without_a_url_nothing_is_kept(serve):
    emulator = serve(callback_url=None)
    rid = emulator.add_recording(ends_after_seconds=1)
    emulator.advance(100)
    assert ledger_of(emulator, rid) == []
    assert emulator.state()["callbacks"]["events"] == 0


def test_recordings_of_the_api_send_callbacks_too(serve, caller, create_values, receiver):
    emulator = serve(new_recordings={"leave_code": 3, "room_events": True})
    call = caller(emulator, "sync")
    first = call("CreateCloudRecording", create_values)["TaskId"]
    second = call("CreateCloudRecording", create_values)["TaskId"]
    call("DeleteCloudRecording", {"SdkAppId": 1400000001, "TaskId": second})
    emulator.advance(1)
    emulator.wait_for_callbacks()
    for rid in (first, second):
        types = sorted(each["event_type"] for each in ledger_of(emulator, rid))
        assert types[:6] == [101, 102, 103, 104, 201, 203]
        assert types[6:] == [301, 302, 303, 304, 304, 305, 307, 307]
    assert len(receiver.received) == emulator.state()["callbacks"]["delivered"] == 28


def test_codes_of_the_end(serve, caller, create_values):
    emulator = serve()
    call = caller(emulator, "sync")
    first = call("CreateCloudRecording", create_values)["TaskId"]
    second = call("CreateCloudRecording", create_values)["TaskId"]
    call("DeleteCloudRecording", {"SdkAppId": 1400000001, "TaskId": second})
    idle = emulator.add_recording(participants=0)
    emulator.advance(40)
    codes = [
        each["payload"]["LeaveCode"]
        for rid in (first, second, idle)
        for each in ledger_of(emulator, rid)
        if each["event_type"] == 302
    ]
    assert codes == [101, 0, 99]


def test_an_end_by_reads_is_reported_at_once(serve, caller, receiver):
    emulator = serve()
    rid = emulator.add_recording(ends_after_reads=1)
    caller(emulator, "sync").describe(rid)
    wait_until(lambda: 302 in receiver.types())


def test_an_end_by_a_script_is_reported_at_once(serve, receiver):
    emulator = serve()
    rid = emulator.add_recording()
    emulator.script(rid, [{"gone": True}])
    wait_until(lambda: 302 in receiver.types())


def test_a_failure_is_repeated_at_once_then_slowly(serve, receiver):
    emulator = serve(callback_retry_seconds=0.05)
    receiver.answers = [(500, b""), (404, b"no"), (None, b""), (302, b"")]
    emulator.send_event(1, 102)
    emulator.wait_for_callbacks()
    (record,) = emulator.callbacks()["ledger"]
    assert [each["status"] for each in record["attempts"]] == [500, 404, None, 302, 200]
    assert [each["error"] for each in record["attempts"]] == [
        "status 500",
        "status 404",
        "the connection was closed before the answer was complete",
        "status 302",
        None,
    ]
    starts = [each["at"] for each in record["attempts"]]
    assert all(later - earlier >= 0.05 for earlier, later in itertools.pairwise(starts[1:]))
    assert (record["status"], record["delivered"]) == ("delivered", 1)
    infos = [each.message["EventInfo"] for each in receiver.received]
    assert infos == infos[:1] * 5
    assert all(each.headers["Sign"] == sign(KEY, each.body) for each in receiver.received)


def test_no_answer_is_a_failure(serve, receiver):
    emulator = serve(callback_timeout_seconds=0.05)
    receiver.answers = [("wait", b"")]
    emulator.send_event(1, 102)
    emulator.wait_for_callbacks()
    (record,) = emulator.callbacks()["ledger"]
    *errors, last = (each["error"] for each in record["attempts"])
    assert set(errors) == {"no answer within 0.05 s"}  # a slow machine may be late more than once
    assert last is None


def test_an_answer_that_is_too_long_is_a_failure(serve, receiver):
    emulator = serve()
    receiver.answers = [(200, b"x" * 2000)]
    emulator.send_event(1, 102)
    emulator.wait_for_callbacks()
    (record,) = emulator.callbacks()["ledger"]
    assert "at most 2000" in record["attempts"][0]["error"]


def test_a_message_is_dropped_when_it_is_old(serve):
    emulator = serve(callback_url=refusing_url(), callback_retry_seconds=0.02, callback_lifetime_seconds=0.13)
    emulator.send_event(1, 102)
    counters = emulator.wait_for_callbacks()
    (record,) = emulator.callbacks()["ledger"]
    assert (record["status"], record["delivered"]) == ("dropped", 0)
    assert 3 <= len(record["attempts"]) <= 8
    assert {each["error"] for each in record["attempts"]} == {"Connection refused"}
    assert (counters["dropped"], counters["failures"]) == (1, len(record["attempts"]))


def test_connections_are_kept_and_bounded(serve, receiver):
    emulator = serve(callback_connections=3)
    for _ in range(20):
        emulator.add_recording(ends_after_seconds=5)
    emulator.advance(10)
    emulator.wait_for_callbacks()
    assert len(receiver.received) == 160
    assert receiver.connections <= 3


def test_a_connection_closed_by_the_receiver_is_no_failure(serve, receiver):
    emulator = serve(callback_connections=1)
    receiver.headers = {"Connection": "close"}
    for _ in range(5):
        emulator.send_event(1, 102)
        emulator.wait_for_callbacks()
    assert emulator.callbacks()["failures"] == 0
    assert receiver.connections == 5


def test_slow_receivers_do_not_stop_the_api(serve, receiver):
    emulator = serve()
    receiver.answers = [("wait", b"")] * 16
    for _ in range(20):
        emulator.send_event(1, 102)
    wait_until(lambda: len(receiver.received) == 16)
    assert EmulatorClient(emulator.url).health()["status"] == "ok"
    receiver.let_go.set()
    assert emulator.wait_for_callbacks()["delivered"] == 20


def test_chunked_and_endless_answers_are_understood(serve):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answers = [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
            b"SSH-2.0-x\r\n\r\n",
            b"HTTP/1.1 204 No\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ]

        def answer():
            for each in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(each)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        emulator = serve(
            callback_url=f"http://127.0.0.1:{listener.getsockname()[1]}/",
            callback_retry_seconds=0.01,
            callback_connections=1,
        )
        for _ in range(3):
            emulator.send_event(1, 102)
            emulator.wait_for_callbacks()
        thread.join(60)
    errors = [each["error"] for one in emulator.callbacks()["ledger"] for each in one["attempts"]]
    assert errors == [None, None, "the answer is not HTTP", "status 204", None]


def settled_numbers(emulator, status):
    return {each["number"] for each in emulator.callbacks()["ledger"] if each["status"] == status}


def identity(message):
    info = message["EventInfo"]
    return message["EventType"], info["TaskId"], info["EventMsTs"], str(info["Payload"])


def test_loss_and_doubling_are_in_the_ledger(serve, receiver):
    emulator = serve(callback_trouble={"loss": 0.2, "doubled": 0.2, "shuffle_seconds": 0.05})
    for _ in range(20):
        emulator.add_recording(ends_after_seconds=5, output_format=1)
    emulator.advance(10)
    counters = emulator.wait_for_callbacks()
    expected = {}
    for each in emulator.callbacks()["ledger"]:
        message = {"EventType": each["event_type"], "EventInfo": each["event_info"]}
        expected[identity(message)] = each["copies"]
    seen = dict.fromkeys(expected, 0)
    for each in receiver.received:
        seen[identity(each.message)] += 1
    assert seen == expected
    assert {0, 1, 2} == set(expected.values())
    assert counters["events"] == len(expected) == 180
    assert counters["lost"] + counters["delivered"] == 180
    assert counters["attempts"] == sum(expected.values())


def test_trouble_is_repeatable(serve):
    fates = []
    for seed in (7, 7, 8):
        emulator = serve(seed=seed, callback_trouble={"loss": 0.5}, callback_url=refusing_url())
        for _ in range(10):
            emulator.add_recording()
        fates.append([each["copies"] for each in emulator.callbacks()["ledger"]])
    assert fates[0] == fates[1] != fates[2]


def test_trouble_by_script_for_one_recording(serve, receiver):
    emulator = serve()
    troubled = {"302": "lost", "305": "doubled", "303": 0.01}
    rid = emulator.add_recording(files=1, callbacks=troubled)
    other = emulator.add_recording(files=1)
    for each in (rid, other):
        emulator.end(each)
    emulator.advance(5)
    emulator.wait_for_callbacks()
    facts = {each["event_type"]: (each["status"], each["delivered"]) for each in ledger_of(emulator, rid)}
    assert facts[302] == ("lost", 0)
    assert facts[305] == ("delivered", 2)
    assert facts[303] == ("delivered", 1)
    assert [each["delay_seconds"] for each in ledger_of(emulator, rid)][:3] == [0, 0.01, 0]
    assert {each["delivered"] for each in ledger_of(emulator, other)} == {1}
    assert receiver.types().count(302) == 1


def test_shuffling_loses_the_order(serve, receiver):
    emulator = serve(callback_trouble={"shuffle_seconds": 0.1}, callback_connections=1)
    for _ in range(10):
        emulator.add_recording(ends_after_seconds=1)
    emulator.advance(5)
    emulator.wait_for_callbacks()
    times = [each.message["EventInfo"]["EventMsTs"] for each in receiver.received]
    assert len(times) == 80
    assert times != sorted(times)


def test_what_is_on_its_way_survives_a_restart(serve, receiver):
    emulator = serve(callback_url=refusing_url())
    emulator.send_event(1, 102)
    wait_until(lambda: emulator.callbacks()["failures"] == 2)
    emulator.stop()
    emulator.set_callback(receiver.url)
    assert emulator.callbacks()["waiting"] == 1
    emulator.start()
    emulator.wait_for_callbacks()
    assert receiver.types() == [102]


def test_waiting_for_callbacks_has_an_end(serve):
    emulator = serve(callback_trouble={"delay_seconds": 30})
    emulator.send_event(1, 102)
    with pytest.raises(TimeoutError, match="on their way"):
        emulator.wait_for_callbacks(timeout_seconds=0.01)


def test_a_reset_forgets_what_is_on_its_way(serve, receiver):
    emulator = serve(callback_trouble={"delay_seconds": 30})
    emulator.send_event(1, 102)
    emulator.reset()
    emulator.callback_trouble()
    assert emulator.callbacks()["waiting"] == 0
    emulator.send_event(1, 103)
    emulator.wait_for_callbacks()
    assert receiver.types() == [103]


def test_a_dismissed_receiver_gets_no_more(serve, receiver):
    emulator = serve(callback_retry_seconds=0.01)
    emulator.set_callback(refusing_url())
    emulator.send_event(1, 102)
    wait_until(lambda: emulator.callbacks()["failures"])
    emulator.set_callback(None)
    emulator.wait_for_callbacks()
    assert emulator.callbacks()["ledger"][0]["status"] == "dropped"


def test_the_connection_has_the_key(serve):
    emulator = serve()
    assert emulator.connection["extra"]["callback_secret"] == KEY
    emulator.set_callback(None, "other")
    assert emulator.connection["extra"]["callback_secret"] == "other"


@pytest.mark.parametrize(
    "options",
    [
        {"callback_url": "ftp://x/"},
        {"callback_url": "http://"},
        {"callback_key": "with blanks"},
        {"callback_key": "a" * 33},
        {"callback_trouble": {"loss": 2}},
        {"callback_trouble": {"lose_types": ["302"]}},
        {"callback_trouble": {"losses": 1}},
        {"callback_connections": 0},
        {"callback_timeout_seconds": -1},
        {"new_recordings": {"leave_code": "x"}},
    ],
)
def test_wrong_options_are_said_plainly(options):
    with pytest.raises(ValueError, match=r"callback|loss|lose_types|leave_code"):
        Emulator(**options)


def test_the_pages_show_what_was_reported(serve, receiver):
    emulator = serve(callback_retry_seconds=0.01)
    receiver.answers = [(500, b"")]
    rid = emulator.add_recording(files=1, callbacks={"305": "lost", "302": "doubled"})
    emulator.wait_for_callbacks()  # the refused one is of the start
    emulator.end(rid)
    emulator.advance(1)
    emulator.wait_for_callbacks()
    page = read(emulator.page_url(rid))
    assert "302 recorder left" in page
    assert "delivered, sent twice on purpose, 2 attempts" in page
    assert "<td>lost</td>" in page
    assert "2 attempts, status 500" in page
    assert "{&quot;LeaveCode&quot;: 0}" in page
    overview = read(f"{emulator.url}/_control/recordings/")
    assert f"Callbacks to {receiver.url}" in overview
    assert "<td>Doubled</td><td>1</td>" in overview


def test_the_pages_say_nothing_of_callbacks_without_a_receiver(serve):
    emulator = serve(callback_url=None)
    rid = emulator.add_recording()
    assert "Callbacks" not in read(emulator.page_url(rid)) + read(f"{emulator.url}/_control/recordings/")


def read(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=60) as response:
        return response.read().decode()
