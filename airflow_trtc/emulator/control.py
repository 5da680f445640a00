"""What tests and users may do to an emulator besides calling its API. JSON in, JSON out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from airflow_trtc.emulator import billing, jobs, lives, presence, usage
from airflow_trtc.emulator.actions import RECORDINGS
from airflow_trtc.emulator.events import Event, with_times
from airflow_trtc.emulator.families import publishing
from airflow_trtc.emulator.families import rooms as room_calls
from airflow_trtc.emulator.families.publishing import UrlStep
from airflow_trtc.emulator.faults import Fault
from airflow_trtc.emulator.history import History
from airflow_trtc.emulator.history import truth as call_truth
from airflow_trtc.emulator.history_seeding import CallSeed, HistorySeed, call_of, history_of
from airflow_trtc.emulator.jobs import Job, JobSeed, life_of, script_of
from airflow_trtc.emulator.ledger import described, trouble_of
from airflow_trtc.emulator.lives import LifeSeed
from airflow_trtc.emulator.natures import BY_DESCRIBE, NATURES
from airflow_trtc.emulator.options import (
    MAX_APPLICATION,
    MAX_SECONDS,
    MAX_TEXT,
    built,
    check_count,
    check_json,
    check_seconds,
)
from airflow_trtc.emulator.recordings import GONE, Recording, advance, end, play, stop_script
from airflow_trtc.emulator.rooms import Room, looks_like_string_room
from airflow_trtc.emulator.seeding import Seed, recipe_of, recording_of, step_of
from airflow_trtc.emulator.state import State, ledger_of, truth

Options = Mapping[str, Any]
Operation = Callable[[State, Options], dict[str, Any]]

SECONDS_PER_HOUR = 3600
_HISTORY_OPTIONS: Options = {"days": 90, "seed": 1, "rooms": 3, "sdk_app_id": None}
_ROOM_OPTIONS = ("room_id", "enter", "leave", "is_string_room", "sdk_app_id")


class ControlError(ValueError):
    """A control request that cannot be carried out; the text says why, ``status`` is the HTTP status."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def run(state: State, method: str, path: str, options: Options) -> dict[str, Any]:
    """Carry out one operation, or raise :class:`ControlError`."""
    operations = OPERATIONS.get(path)
    if operations is None:
        raise ControlError(f"no control route {path!r}; there are: {', '.join(OPERATIONS)}", 404)
    if method not in operations:
        raise ControlError(f"{path} takes {' or '.join(operations)}, not {method}", 405)
    try:
        check_json(options)
        with state.lock:
            return operations[method](state, options)
    except ControlError:
        raise
    except KeyError as error:
        raise ControlError(f"{path}: {error} is missing") from error
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise ControlError(f"{path}: {error}") from error


def health(state: State, options: Options) -> dict[str, Any]:
    """Return status and time."""
    return {"status": "ok", "now": state.clock.now(), "time_scale": state.clock.scale}


def seed(state: State, options: Options) -> dict[str, Any]:
    """Put one recording in, or several given as ``recordings``."""
    if "recordings" in options:
        return {"recording_ids": [_add(state, each) for each in options["recordings"]]}
    return {"recording_id": _add(state, options)}


def add_job(state: State, options: Options) -> dict[str, Any]:
    """Put one job of another kind in, or several given as ``jobs``."""
    if "jobs" in options:
        return {"job_ids": [_add_job(state, each) for each in options["jobs"]]}
    return {"job_id": _add_job(state, options)}


def script(state: State, options: Options) -> dict[str, Any]:
    """Answer for a recording or job by these steps from now on; none end a recording's script."""
    now = state.clock.now()
    if job := state.jobs.get(_job_id(options)):
        jobs.play(job, options["steps"], now)
        state.follow_id(job.job_id, now)
        return jobs.truth(job, now)
    recording = _find(state, options)
    if steps := [step_of(step) for step in options["steps"]]:
        play(recording, steps, now)
    else:
        stop_script(recording)
    state.follow(recording, now)
    return truth(recording, now)


