"""The API gateway: a request's bytes and headers in, an :class:`Answer` out. Knows no sockets."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_trtc.emulator import faults, parameters, signature
from airflow_trtc.emulator.actions import ACTIONS, VERSION, Action, Call, check_sdk_app_id
from airflow_trtc.emulator.codes import ApiError
from airflow_trtc.emulator.faults import Answer
from airflow_trtc.emulator.recordings import Look, Recording
from airflow_trtc.emulator.settings import DEFAULT_RATE_LIMIT
from airflow_trtc.emulator.state import State, without_secrets

SERVICE = "trtc"
MAX_BODY_BYTES = 10 * 1024 * 1024
OTHER_ACTION = "(other)"

log = logging.getLogger("airflow_trtc.emulator")


@dataclass(frozen=True)
class Request:
    """What came over the wire; header names are lower-case."""

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def action(self) -> str:
        """The action of the API, or a fixed word for everything that is none."""
        action = self.headers.get("x-tc-action", "")
        return action if action in ACTIONS else OTHER_ACTION


@dataclass
class Outcome:
    """How a request was answered: the envelope's inside, the code to count, and what spoiled the answer."""

    inside: dict[str, Any]
    code: str = "OK"
    fault: str | None = None


def respond(state: State, request: Request) -> Answer:
    """Answer one request as the service would, or as a fault has it."""
    with state.lock:
        given = _peek(request)
        recording_id = str(given.get("TaskId", ""))
        now = state.ticks()
        instead = state.faults.take_instead(request.action, recording_id, now)
        answer, outcome = _answer(state, request, instead)
        if instead is None:
            answer = _spoiled(state, answer, outcome, request.action, recording_id)
        delay = state.faults.take_delay(request.action, recording_id, now)
        _note(state, request, given, outcome.code)
        if recording := state.recordings.get(recording_id):
            _remember_look(recording, request.action, outcome, state.clock.now(), delay)
    return replace(answer, delay_seconds=delay)


def _answer(state: State, request: Request, instead: faults.Fault | None) -> tuple[Answer, Outcome]:
    if instead and instead.error_code is None:
        return faults.replacement(instead), Outcome({}, f"fault:{instead.kind}", instead.kind)
    outcome = _carry_out(state, request, instead)
    body = {"Response": {**outcome.inside, "RequestId": str(uuid.uuid4())}}
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    answer = Answer(text.encode(), is_error=outcome.code != "OK")
    if outcome.fault:
        answer = faults.spoil(answer, outcome.fault)
    elif instead:
        outcome.fault = instead.kind
    return answer, outcome


def _carry_out(state: State, request: Request, instead: faults.Fault | None) -> Outcome:
    try:
        if instead and instead.error_code:
            excess = (state.settings.rate_limit or DEFAULT_RATE_LIMIT) + 1
            raise ApiError(instead.error_code, excess, message=instead.message)
        call, action = _accept(state, request)
        return Outcome(action.run(state, call), fault=call.fault)
    except ApiError as error:
        language = request.headers.get("x-tc-language", "zh-CN")
        return Outcome({"Error": {"Code": error.code, "Message": error.text(language)}}, error.code)


def _accept(state: State, request: Request) -> tuple[Call, Action]:
    """Do the checks in the gateway's order: who, what, where, how often, with what."""
    if request.method not in ("GET", "POST"):
        raise ApiError("UnsupportedProtocol", request.method)
    if len(request.body) > MAX_BODY_BYTES:
        raise ApiError("RequestSizeLimitExceeded")
    action_name = _header(request, "x-tc-action", "Action")
    secret_id = _authenticate(state, request)
    action = _find_action(request, action_name)
    if secret_id == state.settings.denied_secret_id:
        raise ApiError("AuthFailure.UnauthorizedOperation", action_name)
    excess = state.limiter.excess((secret_id, action_name), state.ticks())
    if excess:
        raise ApiError("RequestLimitExceeded", excess)
    values = parameters.check(action.schema, _parameters(request, action))
    check_sdk_app_id(state, values["SdkAppId"])
    return Call(values, state.clock.now()), action


