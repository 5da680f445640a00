"""``python -m airflow_trtc.emulator send-callback``: try a receiver without waiting for a recording."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from airflow_trtc.emulator import names, settings
from airflow_trtc.emulator.events import RECORDING, Event
from airflow_trtc.emulator.messages import body_of, check_url, envelope, headers
from airflow_trtc.emulator.samples import sample
from airflow_trtc.emulator.sending import Connection, Reply, SendingError

COMMAND = "send-callback"
KEY = "AIRFLOW_TRTC_CALLBACK_KEY"
DEFAULT_URL = "http://127.0.0.1:8080/trtc/callbacks/trtc_default"
EXIT_NOT_TAKEN = 1
EXIT_WRONG_OPTION = 2

_SHOWN_CHARACTERS = 500
_WRONG_KEY = "aWrongKEY"
_REFUSED = ("refused", "Connect call failed")
_KEYS_DIFFER = (
    "The receiver refuses the signature. Compare the key with callback_secret in the extra of the "
    "Airflow connection whose id ends the address; both must be the key of the console."
)
_ADVICE = {
    400: "The receiver cannot read the body; its log says what is missing.",
    401: _KEYS_DIFFER,
    403: _KEYS_DIFFER,
    404: "Nothing is served at this path. It is /trtc/callbacks/<connection id> of the API server: is "
    "airflow_trtc installed there, and is there a connection of that id?",
    405: "This path takes no POST; is it the address of the receiver?",
    413: "The receiver finds the body too large.",
}


def main(arguments: Sequence[str]) -> int:
    """Send, print what came of it, and return the exit code: 0 if every answer was 200."""
    options = _parser().parse_args(arguments)
    try:
        check_url(options.url)
        body_at = _body(options)
    except (ValueError, OSError) as error:
        print(f"wrong option: {error}", file=sys.stderr)
        return EXIT_WRONG_OPTION
    return 0 if asyncio.run(_send(options, body_at)) else EXIT_NOT_TAKEN


async def _send(options: argparse.Namespace, body_at: Callable[[float], bytes]) -> bool:
    connection = Connection()
    key = None if options.unsigned else _WRONG_KEY if options.wrong_key else _key(options)
    failed_status: int | None = None
    for number in range(1, options.repeat + 1):
        body = body_at(time.time())
        began = time.perf_counter()
        try:
            reply = await connection.post(
                options.url,
                headers(body, options.app_id, key),
                body,
                timeout_seconds=settings.Settings.callback_timeout_seconds,
            )
        except SendingError as error:
            print(f"{number}: {error}\n{_advice_without_answer(str(error))}", file=sys.stderr)
            return False
        print(f"{number}: {_shown(reply, time.perf_counter() - began)}", flush=True)
        if reply.status != 200:
            failed_status = reply.status
    connection.close()
    if failed_status is not None:
        print(_advice(failed_status), file=sys.stderr)
    return failed_status is None


def _body(options: argparse.Namespace) -> Callable[[float], bytes]:
    """Return what makes the body to be sent at a time: always the same of a file, else one event."""
    if options.file is not None:
        content = Path(options.file).read_bytes()
        print(f"{len(content)} bytes of {options.file} to {options.url}")
        return lambda now: content
    event = sample(
        options.type,
        recording_id=options.recording_id or names.recording_id(random.Random()),
        room_id=options.room_id,
        sdk_app_id=options.app_id,
        now=time.time(),
        payload=_payload(options.payload),
    )
    print(f"event {event.type} of {_subject(event)} to {options.url}")
    return lambda now: body_of(envelope(event, now), is_indented=options.indented)


def _key(options: argparse.Namespace) -> str:
    from_environment = os.environ.get(KEY, "").strip()
    return str(options.key or from_environment or settings.DEFAULT_CALLBACK_KEY)


def _subject(event: Event) -> str:
    if "TaskId" not in event.info:
        return f"room {event.info['RoomId']}"
    return f"{'recording' if event.group == RECORDING else 'job'} {event.info['TaskId']}"


def _payload(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    given = json.loads(text)
    if not isinstance(given, dict):
        raise ValueError("--payload must be a JSON object")
    return given


def _shown(reply: Reply, seconds: float) -> str:
    named = (reply.headers.get(name) for name in ("x-request-id", "correlation-id"))
    request_id = next((f", request id {each}" for each in named if each), "")
    text = reply.body.decode(errors="replace").strip()
    if len(text) > _SHOWN_CHARACTERS:
        text = f"{text[:_SHOWN_CHARACTERS]}..."
    return f"{reply.status} in {seconds * 1000:.0f} ms{request_id}, answer {text or '(empty)'}"


def _advice(status: int) -> str:
    if status in _ADVICE:
        return _ADVICE[status]
    if 300 <= status < 400:
        return "The receiver redirects. The service may not follow: give the address it leads to."
    return "The service takes every answer but 200 for a failure and sends again for a minute."


def _advice_without_answer(reason: str) -> str:
    if any(each in reason for each in _REFUSED):
        return "Nothing listens there: is Airflow's API server running, at this host and port?"
    if "no answer within" in reason:
        return "The service would not wait longer either. Is the host right? Does a firewall drop requests?"
    return "The service would send again for a minute, and then drop the event."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m airflow_trtc.emulator {COMMAND}",
        description="Send one event to a receiver of callbacks, as the service does.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--url", default=DEFAULT_URL, help="address of the receiver")
    # A command line is in the shell's history, and every user of the machine may read it.
    add(
        "--key",
        default=None,
        help=f"key of the console, signs the callback; put a real one into the environment as {KEY},"
        " where other users cannot read it",
    )
    add("--app-id", type=int, default=settings.DEFAULT_SDK_APP_ID, help="application that sends")
    add("--type", type=int, default=302, help="event type of any group, such as 302, 102 or 401")
    add(
        "--recording-id",
        "--job-id",
        default=None,
        help="TaskId of the recording or other job that the event is about; without it a new one",
    )
    add("--room-id", default="8001", help="room of the recording")
    add(
        "--payload",
        default=None,
        metavar="JSON",
        help="instead of the usual payload; of rooms, media and ingest: added to the event",
    )
    add("--file", default=None, metavar="PATH", help="send the bytes of this file instead of an event")
    add("--repeat", type=_positive, default=1, metavar="N", help="send the same event N times")
    add("--indented", action="store_true", help="with tabs and newlines, as the service sends some events")
    wrong = parser.add_mutually_exclusive_group()
    wrong.add_argument("--unsigned", action="store_true", help="without a signature")
    wrong.add_argument("--wrong-key", action="store_true", help="signed with another key")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
