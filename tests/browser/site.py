"""A real API server with users of each kind, and the rows that its pages show. No scheduler: nothing runs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt

from tests.stack.local_airflow import LocalAirflow

DAGS = Path(__file__).parent / "dags"
SECRET = "pR6tUw3ZyN8qKdJx"  # of callbacks
# Name -> role; `PerDagAuthManager` lets some of these read some DAGs only.
USERS = {"admin": "admin", "mine": "viewer", "others": "viewer", "nobody": "viewer"}
CONSOLE = "http://127.0.0.1:9/console/{recording_id}"  # nothing listens there
CONNECTION = {"conn_type": "trtc", "extra": {"sdk_app_id": 1400000001, "callback_secret": SECRET}}
SETTINGS: dict[tuple[str, str], object] = {
    ("core", "auth_manager"): "tests.web.pages.managers.PerDagAuthManager",
    ("core", "simple_auth_manager_users"): ",".join(f"{name}:{role}" for name, role in USERS.items()),
    ("dag_processor", "refresh_interval"): 600,
}


class Site(LocalAirflow):
    """An API server.

    :param path: where it is below its host, as ``[api] base_url`` says it.
    :param database_url: the database of another site, to share it.
    :param options: those of `LocalAirflow`.
    """

    def __init__(self, path: str = "", database_url: str | None = None, **options: Any) -> None:
        shared = {} if database_url is None else {("database", "sql_alchemy_conn"): database_url}
        super().__init__(
            DAGS,
            config={**SETTINGS, **shared},
            env={"AIRFLOW_CONN_TRTC_DEFAULT": json.dumps(CONNECTION)},
            api_only=True,
            **options,
        )
        self.path = path
        self._is_guest = database_url is not None
        self._config[("api", "base_url")] = self.address

    @property
    def address(self) -> str:
        """Airflow's address, without a slash at its end."""
        return f"{self.url}{self.path}"

    def token(self, user: str) -> str:
        """A token of this user."""
        passwords = json.loads((self.home / "passwords.json").read_text())
        asked = {"username": user, "password": passwords[user]}
        answer = httpx.post(f"{self.address}/auth/token", json=asked, timeout=120, trust_env=False)
        token: str = answer.raise_for_status().json()["access_token"]
        return token

    def expired(self, token: str) -> str:
        """The same token, an hour after its end."""
        claims = jwt.decode(token, options={"verify_signature": False})
        key = self.environment["AIRFLOW__API_AUTH__JWT_SECRET"]
        algorithm = jwt.get_unverified_header(token)["alg"]
        return jwt.encode({**claims, "exp": int(time.time()) - 3600}, key, algorithm=algorithm)

    def _migrate(self) -> None:
        if not self._is_guest:  # the host has done so, which takes an Airflow of its own
            super()._migrate()

    def call_back(self, event: Mapping[str, Any]) -> None:
        """Send a callback, signed as the service signs it."""
        from airflow_trtc.emulator import messages

        body = json.dumps(event).encode()
        answer = httpx.post(
            f"{self.address}/trtc/callbacks/trtc_default",
            content=body,
            headers=messages.headers(body, 1400000001, SECRET),
            timeout=120,
            trust_env=False,
        )
        answer.raise_for_status()


@contextmanager
def writing_to(database_url: str) -> Iterator[None]:
    """Let Airflow's models in this process use the database of a site."""
    from unittest.mock import patch

    from airflow_trtc.testing.home import point_airflow_there

    with patch.dict(os.environ, {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_url}):
        point_airflow_there()
        yield
    point_airflow_there()
