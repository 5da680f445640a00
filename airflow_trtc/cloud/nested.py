"""What must be given inside of objects, by the name of the SDK's model of the object.

Source: the model of tencentcloud-cli 3.1.189, which the service's gateway keeps to as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

REQUIRED_INSIDE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        name: tuple(required.split())
        for name, required in {
            "AgentConfig": "UserId UserSig TargetUserId",
            "AgentParams": "UserId",
            "AmbientSound": "Scene",
            "AsrParam": "Lang",
            "AudioEncode": "SampleRate Channel BitRate",
            "AudioParams": "SampleRate Channel BitRate",
            "CloudModerationStorage": "Vendor Region Bucket AccessKey SecretKey",
            "CloudSliceStorage": "Vendor Region Bucket AccessKey SecretKey",
            "CloudStorage": "Vendor Region Bucket AccessKey SecretKey",
            "EncodeParams": "AudioSampleRate AudioBitrate AudioChannels",
            "HotWord": "Word Weight",
            "MaxVideoUser": "UserMediaStream",
            "McuBackgroundCustomRender": "Width Height",
            "McuCustomCrop": "LocationX LocationY Width Height",
            "McuFeedBackRoomParams": "RoomId RoomIdType UserId UserSig",
            "McuPassThrough": "PayloadContent PayloadType",
            "McuPublishCdnParam": "PublishCdnUrl",
            "McuUserInfoParams": "UserInfo",
            "McuWaterMarkImage": "WaterMarkUrl WaterMarkWidth WaterMarkHeight LocationX LocationY",
            "McuWaterMarkText": "Text WaterMarkWidth WaterMarkHeight LocationX LocationY FontSize",
            "MixLayout": "Top Left Width Height",
            "MixLayoutParams": "MixLayoutMode",
            "MixUserInfo": "UserId",
            "OutputParams": "StreamId",
            "PronunciationDict": "Word Pronunciation",
            "PublishCdnParams": "BizId PublishCdnUrls",
            "RecordParams": "RecordMode",
            "SingleSubscribeParams": "UserMediaStream",
            "SmallVideoLayoutParams": "UserId StreamType",
            "TTSConfig": "VoiceId",
            "TTSParam": "Model Language TargetUser TTSRobotUser Voice",
            "TTSVoice": "VoiceId",
            "TermPair": "Source Target",
            "Terminology": "Source Target",
            "TerminologyItem": "TargetLang Terminology",
            "TranscriptionParam": "UserId UserSig",
            "TranscriptionParams": "UserId UserSig",
            "TranscriptionUserInfoParams": "UserId",
            "TranslationConfig": "TargetLanguages",
            "TransparentData": "Data",
            "VideoEncode": "Width Height Fps BitRate Gop",
            "VideoParams": "Width Height Fps BitRate Gop",
            "Voice": "VoiceId",
            "WaterMarkChar": "Top Left Width Height Chars",
            "WaterMarkImage": "WaterMarkUrl Top Left Width Height",
            "WaterMarkParams": "WaterMarkId WaterMarkWidth WaterMarkHeight LocationX LocationY",
            "WaterMarkTimestamp": "Pos",
        }.items()
    }
)
