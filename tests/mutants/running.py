"""Runs tests against mutants, each in a process of its own that is forked off when all is imported.

A change inside a function is put into the functions that are there already, once tests are collected; then
only the tests run that reach its lines. Any other change takes effect at an import, so these processes are
forked before the first one, and collect anew.

Tools of others do not fit: mutmut 3 changes bodies of functions only, while most decisions here are tables;
cosmic-ray starts a whole run of pytest for each mutant, which would take hours.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import pickle
import resource
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest

from tests.mutants.mutation import Mutant, mutated

ARGUMENTS = ("-q", "-x", "-s", "-p", "no:cacheprovider")
FAST = "not dags and not e2e and not postgres and not cluster"
SURVIVED, KILLED, REIMPORT, NOT_TRIED = 0, 1, 3, 4
MAX_EXAMPLES = 40
# A mutant that never ends: so much more time than all its tests needed without it, by its processor's clock
# and, as it may also sleep, by that on the wall.
MIN_SECONDS, TIMES_SECONDS, TIMES_WALL = 10.0, 3.0, 30.0


@dataclass
class Baseline:
    """What the tests do without a mutant."""

    seconds: dict[str, float] = field(default_factory=dict)
    """How long each test takes, by its id."""
    reached: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    """The tests that run a line of a module."""
    failed: list[str] = field(default_factory=list)

    def tests_of(self, mutant: Mutant) -> list[str]:
        """The tests that may see a mutant, the quickest first."""
        if mutant.in_function:
            spots = [(mutant.path, line) for line in range(mutant.lines[0], mutant.lines[1] + 1)]
            found = set().union(*(self.reached.get(spot, set()) for spot in spots))
        else:
            found = set(self.seconds)
        return sorted(found, key=lambda test: (self.seconds.get(test, 0.0), test))

    def limit(self, tests: Sequence[str]) -> float:
        """After how many seconds tests of a mutant count as never ending."""
        return MIN_SECONDS + TIMES_SECONDS * sum(self.seconds.get(test, 0.0) for test in tests)


def run(
    mutants: Sequence[Mutant], folders: Sequence[str], preload: Sequence[str], jobs: int, folder: Path
) -> dict[Mutant, bool]:
    """Run the tests of some folders against mutants; whether each was killed. Raises RuntimeError."""
    for name in preload:
        importlib.import_module(name)
    results = folder / "warm.pickle"
    child = _fork(lambda: _warm_session(mutants, folders, jobs, results))
    os.waitpid(child, 0)
    if not results.exists():
        raise RuntimeError(f"the tests in {', '.join(folders)} could not be run; run them by themselves")
    baseline, codes = pickle.loads(results.read_bytes())
    results.unlink()
    if baseline.failed:
        raise RuntimeError(f"tests fail without any mutant: {', '.join(baseline.failed[:5])}")
    cold = [mutant for mutant in mutants if codes.get(mutant, REIMPORT) == REIMPORT]
    tasks = {mutant: baseline.tests_of(mutant) for mutant in cold}
    others = baseline.seconds.keys()
    codes |= _pool(tasks, lambda mutant: _cold_session(mutant, tasks[mutant], others), baseline, jobs)
    if NOT_TRIED in codes.values():
        raise RuntimeError("a mutant was not imported in place of its module")
    return {mutant: codes[mutant] != SURVIVED for mutant in mutants}


def _warm_session(mutants: Sequence[Mutant], folders: Sequence[str], jobs: int, results: Path) -> int:
    """Collect once, measure, then fork for each mutant that sits in a function."""
    plugin = _Warm(
        [mutant for mutant in mutants if mutant.in_function], sorted({m.path for m in mutants}), jobs
    )
    pytest.main([*ARGUMENTS, "-m", FAST, *folders], plugins=[plugin, _Settled()])
    if plugin.baseline.seconds:
        results.write_bytes(pickle.dumps((plugin.baseline, plugin.codes)))
    return 0


def _cold_session(mutant: Mutant, tests: Sequence[str], known: Collection[str]) -> int:
    """Import the mutant in place of its module, then run the tests."""
    assert not any(name.startswith("airflow_trtc.") for name in sys.modules)
    files = sorted({test.partition("::")[0] for test in tests})
    plugins = [_Chosen(tests, known, _Finder(mutant)), _Settled()]
    code = pytest.main([*ARGUMENTS, "-m", FAST, *files], plugins=plugins)
    return SURVIVED if code == pytest.ExitCode.OK else KILLED


class _Settled:
    """Makes tests that try examples try the same ones each time, and not too many."""

    def pytest_configure(self) -> None:
        from hypothesis import HealthCheck, settings

        checks = list(HealthCheck)
        settings.register_profile(
            "mutants",
            derandomize=True,
            database=None,
            max_examples=MAX_EXAMPLES,
            suppress_health_check=checks,
        )
        settings.load_profile("mutants")


class _Chosen:
    """Runs chosen tests in the given order, on what a finder finds.

    Before them those that are not known: a mutant may show in a test's parameters, and so in its id.
    """

    def __init__(self, tests: Sequence[str], known: Collection[str], finder: _Finder) -> None:
        self._order = {test: number for number, test in enumerate(tests)}
        self._left_out = set(known) - self._order.keys()
        self._finder = finder

    @pytest.hookimpl(tryfirst=True)
    def pytest_load_initial_conftests(self) -> None:
        # Not earlier: the finder that pytest puts in front would take the package for a plugin of its own.
        sys.meta_path.insert(0, self._finder)

    def pytest_collection_finish(self) -> None:
        module = sys.modules.get(self._finder.name)
        if module is not None and not isinstance(module.__loader__, _Loader):
            os._exit(NOT_TRIED)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        chosen = [item for item in items if item.nodeid not in self._left_out]
        items[:] = sorted(chosen, key=lambda item: self._order.get(item.nodeid, -1))


class _Warm:
    """Takes the place of pytest's loop over tests."""

    def __init__(self, mutants: Sequence[Mutant], paths: Sequence[str], jobs: int) -> None:
        self.baseline = Baseline()
        self.codes: dict[Mutant, int] = {}
        self._mutants, self._paths, self._jobs = mutants, paths, jobs

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.baseline = _measured(session, self._paths)
        if not self.baseline.failed:
            items = {item.nodeid: item for item in session.items}
            tasks = {mutant: self.baseline.tests_of(mutant) for mutant in self._mutants}

            def attempt(mutant: Mutant) -> int:
                if not _swap(mutant):
                    return REIMPORT
                return _run_items(session, [items[test] for test in tasks[mutant]])

            self.codes = _pool(tasks, attempt, self.baseline, self._jobs)
        return True


