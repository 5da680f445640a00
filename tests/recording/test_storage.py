"""Where files go, in both forms; keys in neither."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_trtc.arguments import is_template
from airflow_trtc.recording.storage import StorageKeys, keys_in, read_storage

COS: dict[str, Any] = {"Vendor": 0, "Region": "ap-guangzhou", "Bucket": "b-1250000000"}


@pytest.mark.parametrize(
    "text, params, prefix",
    [
        ("cos://b-1250000000?region=ap-guangzhou", {"CloudStorage": COS}, None),
        (
            " cos://b-1250000000/lessons/math/?region=ap-guangzhou ",
            {"CloudStorage": {**COS, "FileNamePrefix": ["lessons", "math"]}},
            "lessons/math",
        ),
        (
            "s3://b.c/d?region=us-east-1",
            {"CloudStorage": {"Vendor": 1, "Region": "us-east-1", "Bucket": "b.c", "FileNamePrefix": ["d"]}},
            "d",
        ),
        ("vod", {"CloudVod": {"TencentVod": {}}}, None),
        (
            "vod://?MediaType=3&ExpireTime=86400&Procedure=a%20b",
            {"CloudVod": {"TencentVod": {"MediaType": 3, "ExpireTime": 86400, "Procedure": "a b"}}},
            None,
        ),
    ],
)
def test_a_text_says_the_same_as_the_objects_of_the_service(
    text: str, params: dict[str, Any], prefix: str | None
) -> None:
    found = read_storage("storage", text)
    assert found == read_storage("storage", params)
    assert found.params == params
    assert found.file_name_prefix == prefix
    assert found.vendor == ("vod" if "CloudVod" in params else text.strip()[: text.strip().index(":")])


@pytest.mark.parametrize(
    "given, words",
    [
        ("cos://b", "names no region; write cos://b.region="),
        ("cos://b?regin=x", "has no option 'regin'; did you mean region"),
        ("cos://?region=x", "storage.CloudStorage.Bucket is empty"),
        ("cos://b?region=", "storage.CloudStorage.Region is empty"),
        ("cos://b/ü?region=x", r"FileNamePrefix\[0\] must be of the characters"),
        ("cos://b?region=x&region=y", "cannot be read"),
        ("cos://b?region=x#y", "cannot be read"),
        ("cos://[b?region=x", "cannot be read"),
        ("ftp://b", "cannot be read; write it as .cos://"),
        ("", "cannot be read"),
        ("vod://b", "in VOD, which has no buckets"),
        ("vod://?MediaTyp=0", "has no option 'MediaTyp'; did you mean MediaType"),
        ("vod://?MediaType=5", "storage.CloudVod.TencentVod.MediaType must be a whole number from 0 to 4"),
        (f"vod://?UserDefineRecordId={'x' * 65}", "at most 64 bytes, not 65"),
        ("vod://?UserDefineRecordId=a.b", "UserDefineRecordId must be of the characters"),
        ({}, "storage is empty"),
        (None, "storage is NoneType"),
        ([], "storage is list"),
        ({"CloudStorage": COS, "CloudVod": {}}, "CloudStorage and CloudVod, which exclude each other"),
        ({"CloudStorage": {**COS, "Vendor": 2}}, "storage.CloudStorage.Vendor must be .* from 0 to 1"),
        ({"CloudStorage": {"Vendor": 0}}, "storage.CloudStorage lacks Region, Bucket"),
        ({"CloudStorage": {**COS, "FileNamePrefix": "a/b"}}, "FileNamePrefix must be a list of texts"),
        ({"CloudStorage": {**COS, "FileNamePrefix": ["a/b"]}}, r"FileNamePrefix\[0\] must be of"),
        ({"CloudVods": {}}, "has no field 'CloudVods'; did you mean CloudVod"),
    ],
)
def test_faults_are_named(given: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_storage("storage", given)


@pytest.mark.parametrize(
    "given",
    [
        {"CloudStorage": {**COS, "AccessKey": "AKIDhidden", "SecretKey": "hidden"}},
        {"CloudStorage": {**COS, "SecretKey": "{{ conn.cos.password }}hidden"}},
        "cos://AKIDhidden:hidden@b-1250000000?region=ap-guangzhou",
        "cos://b-1250000000?region=ap-guangzhou&SecretKey=hidden",
        "cos://b-1250000000?region=ap-guangzhou&access_key=hidden",
        "cos://b-1250000000?region=ap-guangzhou&secret_key=hidden",
        '{"CloudStorage": {"Vendor": 0, "SecretKey": "hidden"}}',
    ],
)
def test_keys_are_refused_and_not_quoted(given: Any) -> None:
    with pytest.raises(ValueError, match="storage_conn_id") as error:
        read_storage("storage", given, is_template)
    assert "hidden" not in str(error.value)


def test_keys_that_stand_where_none_belong_can_be_masked() -> None:
    assert keys_in({"CloudStorage": {"AccessKey": "a", "SecretKey": "b"}}) == ["a", "b"]
    assert keys_in("cos://b?region=x") == keys_in({"CloudStorage": "x"}) == []


def test_what_is_sent_has_the_keys_and_what_is_kept_has_not() -> None:
    storage = read_storage("storage", {"CloudStorage": COS})
    assert storage.with_keys("a", "b") == {"CloudStorage": {**COS, "AccessKey": "a", "SecretKey": "b"}}
    assert storage.params == {"CloudStorage": COS}
    assert "hidden" not in repr(StorageKeys("hidden", "hidden", "conn"))


def test_templates_in_objects_are_left_alone() -> None:
    given = {"CloudStorage": {**COS, "Bucket": "{{ var.value.bucket }}"}}
    assert read_storage("storage", given, is_template).params == given
    with pytest.raises(ValueError, match="Vendor"):
        read_storage("storage", {"CloudStorage": {**given["CloudStorage"], "Vendor": 7}}, is_template)
