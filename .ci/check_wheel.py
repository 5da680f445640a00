"""Check a built wheel as a user would meet it, and the sdist: ``check_wheel.py LOCK WHEEL SDIST``.

Contents and metadata are read from the files; every entry point is tried in an environment of its own, which
needs uv beside this Python.
"""

from __future__ import annotations

import configparser
import email
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from email.message import Message
from pathlib import Path

PACKAGE = "airflow_trtc"
EXTRAS = {"apache-airflow-providers-common-sql", "pyarrow"}
REQUIREMENTS = {"apache-airflow", "pendulum", "tencentcloud-sdk-python"}
ENTRY_POINTS = {
    ("apache_airflow_provider", "provider_info"),
    ("airflow.plugins", "trtc"),
    ("pytest11", PACKAGE),
}
# What starts a real Airflow belongs to a clone.
STACK = ("benchmarks", "browser", "cluster", "e2e", "soak", "stack")
DOCS = Path(__file__).parents[1] / PACKAGE / "docs"

# These run in the clean environment, from a folder where only the installed wheel can be imported. The first:
# what Airflow finds.
LOOK_INSIDE = """
from functools import cached_property
from importlib.metadata import distribution, version
from inspect import getattr_static

from airflow import plugins_manager
from airflow.providers_manager import ProvidersManager
import airflow_trtc

assert airflow_trtc.__version__ == version("airflow-trtc"), airflow_trtc.__version__
points = {(point.group, point.name): point.load() for point in distribution("airflow-trtc").entry_points}
assert points["apache_airflow_provider", "provider_info"]()["package-name"] == "airflow-trtc", points

# Only of an instance is a property a list, and Airflow makes one.
plugin = points["airflow.plugins", "trtc"]
assert isinstance(getattr_static(plugin, "fastapi_apps"), (property, cached_property)), plugin
mounted = [app["url_prefix"] for app in plugin().fastapi_apps]
assert mounted == ["/trtc"], mounted
mounted = [app.get("url_prefix") for app in plugins_manager.get_fastapi_plugins()[0]]
assert "/trtc" in mounted, mounted
print("Airflow mounts", ", ".join(map(str, mounted)))

manager = ProvidersManager()
provider = manager.providers["airflow-trtc"]
assert provider.version == version("airflow-trtc"), provider
hook = manager.hooks["trtc"]
assert hook is not None and hook.connection_type == "trtc", hook
print("Airflow sees the provider", provider.version, "and its connection type", hook.connection_type)
"""

# The second: what pytest finds.
TRY_FIXTURE = """
def test_the_fixture_serves(trtc_emulator):
    assert trtc_emulator.health()["status"] == "ok"
"""


def main(lock: Path, wheel: Path, sdist: Path) -> None:
    """Check everything; the first thing that is wrong ends the program with a message."""
    with zipfile.ZipFile(wheel) as archive:
        check_names(archive.namelist())
        check_metadata(read_message(archive, "METADATA"))
        check_entry_points(read(archive, "entry_points.txt"))
    check_sdist(sdist)
    check_installed(lock, wheel)
    print(f"{wheel.name} and {sdist.name} are fine")


def check_names(names: list[str]) -> None:
    """Nothing but the package: an `airflow/` entry could shadow Airflow itself."""
    strangers = [name for name in names if not name.startswith((f"{PACKAGE}/", f"{PACKAGE}-"))]
    require(not strangers, f"files outside {PACKAGE}/: {strangers}")
    clutter = [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    require(not clutter, f"compiled files: {clutter}")
    docs = [f"docs/{path.relative_to(DOCS)}" for path in DOCS.rglob("*") if path.is_file()]
    require(any(name.endswith(".md") for name in docs), f"there are no pages in {DOCS}")
    for name in ("py.typed", "provider.py", *docs):
        require(f"{PACKAGE}/{name}" in names, f"{PACKAGE}/{name} is missing")
    require(any(name.endswith("licenses/LICENSE") for name in names), "the licence is missing")


def check_metadata(metadata: Message) -> None:
    """The licence expression, the Pythons, and no requirement beyond the few that are meant."""
    require(metadata["License-Expression"] == "Apache-2.0", f"licence: {metadata['License-Expression']}")
    require(metadata["Requires-Python"] == ">=3.10", f"Python: {metadata['Requires-Python']}")
    require("# " in str(metadata.get_payload()), "the README is missing")
    lines = metadata.get_all("Requires-Dist", [])
    found = {_name(line) for line in lines if "extra ==" not in line}
    require(found == REQUIREMENTS, f"requirements: {sorted(found)}")
    extras = {_name(line) for line in lines} - found
    require(extras == EXTRAS, f"requirements of extras: {sorted(extras)}")


def _name(requirement: str) -> str:
    """The name of what is required."""
    return requirement.split(">=")[0].split("[")[0].strip()


def check_entry_points(text: str) -> None:
    """What Airflow and pytest look for is named, and nothing that is not tried below."""
    parser = configparser.ConfigParser()
    parser.read_string(text)
    found = {(group, name) for group in parser.sections() for name in parser[group]}
    require(found == ENTRY_POINTS, f"entry points: {sorted(found)}")


def check_sdist(sdist: Path) -> None:
    """The package and its fast tests; no programs that only a clone has a use for."""
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    for name in (f"{PACKAGE}/provider.py", "tests/conftest.py", "README.md", "LICENSE"):
        require(name in names, f"the sdist lacks {name}")
    strangers = [name for name in names if name.startswith(tuple(f"tests/{folder}/" for folder in STACK))]
    require(not strangers, f"the sdist has {strangers[:3]}")


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
        Path(folder, "test_fixture.py").write_text(TRY_FIXTURE)
        run(python, "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_fixture.py", cwd=folder)


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
    main(*map(Path, sys.argv[1:4]))
