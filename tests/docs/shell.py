"""Shell blocks, taken apart and checked: every command must be one that exists, with arguments it takes."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import itertools
import json
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z0-9-]+):.*## ", MAKEFILE, re.MULTILINE))
BENCHMARKS = re.findall(r"^BENCHMARKS := (.*)$", MAKEFILE, re.MULTILINE)[0].split()
EMULATOR = "http://127.0.0.1:8765"  # where pages have it


def commands(text: str) -> list[list[str]]:
    """The words of each command, also of those inside ``"$(...)"``.

    :raises ValueError: a quote is not closed.
    """
    text = re.sub(r"(^|\s)#[^\n]*", r"\1", text.replace("\\\n", " "))
    inner = re.findall(r'"\$\((.*?)\)"', text, re.DOTALL)
    lexer = shlex.shlex(
        re.sub(r'"\$\(.*?\)"', "'{}'", text, flags=re.DOTALL), posix=True, punctuation_chars=";&|\n"
    )
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    lexer.commenters = ""
    found: list[list[str]] = [[]]
    for word in lexer:
        if set(word) <= set(";&|\n"):
            found.append([])
        else:
            found[-1].append(word)
    return [*(words for words in found if words), *(words for one in inner for words in commands(one))]


def check(words: list[str], emulator_url: str) -> None:
    """Check one command.

    :param emulator_url: of an emulator; what the command sends to one is sent there.
    :raises AssertionError: something does not exist, or the command is of no known kind.
    """
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0], re.DOTALL):
        words = words[1:]
    name, *arguments = words
    assert name in CHECKS, f"nothing checks {name}"
    if name == "curl":
        check_curl(arguments, emulator_url)
    else:
        CHECKS[name](arguments)


def check_make(arguments: list[str]) -> None:
    """Targets of the Makefile, and variables that it reads."""
    for word in arguments:
        variable, is_setting, _ = word.partition("=")
        if is_setting:
            assert re.search(rf"\$\(\s*{variable}\)|,\s*\$\({variable}\)|{variable} ?[?:]?=", MAKEFILE), word
        elif word.startswith("bench/"):
            assert word[6:] in BENCHMARKS, word
        else:
            assert word in TARGETS, word


@functools.cache
def help_of(*command: str) -> str:
    """What a program of the package prints about its options."""
    run = subprocess.run(
        [sys.executable, "-m", *command, "--help"], capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def check_python(arguments: list[str]) -> None:
    """``python -m MODULE``, and the options of those that are ours."""
    assert arguments[0] == "-m"
    module, *rest = arguments[1:]
    assert importlib.util.find_spec(module), module
    if not module.startswith("airflow_trtc"):
        return
    sub = rest[:1] if rest and not rest[0].startswith("-") else []
    options = [word for word in rest if word.startswith("--")]
    text = help_of(module, *sub)
    assert [option for option in options if option not in text] == []


def check_airflow(arguments: list[str]) -> None:
    """What Airflow's own parser takes, and connections that can be used."""
    from airflow.cli import cli_parser

    parsed = cli_parser.get_parser().parse_args(arguments)
    if arguments[:2] == ["connections", "add"]:
        from airflow_trtc.cloud.settings import from_connection

        fields = json.loads(parsed.conn_json)
        assert fields.pop("conn_type") == "trtc"
        assert not from_connection(**fields).warnings


def airflow_has(arguments: list[str]) -> bool:
    """Whether Airflow has a command and its options; what they need besides may be missing."""
    from airflow.cli import cli_parser

    names = list(
        itertools.takewhile(lambda word: re.fullmatch("[a-z-]+", word) and word[0] != "-", arguments)
    )
    text = io.StringIO()
    try:
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            cli_parser.get_parser().parse_args([*names, "--help"])
    except SystemExit as end:
        options = [word for word in arguments if word.startswith("--")]
        return end.code == 0 and all(option in text.getvalue() for option in options)
    return False


def check_pip(arguments: list[str]) -> None:
    """Only installations."""
    assert arguments[0] == "install"
    assert {word for word in arguments if word.startswith("-")} <= {"--constraint", "-c"}


def check_export(arguments: list[str]) -> None:
    """Connections, and variables that the package reads."""
    sources = [path.read_text() for path in (ROOT / "airflow_trtc").rglob("*.py")]
    for name in (word.partition("=")[0] for word in arguments):
        assert name.startswith("AIRFLOW_CONN_") or any(f'"{name}"' in source for source in sources), name


def check_curl(arguments: list[str], emulator_url: str) -> None:
    """What is sent to the emulator is taken by it."""
    (address,) = (word for word in arguments if "://" in word)
    if not address.startswith(EMULATOR):
        return
    body = arguments[arguments.index("-d") + 1].encode() if "-d" in arguments else None
    with urllib.request.urlopen(address.replace(EMULATOR, emulator_url), data=body, timeout=10) as answer:
        assert answer.status == 200


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "airflow": check_airflow,
    "curl": lambda arguments: None,  # see `check`
    "export": check_export,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
}
