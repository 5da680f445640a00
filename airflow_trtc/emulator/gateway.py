"""The API gateway: a request's bytes and headers in, an :class:`Answer` out. Knows no sockets."""

from __future__ import annotations

import json
import logging
import uuid
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from airflow_trtc.emulator import actions, faults, parameters, signature
from airflow_trtc.emulator.action import Action, Call
from airflow_trtc.emulator.codes import ApiError
from airflow_trtc.emulator.faults import Answer
from airflow_trtc.emulator.options import check_json
from airflow_trtc.emulator.polls import poll_of
from airflow_trtc.emulator.recordings import Origin
from airflow_trtc.emulator.settings import DEFAULT_CONCURRENCY_LIMIT, DEFAULT_RATE_LIMIT, Settings
from airflow_trtc.emulator.signature import Request
from airflow_trtc.emulator.state import State, secrets_in, without_secrets

SERVICE = "trtc"
MAX_BODY_BYTES = 10 * 1024 * 1024
OTHER_ACTION = "(other)"
EVENT_STREAM = b"text/event-stream"

log = logging.getLogger("airflow_trtc.emulator")


@dataclass(frozen=True)
class _Subject:
    """What a request is about, before anything is judged: for faults, counters and logs."""

    action: str
    """The action's name, or a fixed word for every name that is none."""
    job_id: str
    given: dict[str, Any]


@dataclass
class Outcome:
    """How a request was answered: the envelope's inside, the code to count, and what spoiled the answer."""

    inside: dict[str, Any] = field(default_factory=dict)
    code: str = "OK"
    fault: str | None = None
    request_id: str | None = None
    events: list[dict[str, Any]] | None = None


def respond(state: State, request: Request) -> Answer:
    """Answer one request as the service would, or as a fault has it."""
    with state.lock:
        subject = _subject(state, request)
        aim = (subject.action, subject.job_id, state.ticks())
        instead = state.faults.take_instead(*aim)
        answer, outcome = _answer(state, request, instead)
        if instead is None:
            spoiler = state.faults.take_spoiler(*aim, is_error=answer.is_error)
            if spoiler is not None:
                outcome.fault = spoiler.kind
                answer = faults.spoil(answer, spoiler.kind)
        delay = state.faults.take_delay(*aim)
        _note(state, request, subject, outcome, delay)
    return replace(answer, delay_seconds=delay)


def _answer(state: State, request: Request, instead: faults.Fault | None) -> tuple[Answer, Outcome]:
    if instead and instead.error_code is None:
        return faults.replacement(instead), Outcome(code=f"fault:{instead.kind}", fault=instead.kind)
    request_id = str(uuid.uuid4())
    outcome = _carry_out(state, request, instead, request_id)
    outcome.request_id = request_id
    body = {"Response": {**outcome.inside, "RequestId": request_id}}
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    answer = Answer(text.encode(), is_error=outcome.code != "OK")
    if outcome.events is not None:
        answer = _streamed(outcome.events, request_id)
    if outcome.fault:
        answer = faults.spoil(answer, outcome.fault)
    elif instead:
        outcome.fault = instead.kind
    return answer, outcome


def _streamed(events: list[dict[str, Any]], request_id: str) -> Answer:
    lines = (json.dumps({**each, "RequestId": request_id}, separators=(",", ":")) for each in events)
    return Answer("".join(f"data: {line}\n\n" for line in lines).encode(), content_type=EVENT_STREAM)


def _carry_out(state: State, request: Request, instead: faults.Fault | None, request_id: str) -> Outcome:
    try:
        if instead and instead.error_code:
            detail = _detail_of(instead.error_code, state.settings)
            raise ApiError(instead.error_code, detail, message=instead.message)
        call, action = _accept(state, request, request_id)
        return Outcome(action.run(state, call), fault=call.fault, events=call.events)
    except ApiError as error:
        language = request.headers.get("x-tc-language", "zh-CN")
        return Outcome({"Error": {"Code": error.code, "Message": error.text(language)}}, error.code)


