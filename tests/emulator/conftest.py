from __future__ import annotations

import asyncio
import hashlib
import json
import time

import pytest

from airflow_trtc.cloud.user_sig import Signer
from airflow_trtc.emulator import (
    DEFAULT_SDK_APP_ID,
    DEFAULT_SDK_SECRET_KEY,
    DEFAULT_SECRET_ID,
    DEFAULT_SECRET_KEY,
    Emulator,
    pytest_plugin,
)
from airflow_trtc.emulator.gateway import respond
from airflow_trtc.emulator.settings import Settings
from airflow_trtc.emulator.signature import Request
from airflow_trtc.emulator.state import State
from tests.emulator.receiving import Receiver

APP = DEFAULT_SDK_APP_ID

COS = {
    "Vendor": 0,
    "Region": "ap-guangzhou",
    "Bucket": "b-1",
    "AccessKey": "AKstorage",
    "SecretKey": "SKstorage",
}


def pytest_configure(config):
    """Load the plugin where the package is not installed, only on the path."""
    if not config.pluginmanager.is_registered(pytest_plugin):
        config.pluginmanager.register(pytest_plugin)


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="session")
def _shared_emulator():
    with Emulator(time_scale=0, rate_limit=20, seed=7) as emulator:
        yield emulator


@pytest.fixture
def emulator(_shared_emulator):
    """A running emulator without recordings, whose clock is moved by hand."""
    _shared_emulator.reset()
    return _shared_emulator


@pytest.fixture
def receiver():
    """A receiver of callbacks on a port of its own."""
    receiver = Receiver()
    yield receiver
    receiver.close()


SIGNER = Signer(APP, DEFAULT_SDK_SECRET_KEY)


def robot_named(user_id):
    """A robot of this name with its UserSig, as parameters of CreateCloudRecording."""
    return {"UserId": user_id, "UserSig": SIGNER.user_sig(user_id, now=time.time(), seconds=3600)}


@pytest.fixture
def robot():
    return robot_named


@pytest.fixture
def create_values():
    """The least CreateCloudRecording takes."""
    return {
        "SdkAppId": APP,
        "RoomId": "8001",
        **robot_named("robot"),
        "RecordParams": {"RecordMode": 1},
        "StorageParams": {"CloudStorage": dict(COS)},
    }


def sdk_profile(emulator, **options):
    from tencentcloud.common.profile.client_profile import ClientProfile
    from tencentcloud.common.profile.http_profile import HttpProfile

    http = HttpProfile(
        protocol="http",
        endpoint=emulator.url.removeprefix("http://"),
        reqTimeout=options.pop("timeout", 10),
        reqMethod=options.pop("method", "POST"),
    )
    unsigned = options.pop("unsigned", False)
    profile = ClientProfile(httpProfile=http, language=options.pop("language", "en-US"))
    profile.unsignedPayload = unsigned
    return profile


class Caller:
    """Calls the emulator with one of the official clients; answers are dicts."""

    def __init__(self, emulator, kind):
        self.emulator = emulator
        self.kind = kind

    def __call__(self, action, values, **options):
        from tencentcloud.common.credential import Credential
        from tencentcloud.trtc.v20190722 import models

        request = getattr(models, f"{action}Request")()
        request.from_json_string(json.dumps(values))
        credential = Credential(
            options.pop("secret_id", self.emulator.secret_id),
            options.pop("secret_key", self.emulator.secret_key),
            options.pop("token", None),
        )
        region = options.pop("region", "ap-guangzhou")
        profile = sdk_profile(self.emulator, **options)
        answer = getattr(self, f"_{self.kind}")(action, request, credential, region, profile)
        return json.loads(answer.to_json_string())

    def describe(self, recording_id, **options):
        return self("DescribeCloudRecording", {"SdkAppId": APP, "TaskId": recording_id}, **options)

    def _sync(self, action, request, credential, region, profile):
        from tencentcloud.trtc.v20190722.trtc_client import TrtcClient

        return getattr(TrtcClient(credential, region, profile), action)(request)

    def _async(self, action, request, credential, region, profile):
        from tencentcloud.trtc.v20190722.trtc_client_async import TrtcClient

        async def run():
            async with TrtcClient(credential, region, profile) as client:
                return await getattr(client, action)(request)

        return asyncio.run(run())


@pytest.fixture(params=["sync", "async"])
def call(request, emulator):
    """Each of the two official clients in turn."""
    return Caller(emulator, request.param)


@pytest.fixture
def until_seen(emulator):
    """Wait until a request has arrived: its client may have given up before that."""

    def wait(action):
        while not emulator.state()["counters"].get(action):
            time.sleep(0.01)

    return wait


@pytest.fixture
def caller():
    return Caller


def signed(values, *, action="DescribeCloudRecording", key=DEFAULT_SECRET_KEY, at=None, body=None, **headers):
    """A signed request without a socket. The signature is made by the SDK's own code."""
    from tencentcloud.common.sign import Sign

    body = json.dumps(values).encode() if body is None else body
    timestamp = int(time.time() if at is None else at)
    date = time.strftime("%Y-%m-%d", time.gmtime(timestamp))
    canonical = (
        "POST\n/\n\ncontent-type:application/json\nhost:trtc.example\n\ncontent-type;host\n"
        + hashlib.sha256(body).hexdigest()
    )
    text = (
        f"TC3-HMAC-SHA256\n{timestamp}\n{date}/trtc/tc3_request\n"
        + hashlib.sha256(canonical.encode()).hexdigest()
    )
    signature = Sign.sign_tc3(key, date, "trtc", text)
    given = {
        "authorization": f"TC3-HMAC-SHA256 Credential={DEFAULT_SECRET_ID}/{date}/trtc/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={signature}",
        "content-type": "application/json",
        "host": "trtc.example",
        "x-tc-action": action,
        "x-tc-version": "2019-07-22",
        "x-tc-region": "ap-guangzhou",
        "x-tc-timestamp": str(timestamp),
        "x-tc-language": "en-US",
        **{f"x-tc-{name}": value for name, value in headers.items()},
    }
    return Request("POST", "", {name: value for name, value in given.items() if value is not None}, body)


@pytest.fixture
def state():
    """The emulator's memory without a server; its clock stands still."""
    return State(Settings(time_scale=0, rate_limit=0, seed=7))


@pytest.fixture
def ask(state):
    """Ask the gateway without a socket; returns the inside of Response."""

    def ask(values, *, of=state, **options):
        answer = respond(of, signed(values, **options))
        assert answer.status == 200
        assert answer.content_type == b"application/json"
        return json.loads(answer.body)["Response"]

    return ask


@pytest.fixture
def sign():
    return signed