def end_recording(state: State, options: Options) -> dict[str, Any]:
    """End a recording, or a job with a life, now."""
    now = state.clock.now()
    if (job := state.jobs.get(_job_id(options))) and job.life is not None:
        lives.end(job.life, now, "ended")
        state.follow_id(job.job_id, now)
        return jobs.truth(job, now)
    recording = _find(state, options)
    end(recording, now, "ended")
    state.follow(recording, now)
    return truth(recording, now)


def move_people(state: State, options: Options) -> dict[str, Any]:
    """Let anchors enter and leave a room, and return who is there; without any, only return that."""
    if unknown := sorted(set(options) - set(_ROOM_OPTIONS)):
        raise ControlError(f"unknown option {', '.join(unknown)}; there are: {', '.join(_ROOM_OPTIONS)}")
    room = _room(state, options)
    enter, leave = (_names(name, options.get(name, ())) for name in ("enter", "leave"))
    users = presence.move(state, room, enter=enter, leave=leave, now=state.clock.now())
    return {**asdict(room), "users": users}


def show_rooms(state: State, options: Options) -> dict[str, Any]:
    """Return who is in the rooms into which people were moved, and what calls did to rooms."""
    rooms = [{**asdict(room), "users": list(users)} for room, users in state.rooms.items()]
    return {"rooms": rooms, **room_calls.truth(state)}


def play_relay(state: State, options: Options) -> dict[str, Any]:
    """Bring URLs of a relay, or a URL in relays to come, to statuses; return the relay if one was named."""
    if unknown := sorted(set(options) - {"job_id", "url", "statuses"}):
        raise ControlError(f"unknown option {', '.join(unknown)}; there are: job_id, url, statuses")
    relay_id, given = options.get("job_id"), options["statuses"]
    steps = [built(UrlStep, {"status": each} if isinstance(each, int) else each) for each in given]
    publishing.play(state, steps, relay_id=relay_id, url=options.get("url"), now=state.clock.now())
    relay = publishing.find(state, relay_id or "")
    return {} if relay is None else publishing.truth(relay)


def add_call(state: State, options: Options) -> dict[str, Any]:
    """Put one call of the past in, or several given as ``calls``."""
    if "calls" in options:
        return {"comm_ids": [_add_call(state, built(CallSeed, each)) for each in options["calls"]]}
    return {"comm_id": _add_call(state, built(CallSeed, options))}


def add_history(state: State, options: Options) -> dict[str, Any]:
    """Put random calls of the past in."""
    seeds = history_of(built(HistorySeed, options), state.clock.now())
    return {"comm_ids": [_add_call(state, each) for each in seeds]}


def list_calls(state: State, options: Options) -> dict[str, Any]:
    """Return what happened in all calls, or in one; what was measured only on demand."""
    calls, details = state.part(History).calls, options.get("details") == "1"
    chosen = calls.values() if "comm_id" not in options else [calls[options["comm_id"]]]
    now = int(state.clock.now())
    return {"calls": [call_truth(each, now, details=details) for each in chosen]}


def show_bill(state: State, options: Options) -> dict[str, Any]:
    """Return what was started over the API and how long it ran, of one application or room if wanted."""
    given = {name: str(options[name]) for name in ("sdk_app_id", "room_id") if name in options}
    chosen = [
        each
        for each in state.recordings.values()
        if each.started_by and all(str(getattr(each.recipe, name)) == value for name, value in given.items())
    ]
    now = state.clock.now()
    others = [job.life for job in state.jobs.values() if job.life is not None and job.life.started_by]
    relays = [publishing.line(each, now) for each in publishing.started(state)]
    lines = [*billing.job_lines(others, now), *relays]
    wanted = [each for each in lines if all(str(each[name]) == value for name, value in given.items())]
    return billing.bill(chosen, now, wanted)


def show_usage(state: State, options: Options) -> dict[str, Any]:
    """Return every spell up to now, of one application if wanted."""
    book, now = state.part(usage.Book), state.clock.now()
    spells = book.all(state.recordings.values(), now)
    if "sdk_app_id" in options:
        spells = [each for each in spells if str(each.sdk_app_id) == str(options["sdk_app_id"])]
    return {"spells": usage.described(spells)}


