from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.__main__ import GROUPS, REASONS, Outcome, files, read_reasons
from tests.mutants.mutation import Mutant, mutants, mutated
from tests.mutants.running import Baseline

MODULE = '''
"""About this module."""
from typing import Literal

CODES = {"Exited": 3}
Kind = Literal["good", "bad"]

def judge(state: int, name: str = "x") -> bool:
    """Decide."""
    log.info("code", state)
    if state < 5 and name in CODES:
        raise ValueError(f"not {name!r}")
    return not state
'''


def changes(source: str) -> list[str]:
    return [mutant.change for mutant in mutants("a.py", source)]


def test_decisions_are_mutated_and_wording_and_types_are_not() -> None:
    assert changes(MODULE) == [
        "'Exited' -> 'Exited_mutated'",
        "3 -> 4",
        "'x' -> 'x_mutated'",
        "if state < 5 and name in CODES: -> if not (state < 5 and name in CODES):",
        "state < 5 and name in CODES -> state < 5 or name in CODES",
        "state < 5 -> state <= 5",
        "5 -> 6",
        "name in CODES -> name not in CODES",
        "raise ValueError(f'not {name!r}') -> pass",
        "return not state -> return None",
        "not state -> state",
    ]


@pytest.mark.parametrize(
    "source, expected",
    [
        ("a == b", ["a == b -> a != b"]),
        ("0 < a <= 9", ["0 < a <= 9 -> 0 <= a <= 9", "0 < a <= 9 -> 0 < a < 9", "0 -> 1", "9 -> 10"]),
        ("a + b", ["a + b -> a - b"]),
        ("a + ' text '", []),
        ("a | None", []),
        ("x = min(a, b)", ["min(a, b) -> max(a, b)"]),
        ("x = a if b else c", ["a if b else c -> a if not b else c"]),
        ("x = [a for a in b if c]", ["for a in b if c -> for a in b if not c"]),
        ("x += 1", ["x += 1 -> x -= 1", "1 -> 2"]),
        ("x = True", ["True -> False"]),
        ("x = 'two words'", []),
        ("x: Literal['a'] = 'a'", ["'a' -> 'a_mutated'"]),
        ("save(a)", ["save(a) -> pass"]),
        ("while a:\n    continue", ["continue -> break"]),
        ("__all__ = ['a']", []),
    ],
)
def test_each_kind_of_decision_has_its_mutants(source: str, expected: list[str]) -> None:
    assert [change.replace("  ", " ") for change in changes(source)] == expected


def test_every_mutant_can_be_made_and_differs_in_one_place() -> None:
    original = ast.unparse(ast.parse(MODULE))
    found = mutants("a.py", MODULE)
    made = [ast.unparse(mutated(MODULE, mutant.number)) for mutant in found]
    assert original not in made
    assert len(set(made)) == len(found)
    with pytest.raises(IndexError):
        mutated(MODULE, len(found))


def test_a_mutant_knows_where_it_is_and_keys_are_unique() -> None:
    found = mutants("a.py", f"{MODULE}\n    class Inner:\n        def method(self): return 1 + 1")
    assert len({mutant.key for mutant in found}) == len(found)
    by_change = {mutant.key.partition(" ")[2]: mutant for mutant in found}
    assert not by_change["module: 3 -> 4"].in_function
    assert not by_change["judge: 'x' -> 'x_mutated'"].in_function  # a default is made at import
    assert by_change["judge: 5 -> 6"].in_function
    assert by_change["judge: 5 -> 6"].lines == (11, 11)
    assert "judge.Inner.method: 1 -> 2 (#2)" in by_change


def test_a_mutant_is_tried_by_the_tests_that_reach_it_the_quickest_first() -> None:
    (_, _, inside, *_) = mutants("a.py", "A = 1\n\ndef f(a):\n    return a + 2")
    (outside, *_) = mutants("a.py", "A = 1\n\ndef f(a):\n    return a + 2")
    baseline = Baseline(seconds={"slow": 3.0, "quick": 0.1, "other": 1.0})
    baseline.reached["a.py", 4] = {"slow", "quick"}
    assert inside.in_function
    assert baseline.tests_of(inside) == ["quick", "slow"]
    assert baseline.tests_of(outside) == ["quick", "other", "slow"]
    assert baseline.limit(["slow"]) > baseline.limit([]) > 0


def mutant(change: str) -> Mutant:
    return Mutant("a.py", "f", change, 0, (1, 1), in_function=True)


def test_survivors_with_a_reason_do_not_count_and_the_reason_must_be_needed() -> None:
    killed = {mutant("a"): True, mutant("b"): False, mutant("c"): False, mutant("d"): True}
    reasons = {"a.py f: b": "the same", "a.py f: d": "was once the same", "a.py f: e": "is no more"}
    outcome = Outcome(killed, reasons)
    assert outcome.survivors == [mutant("c")]
    assert outcome.share() == 2 / 3
    assert outcome.stale(is_whole=True) == ["a.py f: d", "a.py f: e"]
    assert outcome.stale(is_whole=False) == ["a.py f: d"]
    assert outcome.table()[-1].split() == ["all", "4", "2", "1", "1", "66.7%"]


def test_reasons_are_read_and_must_be_given() -> None:
    assert read_reasons("# a note\na.py f: b\n    the\n    same\n\na.py g: c\n    as well\n") == {
        "a.py f: b": "the same",
        "a.py g: c": "as well",
    }
    with pytest.raises(ValueError, match=r"no reason is given for: a\.py f: b"):
        read_reasons("a.py f: b\na.py g: c\n    as well\n")
    read_reasons(REASONS.read_text())


def test_every_reason_is_of_a_mutant_that_there_is() -> None:
    paths = [path for group in GROUPS for path in files(group, ())]
    keys = {mutant.key for path in paths for mutant in mutants(path, Path(path).read_text())}
    assert set(read_reasons(REASONS.read_text())) <= keys


def test_every_group_has_modules_and_tests() -> None:
    for group in GROUPS:
        assert files(group, [])
        assert any(Path(test).exists() for test in group.tests)


def test_no_module_is_tried_twice() -> None:
    every = [path for group in GROUPS for path in files(group, [])]
    assert len(every) == len(set(every))
    assert files(GROUPS[0], ["airflow_trtc/jobs/answers"]) == []