def _measured(session: pytest.Session, paths: Sequence[str]) -> Baseline:
    """What each test takes and reaches, found out in a process of its own."""
    read, write = os.pipe()

    def measure() -> int:
        os.close(read)
        baseline = _baseline(session, paths)
        with open(write, "wb") as pipe:
            pickle.dump(baseline, pipe)
        return 0

    child = _fork(measure)
    os.close(write)
    with open(read, "rb") as pipe:
        found = pipe.read()
    os.waitpid(child, 0)
    if not found:
        raise RuntimeError("the tests ended the process that measured them")
    baseline: Baseline = pickle.loads(found)
    return baseline


def _baseline(session: pytest.Session, paths: Sequence[str]) -> Baseline:
    import coverage

    measuring = coverage.Coverage(
        data_file=None, include=[str(Path(path).resolve()) for path in paths], config_file=False
    )
    baseline = Baseline()
    measuring.start()
    for item in session.items:
        measuring.switch_context(item.nodeid)
        began_at, failed = time.process_time(), session.testsfailed
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        baseline.seconds[item.nodeid] = time.process_time() - began_at
        if session.testsfailed > failed:
            baseline.failed.append(item.nodeid)
    measuring.stop()
    data = measuring.get_data()
    for path in paths:
        for line, tests in data.contexts_by_lineno(str(Path(path).resolve())).items():
            baseline.reached[path, line] |= {test for test in tests if test}
    return baseline


