"""The trigger without Airflow's processes: its arguments, its event, its manners."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from airflow_trtc import hooks, triggers
from airflow_trtc.cloud import identities, key_source, sharing
from airflow_trtc.emulator import DEFAULT_DENIED_SECRET_ID, DEFAULT_DENIED_SECRET_KEY, Emulator
from airflow_trtc.hooks import TrtcHook
from airflow_trtc.jobs.verdict import Rules
from airflow_trtc.triggers import TrtcJobTrigger
from airflow_trtc.waiting import stopping, xcoms
from airflow_trtc.waiting.arguments import WaitArguments, read_event
from airflow_trtc.waiting.polls import SharedPolls

ARGUMENTS: dict[str, Any] = {
    "kind": "recording",
    "job_id": "-gCT+x..",
    "sdk_app_id": 1400000001,
    "region": "ap-guangzhou",
    "trtc_conn_id": "trtc_other",
    "poke_interval": 7.5,
    "exponential_backoff": True,
    "max_wait": 90.0,
    "rules": {
        "finish_if_never_seen": True,
        "grace_seconds": 5.0,
        "settle_seconds": 6.0,
        "hurry_seconds": 3.0,
        "refusals": 4,
        "wait_for": "mp4",
        "fail_on": ["start", "vod"],
        "order_seconds": 1.0,
        "callback_timeout_seconds": 60.0,
        "finish_if_no_callback": True,
        "finish_if_empty": True,
    },
    "absent_codes": ["ResourceNotFound"],
    "feed_position": 7,
    "is_recalled": True,
    "has_past": True,
    "state": {"v": 1, "job_id": "-gCT+x..", "files": []},
    "deferred_at": 1.5,
    "timeout_at": 2.5,
    "execution_timeout_at": 3.5,
    "console_url": "https://console.example",
    "try_number": 2,
    "show_progress": False,
    "started_at": 0.5,
    "stop_at": 4.5,
    "owns": True,
}


def trigger(emulator: Emulator, recording_id: str, **options: Any) -> TrtcJobTrigger:
    """Make a trigger that polls at once and often; options of `Rules` may stand beside the others."""
    place = {"kind": "recording", "sdk_app_id": emulator.sdk_app_id, "region": emulator.region}
    pace = {"poke_interval": 0.05, "deferred_at": time.time(), "is_recalled": True}
    rules = {"grace_seconds": 0.2, "settle_seconds": 0.1}
    names = {each.name for each in fields(Rules)}
    rules |= {name: options.pop(name) for name in names & set(options)}
    return TrtcJobTrigger(job_id=recording_id, rules=rules, **{**place, **pace, **options})


async def events(watching: TrtcJobTrigger) -> list[dict[str, Any]]:
    """Run to exhaustion."""
    return [event.payload async for event in watching.run()]


def run(watching: TrtcJobTrigger, seconds: float = 20.0) -> list[dict[str, Any]]:
    return asyncio.run(asyncio.wait_for(events(watching), seconds))


def test_every_argument_survives_being_stored() -> None:
    serde = pytest.importorskip("airflow.sdk.serde", reason="Airflow 3.1 keeps it elsewhere")
    path, kwargs = TrtcJobTrigger(**ARGUMENTS).serialize()
    assert path == "airflow_trtc.triggers.TrtcJobTrigger"
    assert kwargs == ARGUMENTS
    stored = serde.deserialize(json.loads(json.dumps(serde.serialize(kwargs))))
    assert TrtcJobTrigger(**stored).serialize()[1] == ARGUMENTS


def test_every_argument_of_a_wait_is_tried_above() -> None:
    assert set(ARGUMENTS) == {each.name for each in fields(WaitArguments)}
    assert set(ARGUMENTS["rules"]) == {each.name for each in fields(Rules)}


def test_its_recording_is_not_overwritten_by_airflows_task_id() -> None:
    """The triggerer assigns `task_id`; the service's TaskId must not live there."""
    watching = TrtcJobTrigger(**ARGUMENTS)
    watching.task_id = "wait"
    assert watching.serialize()[1] == ARGUMENTS


