"""Every action of the service, a row each: what may be repeated, what is required, which limits there are.

Sources: tencentcloud-sdk-python 3.1.195; the model of tencentcloud-cli 3.1.189 for what is required; API
Category (trtc.io/document/34260) for requests a second; the pages of the actions for regions. Regions move
over time, so they are told and never checked. ``SetUserBlocked`` and ``SetUserBlockedByStrRoomId`` are
documented (tencentcloud.com/document/product/647/51289) and missing from the SDK.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

from airflow_trtc.cloud.action import Action, Effect, Limit
from airflow_trtc.errors import TrtcSetupError


def action_of(name: object) -> Action:
    """The row of an action.

    :raises TrtcSetupError: there is none; the message says what was probably meant.
    """
    if isinstance(name, str) and name in ACTIONS:
        return ACTIONS[name]
    raise TrtcSetupError(
        f"There is no action {name!r:.100}{did_you_mean(name, ACTIONS)}.", action=str(name)[:100]
    )


def effect_of(action: str) -> Effect:
    """What an action does; ``create`` for those that the table does not know."""
    return ACTIONS[action].effect if action in ACTIONS else "create"


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A hint for a misspelt name, to put behind it; empty when nothing is near."""
    by_lower_case = {right.lower(): right for right in known}
    near = difflib.get_close_matches(str(name)[:100].lower(), by_lower_case, n=1, cutoff=0.5)
    return f" (did you mean {by_lower_case[near[0]]!r}?)" if near else ""


def _span(low: int, high: int, unit: str = "") -> Limit:
    return Limit(text=f"{low} to {high} {unit}".strip(), low=low, high=high)


def _most(most: int, unit: str) -> Limit:
    return Limit(text=f"at most {most} {unit}", most=most, in_bytes=unit == "bytes")


def _said(text: str) -> Limit:
    """A limit that only the service can judge."""
    return Limit(text=text)


def _action(
    family: str,
    name: str,
    effect: Effect,
    purpose: str,
    required: str = "",
    limits: Mapping[str, Limit] | None = None,
    **more: Any,
) -> Action:
    return Action(
        name=name,
        family=family,
        effect=effect,
        purpose=purpose,
        required=tuple(required.split()),
        limits=MappingProxyType(dict(limits or {})),
        **more,
    )


def _blocked(room: str) -> Mapping[str, str]:
    return MappingProxyType({"SdkAppId": "int", "RoomId": room, "UserId": "str", "IsMute": "int"})


_Row: TypeAlias = Callable[..., Action]
_room: _Row = partial(_action, "rooms")
_recording: _Row = partial(_action, "recording")
_relay: _Row = partial(_action, "relay")
_picture: _Row = partial(_action, "pictures")
_ingest: _Row = partial(_action, "ingest")
_web: _Row = partial(_action, "web_recording")
_slicing: _Row = partial(_action, "slicing")
_moderation: _Row = partial(_action, "moderation")
_live: _Row = partial(_action, "live_moderation", requests_per_second=None)
_transcription: _Row = partial(_action, "transcription", requests_per_second=None)
_ai_transcription: _Row = partial(_action, "ai_transcription")
_conversation: _Row = partial(_action, "ai_conversation")
_speech: _Row = partial(_action, "speech", requests_per_second=None)
_voice_print: _Row = partial(_action, "voice_prints", app_param="", requests_per_second=None)
_words: _Row = partial(_action, "hot_words", requests_per_second=None)
_quality: _Row = partial(_action, "quality")
_dashboard: _Row = partial(_action, "dashboard", app_as_text=True)
_usage: _Row = partial(_action, "usage", requests_per_second=5)

