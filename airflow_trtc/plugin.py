"""What Airflow's API server mounts: the receiver of callbacks, under ``/trtc``.

Every component of Airflow imports this module, so it imports nothing; the app is built when the API server
asks for it. It is registered as the entry point ``airflow.plugins``: Airflow makes an instance of such a
plugin, and only with an instance does a property work.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

from airflow.plugins_manager import AirflowPlugin

URL_PREFIX = "/trtc"

log = logging.getLogger(__name__)


class TrtcPlugin(AirflowPlugin):
    """The receiver of callbacks: ``POST <base URL>/trtc/callbacks/<connection id>``."""

    name = "trtc"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The app, built when first asked for."""
        try:
            from airflow_trtc.web.app import create_app

            app = create_app()
        except Exception:  # whatever it is, Airflow's own pages must come up
            log.exception("Cannot start the receiver of TRTC callbacks; callbacks are answered with 404")
            return []
        return [{"app": app, "url_prefix": URL_PREFIX, "name": "Tencent RTC callbacks"}]
