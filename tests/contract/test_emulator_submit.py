"""The rules of a submit: what the emulated vendor takes and with which code it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from emulator_support import TTS_BODY, make_mp4, make_png, make_wav, running

from orchestrator.emulator import catalog
from orchestrator.emulator.validate import Order, Refusal, Rules, parse_submit

FILES = {"video": "mp4", "image": "png", "audio": "wav", "empty": None}
VIDEO = {"avatarSourceFrom": "0", "videoFileId": "video"}
PUBLIC = {"avatarSourceFrom": "1", "aiAvatarId": "3327"}
PRIVATE = {"avatarSourceFrom": "2", "aiAvatarId": "9002"}
IMAGE = {"avatarSourceFrom": "3", "imageFileId": "image"}
FILE = {"audioSourceFrom": "0", "audioFileId": "audio"}
TEXT = {"audioSourceFrom": "1", "ttsText": "Hello."}
VOICE = {"voiceoverId": catalog.DEFAULT_VOICE}


class Ids:
    """A vendor that knows a few ids."""

    def file_format(self, file_id: str) -> str | None:
        return FILES.get(file_id)

    def file_known(self, file_id: str) -> bool:
        return file_id in FILES

    def avatar(self, avatar_id: str, *, private: bool) -> bool:
        return avatar_id in ({"9002"} if private else catalog.PUBLIC)

    def voice(self, voice_id: str) -> bool:
        return voice_id in catalog.VOICE_IDS

    def caption(self, caption_id: str) -> bool:
        return caption_id in catalog.CAPTION_IDS

    def own_voice(self, avatar_id: str) -> str | None:
        return catalog.PUBLIC[avatar_id].voice


MUTE = next(a for a, avatar in catalog.PUBLIC.items() if avatar.voice is None)


@pytest.mark.parametrize(
    "body",
    [
        VIDEO | FILE,
        VIDEO | TEXT | VOICE,
        PUBLIC | FILE,
        PUBLIC | TEXT,
        PUBLIC | TEXT | VOICE | {"captionId": "cap-sample-1"},
        PRIVATE | FILE,
        PRIVATE | TEXT | VOICE,
        IMAGE | FILE | {"modeType": "1"},
        IMAGE | TEXT | VOICE | {"modeType": 1},
        PUBLIC | TEXT | {"modeType": "2"},
        VIDEO | FILE | {"captionId": "cap-sample-1"},
        VIDEO | FILE | {"captionId": "", "noticeUrl": None, "voiceSpeed": 9},
        VIDEO | FILE | {"isSave2CustomAiAvatar": "true"},
        PUBLIC | TEXT | {"voiceSpeed": 0.8},
        PUBLIC | TEXT | {"voiceSpeed": 1.2, "unknownField": [1]},
        {"avatarSourceFrom": 1, "aiAvatarId": 3327, "audioSourceFrom": 1, "ttsText": "Hi."},
        {"aiAvatarId": "3327", "ttsText": "Defaults."},
    ],
)
def test_every_legal_pairing_is_taken(body: dict[str, Any]) -> None:
    assert isinstance(parse_submit(body, Ids(), Rules()), Order)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({}, "4003", "aiAvatarId"),
        (VIDEO | TEXT, "4003", "voiceoverId"),
        (PRIVATE | TEXT, "4003", "voiceoverId"),
        (IMAGE | TEXT | {"modeType": "1"}, "4003", "voiceoverId"),
        (PUBLIC | TEXT | {"aiAvatarId": MUTE}, "4003", "voiceoverId"),
        (PUBLIC | {"audioSourceFrom": "1"}, "4003", "ttsText"),
        (PUBLIC | TEXT | {"ttsText": "  "}, "4003", "ttsText"),
        (PUBLIC | {"audioSourceFrom": "0"}, "4003", "audioFileId"),
        ({"avatarSourceFrom": "0"} | FILE, "4003", "videoFileId"),
        ({"avatarSourceFrom": "3", "modeType": "1"} | FILE, "4003", "imageFileId"),
        ({"avatarSourceFrom": "1", "aiavatarId": "3327"} | TEXT, "4003", "aiAvatarId"),
        (PUBLIC | TEXT | {"avatarSourceFrom": "4"}, "4000", "avatarSourceFrom"),
        (PUBLIC | TEXT | {"avatarSourceFrom": True}, "4000", "avatarSourceFrom"),
        (PUBLIC | TEXT | {"audioSourceFrom": "2"}, "4000", "audioSourceFrom"),
        (PUBLIC | TEXT | {"modeType": "3"}, "4000", "modeType"),
        (PUBLIC | TEXT | {"voiceSpeed": 0.7}, "4000", "voiceSpeed"),
        (PUBLIC | TEXT | {"voiceSpeed": 1.5}, "4000", "voiceSpeed"),
        (PUBLIC | TEXT | {"voiceSpeed": "1.0"}, "4000", "voiceSpeed"),
        (PUBLIC | TEXT | {"ttsText": 7}, "4000", "ttsText"),
        (PUBLIC | TEXT | {"noticeUrl": "hook"}, "4000", "noticeUrl"),
        (PUBLIC | TEXT | {"isSave2CustomAiAvatar": "yes"}, "4000", "isSave2CustomAiAvatar"),
        (IMAGE | FILE, "4000", "image"),
        (VIDEO | FILE | {"videoFileId": "image"}, "4000", "video"),
        (VIDEO | FILE | {"audioFileId": "video"}, "4000", "audio"),
        (IMAGE | FILE | {"modeType": "1", "imageFileId": "video"}, "4000", "image"),
        (VIDEO | FILE | {"videoFileId": "nobody"}, "4004", "nobody"),
        (VIDEO | FILE | {"videoFileId": "empty"}, "4004", "empty"),
        (PUBLIC | TEXT | {"aiAvatarId": "1"}, "4004", "1"),
        (PUBLIC | TEXT | {"aiAvatarId": "9002"}, "4004", "9002"),
        (PRIVATE | TEXT | VOICE | {"aiAvatarId": "3327"}, "4004", "3327"),
        (PUBLIC | TEXT | {"voiceoverId": "nobody"}, "4004", "nobody"),
        (PUBLIC | TEXT | {"captionId": "nobody"}, "4004", "nobody"),
    ],
)
def test_every_wrong_body_is_refused_with_its_code(
    body: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(Refusal) as refusal:
        parse_submit(body, Ids(), Rules())
    assert refusal.value.code == code
    assert words in refusal.value.message


@pytest.mark.parametrize(
    ("body", "rules"),
    [
        (PUBLIC | TEXT | {"modeType": "2"}, Rules(mode_2="refuse")),
        (VIDEO | FILE | {"captionId": "cap-sample-1"}, Rules(caption_elsewhere="refuse")),
    ],
)
def test_open_questions_can_be_answered_the_other_way(body: dict[str, Any], rules: Rules) -> None:
    with pytest.raises(Refusal) as refusal:
        parse_submit(body, Ids(), rules)
    assert refusal.value.code == "4000"


def test_the_notice_address_is_no_part_of_a_bodys_identity() -> None:
    plain = parse_submit(TTS_BODY, Ids(), Rules())
    noted = parse_submit(TTS_BODY | {"noticeUrl": "http://a/1"}, Ids(), Rules())
    other = parse_submit(TTS_BODY | {"ttsText": "Other."}, Ids(), Rules())
    assert plain.identity() == noted.identity() != other.identity()


async def test_uploads_of_every_kind_become_tasks_over_the_wire(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        video = await client.upload(make_mp4(), "mp4")
        image = await client.upload(make_png(), "png")
        audio = await client.upload(make_wav(), "wav")
        file = {"audioSourceFrom": "0", "audioFileId": audio}
        tasks = [
            await client.task(avatarSourceFrom="0", videoFileId=video, **file),
            await client.task(avatarSourceFrom="3", imageFileId=image, modeType="1", **file),
        ]
        results = [await client.finished(t) for t in tasks]
    assert [r["status"] for r in results] == ["success", "success"]
    assert [r["inputVideoFileId"] for r in results] == [video, None]


async def test_the_image_id_is_shown_where_configured(tmp_path: Path) -> None:
    async with running(tmp_path, show_image_file_id=True, show_cost=True) as (_, client):
        image = await client.upload(make_png(), "png")
        task = await client.task(avatarSourceFrom="3", imageFileId=image, modeType="1")
        result = await client.finished(task)
    assert (result["inputVideoFileId"], result["costCredit"]) == (image, 4.0)


async def test_a_file_id_of_another_account_is_unknown(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        audio = await client.upload(make_wav(), "wav")
        client.headers["Topview-Uid"] = "other"
        envelope = await client.submit(audioSourceFrom="0", audioFileId=audio)
    assert envelope["code"] == "4004"


async def test_an_open_catalogue_takes_ids_of_a_real_account(tmp_path: Path) -> None:
    ids = {"aiAvatarId": "77", "voiceoverId": "real-voice", "captionId": "real-caption"}
    async with running(tmp_path, catalog="open") as (_, client):
        task = await client.task(**ids)
        private = await client.task(**ids | {"avatarSourceFrom": "2"})
        ends = [(await client.finished(t))["status"] for t in (task, private)]
    assert ends == ["success", "success"]


@pytest.mark.parametrize(
    ("format", "data", "fields"),
    [
        ("mp4", b"no video at all", {"avatarSourceFrom": "0", "modeType": "0"}),
        ("png", b"\x89PNG\r\n\x1a\n broken", {"avatarSourceFrom": "3", "modeType": "1"}),
        ("wav", b"RIFF....nothing", {"audioSourceFrom": "0"}),
        ("wav", make_png(), {"audioSourceFrom": "0"}),
    ],
)
async def test_media_that_cannot_be_decoded_end_in_a_failed_task_that_costs_nothing(
    tmp_path: Path, format: str, data: bytes, fields: dict[str, str]
) -> None:
    key = {"mp4": "videoFileId", "png": "imageFileId", "wav": "audioFileId"}[format]
    async with running(tmp_path) as (emulator, client):
        task = await client.task(**fields, **{key: await client.upload(data, format)})
        result = await client.finished(task)
        charged = emulator.audit().credits_charged
    assert (result["status"], result["outputVideoUrl"], charged) == ("fail", None, 0.0)
    assert "decoded" in result["errorMsg"]


async def test_an_unusable_file_may_be_taken_and_fail_later(tmp_path: Path) -> None:
    async with running(tmp_path, unusable_file="fail", fail_word="failed") as (_, client):
        audio = await client.upload(make_wav(), "wav")
        task = await client.task(avatarSourceFrom="0", videoFileId=audio)
        assert (await client.finished(task))["status"] == "failed"


async def test_length_limits_fail_the_task_where_configured(tmp_path: Path) -> None:
    async with running(tmp_path, length_limits=True) as (_, client):
        task = await client.task(modeType="1", ttsText="a" * 15 * 29)
        assert "28 seconds" in (await client.finished(task))["errorMsg"]
