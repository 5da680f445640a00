"""Whether the parameters of any action are spelt right, checked before anything is sent.

The service ignores or refuses what it does not know, and the SDK sends misspelt names without a word;
the SDK's request models say which names there are.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from airflow_trtc.errors import TrtcSetupError

# Documented (tencentcloud.com/document/product/647/51289), but missing from the SDK 3.1.195.
NOT_IN_SDK = {
    "SetUserBlocked": ("SdkAppId", "RoomId", "UserId", "IsMute"),
    "SetUserBlockedByStrRoomId": ("SdkAppId", "RoomId", "UserId", "IsMute"),
}
STREAMING = ("TextToSpeechSSE",)
APP_ID_SPELLINGS = ("SdkAppId", "SdkAppid", "Sdkappid")
APP_ID_AS_TEXT = ("DescribeTRTCRealTime", "DescribeTRTCMarket")


def check(action: str, params: Mapping[str, Any]) -> None:
    """Check the names of an action's parameters, nested ones too, and that JSON can carry their values.

    Which are required and what values they take is left to the service.

    :raises TrtcSetupError: the action or a parameter is unknown; the message names the path and what
        was probably meant.
    """
    if action in STREAMING:
        raise TrtcSetupError(f"{action} answers with a stream, which is not supported.", action=action)
    _check_mapping(action, params)
    names = _top_level(action)
    _check_names(action, "", params, names)
    model = getattr(_models(), f"{action}Request", None)
    if model is not None:
        _check_nested(action, "", params, model)
    _check_json(action, params)


def with_app_id(action: str, params: Mapping[str, Any], sdk_app_id: int | None) -> dict[str, Any]:
    """Fill in the application, in the spelling and type that the action wants.

    An application that is given stays; an explicit None leaves it out.

    :raises TrtcSetupError: the action is unknown, or the parameters are no dictionary.
    """
    _check_mapping(action, params)
    spelling = next((name for name in APP_ID_SPELLINGS if name in _top_level(action)), None)
    filled = dict(params)
    if spelling is not None and spelling not in filled and sdk_app_id is not None:
        filled[spelling] = str(sdk_app_id) if action.startswith(APP_ID_AS_TEXT) else sdk_app_id
    return {name: value for name, value in filled.items() if value is not None}


@cache
def _models() -> Any:
    from tencentcloud.trtc.v20190722 import models

    return models


def _top_level(action: str) -> tuple[str, ...]:
    if action in NOT_IN_SDK:
        return NOT_IN_SDK[action]
    model = getattr(_models(), f"{action}Request", None)
    if model is None:
        raise TrtcSetupError(f"There is no action {action!r}{_hint(action, _actions())}.", action=action)
    return _properties(model)


@cache
def _actions() -> tuple[str, ...]:
    names = (name.removesuffix("Request") for name in vars(_models()) if name.endswith("Request"))
    return (*names, *NOT_IN_SDK)


def _properties(model: type[Any]) -> tuple[str, ...]:
    return tuple(name for name, value in vars(model).items() if isinstance(value, property))


def _check_mapping(action: str, params: object) -> None:
    if not isinstance(params, Mapping):
        raise TrtcSetupError("The parameters must be a dictionary.", action=action)


def _check_names(action: str, path: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            where = f"{path}{name}"
            raise TrtcSetupError(
                f"{action} has no parameter {where!r}{_hint(str(name), known)}.", action=action
            )


def _check_nested(action: str, path: str, given: Mapping[str, Any], model: type[Any]) -> None:
    for name, value in given.items():
        inner, in_list = _type_of(model, name)
        if inner is None or value is None:
            continue
        if in_list and not isinstance(value, (list, tuple)):
            raise _wrong_type(action, f"{path}{name}", "a list of objects", value)
        items = {f"{path}{name}[{index}]": item for index, item in enumerate(value)} if in_list else None
        for where, item in ({f"{path}{name}": value} if items is None else items).items():
            if not isinstance(item, Mapping):
                raise _wrong_type(action, where, "an object", item)
            _check_names(action, f"{where}.", item, _properties(inner))
            _check_nested(action, f"{where}.", item, inner)


def _wrong_type(action: str, where: str, wanted: str, given: object) -> TrtcSetupError:
    message = f"The parameter {where!r} of {action} must be {wanted}, not {type(given).__name__}."
    return TrtcSetupError(message, action=action)


def _type_of(model: type[Any], name: str) -> tuple[type[Any] | None, bool]:
    """Which model a nested parameter has, and whether in a list; None when it is a plain value.

    Asks the model to read an empty one, which works without docstrings, too.
    """
    probe = model()
    probe._deserialize({name: {}})
    value = getattr(probe, f"_{name}", None)  # the property may warn that it is deprecated
    if in_list := isinstance(value, list):
        probe._deserialize({name: [{}]})
        (value,) = getattr(probe, f"_{name}")
    return (None if value is None or isinstance(value, dict) else type(value)), in_list


def _check_json(action: str, params: Mapping[str, Any]) -> None:
    try:
        json.dumps(params, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TrtcSetupError(f"The parameters cannot be sent as JSON: {error}.", action=action) from error


def _hint(name: str, known: tuple[str, ...]) -> str:
    by_lower_case = {right.lower(): right for right in known}
    near = difflib.get_close_matches(name.lower(), by_lower_case, n=1, cutoff=0.5)
    return f" (did you mean {by_lower_case[near[0]]!r}?)" if near else ""
