"""A stand-in for TRTC: the real protocol, invented recordings and other jobs, faults on demand.

It answers the calls of version 2019-07-22 so that the official SDK (both clients) and ``tccli`` work
unchanged. Signatures, UserSigs, parameters, regions and limits are really checked. Recordings and jobs of
nine other kinds have lives: they are started over the API or put in, send callbacks and end. Jobs of made-up
kinds are scripted: ``add_job`` makes any describe action known, and its steps are the answers.

Ways to run it::

    python -m airflow_trtc.emulator --port 8765          # a process; prints connection and credentials

    with Emulator() as emulator: ...                     # a thread on a free port
    def test_dag(trtc_emulator): ...                     # pytest, a fresh one for each test
    EmulatorClient("http://127.0.0.1:8765")              # the same methods for one in another process

Methods (of both) and control routes. Bodies and answers are JSON; an error is ``{"error": "..."}``::

    health()                     GET    /_control/health
    add_recording(**options)     POST   /_control/seed       options, or {"recordings": [options, ...]}
                                        -> {"recording_id": ...} or {"recording_ids": [...]}
    add_job(kind=..., **options), add_job(action, steps=[...])
                                 POST   /_control/jobs       options, or {"jobs": [options, ...]}
                                        -> {"job_id": ...} or {"job_ids": [...]}
    script(id, steps)            POST   /_control/script     {"job_id": ..., "steps": [...]}
    end(id)                      POST   /_control/end        {"job_id": ...}
    room(id, enter=[...], leave=[...])  POST  /_control/room  {"room_id": ..., "enter": [...], "leave": [...]}
                                        -> {"users": [...], ...}
    rooms()                      GET    /_control/rooms
    relay(job_id, statuses=[...])  POST   /_control/relay    {"job_id": ..., "url": ..., "statuses": [...]}
    add_call(room_id, **options) POST   /_control/calls      options, or {"calls": [options, ...]}
                                        -> {"comm_id": ...} or {"comm_ids": [...]}
    add_history(**options)       POST   /_control/history    options -> {"comm_ids": [...]}
    calls(details=False)         GET    /_control/calls[?comm_id=...][&details=1]
    bill(room_id=None)           GET    /_control/bill[?room_id=...][&sdk_app_id=...]
    add_usage(usage, key, ...)   POST   /_control/usage      options, or {"spells": [options, ...]}
    make_usage_history(days=90)  POST   /_control/usage-history   {"days": ..., "seed": ..., "rooms": ...}
    usage()                      GET    /_control/usage[?sdk_app_id=...]
    truth(id)                    GET    /_control/truth?job_id=<percent-encoded>
    fault(kind, **options)       POST   /_control/faults     {"kind": ..., options}
    faults(), clear_faults()     GET, DELETE  /_control/faults
    advance(seconds)             POST   /_control/advance    {"seconds": ...}
    skew_clock(seconds)          POST   /_control/skew       {"seconds": ...}
    set_callback(url, key)       POST   /_control/receiver   {"url": ... or null, "key": ... or null}
    callback_trouble(**options)  POST   /_control/callbacks  options
    callbacks(id=None)           GET    /_control/callbacks[?recording_id=...][&ledger=0]
    send_event(group, type, info)  POST /_control/event      {"event_group": 1, "event_type": 102,
                                        "event_info": {"RoomId": "8001"}} -> the event's record
    wait_for_callbacks()         until nothing that is due is on its way; returns the counters
    new_recording_id()           GET    /_control/new-id     an id of no recording and no job
    state(requests=False)        GET    /_control/state[?requests=1]
    reset()                      POST   /_control/reset
    page_url(recording_id)       GET    /_control/recordings/<percent-encoded id>   a page for users
                                 GET    /_control/recordings/                      all recordings and jobs

Where a ``job_id`` is taken, that of a recording may be called ``recording_id`` as well. Web pages of other
sites cannot control the emulator: requests that change something are refused with a foreign Origin, a content
type of web forms other than that of ``curl -d``, or a Host that is a domain name (but see ``control_hosts``).

Options of ``add_recording`` (progress: "reads" are answered Describe calls; a condition by seconds and one
by reads may be combined, then both must be met)::

    files                  how many index files (users are added as needed), or a list of vendor dicts
                           {"FileName", "UserId", "TrackType", "BeginTimeStamp"}; default: what the
                           participants make, an audio and a video file each, or one file when mixed
    participants           how many users, or their ids; 0 = an empty room, it ends after max_idle_seconds (1)
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
    screens                true: each user shares the screen too, a stream of its own (aux), unless media_id
                           leaves it out (false)
    max_media_seconds      longer mp4 and aac files are cut into parts, each with a 310 of its own; 0: never
                           (86400, or MaxMediaFileDuration)
    empty_file_list        how an empty StorageFileList looks: "list", "null" or "absent"
    list_without_hls       listed with output_format 3 and 4: "nothing", "index" or "media"
    destination            shown in truth and page, e.g. {"Bucket": ..., "FileNamePrefix": [...]}

``Emulator(new_recordings={...})`` gives progress options to what CreateCloudRecording starts.

Settings that decide whether CreateCloudRecording starts one, of ``Emulator(...)`` and its command line::

    sdk_secret_key         signs the UserSig: of the request's UserId and SdkAppId, not expired by the
                           service's clock. A public default, 64 digits of ``deadbeef``
    check_user_sig         False takes any text (True)
    user_sig_code          the error's code ("InvalidParameter.UserSig"), its message names the failed check
    advanced_permission_control   True: a PrivateMapKey is needed too, for the same user and room, with the
                           privileges to enter and to receive what StreamType records (False)
    private_map_key_code   the error's code when it is missing or not valid ("FailedOperation")
    storage_access_key, storage_secret_key   the only key pair that buckets take (any)
    refuse_storage         another pair: "at_upload", the recording starts, its files are not uploaded (303
                           Status 1, 308, no 304, 305 Status 1, 310 Status 2); "at_create" is an error
    storage_code           that error's code ("FailedOperation")
    concurrency_limit      recordings at one time (100), one more is FailedOperation.RestrictedConcurrency

No page of the vendor says which codes these are for recordings, and when keys of buckets are checked
[unsure]. The same robot in the same room replaces its earlier recording. Other errors are faults::

    emulator.fault("error", action="CreateCloudRecording", code="InternalError.CRInternalError", count=2)
    emulator.fault("error", action="CreateCloudRecording", code="FailedOperation.CRUnsupportMethod")
    emulator.fault("error", action="CreateCloudRecording", code="UnsupportedOperation")   # package
    emulator.fault("error", action="CreateCloudRecording", code="ResourceInsufficient.RequestRejection")
    emulator.fault("hang", action="CreateCloudRecording", count=1)           # arrived, nothing was started
    emulator.fault("slow", action="CreateCloudRecording", delay_seconds=30)  # started, the answer takes time
    emulator.fault("lost_answer", action="CreateCloudRecording", count=1)    # started, no answer ever

``room`` lets anchors enter and leave while recordings run; ``enter`` and ``leave`` take an id or a list, and
without them it only says who is there. Options besides: ``is_string_room`` (true for a string room whose name
is a number) and ``sdk_app_id``. Before the first move, those are in a room whom its running recordings
have as participants; then the room decides, also for recordings that begin later: ``participants`` and
``room_empty_after_seconds`` of the API's recordings no longer count. A recording without anchors for
``max_idle_seconds`` ends (302 with LeaveCode 99). Who enters gets files of their own. With room events on,
the first to enter is a 101 and 103, with 203 and 201 for audio and video; who leaves is a 104, the last also
a 102::

    emulator.room("8001", enter=["alice"])     # with room_events=True: callbacks, so that a DAG starts
    emulator.room("8001", leave=["alice"])     # its recordings end after MaxIdleTime, unless another enters

A room is there while someone is in it: anchors, and robots that record or relay. ``DismissRoom`` sends all of
them out (104 with Reason 3, 102, recordings 302 with LeaveCode 2), ``RemoveUser`` those it names (LeaveCode
1); ``FailedOperation.RoomNotExist`` if there is nobody. ``SetUserBlocked`` is only noted. ``rooms`` returns
``rooms`` with their ``users``, the ``actions`` carried out, and who is ``blocked`` how.

``StartPublishCdnStream`` starts a relay, which calls back for each URL (401) with 1 and 2, at its end with 5
and 0. ``relay`` lets one come to other statuses: numbers, or objects with ``status``, ``after_seconds``,
``error_code`` and ``error_msg``. A relay ends when it is stopped (``end_reason`` stopped), when its room was
without anchors for MaxIdleTime (idle), with its room or robot (dismissed, removed), when all its URLs are at
0 (failed), and when its robot relays again in the same room (replaced) [unsure]. ``truth`` of a relay has
``statuses``, ``history``, ``updates``, ``sequence_number`` and ``content``::

    emulator.relay(relay_id, statuses=[3, 2])                        # a glitch
    emulator.relay(url="rtmp://h/a/s", statuses=[1, 4, 0])           # relays to come never connect there

``add_call`` puts a call of the past in, which ``DescribeRoomInfo`` and the other calls of quality and history
then answer from. Options: ``users`` (how many, their ids, or objects as below), ``began_at`` (Unix seconds)
or ``began_seconds_ago`` (3600), ``lasts_seconds`` (600; null: it goes on), ``creator_id`` (the first user),
``sdk_app_id``, and ``step_seconds``, how far apart measurements are (10). Of a user::

    user_id                required
    joins_after_seconds    counted from the begin of the call (0)
    stays_seconds          (to its end)
    device_type, sdk_version, client_ip
    measured               {"aLoss": 30, "bigvBlock": [0, 500]}: instead of usual values, again and again
    events                 [{"event_id": 5003, "after_seconds": 0, "peer_id": "", "stream_type": 0,
                           "first": 1, "second": -1}, ...]; default: entered (5003), and left (5008)
    unusual                [{"experience_id": 4, "after_seconds": 60, "causes": [2024, [2017, "bob"]]}, ...]

``add_history`` puts random calls in, the same ones for the same options and hour: ``calls`` (20) in the last
``days`` (7) with up to ``most_users`` (4) of up to ``longest_seconds`` (5400), ``seed`` (0), ``sdk_app_id``,
``step_seconds`` (60). ``calls`` returns all: ``comm_id``, ``sdk_app_id``, ``room_id``, ``creator_id``,
``created_at``, ``destroyed_at``, and ``sessions`` with their ``events`` and ``unusual`` experiences; with
``details`` the ``series`` of what was measured, too. People whom ``room`` moves make calls as well::

    comm_id = emulator.add_call("8001", users=["ann", {"user_id": "bob", "measured": {"aLoss": 40}}])
    emulator.calls(details=True)

``bill`` has all that was started over the API since the last ``reset()``: ``recordings``, one each, with
``recording_id``, ``sdk_app_id``, ``room_id``, ``is_string_room``, ``robot_id``, ``created_at``, ``ended_at``,
``end_reason``, ``seconds`` (from its creation to its end or now, 0 when the recorder failed to start), and
``started_by`` and ``stopped_by``: ``secret_id`` and ``request_id`` of the requests; ``running``, the ids of
those that run; ``seconds`` of all; and the sums ``by_application`` and ``by_room`` with ``recordings``,
``running`` and ``seconds``::

    assert len(emulator.bill("8001")["recordings"]) == 1

The usage calls answer sums of spells: ``usage`` (``trtc``, ``recording_single``, ``recording_multi``,
``mix_transcoding``, ``relay``, ``ai``, ``moderation``, ``slicing``, ``acceleration``), ``key`` (``Audio``,
``HD``, ...), ``began_at`` (Unix time), ``seconds``, ``amount`` (how many at the same time; the Mbit/s of
``relay``), ``sdk_app_id`` and ``room_id``. Recordings are spells from their start to their end, of ``HD``, or
of ``Audio`` with stream_type 1, for each user unless mixed. People whom ``room`` moved are spells of ``trtc``
and ``Audio``. ``make_usage_history`` adds spells of whole minutes in the days before today, the same for the
same ``seed``. The settings ``usage_zone_hours`` (8) and ``room_usage_seconds`` (15.0) are the zone of the
days and the pause between two DescribeTrtcRoomUsage::

    emulator.add_usage("trtc", "HD", began_at=1767225600, seconds=3600, amount=2)      # 120 minutes
    assert sum(each["seconds"] for each in emulator.usage()) == 3600

Options of ``add_recording``, also of ``new_recordings``, that concern callbacks::

    callbacks              {"302": "lost", "305": "doubled", "310": 30}: never sent, sent twice, sent so many
                           real seconds late; what is named here is met by no loss and doubling at random
    room_events            true: also 101, 103, 201, 203 at the start, 104, 102 when all leave (false)
    start_fails            true: 301 with Status 1 after the time of Idle; nothing is recorded, and no other
                           event comes (false)
    leave_code             of 302 (0; 99 when idle; 101 when the same robot came in again)
    upload_start_status    of 303: 1 = the upload failed to begin, no 304 comes (0)
    upload_status          of 305, or a list: [1, 2] = files linger, then recovered (0)
    mp4_status             of 310, for mp4 and aac: of all, or a list with one for each 310 (0)
    vod_status             of 311: of all, or a list with one for each file; in both lists an element may be
                           a list again: [0, [1, 0]] = the second file lingers, then is there (0)
    vod_end_status         of 312 (0)
    files_per_310          files in each 310, 0 for all in one (1)
    failovers              306: how many, a second apart, or seconds after the start (0)
    upload_errors          308: how many, or a list of {"Code": ..., "Message": ...}, a second apart (0)
    image_errors           309: how many, or a list of addresses, a second apart (0); of these three kinds
                           none comes after the end
    index_after_seconds    from 307, an index file's first segment, to its 304 (0.2)
    upload_after_seconds, mp4_after_seconds, vod_after_seconds
                           from the end, 302, to 305 (0.033), the first 310 (2.6), the first 311 (2.6)
    media_every_seconds    from one 310 or 311 to the next (0.5)
    vod_end_after_seconds  from the last 311 to 312 (0.1)
    recovered_after_seconds  from one status in a list to the next (5)

Steps of ``script``: while a script runs, it answers instead of the recording's own life, which goes on
underneath. What a step leaves out comes from that life. After the last step the life is seen again::

    status      any text, known or not: "InProgress", "Paused"
    files       how many of the recording's files are listed, or a list of vendor dicts. A script with
                files decides which files are made, until it ends
    error       an API error code, with message as its text; or {"Code": ..., "Message": ...}
    gone        true: "no such recording"; as a last step without limit it ends the recording for good
    task_id     answer for another recording
    file_list   "list", "null" or "absent" for an empty list
    fault       spoil the answer: "html", "reset", "broken_json", "truncated", "charset", ...
    reads, seconds   how long the step lasts; without both one read, the last step for good

    emulator.script(id, [{"files": 1}, {"files": 2}, {"gone": True}])      # ends between two polls
    emulator.script(id, [{"error": "InternalError.CRInternalError", "reads": 3}])
    emulator.script(id, [{"status": "Exited", "seconds": 5}, {"gone": True}])

Options of ``add_job(kind=...)``, a job that lives as those of its kind: ``slicing``, ``moderation``,
``live_moderation``, ``transcription``, ``ai_transcription``, ``ai_conversation``, ``ingest``,
``web_recording``, ``speech``. Its calls answer from then on as for one started over the API::

    idle_seconds, idle_reads, preparing_seconds, preparing_reads   how long before it runs (0)
    ends_after_seconds, ends_after_reads   when it ends by itself, counted while it runs (never; speech: 2 s)
    ending_seconds, ending_reads   how long its end is shown, as Exited or Stopped (as the settings say: 0)
    participants           how many are in its room, or their ids (1); 0: it ends after max_idle_seconds
    room_empty_after_seconds, max_idle_seconds   when all leave, and how much longer it runs (the kind's own)
    max_seconds            its MaxDuration or MaxDurationLimit (none)
    expires_after_hours    its ResourceExpiredHour (the kind's own)
    start_fails            true: it never runs; its start event says so (false)
    fails                  true: it ends badly: speech is Failed, AI reports LeaveCode 98 (false)
    outputs                what comes of it: slices, hits, sentences or files, a number or a list; each is an
                           event (of web recordings at the end)
    output_every_seconds   from one to the next (0)
    leave_code, callbacks  of its end; trouble by event type, as for recordings
    started_seconds_ago, job_id, sdk_app_id, room_id, is_string_room, robot_id
    key                    its SessionId or RecordId
    steps                  answers before its life is seen, as below; ``script(id, steps)`` later on. What a
                           step leaves out comes from the life

    emulator.add_job(kind="transcription", ends_after_reads=3, outputs=["Good morning."])
    emulator.add_job(kind="ingest", steps=[{"Status": "Paused", "reads": 2}])

``Emulator(new_jobs={"transcription": {...}})`` gives such options, those of places left out, to what the API
starts. ``room`` moves people in and out of the rooms of jobs too, and ``bill`` has ``jobs``, one each with
``job_id``, ``kind`` and else as for recordings, ``running_jobs`` and the sums ``by_kind``.

Options of ``add_job`` for any other action, which is answered from then on, for ids of its jobs; other ids do
not exist. It is offered in every region, and takes any parameters::

    action                 e.g. "DescribeCloudModeration" or "DescribeMadeUpTask"
    steps                  the answers; the last one stays. ``script(id, steps)`` replaces them
    id_param               the parameter with the job's id, which the answers repeat ("TaskId")
    job_id                 instead of a fresh id
    sdk_app_id             to which application it belongs; requests that name another do not find it

Steps of a job: names that begin with a capital are fields of the answer, e.g. ``Status``; besides there are
``gone``, ``error``, ``message``, ``fault``, ``reads`` and ``seconds`` as for recordings::

    emulator.add_job("DescribeMadeUpTask", steps=[{"Status": "Running", "reads": 2}, {"Status": "Done"}])
    emulator.add_job("DescribeMadeUpTask", id_param="JobId", steps=[{"Status": "Running"}, {"gone": True}])
    emulator.add_job("DescribeMadeUpTask", steps=[{"error": {"Code": "InternalError", "Message": "Oops"}}])

Kinds of ``fault``. Instead of an answer: ``throttle``, ``error`` (``code``, ``message``), ``http``
(``status``, 502), ``html`` (a page with status 200), ``empty``, ``reset``, ``outage`` (as ``reset``, meant
to last), ``hang`` (no answer until the client gives up). Carried out, but the answer suffers:
``broken_json``, ``no_content_type``, ``charset`` (API errors only: the SDK then reads an error as success),
``truncated``, ``lost_answer`` (a reset after the request was carried out), ``slow`` (by ``delay_seconds``).
Limits: ``count`` requests, ``seconds``, ``action``, ``job_id``; without count and seconds it lasts
until ``clear_faults()``.

``truth``: ``status`` (Idle, InProgress, Exited, Gone), ``end_reason`` (ended, deleted, idle, replaced,
script, failed), ``created_at``, ``started_at``, ``ended_at``, ``history``, ``reads``, ``files`` (index
files made so far), ``listed_files`` (those some answer has shown), ``mp4_files``, ``aac_files``,
``vod_files`` (made at the end; with MediaId, EndTimeStamp, and on VOD FileId, VideoUrl), ``failed_files``
(reported with status 2), ``callbacks`` (the ledger), ``polls`` (the last 1000 Describe calls: ``at``,
``code``, ``status``, ``file_count``, the ``fault`` that replaced or spoiled the answer, ``delay_seconds``),
``started_by`` and ``stopped_by`` (as in ``bill``), ``layout`` and ``subscriptions`` as the last request set
them, ``storage_refused``, and what the recording is. Of a job: ``reads``, ``polls``, the ``step`` that
answers, ``steps_left`` after it, and what the job is; with a life also ``kind``, ``status``, ``stage``,
``end_reason`` (ended, deleted, idle, limit, replaced, script, failed), ``history``, ``outputs``,
``settings`` that calls changed, and ``callbacks``. ``state``: recordings, jobs, ``counters`` per action
and code, ``throttled``, faults, and ``requests`` with their ids, without secrets.

Callbacks are POSTs of the recordings' events to ``Emulator(callback_url=..., callback_key=...)``, signed with
the key; without a URL there are none, without a key they have no ``Sign``. Recordings send 301, 303 and for
each index file 307 and 304, at the end 302, 305, and a 310 for each mp4 or aac file; on VOD 301, 302, a 311
for each file, 312. They come when they are due, polls or not. What happened before a recording was added, or
before there was a URL, is not reported; of a recording added with ``ended`` nothing is. An answer other than
200, of more than 2000 bytes, or none within ``callback_timeout_seconds`` (5) is a failure: sent again at
once, then every ``callback_retry_seconds`` (10), and dropped ``callback_lifetime_seconds`` (60) after the
first attempt. At most ``callback_connections`` (16) are under way. A repetition has a new CallbackTs, and
often other white space. ``room_events=True`` is the default of the recordings' option.

Options of ``callback_trouble``, also of ``Emulator(callback_trouble={...})``; each call replaces all of
them, without options the trouble is over. With ``Emulator(seed=...)`` the same recordings meet the same
trouble::

    loss, doubled          shares of events (0 to 1) that are never sent, that are sent twice
    lose_types             event types that are never sent, e.g. [302]
    delay_seconds          real seconds each is sent late
    shuffle_seconds        each is late by a random part of this, so that the order is lost

The ledger, in ``callbacks()["ledger"]`` and for one recording in ``truth(id)["callbacks"]``, has every
event that was due, in order: ``number``, ``event_group``, ``event_type``, ``recording_id``, ``at``,
``payload``, ``event_info``, ``status`` (waiting, delivered, dropped after all attempts, lost on purpose),
``copies`` (0 lost, 1, 2 doubled), ``delivered`` (copies answered with 200), ``delay_seconds``, and
``attempts`` with ``copy``, ``at`` (real time), ``seconds``, ``status`` of the answer, ``error``. Counters,
also in ``state()["callbacks"]``: ``events``, ``delivered``, ``lost``, ``doubled``, ``dropped``,
``attempts``, ``failures``, ``waiting``.

To try a receiver without an emulator: ``python -m airflow_trtc.emulator send-callback --help``.

Time: recordings live by a clock that runs ``time_scale`` times as fast as the real one and can be moved by
``advance()``; with ``time_scale=0`` it moves by hand only. Signatures, the frequency limit, faults, and the
delays and repetitions of callbacks go by real seconds.

``skew_clock(seconds)``, and ``Emulator(clock_skew_seconds=...)`` from the beginning, sets the service's clock
ahead of this machine's, or behind. Signatures are judged by it (over 300 seconds off is an error), and
recordings that begin from then on take the times of their events and files from it. All other times in
``truth`` are as they really were; its ``clock_skew_seconds`` is that of the recording.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_trtc.emulator.client import EmulatorClient
    from airflow_trtc.emulator.control import ControlError
    from airflow_trtc.emulator.server import Emulator
    from airflow_trtc.emulator.settings import (
        DEFAULT_CALLBACK_KEY,
        DEFAULT_DENIED_SECRET_ID,
        DEFAULT_DENIED_SECRET_KEY,
        DEFAULT_FOREIGN_SDK_APP_ID,
        DEFAULT_HOST,
        DEFAULT_PORT,
        DEFAULT_RATE_LIMIT,
        DEFAULT_REGION,
        DEFAULT_SDK_APP_ID,
        DEFAULT_SDK_SECRET_KEY,
        DEFAULT_SECRET_ID,
        DEFAULT_SECRET_KEY,
        Settings,
    )

__all__ = [
    "DEFAULT_CALLBACK_KEY",
    "DEFAULT_DENIED_SECRET_ID",
    "DEFAULT_DENIED_SECRET_KEY",
    "DEFAULT_FOREIGN_SDK_APP_ID",
    "DEFAULT_HOST",
    "DEFAULT_PORT",
    "DEFAULT_RATE_LIMIT",
    "DEFAULT_REGION",
    "DEFAULT_SDK_APP_ID",
    "DEFAULT_SDK_SECRET_KEY",
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
