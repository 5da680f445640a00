"""Run the receiver as a server of its own: ``python -m airflow_trtc.web.standalone --help``."""

from __future__ import annotations

import argparse
import logging
import os
import sqlite3
import sys
from collections.abc import Sequence

from airflow_trtc.web.standalone import server


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_trtc.web.standalone",
        description="Receive callbacks of Tencent RTC, keep them on disk, and forward them to Airflow.",
        epilog="Connections come from AIRFLOW_CONN_<ID>. Airflow's API is used with the token in"
        f" {server.TOKEN}, or with {server.USER} and {server.PASSWORD}.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8087, help="port to listen on (default: %(default)s)")
    parser.add_argument("--spool", help=f"file to keep callbacks in (default: {server.SPOOL})")
    parser.add_argument("--airflow-url", help=f"Airflow's base URL (default: {server.AIRFLOW_URL})")
    options = parser.parse_args(arguments)
    given = {server.SPOOL: options.spool, server.AIRFLOW_URL: options.airflow_url}
    environment = {**os.environ, **{name: value for name, value in given.items() if value}}
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        app = server.create_app(environment)
    except (server.SetupError, sqlite3.Error, OSError) as error:
        print(f"Cannot start the receiver: {error}", file=sys.stderr)
        return 2
    import uvicorn

    from airflow_trtc.web.standalone import limits

    logging.getLogger("uvicorn.error").addFilter(limits.OncePerMinute())
    # No access log: an address is part of every line, and each callback would be one.
    uvicorn.run(
        app, host=options.host, port=options.port, access_log=False, log_config=None, **limits.OPTIONS
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
