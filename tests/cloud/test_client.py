"""Both clients with the real SDK over real HTTP: the same answers, errors and repetitions."""

import asyncio
import contextlib
import gc
import itertools
import json
import re
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from airflow_trtc.cloud import sdk
from airflow_trtc.cloud.budget import Budget
from airflow_trtc.cloud.calls import any_action
from airflow_trtc.cloud.client import AsyncTrtcClient, TrtcClient
from airflow_trtc.cloud.key_source import Keys, KeySource
from airflow_trtc.cloud.line import decode
from airflow_trtc.cloud.retries import MAX_TOTAL_THROTTLED_SECONDS
from airflow_trtc.cloud.sdk import AsyncSdkTransport
from airflow_trtc.emulator import (
    DEFAULT_DENIED_SECRET_ID,
    DEFAULT_DENIED_SECRET_KEY,
    DEFAULT_FOREIGN_SDK_APP_ID,
    Emulator,
)
from airflow_trtc.errors import TrtcFailedError, TrtcSetupError, TrtcThrottledError, TrtcTransientError
from tests.cloud.asking import recording

STORAGE = {"Vendor": 0, "Region": "ap-guangzhou", "Bucket": "b-1", "AccessKey": "a", "SecretKey": "s"}
CREATE = {
    "SdkAppId": 1400000001,
    "RoomId": "room",
    "RoomIdType": 0,
    "UserId": "robot",
    "UserSig": "sig",
    "RecordParams": {"RecordMode": 1},
    "StorageParams": {"CloudStorage": STORAGE},
}


def requests_seen(emulator):
    return [request["code"] for request in emulator.state(requests=True)["requests"]]


def test_a_recording_is_described(emulator, drive):
    recording_id = emulator.add_recording(files=3)
    snapshot = drive().describe(recording_id)
    assert (snapshot.job_id, snapshot.status, len(snapshot.files)) == (recording_id, "InProgress", 3)
    assert snapshot.request_id
    assert {file.track_type for file in snapshot.files} <= {"audio", "video", "audio_video"}
    assert all(file.begin_timestamp_ms for file in snapshot.files)


def test_a_recording_that_is_gone_is_a_failure_and_asked_about_once(emulator, drive):
    driver = drive()
    with pytest.raises(TrtcFailedError) as caught:
        driver.describe(emulator.new_recording_id())
    assert caught.value.code == "ResourceNotFound"
    assert caught.value.request_id
    assert caught.value.message.isascii()
    assert driver.sleeps == []


def test_any_action_can_be_called(emulator, drive):
    answer = drive().call("CreateCloudRecording", CREATE)
    assert set(answer) == {"TaskId", "RequestId"}
    assert emulator.truth(answer["TaskId"])["room_id"] == "room"


def test_misspelt_parameters_are_not_sent(emulator, drive):
    with pytest.raises(TrtcSetupError, match="TaskId"):
        drive().call("DescribeCloudRecording", {"Taskid": "x"})
    assert requests_seen(emulator) == []


def test_the_application_is_the_jobs_own(emulator, drive):
    recording_id = emulator.add_recording()
    call = recording(recording_id, emulator.sdk_app_id)
    assert drive({"sdk_app_id": ""}).run(call).job_id == recording_id


@pytest.mark.parametrize(
    "fields, code, word",
    [
        ({"login": "AKIDnobody"}, "AuthFailure.SecretIdNotFound", "SecretId"),
        ({"password": "wrong"}, "AuthFailure.SignatureFailure", "SecretKey"),
        (
            {"login": DEFAULT_DENIED_SECRET_ID, "password": DEFAULT_DENIED_SECRET_KEY},
            "AuthFailure.UnauthorizedOperation",
            "Grant",
        ),
        (
            {"extra": {"sdk_app_id": DEFAULT_FOREIGN_SDK_APP_ID}},
            "UnauthorizedOperation.SdkAppId",
            "sdk_app_id",
        ),
        ({"extra": {"region": "mars-1"}}, "InvalidParameterValue", "region"),
        ({"extra": {"region": "ap-tokyo"}}, "UnsupportedRegion", "region"),
    ],
)
def test_wrong_set_up_is_told_with_advice_and_not_repeated(emulator, drive, fields, code, word):
    with pytest.raises(TrtcSetupError) as caught:
        drive(**fields).describe("some-id")
    assert caught.value.code == code
    assert word in caught.value.advice
    assert requests_seen(emulator) == [code]


