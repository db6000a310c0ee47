"""The emulated API: every call's good answer, and who is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from emulator_support import HEADERS, SUBMIT, TTS_BODY, Client, FakeClock, make_wav, running

from orchestrator.emulator.catalog import DEFAULT_VOICE


async def test_a_credential_names_a_new_file_and_a_signed_address(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        first, second = await client.credential("mp4"), await client.credential("mp4")
    assert sorted(first) == ["fileId", "fileName", "format", "uploadUrl"]
    assert first["fileName"] == f"{first['fileId']}.mp4"
    assert first["fileId"] != second["fileId"]
    assert "%2B" in first["uploadUrl"] and "%2F" in first["uploadUrl"]


async def test_the_upload_check_is_a_bare_boolean(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        given = await client.credential("wav")
        before = await client.get("/v1/upload/check", fileId=given["fileId"])
        await client.put(given["uploadUrl"], make_wav())
        after = await client.get("/v1/upload/check", fileId=given["fileId"])
        unknown = await client.get("/v1/upload/check", fileId="0" * 32)
    assert [e["result"] for e in (before, after, unknown)] == [False, True, False]


async def test_a_submit_says_success_although_the_task_has_not_begun(tmp_path: Path) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock=clock, render="constant") as (_, client):
        envelope = await client.submit()
        assert envelope["result"]["status"] == "success"
        assert (await client.query(envelope["result"]["taskId"]))["status"] == "init"


async def test_a_finished_task_shows_its_inputs_and_a_new_link_for_every_query(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as (_, client):
        voice = await client.upload(make_wav(), "wav")
        task = await client.task(audioSourceFrom="0", audioFileId=voice, ttsText=None)
        first, second = await client.finished(task), await client.query(task)
    assert first["inputAudioFileId"] == voice
    assert first["inputVideoFileId"] is None
    assert first["errorMsg"] is None
    assert first["outputVideoUrl"] != second["outputVideoUrl"]


async def test_the_cloudfront_switch_changes_the_host(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        task = await client.task()
        s3 = (await client.finished(task))["outputVideoUrl"]
        cdn = (await client.query(task, needCloudFrontUrl="true"))["outputVideoUrl"]
    assert s3.split("/")[2] != cdn.split("/")[2]
    assert "X-Amz-Signature=" in s3 and "Key-Pair-Id=" in cdn


@pytest.mark.parametrize(
    ("path", "query", "total"),
    [
        ("/v1/aiavatar/query", {}, 45),
        ("/v1/aiavatar/query", {"gender": "male"}, 22),
        ("/v1/aiavatar/query", {"ethnicityIdList": "e1,e2"}, 16),
        ("/v1/aiavatar/query", {"isCustom": "true"}, 1),
        ("/v1/aiavatar/query", {"isCustom": "", "gender": ""}, 45),
        ("/v1/ethnicity/list", {"scene": "video_avatar"}, 6),
        ("/v1/voice/query", {}, 66),
        ("/v1/voice/query", {"language": "zh-Hant"}, 2),
        ("/v1/voice/query", {"gender": "female", "age": "Young"}, 11),
        ("/v1/voice/query", {"style": "UGC", "accent": "American"}, 4),
        ("/v1/voice/query", {"voiceName": "sample"}, 1),
        ("/v1/voice/query", {"isCustom": "true"}, 0),
        ("/user/credit/logs", {}, 0),
    ],
)
async def test_lists_are_filtered_and_counted(
    tmp_path: Path, path: str, query: dict[str, str], total: int
) -> None:
    async with running(tmp_path) as (_, client):
        result = (await client.get(path, **query))["result"]
    assert (result["total"], result["pageNo"], result["pageSize"]) == (total, 1, 20)
    assert len(result["data"]) == min(total, 20)


async def test_pages_together_hold_every_item_once(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        ids: list[str] = []
        for number in range(1, 5):
            page = await client.get("/v1/aiavatar/query", pageNo=str(number), pageSize="20")
            ids += [a["aiavatarId"] for a in page["result"]["data"]]
    assert len(ids) == len(set(ids)) == 45
    assert ids[0] == "3327"


async def test_avatars_are_sorted_on_demand(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        page = await client.get("/v1/aiavatar/query", sortField="createTime", sortType="desc")
    assert page["result"]["data"][0]["aiavatarId"] == "3442"


async def test_a_page_is_never_larger_than_five_hundred(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        page = await client.get("/v1/voice/query", pageSize="9999")
    assert page["result"]["pageSize"] == 500


async def test_captions_are_a_plain_list(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        result = (await client.get("/v1/caption/list"))["result"]
    assert next(c["captionId"] for c in result) == "cap-sample-1"
    assert sorted(result[0]) == ["captionId", "thumbnail"]


async def test_ethnicities_can_be_a_plain_list_too(tmp_path: Path) -> None:
    async with running(tmp_path, ethnicity_shape="list") as (_, client):
        result = (await client.get("/v1/ethnicity/list", scene="video_avatar"))["result"]
    assert result[0] == {"ethnicityId": "e1", "ethnicityName": "Sample A"}


async def test_pictures_and_sounds_of_the_catalogues_exist(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        avatar = (await client.get("/v1/aiavatar/query"))["result"]["data"][0]
        voice = (await client.get("/v1/voice/query"))["result"]["data"][0]
        caption = (await client.get("/v1/caption/list"))["result"][0]
        found = [
            await client.fetch(url)
            for url in (
                avatar["coverUrl"],
                avatar["previewVideoUrl"],
                voice["demoAudioUrl"],
                caption["thumbnail"],
            )
        ]
    assert [(status, bool(body)) for status, body, _ in found] == [(200, True)] * 4
    assert found[0][1].startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("/v1/upload/credential", {}, "4003"),
        ("/v1/upload/credential", {"format": "aac"}, "4000"),
        ("/v1/upload/credential", {"format": "video/mp4"}, "4000"),
        ("/v1/upload/credential", {"format": "mp4", "needAccelerateUrl": ""}, "200"),
        ("/v1/upload/credential", {"format": "mp4", "needAccelerateUrl": "maybe"}, "4000"),
        ("/v1/upload/check", {}, "4003"),
        ("/v1/video_avatar/task/query", {}, "4003"),
        ("/v1/video_avatar/task/query", {"taskId": "f" * 32}, "4004"),
        ("/v1/aiavatar/query", {"gender": "other"}, "4000"),
        ("/v1/aiavatar/query", {"pageNo": "0"}, "4000"),
        ("/v1/aiavatar/query", {"pageSize": "many"}, "4000"),
        ("/v1/aiavatar/query", {"sortType": "up"}, "4000"),
        ("/v1/ethnicity/list", {}, "4003"),
        ("/v1/ethnicity/list", {"scene": "kitchen"}, "4000"),
        ("/v1/voice/query", {"language": "xx"}, "4000"),
        ("/v1/voice/query", {"age": "young"}, "4000"),
        ("/user/credit/logs", {"startTime": "2026-01-01T00:00:00Z"}, "4000"),
        ("/user/credit/logs", {"endTime": "2026-13-01 00:00:00"}, "4000"),
        (
            "/user/credit/logs",
            {"startTime": "2026-02-01 00:00:00", "endTime": "2026-01-01 00:00:00"},
            "4000",
        ),
    ],
)
async def test_wrong_parameters_are_refused_in_the_envelope(
    tmp_path: Path, path: str, query: dict[str, str], code: str
) -> None:
    async with running(tmp_path) as (_, client):
        envelope = await client.get(path, **query)
    assert envelope["code"] == code
    assert (envelope["result"] is None) == (code != "200")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"noticeUrl": "http://127.0.0.1:1/hook"}, "200"),
        ({"noticeUrl": "ftp://somewhere"}, "4000"),
        ({"noticeUrl": 7}, "4000"),
        ({}, "4003"),
    ],
)
async def test_the_notice_check_judges_the_address(
    tmp_path: Path, body: dict[str, Any], code: str
) -> None:
    async with running(tmp_path) as (_, client):
        envelope = await client.post("/notice/notice_url/check", body)
    assert envelope["code"] == code
    assert envelope["result"] == (True if code == "200" else None)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Topview-Uid": "u"},
        {"Authorization": "Bearer k"},
        {"Topview-Uid": "u", "Authorization": "Basic k"},
        {"Topview-Uid": "u", "Authorization": "Bearer "},
    ],
)
async def test_a_call_without_both_credentials_is_unauthorised(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with running(tmp_path) as (emulator, _), Client(emulator.base_url, headers) as stranger:
        url = emulator.base_url + "/user/credit/detail"
        async with stranger.session.get(url, headers=headers) as reply:
            assert (reply.status, (await reply.json())["code"]) == (401, "401")


async def test_a_configured_pair_is_the_only_one_taken(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"uid": "some-uid", "api_key": "other", "auth_status": 200}
    async with running(tmp_path, **settings) as (emulator, client):
        assert (await client.get("/user/credit/detail"))["code"] == "401"
        client.headers = {"Topview-Uid": "some-uid", "Authorization": "Bearer other"}
        assert (await client.get("/user/credit/detail"))["code"] == "200"
        assert emulator.environment["TOPVIEW_API_KEY"] == "other"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("GET", SUBMIT, 405), ("DELETE", "/v1/caption/list", 405)],
)
async def test_the_gateway_answers_without_an_envelope(
    tmp_path: Path, method: str, path: str, status: int
) -> None:
    async with running(tmp_path) as (emulator, client):
        url = emulator.base_url + path
        async with client.session.request(method, url, headers=HEADERS) as reply:
            body = await reply.json()
    assert (reply.status, body["status"], body["path"]) == (status, status, path)
    assert "code" not in body


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b'"text"', "application/json"),
        (json.dumps(TTS_BODY).encode(), "text/plain"),
    ],
)
async def test_a_body_that_is_no_json_object_is_a_format_error(
    tmp_path: Path, data: bytes, kind: str
) -> None:
    async with running(tmp_path) as (emulator, client):
        headers = {**HEADERS, "Content-Type": kind}
        async with client.session.post(
            emulator.base_url + SUBMIT, data=data, headers=headers
        ) as reply:
            assert (reply.status, (await reply.json())["code"]) == (200, "4001")


async def test_a_task_of_another_account_is_unknown(tmp_path: Path) -> None:
    async with running(tmp_path) as (emulator, client):
        task = await client.task()
        other = {**HEADERS, "Topview-Uid": "other"}
        async with Client(emulator.base_url, other) as stranger:
            envelope = await stranger.get("/v1/video_avatar/task/query", taskId=task)
    assert envelope["code"] == "4004"


@pytest.mark.parametrize(
    ("settings", "status", "code", "wish"),
    [
        ({"rate_answer": "429", "retry_after_s": 3}, 429, None, "3"),
        ({"rate_answer": "429", "retry_after": "none"}, 429, None, None),
        ({"rate_answer": "4007"}, 200, "4007", None),
        ({"rate_answer": "5003"}, 200, "5003", None),
    ],
)
async def test_too_many_requests_in_a_second_are_answered_as_configured(
    tmp_path: Path, settings: dict[str, Any], status: int, code: str | None, wish: str | None
) -> None:
    clock = FakeClock()
    async with running(tmp_path, clock=clock, rate_limit=2, **settings) as (emulator, client):
        for _ in range(2):
            assert (await client.get("/v1/caption/list"))["code"] == "200"
        url = emulator.base_url + "/v1/caption/list"
        async with client.session.get(url, headers=HEADERS) as reply:
            body = await reply.json()
        assert (reply.status, body.get("code"), reply.headers.get("Retry-After")) == (
            status,
            code,
            wish,
        )
        clock.pass_s(1.0)
        assert (await client.get("/v1/caption/list"))["code"] == "200"


async def test_the_date_header_follows_the_vendors_own_clock(tmp_path: Path) -> None:
    clock = FakeClock(0.0)
    async with running(tmp_path, clock=clock, clock_offset_s=3600.0) as (emulator, client):
        url = emulator.base_url + "/v1/caption/list"
        async with client.session.get(url, headers=HEADERS) as reply:
            assert reply.headers["Date"] == "Thu, 01 Jan 1970 01:00:00 GMT"


async def test_the_default_voice_is_in_the_voice_list(tmp_path: Path) -> None:
    async with running(tmp_path) as (_, client):
        page = await client.get("/v1/voice/query")
    assert page["result"]["data"][0]["voiceId"] == DEFAULT_VOICE
