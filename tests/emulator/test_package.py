"""What the package promises besides its behaviour: independence, light imports, its public names."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_trtc import emulator

FOLDER = Path(emulator.__file__).parent
SETTLED = {"uvicorn", "pytest"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_it_shares_no_code_with_the_rest(path):
    for name in imported(path):
        if name.startswith("airflow_trtc"):
            assert name.startswith("airflow_trtc.emulator")
        else:
            assert name.split(".")[0] in sys.stdlib_module_names | SETTLED


def test_the_plugin_loads_nothing_heavy():
    code = (
        "import pytest, sys; before = set(sys.modules);"
        "import airflow_trtc.emulator.pytest_plugin, airflow_trtc.testing.plugin;"
        "print([m for m in set(sys.modules) - before if m.split('.')[0] in"
        " ('uvicorn', 'starlette', 'h11', 'tencentcloud', 'airflow', 'asyncio', 'urllib', 'ssl')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", emulator.__all__)
def test_public_names_are_there(name):
    assert getattr(emulator, name) is not None


def test_unknown_names_are_not():
    with pytest.raises(AttributeError, match="Emulatr"):
        emulator.Emulatr  # noqa: B018


def test_the_connection(trtc_emulator):
    assert json.loads(trtc_emulator.connection_json) == {
        "conn_type": "trtc",
        "login": emulator.DEFAULT_SECRET_ID,
        "password": emulator.DEFAULT_SECRET_KEY,
        "host": trtc_emulator.url,
        "extra": {
            "region": "ap-guangzhou",
            "sdk_app_id": 1400000001,
            "sdk_secret_key": emulator.DEFAULT_SDK_SECRET_KEY,
            "console_url": f"{trtc_emulator.url}/_control/recordings/{{job_id}}",
        },
    }


@pytest.mark.trtc_emulator(rate_limit=3, sdk_app_id=1400000055)
def test_the_marker_sets_options(trtc_emulator):
    assert trtc_emulator.sdk_app_id == 1400000055
    assert trtc_emulator.settings.rate_limit == 3


def test_every_option_is_documented():
    from dataclasses import fields

    from airflow_trtc.emulator.faults import KINDS
    from airflow_trtc.emulator.ledger import Trouble
    from airflow_trtc.emulator.recordings import Step
    from airflow_trtc.emulator.seeding import Seed

    words = [each.name for kind in (Seed, Step, Trouble) for each in fields(kind)] + list(KINDS)
    assert [word for word in words if word not in emulator.__doc__] == []


def test_everything_about_callbacks_is_documented():
    from airflow_trtc.emulator.ledger import Attempt, Ledger
    from airflow_trtc.emulator.settings import setting_names

    words = [name for name in setting_names() if name.startswith("callback_")]
    words += [*Ledger(0).describe(), *Attempt.__dataclass_fields__, "room_events"]
    assert [word for word in words if word not in emulator.__doc__] == []


def test_every_control_route_is_documented():
    from airflow_trtc.emulator.control import OPERATIONS

    assert [path for path in OPERATIONS if f"/_control/{path}" not in emulator.__doc__] == []


def test_an_emulator_can_be_started_again_on_its_port():
    served = emulator.Emulator()
    for _ in range(2):
        with served:
            assert emulator.EmulatorClient(served.url).health()["status"] == "ok"
    served.stop()
