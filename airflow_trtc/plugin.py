"""What Airflow's API server mounts, the receiver of callbacks and pages, and where its UI shows these.

Every component of Airflow imports this module, so it imports nothing; the app is built when the API server
asks for it. It is registered as the entry point ``airflow.plugins``: Airflow makes an instance of such a
plugin, and only with an instance does a property work.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

URL_PREFIX = "/trtc"
# Without a leading slash they are found below whatever path Airflow has.
PAGES = "trtc/ui"
ICONS = {"icon": f"{PAGES}/static/icon.svg", "icon_dark_mode": f"{PAGES}/static/icon-dark.svg"}
RUN = "dag_id={DAG_ID}&run_id={RUN_ID}"

log = logging.getLogger(__name__)


def _view(
    name: str, destination: str, url_route: str, href: str, category: str | None = None
) -> dict[str, Any]:
    """One place in Airflow's UI. Every key, also without a value: a missing one hides all of a plugin."""
    place = {"destination": destination, "url_route": url_route, "category": category}
    return {"name": name, "href": href, **place, **ICONS}


class TrtcPlugin(AirflowPlugin):
    """The receiver of callbacks, ``POST <base URL>/trtc/callbacks/<connection id>``, and pages.

    The page of all recordings is in the menu "Browse"; every task instance and every run has a tab ``TRTC``,
    since Airflow offers none for some operators only.
    """

    name = "trtc"
    external_views: ClassVar[list[Any]] = [  # type: ignore[misc]
        _view("TRTC recordings", "nav", "trtc_recordings", PAGES, "browse"),
        _view(
            "TRTC",
            "task_instance",
            "trtc_task",
            f"{PAGES}/task?{RUN}&task_id={{TASK_ID}}&map_index={{MAP_INDEX}}",
        ),
        _view("TRTC", "dag_run", "trtc_run", f"{PAGES}/run?{RUN}"),
    ]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The app, built when first asked for."""
        try:
            from airflow_trtc.web.app import create_app

            app = create_app()
        except Exception:  # whatever it is, Airflow's own pages must come up
            log.exception("Cannot start the receiver of TRTC callbacks; callbacks are answered with 404")
            return []
        return [{"app": app, "url_prefix": URL_PREFIX, "name": "Tencent RTC"}]
