"""An auth manager with rights for each DAG, as larger installations have one."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

# User -> the DAGs that this user may read; whoever is not listed may read what the role may.
MAY_READ = {"mine": {"mine"}, "others": {"others"}, "nobody": set[str](), "no_xcoms": {"mine"}}
HIDDEN_CONNECTION = "of_another_team"  # for admins only


class PerDagAuthManager(SimpleAuthManager):
    """As Airflow's simple one, but for `MAY_READ`; one of the users may read no XComs."""

    def is_authorized_connection(self, *, method: Any, user: Any, details: Any = None) -> bool:
        if details is not None and details.conn_id == HIDDEN_CONNECTION and user.username != "admin":
            return False
        return bool(super().is_authorized_connection(method=method, user=user, details=details))

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None
    ) -> bool:
        allowed = MAY_READ.get(user.username)
        if allowed is not None and (details is None or details.id not in allowed):
            return False
        if user.username == "no_xcoms" and access_entity is not None and access_entity.name == "XCOM":
            return False
        return bool(
            super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
        )
