"""``python -m airflow_trtc.emulator``: serve until stopped, or send one callback."""

from __future__ import annotations

import argparse
import logging
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from airflow_trtc.emulator import send_callback, settings
from airflow_trtc.emulator.server import Emulator

SERVE = "serve"
EXIT_CANNOT_LISTEN = 1
EXIT_WRONG_OPTION = 2
SEEN_EXITED_SECONDS = 0.033
"""What was seen of the real service: 33 ms from the recorder's exit to its last file."""

GREETING = """\
TRTC emulator at {url}

  secret id    {secret_id}
  secret key   {secret_key}
  application  {sdk_app_id}, its key {sdk_secret_key}
  region       {region}

Airflow connection:
  export AIRFLOW_CONN_TRTC_DEFAULT={connection}

Put a recording in, with a file every 10 s and an end after 60 s:
  curl -s {url}/_control/seed -d '{{"files": 4, "file_every_seconds": 10, "ends_after_seconds": 60}}'

Put a job of another kind in, of any describe action; each step is an answer:
  curl -s {url}/_control/jobs \\
    -d '{{"action": "DescribeMadeUp", "steps": [{{"Status": "Running", "reads": 3}}, {{"Status": "Done"}}]}}'

{callbacks}

Recordings, jobs and relays: {url}/_control/recordings/  or  curl -s {url}/_control/state
Call the API: tccli trtc DescribeCloudRecording --endpoint {url} --region {region} \\
  --secretId {secret_id} --secretKey {secret_key} --SdkAppId {sdk_app_id} --TaskId=...
Stop with Ctrl-C."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator, or the command that comes first, and return the exit code."""
    command, *rest = given = list(sys.argv[1:] if arguments is None else arguments) or [SERVE]
    if command == send_callback.COMMAND:
        return send_callback.main(rest)
    options = vars(_parser().parse_args(rest if command == SERVE else given))
    if options.pop("verbose"):
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
    trouble = {name: options.pop(f"callback_{name}") for name in ("loss", "doubled", "shuffle_seconds")}
    options["control_hosts"] = tuple(options["control_hosts"])
    options["callback_key"] = options["callback_key"] or None
    new_recordings = {name[4:]: options.pop(name) for name in list(options) if name.startswith("new_")}
    try:
        emulator = Emulator(new_recordings=new_recordings, callback_trouble=trouble, **options)
    except ValueError as error:
        print(f"wrong option: {error}", file=sys.stderr)
        return EXIT_WRONG_OPTION
    return _serve(emulator)


def _serve(emulator: Emulator) -> int:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        emulator.start()
    except (OSError, OverflowError) as error:
        print(
            f"cannot listen on {emulator.host}:{emulator.port}: {getattr(error, 'strerror', None) or error}",
            file=sys.stderr,
        )
        return EXIT_CANNOT_LISTEN
    print(greeting(emulator), flush=True)
    stop.wait()
    emulator.stop()
    print("stopped", flush=True)
    return 0


def greeting(emulator: Emulator) -> str:
    """Return what a user needs to know to go on."""
    return GREETING.format(
        url=emulator.url,
        secret_id=emulator.secret_id,
        secret_key=emulator.secret_key,
        sdk_app_id=emulator.sdk_app_id,
        sdk_secret_key=emulator.sdk_secret_key,
        region=emulator.region,
        connection=shlex.quote(emulator.connection_json),
        callbacks=_callbacks(emulator),
    )


def _callbacks(emulator: Emulator) -> str:
    url, key = emulator.settings.callback_url, emulator.settings.callback_key
    if url is None:
        return "Callbacks: none; --callback-url http://127.0.0.1:8080/trtc/callbacks/trtc_default sends them."
    return f"Callbacks: to {url}, {'unsigned' if key is None else f'signed with the key {key}'}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_trtc.emulator",
        description="A stand-in for the service of Tencent RTC (TRTC).",
        epilog=f"'{send_callback.COMMAND} --help' explains how to send one callback to a receiver.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    for add_options in (_add_server, _add_account, _add_start, _add_recordings, _add_callbacks):
        add_options(parser.add_argument)
    return parser


def _add_server(add: Callable[..., object]) -> None:
    add("--host", default=settings.DEFAULT_HOST, help="address to listen on")
    add("--port", type=int, default=settings.DEFAULT_PORT, help="port to listen on, 0 for a free one")
    add(
        "--control-host",
        action="append",
        default=[],
        dest="control_hosts",
        metavar="NAME",
        help="domain name under which control requests are accepted; may be repeated",
    )
    add("--time-scale", type=float, default=1.0, help="emulated seconds per second")
    add("--verbose", action="store_true", help="one line for each request")


def _add_account(add: Callable[..., object]) -> None:
    add("--secret-id", default=settings.DEFAULT_SECRET_ID, help="the account's key id")
    add("--secret-key", default=settings.DEFAULT_SECRET_KEY, help="the account's key")
    add("--token", default=None, help="makes the keys temporary: requests need this token")
    add("--sdk-app-id", type=int, default=settings.DEFAULT_SDK_APP_ID, help="the account's application")
    add("--region", default=settings.DEFAULT_REGION, help="region shown in the connection")
    rate, concurrency = settings.DEFAULT_RATE_LIMIT, settings.DEFAULT_CONCURRENCY_LIMIT
    add("--rate-limit", type=int, default=rate, help="requests/s and action, 0 for no limit")
    add("--concurrency-limit", type=int, default=concurrency, help="recordings at one time")


def _add_start(add: Callable[..., object]) -> None:
    defaults = settings.Settings
    add("--sdk-secret-key", default=settings.DEFAULT_SDK_SECRET_KEY, help="the application's key")
    either = argparse.BooleanOptionalAction
    add("--check-user-sig", action=either, default=True, help="whether a UserSig has to be valid")
    add("--user-sig-code", default=defaults.user_sig_code, help="error code for a wrong UserSig")
    add("--advanced-permission-control", action="store_true", help="robots need a PrivateMapKey too")
    code = defaults.private_map_key_code
    add("--private-map-key-code", default=code, help="error code for a wrong or missing PrivateMapKey")
    add("--storage-access-key", default=None, help="the buckets' only key pair; others are refused")
    add("--storage-secret-key", default=None, help="its key")
    when = settings.STORAGE_REFUSALS
    add("--refuse-storage", choices=when, default=when[0], help="when another pair is refused")
    add("--storage-code", default=defaults.storage_code, help="error code of a refusal at once")


def _add_recordings(add: Callable[..., object]) -> None:
    seconds = {"type": float}
    add("--exited-seconds", **seconds, default=SEEN_EXITED_SECONDS, help="how long Exited is shown")
    add("--new-idle-seconds", **seconds, default=3.0, help="Idle time of recordings started over the API")
    add("--new-file-every-seconds", **seconds, default=5.0, help="their files appear that far apart")
    add("--new-room-empty-after-seconds", **seconds, default=None, help="all users leave after that time")


def _add_callbacks(add: Callable[..., object]) -> None:
    add("--callback-url", default=None, help="where events are sent")
    add("--callback-key", default=settings.DEFAULT_CALLBACK_KEY, help="signs them; '' leaves them unsigned")
    add("--callback-loss", type=float, default=0.0, help="share of them, 0 to 1, that is never sent")
    add("--callback-doubled", type=float, default=0.0, help="share of them that is sent twice")
    add("--callback-shuffle-seconds", type=float, default=0.0, help="each is late by a random part of it")
    add("--room-events", action="store_true", help="also send events of rooms and participants")


if __name__ == "__main__":
    sys.exit(main())