def _authenticate(state: State, request: Request) -> str:
    """Return the secret id that signed this request, or raise what the service would."""
    authorization = signature.parse_authorization(request.headers.get("authorization", ""))
    if authorization.service != SERVICE:
        raise ApiError("AuthFailure.InvalidAuthorization", f"the service in Credential is not {SERVICE}")
    timestamp = _timestamp(request)
    settings = state.settings
    keys = {settings.denied_secret_id: settings.denied_secret_key, settings.secret_id: settings.secret_key}
    if authorization.secret_id not in keys:
        raise ApiError("AuthFailure.SecretIdNotFound")
    signature.check_age(timestamp, state.wall() + state.clock_skew_seconds)
    signature.check_signature(
        authorization,
        secret_key=keys[authorization.secret_id],
        timestamp=timestamp,
        method=request.method,
        query=request.query,
        headers=request.headers,
        body=request.body,
    )
    _check_token(state, authorization.secret_id, request.headers.get("x-tc-token", ""))
    return authorization.secret_id


def _check_token(state: State, secret_id: str, given: str) -> None:
    expected = state.settings.token if secret_id == state.settings.secret_id else None
    if given != (expected or ""):
        raise ApiError("AuthFailure.TokenFailure")


def _timestamp(request: Request) -> int:
    text = _header(request, "x-tc-timestamp", "Timestamp")
    if not (text.isascii() and text.isdigit()):
        raise ApiError("InvalidParameter", "Timestamp")
    return int(text[:18])


def _find_action(request: Request, name: str) -> Action:
    version = _header(request, "x-tc-version", "Version")
    if version != VERSION:
        raise ApiError("NoSuchVersion", version)
    action = ACTIONS.get(name)
    if action is None:
        raise ApiError("InvalidAction", name)
    region = _header(request, "x-tc-region", "Region")
    if region not in action.regions:
        raise ApiError("UnsupportedRegion", region)
    return action


def _header(request: Request, name: str, parameter: str) -> str:
    value = request.headers.get(name, "")
    if not value:
        raise ApiError("MissingParameter", parameter)
    return value


def _parameters(request: Request, action: Action) -> dict[str, Any]:
    if request.method == "GET":
        return parameters.coerce(action.schema, parameters.unflatten(request.query))
    content_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if content_type != "application/json":
        raise ApiError("UnsupportedProtocol", content_type)
    return _json_object(request.body)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except ValueError:
        raise ApiError("InvalidParameter", "the body is not JSON") from None
    if not isinstance(given, dict):
        raise ApiError("InvalidParameter", "the body is not a JSON object")
    return given


def _peek(request: Request) -> dict[str, Any]:
    """Return the parameters without judging them, for faults and the request list."""
    try:
        return parameters.unflatten(request.query) if request.method == "GET" else _json_object(request.body)
    except ApiError:
        return {}


def _spoiled(state: State, answer: Answer, outcome: Outcome, action: str, recording_id: str) -> Answer:
    spoiler = state.faults.take_spoiler(action, recording_id, state.ticks(), is_error=answer.is_error)
    if spoiler is None:
        return answer
    outcome.fault = spoiler.kind
    return faults.spoil(answer, spoiler.kind)


def _remember_look(recording: Recording, action: str, outcome: Outcome, at: float, delay: float) -> None:
    if action == "DescribeCloudRecording":
        file_count = len(outcome.inside.get("StorageFileList") or ())
        status = outcome.inside.get("Status")
        recording.looks.append(Look(at, outcome.code, status, file_count, outcome.fault, delay))


def _note(state: State, request: Request, given: dict[str, Any], code: str) -> None:
    log.info("%s %s %s", request.action, given.get("TaskId", "-"), code)
    details = {
        "at": state.clock.now(),
        "recording_id": given.get("TaskId"),
        "region": request.headers.get("x-tc-region"),
        "client": request.headers.get("x-tc-requestclient"),
        "parameters": without_secrets(given),
    }
    state.count(request.action, code, details)
