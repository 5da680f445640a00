"""What is known of one action of the service, and of a limit of one of its parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

Effect: TypeAlias = Literal["read", "idempotent", "create"]

SECRET_PARAMS = frozenset(
    {"UserSig", "IMAdminUserSig", "PrivateMapKey", "AccessKey", "SecretKey", "APIKey", "Token"}
)
"""Parameters that hold secrets, wherever they stand. ``Token`` is that of another vendor's stream."""
# What vendors of models and voices call their keys in JSON such as ``TTSConfig``.
_OTHER_SECRETS = (
    "AccessKeySecret AccessToken AppKey Authorization ClientSecret Password Secret SecretAccessKey"
    " SubscriptionKey XApiKey"
)
_SECRETS = frozenset(name.lower() for name in (*SECRET_PARAMS, *_OTHER_SECRETS.split()))


def is_secret(name: str) -> bool:
    """Whether what has this name is secret, in any spelling: ``APIKey``, ``api_key``."""
    return name.replace("_", "").replace("-", "").lower() in _SECRETS


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A documented limit of a parameter.

    :param text: as the error and the documentation say it.
    :param low: the lowest number.
    :param high: the highest number.
    :param most: how many characters or items at most.
    :param in_bytes: whether `most` counts the bytes of a text, as UTF-8.
    """

    text: str
    low: float | None = None
    high: float | None = None
    most: int | None = None
    in_bytes: bool = False

    def allows(self, value: Any) -> bool:
        """Whether a value keeps to it; values of another type are not judged here."""
        if isinstance(value, bool):
            return True
        if isinstance(value, int | float):
            return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)
        if self.most is None or not isinstance(value, str | list | tuple):
            return True
        if self.in_bytes and isinstance(value, str):
            value = value.encode(errors="replace")
        return len(value) <= self.most


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action.

    :param name: as the service spells it.
    :param family: which part of the service it belongs to.
    :param effect: ``read`` changes nothing; ``idempotent`` leaves the same behind when it is carried out
        twice; ``create`` does not, so it is repeated only when it certainly was not carried out.
    :param purpose: what it does, in a few words.
    :param required: the parameters that must be given.
    :param alternatives: sets of parameters of which one must be given completely.
    :param app_param: its parameter for the application, as it is spelled there; empty when it has none.
    :param app_as_text: whether the application is sent as text.
    :param limits: documented limits, by parameter.
    :param requests_per_second: how many of an account are accepted; None where nothing is published.
    :param regions: where it is offered; empty where nothing is published.
    :param key_param: its parameter by which the service knows a repetition: the second start with the same
        value is refused with ``FailedOperation.TaskExist``. Empty when there is none.
    :param key_bytes: how long such a key may be.
    :param find_action: the action that finds what was started with a key; empty when none does.
    :param find_params: what it must be given beside the key and the application.
    :param id_field: where its answer has the id of what it created; empty when it has none.
    :param is_stream: whether it answers with a stream of events.
    :param own_types: its parameters and their types, where the SDK has no model of it; else empty.
    """

    name: str
    family: str
    effect: Effect
    purpose: str
    required: tuple[str, ...] = ()
    alternatives: tuple[tuple[str, ...], ...] = ()
    app_param: str = "SdkAppId"
    app_as_text: bool = False
    limits: Mapping[str, Limit] = field(default_factory=lambda: MappingProxyType({}))
    requests_per_second: float | None = 20
    regions: tuple[str, ...] = ()
    key_param: str = ""
    key_bytes: int = 64
    find_action: str = ""
    find_params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    id_field: str = ""
    is_stream: bool = False
    own_types: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def permission(self) -> str:
        """The action as a policy of access management names it."""
        return f"name/trtc:{self.name}"

    @property
    def is_per_application(self) -> bool:
        """Whether a policy can allow it for one application; without the parameter only for all (``*``)."""
        return bool(self.app_param)

    def missing(self, params: Mapping[str, Any], filled_in: Collection[str] = ()) -> tuple[str, ...]:
        """The required parameters that are not given; those that may stand for others joined by " and ".

        :param filled_in: parameters that someone else gives later.
        """
        given = {name for name, value in params.items() if value is not None and value != ""} | set(filled_in)
        absent = tuple(name for name in self.required if name not in given)
        if not self.alternatives or any(given.issuperset(each) for each in self.alternatives):
            return absent
        return (*absent, ", or ".join(" and ".join(each) for each in self.alternatives))