def test_session_token_is_sent(drive):
    with Emulator(token="tok") as strict:
        recording_id = strict.add_recording()
        assert drive({"token": "tok"}, host=strict.url).describe(recording_id).job_id == recording_id
        with pytest.raises(TrtcSetupError, match="AuthFailure"):
            drive(host=strict.url).describe(recording_id)


TROUBLE = [
    ("http", {"status": 502}, "Client.Http502"),
    ("html", {}, "Client.BrokenAnswer"),
    ("empty", {}, "Client.BrokenAnswer"),
    ("broken_json", {}, "Client.BrokenAnswer"),
    ("truncated", {}, "Client.ConnectionLost"),
    ("reset", {}, "Client.ConnectionLost"),
    ("lost_answer", {}, "Client.ConnectionLost"),
    ("error", {"code": "InternalError.CRInternalError"}, "InternalError.CRInternalError"),
]


@pytest.mark.parametrize("kind, options, code", TROUBLE)
def test_trouble_is_transient_and_looks_alike_from_both_clients(emulator, drive, kind, options, code):
    recording_id = emulator.add_recording()
    emulator.fault(kind, **options)
    with pytest.raises(TrtcTransientError) as caught:
        drive().describe(recording_id, attempts=1)
    assert (caught.value.code, caught.value.job_id) == (code, recording_id)
    assert not caught.value.outcome_unknown


@pytest.mark.parametrize("kind, options, _", TROUBLE)
def test_reading_is_repeated_until_it_succeeds(emulator, drive, kind, options, _):
    recording_id = emulator.add_recording()
    emulator.fault(kind, count=2, **options)
    driver = drive()
    assert driver.describe(recording_id).status == "InProgress"
    assert emulator.faults() == []
    assert len(requests_seen(emulator)) == 3
    assert len([seconds for seconds in driver.sleeps if seconds >= 0.5]) == 2


@pytest.mark.parametrize("kind, options, _", TROUBLE)
def test_creating_is_never_repeated_after_an_unknown_outcome(emulator, drive, kind, options, _):
    emulator.fault(kind, **options)
    with pytest.raises(TrtcTransientError) as caught:
        drive().call("CreateCloudRecording", CREATE)
    assert caught.value.outcome_unknown
    assert len(requests_seen(emulator)) == 1


def test_a_throttled_create_starts_exactly_one_recording(emulator, drive):
    emulator.fault("throttle", count=2)
    answer = drive().call("CreateCloudRecording", CREATE)
    assert answer["TaskId"]
    assert requests_seen(emulator)[:2] == ["RequestLimitExceeded"] * 2
    assert len(requests_seen(emulator)) == 3
    assert len(emulator.state()["recordings"]) == 1


def test_stopping_is_repeated_when_the_answer_is_lost(emulator, drive):
    recording_id = emulator.add_recording()
    emulator.fault("http", count=1)
    drive().call("DeleteCloudRecording", {"SdkAppId": emulator.sdk_app_id, "TaskId": recording_id})
    assert emulator.truth(recording_id)["end_reason"] == "deleted"


def test_throttling_that_does_not_end_is_raised(emulator, drive):
    emulator.fault("throttle")
    with pytest.raises(TrtcThrottledError) as caught:
        drive().describe("x", attempts=3)
    assert caught.value.code == "RequestLimitExceeded"
    assert requests_seen(emulator) == ["RequestLimitExceeded"] * 3


def test_unless_told_otherwise_throttling_is_waited_out_for_minutes(emulator, drive):
    emulator.fault("throttle")
    driver = drive()
    with pytest.raises(TrtcThrottledError):
        driver.describe("x")
    assert sum(driver.sleeps) > MAX_TOTAL_THROTTLED_SECONDS / 2
    assert len(requests_seen(emulator)) < MAX_TOTAL_THROTTLED_SECONDS