_RECORDING_REGIONS = ("ap-beijing", "ap-guangzhou", "ap-mumbai", "ap-shanghai", "ap-singapore")
_CREATE_REGIONS = ("ap-beijing", "ap-guangzhou", "ap-shanghai", "ap-singapore")
_DISMISS_REGIONS = ("ap-beijing", "ap-guangzhou", "ap-singapore")
_PUBLISH_REGIONS = ("ap-guangzhou", "ap-hongkong", "ap-singapore")
_START_ROBOT = "SdkAppId RoomId UserId UserSig"
_JOB = "SdkAppId TaskId"
_SPAN = "StartTime EndTime"
_NUMERIC_ROOM = {"RoomId": _span(1, 4294967294)}
_STRING_ROOM = {"RoomId": _most(64, "bytes")}
_REMOVED = {"UserIds": _most(10, "user ids")}
_MUTE = {"IsMute": _span(0, 3, "(0 none, 1 audio and video, 2 audio, 3 video)")}
_EXPIRED = {"ResourceExpiredHour": _span(6, 720, "hours, default 72")}
_URLS = {"PublishCdnParams": _most(10, "addresses"), "FeedBackRoomParams": _most(10, "rooms")}
_INGEST = {
    "Volume": _span(0, 200),
    "Tempo": _said("0.5, 0.75, 1, 1.25, 1.5, 1.75 or 2"),
}
_WORDS = {
    "WordWeights": _most(1000, "words, of weight 1 to 11 or 100"),
}
# Its text says so; the vendor's model does not, and nor do we refuse what lacks it.
_NEEDED = _said("is needed, too")
_MONTH = {"EndTime": _said("at most 31 days after StartTime")}
_DAYS_14 = _said("at most 14 days ago")
_PAGE = {"PageSize": _span(1, 100)}

