"""The pages as Airflow's API server serves them: a real database, a real auth manager, a token for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_trtc.web.pages.checks import Checks, look
from tests.web.pages import rows

PER_DAG = "tests.web.pages.managers.PerDagAuthManager"
# Name -> role. Those that PER_DAG knows may read some DAGs only.
USERS = {
    "viewer": "viewer",
    "op": "op",
    "admin": "admin",
    "mine": "viewer",
    "others": "viewer",
    "nobody": "viewer",
    "no_xcoms": "viewer",
}

# Headers of what a page of ours posts.
OWN = {"x_trtc": "1", "content_type": "application/json", "origin": "http://airflow"}

PATIENT_SECONDS = 120.0  # a slow machine is no service that does not answer


def new_checks() -> Checks:
    """The checks of an API worker that has just started."""
    return Checks(look, limit=PATIENT_SECONDS)


class Site:
    """The API server, asked as one user or as nobody."""

    def __init__(self) -> None:
        from airflow.api_fastapi.app import init_auth_manager
        from fastapi import FastAPI

        from airflow_trtc.web.app import create_app

        self._server = FastAPI()
        self._server.mount("/trtc", create_app())
        self._manager = init_auth_manager()

    def token(self, user: str) -> str:
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        return self._manager.generate_jwt(SimpleAuthManagerUser(username=user, role=USERS[user]))

    def ask(
        self, path: str, user: str | None = "admin", *, token: str | None = None, **headers: str
    ) -> httpx.Response:
        """The answer to a GET below Airflow's address, as this user."""
        return asyncio.run(self._send("GET", path, user, token, headers))

    def post(
        self, path: str, user: str | None = "admin", *, token: str | None = None, **headers: str
    ) -> httpx.Response:
        """The answer to a POST; see `OWN`."""
        return asyncio.run(self._send("POST", path, user, token, headers))

    async def _send(
        self, method: str, path: str, user: str | None, token: str | None, headers: dict[str, str]
    ) -> httpx.Response:
        token = token if user is None else self.token(user)
        cookies = {} if token is None else {"_token": token}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        transport = httpx.ASGITransport(self._server)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://airflow", cookies=cookies
        ) as client:
            return await client.request(method, path, headers=named)


@pytest.fixture
def empty(airflow_db: Path) -> Iterator[None]:
    """A database without any of what the pages show."""
    rows.clear()
    yield
    rows.clear()


@pytest.fixture
def open_site(empty: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], Site]:
    """Start the API server with an auth manager: ``open_site(None)`` has Airflow's simple one."""
    from airflow.api_fastapi import app

    from airflow_trtc.web.pages import access, checks, facts, health_page, job_page, listing_page
    from airflow_trtc.web.pages.memory import Memory

    def start(manager: str | None = None) -> Site:
        users = ",".join(f"{name}:{role}" for name, role in USERS.items())
        monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", users)
        monkeypatch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "a-secret-of-this-test-only-" * 3)
        if manager is not None:
            monkeypatch.setenv("AIRFLOW__CORE__AUTH_MANAGER", manager)
        return Site()

    holder: Any = getattr(app, "_AuthManagerState", None)
    # Where Airflow keeps the auth manager, from 3.2 on and before.
    if holder is None:
        monkeypatch.setattr(app, "auth_manager", None)
    else:
        monkeypatch.setattr(holder, "instance", None)
    for module, name in (
        (access, "_memory"),
        (facts, "_setups"),
        (health_page, "_read"),
        (job_page, "_found"),
        *((listing_page, name) for name in ("_dags", "_counts", "_pulses")),
    ):
        monkeypatch.setattr(module, name, Memory(0.0))  # each test sees its own rows
    monkeypatch.setattr(checks, "WAIT_SECONDS", PATIENT_SECONDS)
    monkeypatch.setattr(health_page, "_checks", new_checks())
    return start
