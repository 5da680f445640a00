"""Who may import whom, and what an import may cost."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "airflow_trtc"

# Module or folder -> what of ours it may import. What is not listed may import nothing of ours.
MAY_IMPORT = {
    "errors": set(),
    "recording": {"recording", "errors"},
    "results": {"recording"},
    "cloud": {"bell", "cloud", "recording", "errors", ""},
    "emulator": {"emulator"},
    "provider": set(),
    "_compat": set(),
    "hooks": {"cloud", "recording", "errors", "provider"},
    "journal": {"bell", "recording"},
    "links": set(),
    "xcoms": set(),
    "ears": {"bell", "journal", "recording"},
    "handover": {"_compat"},
    "bell": set(),
    "calm": set(),
    "looks": {"bell", "cloud", "hooks", "errors"},
    "triggers": {"bell", "calm", "ears", "hooks", "journal", "looks", "xcoms", "recording", "errors"},
    "sensors": {
        "_compat",
        "triggers",
        "handover",
        "hooks",
        "journal",
        "links",
        "results",
        "recording",
        "errors",
    },
    "operators": {"_compat", "handover", "journal", "results", "recording"},
    "prune": {"journal"},
    "assets": {"recording"},
    "plugin": {"web"},
    "web": {"web", "assets", "journal", "prune", "results", "cloud", "recording", "errors"},
    "demo": {"demo", "emulator"},
}

# Only these may know Airflow; the DAG of the demo is one that users could write.
AIRFLOW = {
    "hooks",
    "journal",
    "links",
    "looks",
    "triggers",
    "sensors",
    "operators",
    "_compat",
    "xcoms",
    "prune",
    "assets",
    "plugin",
    "web",
    "demo",
}

VENDOR_AND_WEB = ("tencentcloud", "httpx", "requests", "fastapi", "starlette", "uvicorn")


def sources() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            modules |= names if node.module == "airflow_trtc" else {node.module}
    return modules


def top_level_imports(tree: ast.Module) -> set[str]:
    """What importing the module really imports: not inside functions, not for type checkers."""
    modules: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        for inner in ast.walk(node) if not isinstance(node, ast.FunctionDef | ast.ClassDef) else []:
            if isinstance(inner, ast.Import | ast.ImportFrom):
                modules |= imported(ast.Module([inner], []))
    return modules


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_inwards(path: Path) -> None:
    tree = ast.parse(path.read_text())
    ours = {name.partition(".")[2] for name in imported(tree) if name.partition(".")[0] == "airflow_trtc"}
    wrong = {name for name in ours if name.split(".")[0] not in MAY_IMPORT[part(path)] | {"__version__"}}
    if part(path) == "demo" and "dags" in path.parts:
        wrong -= {"sensors", "operators", "assets"}
    assert not wrong, f"{path.name} may not import {wrong}"
    if part(path) not in AIRFLOW:
        assert not {name for name in imported(tree) if name.split(".")[0] == "airflow"}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_vendor_sdk_stays_in_cloud_and_inside_functions(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not {name for name in top_level_imports(tree) if name.split(".")[0] == "tencentcloud"}
    if part(path) != "cloud":
        assert not {name for name in imported(tree) if name.split(".")[0] == "tencentcloud"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "recording").glob("*.py")), ids=lambda path: path.name)
def test_what_decides_needs_only_the_standard_library_and_reads_no_clock(path: Path) -> None:
    tree = ast.parse(path.read_text())
    foreign = {
        name
        for name in imported(tree)
        if name.split(".")[0] not in sys.stdlib_module_names | {"airflow_trtc", "__future__"}
    }
    assert not foreign
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & {"datetime.now", "time.time", "time.monotonic", "random.random", "open"}


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print('\\n'.join(sys.modules))"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return set(run.stdout.split())


@pytest.mark.parametrize("name", ["sensors", "triggers", "hooks", "links", "journal", "assets", "plugin"])
def test_importing_what_dags_use_loads_no_sdk_and_no_web_library_through_us(name: str) -> None:
    base = "from airflow.sdk import BaseHook, BaseSensorOperator, BaseOperatorLink, Asset\n"
    base += "import airflow.triggers.base, airflow.configuration, airflow.plugins_manager"
    ours = modules_after(f"{base}\nimport airflow_trtc.{name}") - modules_after(base)
    assert f"airflow_trtc.{name}" in ours
    assert not {module for module in ours if module.split(".")[0] in VENDOR_AND_WEB}


@pytest.mark.parametrize("name", ["airflow_trtc", "airflow_trtc.provider"])
def test_importing_what_every_airflow_process_imports_loads_nothing(name: str) -> None:
    ours = modules_after(f"import {name}") - modules_after("import __future__, typing")
    assert ours == {"airflow_trtc", name}


def test_importing_the_pytest_plugin_loads_no_web_library() -> None:
    loaded = modules_after("import airflow_trtc.emulator.pytest_plugin")
    assert not {module for module in loaded if module.split(".")[0] in VENDOR_AND_WEB}
