"""Who may import whom, and what an import may cost. The rules are the tables of ``docs/architecture.md``."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "airflow_trtc"
PAGE = (PACKAGE / "docs" / "architecture.md").read_text()
VENDOR_AND_WEB = ("tencentcloud", "httpx", "requests", "fastapi", "starlette", "uvicorn")
TABLES = ("pyarrow", "pandas", "psycopg2", "psycopg", "fsspec", "upath")
CLOCKS = {"datetime.now", "time.time", "time.monotonic", "random.random", "open"}


def rules() -> dict[str, tuple[set[str], bool]]:
    """The table: part -> what of ours it may import, and whether it may load Airflow."""
    found = {}
    for line in PAGE.split("| Part |", 1)[1].splitlines()[2:]:
        if not line.startswith("|"):
            break
        part, may, loads = (cell.strip() for cell in line.strip("|").split("|"))
        found[part.strip("`")] = set(re.findall(r"`(\w+)`", may.partition(":")[0])), loads == "yes"
    return found


MAY_IMPORT = {part: may for part, (may, _) in rules().items()}
WITHOUT_AIRFLOW = {part for part, (_, loads) in rules().items() if not loads}
WITHOUT_AIRFLOW_TOO = re.findall(r"`([a-z_.]+)`", PAGE.split("These modules", 1)[1].split("\n\n", 1)[0])


def name_of(path: Path) -> str:
    """The dotted name under the package; a folder's face has the folder's."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"}


