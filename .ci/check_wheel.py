"""Check a built wheel as a user would meet it: ``check_wheel.py LOCK WHEEL``; needs uv beside this Python.

Contents and metadata are read from the file; entry points are tried in an environment of their own.
"""

from __future__ import annotations

import email
import os
import subprocess
import sys
import tempfile
import zipfile
from email.message import Message
from pathlib import Path

PACKAGE = "airflow_trtc"
REQUIREMENTS = {"apache-airflow", "pendulum", "tencentcloud-sdk-python"}
ENTRY_POINTS = {"apache_airflow_provider": "provider_info", "pytest11": PACKAGE}

# Runs in the clean environment, from a folder where only the installed wheel can be imported.
LOOK_INSIDE = """
from importlib.metadata import distribution, version
from airflow.providers_manager import ProvidersManager
import airflow_trtc

for point in distribution("airflow-trtc").entry_points:
    point.load()
assert airflow_trtc.__version__ == version("airflow-trtc"), airflow_trtc.__version__
manager = ProvidersManager()
provider = manager.providers["airflow-trtc"]
assert provider.version == version("airflow-trtc"), provider
hook = manager.hooks["trtc"]
assert hook is not None and hook.connection_type == "trtc", hook
print("Airflow sees the provider", provider.version, "and its connection type", hook.connection_type)
"""


def main(lock: Path, wheel: Path) -> None:
    """Check everything; the first thing that is wrong ends the program with a message."""
    with zipfile.ZipFile(wheel) as archive:
        check_names(archive.namelist())
        check_metadata(read_message(archive, "METADATA"))
        check_entry_points(read(archive, "entry_points.txt"))
    check_installed(lock, wheel)
    print(f"{wheel.name} is fine")


def check_names(names: list[str]) -> None:
    """Nothing but the package: an `airflow/` entry could shadow Airflow itself."""
    strangers = [name for name in names if not name.startswith((f"{PACKAGE}/", f"{PACKAGE}-"))]
    require(not strangers, f"files outside {PACKAGE}/: {strangers}")
    clutter = [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    require(not clutter, f"compiled files: {clutter}")
    for name in ("py.typed", "provider.py", "docs/architecture.md"):
        require(f"{PACKAGE}/{name}" in names, f"{PACKAGE}/{name} is missing")
    require(any(name.endswith("licenses/LICENSE") for name in names), "the licence is missing")


def check_metadata(metadata: Message) -> None:
    """The licence expression, the Pythons, and no requirement beyond the few that are meant."""
    require(metadata["License-Expression"] == "Apache-2.0", f"licence: {metadata['License-Expression']}")
    require(metadata["Requires-Python"] == ">=3.10", f"Python: {metadata['Requires-Python']}")
    require("# " in str(metadata.get_payload()), "the README is missing")
    found = {line.split(">=")[0].split("[")[0].strip() for line in metadata.get_all("Requires-Dist", [])}
    require(found == REQUIREMENTS, f"requirements: {sorted(found)}")


def check_entry_points(text: str) -> None:
    """What Airflow and pytest look for is named."""
    for group, name in ENTRY_POINTS.items():
        require(f"[{group}]" in text and f"{name} =" in text, f"no entry point {name} in {group}")


def check_installed(lock: Path, wheel: Path) -> None:
    """Install the wheel into an empty environment, with the locked versions, and look for it from there."""
    with tempfile.TemporaryDirectory(prefix="airflow-trtc-wheel-") as folder:
        python = f"{folder}/env/bin/python"
        run(sys.executable, "-m", "venv", "--without-pip", f"{folder}/env")
        # The lock only constrains: a requirement that the wheel forgot would be missing here.
        uv = Path(sys.executable).with_name("uv")
        run(
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            python,
            "--constraint",
            lock.resolve(),
            wheel.resolve(),
        )
        # The plugin for pytest is loaded as well; pytest itself is for the user to have.
        run(uv, "pip", "install", "--quiet", "--python", python, "--constraint", lock.resolve(), "pytest")
        run(python, "-I", "-c", LOOK_INSIDE, cwd=folder)


def read(archive: zipfile.ZipFile, name: str) -> str:
    """Return a file of the wheel's dist-info folder."""
    path = next(path for path in archive.namelist() if path.endswith(f".dist-info/{name}"))
    return archive.read(path).decode()


def read_message(archive: zipfile.ZipFile, name: str) -> Message:
    """Return a file of the dist-info folder that is written like a mail header."""
    return email.message_from_string(read(archive, name))


def require(holds: bool, problem: str) -> None:
    """End the program with a message unless a condition holds."""
    if not holds:
        sys.exit(f"The wheel is wrong: {problem}")


def run(*command: str | os.PathLike[str], cwd: str | None = None) -> None:
    """Run a command; its failure ends the program."""
    if subprocess.run(command, cwd=cwd).returncode:
        sys.exit(f"Failed: {' '.join(map(str, command))[:200]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
