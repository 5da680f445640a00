"""Users of rooms: their ids, how many one call takes, and what of theirs can be blocked.

Sources: the models of tencentcloud-sdk-python 3.1.195, and SetUserBlocked
(tencentcloud.com/document/product/647/51289).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

MAX_USER_ID = 32  # bytes, as documented
# Rooms have users with longer ids than that: UUIDs of 36 characters stand in real events.
MAX_FOREIGN_ID = 256  # characters
MAX_USERS_A_CALL = 10  # of RemoveUser and RemoveUserByStrRoomId
MAX_USERS = 10_000
_USER_ID = re.compile(r"[a-zA-Z0-9_-]+")

# IsMute: what of a user is no longer passed on.
BLOCKS: dict[str, int] = {"none": 0, "both": 1, "audio": 2, "video": 3}


def is_user_id(value: object) -> bool:
    """Whether a user may have this id, as the service documents it."""
    return isinstance(value, str) and len(value) <= MAX_USER_ID and bool(_USER_ID.fullmatch(value))


def check_signed_user(user_id: object, user_sig: object) -> None:
    """Check that a UserSig comes with the user whose it is.

    :raises ValueError: it does not.
    """
    if user_sig is not None and user_id is None:
        raise ValueError("user_sig is signed for one user id; give that as user_id, or leave both out")


def read_user_id(path: str, value: Any) -> str | None:
    """Read the id of a user that we name, such as a robot; None and "" are absent.

    :raises ValueError: it cannot be one.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or value == "":
        return None
    if not is_user_id(value):
        raise ValueError(
            f"{path} must be 1 to {MAX_USER_ID} of the characters a-z, A-Z, 0-9, _ and -, not {value!r:.60}"
        )
    if value == "None":
        raise ValueError(f"{path} is None, written as text: a template rendered to nothing")
    return str(value)


def read_present_user(path: str, value: Any) -> str:
    """Read the id of a user who is in a room already: only what can be no id at all is refused.

    :raises ValueError: it can be none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"{path} must be the id of a user, not {value!r:.60}")
    name = value.strip()
    if name in ("", "None"):
        raise ValueError(f"{path} is empty; a template may have rendered to nothing")
    if len(name) > MAX_FOREIGN_ID or not name.isprintable():
        raise ValueError(
            f"{path} must be the id of a user, at most {MAX_FOREIGN_ID} characters, not {value!r:.60}"
        )
    return name


def read_present_users(path: str, value: Any) -> list[str]:
    """Read one id or a list of them, each once; a list as JSON text too, since templates render to text.

    :raises ValueError: one of them can be no id, or there are too many.
    """
    value = _decoded(path, value)
    if isinstance(value, str | int) and not isinstance(value, bool):
        value = [value]
    # Airflow hands lists of other tasks on as sequences of its own.
    if not isinstance(value, Iterable) or isinstance(value, dict | bytes | bytearray):
        raise ValueError(f"{path} must be the id of a user or a list of them, not {value!r:.60}")
    given = list(value)
    if len(given) > MAX_USERS:
        raise ValueError(f"{path} takes at most {MAX_USERS} users, not {len(given)}; map the task over parts")
    users = (read_present_user(f"{path}[{index}]", each) for index, each in enumerate(given))
    return list(dict.fromkeys(users))


def read_block(path: str, value: Any) -> str:
    """Read what is to be blocked, a word of `BLOCKS`.

    :raises ValueError: it is none of them. The service's numbers are no words, since 1 blocks more than 2.
    """
    if not isinstance(value, str) or value.strip().lower() not in BLOCKS:
        raise ValueError(f"{path} must be one of {', '.join(BLOCKS)}, not {value!r:.60}")
    return value.strip().lower()


def in_calls(users: Sequence[str]) -> Iterator[list[str]]:
    """The users in parts that one call takes."""
    for first in range(0, len(users), MAX_USERS_A_CALL):
        yield list(users[first : first + MAX_USERS_A_CALL])


def _decoded(path: str, value: Any) -> Any:
    if not (isinstance(value, str) and value.lstrip().startswith("[")):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        if not value.rstrip().endswith("]"):
            return value
    # As one id it would remove nobody, and the service would say yes.
    raise ValueError(
        f"{path} is the text of a list, but no JSON: {value!r:.60}. In a template write"
        " {{ ... | tojson }}"
    )
