"""The vendor's models of all calls, read from ``models.txt``: what each takes, and what it answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from airflow_trtc.emulator.parameters import Field, Schema

_KINDS = {"text": "string", "int": "integer", "uint": "integer", "number": "number", "flag": "boolean"}
_WORD = re.compile(r"(\*?)(\w+):(\[?)(\w+)\]?")


@dataclass(frozen=True)
class Member:
    """One field of a call, of an answer or of an object.

    :param type: ``text``, ``int``, ``uint``, ``number``, ``flag``, or the name of an object.
    """

    name: str
    type: str
    is_required: bool = False
    is_list: bool = False


@dataclass(frozen=True)
class Models:
    """All that the text tells."""

    calls: Mapping[str, tuple[Member, ...]]
    answers: Mapping[str, tuple[Member, ...]]
    objects: Mapping[str, tuple[Member, ...]]

    def schema(self, action: str, **changed: Field) -> Schema:
        """What a call takes.

        :param changed: fields that are not as the model says.
        """
        return {**self._fields(self.calls[action]), **changed}

    def answer(self, action: str) -> dict[str, Any]:
        """An answer that says nothing: empty texts and lists, zeros, and objects of such."""
        return {one.name: self._empty(one) for one in self.answers[action]}

    def _fields(self, members: tuple[Member, ...]) -> Schema:
        return {one.name: self._field(one) for one in members}

    def _field(self, one: Member) -> Field:
        low = 0 if one.type == "uint" and not one.is_list else None
        kind = _KINDS.get(one.type, "object")
        inside = self._fields(self.objects[one.type]) if kind == "object" else {}
        return Field(f"{kind}s" if one.is_list else kind, required=one.is_required, low=low, fields=inside)

    def _empty(self, one: Member) -> Any:
        if one.is_list:
            return []
        if one.type in self.objects:
            return {each.name: self._empty(each) for each in self.objects[one.type]}
        return {"text": "", "flag": False}.get(one.type, 0)


@cache
def models() -> Models:
    """Read the text, once."""
    text = (files(__package__) / "models.txt").read_text(encoding="utf-8")
    plain = re.sub(r"\n +", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    calls, answers, objects = {}, {}, {}
    for line in plain.split("\n"):
        name, _, rest = line.partition(" ")
        if rest.startswith("= "):
            objects[name] = _members(rest)
        elif name:
            before, _, after = rest.partition("->")
            calls[name], answers[name] = _members(before), _members(after)
    return Models(*(MappingProxyType(each) for each in (calls, answers, objects)))


def _members(text: str) -> tuple[Member, ...]:
    return tuple(
        Member(name, kind, star == "*", bracket == "[") for star, name, bracket, kind in _WORD.findall(text)
    )