def test_an_error_is_found_although_the_content_type_has_a_charset(emulator, drive):
    emulator.fault("charset")
    with pytest.raises(TrtcFailedError) as caught:
        drive().describe(emulator.new_recording_id())
    assert caught.value.code == "ResourceNotFound"


def test_an_error_without_a_request_id_keeps_its_code(drive, server):
    refusal = {"Response": {"Error": {"Code": "ResourceNotFound", "Message": "gone"}}}
    with server(lambda *_: (200, json.dumps(refusal))) as (url, _), pytest.raises(TrtcFailedError) as caught:
        drive(host=url).describe("x")
    assert caught.value.code == "ResourceNotFound"


def test_an_answer_without_a_content_type_is_read(emulator, drive):
    recording_id = emulator.add_recording()
    emulator.fault("no_content_type")
    assert drive().describe(recording_id, attempts=1).status == "InProgress"


def test_an_answer_about_another_recording_is_asked_for_again(emulator, drive):
    recording_id = emulator.add_recording()
    emulator.script(recording_id, [{"task_id": "other", "reads": 2}])
    driver = drive()
    with pytest.raises(TrtcTransientError) as caught:
        driver.describe(recording_id, attempts=1)
    assert caught.value.code == "Client.OtherJob"
    assert driver.describe(recording_id, attempts=2).status == "InProgress"


def test_a_slow_answer_is_a_timeout(emulator, drive):
    emulator.fault("slow", delay_seconds=1)
    with pytest.raises(TrtcTransientError) as caught:
        drive({"timeout_seconds": 0.05}).describe("x", attempts=1)
    assert caught.value.code == "Client.Timeout"


def test_an_answer_that_trickles_in_ends_too(settings_for):
    """Every byte would begin the SDK's timeout anew."""

    async def trickle(_, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.01)

    async def main():
        server = await asyncio.start_server(trickle, "127.0.0.1", 0)
        host = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with AsyncTrtcClient(settings_for({"timeout_seconds": 0.05}, host=host)) as client:
            with pytest.raises(TrtcTransientError) as caught:
                await asyncio.wait_for(client.run(recording("x"), attempts=1), 60)
        server.close()
        return caught.value.code

    assert asyncio.run(main()) == "Client.Timeout"


def test_connections_are_given_back_whatever_the_answer_was(emulator, settings_for):
    """Answers that the SDK cannot read would each keep a connection, until none is left after 100."""

    async def main():
        async with AsyncTrtcClient(settings_for({"timeout_seconds": 2})) as client:
            recording_id = emulator.add_recording()
            for kind in ("no_content_type", "html", "http"):
                emulator.fault(kind, count=40)
                asks = (client.run(recording(recording_id), attempts=1) for _ in range(40))
                await asyncio.gather(*asks, return_exceptions=True)
            await client.run(recording(recording_id), attempts=1)

    asyncio.run(main())


def test_no_cookies_are_kept(drive, server, monkeypatch):
    """Neither of the service nor of what stands in between; the asynchronous client does not even look."""
    monkeypatch.setattr(httpx.Cookies, "extract_cookies", lambda *_: pytest.fail("it looks for cookies"))
    answer = 200, json.dumps({"Response": {"RequestId": "r"}}), {"Set-Cookie": "balancer=7; Path=/"}
    with server(lambda *_: answer) as (url, asked):
        driver = drive(host=url)
        for _ in range(2):
            driver.call("DescribeCloudRecording", {"SdkAppId": 1400000001, "TaskId": "x"})
    assert [headers.get("Cookie") for _, headers, _ in asked] == [None, None]


