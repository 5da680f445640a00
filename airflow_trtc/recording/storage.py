"""Where a recording's files go: the service's ``StorageParams``, or one text that says the same.

``cos://bucket-1250000000/lessons/math?region=ap-guangzhou`` and ``s3://bucket/prefix?region=us-east-1`` name
a bucket, the prefix and the region; ``vod`` and ``vod://?MediaType=3&ExpireTime=86400`` name VOD with any of
its fields. Neither form holds keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from airflow_trtc.recording.fields import Later, decoded, did_you_mean, never, read_object
from airflow_trtc.recording.parameters import STORAGE, TENCENT_VOD

COS, S3 = 0, 1  # Vendor
VENDORS = {"cos": COS, "s3": S3}
KEYS = ("AccessKey", "SecretKey")
FORMS = (
    'write it as "cos://bucket-1250000000/prefix?region=ap-guangzhou", "s3://bucket/prefix?region=us-east-1"'
    ' or "vod", or as an object with CloudStorage or CloudVod'
)
NO_KEYS = (
    "must not hold keys, which everybody could read who may see the DAG. Save them in an Airflow connection"
    " (login and password), and name it with storage_conn_id"
)


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the files go.

    :param params: ``StorageParams`` without keys.
    """

    params: Mapping[str, Any]

    @property
    def vendor(self) -> str:
        """``cos``, ``s3`` or ``vod``."""
        bucket = self.params.get("CloudStorage")
        return "vod" if bucket is None else "s3" if bucket["Vendor"] == S3 else "cos"

    @property
    def file_name_prefix(self) -> str | None:
        """``FileNamePrefix`` as text with ``/``; None without one, and for VOD."""
        return "/".join(self.params.get("CloudStorage", {}).get("FileNamePrefix", ())) or None

    def with_keys(self, access_key: str, secret_key: str) -> dict[str, Any]:
        """``StorageParams`` as they are sent, with the bucket's keys."""
        bucket = {**self.params["CloudStorage"], **dict(zip(KEYS, (access_key, secret_key), strict=True))}
        return {"CloudStorage": bucket}


@dataclass(frozen=True, slots=True)
class StorageKeys:
    """The permanent key pair of a bucket.

    :param source: the connection it comes from, for the log.
    """

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    source: str


def read_storage(path: str, value: Any, later: Later = never) -> Storage:
    """Read either form.

    :raises ValueError: it is none, names both a bucket and VOD, holds keys, or a field breaks a limit. The
        message quotes nothing that may be a key.
    """
    value = decoded(value)
    if isinstance(value, str):
        value = _from_text(path, value.strip())
    if holds_keys(value):
        raise ValueError(f"{path}.CloudStorage {NO_KEYS}")
    if not isinstance(value, Mapping):
        raise ValueError(f"{path} is {type(value).__name__}; {FORMS}")
    found = read_object(path, value, STORAGE, later)
    if len(found) == 2:
        raise ValueError(
            f"{path} holds CloudStorage and CloudVod, which exclude each other; give one of them"
        )
    if not found:
        raise ValueError(f"{path} is empty; {FORMS}")
    return Storage(found)


def keys_in(value: Any) -> list[str]:
    """The keys that were written where none belong, so that they can be masked."""
    bucket = value.get("CloudStorage") if isinstance(value, Mapping) else None
    inner = bucket if isinstance(bucket, Mapping) else {}
    return [inner[name] for name in KEYS if isinstance(inner.get(name), str)]


def holds_keys(value: Any) -> bool:
    """Whether ``StorageParams`` hold keys."""
    bucket = value.get("CloudStorage") if isinstance(value, Mapping) else None
    return isinstance(bucket, Mapping) and any(bucket.get(name) for name in KEYS)


def _from_text(path: str, text: str) -> dict[str, Any]:
    """``StorageParams`` of a text; the reader of objects checks their values."""
    if text == "vod":
        text = "vod://"
    try:
        parts = urlsplit(text)
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError(f"{path} cannot be read; {FORMS}") from None
    if "@" in parts.netloc or {name for name, _ in query} & {*KEYS, "access_key", "secret_key"}:
        raise ValueError(f"{path} {NO_KEYS}")
    options = dict(query)
    if parts.scheme not in (*VENDORS, "vod") or parts.fragment or len(options) < len(query):
        raise ValueError(f"{path} cannot be read; {FORMS}")
    if parts.scheme == "vod":
        return _vod(path, parts.netloc + parts.path.strip("/"), options)
    for name in options:
        if name != "region":
            raise ValueError(f"{path} has no option {name!r:.60}{did_you_mean(name, ['region'])}")
    bucket: dict[str, Any] = {"Vendor": VENDORS[parts.scheme], "Bucket": parts.netloc}
    if "region" not in options:
        raise ValueError(
            f"{path} names no region; write {parts.scheme}://{parts.netloc}{parts.path}?region=..."
        )
    bucket["Region"] = options["region"]
    if prefix := [part for part in parts.path.split("/") if part]:
        bucket["FileNamePrefix"] = prefix
    return {"CloudStorage": bucket}


def _vod(path: str, place: str, options: Mapping[str, str]) -> dict[str, Any]:
    if place:
        raise ValueError(f"{path} is in VOD, which has no buckets or folders; write vod://?MediaType=0&...")
    for name in options:
        if name not in TENCENT_VOD:
            raise ValueError(f"{path} has no option {name!r:.60}{did_you_mean(name, TENCENT_VOD)}")
    return {"CloudVod": {"TencentVod": dict(options)}}