def _detail_of(code: str, settings: Settings) -> object:
    """Return the number that the text of an error made on demand has, if any."""
    numbers = {
        "RequestLimitExceeded": (settings.rate_limit or DEFAULT_RATE_LIMIT) + 1,
        "FailedOperation.RestrictedConcurrency": settings.concurrency_limit or DEFAULT_CONCURRENCY_LIMIT,
    }
    return numbers.get(code, "")


def _accept(state: State, request: Request, request_id: str) -> tuple[Call, Action]:
    """Do the checks in the gateway's order: identity, action, region, frequency, parameters."""
    if request.method not in ("GET", "POST"):
        raise ApiError("UnsupportedProtocol", request.method)
    if len(request.body) > MAX_BODY_BYTES:
        raise ApiError("RequestSizeLimitExceeded")
    action_name = _header(request, "x-tc-action", "Action")
    secret_id = _authenticate(state, request)
    action = _find_action(state, request, action_name)
    if secret_id == state.settings.denied_secret_id:
        raise ApiError("AuthFailure.UnauthorizedOperation", action_name)
    excess = state.limiter.excess((secret_id, action_name), state.ticks(), action.limit)
    if excess:
        raise ApiError("RequestLimitExceeded", excess)
    values = parameters.check(action.schema, _parameters(request, action), takes_more=action.takes_more)
    if (sdk_app_id := actions.sdk_app_id_of(values)) is not None:
        actions.check_sdk_app_id(state, sdk_app_id)
    return Call(values, state.clock.now(), Origin(secret_id, request_id)), action


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
        authorization, request, secret_key=keys[authorization.secret_id], timestamp=timestamp
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


def _find_action(state: State, request: Request, name: str) -> Action:
    version = _header(request, "x-tc-version", "Version")
    if version != actions.VERSION:
        raise ApiError("NoSuchVersion", version)
    action = actions.find(state, name)
    if action is None:
        raise ApiError("InvalidAction", name)
    region = _header(request, "x-tc-region", "Region")
    if not actions.REGION_NAME.fullmatch(region):
        raise ApiError("InvalidParameterValue", "X-TC-Region")
    if action.regions is not None and region not in action.regions:
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
        given = json.loads(body, parse_constant=_refuse_constant)
        check_json(given)
    except (ValueError, RecursionError):
        raise ApiError("InvalidParameter", "the body is not JSON") from None
    if not isinstance(given, dict):
        raise ApiError("InvalidParameter", "the body is not a JSON object")
    return given


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _subject(state: State, request: Request) -> _Subject:
    name = request.headers.get("x-tc-action", "")
    action = actions.find(state, name)
    try:
        is_get = request.method == "GET"
        given = parameters.unflatten(request.query) if is_get else _json_object(request.body)
    except ApiError:
        given = {}
    job_id = str(given.get(action.id_param if action else "TaskId", ""))
    return _Subject(name if action else OTHER_ACTION, job_id, given)


def _note(state: State, request: Request, subject: _Subject, outcome: Outcome, delay: float) -> None:
    """Enter a request in the log, the counters, and the polls of the recording or job it asks for."""
    log.info("%s %s %s", subject.action, _printable(subject.job_id), outcome.code)
    now = state.clock.now()
    details = {
        "at": now,
        "request_id": outcome.request_id,
        "job_id": subject.job_id or None,
        "region": request.headers.get("x-tc-region"),
        "client": request.headers.get("x-tc-requestclient"),
        "parameters": without_secrets(subject.given),
    }
    state.count(subject.action, outcome.code, details)
    state.secrets.update(secrets_in(subject.given))
    polls = actions.polls_of(state, subject.action, subject.job_id)
    if polls is not None:
        answer, code, fault = outcome.inside, outcome.code, outcome.fault
        polls.append(poll_of(answer, at=now, code=code, fault=fault, delay_seconds=delay))


def _printable(text: str) -> str:
    """Return an id as one word of a log line: control characters and blanks escaped, not too long."""
    escaped = "".join(c if c.isprintable() and c != " " else f"\\x{ord(c):02x}" for c in text[:200])
    return escaped or "-"
