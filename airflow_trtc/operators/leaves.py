"""The values inside an operator's parameters, however deep: which are secret, and how these are hidden."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from airflow.sdk.log import mask_secret

from airflow_trtc.arguments import ChecksArguments, HiddenText, is_template, revealed
from airflow_trtc.cloud import parameters as checks
from airflow_trtc.publishing.parameters import secrets_of

# Addresses whose last part may be a key; of all others only what stands behind a question mark is.
STREAMS = frozenset({"PublishCdnUrl", "PublishCdnUrls", "StreamUrl", "SourceUrl", "Url"})


class HoldsSecrets(ChecksArguments):
    """For operators among whose arguments are secrets. To stand before Airflow's base class.

    :cvar secrets: name of an argument to what hides the secrets in it that stand in the DAG.
    """

    secrets: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Map over arguments; those that stay the same are checked now."""
        for name in cls.secrets.keys() & kwargs.keys():
            kwargs[name] = cls.secrets[name](kwargs[name])
        return super().partial(**kwargs)

    def check_all(self) -> None:
        """See the base class."""
        self.mask()
        super().check_all()

    def mask(self) -> None:
        """Have Airflow show no secret among the arguments."""
        raise NotImplementedError

    def _do_render_template_fields(self, *args: Any, **kwargs: Any) -> None:
        """Mask secrets as soon as they are rendered: next Airflow stores the rendered fields for users."""
        super()._do_render_template_fields(*args, **kwargs)  # type: ignore[misc]
        self.mask()


def each_leaf(value: Any, change: Callable[[str, Any], Any], name: str = "") -> Any:
    """The same objects and lists, each value in them changed.

    :param change: from the name under which a value stands, and the value.
    """
    if isinstance(value, Mapping):
        return {key: each_leaf(each, change, str(key)) for key, each in value.items()}
    # Airflow hands lists of mapped tasks on as sequences of its own.
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return [each_leaf(each, change, name) for each in value]
    return change(name, value)


def read_parameters(name: str, value: Any) -> dict[str, Any]:
    """Read parameters of any action; None stands for none.

    :raises ValueError: they are no dictionary.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        kind = type(value).__name__
        raise ValueError(f"{name} must be a dictionary with the service's own names, not {kind}")
    found: dict[str, Any] = each_leaf(value, lambda _, leaf: leaf)
    return found


def hidden(value: Any) -> Any:
    """Parameters with the secrets that stand in the DAG hidden; anything else as it is."""
    return each_leaf(value, _hidden_leaf) if isinstance(value, Mapping) else value


def shown(value: Any) -> Any:
    """Parameters as they are sent."""
    return each_leaf(value, lambda _, leaf: revealed(leaf))


def mask(value: Any) -> None:
    """Have Airflow mask every secret in parameters wherever it would show it."""

    def mask_leaf(name: str, leaf: Any) -> None:
        for secret in _secrets(name, revealed(leaf)):
            mask_text(secret)

    each_leaf(value, mask_leaf)


def mask_text(value: Any) -> None:
    """Have Airflow mask a secret, hidden or not; what is no text, or is a template yet, is left alone."""
    text = revealed(value)
    if isinstance(text, str) and text and not is_template(text):
        mask_secret(text)


def rendered_later(value: Any) -> frozenset[str]:
    """The paths of texts that templates render, see `checks.typed`."""
    return frozenset(
        path for path, leaf in checks.leaves(value) if isinstance(leaf, str) and is_template(leaf)
    )


def _hidden_leaf(name: str, leaf: Any) -> Any:
    is_literal = isinstance(leaf, str) and not is_template(leaf)
    return HiddenText(leaf) if is_literal and any(_secrets(name, leaf)) else leaf


def _secrets(name: str, leaf: Any) -> Iterator[str]:
    """What of a value is secret; in addresses what may let somebody publish or load."""
    yield from checks.secrets_in({name: leaf})
    is_stream = name in STREAMS or (isinstance(leaf, str) and "?" in leaf)
    if is_stream and name.lower().endswith(("url", "urls")):
        yield from secrets_of(leaf)