def test_connections_serve_again_however_many_requests_are_under_way(settings_for, monkeypatch):
    """Far from the service, more are under way than most clients keep connections."""
    monkeypatch.setattr(sdk, "IDLE_SECONDS", 600.0)
    count, body = 20, json.dumps({"Response": {"RequestId": "r"}}).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    connections, waiting = [], []

    async def serve(reader, writer):
        connections.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                (size,) = re.findall(rb"content-length: (\d+)", head.lower())
                await reader.readexactly(int(size))
                waiting.append(writer)
                if len(waiting) == count:  # none is answered before all are under way
                    while waiting:
                        waiting.pop().write(answer)
        writer.close()

    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        host = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        call = any_action("DescribeCloudRecording", {"SdkAppId": 1400000001, "TaskId": "x"})
        async with AsyncTrtcClient(settings_for(host=host)) as client:
            for _ in range(3):
                await asyncio.gather(*(client.poll(call) for _ in range(count)))
        server.close()

    asyncio.run(main())
    assert len(connections) == count


def test_an_answer_leaves_nothing_to_the_garbage_collector(emulator, settings_for):
    """Thousands of polls a minute would keep it busy, and each time stop the event loop."""

    async def main():
        recording_id = emulator.add_recording()
        async with AsyncTrtcClient(settings_for()) as client:
            for _ in range(3):
                await client.poll(recording(recording_id))
            return [each for each in gc.get_objects() if type(each) in (httpx.Request, httpx.Response)]

    gc.collect()
    gc.disable()
    try:
        found = asyncio.run(main())
    finally:
        gc.enable()
    assert not found


def test_nobody_listening_is_unreachable_and_even_creating_is_repeated(drive):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        driver = drive(host=f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(TrtcTransientError, match="cannot be reached") as caught:
            driver.call("CreateCloudRecording", CREATE, attempts=3)
    assert (caught.value.code, caught.value.outcome_unknown) == ("Client.Unreachable", False)
    assert len([seconds for seconds in driver.sleeps if seconds >= 0.5]) == 2


def test_a_name_that_does_not_exist_is_told(drive):
    with pytest.raises(TrtcTransientError, match="cannot be resolved") as caught:
        drive(host="http://no-such-host.invalid", extra={"timeout_seconds": 2}).describe("x", attempts=1)
    assert caught.value.code == "Client.Unreachable"


def test_plain_http_where_tls_is_expected_is_trouble_of_the_network(emulator, drive):
    with pytest.raises(TrtcTransientError) as caught:
        drive(host=emulator.url.replace("http:", "https:")).describe("x", attempts=1)
    assert caught.value.code in ("Client.Unreachable", "Client.ConnectionLost")


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "socks://127.0.0.1:9"])
def test_proxy_variables_do_not_catch_calls_to_this_machine(emulator, drive, monkeypatch, proxy):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    recording_id = emulator.add_recording()
    assert drive().describe(recording_id, attempts=1).status == "InProgress"


def test_a_configured_proxy_is_used(drive, server):
    answer = {"Response": {"Status": "Idle", "RequestId": "by-proxy"}}
    with server(lambda *_: (200, json.dumps(answer))) as (proxy, asked):
        driver = drive({"proxy": proxy}, host="http://no-such-host.invalid")
        assert driver.describe("x", attempts=1).request_id == "by-proxy"
    assert asked[0][0].startswith("http://no-such-host.invalid/")


def test_a_redirect_is_not_followed(drive, server):
    with server(lambda *_: (302, "")) as (url, asked), pytest.raises(TrtcSetupError) as caught:
        drive(host=url).describe("x")
    assert caught.value.code == "Client.Http302"
    assert len(asked) == 1


def test_a_dead_proxy_is_told_without_its_password(drive):
    driver = drive({"proxy": "http://u:hidden@127.0.0.1:9"}, host="http://no-such-host.invalid")
    with pytest.raises(TrtcTransientError) as caught:
        driver.describe("x", attempts=1)
    assert caught.value.code in ("Client.Proxy", "Client.Unreachable")
    assert "hidden" not in str(caught.value)