def _run_items(session: pytest.Session, items: Sequence[pytest.Item]) -> int:
    for item, following in zip(items, [*items[1:], None], strict=False):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return KILLED
    return SURVIVED


def _swap(mutant: Mutant) -> bool:
    """Put the mutant's code into all functions made of its module; False if that cannot be done."""
    path = str(Path(mutant.path).resolve())
    source = Path(path).read_text()
    before = {_code_key(code): code for code in _codes(compile(source, path, "exec"))}
    after = {_code_key(code): code for code in _codes(compile(mutated(source, mutant.number), path, "exec"))}
    swapped = False
    for function in gc.get_objects():
        if not isinstance(function, FunctionType) or function.__code__.co_filename != path:
            continue
        key = _code_key(function.__code__)
        if key in after and after[key] != before.get(key):
            try:
                function.__code__ = after[key]
            except ValueError:  # it uses other variables of the functions around it
                return False
            swapped = True
    return swapped


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _code_key(code: CodeType) -> tuple[str, int]:
    return code.co_name, code.co_firstlineno


class _Finder(importlib.abc.MetaPathFinder):
    """Finds a mutant in place of its module."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self.name = ".".join(Path(mutant.path).with_suffix("").parts).removesuffix(".__init__")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        file = str(Path(self._mutant.path).resolve())
        loader = _Loader(fullname, file, self._mutant.number)
        return importlib.util.spec_from_file_location(fullname, file, loader=loader)


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a mutant of a file."""

    def __init__(self, fullname: str, path: str, number: int) -> None:
        super().__init__(fullname, path)
        self._number = number

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(mutated(Path(self.path).read_text(), self._number), self.path, "exec")
        return code


def _pool(
    tasks: Mapping[Mutant, Sequence[str]], attempt: Callable[[Mutant], int], baseline: Baseline, jobs: int
) -> dict[Mutant, int]:
    """Try mutants in so many processes at a time; a mutant that no test reaches survives."""
    codes = {mutant: SURVIVED for mutant, tests in tasks.items() if not tests}
    waiting = [mutant for mutant in tasks if mutant not in codes]
    running: dict[int, tuple[Mutant, float]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.pop()
            limit = baseline.limit(tasks[mutant])
            child = _fork(lambda: _limited(limit, lambda: attempt(mutant)))  # noqa: B023 - called at once
            running[child] = mutant, time.monotonic() + limit * TIMES_WALL
        for child, (mutant, give_up_at) in list(running.items()):
            ended, status = os.waitpid(child, os.WNOHANG)
            if not ended and time.monotonic() > give_up_at:
                os.killpg(child, signal.SIGKILL)
                ended, status = os.waitpid(child, 0)
            if ended:
                del running[child]
                codes[mutant] = os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return codes


def _limited(seconds: float, attempt: Callable[[], int]) -> int:
    """Try with a limit to the time of the processor, after which the kernel ends the process."""
    limit = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    return attempt()


def _fork(work: Callable[[], int]) -> int:
    """Do some work in a copy of this process, silently; its result is the exit code."""
    child = os.fork()
    if child:
        return child
    code = KILLED
    try:
        os.setpgid(0, 0)
        if not os.environ.get("MUTANTS_VERBOSE"):
            silence = os.open(os.devnull, os.O_RDWR)
            for descriptor in (1, 2):
                os.dup2(silence, descriptor)
        code = work()
    except BaseException:
        if os.environ.get("MUTANTS_VERBOSE"):
            import traceback

            traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        os._exit(code)
