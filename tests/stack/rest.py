"""Airflow's REST API as this package's demonstration and end-to-end tests use it. Knows no processes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import httpx

_Found = TypeVar("_Found")

# Run states that no longer change by themselves.
_FINAL_RUN_STATES = frozenset({"success", "failed"})
_POLL_SECONDS = 0.3
# For what takes seconds on an idle machine.
PATIENCE_SECONDS = 300.0
_PAGE = 100
# Its first answers may take an API server a minute while a dozen programs start beside it.
_ANSWER_SECONDS = 180
# As often as a connection may be one of those that a killed API server left behind.
_REPEATS = 5


class ApiError(RuntimeError):
    """Airflow answered a request with an error; `status_code` says which."""

    def __init__(self, message: str, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code


class AirflowApi:
    """Calls to one Airflow, logged in as one user.

    Every method raises ApiError when Airflow refuses, and httpx.TransportError when it cannot be reached.
    """

    def __init__(self, url: str, username: str, password: str) -> None:
        """Note where Airflow is; nothing is sent before the first call."""
        self.url = url
        self.username = username
        self.password = password
        # Environment proxies are for the outside world; this is a server on this machine.
        self._http = httpx.Client(base_url=url, timeout=_ANSWER_SECONDS, trust_env=False)
        self._token = ""

    def api(self, method: str, path: str, **options: Any) -> Any:
        """Send an authenticated request and return the decoded JSON; options are those of httpx."""
        return self.request(method, path, **options).json()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send an authenticated request and return the whole answer."""
        self._token = self._token or self._log_in()
        headers = {"Authorization": f"Bearer {self._token}", **options.pop("headers", {})}
        return _checked(self._send(method, path, headers=headers, **options))

    def unpause(self, dag_id: str, timeout: float = PATIENCE_SECONDS) -> None:
        """Let a DAG run, waiting up to `timeout` seconds for its file to be read; raises TimeoutError."""
        self.wait_for_dag(dag_id, timeout)
        self.api("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def wait_for_dag(self, dag_id: str, timeout: float = PATIENCE_SECONDS) -> None:
        """Wait until Airflow knows a DAG; raises TimeoutError that names the files it could not import."""
        self._wait(
            lambda: self._get_or_none(f"/api/v2/dags/{dag_id}"),
            timeout,
            lambda: (
                f"Airflow does not know the DAG {dag_id!r}; import errors: {self.import_errors() or 'none'}"
            ),
        )

    def import_errors(self) -> dict[str, str]:
        """The stack trace of each DAG file that could not be imported."""
        errors = self.api("GET", "/api/v2/importErrors")["import_errors"]
        return {error["filename"]: error["stack_trace"] for error in errors}

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run and return its id."""
        body = {"logical_date": None, "conf": dict(conf or {})} | ({"dag_run_id": run_id} if run_id else {})
        run: dict[str, str] = self.api("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        return run["dag_run_id"]

    def run_ids(self, dag_id: str) -> list[str]:
        """The ids of all runs of a DAG, however they were started."""
        return [run["dag_run_id"] for run in self._pages(f"/api/v2/dags/{dag_id}/dagRuns", "dag_runs")]

    def run_state(self, dag_id: str, run_id: str) -> str:
        """The state of a run: queued, running, success or failed."""
        return str(self.api("GET", _run_path(dag_id, run_id))["state"])

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = PATIENCE_SECONDS) -> str:
        """Wait until a run has ended and return its state; raises TimeoutError naming the tasks' states."""
        return self._wait(
            lambda: state if (state := self.run_state(dag_id, run_id)) in _FINAL_RUN_STATES else None,
            timeout,
            lambda: f"run {run_id} of {dag_id} has not ended; tasks: {self.task_states(dag_id, run_id)}",
        )

    def wait_for_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        states: Sequence[str],
        timeout: float = PATIENCE_SECONDS,
        map_index: int = -1,
    ) -> str:
        """Wait until a task is in one of these states and return which; raises TimeoutError."""

        def state() -> str | None:
            now = self.task_instance(dag_id, run_id, task_id, map_index)["state"]
            return now if now in states else None

        return self._wait(
            state,
            timeout,
            lambda: f"{task_id} is not {' or '.join(states)}; tasks: {self.task_states(dag_id, run_id)}",
        )

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """All task instances of a run as Airflow describes them, mapped ones each by itself."""
        return list(self._pages(f"{_run_path(dag_id, run_id)}/taskInstances", "task_instances"))

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """One task instance as Airflow describes it."""
        suffix = "" if map_index < 0 else f"/{map_index}"
        found: dict[str, Any] = self.api("GET", _task_path(dag_id, run_id, task_id) + suffix)
        return found

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """The state of each task of a run by its name, a mapped one as `name[index]`."""
        return {_label(task): task["state"] for task in self.task_instances(dag_id, run_id)}

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """The value a task left under a key; None if there is none."""
        path = f"{_task_path(dag_id, run_id, task_id)}/xcomEntries/{key}"
        entry = self._get_or_none(path, params={"map_index": map_index})
        return entry["value"] if entry else None

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> str:
        """The log of one try as text, one `time level message` a line."""
        answer = self.api(
            "GET",
            f"{_task_path(dag_id, run_id, task_id)}/logs/{try_number}",
            params={"map_index": map_index, "full_content": True},
            headers={"Accept": "application/json"},
        )
        return "\n".join(map(_log_line, answer["content"]))

    def clear(self, dag_id: str, run_id: str, task_ids: Sequence[str], **options: Any) -> None:
        """Let tasks run again, whatever their state; options are those of Airflow's clearTaskInstances."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
            **options,
        }
        self.api("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", json=body)

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Mark a task as success, failed or skipped, as a user would."""
        suffix = "" if map_index < 0 else f"/{map_index}"
        self.api("PATCH", _task_path(dag_id, run_id, task_id) + suffix, json={"new_state": state})

    def health(self) -> dict[str, dict[str, Any]]:
        """What Airflow says of its parts; needs no login."""
        health: dict[str, dict[str, Any]] = _checked(self._http.get("/api/v2/monitor/health")).json()
        return health

    def disconnect(self) -> None:
        """Close the connections to Airflow."""
        self._http.close()

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request; a question is asked again if an API server ended with the answer under way."""
        for _ in range(_REPEATS if method == "GET" else 0):
            with contextlib.suppress(httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                return self._http.request(method, path, **options)
        return self._http.request(method, path, **options)

    def _log_in(self) -> str:
        answer = self._http.post("/auth/token", json={"username": self.username, "password": self.password})
        return str(_checked(answer).json()["access_token"])

    def _get_or_none(self, path: str, **options: Any) -> Any:
        try:
            return self.api("GET", path, **options)
        except ApiError as error:
            if error.status_code != httpx.codes.NOT_FOUND:
                raise
            return None

    def _pages(self, path: str, key: str, **params: Any) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            page = self.api("GET", path, params={**params, "limit": _PAGE, "offset": offset})[key]
            yield from page
            offset += len(page)
            if len(page) < _PAGE:
                return

    def _wait(self, find: Callable[[], _Found | None], timeout: float, problem: Callable[[], str]) -> _Found:
        """Poll until something is found; raises TimeoutError with the problem described."""
        give_up_at = time.monotonic() + timeout
        while (found := find()) is None:
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"After {timeout:.0f} s {problem()}")
            self._look_around()
            time.sleep(_POLL_SECONDS)
        return found

    def _look_around(self) -> None:
        """Called while waiting; a subclass may raise here if waiting has become pointless."""


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"


def _task_path(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}"


def _label(task: Mapping[str, Any]) -> str:
    return f"{task['task_id']}[{task['map_index']}]" if task["map_index"] >= 0 else str(task["task_id"])


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        request = answer.request
        raise ApiError(
            f"{request.method} {request.url.path}: {answer.status_code} {answer.text[:500]}",
            answer.status_code,
        )
    return answer


def _log_line(entry: Mapping[str, Any] | str) -> str:
    if isinstance(entry, str):
        return entry
    words = [str(entry[key]) for key in ("timestamp", "level", "event") if entry.get(key)]
    if entry.get("error_detail"):
        words += [f"{error['exc_type']}: {error['exc_value']}" for error in entry["error_detail"]]
    return " ".join(words)