def test_netrc_does_not_replace_the_signature(emulator, drive, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert drive().describe(emulator.add_recording(), attempts=1).status == "InProgress"


@pytest.fixture
def tls_server(tmp_path):
    """The URL of an API over TLS, and the file with the certificate that nobody else trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer_over_tls, args=(listener, context), daemon=True).start()
        yield f"https://localhost:{listener.getsockname()[1]}", file


def answer_over_tls(listener, context):
    body = b'{"Response": {"Status": "Idle", "RequestId": "by-tls"}}'
    while True:
        try:
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True) as connection:
                connection.recv(65536)
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        except ssl.SSLError:
            continue
        except OSError:
            return


def test_a_certificate_that_nobody_vouches_for_is_refused(drive, tls_server, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    with pytest.raises(TrtcSetupError) as caught:
        drive(host=tls_server[0]).describe("x")
    assert caught.value.code == "Client.Certificate"
    assert "SSL_CERT_FILE" in caught.value.advice


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_an_own_certificate_authority_is_trusted(drive, tls_server, monkeypatch, variable):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(variable, str(tls_server[1]))
    assert drive(host=tls_server[0]).describe("x", attempts=1).request_id == "by-tls"


def test_certificate_list_that_does_not_exist_is_told(drive, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with pytest.raises(TrtcSetupError, match="SSL_CERT_FILE"):
        drive().describe("x")


def test_threads_share_a_client(emulator, settings_for):
    client = TrtcClient(settings_for(), sleep=lambda _: None)
    ids = [emulator.add_recording() for _ in range(10)]
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda n: client.run(recording(ids[n % 10])), range(60)))
    assert [snapshot.job_id for snapshot in found] == [ids[n % 10] for n in range(60)]


def test_coroutines_share_a_client_and_the_sdk_is_loaded_off_the_event_loop(
    emulator, settings_for, monkeypatch
):
    """Importing the SDK takes a third of a second, in which a loop would stall."""
    ids = [emulator.add_recording() for _ in range(10)]
    threads: list[threading.Thread] = []
    build = AsyncSdkTransport.build

    def build_and_note(transport: AsyncSdkTransport) -> None:
        threads.append(threading.current_thread())
        build(transport)

    monkeypatch.setattr(AsyncSdkTransport, "build", build_and_note)

    async def main():
        async with AsyncTrtcClient(settings_for()) as client:
            return await asyncio.gather(*(client.run(recording(one)) for one in ids * 3))

    assert [snapshot.job_id for snapshot in asyncio.run(main())] == ids * 3
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


def test_keys_are_fetched_off_the_event_loop(emulator, settings_for):
    threads = []

    def fetch():
        threads.append(threading.current_thread())
        return Keys(emulator.secret_id, emulator.secret_key)

    recording_id = emulator.add_recording()

    async def main():
        async with AsyncTrtcClient(settings_for(), keys=KeySource(fetch)) as client:
            await asyncio.gather(*(client.run(recording(recording_id)) for _ in range(5)))

    asyncio.run(main())
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()


@pytest.fixture
def profile(tmp_path, emulator):
    """A file of keys, as the vendor's tools keep it."""
    file = tmp_path / "credentials"

    def write(secret_id, secret_key):
        file.write_text(f"[default]\nsecret_id = {secret_id}\nsecret_key = {secret_key}\n")

    write(emulator.secret_id, emulator.secret_key)
    options = {"login": None, "password": None}
    return write, {"credential_kind": "profile", "profile_file": str(file)}, options


def test_keys_that_were_replaced_are_read_anew_when_the_old_ones_are_refused(
    emulator, drive, profile, settings_for
):
    write, extra, options = profile
    write("AKIDold", "old")
    ticks = itertools.count(0.0, 100.0)
    keys = KeySource(settings_for(extra, **options).identity.fetch, ticks=lambda: next(ticks))
    driver, recording_id = drive(extra, keys=keys, **options), emulator.add_recording()
    with pytest.raises(TrtcSetupError, match="SecretIdNotFound"):
        driver.describe(recording_id)
    write(emulator.secret_id, emulator.secret_key)
    assert driver.describe(recording_id).job_id == recording_id
    assert requests_seen(emulator)[-2:] == ["AuthFailure.SecretIdNotFound", "OK"]


def test_keys_serve_while_new_ones_are_a_long_time_coming(emulator, settings_for):
    fetches, go = [], threading.Event()

    def fetch():
        fetches.append(1)
        if len(fetches) > 1:
            go.wait(120)
        return Keys(emulator.secret_id, emulator.secret_key, None, time.time() + 60, time.time() - 7000)

    recording_id = emulator.add_recording()

    async def main():
        async with AsyncTrtcClient(settings_for(), keys=KeySource(fetch)) as client:
            for _ in range(5):
                await asyncio.wait_for(client.run(recording(recording_id)), 60)
            go.set()

    asyncio.run(main())
    assert len(fetches) == 2


def test_a_throttled_key_service_does_not_slow_polls_down(emulator, drive):
    def fetch():
        raise TrtcThrottledError("too many", code="RequestLimitExceeded")

    driver = drive(keys=KeySource(fetch))
    budget = driver.client.budget("DescribeCloudRecording")
    before = budget.rate()
    with pytest.raises(TrtcThrottledError):
        driver.describe(emulator.add_recording(), attempts=1)
    assert budget.rate() >= before


def test_who_is_cancelled_while_it_waits_for_its_turn_gives_it_back(emulator, settings_for):
    recording_id = emulator.add_recording()

    async def main():
        async with AsyncTrtcClient(settings_for({"requests_per_second": 1})) as client:
            await client.run(recording(recording_id))
            calls = [asyncio.create_task(client.run(recording(recording_id))) for _ in range(100)]
            await asyncio.sleep(0.1)
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
            return sum(client.budget("DescribeCloudRecording").turn())  # nothing is waited for

    assert asyncio.run(main()) < 1.5  # of more than two that one needs who is behind another


def test_who_is_cancelled_leaves_the_line_of_the_machine(emulator, settings_for, tmp_path):
    settings = replace(settings_for({"requests_per_second": 0.1}), pace_directory=str(tmp_path))

    async def main():
        async with AsyncTrtcClient(settings) as client:
            await client.run(recording(emulator.add_recording()))
            call = asyncio.create_task(client.run(recording(emulator.add_recording())))
            while (line := line_in(tmp_path)).issued < 2:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)
            call.cancel()
            await asyncio.wait([call])
        return line

    def line_in(directory):
        (path,) = directory.glob("*.pace")
        return decode(path.read_bytes())

    assert asyncio.run(main()).served == 1
    assert line_in(tmp_path).issued == 1