def add_usage(state: State, options: Options) -> dict[str, Any]:
    """Add a spell, or several given as ``spells``."""
    given = options.get("spells", [options])
    own = {"sdk_app_id": state.settings.sdk_app_id}
    spells = [built(usage.Spell, {**own, **each}) for each in given]
    state.part(usage.Book).spells += spells
    return {"spells": len(spells)}


def make_history(state: State, options: Options) -> dict[str, Any]:
    """Add spells for the days before today, the same for the same seed."""
    if unknown := sorted(set(options) - set(_HISTORY_OPTIONS)):
        raise ControlError(f"unknown option {', '.join(unknown)}; there are: {', '.join(_HISTORY_OPTIONS)}")
    given = {name: options.get(name, default) for name, default in _HISTORY_OPTIONS.items()}
    days, seed, rooms = (check_count(name, given[name], usage.MAX_DAYS) for name in ("days", "seed", "rooms"))
    sdk_app_id = check_count("sdk_app_id", given["sdk_app_id"] or 0, MAX_APPLICATION)
    zone_seconds = state.settings.usage_zone_hours * SECONDS_PER_HOUR
    now = state.clock.now()
    today = now - (now + zone_seconds) % usage.DAY_SECONDS
    spells = list(usage.history(days, seed, sdk_app_id or state.settings.sdk_app_id, round(today), rooms))
    state.part(usage.Book).spells += spells
    return {"spells": len(spells)}


def show_truth(state: State, options: Options) -> dict[str, Any]:
    """Return all that really happened to one recording or job."""
    now = state.clock.now()
    if job := state.jobs.get(_job_id(options)):
        shown = jobs.truth(job, now)
        return shown if job.life is None else {**shown, "callbacks": ledger_of(state, job.job_id)}
    if relay := publishing.find(state, _job_id(options)):
        return {**publishing.truth(relay), "callbacks": ledger_of(state, relay.relay_id)}
    recording = _find(state, options)
    return {**truth(recording, now), "callbacks": ledger_of(state, recording.recording_id)}


def add_fault(state: State, options: Options) -> dict[str, Any]:
    """Start a fault."""
    aim = {"job_id": options["recording_id"]} if "recording_id" in options else {}
    fault = built(Fault, {**{name: options[name] for name in options if name != "recording_id"}, **aim})
    state.faults.add(fault, state.ticks())
    return fault.describe()


def list_faults(state: State, options: Options) -> dict[str, Any]:
    """List the faults that may still strike."""
    return {"faults": [fault.describe() for fault in state.faults.active(state.ticks())]}


def clear_faults(state: State, options: Options) -> dict[str, Any]:
    """End all faults."""
    state.faults.clear()
    return {"faults": []}


def advance_clock(state: State, options: Options) -> dict[str, Any]:
    """Move the recordings' clock forward."""
    now = state.clock.advance(options["seconds"])
    state.collect_callbacks()
    state.on_news()  # what is not due yet is due sooner than was known
    return {"now": now}


def skew_clock(state: State, options: Options) -> dict[str, Any]:
    """Set the service's clock that far ahead of this machine's, or behind."""
    state.clock_skew_seconds = check_seconds("seconds", options["seconds"], least=-MAX_SECONDS)
    return {"clock_skew_seconds": state.clock_skew_seconds}


def set_receiver(state: State, options: Options) -> dict[str, Any]:
    """Send callbacks to another address, or to none; without ``key`` the key stays."""
    key = options.get("key", state.callbacks.key)
    state.callbacks.set_receiver(options["url"], key, state.sources, state.clock.now())
    state.on_news()
    return {"url": state.callbacks.url}


