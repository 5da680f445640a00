"""The parameters of the calls about jobs of all kinds but recordings, as tables.

Sources: the models of tencentcloud-sdk-python 3.1.195 and their texts; which are required, by tccli 3.1.155.
Limits that no text names are not checked.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow_trtc.emulator.parameters import (
    Field,
    Schema,
    flag,
    integer,
    number,
    structure,
    structures,
    text,
    texts,
)
from airflow_trtc.emulator.schemas import CLOUD_STORAGE, SUBSCRIPTIONS, TENCENT_VOD

APP = integer(required=True, missing="MissingParameter.SdkAppId")
TASK_ID = text(required=True, missing="MissingParameter.TaskId")
ROOM_ID = text(required=True, missing="MissingParameter.RoomId")
_ROBOT: Schema = {
    "UserId": text(required=True, missing="MissingParameter.UserId"),
    "UserSig": text(required=True, missing="MissingParameter.UserSig"),
}
_ONE_TASK: Schema = {"SdkAppId": APP, "TaskId": TASK_ID}
_AI_TASK: Schema = {"TaskId": text(required=True)}
_VOICE_PRINT = structure({"Mode": integer(), "IdList": texts()})
_TURN = structure({"SemanticEagerness": text()})
_USER = {"UserId": text()}


def _bucket(name: str, *, required: bool = False, missing: str = "MissingParameter") -> Field:
    return structure({name: structure(CLOUD_STORAGE)}, required=required, missing=missing)


_SPOKEN: Schema = {
    "Language": text(),
    "AlternativeLanguage": texts(),
    "HotWordList": text(),
    "VadSilenceTime": integer(240, 2000),
    "VadLevel": integer(0, 5),
}
_RECOGNIZE: Schema = {**_SPOKEN, "Model": text(), "TranslationLanguage": text()}
_TTS_VOICE: Schema = {"VoiceId": text(), "Model": text(), "Speed": number(), "Volume": number()}

SLICING: Schema = {
    "SdkAppId": APP,
    "RoomId": ROOM_ID,
    **_ROBOT,
    "SliceParams": structure(
        {
            "SliceType": integer(1, 3),
            "MaxIdleTime": integer(5, 86_400),
            "SliceAudio": integer(15, 60),
            "SliceVideo": integer(5, 60),
            "SubscribeStreamUserIds": structure(SUBSCRIPTIONS),
            "SliceImageType": integer(0, 1),
            "SliceCallbackUrl": text(),
        },
        required=True,
        missing="MissingParameter.SliceParams",
    ),
    "SliceStorageParams": _bucket(
        "CloudSliceStorage", required=True, missing="MissingParameter.SliceStorageParams"
    ),
    "RoomIdType": integer(0, 1),
    "ResourceExpiredHour": integer(6, 720),
    "PrivateMapKey": text(),
}

MODERATION: Schema = {
    "SdkAppId": APP,
    "RoomId": ROOM_ID,
    **_ROBOT,
    "ModerationParams": structure(
        {
            "ModerationType": integer(1, 3),
            "MaxIdleTime": integer(5, 1800),
            "SliceAudio": integer(15, 60),
            "SliceVideo": integer(1, 60),
            "ModerationSupplier": text(),
            "ModerationSupplierParam": structure(
                {name: text() for name in ("AppID", "SecretId", "SecretKey", "AudioBizType", "ImageBizType")}
            ),
            "SaveModerationFile": integer(0, 2),
            "CallbackAllResults": integer(0, 1),
            "SubscribeStreamUserIds": structure(SUBSCRIPTIONS),
        },
        required=True,
    ),
    "ModerationStorageParams": _bucket("CloudModerationStorage"),
    "RoomIdType": integer(0, 1),
    "ResourceExpiredHour": integer(6, 72),
}

LIVE_MODERATION: Schema = {
    "SdkAppId": APP,
    "Input": structure(
        {
            "Url": text(),
            "Format": text(),
            "AgoraParam": structure(
                {
                    "AppId": text(),
                    "Channel": text(),
                    "ChannelProfile": integer(),
                    "Token": text(),
                    "Uid": integer(),
                    "TrustedUserIdList": Field("integers"),
                    "UntrustedUserIdList": Field("integers"),
                }
            ),
        },
        required=True,
    ),
    "LiveModerationParams": structure(
        {
            "ModerationType": integer(1, 3),
            "MaxIdleTime": integer(30, 1800),
            "SliceVideo": integer(1, 60),
            "SliceAudio": integer(5, 60),
            "SaveModerationFile": integer(0, 2),
            "CallbackAllResults": integer(0, 1),
        },
        required=True,
    ),
    "DataId": text(),
    "SourceInfo": structure({"RoomId": text(), "RoomIdType": integer(0, 1), "UserId": text()}),
    "LiveModerationStorageParams": _bucket("CloudModerationStorage"),
    "ResourceExpiredHour": integer(1, 72),
}

TRANSCRIPTION: Schema = {
    "SdkAppId": APP,
    "RoomId": ROOM_ID,
    "RoomIdType": integer(0, 1, required=True),
    "TranscriptionParam": structure(
        {
            **_ROBOT,
            "SubscribeList": structures(_USER),
            "UnSubscribeList": structures(_USER),
            "MaxIdleTime": integer(5, 86_400),
            "SendCustomMode": integer(0, 1),
        },
        required=True,
        missing="MissingParameter.TranscriptionParam",
    ),
    "AsrParam": structure(
        {
            "Lang": text(required=True, missing="MissingParameter.ASRLang"),
            "VadSilenceTime": integer(),
            "HotWordList": text(),
            "AlternativeLanguage": texts(),
            "VadLevel": integer(),
            "FilterDirty": integer(),
            "FilterModal": integer(),
            "FilterPunc": integer(),
        },
        required=True,
        missing="MissingParameter.AsrParam",
    ),
    "TranslationParam": structure(
        {
            "TargetLang": texts(),
            "Terminologies": structures(
                {
                    "TargetLang": text(),
                    "Terminology": structures({"Source": text(), "Target": text()}),
                }
            ),
        }
    ),
    "TTSParam": structures(
        {
            "Model": text(),
            "Language": text(),
            "TargetUser": structure(_USER),
            "TTSRobotUser": structure(_USER),
            "Voice": structure(
                {"VoiceId": text(), "Speed": number(), "Volume": number(), "Pitch": integer()}
            ),
        }
    ),
}

AI_TRANSCRIPTION: Schema = {
    "SdkAppId": APP,
    "RoomId": ROOM_ID,
    "TranscriptionParams": structure(
        {
            **_ROBOT,
            "IMAdminUserId": text(),
            "IMAdminUserSig": text(),
            "MaxIdleTime": integer(),
            "TranscriptionMode": integer(),
            "TargetUserId": text(),
            "TargetUserIdList": texts(),
            "VoicePrint": _VOICE_PRINT,
            "TurnDetection": _TURN,
        },
        required=True,
    ),
    "SessionId": text(),
    "RoomIdType": integer(0, 1),
    "RecognizeConfig": structure(_RECOGNIZE),
    "TranslationConfig": structure(
        {
            "TargetLanguages": texts(),
            "Mode": integer(),
            "TTSConfig": structure(_TTS_VOICE),
            "Terminology": structures({"Source": text(), "Target": text()}),
        }
    ),
}

AI_CONVERSATION: Schema = {
    "SdkAppId": APP,
    "RoomId": ROOM_ID,
    "AgentConfig": structure(
        {
            **_ROBOT,
            "TargetUserId": text(required=True),
            "MaxIdleTime": integer(),
            "WelcomeMessage": text(),
            "InterruptMode": integer(),
            "InterruptSpeechDuration": integer(),
            "TurnDetectionMode": integer(),
            "FilterOneWord": flag(),
            "WelcomeMessagePriority": integer(),
            "FilterBracketsContent": integer(),
            "AmbientSound": structure({"Scene": text(), "Volume": number()}),
            "VoicePrint": _VOICE_PRINT,
            "TurnDetection": _TURN,
            "SubtitleMode": integer(),
            "InterruptWordList": texts(),
        },
        required=True,
    ),
    "SessionId": text(),
    "RoomIdType": integer(0, 1),
    "STTConfig": structure({**_SPOKEN, "CustomParam": text()}),
    "LLMConfig": text(required=True),
    "TTSConfig": text(required=True),
    "AvatarConfig": text(),
    "ExperimentalParams": text(),
}

INGEST: Schema = {
    "SdkAppId": APP,
    "RoomId": ROOM_ID,
    "RoomIdType": integer(0, 1, required=True),
    **_ROBOT,
    "StreamUrl": text(required=True),
    "PrivateMapKey": text(),
    "VideoEncodeParams": structure(
        {name: integer() for name in ("Width", "Height", "Fps", "BitRate", "Gop")}
    ),
    "AudioEncodeParams": structure({name: integer() for name in ("SampleRate", "Channel", "BitRate")}),
    "SourceUrl": texts(),
    "SeekSecond": integer(0),
    "AutoPush": flag(),
    "RepeatNum": integer(-1, 1000),
    "MaxDuration": integer(1, 10_080),
    "Volume": integer(0, 200),
    "EnableProgress": flag(),
    "Tempo": number(),
    "IdleTimeout": integer(0, 600),
}

WEB_RECORDING: Schema = {
    "RecordUrl": text(required=True),
    "StorageParams": structure(
        {
            "CloudStorage": structure(CLOUD_STORAGE),
            "CloudVod": structure({"TencentVod": structure(TENCENT_VOD)}),
        },
        required=True,
    ),
    "SdkAppId": APP,
    "MaxDurationLimit": integer(1800, 86_400),
    "WebRecordVideoParams": structure(
        {"Width": integer(), "Height": integer(), "Format": text(), "MaxMediaFileDuration": integer()}
    ),
    "RecordId": text(max_bytes=31),
    "PublishCdnParams": structures({"PublishCdnUrl": text(), "IsTencentCdn": integer(0, 1)}, max_items=10),
    "ReadyTimeout": integer(0, 60),
    "EmulateMobileParams": structure({"MobileDeviceType": integer(), "ScreenOrientation": integer()}),
}

SPEECH: Schema = {
    "Text": text(required=True),
    "Voice": structure(
        {
            "VoiceId": text(required=True),
            "Speed": number(),
            "Volume": number(),
            "Pitch": integer(),
            "Emotion": text(),
        },
        required=True,
    ),
    "SdkAppId": APP,
    "AudioFormat": structure({"Format": text(), "SampleRate": integer(), "Bitrate": integer()}),
    "Model": text(),
    "PronunciationDict": structures({"Word": text(), "Pronunciation": text()}),
    "AlignmentMode": integer(),
    "LanguageCode": text(),
}

START: Mapping[str, Schema] = {
    "slicing": SLICING,
    "moderation": MODERATION,
    "live_moderation": LIVE_MODERATION,
    "transcription": TRANSCRIPTION,
    "ai_transcription": AI_TRANSCRIPTION,
    "ai_conversation": AI_CONVERSATION,
    "ingest": INGEST,
    "web_recording": WEB_RECORDING,
    "speech": SPEECH,
}

# By TaskId; of some by the caller's own name instead, so that nothing of it alone is required.
DESCRIBE: Mapping[str, Schema] = {
    "ai_transcription": {"TaskId": text(), "SdkAppId": integer(), "SessionId": text()},
    "ai_conversation": {"TaskId": text(), "SdkAppId": integer(), "SessionId": text()},
    "web_recording": {"TaskId": text(), "SdkAppId": integer(), "RecordId": text()},
    "speech": _AI_TASK,
}
STOP: Mapping[str, Schema] = {
    "ai_transcription": _AI_TASK,
    "ai_conversation": _AI_TASK,
    "web_recording": _AI_TASK,
}
ONE_TASK = _ONE_TASK

MODIFY_SUBSCRIPTIONS: Schema = {**_ONE_TASK, "SubscribeStreamUserIds": structure(SUBSCRIPTIONS)}
UPDATE_INGEST: Schema = {
    **_ONE_TASK,
    "StreamUrl": text(),
    "Volume": integer(0, 200),
    "IsPause": flag(),
    "EnableProgress": flag(),
    "Tempo": number(),
}
UPDATE_CONVERSATION: Schema = {
    **_AI_TASK,
    "WelcomeMessage": text(),
    "InterruptMode": integer(),
    "InterruptSpeechDuration": integer(),
    "LLMConfig": text(),
    "TTSConfig": text(),
}
CONTROL_CONVERSATION: Schema = {
    **_AI_TASK,
    "Command": text(required=True),
    "ServerPushText": structure(
        {
            "Text": text(),
            "Interrupt": flag(),
            "StopAfterPlay": flag(),
            "Audio": text(),
            "DropMode": integer(),
            "Priority": integer(),
            "AddHistory": flag(),
            "MetaInfo": text(),
        }
    ),
    "InvokeLLM": structure({"Content": text(), "Interrupt": flag(), "ExperimentalParams": text()}),
    "TransparentData": structure({"Data": text()}),
}