_ROWS = (
    _room(
        "DismissRoom",
        "idempotent",
        "close a numeric room",
        "SdkAppId RoomId",
        _NUMERIC_ROOM,
        regions=_DISMISS_REGIONS,
    ),
    _room(
        "DismissRoomByStrRoomId",
        "idempotent",
        "close a string room",
        "SdkAppId RoomId",
        _STRING_ROOM,
        regions=_DISMISS_REGIONS,
    ),
    _room(
        "RemoveUser",
        "idempotent",
        "remove users from a numeric room",
        "SdkAppId RoomId UserIds",
        {**_NUMERIC_ROOM, **_REMOVED},
    ),
    _room(
        "RemoveUserByStrRoomId",
        "idempotent",
        "remove users from a string room",
        "SdkAppId RoomId UserIds",
        {**_STRING_ROOM, **_REMOVED},
    ),
    _room(
        "SetUserBlocked",
        "idempotent",
        "forbid a user of a numeric room to send, or allow it",
        "SdkAppId RoomId UserId IsMute",
        {**_NUMERIC_ROOM, **_MUTE},
        own_types=_blocked("int"),
    ),
    _room(
        "SetUserBlockedByStrRoomId",
        "idempotent",
        "forbid a user of a string room to send, or allow it",
        "SdkAppId RoomId UserId IsMute",
        {**_STRING_ROOM, **_MUTE},
        own_types=_blocked("str"),
    ),
    _recording(
        "CreateCloudRecording",
        "create",
        "start a recording",
        f"{_START_ROBOT} RecordParams StorageParams",
        _EXPIRED,
        regions=_CREATE_REGIONS,
        id_field="TaskId",
    ),
    _recording(
        "DescribeCloudRecording", "read", "status and files of a recording", _JOB, regions=_RECORDING_REGIONS
    ),
    _recording(
        "ModifyCloudRecording",
        "idempotent",
        "replace subscriptions and layout",
        _JOB,
        regions=_RECORDING_REGIONS,
    ),
    _recording("DeleteCloudRecording", "idempotent", "stop a recording", _JOB, regions=_RECORDING_REGIONS),
    _relay(
        "StartPublishCdnStream",
        "create",
        "mix a room, or relay a stream, to a CDN or other rooms",
        "SdkAppId RoomId RoomIdType AgentParams WithTranscoding",
        _URLS,
        regions=_PUBLISH_REGIONS,
        id_field="TaskId",
    ),
    # SequenceNumber guards it: the same request a second time is refused with RequestOutdated.
    _relay(
        "UpdatePublishCdnStream",
        "idempotent",
        "change a relay; SequenceNumber must grow",
        "SdkAppId TaskId SequenceNumber WithTranscoding",
        _URLS,
    ),
    _relay("StopPublishCdnStream", "idempotent", "stop a relay", _JOB),
    _relay(
        "StartMCUMixTranscode",
        "create",
        "start the older mixing, numeric room",
        "SdkAppId RoomId OutputParams EncodeParams LayoutParams",
        _NUMERIC_ROOM,
    ),
    _relay(
        "StopMCUMixTranscode",
        "idempotent",
        "stop the older mixing, numeric room",
        "SdkAppId RoomId",
        _NUMERIC_ROOM,
    ),
    _relay(
        "StartMCUMixTranscodeByStrRoomId",
        "create",
        "start the older mixing, string room",
        "SdkAppId StrRoomId OutputParams EncodeParams LayoutParams",
    ),
    _relay(
        "StopMCUMixTranscodeByStrRoomId",
        "idempotent",
        "stop the older mixing, string room",
        "SdkAppId StrRoomId",
    ),
    _picture(
        "CreatePicture",
        "create",
        "upload a background or watermark",
        "SdkAppId Content Suffix Height Width XPosition YPosition",
        {"Content": _most(2 * 1024 * 1024, "characters of base64")},
        id_field="PictureId",
    ),
    _picture("ModifyPicture", "idempotent", "move or resize a picture", "PictureId SdkAppId"),
    _picture("DeletePicture", "idempotent", "delete a picture", "PictureId SdkAppId"),
    _picture("DescribePicture", "read", "pictures of an application", "SdkAppId"),
    _ingest(
        "StartStreamIngest",
        "create",
        "pull an online stream into a room",
        "SdkAppId RoomId RoomIdType UserId UserSig",
        {
            "StreamUrl": _NEEDED,
            **_INGEST,
            "RepeatNum": _span(-1, 1000, "(not 0; -1 for ever)"),
            "MaxDuration": _span(1, 10080, "minutes"),
            "IdleTimeout": _span(0, 600, "seconds"),
        },
        id_field="TaskId",
    ),
    _ingest("UpdateStreamIngest", "idempotent", "change address, volume, pause or tempo", _JOB, _INGEST),
    _ingest("DescribeStreamIngest", "read", "status of an ingest", _JOB),
    _ingest("StopStreamIngest", "idempotent", "stop an ingest", _JOB),
    _web(
        "StartWebRecord",
        "create",
        "record a web page",
        "RecordUrl StorageParams SdkAppId",
        {
            "MaxDurationLimit": _span(1800, 86400, "seconds, default 86400"),
            "RecordId": _most(31, "bytes"),
            "ReadyTimeout": _span(0, 60, "seconds"),
            "PublishCdnParams": _most(10, "addresses"),
        },
        key_param="RecordId",
        key_bytes=31,
        find_action="DescribeWebRecord",
        id_field="TaskId",
    ),
    _web(
        "DescribeWebRecord",
        "read",
        "status of a web page recording",
        alternatives=(("TaskId",), ("SdkAppId", "RecordId")),
    ),
    _web("StopWebRecord", "idempotent", "stop a web page recording", "TaskId", app_param=""),
    _slicing(
        "CreateCloudSliceTask",
        "create",
        "cut audio slices and screenshots into a bucket",
        f"{_START_ROBOT} SliceParams SliceStorageParams",
        _EXPIRED,
        id_field="TaskId",
    ),
    _slicing("DescribeCloudSliceTask", "read", "status of slicing", _JOB),
    _slicing("ModifyCloudSliceTask", "idempotent", "replace subscriptions", _JOB),
    _slicing("DeleteCloudSliceTask", "idempotent", "stop slicing", _JOB),
    _moderation(
        "CreateCloudModeration",
        "create",
        "moderate a room",
        "SdkAppId RoomId UserId ModerationParams UserSig",
        {"ResourceExpiredHour": _span(6, 72, "hours, default 24")},
        id_field="TaskId",
    ),
    _moderation("DescribeCloudModeration", "read", "status and subscriptions", _JOB),
    _moderation("ModifyCloudModeration", "idempotent", "replace subscriptions", _JOB),
    _moderation("DeleteCloudModeration", "idempotent", "stop moderation", _JOB),
    _moderation(
        "CreateAudioModerationSync",
        "create",
        "moderate a short audio file at once",
        "",
        {
            "DataId": _most(64, "characters"),
            "FileName": _most(64, "characters"),
            "FileContent": _said("at most 5 MB and 60 seconds"),
            "FileFormat": _said("wav, mp3 or m4a"),
        },
        app_param="Sdkappid",
        alternatives=(("FileUrl",), ("FileContent", "FileFormat")),
        requests_per_second=None,
    ),
    _live(
        "CreateLiveStreamModeration",
        "create",
        "moderate a live stream by its address",
        "SdkAppId Input LiveModerationParams",
        {"DataId": _most(60, "characters"), "ResourceExpiredHour": _span(1, 72, "hours, default 48")},
        id_field="TaskId",
    ),
    _live("DescribeLiveStreamModeration", "read", "status", _JOB),
    _live("DeleteLiveStreamModeration", "idempotent", "stop it", _JOB),
    _transcription(
        "CreateCloudTranscription",
        "create",
        "transcribe and translate a room (2.0)",
        "SdkAppId RoomId RoomIdType TranscriptionParam AsrParam",
        id_field="TaskId",
    ),
    _transcription("DescribeCloudTranscription", "read", "status", _JOB),
    _transcription("DeleteCloudTranscription", "idempotent", "stop it", _JOB),
    _ai_transcription(
        "StartAITranscription",
        "create",
        "transcribe a room (first version)",
        "SdkAppId RoomId TranscriptionParams",
        requests_per_second=50,
        key_param="SessionId",
        find_action="DescribeAITranscription",
        find_params=MappingProxyType({"TaskId": ""}),
        id_field="TaskId",
    ),
    # The vendor's model has TaskId as required, and its text allows it to be empty beside a SessionId.
    _ai_transcription(
        "DescribeAITranscription",
        "read",
        "status",
        "",
        {"TaskId": _said("empty to ask by SessionId")},
        alternatives=(("TaskId",), ("SdkAppId", "SessionId")),
    ),
    _ai_transcription("StopAITranscription", "idempotent", "stop it", "TaskId", app_param=""),
    _conversation(
        "StartAIConversation",
        "create",
        "start a voice agent in a room",
        "SdkAppId RoomId AgentConfig",
        {"LLMConfig": _NEEDED, "TTSConfig": _NEEDED},
        key_param="SessionId",
        find_action="DescribeAIConversation",
        id_field="TaskId",
    ),
    _conversation(
        "DescribeAIConversation", "read", "status", alternatives=(("TaskId",), ("SdkAppId", "SessionId"))
    ),
    _conversation("UpdateAIConversation", "idempotent", "change its settings", "TaskId", app_param=""),
    # Said twice, it is spoken twice.
    _conversation(
        "ControlAIConversation",
        "create",
        "have it speak, ask its model, or pass data on",
        "TaskId Command",
        {"Command": _said("ServerPushText, InvokeLLM or TransparentData")},
        app_param="",
        requests_per_second=50,
    ),
    _conversation("StopAIConversation", "idempotent", "stop it", "TaskId", app_param=""),
    # Nothing stays behind, and still each call costs money: so it is not repeated blindly.
    _speech(
        "TextToSpeech",
        "create",
        "speak a text; the answer holds the audio",
        "Text Voice SdkAppId",
        {"Text": _most(2000, "characters")},
    ),
    _speech(
        "TextToSpeechSSE",
        "create",
        "speak a text as a stream",
        "Text Voice SdkAppId",
        {"Text": _most(20000, "characters")},
        is_stream=True,
    ),
    _speech(
        "AsyncTextToSpeech",
        "create",
        "speak a long text; ask for the result",
        "Text Voice SdkAppId",
        {"Text": _most(50000, "characters, a Chinese one counts as two")},
        id_field="TaskId",
    ),
    _speech(
        "DescribeAsyncTextToSpeech", "read", "status and addresses of the result", "TaskId", app_param=""
    ),
    _speech(
        "VoiceClone",
        "create",
        "clone a voice",
        "SdkAppId VoiceName PromptAudio",
        {
            "VoiceName": _most(36, "letters, digits and _"),
            "PromptAudio": _said("wav, mp3 or m4a of 6 to 180 seconds, as base64"),
        },
        id_field="VoiceId",
    ),
    _voice_print(
        "RegisterVoicePrint",
        "create",
        "register a voice",
        "Audio ReqTimestamp AudioFormat AudioName",
        {
            "Audio": _said("wav of 8 to 18 seconds, 16 kHz, 16 bit, mono, at most 2 MB, as base64"),
            "AudioFormat": _span(0, 0, "(wav)"),
            "AudioName": _most(32, "characters"),
            "AudioMetaInfo": _most(512, "characters"),
        },
        id_field="VoicePrintId",
    ),
    _voice_print(
        "UpdateVoicePrint",
        "idempotent",
        "replace its audio or data",
        "VoicePrintId ReqTimestamp",
        {"AudioFormat": _span(0, 0, "(wav)"), "AudioMetaInfo": _most(512, "characters")},
    ),
    _voice_print(
        "DescribeVoicePrint",
        "read",
        "voices by id (DescribeMode 0) or by page (1)",
        "DescribeMode",
        {"DescribeMode": _span(0, 1), "PageSize": _said("at least 20")},
    ),
    _voice_print("DeleteVoicePrint", "idempotent", "delete a voice", "VoicePrintId"),
    _words(
        "CreateRecognizeVocabV3",
        "create",
        "make a table of hot words (at most 30)",
        "Name SdkAppId",
        _WORDS,
        id_field="VocabId",
    ),
    _words("UpdateRecognizeVocabV3", "idempotent", "replace it", "VocabId SdkAppId", _WORDS),
    _words(
        "SetVocabStateV3",
        "idempotent",
        "make it the default (1), or not (0)",
        "VocabId State SdkAppId",
        {"State": _span(0, 1)},
    ),
    _words("GetRecognizeVocabV3", "read", "one table", "VocabId SdkAppId"),
    _words("GetRecognizeVocabListV3", "read", "all tables, by page", "SdkAppId"),
    _words("DownloadRecognizeVocabV3", "read", "its words as a base64 text", "VocabId SdkAppId"),
    _words("DeleteRecognizeVocabV3", "idempotent", "delete it", "VocabId SdkAppId"),
    _quality(
        "DescribeRoomInfo",
        "read",
        "calls of an application",
        f"SdkAppId {_SPAN}",
        {"StartTime": _DAYS_14, "EndTime": _said("at most 24 hours after StartTime"), **_PAGE},
    ),
    _quality(
        "DescribeUserInfo",
        "read",
        "users of a call",
        f"CommId {_SPAN} SdkAppId",
        {
            "StartTime": _DAYS_14,
            "EndTime": _said("at most 4 hours after StartTime"),
            "UserIds": _most(100, "user ids"),
            **_PAGE,
        },
    ),
    _quality(
        "DescribeCallDetailInfo",
        "read",
        "users of a call and their quality over time",
        f"CommId {_SPAN} SdkAppId",
        {
            "StartTime": _DAYS_14,
            "EndTime": _said("at most 1 hour after StartTime with DataType, else 4"),
            "UserIds": Limit(text="at most 6 user ids with DataType, else 100", most=100),
            "PageSize": Limit(text="1 to 6 with DataType, else 1 to 100", low=1, high=100),
        },
    ),
    _quality(
        "DescribeUserEvent",
        "read",
        "what a user of a call did",
        f"CommId {_SPAN} UserId RoomId SdkAppId",
        {"StartTime": _DAYS_14},
    ),
    _quality(
        "DescribeUnusualEvent",
        "read",
        "at most 20 abnormal events",
        f"SdkAppId {_SPAN}",
        {"StartTime": _DAYS_14, "EndTime": _said("at most 1 hour after StartTime")},
    ),
    _quality(
        "DescribeScaleInfo",
        "read",
        "rooms and users by day, not today",
        f"SdkAppId {_SPAN}",
        {"StartTime": _DAYS_14},
    ),
    _dashboard(
        "DescribeTRTCRealTimeScaleData",
        "read",
        "users and rooms online",
        f"SdkAppId {_SPAN}",
        {"StartTime": _said("at most 3 hours ago, 12 with the advanced dashboard")},
    ),
    _dashboard(
        "DescribeTRTCRealTimeQualityData",
        "read",
        "quality now",
        f"SdkAppId {_SPAN}",
        {"StartTime": _said("at most 3 hours ago, 12 with the advanced dashboard")},
    ),
    _dashboard(
        "DescribeTRTCMarketScaleData",
        "read",
        "users and rooms by day or hour",
        f"SdkAppId {_SPAN} Period",
        {
            "StartTime": _said("at most 30 days ago, 60 with the advanced dashboard"),
            "Period": _said("d or h"),
        },
    ),
    _dashboard(
        "DescribeTRTCMarketQualityData",
        "read",
        "quality by day or hour",
        f"SdkAppId {_SPAN} Period",
        {
            "StartTime": _said("at most 30 days ago, 60 with the advanced dashboard"),
            "Period": _said("d or h"),
        },
    ),
    _dashboard(
        "DescribeTRTCMarketScaleMetricData", "read", "taken offline by the vendor", f"SdkAppId {_SPAN} Period"
    ),
    _usage("DescribeTrtcUsage", "read", "minutes of audio and video", _SPAN, _MONTH),
    _usage(
        "DescribeRecordingUsage",
        "read",
        "minutes of recordings",
        f"{_SPAN} MixType",
        {**_MONTH, "MixType": _said("single or multi")},
    ),
    _usage("DescribeMixTranscodingUsage", "read", "minutes of mixing", _SPAN, _MONTH),
    _usage("DescribeRelayUsage", "read", "bandwidth of relays", _SPAN, _MONTH),
    _usage(
        "DescribeTrtcRoomUsage",
        "read",
        "minutes by room, as CSV",
        f"SdkAppid {_SPAN}",
        {"EndTime": _said("at most 24 hours after StartTime"), "StartTime": _said("at most 3 months ago")},
        app_param="SdkAppid",
        requests_per_second=1 / 15,
    ),
    _usage("DescribeTRTCAIRecognitionUsage", "read", "AI usage", f"{_SPAN} AuType", _MONTH, app_as_text=True),
    _usage(
        "DescribeTRTCSegmentModerationUsage",
        "read",
        "slicing and moderation",
        f"{_SPAN} Type Business",
        _MONTH,
    ),
    _usage("DescribeTRTCDedicatedCloudAccUsage", "read", "dedicated network acceleration", _SPAN, _MONTH),
    _usage("DescribeRecordStatistic", "read", "recordings, the older billing", _SPAN, _MONTH),
    _usage("DescribeTrtcMcuTranscodeTime", "read", "mixing, the older billing", _SPAN, _MONTH),
)

ACTIONS: Mapping[str, Action] = MappingProxyType({row.name: row for row in _ROWS})
"""All actions, by name: the 86 of the SDK's module and the two that it lacks."""
