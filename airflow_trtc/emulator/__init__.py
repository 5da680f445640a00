"""A stand-in for TRTC on-cloud recording: the real protocol, invented recordings, trouble on demand.

It answers ``CreateCloudRecording``, ``DescribeCloudRecording``, ``ModifyCloudRecording`` and
``DeleteCloudRecording`` of version 2019-07-22 so that the official SDK (both clients) and ``tccli`` work
unchanged. Signatures, parameters, regions and the frequency limit are really checked.

Ways to run it::

    python -m airflow_trtc.emulator --port 8765          # a process; prints connection and credentials

    with Emulator() as emulator: ...                     # a thread on a free port
    def test_dag(trtc_emulator): ...                     # pytest, a fresh one for each test
    EmulatorClient("http://127.0.0.1:8765")              # the same methods for one in another process

Methods (of both) and control routes. Bodies and answers are JSON; an error is ``{"error": "..."}``::

    health()                     GET    /_control/health
    add_recording(**options)     POST   /_control/seed       options, or {"recordings": [options, ...]}
                                        -> {"recording_id": ...} or {"recording_ids": [...]}
    script(id, steps)            POST   /_control/script     {"recording_id": ..., "steps": [...]}
    end(id)                      POST   /_control/end        {"recording_id": ...}
    truth(id)                    GET    /_control/truth?recording_id=<percent-encoded>
    fault(kind, **options)       POST   /_control/faults     {"kind": ..., options}
    faults(), clear_faults()     GET, DELETE  /_control/faults
    advance(seconds)             POST   /_control/advance    {"seconds": ...}
    new_recording_id()           GET    /_control/new-id     an id of no recording
    state(requests=False)        GET    /_control/state[?requests=1]
    reset()                      POST   /_control/reset
    page_url(id)                 GET    /_control/recordings/<percent-encoded id>   a page for people
                                 GET    /_control/recordings/                      all recordings

Options of ``add_recording`` (progress: "reads" are answered Describe calls; a condition by seconds and one
by reads may be combined, then both must be met)::

    files                  how many index files (users are added as needed), or a list of vendor dicts
                           {"FileName", "UserId", "TrackType", "BeginTimeStamp"}; default: what the
                           participants make, an audio and a video file each, or one file when mixed
    participants           how many users, or their ids; 0 = nobody comes, it ends after max_idle_seconds (1)
    recoveries             0 to 3 high-availability recoveries: the files again as ha1_... (0)
    file_every_seconds     a further file each T seconds; the first is there at once (0 = all at once)
    file_every_reads       a further file each N reads (0 = all at once)
    idle_seconds, idle_reads          how long Idle, before InProgress (0)
    ends_after_seconds, ends_after_reads   when it ends, counted in InProgress (never)
    room_empty_after_seconds          when all leave; it ends max_idle_seconds (30) later
    exited_seconds, exited_reads      how long Exited is seen before the recording is gone (0)
    started_seconds_ago    it began that long ago and is as far now (0)
    ended                  true: it is over and gone already
    expires_after_hours    ResourceExpiredHour: later queries find nothing, the recording goes on (72)
    mixed, storage         true for one mixed file; "cos" or "vod" (VOD lists no files)
    room_id, is_string_room, robot_id, sdk_app_id, recording_id, recorder_key
    stream_type, output_format, media_id, av_merge, vod_media_type, user_define_record_id
                           the vendor's numbers, as in RecordParams and TencentVod
    empty_file_list        how an empty StorageFileList looks: "list", "null" or "absent"
    list_without_hls       listed with output_format 3 and 4: "nothing", "index" or "media"
    destination            shown in truth and page, e.g. {"Bucket": ..., "FileNamePrefix": [...]}

``Emulator(new_recordings={...})`` gives progress options to what CreateCloudRecording starts.

Steps of ``script``: while a script runs, it answers instead of the recording's own life, which goes on
underneath. What a step leaves out comes from that life. After the last step the life is seen again::

    status      any text, known or not: "InProgress", "Paused"
    files       how many of the recording's files are listed, or a list of vendor dicts. A script with
                files decides which files are made, until it ends
    error       an API error code, with message as its text
    gone        true: "no such recording"; as a last step without limit it ends the recording for good
    task_id     answer for another recording
    file_list   "list", "null" or "absent" for an empty list
    fault       spoil the answer: "html", "reset", "broken_json", "truncated", "charset", ...
    reads, seconds   how long the step lasts; without both one read, the last step for good

    emulator.script(id, [{"files": 1}, {"files": 2}, {"gone": True}])      # ends between two polls
    emulator.script(id, [{"error": "InternalError.CRInternalError", "reads": 3}])
    emulator.script(id, [{"status": "Exited", "seconds": 5}, {"gone": True}])

Kinds of ``fault``. Instead of an answer: ``throttle``, ``error`` (``code``, ``message``), ``http``
(``status``, 502), ``html`` (a page with status 200), ``empty``, ``reset``, ``outage`` (as ``reset``, meant
to last). Carried out, but the answer suffers: ``broken_json``, ``no_content_type``, ``charset`` (API errors
only: the SDK then reads an error as success), ``truncated``, ``lost_answer`` (a reset after the request was
carried out), ``slow`` (by ``delay_seconds``). Limits: ``count`` requests, ``seconds``, ``action``,
``recording_id``; without count and seconds it lasts until ``clear_faults()``.

``truth``: ``status`` (Idle, InProgress, Exited, Gone), ``end_reason`` (ended, deleted, idle, replaced,
script), ``created_at``, ``started_at``, ``ended_at``, ``history``, ``reads``, ``files`` (index files made so
far), ``listed_files`` (those some answer has shown), ``mp4_files``, ``aac_files``, ``vod_files`` (made at the
end), and what the recording is. ``state``: recordings, ``counters`` per action and code, ``throttled``,
faults, and ``requests`` without secrets.

Time: recordings live by a clock that runs ``time_scale`` times as fast as the real one and can be moved by
``advance()``; with ``time_scale=0`` it moves by hand only. Signatures, the frequency limit and faults go by
real seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_trtc.emulator.client import EmulatorClient
    from airflow_trtc.emulator.control import ControlError
    from airflow_trtc.emulator.server import Emulator
    from airflow_trtc.emulator.settings import (
        DEFAULT_DENIED_SECRET_ID,
        DEFAULT_DENIED_SECRET_KEY,
        DEFAULT_FOREIGN_SDK_APP_ID,
        DEFAULT_HOST,
        DEFAULT_PORT,
        DEFAULT_RATE_LIMIT,
        DEFAULT_REGION,
        DEFAULT_SDK_APP_ID,
        DEFAULT_SECRET_ID,
        DEFAULT_SECRET_KEY,
        Settings,
    )

__all__ = [
    "DEFAULT_DENIED_SECRET_ID",
    "DEFAULT_DENIED_SECRET_KEY",
    "DEFAULT_FOREIGN_SDK_APP_ID",
    "DEFAULT_HOST",
    "DEFAULT_PORT",
    "DEFAULT_RATE_LIMIT",
    "DEFAULT_REGION",
    "DEFAULT_SDK_APP_ID",
    "DEFAULT_SECRET_ID",
    "DEFAULT_SECRET_KEY",
    "ControlError",
    "Emulator",
    "EmulatorClient",
    "Settings",
]

_HOMES = {"ControlError": "control", "Emulator": "server", "EmulatorClient": "client"}


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that the pytest plugin costs nothing where it is not used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'settings')}"), name)