def test_it_fires_once_with_every_file(trtc_connection: Emulator) -> None:
    recording_id = trtc_connection.add_recording(files=3, file_every_reads=1, ends_after_reads=4)
    [payload] = run(trigger(trtc_connection, recording_id))
    assert (payload["v"], payload["status"], payload["outcome"]) == (1, "finished", "gone")
    listed = trtc_connection.truth(recording_id)["listed_files"]
    assert [file["file_name"] for file in payload["state"]["files"]] == [file["FileName"] for file in listed]
    json.dumps(payload)


def test_what_the_worker_knew_is_in_the_event(trtc_connection: Emulator) -> None:
    """The worker saw the recording; at the trigger's first look it is gone."""
    recording_id = trtc_connection.add_recording(ended=True)
    seen = {"first_seen_at": "2026-01-01T00:00:00+00:00", "last_seen_at": "2026-01-01T00:00:00+00:00"}
    state = {"v": 1, "job_id": recording_id, "files": [{"file_name": "early"}], **seen}
    [payload] = run(trigger(trtc_connection, recording_id, state=state))
    assert payload["status"] == "finished"
    assert [file["file_name"] for file in payload["state"]["files"]] == ["early"]


def test_time_over_is_told_with_its_limit_after_a_last_look(trtc_connection: Emulator) -> None:
    recording_id = trtc_connection.add_recording(files=1)
    [payload] = run(trigger(trtc_connection, recording_id, poke_interval=600.0, timeout_at=time.time() + 0.3))
    assert (payload["status"], payload["limit"]) == ("timed_out", "timeout")
    assert payload["state"]["status"] == "InProgress"
    [payload] = run(trigger(trtc_connection, recording_id, execution_timeout_at=time.time() + 0.1))
    assert payload["limit"] == "execution_timeout"


