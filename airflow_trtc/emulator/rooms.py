"""Which room is meant: its application, its name, and whether that is a number or a text. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_trtc.emulator.schemas import MAX_NUMERIC_ROOM


@dataclass(frozen=True)
class Room:
    """One room. The numeric room 8001 and the string room "8001" are two rooms."""

    sdk_app_id: int
    room_id: str
    is_string_room: bool = False

    def __str__(self) -> str:
        return f"{'string' if self.is_string_room else 'numeric'} room {self.room_id!r:.100}"


def looks_like_string_room(room_id: str) -> bool:
    """Return whether this cannot be the number of a room."""
    return not (room_id.isdecimal() and int(room_id[:11]) <= MAX_NUMERIC_ROOM)