def imported(nodes: list[ast.stmt]) -> set[str]:
    """Full names of what these statements and all inside them import."""
    modules: set[str] = set()
    for node in (inner for statement in nodes for inner in ast.walk(statement)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            is_ours = node.module.split(".")[0] == PACKAGE.name
            modules |= {f"{node.module}.{alias.name}" for alias in node.names} if is_ours else {node.module}
    return modules


def at_import(tree: ast.Module) -> list[ast.stmt]:
    """The statements that run when a module is imported: not in functions, not for type checkers."""
    run: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            run.append(node)
    return run


def ours(names: Iterable[str]) -> set[str]:
    """Those of the names that are modules of ours, under the package."""
    found = set()
    for name in names:
        if name.split(".")[0] == PACKAGE.name:
            inner = name.partition(".")[2]
            while inner and inner not in MODULES:
                inner = inner.rpartition(".")[0]
            found.add(inner)
    return found - {""}


@lru_cache
def tree_of(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_text())


@lru_cache
def mentioned_by(name: str) -> frozenset[str]:
    """Full names of what a module imports anywhere, inside functions and for type checkers too."""
    return frozenset(imported(tree_of(name).body))


@lru_cache
def leads_to(name: str) -> frozenset[str]:
    """The modules of ours among them."""
    return frozenset(ours(mentioned_by(name)))


@lru_cache
def loaded_with(name: str) -> frozenset[str]:
    """Full names of what a module itself imports when it is imported."""
    return frozenset(imported(at_import(tree_of(name))))


@lru_cache
def loaded_by(name: str) -> frozenset[str]:
    """Every module of ours that importing this one loads, and the faces of their folders."""
    seen: set[str] = set()
    todo = {name}
    while todo:
        one = todo.pop()
        seen.add(one)
        faces = {one.rsplit(".", cut)[0] for cut in range(1, one.count(".") + 1)}
        todo |= (ours(loaded_with(one)) | (faces & set(MODULES))) - seen
    return frozenset(seen)


def part_of(name: str) -> str:
    return name.split(".")[0]


def loads_airflow(name: str) -> list[str]:
    """The modules through which importing this one loads Airflow."""
    return [
        one for one in loaded_by(name) if any(each.split(".")[0] == "airflow" for each in loaded_with(one))
    ]


def test_the_table_lists_every_part_and_no_other() -> None:
    assert set(MAY_IMPORT) == {part_of(name) for name in MODULES}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_inwards(name: str) -> None:
    reached = {part_of(one) for one in leads_to(name)}
    assert reached <= MAY_IMPORT[part_of(name)] | {part_of(name)}


@pytest.mark.parametrize("part", sorted(MAY_IMPORT))
def test_parts_form_no_circle(part: str) -> None:
    reached: set[str] = set()
    todo = set(MAY_IMPORT[part])
    while todo:
        one = todo.pop()
        reached.add(one)
        todo |= MAY_IMPORT[one] - reached
    assert part not in reached


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_form_no_circle(name: str) -> None:
    direct = leads_to(name) - {name}
    assert not {one for one in direct if name in all_imports(one)}


@lru_cache
def all_imports(name: str) -> frozenset[str]:
    """Every module of ours that this one leads to, inside functions and for type checkers too."""
    seen: set[str] = set()
    todo = {name}
    while todo:
        one = todo.pop()
        seen.add(one)
        todo |= leads_to(one) - seen
    return frozenset(seen)


@pytest.mark.parametrize(
    "name", sorted({name for name in MODULES if part_of(name) in WITHOUT_AIRFLOW} | set(WITHOUT_AIRFLOW_TOO))
)
def test_what_needs_no_airflow_does_not_load_it_through_others_either(name: str) -> None:
    assert not loads_airflow(name)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_vendor_sdk_stays_in_cloud_and_inside_functions(name: str) -> None:
    assert "tencentcloud" not in {each.split(".")[0] for each in loaded_with(name)}
    if part_of(name) != "cloud":
        assert "tencentcloud" not in {each.split(".")[0] for each in mentioned_by(name)}


PURE_MODULES = (
    "cloud.line",
    "cloud.pace",
    "journal.keys",
    "journal.plans",
    "tables.schema",
    "tables.usage",
    "tables.windows",
    "waiting.engine",
)
PURE = [name for name in MODULES if part_of(name) in ("bounds", "jobs", "recording", "publishing", "kinds")]


@pytest.mark.parametrize("name", sorted({*PURE, *PURE_MODULES}))
def test_what_decides_needs_only_the_standard_library_and_reads_no_clock(name: str) -> None:
    foreign = {each.split(".")[0] for each in mentioned_by(name)} - {"airflow_trtc", "__future__"}
    assert foreign <= sys.stdlib_module_names
    calls = {ast.unparse(node.func) for node in ast.walk(tree_of(name)) if isinstance(node, ast.Call)}
    assert not calls & CLOCKS


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print('\\n'.join(sys.modules))"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return set(run.stdout.split())


USED_BY_DAGS = ("sensors", "triggers", "hooks", "operators", "links", "journal.store", "assets", "plugin")
# Airflow takes seconds to import, so a process that has done so forks for each module.
_IMPORT_EACH = f"""
from airflow.sdk import BaseHook, BaseSensorOperator, BaseOperatorLink, Asset
import airflow.triggers.base, airflow.configuration, airflow.plugins_manager
import importlib, os, sys
before = set(sys.modules)
for name in {USED_BY_DAGS}:
    if os.fork():
        assert os.wait()[1] == 0
    else:
        importlib.import_module("airflow_trtc." + name)
        print(name, *(set(sys.modules) - before), flush=True)
        os._exit(0)
"""


@lru_cache
def loaded_by_each() -> dict[str, set[str]]:
    """What importing each of `USED_BY_DAGS` loads beyond Airflow."""
    command = [sys.executable, "-c", _IMPORT_EACH]
    run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    rows = (line.split() for line in run.stdout.splitlines())
    return {name: set(modules) for name, *modules in rows}


@pytest.mark.parametrize("name", USED_BY_DAGS)
def test_importing_what_dags_use_loads_no_sdk_no_web_library_and_no_database_through_us(name: str) -> None:
    loaded = loaded_by_each()[name]
    assert f"airflow_trtc.{name}" in loaded
    assert not {module for module in loaded if module.split(".")[0] in (*VENDOR_AND_WEB, *TABLES)}


@pytest.mark.parametrize("name", ["airflow_trtc", "airflow_trtc.provider"])
def test_importing_what_every_airflow_process_imports_loads_nothing(name: str) -> None:
    assert modules_after(f"import {name}") - modules_after("import __future__, typing") == {
        "airflow_trtc",
        name,
    }


def test_importing_the_pytest_plugin_loads_no_web_library() -> None:
    loaded = modules_after("import airflow_trtc.emulator.pytest_plugin")
    assert not {module for module in loaded if module.split(".")[0] in VENDOR_AND_WEB}