def test_requests_are_spread_by_the_budget(emulator, drive):
    driver = drive({"requests_per_second": 2})
    driver.client._budgets["DescribeCloudRecording"] = Budget(2.0, clock=lambda: 0.0)
    recording_id = emulator.add_recording()
    for _ in range(3):
        driver.describe(recording_id)
    assert driver.sleeps == pytest.approx([0.5, 1.0])


def test_a_closed_client_opens_again(emulator, settings_for):
    recording_id = emulator.add_recording()

    async def main():
        client = AsyncTrtcClient(settings_for())
        await client.run(recording(recording_id))
        await client.aclose()
        await client.run(recording(recording_id))
        await client.aclose()

    asyncio.run(main())


def test_the_vendor_sees_who_calls_in_english(emulator, drive, monkeypatch):
    seen = []
    from tencentcloud.common.profile import client_profile

    real = client_profile.ClientProfile

    def make(**options):
        seen.append(options)
        return real(**options)

    monkeypatch.setattr(client_profile, "ClientProfile", make)
    drive().describe(emulator.add_recording())
    assert seen[0]["language"] == "en-US"
    assert seen[0]["request_client"].startswith("airflow-trtc-")


def test_what_takes_long_is_done_before_a_turn_is_taken(emulator, settings_for, monkeypatch):
    """A request that is late after its turn arrives together with the next one's."""
    done = []

    class Transport:
        def prepare(self):
            done.append("prepared")

        def send(self, call, keys):
            done.append("sent")
            raise TrtcFailedError("no such recording")

    def fetch():
        done.append("fetched")
        return Keys(emulator.secret_id, emulator.secret_key)

    def turn(_):
        done.append("went")
        yield from ()

    monkeypatch.setattr(Budget, "turn", turn)
    client = TrtcClient(settings_for(), transport=Transport(), keys=KeySource(fetch))
    with pytest.raises(TrtcFailedError):
        client.run(recording("some-recording"))
    assert done == ["fetched", "prepared", "went", "sent"]
