"""All calls that no other family has: answered as their models say, and what they make is remembered.

Pictures, tables of hot words, voice prints and cloned voices are kept until they are deleted; a text that is
spoken is silence of a plausible length. The vendor documents no codes for what is not there in these
families; here it is ``ResourceNotFound``.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from airflow_trtc.emulator.action import Action, Call
from airflow_trtc.emulator.codes import ApiError
from airflow_trtc.emulator.families.models import models
from airflow_trtc.emulator.parameters import Values
from airflow_trtc.emulator.state import State

Run = Callable[[State, Call], Values]

MAX_TABLES = 30
MAX_WORDS = 1000
SAMPLE_RATE = 16_000
MS_PER_CHARACTER = 60
CHUNK_BYTES = 16_000
MAX_SPOKEN_MS = 2_000
"""Longer texts are spoken faster here: nobody listens."""


@dataclass
class Memory:
    """What these calls left behind; keys are the application and an id, or an id."""

    pictures: dict[tuple[int, int], Values] = field(default_factory=dict)
    tables: dict[tuple[int, str], Values] = field(default_factory=dict)
    voices: dict[str, Values] = field(default_factory=dict)


def _memory(state: State) -> Memory:
    return state.part(Memory)


def _plain(name: str) -> Run:
    """A call that leaves nothing behind: it answers what it was asked about, and else nothing."""

    def run(state: State, call: Call) -> Values:
        answer = models().answer(name)
        if answer.get("TaskId") == "":
            answer["TaskId"] = state.new_id()
        return {each: call.values.get(each, value) for each, value in answer.items()}

    return run


# -- pictures -----------------------------------------------------------------------------------------------


def create_picture(state: State, call: Call) -> Values:
    """Keep where a picture stands; its content is not looked at."""
    memory, app = _memory(state), call.values["SdkAppId"]
    picture_id = 100_000 + len(memory.pictures) + state.random.randrange(1, 1000) * 1000
    kept = {name: value for name, value in call.values.items() if name not in ("Content", "Suffix")}
    memory.pictures[app, picture_id] = {**kept, "PictureId": picture_id}
    return {"PictureId": picture_id}


def modify_picture(state: State, call: Call) -> Values:
    """Change what is given."""
    _picture(state, call).update(call.values)
    return {}


def delete_picture(state: State, call: Call) -> Values:
    """Forget it."""
    _picture(state, call)
    del _memory(state).pictures[call.values["SdkAppId"], call.values["PictureId"]]
    return {}


def describe_picture(state: State, call: Call) -> Values:
    """Return one, or a page of all; there is no error for one that is not there."""
    wanted = call.values.get("PictureId")
    found = [
        kept
        for (app, picture_id), kept in _memory(state).pictures.items()
        if app == call.values["SdkAppId"] and wanted in (None, 0, picture_id)
    ]
    size, page = call.values.get("PageSize", 10), call.values.get("PageNo", 1)
    return {"Total": len(found), "PictureInfo": _page(found, (max(page, 1) - 1) * size, size)}


def _picture(state: State, call: Call) -> Values:
    try:
        return _memory(state).pictures[call.values["SdkAppId"], call.values["PictureId"]]
    except KeyError:
        raise ApiError("ResourceNotFound", message="The picture does not exist.") from None


# -- hot words ----------------------------------------------------------------------------------------------


def create_table(state: State, call: Call) -> Values:
    """Keep a table of hot words."""
    memory, app = _memory(state), call.values["SdkAppId"]
    if sum(each == app for each, _ in memory.tables) >= MAX_TABLES:
        raise ApiError("LimitExceeded", message=f"At most {MAX_TABLES} tables of hot words.")
    vocab_id = f"{state.random.getrandbits(128):032x}"
    now = _iso(call.now)
    memory.tables[app, vocab_id] = {
        "Name": call.values["Name"],
        "Description": call.values.get("Description", ""),
        "VocabId": vocab_id,
        "WordWeights": _words(call.values),
        "CreateTime": now,
        "UpdateTime": now,
        "State": 0,
    }
    return {"VocabId": vocab_id}


def update_table(state: State, call: Call) -> Values:
    """Replace what is given."""
    table = _table(state, call)
    table.update({name: call.values[name] for name in ("Name", "Description") if name in call.values})
    if words := _words(call.values):
        table["WordWeights"] = words
    table["UpdateTime"] = _iso(call.now)
    return {"VocabId": table["VocabId"]}


def set_table_state(state: State, call: Call) -> Values:
    """Make a table the default one, or not."""
    if call.values["State"] not in (0, 1):
        raise ApiError("InvalidParameterValue", "State")
    table = _table(state, call)
    table["State"] = call.values["State"]
    return {"VocabId": table["VocabId"]}


def get_table(state: State, call: Call) -> Values:
    """Return one table."""
    return dict(_table(state, call))


def list_tables(state: State, call: Call) -> Values:
    """Return a page of all tables."""
    app = call.values["SdkAppId"]
    found = [dict(kept) for (each, _), kept in _memory(state).tables.items() if each == app]
    page = _page(found, call.values.get("Offset", 0), call.values.get("Limit", 10))
    return {"VocabList": page, "TotalCount": len(found)}


def download_table(state: State, call: Call) -> Values:
    """Return the words as the file that would make them."""
    table = _table(state, call)
    lines = "\n".join(f"{one['Word']}|{one['Weight']}" for one in table["WordWeights"])
    return {"VocabId": table["VocabId"], "WordWeightStr": base64.b64encode(lines.encode()).decode()}


def delete_table(state: State, call: Call) -> Values:
    """Forget it."""
    _table(state, call)
    del _memory(state).tables[call.values["SdkAppId"], call.values["VocabId"]]
    return {}


def _table(state: State, call: Call) -> Values:
    try:
        return _memory(state).tables[call.values["SdkAppId"], call.values["VocabId"]]
    except KeyError:
        raise ApiError("ResourceNotFound", message="The table of hot words does not exist.") from None


def _words(values: Values) -> list[Values]:
    """The words that a call gives, as list or as the text of a file."""
    words = [dict(one) for one in values.get("WordWeights", [])]
    if not words and "WordWeightStr" in values:
        try:
            text = base64.b64decode(values["WordWeightStr"], validate=True).decode()
            pairs = [line.rsplit("|", 1) for line in text.splitlines() if line.strip()]
            words = [{"Word": word, "Weight": int(weight)} for word, weight in pairs]
        except ValueError:
            raise ApiError("InvalidParameterValue", "WordWeightStr") from None
    is_right = all(one["Word"] and (1 <= one["Weight"] <= 11 or one["Weight"] == 100) for one in words)
    if len(words) > MAX_WORDS or not is_right:
        raise ApiError("InvalidParameterValue", "WordWeights")
    return words


# -- voices -------------------------------------------------------------------------------------------------


def register_voice(state: State, call: Call) -> Values:
    """Keep what is known of a voice; its sound is not looked at."""
    _check_base64(call.values, "Audio")
    voice_id = f"{datetime.fromtimestamp(call.now, timezone.utc):%Y%m%d}_{state.random.getrandbits(128):032x}"
    now = _stamp(call.now)
    _memory(state).voices[voice_id] = {
        "VoicePrintId": voice_id,
        "AppId": 0,
        "VoicePrintMetaInfo": call.values.get("AudioMetaInfo", ""),
        "CreateTime": now,
        "UpdateTime": now,
        "AudioFormat": call.values["AudioFormat"],
        "AudioName": call.values["AudioName"],
        "ReqTimestamp": call.values["ReqTimestamp"],
    }
    return {"VoicePrintId": voice_id}


def update_voice(state: State, call: Call) -> Values:
    """Replace what is given."""
    voice, values = _voice(state, call), call.values
    _check_base64(values, "Audio")
    changed = {"ReqTimestamp": values["ReqTimestamp"], "UpdateTime": _stamp(call.now)}
    if "AudioMetaInfo" in values:
        changed["VoicePrintMetaInfo"] = values["AudioMetaInfo"]
    voice.update(changed)
    return {}


def describe_voices(state: State, call: Call) -> Values:
    """Return voices by id, or a page of all."""
    voices, values = _memory(state).voices, call.values
    if values["DescribeMode"] == 0:
        found = [voices[each] for each in values.get("VoicePrintIdList", []) if each in voices]
        return {"TotalCount": len(found), "Data": found}
    size = max(values.get("PageSize", 20), 20)
    page = _page(list(voices.values()), (max(values.get("PageIndex", 1), 1) - 1) * size, size)
    return {"TotalCount": len(voices), "Data": page}


def delete_voice(state: State, call: Call) -> Values:
    """Forget it."""
    _voice(state, call)
    del _memory(state).voices[call.values["VoicePrintId"]]
    return {}


def _voice(state: State, call: Call) -> Values:
    try:
        return _memory(state).voices[call.values["VoicePrintId"]]
    except KeyError:
        raise ApiError("ResourceNotFound", message="The voice print does not exist.") from None


# -- speech -------------------------------------------------------------------------------------------------


def speak(state: State, call: Call) -> Values:
    """Answer silence as long as the text would be spoken."""
    text = call.values["Text"]
    milliseconds = min(len(text) * MS_PER_CHARACTER, MAX_SPOKEN_MS)
    answer: Values = {
        "Audio": base64.b64encode(_silence(milliseconds)).decode(),
        "TotalDurationMs": milliseconds,
    }
    if call.values.get("AlignmentMode"):
        whole = {"Text": text, "TextBegin": 0, "TextEnd": len(text)}
        answer["Alignments"] = [{**whole, "TimeBeginMs": 0, "TimeEndMs": milliseconds}]
    return answer


def stream(state: State, call: Call) -> Values:
    """Answer the same in chunks."""
    audio = base64.b64decode(speak(state, call)["Audio"])
    chunks = [audio[begin : begin + CHUNK_BYTES] for begin in range(0, len(audio), CHUNK_BYTES)]
    call.events = [
        {
            "Type": "chunk",
            "ChunkId": f"chunk_{number}",
            "Audio": base64.b64encode(chunk).decode(),
            "Seq": number,
            "IsEnd": number == len(chunks) - 1,
        }
        for number, chunk in enumerate(chunks)
    ]
    return {}


def clone_voice(state: State, call: Call) -> Values:
    """Answer the id of a voice."""
    _check_base64(call.values, "PromptAudio")
    return {"VoiceId": f"{call.values['VoiceName']}_{state.random.getrandbits(48):012x}"}


def moderate(state: State, call: Call) -> Values:
    """Find nothing wrong with a file."""
    values = call.values
    if not (values.get("FileUrl") or values.get("FileContent")):
        raise ApiError("MissingParameter", "FileUrl")
    echo = {name: values.get(name, "") for name in ("DataId", "FileName")}
    answer = models().answer("CreateAudioModerationSync")
    return {**answer, **echo, "TaskId": state.new_id(), "Label": "Normal"}


def _silence(milliseconds: int) -> bytes:
    """A WAV file: 16 bit, mono."""
    size = SAMPLE_RATE * 2 * milliseconds // 1000 // 2 * 2
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE, SAMPLE_RATE * 2, 2, 16)
    data = struct.pack("<4sI", b"data", size) + bytes(size)
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data


def _check_base64(values: Values, name: str) -> None:
    try:
        base64.b64decode(values.get(name, ""), validate=True)
    except ValueError:
        raise ApiError("InvalidParameterValue", name) from None


def _page(found: list[Values], begin: int, size: int) -> list[Values]:
    return [dict(each) for each in found[max(begin, 0) :][: max(size, 0)]]


def _stamp(now: float) -> str:
    return f"{datetime.fromtimestamp(now, timezone.utc):%Y-%m-%d %H:%M:%S}"


def _iso(now: float) -> str:
    return datetime.fromtimestamp(int(now), timezone.utc).isoformat()


_RUNS: Mapping[str, Run] = {
    "CreatePicture": create_picture,
    "ModifyPicture": modify_picture,
    "DeletePicture": delete_picture,
    "DescribePicture": describe_picture,
    "CreateRecognizeVocabV3": create_table,
    "UpdateRecognizeVocabV3": update_table,
    "SetVocabStateV3": set_table_state,
    "GetRecognizeVocabV3": get_table,
    "GetRecognizeVocabListV3": list_tables,
    "DownloadRecognizeVocabV3": download_table,
    "DeleteRecognizeVocabV3": delete_table,
    "RegisterVoicePrint": register_voice,
    "UpdateVoicePrint": update_voice,
    "DescribeVoicePrint": describe_voices,
    "DeleteVoicePrint": delete_voice,
    "TextToSpeech": speak,
    "TextToSpeechSSE": stream,
    "VoiceClone": clone_voice,
    "CreateAudioModerationSync": moderate,
}


def _actions() -> dict[str, Action]:
    known = models()
    return {name: Action(_RUNS.get(name, _plain(name)), known.schema(name), None) for name in known.calls}


ACTIONS: Mapping[str, Action] = _actions()
