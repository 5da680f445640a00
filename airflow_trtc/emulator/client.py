"""The control methods, and the client that carries them to an emulator in another process."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import EllipsisType
from typing import Any
from urllib.parse import quote, urlencode

from airflow_trtc.emulator.control import ControlError

_WAIT_SECONDS = 0.01


class Controls(ABC):
    """What can be done to an emulator. Every refusal is a :class:`ControlError` (a ``ValueError``)."""

    url: str

    @abstractmethod
    def _control(self, method: str, path: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out one control request."""

    def health(self) -> dict[str, Any]:
        """Return status and time of the emulator."""
        return self._control("GET", "health", {})

    def add_recording(self, **options: Any) -> str:
        """Put a recording in and return its id; the package docstring lists the options."""
        return str(self._control("POST", "seed", options)["recording_id"])

    def add_job(
        self,
        action: str = "",
        *,
        kind: str | None = None,
        steps: Iterable[Mapping[str, Any]] = (),
        **options: Any,
    ) -> str:
        """Put a job of any other kind in and return its id; the package docstring lists the options.

        :param action: for a job that is nothing but a script: the describe action, known to the SDK or not,
            e.g. ``DescribeMadeUpTask``, which from now on is answered.
        :param kind: for a job that lives as those of its kind, e.g. ``transcription``.
        :param steps: the answers one after the other; with a `kind`, before its life is seen.
        """
        what = {"action": action} if kind is None else {"kind": kind}
        given = {**what, "steps": [dict(step) for step in steps], **options}
        return str(self._control("POST", "jobs", given)["job_id"])

    def set_callback(self, url: str | None, key: str | EllipsisType | None = ...) -> None:
        """Send callbacks there from now on, or nowhere; the key stays unless given, None does not sign."""
        given = {} if isinstance(key, EllipsisType) else {"key": key}
        self._control("POST", "receiver", {"url": url, **given})

    def send_event(
        self,
        event_group: int,
        event_type: int,
        event_info: Mapping[str, Any] | None = None,
        *,
        sdk_app_id: int | None = None,
    ) -> dict[str, Any]:
        """Send any event and return its record; times that ``event_info`` lacks are those of now."""
        options = {"event_group": event_group, "event_type": event_type, "event_info": event_info}
        return self._control("POST", "event", {**options, "sdk_app_id": sdk_app_id})

    def callback_trouble(self, **options: Any) -> None:
        """Lose, double, shuffle or delay callbacks from now on; without options none any more."""
        self._control("POST", "callbacks", options)

    def callbacks(self, recording_id: str | None = None, *, ledger: bool = True) -> dict[str, Any]:
        """Return counters and ledger of the callbacks, of one recording if wanted."""
        options = {} if recording_id is None else {"recording_id": recording_id}
        return self._control("GET", "callbacks", {**options, "ledger": "1" if ledger else "0"})

    def wait_for_callbacks(self, timeout_seconds: float = 30.0) -> dict[str, Any]:
        """Return the counters when nothing that is due is on its way any more, else ``TimeoutError``."""
        deadline = time.monotonic() + timeout_seconds
        while (counters := self.callbacks(ledger=False))["waiting"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"callbacks are still on their way: {counters}")
            time.sleep(_WAIT_SECONDS)
        return counters

    def new_recording_id(self) -> str:
        """Return an id that looks real and belongs to no recording and no job."""
        return str(self._control("GET", "new-id", {})["recording_id"])

    def script(self, job_id: str, steps: Iterable[Mapping[str, Any]]) -> None:
        """Answer for a recording or job by these steps from now on; none end a recording's script."""
        self._control("POST", "script", {"job_id": job_id, "steps": [dict(step) for step in steps]})

    def room(
        self,
        room_id: str,
        *,
        enter: str | Iterable[str] = (),
        leave: str | Iterable[str] = (),
        is_string_room: bool | None = None,
        sdk_app_id: int | None = None,
    ) -> list[str]:
        """Let anchors leave and enter a room, and return who is in it then.

        :param room_id: also that of a numeric room is a text.
        :param enter: ids of users; who is there already stays.
        :param leave: ids of users who are there; they leave before the others enter.
        :param is_string_room: a room whose name may be a number is a numeric one unless this is true.
        :param sdk_app_id: instead of the account's application.
        """
        people = {
            name: [given] if isinstance(given, str) else list(given)
            for name, given in (("enter", enter), ("leave", leave))
        }
        where = {"room_id": room_id, "is_string_room": is_string_room, "sdk_app_id": sdk_app_id}
        users: list[str] = self._control("POST", "room", {**where, **people})["users"]
        return users

    def rooms(self) -> dict[str, Any]:
        """Return who is in ``rooms``, the ``actions`` carried out on rooms, and who is ``blocked`` there."""
        return self._control("GET", "rooms", {})

    def relay(
        self,
        job_id: str | None = None,
        *,
        statuses: Iterable[int | Mapping[str, Any]],
        url: str | None = None,
    ) -> dict[str, Any]:
        """Bring the URLs of a relay to statuses, one after the other, and return its truth.

        :param job_id: the relay; without it `url` fares so in relays that are started from then on.
        :param statuses: numbers, or objects with ``status``, ``after_seconds``, ``error_code`` and
            ``error_msg``.
        :param url: this one only.
        """
        given = [each if isinstance(each, int) else dict(each) for each in statuses]
        options = {"job_id": job_id, "url": url, "statuses": given}
        return self._control("POST", "relay", options)

    def add_call(self, room_id: str, **options: Any) -> str:
        """Put a call of the past in and return its ``CommId``; the package docstring lists the options."""
        return str(self._control("POST", "calls", {"room_id": room_id, **options})["comm_id"])

    def add_history(self, **options: Any) -> list[str]:
        """Put random calls of the last days in and return their ids; see the package docstring."""
        comm_ids: list[str] = self._control("POST", "history", options)["comm_ids"]
        return comm_ids

    def calls(self, *, details: bool = False) -> list[dict[str, Any]]:
        """Return what happened in all calls of the past, and what was measured if wanted."""
        found: list[dict[str, Any]] = self._control("GET", "calls", {"details": "1"} if details else {})[
            "calls"
        ]
        return found

    def bill(self, room_id: str | None = None, *, sdk_app_id: int | None = None) -> dict[str, Any]:
        """Return all that was started over the API, how long it ran and who started and stopped it.

        :param room_id: only what was started for rooms with this name.
        :param sdk_app_id: only what was started for this application.
        """
        given = {"room_id": room_id, "sdk_app_id": sdk_app_id}
        chosen = {name: value for name, value in given.items() if value is not None}
        return self._control("GET", "bill", chosen)

    def add_usage(self, usage: str, key: str, *, began_at: float, seconds: float, **options: Any) -> None:
        """Let something have been used: minutes of calls, of recordings, the bandwidth of relays.

        :param usage: ``trtc``, ``recording_single``, ``recording_multi``, ``mix_transcoding``, ``relay``, ...
        :param key: the key under which it is counted, e.g. ``Audio``; see the package docstring.
        :param began_at: Unix time.
        :param seconds: how long.
        :param options: ``amount``, ``sdk_app_id`` and ``room_id``.
        """
        given = {"usage": usage, "key": key, "began_at": began_at, "seconds": seconds}
        self._control("POST", "usage", {**given, **options})

    def make_usage_history(
        self, *, days: int = 90, seed: int = 1, rooms: int = 3, sdk_app_id: int | None = None
    ) -> None:
        """Let all kinds of things have been used in the days before today: the same for the same seed.

        :param rooms: how many, and how much of each kind a day at most.
        :param sdk_app_id: instead of the account's application.
        """
        options = {"days": days, "seed": seed, "rooms": rooms, "sdk_app_id": sdk_app_id}
        self._control("POST", "usage-history", options)

    def usage(self, *, sdk_app_id: int | None = None) -> list[dict[str, Any]]:
        """Return all that was used, an entry for each stretch of time; the usage calls answer their sums.

        Each has ``usage``, ``key``, ``began_at``, ``seconds``, ``amount``, ``sdk_app_id`` and ``room_id``.
        """
        options = {} if sdk_app_id is None else {"sdk_app_id": sdk_app_id}
        spells: list[dict[str, Any]] = self._control("GET", "usage", options)["spells"]
        return spells

    def end(self, job_id: str) -> None:
        """End a recording, or a job with a life, now."""
        self._control("POST", "end", {"job_id": job_id})

    def fault(self, kind: str, **options: Any) -> None:
        """Start a fault; the package docstring lists kinds and options."""
        self._control("POST", "faults", {"kind": kind, **options})

    def faults(self) -> list[dict[str, Any]]:
        """Return the faults that may still strike."""
        listed: list[dict[str, Any]] = self._control("GET", "faults", {})["faults"]
        return listed

    def clear_faults(self) -> None:
        """End all faults."""
        self._control("DELETE", "faults", {})

    def advance(self, seconds: float) -> float:
        """Move the recordings' clock forward and return its Unix time."""
        return float(self._control("POST", "advance", {"seconds": seconds})["now"])

    def skew_clock(self, seconds: float) -> None:
        """Set the service's clock so many seconds ahead of this machine's; negative ones set it behind."""
        self._control("POST", "skew", {"seconds": seconds})

    def truth(self, job_id: str) -> dict[str, Any]:
        """Return all that really happened to a recording or job."""
        return self._control("GET", "truth", {"job_id": job_id})

    def state(self, *, requests: bool = False) -> dict[str, Any]:
        """Return recordings, counters and faults, and the requests received if wanted."""
        return self._control("GET", "state", {"requests": "1"} if requests else {})

    def reset(self) -> None:
        """Forget all recordings, jobs, counters and faults; the clock shows the real time again."""
        self._control("POST", "reset", {})

    def page_url(self, recording_id: str) -> str:
        """Return the address of the recording's page for users."""
        return f"{self.url}/_control/recordings/{quote(recording_id, safe='')}"


class EmulatorClient(Controls):
    """Controls an emulator in another process: ``EmulatorClient("http://127.0.0.1:8765")``."""

    def __init__(self, url: str, *, timeout_seconds: float = 10.0) -> None:
        self.url = url.rstrip("/")
        self.timeout_seconds = timeout_seconds
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def _control(self, method: str, path: str, options: Mapping[str, Any]) -> dict[str, Any]:
        query = f"?{urlencode(options)}" if method == "GET" and options else ""
        body = None if method == "GET" else json.dumps(options).encode()
        request = urllib.request.Request(f"{self.url}/_control/{path}{query}", data=body, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with self._opener.open(request, timeout=self.timeout_seconds) as response:
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ControlError(json.load(error)["error"], error.code) from None
        return answer