def send_event(state: State, options: Options) -> dict[str, Any]:
    """Send any event."""
    group = check_count("event_group", options["event_group"])
    event_type = check_count("event_type", options["event_type"])
    sdk_app_id = check_count("sdk_app_id", options.get("sdk_app_id") or 0, MAX_APPLICATION)
    now = state.clock.now()
    info = with_times(group, event_type, now + state.clock_skew_seconds, options.get("event_info") or {})
    # As JSON: what the caller does with the dict later changes no event.
    event = Event(group, event_type, now, json.loads(json.dumps(info)))
    job_id = str(info.get("TaskId", ""))
    record = state.callbacks.send(event, job_id if state.has(job_id) else None, sdk_app_id)
    state.on_news()
    return record


def list_callbacks(state: State, options: Options) -> dict[str, Any]:
    """Return what was sent: counters, and the whole ledger or that of one recording."""
    counters = _callback_counters(state)
    if options.get("ledger") == "0":
        return counters
    ledger = state.callbacks.ledger
    recording_id = options.get("recording_id")
    records = ledger.records if recording_id is None else ledger.of_recording.get(recording_id, ())
    return {**counters, "ledger": described(records)}


def trouble_callbacks(state: State, options: Options) -> dict[str, Any]:
    """Change what happens to callbacks on their way; what is not given does not happen any more."""
    state.callbacks.trouble = trouble_of(options)
    return _callback_counters(state)


def _callback_counters(state: State) -> dict[str, Any]:
    state.collect_callbacks()
    callbacks = state.callbacks
    return {"url": callbacks.url, "trouble": vars(callbacks.trouble), **callbacks.ledger.describe()}


def new_recording_id(state: State, options: Options) -> dict[str, Any]:
    """Return an id that looks real and belongs to no recording and no job."""
    return {"recording_id": state.new_id()}


def whole_state(state: State, options: Options) -> dict[str, Any]:
    """Return everything; the list of requests only on demand."""
    now = state.clock.now()
    shown = {
        "now": now,
        "time_scale": state.clock.scale,
        "clock_skew_seconds": state.clock_skew_seconds,
        "recordings": {name: truth(recording, now) for name, recording in state.recordings.items()},
        "jobs": {name: jobs.truth(job, now) for name, job in state.jobs.items()},
        "counters": {action: dict(codes) for action, codes in state.counters.items()},
        "throttled": state.throttled,
        "callbacks": _callback_counters(state),
        **list_faults(state, options),
    }
    is_asked = options.get("requests") not in (None, False, "", "0", "false")
    return {**shown, "requests": list(state.requests)} if is_asked else shown


def reset(state: State, options: Options) -> dict[str, Any]:
    """Forget everything."""
    state.reset()
    state.on_news()
    return {"status": "ok"}


OPERATIONS: Mapping[str, Mapping[str, Operation]] = {
    "health": {"GET": health},
    "seed": {"POST": seed},
    "jobs": {"POST": add_job},
    "script": {"POST": script},
    "end": {"POST": end_recording},
    "room": {"POST": move_people},
    "rooms": {"GET": show_rooms},
    "relay": {"POST": play_relay},
    "calls": {"GET": list_calls, "POST": add_call},
    "history": {"POST": add_history},
    "bill": {"GET": show_bill},
    "usage": {"GET": show_usage, "POST": add_usage},
    "usage-history": {"POST": make_history},
    "truth": {"GET": show_truth},
    "faults": {"GET": list_faults, "POST": add_fault, "DELETE": clear_faults},
    "advance": {"POST": advance_clock},
    "skew": {"POST": skew_clock},
    "receiver": {"POST": set_receiver},
    "event": {"POST": send_event},
    "callbacks": {"GET": list_callbacks, "POST": trouble_callbacks},
    "new-id": {"GET": new_recording_id},
    "state": {"GET": whole_state},
    "reset": {"POST": reset},
}


