"""Which room is meant: numeric and string rooms of the same name are two rooms."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from airflow_trtc import bounds

STRING, NUMERIC = 0, 1  # RoomIdType of recordings; other actions number them the other way round
MAX_NUMBER = 4_294_967_294
MAX_BYTES = 64
TYPES: dict[str, int] = {"0": STRING, "1": NUMERIC, "string": STRING, "numeric": NUMERIC}
# As the vendor's client SDKs document a string room.
_NAME = re.compile(r"[a-zA-Z0-9 !#$%&()+\-:;<=.>?@\[\]^_{}|~,]+")


@dataclass(frozen=True, slots=True)
class Room:
    """One room.

    :param room_id: ``RoomId``, a text for numeric rooms too.
    :param room_id_type: ``RoomIdType``: 0 for a string room, 1 for a numeric one.
    """

    room_id: str
    room_id_type: int

    @property
    def value(self) -> int | str:
        """The room as signatures take it: a number for a numeric room."""
        return int(self.room_id) if self.room_id_type == NUMERIC else self.room_id

    @property
    def word(self) -> str:
        """The room's type as users write it."""
        return "numeric" if self.room_id_type == NUMERIC else "string"

    def __str__(self) -> str:
        return f"{self.word} room {self.room_id}"

    @property
    def may_be_mistaken(self) -> bool:
        """Whether it is a string room whose name is a number, which is often meant to be a numeric one."""
        return self.room_id_type == STRING and self.room_id.isascii() and self.room_id.isdigit()


def read_room_type(path: str, value: Any) -> int | None:
    """Read ``RoomIdType``: 0 or "string", 1 or "numeric"; None and "" follow the type of the room's id.

    :raises ValueError: it is none of these.
    """
    if value is None or value == "":
        return None
    found = None if isinstance(value, bool | float) else TYPES.get(str(value).strip().lower())
    if found is None:
        raise ValueError(f'{path} must be 0 or "string", or 1 or "numeric", not {value!r:.60}')
    return found


def read_room_word(path: str, value: Any) -> str | None:
    """Read "string" or "numeric": for actions whose own numbers mean the opposite, or that have none.

    :raises ValueError: it is neither ``string`` nor ``numeric``.
    """
    if value is None or value == "":
        return None
    word = value.strip().lower() if isinstance(value, str) else ""
    if word.isdigit() or word not in TYPES:
        raise ValueError(
            f'{path} must be "string" or "numeric", not {value!r:.60}; the numbers 0 and 1 mean the opposite'
            " in other calls of the service"
        )
    return word


def check_room_id(path: str, value: Any) -> Any:
    """Refuse what can be no room of any type, and return it as it is: its limits follow from the type.

    :raises ValueError: it is neither a number nor a text, or empty.
    """
    if isinstance(value, bool) or not isinstance(value, int | str) or str(value).strip() in ("", "None"):
        read_room(path, value)
    return value


def read_room(path: str, room_id: Any, room_type: int | str | None = None) -> Room:
    """Read a room: an int is a numeric room, a text a string room, unless the type says otherwise.

    :param room_type: as `read_room_type` or `read_room_word` returns it.
    :raises ValueError: there is no such room.
    """
    if isinstance(room_id, bool) or not isinstance(room_id, int | str):
        raise ValueError(f"{path} must be an int for a numeric room or a text, not {room_id!r:.60}")
    name = str(room_id).strip()
    if name in ("", "None"):
        raise ValueError(f"{path} is empty; a template may have rendered to nothing")
    if room_type is None:
        room_type = STRING if isinstance(room_id, str) else NUMERIC
    if TYPES[str(room_type)] == NUMERIC:
        number = bounds.number(name, 1, MAX_NUMBER)
        if number is None:
            raise ValueError(
                f"{path} of a numeric room must be a whole number from 1 to {MAX_NUMBER}, not {room_id!r:.60}"
            )
        return Room(str(number), NUMERIC)
    if (length := len(name.encode(errors="replace"))) > MAX_BYTES:
        raise ValueError(f"{path} of a string room takes at most {MAX_BYTES} bytes, not {length}")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{path} of a string room takes a-z, A-Z, 0-9, blanks and ! # $ % & ( ) + - : ; < = . > ? @ [ ]"
            f" ^ _ {{ }} | ~ , and not what is in {name!r:.80}"
        )
    return Room(name, STRING)