def test_a_wrong_key_is_told_at_once(trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = json.dumps({**trtc_connection.connection, "password": "wrong"})
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", wrong)
    [payload] = run(trigger(trtc_connection, trtc_connection.add_recording()))
    assert (payload["status"], payload["failure"]) == ("failed", "setup")
    assert "AuthFailure.SignatureFailure" in payload["reason"]
    assert trtc_connection.secret_key not in json.dumps(payload)


def test_a_look_that_fails_is_tried_once_and_the_wait_goes_on(trtc_connection: Emulator) -> None:
    recording_id = trtc_connection.add_recording(files=1, ends_after_reads=1)
    trtc_connection.fault("throttle", count=2, recording_id=recording_id)
    [payload] = run(trigger(trtc_connection, recording_id))
    assert payload["status"] == "finished"
    counters = trtc_connection.state()["counters"]["DescribeCloudRecording"]
    assert counters["RequestLimitExceeded"] == 2


def test_cancelling_it_leaves_no_task_and_no_client_behind(trtc_connection: Emulator) -> None:
    async def scene() -> set[Any]:
        watching = asyncio.create_task(events(trigger(trtc_connection, trtc_connection.add_recording())))
        await asyncio.sleep(0.5)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(scene()) == set()


def test_of_two_limits_that_have_passed_the_earlier_is_told(trtc_connection: Emulator) -> None:
    recording_id = trtc_connection.add_recording()
    past = {"timeout_at": time.time() - 1, "execution_timeout_at": time.time() - 2}
    [payload] = run(trigger(trtc_connection, recording_id, **past))
    assert payload["limit"] == "execution_timeout"


def test_a_connection_that_airflow_cannot_find_just_now_is_waited_for(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording_id = trtc_connection.add_recording(files=1, ends_after_reads=1)
    monkeypatch.delenv("AIRFLOW_CONN_TRTC_DEFAULT")

    async def scene() -> list[dict[str, Any]]:
        watching = asyncio.create_task(events(trigger(trtc_connection, recording_id)))
        await asyncio.sleep(0.5)
        assert not watching.done()
        monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", trtc_connection.connection_json)
        return await asyncio.wait_for(watching, 30)

    [payload] = asyncio.run(scene())
    assert payload["status"] == "finished"


def test_no_event_comes_before_the_scheduler_knows_of_the_deferral(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "MIN_DEFERRED_SECONDS", 1.5)
    watching = trigger(trtc_connection, trtc_connection.add_recording(ended=True), finish_if_never_seen=True)
    watching.task_instance = cast("Any", SimpleNamespace(task_id="wait"))
    monkeypatch.setattr(watching, "_xcom_ids", lambda: None)
    started = time.time()
    run(watching)
    assert time.time() - started >= 1.4


def test_progress_waits_for_its_turn_and_then_shows_the_newest(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[int] = []

    async def write(key: str, value: dict[str, Any], **_: Any) -> None:
        shown.append(value["file_count"])

    monkeypatch.setattr(xcoms, "write", write)
    monkeypatch.setattr(xcoms, "turn_seconds", lambda: 0.5)
    recording_id = trtc_connection.add_recording(files=30, file_every_reads=1, ends_after_reads=40)
    watching = trigger(trtc_connection, recording_id)
    monkeypatch.setattr(watching, "_xcom_ids", lambda: {"dag_id": "d"})
    [payload] = run(watching)
    assert len(payload["state"]["files"]) == 30
    assert 1 <= len(shown) < 20
    assert shown == sorted(shown)


def test_turns_to_write_are_spread_over_time() -> None:
    async def take() -> list[float]:
        return [xcoms.turn_seconds() for _ in range(21)]

    turns = asyncio.run(take())
    assert turns[0] == 0.0
    assert turns[20] == pytest.approx(20 / xcoms.WRITES_PER_SECOND, abs=0.1)


def test_triggers_of_one_account_share_one_connection_and_what_they_learn(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty wait for ten recordings: the connection is read once, and each recording asked once a round."""
    lookups = []
    real = TrtcHook.aget_connection

    async def look_up(cls: type[TrtcHook], conn_id: str) -> Any:
        lookups.append(conn_id)
        return await real(conn_id)

    monkeypatch.setattr(TrtcHook, "aget_connection", classmethod(look_up))
    recording_ids = [trtc_connection.add_recording(files=1, ends_after_reads=3) for _ in range(10)]

    async def wait() -> list[list[dict[str, Any]]]:
        waits = [events(trigger(trtc_connection, each, poke_interval=0.5)) for each in recording_ids * 3]
        return await asyncio.gather(*waits)

    for [payload] in asyncio.run(asyncio.wait_for(wait(), 60)):
        assert payload["status"] == "finished"
    assert lookups == ["trtc_default"]
    asked = sum(trtc_connection.state()["counters"]["DescribeCloudRecording"].values())
    assert asked <= 10 * 5  # three looks while it runs, and two that it is gone, which each alone would ask
    assert not list(pollers_in_use())


def test_keys_that_were_changed_while_it_waited_are_taken_from_the_connection(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old key is refused; meanwhile somebody has put the new one into the connection."""
    monkeypatch.setattr(hooks, "RENEWED_CONNECTION_SECONDS", 0.0)
    right = trtc_connection.connection
    old = {**right, "login": DEFAULT_DENIED_SECRET_ID, "password": DEFAULT_DENIED_SECRET_KEY}
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", json.dumps(old))
    real = SharedPolls.subscribe

    async def share(self: SharedPolls, seconds: float = 20.0) -> Any:
        answer = await real(self, seconds)
        monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", json.dumps(right))
        return answer

    monkeypatch.setattr(SharedPolls, "subscribe", share)
    recording_id = trtc_connection.add_recording(files=2, ends_after_reads=3)
    [payload] = run(trigger(trtc_connection, recording_id))
    assert payload["status"] == "finished"
    assert len(payload["state"]["files"]) == 2


def test_all_who_wait_take_over_keys_that_were_replaced_in_a_file(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The connection stays as it is, and so do the poller and the client that they share."""
    monkeypatch.setattr(key_source, "REFUSED_AGAIN_SECONDS", 0.0)
    file = tmp_path / "credentials"
    connection = trtc_connection.connection
    login, password = connection.pop("login"), connection.pop("password")
    connection["extra"] |= {"credential_kind": "profile", "profile_file": str(file)}
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", json.dumps(connection))

    def write(secret_id: str, secret_key: str) -> None:
        file.write_text(f"[default]\nsecret_id = {secret_id}\nsecret_key = {secret_key}\n")

    real = identities.ProfileKeys.fetch

    def fetch(identity: Any) -> Any:
        keys = real(identity)
        write(login, password)  # by whoever sees to the file, since somebody has disabled the old ones
        return keys

    monkeypatch.setattr(identities.ProfileKeys, "fetch", fetch)
    write(DEFAULT_DENIED_SECRET_ID, DEFAULT_DENIED_SECRET_KEY)
    ids = [trtc_connection.add_recording(files=1, ends_after_reads=3) for _ in range(5)]

    async def scene() -> list[list[dict[str, Any]]]:
        waits = (events(trigger(trtc_connection, each)) for each in ids)
        return await asyncio.wait_for(asyncio.gather(*waits), 30)

    for [payload] in asyncio.run(scene()):
        assert payload["status"] == "finished"


def test_a_clock_that_is_set_back_delays_no_look(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording_id = trtc_connection.add_recording(files=1, ends_after_reads=1)
    real, set_back = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() - set_back[0])

    async def scene() -> list[dict[str, Any]]:
        watching = asyncio.create_task(events(trigger(trtc_connection, recording_id, poke_interval=0.5)))
        await asyncio.sleep(0.1)
        set_back[0] = 200.0  # the service refuses what is five minutes old
        return await asyncio.wait_for(watching, 30)

    [payload] = asyncio.run(scene())
    assert payload["status"] == "finished"


def pollers_in_use() -> Iterator[Any]:
    for held in sharing.pollers._by_loop.values():
        yield from held.values()


@pytest.mark.parametrize("started_at", [10**400, -1, float("nan"), float("inf"), "5", None, 10**12])
def test_a_start_that_is_no_time_is_none(started_at: Any) -> None:
    event = {
        "v": 1,
        "status": "timed_out",
        "limit": "timeout",
        "kind": "recording",
        "job_id": "rid",
        "sdk_app_id": 1400000001,
        "region": "ap-guangzhou",
        "started_at": started_at,
    }
    assert read_event(event).started_at is None
    assert read_event({**event, "started_at": 1622186275.5}).started_at == 1622186275.5


# -- owners -----------------------------------------------------------------------------------------------


class OwnersStore:
    """The journal, as far as rows of owners go."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.rows.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.rows[key] = value

    @property
    def is_closed(self) -> bool:
        return any(key.startswith("own/") and value.get("closed") for key, value in self.rows.items())


class Owner:
    """A trigger that owns a recording, and the state of its task."""

    def __init__(
        self, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, *, has_on_kill: bool = True, **options: Any
    ) -> None:
        self.emulator = emulator
        self.has_on_kill = has_on_kill
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(triggers, "has_trigger_on_kill", lambda: has_on_kill)
        self.store: OwnersStore = OwnersStore()
        monkeypatch.setattr(triggers, "trigger_store", lambda: self.store)
        self.recording_id = emulator.add_recording(files=1)
        self.state: str | None = "deferred"
        self.asked = 0
        self.states_seconds = 0.0
        self.states_error: Exception | None = None
        monkeypatch.setattr(stopping, "atask_states", self._states)
        self.trigger = trigger(
            emulator, self.recording_id, **{"owns": True, "show_progress": False, **options}
        )
        ids = {"dag_id": "d", "run_id": "r", "task_id": "wait", "map_index": 3}
        self.trigger.task_instance = cast("Any", SimpleNamespace(**ids))

    async def _states(self, **ids: Any) -> list[str | None]:
        self.asked += 1
        await asyncio.sleep(self.states_seconds)
        if self.states_error is not None:
            raise self.states_error
        return [self.state]

    def said(self, level: str) -> list[str]:
        """The lines that the trigger logs from now on, of one level."""
        lines: list[str] = []
        self._monkeypatch.setattr(self.trigger.log, level, lambda line, *values: lines.append(line % values))
        return lines

    @property
    def end_reason(self) -> Any:
        return self.emulator.truth(self.recording_id)["end_reason"]

    async def cancelled(self, *, again_after: Sequence[float] = ()) -> None:
        """Run it, and cancel it as the triggerer does; then it calls `on_kill`, if this Airflow has it."""
        running = asyncio.create_task(self._run())
        await asyncio.sleep(0.1)
        running.cancel()
        for seconds in again_after:
            await asyncio.sleep(seconds)
            running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    async def _run(self) -> None:
        try:
            await events(self.trigger)
        except asyncio.CancelledError:
            if self.has_on_kill:
                await self.trigger.on_kill()
            raise


HAS_ON_KILL = [True, False]


@pytest.mark.parametrize("has_on_kill", HAS_ON_KILL)
@pytest.mark.parametrize("state", ["failed", "success", None, "scheduled", "queued", "running"])
def test_an_owner_whose_task_was_ended_stops_its_recording(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch, state: str | None, *, has_on_kill: bool
) -> None:
    owner = Owner(trtc_connection, monkeypatch, has_on_kill=has_on_kill)
    owner.state = state
    asyncio.run(owner.cancelled())
    assert (owner.end_reason, owner.asked) == ("deleted", 1)
    assert owner.store.is_closed


@pytest.mark.parametrize("has_on_kill", HAS_ON_KILL)
def test_an_owner_that_is_cancelled_again_and_again_stops_its_recording(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch, *, has_on_kill: bool
) -> None:
    """As triggerers do, every second until it has ended."""
    owner = Owner(trtc_connection, monkeypatch, has_on_kill=has_on_kill)
    owner.state, owner.states_seconds = "failed", 0.05
    asyncio.run(owner.cancelled(again_after=[0.01] * 3))
    assert owner.end_reason == "deleted"
    assert owner.store.is_closed


@pytest.mark.parametrize("has_on_kill", HAS_ON_KILL)
def test_an_owner_that_is_not_told_whether_its_task_ended_stops_nothing_and_says_so(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch, *, has_on_kill: bool
) -> None:
    owner = Owner(trtc_connection, monkeypatch, has_on_kill=has_on_kill)
    owner.states_error = RuntimeError("away")
    said = owner.said("warning")
    asyncio.run(owner.cancelled())
    (line,) = said
    assert "does not say whether the task was ended (RuntimeError: away)" in line
    assert owner.recording_id in line
    assert "Stop it by hand" in line
    assert owner.end_reason is None
    assert not owner.store.is_closed


@pytest.mark.parametrize("has_on_kill", HAS_ON_KILL)
def test_an_owner_that_is_moved_to_another_triggerer_stops_nothing(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch, *, has_on_kill: bool
) -> None:
    owner = Owner(trtc_connection, monkeypatch, has_on_kill=has_on_kill)
    asyncio.run(owner.cancelled())
    assert (owner.end_reason, owner.asked) == (None, 1)


def test_a_trigger_that_owns_nothing_stops_nothing(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = Owner(trtc_connection, monkeypatch, owns=False)
    owner.state = "failed"
    asyncio.run(owner.cancelled())
    assert (owner.end_reason, owner.asked) == (None, 0)


def test_an_owner_that_has_fired_stops_nothing_any_more(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(triggers, "MIN_DEFERRED_SECONDS", 0.0)
    owner = Owner(trtc_connection, monkeypatch, timeout_at=time.time() - 1)
    owner.state = "success"

    async def scene() -> None:
        running = owner.trigger.run()
        assert (await anext(running)).payload["status"] == "timed_out"
        await owner.trigger.on_kill()  # Airflow does so when run() has not returned

    asyncio.run(scene())
    assert owner.end_reason is None


def test_an_owner_that_cannot_stop_it_says_so(
    trtc_connection: Emulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    owner = Owner(trtc_connection, monkeypatch)
    owner.state = "failed"
    wrong = json.dumps({**trtc_connection.connection, "password": "wrong"})
    monkeypatch.setenv("AIRFLOW_CONN_TRTC_DEFAULT", wrong)
    said = owner.said("error")
    asyncio.run(owner.trigger.on_kill())
    (line,) = said
    assert owner.recording_id in line
    assert "Stop it by hand" in line
    assert not owner.store.is_closed
    assert "wrong" not in line


def test_a_trigger_stops_its_recording_by_the_clock_and_hands_on_its_files(trtc_connection: Emulator) -> None:
    recording_id = trtc_connection.add_recording(files=1)
    [payload] = run(trigger(trtc_connection, recording_id, stop_at=time.time() + 0.3))
    assert (payload["status"], payload["outcome"]) == ("finished", "gone")
    assert trtc_connection.truth(recording_id)["end_reason"] == "deleted"
    assert payload["state"]["stopped_at"]
    assert len(payload["state"]["files"]) == 1