def _room(state: State, options: Options) -> Room:
    """Return the room that is meant; a name that cannot be a number is that of a string room."""
    room_id, is_string_room = options["room_id"], options.get("is_string_room")
    if not isinstance(room_id, str) or not 1 <= len(room_id) <= MAX_TEXT:
        raise ControlError("room_id must be a text; that of a numeric room has digits only")
    if is_string_room not in (None, False, True):
        raise ControlError("is_string_room must be true or false")
    if is_string_room is None:
        is_string_room = looks_like_string_room(room_id)
    elif not is_string_room and looks_like_string_room(room_id):
        raise ControlError(f"room_id {room_id!r:.100} is no number of a room: is_string_room must be true")
    sdk_app_id = check_count("sdk_app_id", options.get("sdk_app_id") or 0, MAX_APPLICATION)
    return Room(sdk_app_id or state.settings.sdk_app_id, room_id, is_string_room)


def _names(option: str, given: object) -> list[str]:
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, (list, tuple)) or not all(isinstance(each, str) and each for each in names):
        raise ControlError(f"{option} must be a user's id, or a list of them")
    return list(names)


def _add(state: State, options: Options) -> str:
    seeded = built(Seed, options)
    anchors = state.rooms.get(recipe_of(seeded, state.settings).room)
    joins = anchors is not None and "participants" not in options and not seeded.ended
    if anchors is not None and joins:
        seeded = replace(seeded, participants=list(anchors))
    now = state.clock.now()
    recording_id = _free_id(state, seeded.recording_id)
    recording = recording_of(
        seeded, state.settings, recording_id, now, clock_skew_seconds=state.clock_skew_seconds
    )
    if seeded.ended:
        _end_long_ago(recording, now)
    elif joins:
        presence.join(state, recording, now)
    state.add(recording, now, is_over=seeded.ended)
    return recording_id


def _end_long_ago(recording: Recording, now: float) -> None:
    """End a recording so that not even its Exited is left."""
    end(recording, now, "ended")
    if recording.stage != GONE:
        recording.stage = GONE
        recording.history.append((now, GONE))
    advance(recording, now)


def _add_call(state: State, seed: CallSeed) -> str:
    call = call_of(seed, state.settings.sdk_app_id, state.clock.now())
    state.part(History).add(call)
    return call.comm_id


def _add_job(state: State, options: Options) -> str:
    if "kind" in options:
        return _add_life(state, options)
    seed = built(JobSeed, options)
    if seed.action in RECORDINGS:
        raise ControlError(f"{seed.action} is about recordings: add_recording(...) adds one")
    if seed.action in BY_DESCRIBE and seed.id_param != "TaskId":
        raise ControlError(f"the id_param of {seed.action} is TaskId")
    now = state.clock.now()
    job = Job(
        job_id=_free_id(state, seed.job_id),
        action=seed.action,
        id_param=seed.id_param,
        sdk_app_id=seed.sdk_app_id or state.settings.sdk_app_id,
        created_at=now,
        script=script_of(seed.steps, now),
    )
    state.add_job(job)
    return job.job_id


def _add_life(state: State, options: Options) -> str:
    """Put a job with a life of its kind in; with ``steps``, these answer first."""
    seed = built(LifeSeed, {name: value for name, value in options.items() if name != "steps"})
    now, steps = state.clock.now(), options.get("steps") or ()
    job_id = _free_id(state, seed.job_id, NATURES[seed.kind].id_shape)
    life = life_of(seed, state.settings, job_id, now, clock_skew_seconds=state.clock_skew_seconds)
    script = script_of(steps, now, is_endless=False) if steps else None
    if "participants" not in options:
        presence.join_life(state, life, now)
    state.add_life(life, now)
    state.jobs[job_id].script = script
    return job_id


def _free_id(state: State, wanted: str | None, shape: str = "cloud") -> str:
    if wanted and state.has(wanted):
        raise ControlError(f"there is a recording or job {wanted!r} already")
    return wanted or state.new_id(shape)


def _job_id(options: Options) -> str:
    """Return whose id is given; a recording's may be called ``recording_id``."""
    return str(options["job_id"] if "job_id" in options else options["recording_id"])


def _find(state: State, options: Options) -> Recording:
    recording_id = _job_id(options)
    recording = state.recordings.get(recording_id)
    if recording is None:
        raise ControlError(f"no recording {recording_id!r}", 404)
    return recording
